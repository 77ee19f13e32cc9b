"""robomimic HDF5 datasets: reader.

A sample is a demonstration. The format holds neither its rate (``log.rate``) nor any calibration (``log.rig``,
``log.urdf``, ``log.joint_map``), nor what the numbers of the actions mean (``log.parts``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.episodes import EPISODE_OPTIONS, EpisodeLog
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.robots import BASE
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.core.touch import with_touch_sensors_of_rig
from fusion_aug.logs.robomimic.contents import fields_of
from fusion_aug.safe.hdf5 import check_filters, count_rows, get_member, open_hdf5, read_rows
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Depth, ImageStream, JointState, Signal, Stream
from fusion_aug.streams.source import Coding, Source

EVENT_FEATURES = ("rewards", "dones")
MAX_ITEM_BYTES = 2**31


@dataclass(frozen=True, eq=False)
class DatasetSource(Source):
    """A picture of a dataset; ``options`` hold the dataset's name and the row."""

    @property
    def coding(self) -> Coding:
        """Datasets hold the numbers as they are."""
        return Coding()

    @property
    def value(self) -> Tensor:
        """The picture (H, W, 3) uint8, or depth (H, W) float32; read at every access."""
        with open_hdf5(self.path) as file:
            row = read_rows(get_member(file, self.options["dataset"], self.path), self.options["row"], self.path)
        picture = torch.from_numpy(np.ascontiguousarray(row))
        return picture[..., 0].to(torch.float32) if self.decoder == "depth" and picture.ndim == 3 else picture


ROBOMIMIC_OPTIONS = {**EPISODE_OPTIONS, "rate": Option("frames per second, which the file does not hold", 20)}


