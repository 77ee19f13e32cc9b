"""The sample log: a drive through a simulated street in nuScenes format, with its ground truth.

What nuScenes has no place for (a fisheye camera, depth, classes, IMU, the time of every LiDAR point) lies in the
sidecar ``fusion_aug/``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from calib import CameraSensor, Frame, ImuSensor, LidarSensor, RadarSensor
from calib.rig import Rig
from calib.se3 import se3
from fusion_aug.errors import ConfigError
from fusion_aug.logs import open_log
from fusion_aug.logs.core.files import write_image
from fusion_aug.logs.core.sidecar import write_sidecar
from fusion_aug.logs.core.whole import whole_folder
from fusion_aug.logs.nuscenes.clouds import LIDAR_COLUMNS, encode_lidar, encode_radar
from fusion_aug.streams import Camera, Depth, Imu, SegmentationMask, Stream
from fusion_aug.streams.source import Source
from fusion_aug.synth.mesh import Array
from fusion_aug.synth.point_labels import labels_of
from fusion_aug.synth.sensors import detect, inertial, scan, take_picture
from fusion_aug.synth.tables import CATEGORIES, Tables, Visibility
from fusion_aug.synth.town import Town, make_town
from fusion_aug.synth.vehicle import CAMERAS, IMU_POSITION, RADARS, vehicle
from fusion_aug.synth.world import KINDS, Scenery, World

T0 = 1_600_000_000_000_000  # microseconds
KEYFRAME, SWEEP, TURN = 0.5, 0.25, 0.05  # seconds: between keyframes, from sweep to keyframe, per LiDAR revolution
SHORTEST = 0.3  # seconds between keyframes, so that a sweep fits in
IMU_RATE = 100  # Hz
REACH = 75.0  # metres up to which objects are labelled
DEPTH_STEP = 2.0**-6  # metres; depth is stored in steps of 16 mm


@dataclass(frozen=True)
class Size:
    """How large a log becomes.

    Attributes:
        pictures: (height, width) of the surround cameras.
        columns: LiDAR columns per revolution.
        quality: of the JPEG files, percent.
        oversample: rays per pixel along each axis.
        lean: only what a detector of single keyframes reads: cameras, LiDAR and radars at keyframes, without what
            nuScenes has no place for; depth and classes only where all are asked for.
    """

    pictures: tuple[int, int]
    columns: int
    quality: int = 62
    oversample: int = 2
    lean: bool = False


SIZES = {
    "tiny": Size((96, 168), 360, 92, lean=True),
    "small": Size((396, 704), 360),
    "full": Size((900, 1600), 1090, 92),
}


def make_log(
    out: Path | str,
    *,
    frames: int = 21,
    every: float = KEYFRAME,
    seed: int = 0,
    size: Size = SIZES["small"],
    depth: str = "some",
    extras: bool = True,
    light: str = "sun",
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Path:
    """Write the log; it is there whole or not at all.

    Args:
        out: folder, made if missing.
        frames: keyframes.
        every: seconds from one to the next, at least ``SHORTEST``.
        seed: of the street and of the noise.
        size: of pictures and scans, one of ``SIZES``.
        depth: keyframes whose depth and classes are kept: ``some`` (two of them; none of a lean size) or ``all``.
        extras: whether there are other sensors than the surround cameras and the LiDAR, and sweeps between keyframes.
        light: what lights the street in the cameras: ``sun``, or ``overcast``: the same street without the sun.
        progress: called with the number of finished keyframes and of all.

    Returns:
        ``out``.

    Raises:
        ConfigError: keyframes follow too closely.
        DataError: there is something in the folder.
    """
    if not SHORTEST <= every < np.inf:
        raise ConfigError(f"every: expected at least {SHORTEST} seconds between keyframes, got {every!r}")
    some = set() if size.lean else {frames // 3, (2 * frames) // 3}
    with whole_folder(Path(out)) as folder:
        drive = Drive(Tables(folder, f"drive-{seed:04d}", seed), make_town(seed), size, extras, light, every)
        _write(drive, frames, set(range(frames)) if depth == "all" else some, progress)
    return Path(out)


def _write(drive: Drive, frames: int, measured: set[int], progress: Callable[[int, int], None]) -> None:
    drive.tables.sensors({n: m for n, m in drive.mounted.items() if n != "FISHEYE_FRONT"})
    drive.tables.fixed(drive.town)
    drive.tables.road_map(drive.town)
    stamps = [T0 + round(i * drive.every * 1e6) for i in range(frames)]
    samples = [drive.tables.token("sample", i) for i in range(frames)]
    drive.tables.scene(samples, stamps)
    extras = []
    for i in range(frames):
        extras.append(drive.keyframe(i, samples[i], stamps[i], i in measured))
        progress(i + 1, frames)
    drive.tables.write()
    log = open_log("nuscenes", drive.tables.out)
    for token, extra in zip(samples, extras, strict=True):
        sample = log.read(token)
        stored = dict.fromkeys(sample.streams) | {"LIDAR_TOP": tuple(sample["LIDAR_TOP"].values)}
        sample = sample.with_streams({**sample.streams, **extra.streams})
        if not drive.size.lean:
            timed = sample["LIDAR_TOP"].with_values(time_offset=torch.cat(extra.offsets))
            sample = sample.with_streams({**sample.streams, "LIDAR_TOP": timed})
        if drive.extras:
            sample = sample.with_meta(0, rig=drive.with_extras(sample.rig))
        write_sidecar(sample, stored, token, drive.tables.out)
    for path in drive.tables.out.glob("fisheye-*.jpg"):
        path.unlink()


@dataclass
class SidecarStreams:
    """What goes to the sidecar of a sample: streams, and the time offsets of its LiDAR items."""

    streams: dict[str, Stream]
    offsets: list[torch.Tensor]


class Drive:
    """A drive through a town, measured by a vehicle's sensors; without ``extras`` by cameras and the LiDAR alone."""

    def __init__(
        self, tables: Tables, town: Town, size: Size, extras: bool = True, light: str = "sun", every: float = KEYFRAME
    ):
        self.tables, self.town, self.size, self.every = tables, town, size, every
        self.extras = extras and not size.lean
        self.scenery = Scenery(town, light)
        mounted = vehicle(size.pictures)
        kept = mounted if self.extras else [*CAMERAS, "LIDAR_TOP", *(RADARS if extras else ())]
        self.mounted = {name: mounted[name] for name in kept}

    def ego(self, time: float) -> Array:
        """``T_world_ego`` at a time in seconds."""
        return self.town.ego.pose(time)

    def with_extras(self, rig: Rig) -> Rig:
        """A rig with the sensors that nuScenes has no place for."""
        fisheye, T, _ = self.mounted["FISHEYE_FRONT"]
        frames = {
            "FISHEYE_FRONT": Frame(parent="ego", pose=torch.from_numpy(T), axis_convention="camera"),
            "imu": Frame(parent="ego", pose=se3(translation=IMU_POSITION)),
        }
        return Rig({**rig.frames, **frames}, {**rig.sensors, "FISHEYE_FRONT": fisheye, "imu": ImuSensor(frame="imu")})

    def keyframe(self, i: int, sample: str, stamp: int, measured: bool) -> SidecarStreams:
        """Write every file of one keyframe and its sweeps."""
        extra = SidecarStreams({}, [])
        if i and self.extras:  # the sweeps between two keyframes belong to the later one
            self.lidar(sample, stamp - round(SWEEP * 1e6), False, extra)
            for name in self._names(RadarSensor):
                self.radar(name, sample, stamp - round(SWEEP * 1e6), False)
        scanned = self.lidar(sample, stamp, True, extra)
        bounced = [self.radar(name, sample, stamp, True) for name in self._names(RadarSensor)] or [np.zeros(0, int)]
        for name in self._names(CameraSensor):
            self.camera(name, sample, stamp, measured, extra)
        boxed = self.annotations(i, sample, stamp, scanned["body"], np.concatenate(bounced))
        labels = labels_of(scanned["kind"], scanned["body"], self.town.bodies, boxed)
        self.tables.point_labels("LIDAR_TOP", stamp, labels)
        if self.extras:
            extra.streams["imu"] = self.imu(stamp)
        return extra

    def _names(self, kind: type) -> list[str]:
        return [n for n, (sensor, _, _) in self.mounted.items() if isinstance(sensor, kind)]

    def lidar(self, sample: str, stamp: int, key: bool, extra: SidecarStreams) -> dict[str, Array]:
        """One scan, as ``scan`` returns it."""
        sensor, T, _ = self.mounted["LIDAR_TOP"]
        assert isinstance(sensor, LidarSensor)
        time = seconds(stamp)
        rng = np.random.default_rng([self.tables.seed, stamp])
        found = scan(self.scenery, sensor, lambda t: self.ego(t) @ T, time, self.size.columns, TURN, rng)
        path = self.tables.data("LIDAR_TOP", sample, stamp, key, ".pcd.bin", (0, 0), self.ego(time))
        path.write_bytes(encode_lidar({k: torch.from_numpy(found[k].astype(np.float32)) for k in LIDAR_COLUMNS}))
        extra.offsets.append(torch.from_numpy(found["time_offset"].astype(np.float32)))
        return found

    def radar(self, name: str, sample: str, keyframe: int, key: bool) -> Array:
        """One radar scan; returns the number of the body behind every detection."""
        sensor, T, delay = self.mounted[name]
        assert isinstance(sensor, RadarSensor)
        stamp = keyframe + round(delay * 1e6)
        time, h = seconds(stamp), 1e-3
        velocity = ((self.ego(time + h) - self.ego(time - h)) @ T)[:3, 3] / (2 * h)
        found = detect(self.scenery.at(time), sensor, self.ego(time) @ T, velocity)
        columns = {k: torch.from_numpy(v.astype(np.float32)) for k, v in found.items() if k != "body"}
        n = len(found["rcs"])
        flags = torch.zeros((n, 10), dtype=torch.int64)
        moving = np.linalg.norm(found["velocity_comp"], axis=1) > 0.3
        flags[:, 0], flags[:, 1] = torch.from_numpy(np.where(moving, 0, 1)), torch.arange(n)  # dyn_prop, id
        flags[:, 2], flags[:, 3] = 1, 3  # valid quality, unambiguous
        path = self.tables.data(name, sample, stamp, key, ".pcd", (0, 0), self.ego(time))
        path.write_bytes(encode_radar({**columns, "flags": flags}))
        return found["body"]

    def camera(self, name: str, sample: str, keyframe: int, measured: bool, extra: SidecarStreams) -> None:
        """One picture, with depth and classes where they are kept."""
        sensor, T, delay = self.mounted[name]
        assert isinstance(sensor, CameraSensor)
        stamp = keyframe + round(delay * 1e6)
        seen = take_picture(self.scenery.at(seconds(stamp)), sensor, self.ego(seconds(stamp)) @ T, self.size.oversample)
        at = torch.tensor([stamp * 1000])
        if name == "FISHEYE_FRONT":
            path = self.tables.out / f"fisheye-{stamp}.jpg"  # copied into the sidecar
            extra.streams[name] = Camera(frame=name, capture_times=at, items=(Source(path, "image"),))
        else:
            path = self.tables.data(name, sample, stamp, True, ".jpg", sensor.size, self.ego(seconds(stamp)))
        write_image(torch.from_numpy(seen.picture), path, self.size.quality)
        if measured:
            measure = "range" if name == "FISHEYE_FRONT" else "z"
            depth = torch.from_numpy(np.round(seen.depth / DEPTH_STEP) * DEPTH_STEP).to(torch.float32)
            classes = torch.from_numpy(seen.classes)
            extra.streams[f"{name}/depth"] = Depth(
                frame=name, camera=name, capture_times=at, items=(depth,), measure=measure
            )
            extra.streams[f"{name}/classes"] = SegmentationMask(
                frame=name, camera=name, capture_times=at, items=(classes,), label_names=KINDS
            )

    def imu(self, stamp: int) -> Imu:
        """Readings from the last records of the keyframe before to those of this one."""
        step, late = 1_000_000 // IMU_RATE, 20_000
        begin = stamp - 40_000 if stamp == T0 else stamp - round(self.every * 1e6) + late + step
        stamps = np.arange(begin, stamp + late + 1, step)
        T = se3(translation=IMU_POSITION).numpy()
        gyro, accel = inertial(lambda t: self.ego(t) @ T, (stamps - T0) * 1e-6)
        values = {"gyro": torch.from_numpy(gyro), "accel": torch.from_numpy(accel)}
        return Imu(frame="imu", capture_times=torch.from_numpy(stamps * 1000), values=values)

    def annotations(self, i: int, sample: str, stamp: int, cloud: Array, bounced: Array) -> set[int]:
        """Boxes of the labelled bodies near the vehicle that some sensor saw; returns the numbers of these."""
        time = seconds(stamp)
        world, eye = self.scenery.at(time), (self.ego(time) @ self.mounted["LIDAR_TOP"][1])[:3, 3]
        boxed = set()
        for number, body in enumerate(self.town.bodies):
            hits, echoes = int((cloud == number).sum()), int((bounced == number).sum())
            near = np.linalg.norm(body.pose(time)[:3, 3] - eye) < REACH
            if body.category in CATEGORIES and near and hits + echoes > 0:
                seen = Visibility(visible_share(world, number, eye), hits, echoes)
                self.tables.annotation(number, body, sample, i, time, seen)
                boxed.add(number)
        return boxed


def visible_share(world: World, number: int, eye: Array) -> float:
    """Share (0 to 1) of the lines from ``eye`` to points of a body that nothing else blocks."""
    body = world.town.bodies[number]
    T, rng = body.label_pose(world.time), np.random.default_rng(number)
    goal = (rng.uniform(-0.4, 0.4, (200, 3)) * body.size) @ T[:3, :3].T + T[:3, 3]
    way = goal - eye
    length = np.linalg.norm(way, axis=1)
    hits = world.cast(eye[None], way / length[:, None])
    own = hits.body == number
    hidden = ~own & (hits.distance < length)
    return float(own.sum() / max(1, own.sum() + hidden.sum()))


def seconds(stamp: int) -> float:
    """Seconds since the start of a stamp in microseconds."""
    return (stamp - T0) * 1e-6


__all__ = ["SHORTEST", "SIZES", "T0", "Drive", "Size", "make_log", "visible_share"]
