"""robomimic HDF5 datasets: reader.

A sample is a demonstration. The format holds neither its rate (``log.rate``) nor any calibration (``log.rig``,
``log.urdf``, ``log.joint_map``), nor what the numbers of the actions mean (``log.parts``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fusion_aug.errors import DataError
from fusion_aug.logs.core.arrays import PICTURE_AXES, ArrayLog, DatasetSource, array_options, check_numbers, events
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.robomimic.contents import fields_of
from fusion_aug.safe.hdf5 import check_filters, count_rows, get_member, open_hdf5, read_rows
from fusion_aug.sample import Sample
from fusion_aug.streams import JointState, Stream

EVENT_FEATURES = ("rewards", "dones")
ROBOMIMIC_OPTIONS = array_options(20)
JOINTS = re.compile(r"obs/(robot\d+_)joint_(pos|vel)")
COLUMNS = {"pos": "position", "vel": "velocity"}  # of joints


class RobomimicLog(ArrayLog):
    """Reader of robomimic HDF5 files in a folder. ``log.select`` takes demo_3, or shell patterns."""

    @cached_property
    def path(self) -> Path:
        """The file."""
        found = [*self.tree.glob("*.hdf5"), *self.tree.glob("*.h5")]
        if len(found) != 1:
            raise DataError(f"{self.root}: log.root: expected one .hdf5 file, found {len(found)}")
        return found[0]

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

    @cached_property
    def lists(self) -> Mapping[str, frozenset[str]]:
        """Name below ``mask`` -> the demonstrations that it lists."""
        with open_hdf5(self.path) as file:
            masks = get_member(file, "mask", self.path) if "mask" in file else {}
            return {str(n): frozenset(listed(get_member(masks, n, self.path))) for n in masks}

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
                out[name] = self.stream_name(name)
        return out

    def stream_name(self, name: str) -> str:
        """Name of a dataset's stream: agentview of obs/agentview_image, agentview/depth of obs/agentview_depth."""
        return name.removeprefix("obs/").removesuffix("_image").replace("_depth", "/depth")

    @property
    def excludable(self) -> Collection[str]:
        """Datasets and groups of all demonstrations."""
        found: set[str] = set()
        with open_hdf5(self.path) as file:
            for name in self.demos:
                demo = get_member(file, f"data/{name}", self.path)
                found |= {*demo, *(f"obs/{n}" for n in (get_member(demo, "obs", self.path) if "obs" in demo else ()))}
        return found

    def path_of(self, sample_id: str) -> Path:
        """File of a demonstration."""
        return self.path

    @cached_property
    def unread(self) -> list[str]:
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
            return fields_of(file, self.datasets, self.unread, self.is_excluded)

    def frame_times(self, sample_id: str) -> torch.Tensor:
        """Times (n,) of a demonstration's frames, int64 ns, by the number of its actions."""
        with open_hdf5(self.path) as file:
            actions = get_member(file, f"data/{sample_id}/actions", self.path)
            return self.frames(count_rows(actions, self.path))["capture_times"]

    def read(self, sample_id: str) -> Sample:
        """Read one demonstration."""
        streams: dict[str, Stream] = {}
        with open_hdf5(self.path) as file:
            if sample_id not in file["data"]:
                raise DataError(f"{self.path}: there is no demonstration {sample_id!r}")
            demo = get_member(file, f"data/{sample_id}", self.path)
            count = count_rows(get_member(demo, "actions", self.path), self.path) if "actions" in demo else 0
            stream_fields = self.frames(count)
            for name, stream in self.datasets.items():
                if name not in demo:
                    raise DataError(f"{self.path}: {sample_id}/{name}: is missing, though {self.demos[0]} has it")
                data, where = get_member(demo, name, self.path), f"{self.path}: {sample_id}/{name}"
                check_filters(data, self.path)
                check_numbers(data.dtype, data.shape or (), count, where)
                if data.ndim == PICTURE_AXES:
                    kind = "depth" if stream.endswith("/depth") else "picture"
                    options = {"dataset": f"data/{sample_id}/{name}"}
                    items = [DatasetSource(self.path, kind, options={**options, "row": i}) for i in range(count)]
                    streams[stream] = self.picture_stream(stream, items, stream_fields)
                elif name in EVENT_FEATURES:
                    streams[stream] = events(read_rows(data, slice(None), self.path), stream_fields)
                else:
                    streams |= self._vectors(name, stream, read_rows(data, slice(None), self.path), stream_fields)
        return self.episode(sample_id, with_joined_joints(streams))

    def joint_column(self, name: str) -> str | None:
        """Column of joints that a dataset is by its name, where ``log.parts`` does not say otherwise."""
        found = JOINTS.fullmatch(name)
        return COLUMNS[found[2]] if found and not self._declared(name) else None

    def _vectors(self, name: str, stream: str, rows: np.ndarray, stream_fields: dict[str, Any]) -> dict[str, Stream]:
        column, found = self.joint_column(name), JOINTS.fullmatch(name)
        if column is None or found is None:
            return self.streams_of(stream, name, rows, stream_fields, [], self.joints)
        names = tuple(f"{found[1]}joint{i + 1}" for i in range(rows.shape[1]))
        values = {column: torch.from_numpy(rows.astype(np.float64))}
        return {stream: JointState(**stream_fields, names=names, values=values)}


def listed(mask: Any) -> list[str]:
    """Names of the demonstrations that a list of the file holds."""
    return [m.decode() if isinstance(m, bytes) else str(m) for m in mask[:]]


def with_joined_joints(streams: dict[str, Stream]) -> dict[str, Stream]:
    """Return the streams with positions and velocities of the same joints in one, under the name of the positions."""
    out = dict(streams)
    for name, stream in streams.items():
        other = streams.get(name.replace("joint_pos", "joint_vel"))
        if name.endswith("joint_pos") and isinstance(stream, JointState) and isinstance(other, JointState):
            out[name] = stream.with_values(velocity=other["velocity"])
            del out[name.replace("joint_pos", "joint_vel")]
    return out
