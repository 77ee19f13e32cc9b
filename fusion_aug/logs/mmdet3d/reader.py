"""mmdetection3d info files (``*infos*.pkl``) with the clouds and pictures that they name: reader.

The reference frame ``vehicle`` lies at the LiDAR, shares its axis z and has x forward: boxes of an info file rotate
about the LiDAR's z only, and still do so after a yaw. Every picture has its own time and vehicle pose, which
the file gives or its ``lidar2cam`` implies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from calib import Frame, LidarSensor, Rig, Sensor, Trajectory, validate
from calib.regular_files import is_there
from calib.se3 import invert, rotation_about, se3
from calib.sensors import pinhole_sensor
from calib.sides import other_side
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.contents import FIELD, KEPT, LEFT_OUT, Part
from fusion_aug.logs.core.files import image_size
from fusion_aug.logs.core.flat_clouds import FlatLayout, flat_layout
from fusion_aug.logs.core.log import Format, Log, LogOptions
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.mmdet3d.contents import INFO_FILE, OTHER_PICKLE, UNNAMED, is_data
from fusion_aug.logs.mmdet3d.fields import RECTANGLE, as_list, listed_fields
from fusion_aug.logs.mmdet3d.files import InfoFile
from fusion_aug.logs.mmdet3d.infos import Info
from fusion_aug.logs.mmdet3d.masks import Mask, label_columns, mask_sources, masks_of
from fusion_aug.logs.mmdet3d.places import LIDAR_CHANNEL, candidates, info_paths, layout_of
from fusion_aug.sample import REF, Ref, Sample, SampleMeta
from fusion_aug.sample.picture_sizes import size_words
from fusion_aug.streams import Boxes2D, Boxes3D, Camera, LazyColumns, Lidar, Stream, rectangle_corners, strings
from fusion_aug.streams.source import Source

VEHICLE, WORLD, LIDAR = "vehicle", "world", "lidar"
FLAT = "boxes_2d"  # CAMERA/boxes_2d: rectangles of boxes in a picture


class Mmdet3dLog(Log):
    """A folder with info files. ``log.select`` takes ids, tokens, names of info files, or shell patterns."""

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        given = options.infos
        found = info_paths(self.tree, [given] if isinstance(given, str) else given)
        if given is not None or not any("infos" in path for path in found):
            self.options.infos = found  # as the root of an output has them, too
        self.paths = {Path(p).stem: self.root / p for p in found}
        if len(self.paths) < len(found):
            raise DataError(f"{self.root}: log.infos: two info files have one name: {', '.join(found)}")
        self.declared = None if options.columns is None else flat_layout(options.columns)
        if self.declared is not None and self.declared.stream is not Lidar:
            raise ConfigError("log.columns: clouds of info files are of LiDARs; call other numbers feature_NAME")

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

    @cached_property
    def selected_files(self) -> list[InfoFile]:
        """The info files of the selected samples."""
        return [self.files[n] for n in dict.fromkeys(self._all[i][0] for i in self.ids)]

    @cached_property
    def left_out(self) -> list[str]:
        """Fields that ``log.leave_out`` takes out of the output."""
        return listed_fields("log.leave_out", self.options.leave_out, self._field_names)

    @cached_property
    def kept(self) -> list[str]:
        """Fields that ``log.keep`` declares to hold after any change."""
        return listed_fields("log.keep", self.options.keep, self._field_names)

    @cached_property
    def _field_names(self) -> set[str]:
        return {name for file in self.files.values() for name in file.fields}

    def fields(self) -> dict[str, list[str]]:
        """Path of every info file -> all fields of its samples, see ``contents``."""
        return {str(f.path.relative_to(self.root)): list(f.fields) for f in self.files.values()}

    def part_of(self, path: str) -> Part | None:
        """The part that a file is: of data what the info files name; only what was opened is an info file."""
        part = super().part_of(path)
        if path.endswith(".pkl"):
            return INFO_FILE if self.root / path in self.paths.values() else part if part != INFO_FILE else OTHER_PICKLE
        return UNNAMED if part is not None and is_data(part) and Path(path).name not in self._data[0] else part

    def field_part(self, table: str, name: str) -> Part | None:
        """The part that a field is; the user's word of it counts first."""
        if name in self.left_out:
            return Part(f"**.pkl{FIELD}{name}", LEFT_OUT, "taken out by log.leave_out")
        if name in self.kept:
            return Part(f"**.pkl{FIELD}{name}", KEPT, "kept by log.keep")
        return super().field_part(table, name)

    def is_selected_file(self, path: str) -> bool:
        """Whether an info file has a selected sample, or a selected sample names a file."""
        chosen, name = self._data[1], Path(path).name
        if path.endswith(".pkl"):
            return Path(path).stem in {self._all[i][0] for i in self.ids}
        return name in chosen or name not in self._data[0]

    @cached_property
    def _data(self) -> tuple[set[str], set[str]]:
        """Names of the files that all samples name, and that the selected ones do."""
        named: dict[str, list[str]] = {i: self.files[n].data_names(k) for i, (n, k) in self._all.items()}
        return {x for own in named.values() for x in own}, {x for i in self.ids for x in named[i]}

    def box_place(self, sample_id: str, stream: str, box: str) -> str:
        """The info file, the sample in it, and the number of the box there."""
        file, number = self.locate(sample_id)
        return f"{file.path}: sample {file.tokens[number]}: box {box}"

    def locate(self, sample_id: str) -> tuple[InfoFile, int]:
        """Info file of a sample, and its number in it."""
        try:
            name, number = self._all[sample_id]
        except KeyError:
            raise DataError(f"{self.root}: there is no sample {sample_id!r}") from None
        return self.files[name], number

    def find(self, named: str, channel: str, where: str, cameras: Sequence[str] = ()) -> str:
        """Return the path below the root of a file that an info names, with or without its folders.

        Args:
            named: path as the info gives it. channel: a camera, or ``LIDAR_CHANNEL``. where: the sample, for messages.
            cameras: all of the sample, in the info's order.

        Raises:
            DataError: there is none.
        """
        for candidate in candidates(named, channel, cameras):
            if is_there(self.path_in(candidate, where)):
                return candidate
        raise DataError(f"{where}: the file {named!r} is not below {self.root}")

    def read(self, sample_id: str) -> Sample:
        """Read one sample."""
        file, number = self.locate(sample_id)
        info, where = file.info(number), f"{file.path}: sample {file.tokens[number]}"
        channels = list(info.cameras)
        pictures = {name: self.find(camera.path, name, where, channels) for name, camera in info.cameras.items()}
        rig, times = self.rig_of(info, where, pictures)
        rig = self.with_rig_file(rig)
        streams: dict[str, Stream] = {LIDAR: self._cloud(info, where, masks_of(self, sample_id))}
        for name, path in pictures.items():
            source = Source(self.root / path, "image", options={"size": rig.camera(name).model.size})
            streams[name] = Camera(
                frame=name, capture_times=torch.tensor([times[name]]), items=(source,), records=(path,)
            )  # fmt: skip
        streams["boxes"] = _boxes(info, rig)
        if RECTANGLE not in {*as_list(self.options.leave_out), *as_list(self.options.keep)}:
            streams |= _flat_boxes(info, times)
        meta = SampleMeta(
            id=sample_id, scene=sample_id, ref=Ref(VEHICLE, info.time), rig=rig, true_rig=rig, clock=LIDAR,
            anchor=rig.T(WORLD, VEHICLE, info.time),
        )  # fmt: skip
        return merge_sidecar(Sample(metas=(meta,), streams=streams), self.tree)

    def rig_of(self, info: Info, where: str, pictures: Mapping[str, str]) -> tuple[Rig, dict[str, int]]:
        """The rig of a sample, and the stamp of every camera (moved by nanoseconds where two share one).

        Args:
            info: of the sample. where: it is, for messages. pictures: paths of them from the root, by camera.
        """
        T_ego_vehicle = info.T_ego_lidar @ invert(lidar_yaw_pose(info))
        T_vehicle_ego = invert(T_ego_vehicle)
        poses = {info.time: info.T_world_ego @ T_ego_vehicle}
        for sweep, time in zip(info.sweeps, sweep_times(info), strict=True):
            place = info.T_world_ego @ info.T_ego_lidar @ sweep.T_lidar_sweep @ invert(info.T_ego_lidar)
            poses[time] = place @ T_ego_vehicle
        frames: dict[str, Frame] = {}
        sensors: dict[str, Sensor] = {LIDAR: LidarSensor(frame=LIDAR)}
        times = {}
        for name, camera in info.cameras.items():
            time = camera.time
            while time in poses:  # every camera keeps a vehicle pose of its own
                time += 1
            times[name], poses[time] = time, camera.T_world_ego @ T_ego_vehicle
            path = pictures[name]
            partner = other_side(name, info.cameras)
            size = image_size(self.path_in(path, where))
            if all(camera.size) and camera.size != size:
                told = f"{where}: images.{name}: height, width: {size_words(camera.size)} is not the size of {path}"
                raise DataError(f"{told}, {size_words(size)}; cam2img holds for one of them")
            sensors[name] = pinhole_sensor(name, camera.K, size, None if partner == name else partner)
            frames[name] = Frame(parent=VEHICLE, pose=T_vehicle_ego @ camera.T_ego_cam, axis_convention="camera")
        track = Trajectory.from_unsorted(torch.tensor(list(poses)), torch.stack(list(poses.values())))
        base = {
            WORLD: Frame(axis_convention="world"),
            VEHICLE: Frame(parent=WORLD, pose=track),
            LIDAR: Frame(parent=VEHICLE, pose=lidar_yaw_pose(info)),
        }
        return validate(Rig({**base, **frames}, sensors), where), times

    def _cloud(self, info: Info, where: str, masks: list[Mask]) -> Lidar:
        clouds = [(info.time, info.lidar), *zip(sweep_times(info), (s.path for s in info.sweeps), strict=True)]
        order = sorted(range(len(clouds)), key=lambda i: clouds[i][0])
        paths = [self.find(clouds[i][1], LIDAR_CHANNEL, where) for i in order]
        layout = self.layout(info, paths[0])
        sources = [layout.source(self.root / p) for p in paths]
        extra = [mask_sources(masks, self.root) if i == 0 else [] for i in order] if masks else []
        return Lidar(
            frame=LIDAR, capture_times=torch.tensor([clouds[i][0] for i in order]), records=tuple(paths),
            motion="compensated", values=LazyColumns(sources, [*layout.columns, *label_columns(masks)], extra),
        )  # fmt: skip

    def layout(self, info: Info, cloud: str) -> FlatLayout:
        """The numbers of every point of a sample's clouds, of which one is named by its path from the root."""
        return layout_of(self.root / cloud, info.width, self.declared)


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


def _flat_boxes(info: Info, times: dict[str, int]) -> dict[str, Boxes2D]:
    """Rectangles of boxes in pictures, a stream for every camera that has some."""
    out = {}
    for name in dict.fromkeys(camera for camera, _ in info.flat.values()):
        numbers = [k for k, (camera, _) in info.flat.items() if camera == name]
        out[f"{name}/{FLAT}"] = Boxes2D(
            frame=name, camera=name, capture_times=torch.tensor([times[name]]),
            values={
                "corners": rectangle_corners(torch.stack([info.flat[k][1] for k in numbers])),
                "category": strings(info.names[k] for k in numbers), "instance": strings(map(str, numbers)),
            },
        )  # fmt: skip
    return out
