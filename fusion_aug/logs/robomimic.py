"""robomimic HDF5 datasets: reader and writer.

A sample is a demonstration. The format says neither its rate (``log.rate``) nor any calibration (``log.rig``,
``log.urdf``, ``log.joint_map``), nor what the numbers of the actions mean (``log.parts``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.base import PARTS, Problem, Writer, select_ids
from fusion_aug.logs.episode_writing import EpisodeWriter
from fusion_aug.logs.episodes import EpisodeLog
from fusion_aug.logs.files import inside
from fusion_aug.logs.robots import BASE
from fusion_aug.logs.sidecar import merge_sidecar, write_ids
from fusion_aug.logs.touch import as_told
from fusion_aug.sample import Sample
from fusion_aug.source import Source
from fusion_aug.streams import Camera, Depth, ImageStream, JointState, Signal, Stream
from fusion_aug.transforms.base import Transform
from fusion_aug.transforms.compose import leaves

PLAIN = ("rewards", "dones", "states")
MAX_ITEM_BYTES = 2**31


def h5() -> Any:
    """h5py.

    Raises:
        DataError: it is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise DataError("robomimic logs need the package h5py: pip install 'fusion_aug[robomimic]'") from None
    return h5py


@dataclass(frozen=True, eq=False)
class DatasetSource(Source):
    """A picture of a dataset; ``options`` hold the dataset's name and the row."""

    @property
    def value(self) -> Tensor:
        """The picture, read each time."""
        with opened(self.path) as file:
            row = file[self.options["dataset"]][self.options["row"]]
        picture = torch.from_numpy(np.ascontiguousarray(row))
        return picture[..., 0].to(torch.float32) if self.kind == "depth" and picture.ndim == 3 else picture


