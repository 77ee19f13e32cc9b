"""Replay buffers in Zarr 2: reader.

All episodes lie one after the other in the arrays of ``data``; ``meta/episode_ends`` says where each ends. ``log.root``
is the store, or a folder with one (``NAME.zarr``, ``NAME.zarr.zip``). The format holds neither its rate (``log.rate``)
nor any calibration (``log.rig``), nor what numbers mean (``log.parts``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.arrays import PICTURE_AXES, ArrayLog, array_options
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.zarr.contents import DATA, ENDS, FOLDER, GROUP, ZIP
from fusion_aug.safe.zarr import PICTURE_CODECS, ArrayFacts, Store, read_array
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream
from fusion_aug.streams.source import Coding, Source

ZARR_OPTIONS = array_options(10)
WHITE = 255  # level of white, also of pictures that are kept as floats


@dataclass(frozen=True, eq=False)
class RowSource(Source):
    """A picture of an array (n, H, W, 3); ``options`` hold array, row, rows of a chunk, codec, and followed links."""

    is_whole = False  # a store holds many

    def bytes(self) -> bytes:
        """The numbers of the picture."""
        return self.row().tobytes()

    def row(self) -> np.ndarray:
        """The numbers of the picture (H, W, 3), as they are stored."""
        row, each = self.options["row"], self.options["chunk"]
        links = tuple(self.options["links"])
        block = _block(self.path, self.path.stat().st_mtime_ns, self.options["array"], row // each * each, each, links)
        return block[row % each]

    @property
    def coding(self) -> Coding:
        """Some codecs of pictures change levels."""
        return Coding(lossy=self.options["codec"] in PICTURE_CODECS)

    @property
    def value(self) -> Tensor:
        """The picture (H, W, 3) uint8, or float32 in [0, 1]; read at every access.

        Raises:
            DataError: its numbers are neither levels nor shares of white.
        """
        row = self.row()
        if row.dtype == np.uint8:
            return torch.from_numpy(row.copy())
        inside = bool(row.min() >= 0) and bool(row.max() <= (WHITE if self.options["levels"] else 1))
        if not inside or (self.options["levels"] and not bool((row == row.round()).all())):
            place = f"{self.path}/{self.options['array']}: row {self.options['row']}"
            what = "whole levels up to 255" if self.options["levels"] else "shares of white"
            raise DataError(f"{place}: expected {what}, got numbers from {row.min():g} to {row.max():g}")
        return torch.from_numpy(row.astype(np.uint8 if self.options["levels"] else np.float32))


@lru_cache(maxsize=4)
def _block(path: Path, changed: int, name: str, start: int, count: int, links: tuple[str, ...]) -> np.ndarray:
    return read_array(path, name, slice(start, start + count), links)


class ZarrLog(ArrayLog):
    """Reader of a replay buffer. ``log.select`` takes ids such as episode_000003, or shell patterns."""

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Folders that links in the store may lead to, without links: that of the log, and those of the option."""
        return tuple(self.tree.allowed)

    @cached_property
    def path(self) -> Path:
        """The store.

        Raises:
            DataError: there is none, or more than one.
        """
        if is_there(self.path_in(GROUP, "log.root")):
            return self.root
        folders = [p for p in self.tree.glob(FOLDER) if is_there(self.path_in(f"{p.name}/{GROUP}", "log.root"))]
        found = [*folders, *self.tree.glob(ZIP)]
        if len(found) != 1:
            wanted = "a replay buffer of Zarr 2: its folder, or a folder with one NAME.zarr or NAME.zarr.zip"
            raise DataError(f"{self.root}: log.root: expected {wanted}; found {len(found)}")
        return found[0]

    @cached_property
    def store(self) -> Store:
        """The store, whose folders hold no link that is not followed.

        Raises:
            DataError: one does.
        """
        store = Store(self.path, self.links)
        if self.path.is_dir():
            inner = [f"{top}/{n}" for top in (DATA, "meta") for n in store.names(top)]
            for folder in (DATA, "meta", *inner):
                for entry in self.tree.entries(self.path_in(f"{self._below}{folder}", "log.root")):
                    if entry.refusal is not None:
                        raise DataError(entry.refusal)
        return store

    @property
    def _below(self) -> str:
        return "" if self.path == self.root else f"{self.path.relative_to(self.root).as_posix()}/"

    @cached_property
    def arrays(self) -> dict[str, ArrayFacts]:
        """Name -> facts of every array of ``data``."""
        found = {n: self.store.facts(f"{DATA}/{n}") for n in self.store.names(DATA)}
        return {n: facts for n, facts in found.items() if facts is not None}

    @cached_property
    def ends(self) -> np.ndarray:
        """Row after the last one of every episode, (n,) int64.

        Raises:
            DataError: they are missing, or no whole numbers that grow.
        """
        where, facts = f"{self.path}/{ENDS}", self.store.facts(ENDS)
        if facts is None or len(facts.shape) != 1 or facts.dtype.kind not in "iu":
            raise DataError(f"{where}: expected a list of whole numbers, where the episodes end")
        ends = read_array(self.path, ENDS, slice(None), self.links).astype(np.int64)
        if len(ends) and (ends[0] < 1 or bool((np.diff(ends) < 1).any())):
            raise DataError(f"{where}: expected numbers that grow, got {ends[:10].tolist()}")
        return ends

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all episodes."""
        return [f"episode_{k:06d}" for k in range(len(self.ends))]

    @property
    def excludable(self) -> Collection[str]:
        """Arrays of ``data``."""
        return self.arrays.keys()

    @cached_property
    def chosen(self) -> dict[str, ArrayFacts]:
        """Name of a stream, and of its array -> facts, of all that are read."""
        out = {n: f for n, f in self.arrays.items() if not self.is_excluded(n) and self._can_read(f)}
        self.check_parts(out)
        return out

    def _can_read(self, facts: ArrayFacts) -> bool:
        rows = int(self.ends[-1]) if len(self.ends) else 0
        fits = len(facts.shape) < PICTURE_AXES or (facts.shape[-1] == 3 and facts.dtype.kind in "uf")
        return not facts.problem and facts.shape[:1] == (rows,) and len(facts.shape) <= PICTURE_AXES and fits

    def fields(self) -> Mapping[str, Fields]:
        """Arrays of the store."""
        return {f"{self._below}{GROUP}" if self.path.is_dir() else self.path.name: self._names}

    def _names(self) -> list[str]:
        read = {n: "array" if n in self.chosen else "unread" for n in self.arrays}
        words = {n: "excluded" if self.is_excluded(n) else word for n, word in read.items()}
        beside = (f"meta/{n}" for n in self.store.names("meta") if not n.startswith("."))
        return [*(f"{word} {n}" for n, word in words.items()), *beside]

    def read(self, sample_id: str) -> Sample:
        """Read one episode."""
        if sample_id not in self.all_ids:
            raise DataError(f"{self.root}: there is no episode {sample_id!r}")
        number = int(sample_id.rpartition("_")[2])
        first, end = (int(self.ends[number - 1]) if number else 0), int(self.ends[number])
        fields, streams = self.frames(end - first), dict[str, Stream]()
        for name, facts in self.chosen.items():
            if len(facts.shape) == PICTURE_AXES:
                options = self._options(name, facts)
                items = [RowSource(self.path, "array", options={**options, "row": k}) for k in range(first, end)]
                streams[name] = self.picture_stream(name, items, fields)
            else:
                rows = read_array(self.path, facts.name, slice(first, end), self.links)
                streams |= self.streams_of(name, name, rows, fields, [], self.joints)
        return self.episode(sample_id, streams)

    def _options(self, name: str, facts: ArrayFacts) -> dict[str, Any]:
        """Options of the pictures of an array; the first ones say whether floats are levels."""
        if name not in self._levels:
            first = read_array(self.path, facts.name, slice(0, facts.chunks[0]), self.links)
            self._levels[name] = bool(first.max(initial=0) > 1)
        known = {"array": facts.name, "chunk": facts.chunks[0], "codec": facts.codec, "links": list(self.links)}
        return {**known, "levels": self._levels[name]}

    @cached_property
    def _levels(self) -> dict[str, bool]:
        return {}
