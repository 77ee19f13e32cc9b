"""Files of samples of an output in a store: put by the process that made them, and counted at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fusion_aug.errors import FusionAugError
from fusion_aug.logs.core.files import inside
from fusion_aug.logs.core.writer import PARTS_FOLDER, WORK
from fusion_aug.logs.remote.address import address_of
from fusion_aug.logs.remote.catalogue import Catalogue
from fusion_aug.logs.remote.store import StoreError
from fusion_aug.logs.remote.writing import WritableStore
from fusion_aug.run.unfinished import PLAN

DONE = f"{WORK}/done"
PARTS = f"{WORK}/{PARTS_FOLDER}/"


class SampleFiles:
    """What every process of a run does with the files of a sample; the rest is done by one, see ``Publisher``.

    Args:
        url: of the output. alone: whether the processes do not share the folder that they write first.
    """

    def __init__(self, url: str, alone: bool):
        self.store, self.alone = WritableStore(address_of(url, "out")), alone

    def join(self, out: Path) -> None:
        """Let a folder of this computer be one of the run, where it is not yet.

        Raises:
            FusionAugError: there is no such run.
        """
        plan = out / WORK / PLAN
        if not plan.is_file():
            try:
                data = self.store.content(f"{WORK}/{PLAN}")
            except FileNotFoundError:
                raise FusionAugError(f"{self.store.address.url}: holds no run that is at work") from None
            plan.parent.mkdir(parents=True, exist_ok=True)
            plan.write_bytes(data)

    def put(self, out: Path, paths: Iterable[Path]) -> dict[str, int]:
        """Put files of a sample, and remove them here unless they are needed at the end.

        Args:
            out: root of the output here. paths: of files below it.

        Returns:
            name in the output -> size (bytes) of each.

        Raises:
            StoreError: the store does not answer.
        """
        files = {path.relative_to(out).as_posix(): path for path in paths}
        sizes = {name: path.stat().st_size for name, path in files.items()}
        self.store.put_files(files)
        for name, path in files.items():
            if self.alone or not name.startswith(PARTS):
                path.unlink()
        return sizes

    def put_marker(self, number: int, data: Mapping[str, Any]) -> None:
        """Put the marker of a sample, where the one who takes it up does not share a folder with this process."""
        if self.alone:
            self.store.put(f"{DONE}/{number:08d}.json", json.dumps(data).encode())

    def lost(self, markers: Iterable[tuple[int, Mapping[str, Any]]], scratch: Path) -> Iterator[int]:
        """Numbers of the samples of which not all files are in the store, by one listing of it.

        Args:
            markers: number and marker of all samples. scratch: path of a file for the listing.
        """
        there = Catalogue.write(scratch, self.store.listing())
        try:
            for number, marker in markers:
                sizes = marker.get("files", {})
                if any((found := there.find(n)) is None or found.size != size for n, size in sizes.items()):
                    yield number
        finally:
            scratch.unlink()

    def fetch_parts(self, out: Path, markers: Iterable[Mapping[str, Any]]) -> None:
        """Fetch what the writer joins at the end, where other computers made it.

        Raises:
            StoreError: it is gone, or the store does not answer.
        """
        for marker in markers:
            missing = [n for n in marker.get("files", {}) if n.startswith(PARTS) and not (out / n).is_file()]
            for name in missing:
                target = inside(out, name, "marker")
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f"{target.name}.part")
                try:
                    self.store.fetch(self.store.look(name), part)
                except FileNotFoundError:
                    raise StoreError(2, f"{name} is gone") from None
                part.replace(target)