class RobomimicLog(EpisodeLog):
    """Reader of robomimic HDF5 files in a folder. ``log.select`` takes demo_3, or shell patterns."""

    @cached_property
    def path(self) -> Path:
        """The file."""
        found = [*self.tree.glob("*.hdf5"), *self.tree.glob("*.h5")]
        if len(found) != 1:
            raise DataError(f"{self.root}: log.root: expected one .hdf5 file, found {len(found)}")
        return found[0]

    @cached_property
    def rate(self) -> float:
        """Frames per second."""
        rate = self.options.rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
            raise ConfigError(f"log.rate: expected frames per second, got {rate!r}")
        return float(rate)

    @cached_property
    def demos(self) -> list[str]:
        """All demonstrations, by number."""
        with open_hdf5(self.path) as file:
            data = get_member(file, "data", self.path)
            names = [str(n) for n in data]
            for name in names:
                if name in (".", "..") or "\\" in name:  # what belongs to it lies in a folder of its name
                    raise DataError(f"{self.path}: data/{name}: a demonstration cannot be called so; rename it")
                if not hasattr(get_member(data, name, self.path), "keys"):
                    raise DataError(f"{self.path}: data/{name}: expected a group, the demonstration")
        if not names:
            raise DataError(f"{self.path}: data: holds no demonstration")
        return sorted(names, key=lambda n: (int(re.sub(r"\D", "", n) or 0), n))

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all demonstrations."""
        return self.demos

    @cached_property
    def datasets(self) -> dict[str, str]:
        """Dataset below a demonstration -> name of its stream, taken from the first demonstration."""
        out: dict[str, str] = {}
        with open_hdf5(self.path) as file:
            demo = get_member(file, f"data/{self.demos[0]}", self.path)
            names = [n for n in demo if not hasattr(get_member(demo, n, self.path), "keys")]
            names += [f"obs/{n}" for n in (get_member(demo, "obs", self.path) if "obs" in demo else ())]
        self.check_parts(names)
        for name in names:
            if not self.is_excluded(name):
                out[name] = name.removeprefix("obs/").removesuffix("_image").replace("_depth", "/depth")
        return out

    @property
    def excludable(self) -> Collection[str]:
        """Datasets and groups of all demonstrations."""
        found: set[str] = set()
        with open_hdf5(self.path) as file:
            for name in self.demos:
                demo = get_member(file, f"data/{name}", self.path)
                found |= {*demo, *(f"obs/{n}" for n in (get_member(demo, "obs", self.path) if "obs" in demo else ()))}
        return found

    @cached_property
    def unread_groups(self) -> list[str]:
        """Groups of a demonstration that are not read, such as next_obs."""
        with open_hdf5(self.path) as file:
            demo = get_member(file, f"data/{self.demos[0]}", self.path)
            groups = [n for n in demo if hasattr(get_member(demo, n, self.path), "keys")]
            return [n for n in groups if n != "obs" and not self.is_excluded(n)]

    def fields(self) -> Mapping[str, Fields]:
        """Datasets, groups and attributes of the file."""
        return {self.path.name: self._names}

    def _names(self) -> list[str]:
        with open_hdf5(self.path) as file:
            return fields_of(file, self.datasets, self.unread_groups, self.is_excluded)

    def read(self, sample_id: str) -> Sample:
        """Read one demonstration."""
        streams: dict[str, Stream] = {}
        joints = tuple(self.robot.joints) if self.robot is not None else ()
        with open_hdf5(self.path) as file:
            if sample_id not in file["data"]:
                raise DataError(f"{self.path}: there is no demonstration {sample_id!r}")
            demo = get_member(file, f"data/{sample_id}", self.path)
            count = count_rows(get_member(demo, "actions", self.path), self.path) if "actions" in demo else 0
            times = torch.from_numpy(np.round(np.arange(count) / self.rate * 1e9).astype(np.int64))
            stream_fields: dict[str, Any] = {
                "frame": BASE,
                "capture_times": times,
                "records": tuple(str(i) for i in range(count)),
            }
            for name, stream in self.datasets.items():
                if name not in demo:
                    raise DataError(f"{self.path}: {sample_id}/{name}: is missing, though {self.demos[0]} has it")
                data, where = get_member(demo, name, self.path), f"{self.path}: {sample_id}/{name}"
                shape = getattr(data, "shape", ())
                check_filters(data, self.path)
                if not shape or len(data) != count:
                    raise DataError(f"{where}: has {len(data) if shape else 'no'} rows, expected {count}")
                if data.dtype.kind not in "biuf" or data.nbytes // max(count, 1) > MAX_ITEM_BYTES:
                    raise DataError(f"{where}: a row of {data.dtype} {data.shape[1:]} is not read")
                if data.ndim == 4:
                    streams[stream] = self._pictures(f"data/{sample_id}/{name}", stream, data.shape, stream_fields)
                elif name in EVENT_FEATURES:
                    events = torch.from_numpy(read_rows(data, slice(None), self.path))
                    streams[stream] = Signal(**stream_fields, values={"event": events})
                else:
                    streams[stream] = self._vector(name, read_rows(data, slice(None), self.path), stream_fields, joints)
        streams = self.with_capture_times(with_joined_joints(streams), sample_id)
        return with_touch_sensors_of_rig(merge_sidecar(self.make_sample(sample_id, streams), self.tree, rig_first=True))

    def _pictures(self, dataset: str, name: str, shape: tuple[int, ...], stream_fields: dict[str, Any]) -> ImageStream:
        depth = name.endswith("/depth")
        items = tuple(
            DatasetSource(self.path, "depth" if depth else "picture", options={"dataset": dataset, "row": i})
            for i in range(shape[0])
        )
        camera = name.removesuffix("/depth")
        return (Depth if depth else Camera)(**{**stream_fields, "frame": camera}, camera=camera, items=items)

    def _vector(self, name: str, rows: np.ndarray, stream_fields: dict[str, Any], joints: tuple[str, ...]) -> Stream:
        prefix = re.match(r"obs/(robot\d+_)joint_(pos|vel)$", name)
        if prefix and not (self.options.parts or self._rig_file_options["parts"] or {}).get(name):
            names = tuple(f"{prefix[1]}joint{i + 1}" for i in range(rows.shape[1]))
            column = {"pos": "position", "vel": "velocity"}[prefix[2]]
            return JointState(**stream_fields, names=names, values={column: torch.from_numpy(rows.astype(np.float64))})
        return self.stream_of(name, rows, stream_fields, [], joints)


def with_joined_joints(streams: dict[str, Stream]) -> dict[str, Stream]:
    """Return the streams with positions and velocities of the same joints in one, under the name of the positions."""
    out = dict(streams)
    for name, stream in streams.items():
        other = streams.get(name.replace("joint_pos", "joint_vel"))
        if name.endswith("joint_pos") and isinstance(stream, JointState) and isinstance(other, JointState):
            out[name] = stream.with_values(velocity=other["velocity"])
            del out[name.replace("joint_pos", "joint_vel")]
    return out
