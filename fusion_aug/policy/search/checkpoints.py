"""The checkpoints of a search: where each training finds what it goes on from, and leaves what others go on from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.policy.search.journal import sync_folder
from fusion_aug.policy.search.objective import Checkpoint
from fusion_aug.policy.search.trials import Proposal

FOLDER = "checkpoints"


@dataclass(frozen=True)
class Checkpoints:
    """Those below the folder of a search.

    Attributes:
        out: the folder of the search. needed: whether every training must leave one.
    """

    out: Path
    needed: bool

    def path(self, trial: int, seed: int) -> Path:
        """Of one training."""
        return self.out / FOLDER / f"trial{trial:06d}-seed{seed}"

    def begin(self, number: int, seed: int, proposal: Proposal) -> Checkpoint:
        """What a training is given; what an interrupted one left is removed.

        Raises:
            DataError: what it goes on from is missing.
        """
        before = None if proposal.parent is None else self.path(proposal.parent, seed)
        if before is not None and not before.exists():
            raise DataError(
                f"{before}: is missing, from which trial {number}, seed {seed}, goes on; search anew in another folder"
            )
        after = self.path(number, seed)
        after.parent.mkdir(exist_ok=True)
        remove(after)
        return Checkpoint(before, after, proposal.start)

    def end(self, checkpoint: Checkpoint, where: str) -> None:
        """Wait until what a training left is on the disk.

        Raises:
            ConfigError: it left nothing, and had to.
        """
        if self.needed and not checkpoint.after.exists():
            raise ConfigError(
                f"objective: {where}, left nothing at checkpoint.after ({checkpoint.after}), from which later ones "
                f"go on"
            )
        sync(checkpoint.after)

    def discard(self, trials: Iterable[int], seeds: Iterable[int]) -> None:
        """Remove those of trials that nobody needs."""
        for number in trials:
            for seed in seeds:
                remove(self.path(number, seed))


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there; no link is followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or all files of a folder, are on the disk, if there are any."""
    for part in [path, *sorted(path.rglob("*"))] if path.exists() else ():
        with suppress(OSError):  # a socket, or a link that leads nowhere
            handle = os.open(part, os.O_RDONLY | os.O_NONBLOCK)
            os.fsync(handle)
            os.close(handle)
    sync_folder(path.parent)
