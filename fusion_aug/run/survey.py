"""What is in a log: streams with their rates, sizes and columns, gaps in time, boxes.

Samples are read in blocks of neighbours, spread evenly over the log; of every stream one item is decoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import torch

from calib.regular_files import open_regular
from fusion_aug.errors import USER_ERRORS, MissingPackage
from fusion_aug.logs.core.episodes import Undeclared
from fusion_aug.logs.core.files import image_size
from fusion_aug.logs.core.log import Log
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D, ImageStream, Opaque, Ragged, Stream
from fusion_aug.streams.counts import counts_of
from fusion_aug.streams.source import Source

PNG_START, PNG_BITS = b"\x89PNG", 24  # where the head of a PNG says how many bits a sample has
BLOCK = 10  # neighbouring samples, whose stamps tell rates and gaps
GAP = 2.5  # times the usual step from item to item
MOST_GAPS = 0.1  # share of the steps; more are no gaps but the manner of the stream


@dataclass
class StreamFacts:
    """What the samples that were read hold of one stream.

    Attributes:
        kind: name of its class.
        samples: how many have it. items: in all. rows: in all that are counted without reading clouds; None of streams
            without rows. has_rows: whether it is of a kind that has them.
        sizes: (height, width) of pictures, of those that lie in files of their own all.
        pixels: types of one pixel, such as ``uint8 3``, of the same pictures.
        columns: of all other streams, name -> type and shape of one row, of the first item.
        kept_as_it_is: why its values are not understood, and what to do; empty where they are.
        steps: (seconds from one item to the next of the scene, id of the sample where it ends).
    """

    kind: str
    samples: int = 0
    items: int = 0
    rows: int | None = None
    has_rows: bool = False
    sizes: set[tuple[int, int]] = field(default_factory=set)
    pixels: set[str] = field(default_factory=set)
    columns: dict[str, str] = field(default_factory=dict)
    kept_as_it_is: str = ""
    steps: list[tuple[float, str]] = field(default_factory=list)

    @property
    def step(self) -> float | None:
        """The usual time from item to item, seconds; None where there is none."""
        return float(np.median([s for s, _ in self.steps])) if self.steps else None

    @property
    def gaps(self) -> list[tuple[float, str]]:
        """Times that are much longer than the usual one, in order; none where items come irregularly as a rule."""
        usual = self.step
        found = [] if usual is None else [(s, i) for s, i in self.steps if s > GAP * usual]
        return found if len(found) <= MOST_GAPS * len(self.steps) else []

    def add(self, stream: Stream) -> None:
        """Add what one sample has of the stream."""
        self.samples, self.items = self.samples + 1, self.items + int(stream.present.sum())
        self.has_rows = isinstance(stream, Ragged)
        counts = counts_of(stream) if isinstance(stream, Ragged) else None
        if counts is not None:
            self.rows = (self.rows or 0) + int(counts.rows.sum())
        if isinstance(stream, Opaque) and stream.reason:
            self.kept_as_it_is = f"{stream.place}: {stream.reason}; {stream.remedy_here}"
        if isinstance(stream, Undeclared):
            self.kept_as_it_is = "nothing says what its numbers mean; log.parts declares it"
        if isinstance(stream, ImageStream):
            self._add_pictures(stream)
        elif not self.columns and len(stream) > 0:
            item = stream.take_items(torch.tensor([0])) if isinstance(stream, Ragged) else stream
            self.columns = {name: described(value) for name, value in item.realized().values.items()}

    def _add_pictures(self, stream: ImageStream) -> None:
        own = [s.path for s in stream.sources if s is not None and is_file_of_its_own(s)]
        self.sizes |= {image_size(path) for path in own}
        self.pixels |= {pixel_type(path) for path in own}
        if not self.pixels and len(stream) > 0:
            picture = stream.stored(0)
            self.sizes.add((int(picture.shape[0]), int(picture.shape[1])))
            self.pixels.add(described(picture[0]))


@dataclass
class Survey:
    """What is in a log.

    Attributes:
        read: samples that were read. scenes: that they belong to.
        seconds: from first to last item of every stretch that was read, added up.
        first: the first sample. words: what a user should know of how it was read.
        streams: name -> facts. boxes: category -> how many.
        problems: id of a sample that cannot be read -> why.
    """

    read: int = 0
    scenes: set[str] = field(default_factory=set)
    seconds: float = 0.0
    first: Sample | None = None
    words: list[str] = field(default_factory=list)
    streams: dict[str, StreamFacts] = field(default_factory=dict)
    boxes: Counter[str] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)

    def add_stretch(self, log: Log, ids: Sequence[str]) -> None:
        """Read neighbouring samples of one scene."""
        times: dict[str, dict[int, str]] = {}
        for sample_id in ids:
            self.read += 1
            try:
                sample = log.read(sample_id)
                self.words = self.words if self.first is not None else log.words(sample)
                self.add(sample)
            except MissingPackage:  # which is missing for every sample
                raise
            except USER_ERRORS as error:
                self.problems[sample_id] = str(error)
                continue
            for name, stream in sample.streams.items():
                times.setdefault(name, {}).update(dict.fromkeys(stream.capture_times.tolist(), sample_id))
        for name, owners in times.items():
            ordered = sorted(owners)
            self.streams[name].steps += [((b - a) * 1e-9, owners[b]) for a, b in pairwise(ordered)]
        everything = [t for owners in times.values() for t in owners]
        self.seconds += (max(everything) - min(everything)) * 1e-9 if everything else 0.0

    def add(self, sample: Sample) -> None:
        """Add what one sample holds."""
        self.first = self.first or sample
        self.scenes.add(sample.meta.scene)
        for name, stream in sample.streams.items():
            self.streams.setdefault(name, StreamFacts(type(stream).__name__)).add(stream)
            if isinstance(stream, Boxes3D):
                self.boxes.update(map(str, stream.values["category"]))


def survey(log: Log, most: int | None) -> Survey:
    """Read samples of a log and say what is in them, and which cannot be read.

    Args:
        log: to look at. most: how many samples are read; None for all.

    Raises:
        MissingPackage: a package that samples are read with is not installed.
    """
    found = Survey()
    for ids in stretches(log, most):
        found.add_stretch(log, ids)
    return found


def stretches(log: Log, most: int | None) -> Iterator[list[str]]:
    """Blocks of neighbouring ids, spread evenly over the log, cut where scenes meet."""
    ids = list(log.ids)
    number = len(ids) if most is None else min(most, len(ids))
    blocks = max(1, -(-number // BLOCK))
    length = -(-number // blocks)
    starts = np.linspace(0, len(ids) - length, blocks).astype(int).tolist() if number < len(ids) else [0]
    for start in starts:
        block = ids[start : start + length] if number < len(ids) else ids
        yield from (list(members) for _, members in groupby(block, log.scene_of))


def is_file_of_its_own(source: Source) -> bool:
    """Whether a source is a whole PNG or JPEG, of which size and type are known from its head."""
    return source.decoder == "image" and source.is_whole


def pixel_type(path: Path) -> str:
    """Type of a pixel as it is decoded: ``uint16 3`` of a PNG with 16 bits, else ``uint8 3``."""
    with open_regular(path) as file:
        head = file.read(PNG_BITS + 1)
    return "uint16 3" if head.startswith(PNG_START) and head[PNG_BITS:] == bytes([16]) else "uint8 3"


def described(value: object) -> str:
    """Type and shape of one row: ``float32``, ``float64 4x4``, ``text``."""
    if isinstance(value, np.ndarray):
        return "text"
    shape = getattr(value, "shape", ())[1:]
    kind = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    return f"{kind} {'x'.join(map(str, shape))}".rstrip()
