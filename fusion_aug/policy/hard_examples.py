"""HardExamples: how hard each sample of a log is for a model, by the losses that training met."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.schedules import is_number
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.policy.hard_sampler import HardSampler
from fusion_aug.policy.scoring import EQUAL, as_number

UNKNOWN = 0.5  # difficulty of a sample whose loss was never met
Losses = list[tuple[str, float]]  # of samples by their ids
KEYS = ("version", "memory", "losses")
VERSION = 1


class HardExamples:
    """Moving means of the losses of samples, and the difficulties that follow from them.

    The difficulty of a sample is its place among all whose loss is known, from 0 (lowest) to 1 (highest); equal losses
    (to 1e-6 of them) share a place, and what is unknown has 0.5. Losses that come in during an epoch change
    difficulties at the next ``set_epoch``, which ``fa.set_epoch(loader, epoch)`` calls where the table's sampler is in
    the loader. So samples and their order do not depend on when a batch was ready, nor on the number of workers, which
    share the difficulties.

    Args:
        ids: of all samples, in the order of the data set: ``data.ids`` of an ``AugmentedDataset``. Of windows they are
            those of windows; a table with those of episodes, ``log.ids``, has difficulties of episodes, but its sampler
            is none of windows.
        memory: share of the old mean that a new loss leaves, 0 to below 1.

    Raises:
        ConfigError: an id comes twice, or there is none; ``memory`` is no such share.
    """

    def __init__(self, ids: Iterable[str], memory: float = 0.7):
        self.ids = [] if isinstance(ids, str) else list(ids)
        self.place = {name: i for i, name in enumerate(self.ids)}
        if not self.ids or len(self.place) != len(self.ids) or not all(isinstance(i, str) for i in self.ids):
            raise ConfigError("HardExamples.ids: expected the ids of all samples, each once, such as data.ids")
        if not is_number(memory) or not 0 <= memory < 1:
            raise ConfigError(f"HardExamples.memory: expected a share from 0 to below 1, got {memory!r}")
        self.memory = float(memory)
        self.means = np.full(len(self.ids), np.nan)
        with torch.inference_mode(False):
            self._difficulty = torch.full((len(self.ids),), UNKNOWN, dtype=torch.float64).share_memory_()

    # --- losses come in -----------------------------------------------------------------------------------------------
    def update(
        self, ids: Sequence[str], losses: Sequence[float] | np.ndarray | Tensor, *, gather: bool = False
    ) -> None:
        """Take losses in.

        Args:
            ids: of the samples, of a batch ``[m.id for m in batch.metas]``; one that comes twice counts twice. A window
                that is not in the table counts for its episode, where that is.
            losses: (n,) of each, such as ``loss.detach()`` before the mean over the batch; of text-sensor pairs
                ``-retrieval_margins(...)``.
            gather: take those of all processes in that train together (``torch.distributed``), in the order of their
                ranks, so that all their tables are the same; each process calls it at the same place.

        Raises:
            DataError: a sample is not in the table, the numbers are not as many, or one is not finite; with ``gather``
                in all processes where it is so in one. The table stays as it was.
        """
        mine: Losses = []
        said = ""
        try:
            mine = self._checked(ids, losses)
        except DataError as error:
            if not gather:
                raise
            said = str(error)  # the other processes wait for this one, and are to end as it does
        parts = _of_all_processes((mine, said)) if gather else [(mine, said)]
        for rank, (part, wrong) in enumerate(parts):
            if not wrong and (unknown := [name for name, _ in part if self._key(name) is None]):
                wrong = f"HardExamples.update: {unknown[0]!r} is not in the table; give all processes the same ids"
            if wrong:
                raise DataError(said or f"{wrong} (of process {rank})")
        for name, loss in (pair for part, _ in parts for pair in part):
            i = self.place[self._key(name) or name]
            old = self.means[i]
            self.means[i] = loss if np.isnan(old) else self.memory * old + (1 - self.memory) * loss

    def _checked(self, ids: Sequence[str], losses: Sequence[float] | np.ndarray | Tensor) -> Losses:
        """Ids with their losses.

        Raises:
            DataError: as of ``update``.
        """
        try:
            if not isinstance(losses, Tensor | np.ndarray):
                losses = [as_number(x) for x in losses]
            given = losses.detach().double().cpu().numpy() if isinstance(losses, Tensor) else np.asarray(losses, float)
        except (TypeError, ValueError, RuntimeError):
            raise DataError(f"HardExamples.update: expected one number for each of {len(ids)} ids as losses") from None
        if given.shape != (len(ids),):
            raise DataError(f"HardExamples.update: {len(ids)} ids need as many losses, got the shape {given.shape}")
        pairs = list(zip(ids, given.tolist(), strict=True))
        unknown = [i for i, _ in pairs if self._key(i) is None]
        bad = [f"{i} ({x})" for i, x in pairs if not math.isfinite(x)]
        if unknown or bad:
            what = f"{unknown[0]!r} is not in the table" if unknown else f"the loss of {bad[0]} is not finite"
            raise DataError(f"HardExamples.update: {what}")
        return pairs

    def _key(self, name: Any) -> str | None:
        """The id in the table that a name stands for, its own or that of its episode (``episode@12``), or None."""
        known = name if name in self.place else str(name).rpartition("@")[0]
        return known if known in self.place else None

    def set_epoch(self, epoch: int) -> None:
        """Let difficulties follow from the losses that are known now."""
        self._difficulty.numpy()[:] = ranks(self.means)

    # --- difficulties go out ------------------------------------------------------------------------------------------
    @property
    def difficulties(self) -> np.ndarray:
        """Difficulty (n,) of every sample, 0 to 1, as of the last ``set_epoch``."""
        return self._difficulty.numpy().copy()

    def difficulty_of(self, name: str) -> float:
        """The difficulty of a sample, 0 to 1.

        Args:
            name: its id, or that of a window of an episode of that id (``episode@12``).

        Raises:
            DataError: it is not in the table.
        """
        known = self._key(name)
        if known is None:
            raise DataError(f"HardExamples: the sample {name!r} is not in the table")
        return float(self._difficulty.numpy()[self.place[known]])

    def magnitude_of(self, name: str, easy: float = 0.5, hard: float = 0.1) -> float:
        """A magnitude by difficulty: ``easy`` of the easiest sample, ``hard`` of the hardest, on a line between."""
        share = self.difficulty_of(name)
        return easy * (1 - share) + hard * share

    def sampler(self, *, ratio: float = 3.0, length: int | None = None, **options: Any) -> HardSampler:
        """A sampler of indices that draws the hardest ``ratio`` times as often as the easiest; see ``HardSampler``."""
        return HardSampler(self, ratio=ratio, length=length, **options)

    # --- files --------------------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Write the table as JSON; the file is there whole or as it was before."""
        losses = {i: x for i, x in zip(self.ids, self.means.tolist(), strict=True) if not math.isnan(x)}
        text = json.dumps(dict(zip(KEYS, (VERSION, self.memory, losses), strict=True)), indent=1)
        target = Path(path)
        part = target.with_name(f".{target.name}.part")
        write_new_text(part, text + "\n")
        part.replace(target)

    def load(self, path: str | Path) -> None:
        """Take the means of a file in place of those known, and let difficulties follow.

        Raises:
            DataError: the file is not one of ``save``, or holds samples that are not in the table.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as a table of losses ({error})") from None
        found: dict[str, Any] = data if isinstance(data, dict) and set(data) == set(KEYS) else {}
        losses, memory = found.get("losses"), found.get("memory")
        of_this_version = type(found.get("version")) is int and found["version"] == VERSION
        if not of_this_version or not isinstance(losses, dict) or not all(map(is_number, losses.values())):
            raise DataError(f"{path}: is no table of losses of version {VERSION}, with {', '.join(KEYS)}")
        if not is_number(memory) or memory != self.memory:
            raise DataError(
                f"{path}: memory: the table was kept with {memory!r}, this one has {self.memory:g}; give it the same"
            )
        if unknown := [i for i in losses if i not in self.place]:
            raise DataError(f"{path}: losses: the sample {unknown[0]!r} is not in the table")
        self.means = np.array([losses.get(i, np.nan) for i in self.ids], float)
        self.set_epoch(0)


def ranks(means: np.ndarray) -> np.ndarray:
    """Place (n,) of every number among those known, 0 to 1; equal ones share one, and NaN has ``UNKNOWN``.

    Args:
        means: (n,), NaN where unknown.
    """
    out = np.full(len(means), UNKNOWN)
    known = np.flatnonzero(~np.isnan(means))
    order = known[np.argsort(means[known], kind="stable")]
    values, first = means[order], 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[last + 1] - values[first] <= EQUAL * abs(values[first]):
            last += 1
        out[order[first : last + 1]] = (first + last) / 2 / (len(order) - 1) if len(order) > 1 else UNKNOWN
        first = last + 1
    return out


def _of_all_processes(mine: Any) -> list[Any]:
    """An object of every process that trains together, in the order of their ranks."""
    group = torch.distributed
    if not (group.is_available() and group.is_initialized()):
        raise ConfigError("HardExamples.update: gather needs torch.distributed.init_process_group; leave it out here")
    parts: list[Any] = [None] * group.get_world_size()
    group.all_gather_object(parts, mine)
    return parts
