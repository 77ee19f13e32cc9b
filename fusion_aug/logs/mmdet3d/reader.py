"""mmdetection3d info files (``*infos*.pkl``) with the clouds and pictures that they name: reader.

The reference frame ``vehicle`` lies at the LiDAR, shares its axis z and has x forward: boxes of an info file rotate
about the LiDAR's z only, and still do so after a yaw. Every picture has its own time and vehicle pose, which
the file gives or its ``lidar2cam`` implies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import Frame, LidarSensor, Rig, Sensor, Trajectory, validate
from calib.nuscenes import PARTNER
from calib.se3 import invert, rotation_about, se3
from calib.sensors import pinhole_sensor
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import image_size, inside
from fusion_aug.logs.core.log import Format, Log, LogOptions
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.mmdet3d.files import InfoFile
from fusion_aug.logs.mmdet3d.infos import Info
from fusion_aug.sample import REF, Ref, Sample, SampleMeta
from fusion_aug.streams import Boxes3D, Camera, LazyColumns, Lidar, Stream, strings
from fusion_aug.streams.source import Source, decoder

VEHICLE, WORLD, LIDAR = "vehicle", "world", "lidar"


@decoder("float_points")
def decode_points(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """x y z, intensity and further features, float32, ``options["width"]`` numbers per point."""
    width = int(options["width"])
    if not raw or len(raw) % (4 * width):
        raise DataError(f"{path}: the cloud is empty or truncated: {len(raw)} bytes, {width} numbers per point")
    values = torch.from_numpy(np.frombuffer(raw, "<f4").reshape(-1, width).copy())
    columns = {"xyz": values[:, :3].contiguous()}
    return columns | {n: values[:, 3 + i].contiguous() for i, n in enumerate(feature_names(width))}


def feature_names(width: int) -> list[str]:
    """Names of the numbers after x y z."""
    return ["intensity", *(f"feature_{i}" for i in range(4, width))][: width - 3]


class Mmdet3dLog(Log):
    """A folder with info files. ``log.select`` takes ids, tokens, names of info files, or shell patterns."""

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        self.paths = {p.stem: p for p in sorted(self.root.glob("*infos*.pkl")) if "dbinfos" not in p.stem}
        if not self.paths:
            raise DataError(f"{self.root}: there is no info file (*infos*.pkl)")

    @cached_property
    def files(self) -> dict[str, InfoFile]:
        """Info files by name, without suffix."""
        return {name: InfoFile(path) for name, path in self.paths.items()}

    @cached_property
    def _all(self) -> dict[str, tuple[str, int]]:
        """Id -> info file and number in it."""
        return {f"{n}/{t}": (n, i) for n, file in self.files.items() for i, t in enumerate(file.tokens)}

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all samples, ``<info file>/<token>``."""
        return list(self._all)

    def names_of(self, sample_id: str) -> Sequence[str]:
        """A sample is called by its id, its info file and its token."""
        return [sample_id, *sample_id.split("/", 1)]

    @cached_property
    def ids(self) -> Sequence[str]:
        """Ids of the selected samples.

        Raises:
            DataError: two info files hold the same sample, which could be written only once.
        """
        chosen = super().ids
        seen: dict[str, str] = {}
        for i in chosen:
            name, number = self._all[i]
            cloud = Path(self.files[name].cloud(number)).name
            if cloud and seen.setdefault(cloud, name) != name:
                raise DataError(
                    f"{self.root}: {name} and {seen[cloud]} both hold the sample of {cloud}, which can be written "
                    f"once; choose one of them with log.select={name}"
                )
        return chosen

    def inputs(self) -> list[Path]:
        """The info files."""
        return list(self.paths.values())

    def locate(self, sample_id: str) -> tuple[InfoFile, int]:
        """Info file of a sample, and its number in it."""
        try:
            name, number = self._all[sample_id]
        except KeyError:
            raise DataError(f"{self.root}: there is no sample {sample_id!r}") from None
        return self.files[name], number

    def find(self, named: str, channel: str, where: str) -> str:
        """Return the path below the root of a file that an info names, with or without its folders.

        Raises:
            DataError: there is none.
        """
        parts = Path(named.replace("\\", "/")).parts
        kept = [p for p in parts if p not in ("/", ".", "..")]
        tails = ["/".join(kept[i:]) for i in range(len(kept))]
        folders = (f"samples/{channel}", f"sweeps/{channel}", "points", f"images/{channel}")
        for candidate in (*tails, *(f"{folder}/{kept[-1]}" for folder in folders if kept)):
            if inside(self.root, candidate, where).is_file():
                return candidate
        raise DataError(f"{where}: the file {named!r} is not below {self.root}")

    def read(self, sample_id: str) -> Sample:
        """Read one sample."""
        file, number = self.locate(sample_id)
        info, where = file.info(number), f"{file.path}: sample {file.tokens[number]}"
        rig, times = self.rig_of(info, where)
        rig = self.with_rig_file(rig)
        streams: dict[str, Stream] = {LIDAR: self._cloud(info, where)}
        for name, camera in info.cameras.items():
            path = self.find(camera.path, name, where)
            source = Source(self.root / path, "image", options={"size": rig.camera(name).model.size})
            streams[name] = Camera(
                frame=name, capture_times=torch.tensor([times[name]]), items=(source,), records=(path,)
            )  # fmt: skip
        streams["boxes"] = _boxes(info, rig)
        meta = SampleMeta(
            id=sample_id, scene=sample_id, ref=Ref(VEHICLE, info.time), rig=rig, true_rig=rig, clock=LIDAR,
            anchor=rig.T(WORLD, VEHICLE, info.time),
        )  # fmt: skip
        return merge_sidecar(Sample(metas=(meta,), streams=streams), self.root)

    def rig_of(self, info: Info, where: str) -> tuple[Rig, dict[str, int]]:
        """The rig of a sample, and the stamp of every camera (moved by nanoseconds where two share one)."""
        T_ego_vehicle = info.T_ego_lidar @ invert(lidar_yaw_pose(info))
        poses = {info.time: info.T_world_ego @ T_ego_vehicle}
        for sweep, time in zip(info.sweeps, sweep_times(info), strict=True):
            place = info.T_world_ego @ info.T_ego_lidar @ sweep.T_lidar_sweep @ invert(info.T_ego_lidar)
            poses[time] = place @ T_ego_vehicle
        frames: dict[str, Frame] = {}
        sensors: dict[str, Sensor] = {LIDAR: LidarSensor(frame=LIDAR, intensity_scale=255.0)}
        times = {}
        for name, camera in info.cameras.items():
            time = camera.time
            while time in poses:  # every camera keeps a vehicle pose of its own
                time += 1
            times[name], poses[time] = time, camera.T_world_ego @ T_ego_vehicle
            size = image_size(inside(self.root, self.find(camera.path, name, where), where))
            partner = PARTNER.get(name)
            sensors[name] = pinhole_sensor(name, camera.K, size, partner if partner in info.cameras else None)
            frames[name] = Frame(
                parent=VEHICLE, pose=invert(T_ego_vehicle) @ camera.T_ego_cam, axis_convention="camera"
            )
        track = Trajectory.from_unsorted(torch.tensor(list(poses)), torch.stack(list(poses.values())))
        base = {
            WORLD: Frame(axis_convention="world"),
            VEHICLE: Frame(parent=WORLD, pose=track),
            LIDAR: Frame(parent=VEHICLE, pose=lidar_yaw_pose(info)),
        }
        return validate(Rig({**base, **frames}, sensors), where), times

    def _cloud(self, info: Info, where: str) -> Lidar:
        clouds = [(info.time, info.lidar), *zip(sweep_times(info), (s.path for s in info.sweeps), strict=True)]
        order = sorted(range(len(clouds)), key=lambda i: clouds[i][0])
        paths = [self.find(clouds[i][1], "LIDAR_TOP", where) for i in order]
        width = info.width or _width(self.root / paths[0])
        sources = [Source(self.root / p, "float_points", options={"width": width}) for p in paths]
        return Lidar(
            frame=LIDAR, capture_times=torch.tensor([clouds[i][0] for i in order]), records=tuple(paths),
            motion="compensated", values=LazyColumns(sources, ["xyz", *feature_names(width)]),
        )  # fmt: skip


