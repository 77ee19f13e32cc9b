"""RLDS sets of tensorflow-datasets: reader.

A sample is an episode, a record of a TFRecord file. ``log.root`` is the folder with ``features.json``. The format holds
neither its rate (``log.rate``) nor any calibration (``log.rig``), nor what numbers mean (``log.parts``).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.arrays import ArrayLog, array_options, events
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.rlds.contents import FEATURES, INFO
from fusion_aug.logs.rlds.features import STEPS, Feature, read_features
from fusion_aug.safe.tfrecord import LEAST, parse_example, read_record, record_places
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream, Text, strings
from fusion_aug.streams.source import Coding, Source

RLDS_OPTIONS = array_options(10)
SHARD = re.compile(r".+-([^-]+)\.tfrecord-(\d{5})-of-\d{5}")


@dataclass(frozen=True, eq=False)
class StepSource(Source):
    """A picture of a step; ``offset`` is the place of the record, ``options`` hold feature, row and shape."""

    is_whole = False  # a file holds many

    def bytes(self) -> bytes:
        """The encoded picture, or its numbers."""
        values, row = episode_of(self.path, self.offset)[f"{STEPS}/{self.options['feature']}"], self.options["row"]
        if not self.options["raw"]:
            return bytes(values[row])
        size = int(np.prod(self.options["shape"]))
        return np.asarray(values[row * size : (row + 1) * size], dtype=np.uint8).tobytes()

    @property
    def coding(self) -> Coding:
        """As it is encoded; raw numbers as they are."""
        return Coding() if self.options["raw"] else super().coding

    @property
    def value(self) -> Tensor:
        """The picture (H, W, 3) uint8; decoded at every access, since an episode of them would be too large.

        Raises:
            DataError: it is none.
        """
        if not self.options["raw"]:
            picture: Tensor = self.decoded()
            return picture
        levels = np.frombuffer(self.bytes(), np.uint8).reshape(self.options["shape"])
        return torch.from_numpy(cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB) if levels.shape[2] == 1 else levels.copy())


@lru_cache(maxsize=2)
def _episode(path: Path, changed: int, place: int) -> dict[str, Any]:
    return parse_example(read_record(path, place), f"{path}: record at byte {place}")


def episode_of(path: Path, place: int) -> dict[str, Any]:
    """Features of the record at a place of a file; the last two stay in memory."""
    return _episode(path, path.stat().st_mtime_ns, place)


class RldsLog(ArrayLog):
    """Reader of RLDS sets. ``log.select`` takes train_00000_000003 (split, file, episode in it), or train."""

    @cached_property
    def _described(self) -> tuple[dict[str, Feature], list[str]]:
        return read_features(self.path_in(FEATURES, "log.root"))

    @cached_property
    def features(self) -> dict[str, Feature]:
        """Name of a stream -> its feature, of all that are read."""
        chosen = [f for f in self._described[0].values() if f.kind and not self.is_excluded(f.name)]
        self.check_parts([f.name for f in chosen])
        short = [self.stream_name(f.name) for f in chosen]
        return {s if short.count(s) == 1 else f.name: f for s, f in zip(short, chosen, strict=True)}

    @property
    def excludable(self) -> Collection[str]:
        """Features of a step."""
        return self._described[0].keys()

    def stream_name(self, name: str) -> str:
        """Name of a feature's stream: the last word, where that is one feature's alone."""
        return name.rpartition("/")[2]

    @cached_property
    def shards(self) -> dict[tuple[str, str], Path]:
        """(split, number of the file) -> file, in order."""
        found = {}
        for path in self.tree.glob("*.tfrecord-*-of-*"):
            name = SHARD.fullmatch(path.name)
            if name is not None:
                found[name[1], name[2]] = path
        if not found:
            raise DataError(f"{self.root}: log.root: expected files NAME-SPLIT.tfrecord-00000-of-00001; found none")
        return dict(sorted(found.items()))

    @cached_property
    def _lengths(self) -> dict[tuple[str, str], int]:
        """Episodes in each file: of ``dataset_info.json``, else counted."""
        told: dict[tuple[str, str], int] = {}
        path = self.path_in(INFO, "log.root")
        info = read_json(path) if is_there(path) else {}
        form = info.get("fileFormat", "tfrecord") if isinstance(info, dict) else "tfrecord"
        if form != "tfrecord":
            raise DataError(f"{path}: fileFormat: files of the kind tfrecord are read, got {form!r}")
        for split in (info.get("splits") or ()) if isinstance(info, dict) else ():
            numbers = split.get("shardLengths", ()) if isinstance(split, dict) else ()
            for k, number in enumerate(numbers if isinstance(numbers, list) else ()):
                if re.fullmatch(r"\d{1,18}", str(number)):
                    told[str(split.get("name")), f"{k:05d}"] = int(number)
        out = {}
        for key, shard in self.shards.items():
            out[key] = told[key] if key in told else len(self.places(key)) - 1
            if out[key] > shard.stat().st_size // LEAST:
                raise DataError(f"{path}: shardLengths: {out[key]} episodes are more than {shard} can hold")
        return out

    def places(self, key: tuple[str, str]) -> array[int]:
        """Places of the records of a file, and its end."""
        path = self.shards[key]
        return _places(path, path.stat().st_mtime_ns)

    @cached_property
    def _ids(self) -> list[str]:
        return [f"{s}_{n}_{k:06d}" for (s, n), count in self._lengths.items() for k in range(count)]

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all episodes: split, number of the file, number in it."""
        return self._ids

    def names_of(self, sample_id: str) -> Sequence[str]:
        """Its id and its split."""
        return [sample_id, sample_id.rsplit("_", 2)[0]]

    def is_selected_file(self, path: str) -> bool:
        """Whether a file holds a selected episode, or belongs to all."""
        name = SHARD.fullmatch(path)
        return name is None or f"{name[1]}_{name[2]}" in self._selected

    @cached_property
    def _selected(self) -> frozenset[str]:
        return frozenset(i.rpartition("_")[0] for i in self.ids)

    def fields(self) -> Mapping[str, Fields]:
        """Features of the steps and of the episodes."""
        steps, about = self._described
        read = {f.name for f in self.features.values()}
        words = {n: "excluded" if self.is_excluded(n) else "feature" if n in read else "unread" for n in steps}
        return {FEATURES: [*(f"{word} {n}" for n, word in words.items()), *(f"episode {n}" for n in about)]}

    def read(self, sample_id: str) -> Sample:
        """Read one episode."""
        head, _, number = sample_id.rpartition("_")
        split, _, shard = head.rpartition("_")
        key = (split, shard)
        if key not in self.shards or not number.isdecimal():
            raise DataError(f"{self.root}: there is no episode {sample_id!r}")
        path, places = self.shards[key], self.places(key)
        if int(number) + 1 >= len(places):
            raise DataError(f"{path}: holds {len(places) - 1} episodes, and {INFO} says that there is {sample_id!r}")
        place = places[int(number)]
        where, values = f"{path}: record at byte {place}", episode_of(path, place)
        for feature in self.features.values():
            if feature.key not in values:
                raise DataError(f"{where}: {feature.key}: is missing, though {FEATURES} names it")
        counts = {f.name: _count(values[f.key], f, where) for f in self.features.values()}
        count = next(iter(counts.values()), 0)
        for name, other in counts.items():
            if other != count or not count:
                raise DataError(f"{where}: {STEPS}/{name}: has {other} steps, expected {count or 'one at least'}")
        fields, streams = self.frames(count), dict[str, Stream]()
        for name, feature in self.features.items():
            streams |= self._streams(name, feature, values[feature.key], fields, (path, place))
        return self.episode(sample_id, streams)

    def _streams(
        self, name: str, feature: Feature, values: Any, fields: dict[str, Any], record: tuple[Path, int]
    ) -> dict[str, Stream]:
        where = f"{record[0]}: record at byte {record[1]}: {feature.key}"
        if feature.kind in ("picture", "raw picture"):
            options = {"feature": feature.name, "raw": feature.kind != "picture", "shape": feature.shape}
            options |= {"size": feature.shape[:2]} if all(feature.shape[:2]) else {}
            items = [
                StepSource(record[0], "image", record[1], options={**options, "row": k})
                for k in range(len(fields["records"]))
            ]
            return {name: self.picture_stream(name, items, fields)}
        if feature.kind == "text":
            return {name: _sentences(values, fields, where)}
        try:
            rows = np.asarray(values, dtype=feature.dtype).reshape(-1, *feature.shape)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{where}: is not of {feature.dtype} ({error})") from None
        if feature.kind == "event":
            return {name: events(rows, fields)}
        return self.streams_of(name, feature.name, rows, fields, [], self.joints)


@lru_cache(maxsize=4096)
def _places(path: Path, changed: int) -> array[int]:
    return record_places(path)


def _count(values: Any, feature: Feature, where: str) -> int:
    """Steps that the values of a feature are of."""
    each = 1 if feature.kind in ("picture", "text") else feature.size
    if len(values) % each:
        raise DataError(f"{where}: {feature.key}: {len(values)} numbers are no whole rows of {feature.shape}")
    return len(values) // each


def _sentences(values: Any, fields: Mapping[str, Any], where: str) -> Text:
    """A stream of the sentences, each at the step at which it begins."""
    try:
        texts = [bytes(v).decode() for v in values]
    except (UnicodeDecodeError, TypeError):
        raise DataError(f"{where}: is no text") from None
    new = [k for k, text in enumerate(texts) if k == 0 or text != texts[k - 1]]
    times = fields["capture_times"][torch.tensor(new)]
    return Text(frame=fields["frame"], capture_times=times, values={"text": strings([texts[k] for k in new])})