def opened(path: Path) -> Any:
    """An HDF5 file, open for reading.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return h5().File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: is not a readable HDF5 file ({str(error).splitlines()[0]})") from None


class RobomimicLog(EpisodeLog):
    """Reader of robomimic HDF5 files in a folder. ``log.select`` takes demo_3, or shell patterns."""

    format = "robomimic"
    uses = (*EpisodeLog.uses, "rate")

    @cached_property
    def path(self) -> Path:
        """The file."""
        found = sorted(p for p in self.root.iterdir() if p.suffix in (".hdf5", ".h5"))
        if len(found) != 1:
            raise DataError(f"{self.root}: log.root: expected one .hdf5 file, found {len(found)}")
        return found[0]

    @cached_property
    def rate(self) -> float:
        """Frames per second."""
        rate = 20.0 if self.options.rate is None else self.options.rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
            raise ConfigError(f"log.rate: expected frames per second, got {rate!r}")
        return float(rate)

    @cached_property
    def demos(self) -> list[str]:
        """All demonstrations, by number."""
        with opened(self.path) as file:
            if "data" not in file:
                raise DataError(f"{self.path}: data: the group is missing")
            names = [str(n) for n in file["data"]]
        return sorted(names, key=lambda n: (int(re.sub(r"\D", "", n) or 0), n))

    @cached_property
    def ids(self) -> Sequence[str]:
        """Ids of the selected demonstrations."""
        return select_ids(self.demos, self.options.select, lambda i: [i], str(self.path))

    def inputs(self) -> list[Path]:
        """The file."""
        return [self.path]

    @cached_property
    def datasets(self) -> dict[str, str]:
        """Dataset below a demonstration -> name of its stream, of the first one."""
        out: dict[str, str] = {}
        with opened(self.path) as file:
            demo = file["data"][self.demos[0]]
            names = [n for n in demo if not hasattr(demo[n], "keys")]
            names += [f"obs/{n}" for n in demo.get("obs", ())]
        self.check_parts(names)
        for name in names:
            if not self.excluded(name):
                out[name] = name.removeprefix("obs/").removesuffix("_image").replace("_depth", "/depth")
        return out

    @cached_property
    def others(self) -> list[str]:
        """Groups of a demonstration of which nothing is known, such as next_obs."""
        with opened(self.path) as file:
            demo = file["data"][self.demos[0]]
            return [n for n in demo if n != "obs" and hasattr(demo[n], "keys") and not self.excluded(n)]

    def read(self, sample_id: str) -> Sample:
        """Read one demonstration."""
        streams: dict[str, Stream] = {}
        joints = tuple(self.robot.joints) if self.robot is not None else ()
        with opened(self.path) as file:
            if sample_id not in file["data"]:
                raise DataError(f"{self.path}: there is no demonstration {sample_id!r}")
            demo = file["data"][sample_id]
            count = len(demo["actions"]) if "actions" in demo else 0
            times = torch.from_numpy(np.round(np.arange(count) / self.rate * 1e9).astype(np.int64))
            about: dict[str, Any] = {"frame": BASE, "times": times, "records": tuple(str(i) for i in range(count))}
            for name, stream in self.datasets.items():
                if name not in demo:
                    raise DataError(f"{self.path}: {sample_id}/{name}: is missing, though {self.demos[0]} has it")
                data = demo[name]
                if len(data) != count or data.nbytes // max(count, 1) > MAX_ITEM_BYTES:
                    raise DataError(f"{self.path}: {sample_id}/{name}: has {len(data)} rows, expected {count}")
                if data.ndim == 4:
                    streams[stream] = self._pictures(f"data/{sample_id}/{name}", stream, data.shape, about)
                elif name in PLAIN:
                    streams[stream] = Signal(**about, values={"value": torch.from_numpy(data[:])})
                else:
                    streams[stream] = self._vector(name, data[:], about, joints)
        streams = self.captured(joined_joints(streams), sample_id)
        return as_told(merge_sidecar(self.assemble(sample_id, streams), self.root, rig_first=True))

    def _pictures(self, dataset: str, name: str, shape: tuple[int, ...], about: dict[str, Any]) -> ImageStream:
        depth = name.endswith("/depth")
        items = tuple(
            DatasetSource(self.path, "depth" if depth else "picture", options={"dataset": dataset, "row": i})
            for i in range(shape[0])
        )
        camera = name.removesuffix("/depth")
        return (Depth if depth else Camera)(**{**about, "frame": camera}, camera=camera, items=items)

    def _vector(self, name: str, rows: np.ndarray, about: dict[str, Any], joints: tuple[str, ...]) -> Stream:
        prefix = re.match(r"obs/(robot\d+_)joint_(pos|vel)$", name)
        if prefix and not (self.options.parts or self._told["parts"] or {}).get(name):
            names = tuple(f"{prefix[1]}joint{i + 1}" for i in range(rows.shape[1]))
            column = {"pos": "position", "vel": "velocity"}[prefix[2]]
            return JointState(**about, names=names, values={column: torch.from_numpy(rows.astype(np.float64))})
        return self.stream_of(name, rows, about, [], joints)

    def writer(self, out: Path, *, lossy: bool = False, link: str = "copy") -> Writer:
        """See ``Log``."""
        return RobomimicWriter(self, out, lossy=lossy, link=link)


def joined_joints(streams: dict[str, Stream]) -> dict[str, Stream]:
    """Positions and velocities of the same joints as one stream, under the name of the positions."""
    out = dict(streams)
    for name, stream in streams.items():
        other = streams.get(name.replace("joint_pos", "joint_vel"))
        if name.endswith("joint_pos") and isinstance(stream, JointState) and isinstance(other, JointState):
            out[name] = stream.with_values(velocity=other["velocity"])
            del out[name.replace("joint_pos", "joint_vel")]
    return out


class RobomimicWriter(EpisodeWriter):
    """Writes one HDF5 file with all demonstrations; see ``EpisodeWriter`` for the rest.

    Copies are demonstrations of their own, numbered after the last one, as robomimic wants them.
    """

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """See ``Writer``; groups that cannot follow, besides."""
        found = super().can_express(transform, sample)
        if self.log.others and any(t.p > 0 for t in leaves(transform)):
            why = "it is copied as it is, and would no longer belong to the observations"
            found += [
                Problem("group", f"data/demo/{n}", why, f"leave it out (log.exclude=[{n}])") for n in self.log.others
            ]
        return found

    @property
    def rate(self) -> float:
        """See ``EpisodeWriter``."""
        rate: float = self.log.rate
        return rate

    @property
    def held(self) -> Mapping[str, str]:
        """See ``EpisodeWriter``; velocities of joints stand beside their positions."""
        names: Mapping[str, str] = self.log.datasets
        return {d: n.replace("joint_vel", "joint_pos") if d.startswith("obs/robot") else n for d, n in names.items()}

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """See ``Writer``."""
        path = folder / PARTS / f"{out_id}.hdf5"
        path.parent.mkdir(parents=True, exist_ok=True)
        count, sample = len(self.ticks(sample, source)), self.as_written(sample, source)
        with h5().File(path, "w") as file, opened(self.log.path) as original:
            before = original["data"][source.id]
            demo = file.create_group(out_id)
            demo.attrs.update(dict(before.attrs))
            demo.attrs["num_samples"] = count
            for group in (g for g in self.log.others if g in before):
                original.copy(before[group], demo, group)
            for name, stream in self.held.items():
                kept = before[name]
                rows = kept[:] if sample[stream] is source[stream] else self._rows(name, sample[stream], kept)
                chunks = (1, *rows.shape[1:]) if rows.ndim == 4 else None
                demo.create_dataset(
                    name, data=rows, compression=kept.compression, compression_opts=kept.compression_opts, chunks=chunks
                )
        self.sidecar(sample, source, out_id, folder)
        return {"part": f"{PARTS}/{out_id}.hdf5", "id": out_id, "count": count}

    def _rows(self, name: str, stream: Stream, before: Any) -> np.ndarray:
        if isinstance(stream, ImageStream):
            return np.stack([_stored(stream.image(i), before.dtype, before.ndim) for i in range(len(stream))])
        if isinstance(stream, JointState) and "joint_" in name:
            told = stream["velocity" if name.endswith("joint_vel") else "position"]
        elif isinstance(stream, Signal):
            told = stream["value"]
        else:
            return self.log.rows_of(stream, name, [], before.shape[1:]).astype(before.dtype)
        return told.numpy().astype(before.dtype)

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Join the demonstrations in one file."""
        part = self.out / "joined.part"
        total, members = 0, []
        with h5().File(part, "w") as file, opened(self.log.path) as original:
            file.attrs.update(dict(original.attrs))
            group = file.create_group("data")
            group.attrs.update(dict(original["data"].attrs))
            names = numbered([out for out, _ in ids])
            for row in rows:
                source = inside(self.out, row["part"], "part")
                with opened(source) as staged:
                    staged.copy(row["id"], group, names[row["id"]])
                total += int(row["count"])
                members.append(source)
            group.attrs["total"] = total
            if "mask" in original:
                self._masks(original["mask"], file.create_group("mask"), [(names[o], s) for o, s in ids])
        write_ids(self.out, {new: old for old, new in names.items()})
        part.replace(self.out / self.log.path.name)
        for source in members:
            source.unlink()
        (self.out / PARTS).rmdir()

    def _masks(self, before: Any, after: Any, ids: Sequence[tuple[str, str]]) -> None:
        """A copy is in the lists of its source."""
        for name in before:
            members = {m.decode() if isinstance(m, bytes) else str(m) for m in before[name][:]}
            chosen = [out.encode() for out, source in ids if source in members]
            after.create_dataset(name, data=np.array(chosen, dtype=before[name].dtype if chosen else "S1"))


def numbered(ids: Sequence[str]) -> dict[str, str]:
    """Id of an output -> name of its demonstration: demo_3 as it is, a copy demo_N with the next free number."""
    known = [i for i in ids if re.fullmatch(r"demo_\d+", i)]
    free = max((int(i[5:]) for i in known), default=-1) + 1
    others = [i for i in ids if i not in set(known)]
    return {i: i for i in known} | {i: f"demo_{free + k}" for k, i in enumerate(others)}


def _stored(picture: Tensor, dtype: np.dtype, ndim: int) -> np.ndarray:
    if picture.dtype.is_floating_point and dtype == np.uint8:
        picture = (picture * 255).round().clamp(0, 255)
    out = picture.numpy().astype(dtype)
    return out[..., None] if out.ndim == 2 and ndim == 4 else out