def lidar_yaw_pose(info: Info) -> Tensor:
    """``T_vehicle_lidar`` (4, 4): a rotation about z, so that the vehicle's x points forward."""
    R = info.T_ego_lidar[:3, :3]
    return se3(rotation_about("z", torch.atan2(R[1, 0], R[0, 0])))


def sweep_times(info: Info) -> list[int]:
    """Stamps of the earlier sweeps, ns, moved by nanoseconds where two clouds share one."""
    taken, out = {info.time}, []
    for sweep in info.sweeps:
        time = sweep.time
        while time in taken:
            time -= 1
        taken.add(time)
        out.append(time)
    return out


def _width(path: Path) -> int:
    """Numbers per point, where the info does not give it: nuScenes has 5, KITTI 4."""
    size = path.stat().st_size
    return 5 if size % 20 == 0 else 4


def _boxes(info: Info, rig: Rig) -> Boxes3D:
    T = rig.T(VEHICLE, LIDAR, info.time)
    own = se3(rotation_about("z", info.boxes[:, 6]), info.boxes[:, :3])
    velocity = torch.cat([info.velocity, torch.zeros(len(info.velocity), 1, dtype=torch.float64)], 1)
    names = strings(map(str, range(len(info.boxes))))
    return Boxes3D(
        frame=REF, capture_times=torch.tensor([info.time]),
        values={
            "pose": T @ own, "size": info.boxes[:, 3:6].clone(), "velocity": velocity @ T[:3, :3].T,
            "category": strings(info.names), "instance": names, "record": names,
        },
    )  # fmt: skip
