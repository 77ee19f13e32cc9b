"""ALOHA HDF5 episodes (ACT, Mobile ALOHA): reader.

A sample is ``episode_N.hdf5``: joints of both arms (qpos, qvel, effort), the joints that the leaders ask for (action),
the motion that is asked of a mobile base (base_action), and pictures, raw or as JPEG in rows padded with zeros.
The format holds neither its rate (``log.rate``) nor any calibration (``log.rig``, ``log.urdf``, ``log.joint_map``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.aloha.contents import FILE, LENGTHS, fields_of
from fusion_aug.logs.core.arrays import PICTURE_AXES, ArrayLog, DatasetSource, array_options, check_numbers
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.files import decoded_picture
from fusion_aug.logs.core.options import Option
from fusion_aug.safe.hdf5 import check_filters, count_rows, get_member, open_hdf5, read_rows
from fusion_aug.sample import Sample
from fusion_aug.streams import Action, ImageStream, JointState, Stream
from fusion_aug.streams.source import Coding

ALOHA_OPTIONS = {
    **array_options(50),
    "swapped": Option(
        "compressed pictures have red and blue exchanged, as cameras of RGB leave them in ALOHA's own recorder", False
    ),
}
ACTION, IMAGES = "action", "observations/images/"
COLUMNS = {"observations/qpos": "position", "observations/qvel": "velocity", "observations/effort": "effort"}
POSITIONS = "observations/qpos"
ARM = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
END = b"\xff\xd9"  # of a JPEG


@dataclass(frozen=True, eq=False)
class PaddedSource(DatasetSource):
    """A compressed picture in a row of bytes; ``options`` hold dataset, row and whether red and blue are exchanged."""

    def bytes(self) -> bytes:
        """The JPEG, without the zeros behind it."""
        raw = self.row().tobytes()
        return raw[: raw.rfind(END) + len(END)] if END in raw else raw

    @property
    def coding(self) -> Coding:
        """JPEG changes levels."""
        return Coding(lossy=True)

    @property
    def value(self) -> Tensor:
        """The picture (H, W, 3) uint8, RGB; decoded at every access.

        Raises:
            DataError: it is none.
        """
        where = f"{self.path}: {self.options['dataset']}: row {self.options['row']}"
        raw = self.bytes()
        picture = decoded_picture(raw, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, where)
        if picture is None or END not in raw:
            raise DataError(f"{where}: the picture is damaged or truncated")
        return torch.from_numpy(picture if self.options["swapped"] else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


class AlohaLog(ArrayLog):
    """Reader of a folder of ``episode_N.hdf5``. ``log.select`` takes episode_3, or shell patterns."""

    @cached_property
    def files(self) -> dict[str, Path]:
        """Id -> file of every episode, by number."""
        found = {p.stem: p for p in self.tree.glob(FILE) if re.fullmatch(r"episode_\d+", p.stem)}
        if not found:
            raise DataError(f"{self.root}: log.root: expected files episode_0.hdf5, episode_1.hdf5, ...; found none")
        return dict(sorted(found.items(), key=lambda item: (int(item[0][8:]), item[0])))

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all episodes."""
        return list(self.files)

    def path_of(self, sample_id: str) -> Path:
        """File of an episode."""
        return self.files[sample_id]

    def is_selected_file(self, path: str) -> bool:
        """Whether a file is that of a selected episode, or belongs to all."""
        stem = path.removesuffix(".hdf5")
        return stem not in self.files or stem in self._selected

    @cached_property
    def _selected(self) -> frozenset[str]:
        return frozenset(self.ids)

    @cached_property
    def swapped(self) -> bool:
        """Whether red and blue of compressed pictures are exchanged."""
        if not isinstance(self.options.swapped, bool):
            raise ConfigError(f"log.swapped: expected true or false, got {self.options.swapped!r}")
        return self.options.swapped

    @cached_property
    def _first(self) -> tuple[dict[str, str], list[str]]:
        """Dataset of the first episode -> name of its stream; and those that nothing reads.

        Velocities and efforts are in the stream of the positions, where they are of as many joints.
        """
        path = next(iter(self.files.values()))
        read: dict[str, str] = {}
        unread: list[str] = []
        with open_hdf5(path) as file:
            count = count_rows(get_member(file, ACTION, path), path) if ACTION in file else 0
            found = dict(members(file))
            self.check_parts(found)
            for name, data in found.items():
                if self.is_excluded(name) or name == LENGTHS:
                    continue
                shape: tuple[int, ...] = tuple(data.shape or ())
                vector = len(shape) <= 2 and data.dtype.kind in "biuf"
                images = name.startswith(IMAGES)
                coded = images and len(shape) == 2 and data.dtype == np.uint8
                raw = images and len(shape) == PICTURE_AXES and data.dtype == np.uint8 and shape[-1] == 3
                if shape[:1] == (count,) and (coded or raw or (vector and not images)):
                    read[name] = self.stream_name(name)
                else:
                    unread.append(name)
            joints = [n for n in read if n in COLUMNS and self.joint_column(n)]
            same = [n for n in joints if POSITIONS in joints and found[n].shape == found[POSITIONS].shape]
        return read | dict.fromkeys(same, read.get(POSITIONS, "")), unread

    @property
    def datasets(self) -> dict[str, str]:
        """Dataset -> name of its stream, taken from the first episode."""
        return self._first[0]

    @property
    def unread(self) -> list[str]:
        """Datasets that are copied as they are: without a row per frame, or no numbers."""
        return self._first[1]

    @property
    def excludable(self) -> Collection[str]:
        """Datasets of all episodes."""
        names: set[str] = set()
        for path in self.files.values():
            with open_hdf5(path) as file:
                names |= {name for name, _ in members(file)}
        return names - {LENGTHS}

    def stream_name(self, name: str) -> str:
        """Name of a dataset's stream: without its groups."""
        return name.removeprefix(IMAGES).removeprefix("observations/")

    def fields(self) -> Mapping[str, Fields]:
        """Datasets and attributes of every file."""
        return {path.name: partial(self._names, path) for path in self.files.values()}

    def _names(self, path: Path) -> list[str]:
        with open_hdf5(path) as file:
            return fields_of(file, self.datasets, self.unread, self.is_excluded)

    def read(self, sample_id: str) -> Sample:
        """Read one episode."""
        if sample_id not in self.files:
            raise DataError(f"{self.root}: there is no episode {sample_id!r}")
        path, streams = self.files[sample_id], dict[str, Stream]()
        with open_hdf5(path) as file:
            count = count_rows(get_member(file, ACTION, path), path)
            fields = self.frames(count)
            for name, stream in self.datasets.items():
                data, where = get_member(file, name, path), f"{path}: {name}"
                check_filters(data, path)
                check_numbers(data.dtype, data.shape or (), count, where)
                if name.startswith(IMAGES):
                    streams[stream] = self._pictures(path, name, stream, data, fields)
                else:
                    for n, made in self._vectors(name, stream, read_rows(data, slice(None), path), fields).items():
                        held = streams.get(n)
                        streams[n] = made if held is None else held.with_values(**made.values)
        return self.episode(sample_id, streams)

    def _pictures(self, path: Path, name: str, stream: str, data: Any, fields: dict[str, Any]) -> ImageStream:
        options = {"dataset": name, "swapped": self.swapped}
        kind = DatasetSource if data.ndim == PICTURE_AXES else PaddedSource
        items = [kind(path, "picture", options={**options, "row": k}) for k in range(len(data))]
        return self.picture_stream(stream, items, fields)

    def joint_column(self, name: str) -> str | None:
        """Column of joints that a dataset is by its name, where ``log.parts`` does not say otherwise."""
        if self._declared(name):
            return None
        return "joint_position" if name == ACTION else COLUMNS.get(name)

    def _vectors(self, name: str, stream: str, rows: np.ndarray, fields: dict[str, Any]) -> dict[str, Stream]:
        column = self.joint_column(name) if rows.ndim == 2 else None
        if column is None:
            return self.streams_of(stream, name, rows, fields, [], self.joints)
        kind = Action if name == ACTION else JointState
        values = {column: torch.from_numpy(rows.astype(np.float64))}
        return {stream: kind(**fields, names=joint_names(rows.shape[1]), values=values)}


def joint_names(count: int) -> tuple[str, ...]:
    """Names of the joints of ALOHA's arms, the left one first; of other robots joint1, joint2, ..."""
    if count == 2 * len(ARM):
        return tuple(f"{side}_{name}" for side in ("left", "right") for name in ARM)
    return tuple(f"joint{k + 1}" for k in range(count))


def members(file: Any) -> Iterator[tuple[str, Any]]:
    """Path and dataset of all that lies in a file."""
    found: list[tuple[str, Any]] = []

    def look(name: str, item: Any) -> None:
        if not hasattr(item, "keys"):
            found.append((name, item))

    file.visititems(look)
    yield from found
