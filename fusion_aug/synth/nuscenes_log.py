"""A small made log in nuScenes format: 3 cameras, LiDAR with a sweep between keyframes, radar, boxes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calib import CameraSensor, Pinhole
from calib.nuscenes import record_from_pose
from calib.se3 import rotation_about, se3
from fusion_aug.logs.files import write_image, write_json
from fusion_aug.logs.nuscenes_clouds import encode_lidar, encode_radar
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.random import digest
from fusion_aug.synth.sensors import detect, scan, take_picture
from fusion_aug.synth.world import Array, Block, World, street

T0 = 1_600_000_000_000_000  # microseconds
SPEED = 4.0  # m/s, the ego vehicle along x
CATEGORIES = ("vehicle.car", "human.pedestrian.adult")
# camera: yaw (degrees), position, stamp after the keyframe (s)
CAMERAS = {
    "CAM_FRONT": (0.0, (1.7, 0.0, 1.5), -0.035),
    "CAM_FRONT_RIGHT": (-55.0, (1.5, -0.5, 1.5), -0.043),
    "CAM_FRONT_LEFT": (55.0, (1.5, 0.5, 1.5), -0.028),
}
LIDAR = ((0.9, 0.0, 1.84), -90.0)
RADAR = ((3.4, 0.0, 0.5), 0.0)


@dataclass
class Builder:
    """Collects table rows while files are written below ``out``."""

    out: Path
    seed: int
    size: tuple[int, int]
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def token(self, *parts: object) -> str:
        """A stable token of 32 hex digits."""
        return digest("made log", self.seed, *map(str, parts))

    def add(self, table: str, token: str, **row: Any) -> str:
        """Append a row and return its token."""
        self.tables.setdefault(table, []).append({"token": token, **row})
        return token


def make_log(
    out: Path, *, frames: int = 5, seed: int = 0, size: tuple[int, int] = (396, 704), columns: int = 720
) -> Path:
    """Write the log.

    Args:
        out: folder, made if missing.
        frames: keyframes, at 2 Hz.
        seed: of the street and of the noise.
        size: (height, width) of the pictures.
        columns: LiDAR columns per turn (32 rings).

    Returns:
        ``out``.
    """
    b = Builder(Path(out), seed, size)
    blocks = street(seed)
    mounted = _fixed_tables(b)
    stamps = [T0 + i * 500_000 for i in range(frames)]
    samples = [b.token("sample", i) for i in range(frames)]
    scene = b.token("scene")
    ends = {"first_sample_token": samples[0], "last_sample_token": samples[-1], "nbr_samples": frames}
    b.add("scene", scene, log_token=b.token("log"), name="made-0001", description="A street of boxes", **ends)
    for i, stamp in enumerate(stamps):
        near = {"prev": samples[i - 1] if i else "", "next": samples[i + 1] if i + 1 < frames else ""}
        b.add("sample", samples[i], timestamp=stamp, scene_token=scene, **near)
        if i:  # one LiDAR sweep between keyframes belongs to the later one
            _lidar(b, blocks, mounted, samples[i], stamp - 250_000, False, columns)
        cloud = _lidar(b, blocks, mounted, samples[i], stamp, True, columns)
        _radar(b, blocks, mounted, samples[i], stamp)
        for name, (_, _, delay) in CAMERAS.items():
            _picture(b, blocks, mounted, name, samples[i], stamp + round(delay * 1e6))
        _annotations(b, blocks, samples, i, stamp, cloud, ego_pose(stamp) @ mounted["LIDAR_TOP"][1])
    _chain(b)
    for table, rows in b.tables.items():
        write_json(rows, b.out / "v1.0-mini" / f"{table}.json")
    return b.out


def ego_pose(stamp: int) -> Array:
    """``T_world_ego`` at a stamp in microseconds."""
    T = np.eye(4)
    T[0, 3] = SPEED * (stamp - T0) * 1e-6 - 4.0
    T[1, 3] = -1.9
    return T


def camera_sensor(name: str, size: tuple[int, int]) -> CameraSensor:
    """The camera called ``name``, 70 degrees wide."""
    focal = size[1] / 2 / np.tan(np.radians(35))
    model = Pinhole.from_focal(focal, focal, (size[1] - 1) / 2, (size[0] - 1) / 2, size)
    return CameraSensor(frame=name, model=model)


def _fixed_tables(b: Builder) -> dict[str, tuple[str, Array]]:
    """Tables that do not depend on time; returns channel -> (token, ``T_ego_sensor``)."""
    forward = rotation_about("z", -np.pi / 2) @ rotation_about("x", -np.pi / 2)  # camera axes to vehicle axes
    mounts = {"LIDAR_TOP": ("lidar", se3(rotation_about("z", np.radians(LIDAR[1])), LIDAR[0]))}
    mounts["RADAR_FRONT"] = ("radar", se3(rotation_about("z", np.radians(RADAR[1])), RADAR[0]))
    for name, (yaw, position, _) in CAMERAS.items():
        mounts[name] = ("camera", se3(rotation_about("z", np.radians(yaw)) @ forward, position))
    out = {}
    for name, (modality, T) in mounts.items():
        sensor = b.add("sensor", b.token("sensor", name), channel=name, modality=modality)
        K = camera_sensor(name, b.size).model.K.tolist() if modality == "camera" else []
        token = b.add(
            "calibrated_sensor",
            b.token("mounted", name),
            sensor_token=sensor,
            **record_from_pose(T),
            camera_intrinsic=K,
        )
        out[name] = (token, T.numpy())
    for name in CATEGORIES:
        b.add("category", b.token("category", name), name=name, description=name)
    for level, text in (("1", "v0-40"), ("2", "v40-60"), ("3", "v60-80"), ("4", "v80-100")):
        b.add("visibility", level, level=text, description=text)
    for name in ("vehicle.parked", "vehicle.moving", "pedestrian.moving"):
        b.add("attribute", b.token("attribute", name), name=name, description=name)
    b.add("log", b.token("log"), logfile="made", vehicle="made", date_captured="2026-01-01", location="made")
    b.add("map", b.token("map"), log_tokens=[b.token("log")], category="semantic_prior", filename="")
    return out


def _data(
    b: Builder, mounted: str, sample: str, stamp: int, key: bool, channel: str, ending: str, size: tuple[int, int]
) -> Path:
    """Add the records of one file and return its path."""
    pose = b.add(
        "ego_pose",
        b.token("pose", channel, stamp),
        timestamp=stamp,
        **record_from_pose(torch.from_numpy(ego_pose(stamp))),
    )
    filename = f"{'samples' if key else 'sweeps'}/{channel}/made__{channel}__{stamp}{ending}"
    b.add("sample_data", b.token("data", channel, stamp), sample_token=sample, ego_pose_token=pose,
          calibrated_sensor_token=mounted, timestamp=stamp, fileformat=ending.split(".")[1], is_key_frame=key,
          height=size[0], width=size[1], filename=filename, prev="", next="")  # fmt: skip
    path = b.out / filename
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _seconds(stamp: int) -> float:
    return (stamp - T0) * 1e-6


def _lidar(
    b: Builder, blocks: list[Block], mounted: dict[str, Any], sample: str, stamp: int, key: bool, columns: int
) -> Array:
    token, T = mounted["LIDAR_TOP"]
    path = _data(b, token, sample, stamp, key, "LIDAR_TOP", ".pcd.bin", (0, 0))
    rng = np.random.default_rng([b.seed, stamp])
    elevations = np.radians(np.linspace(-30.0, 10.0, 32))
    points = scan(World(blocks, _seconds(stamp)), ego_pose(stamp) @ T, elevations, columns, rng)
    path.write_bytes(
        encode_lidar({k: torch.from_numpy(points[k].astype(np.float32)) for k in ("xyz", "intensity", "ring")})
    )
    return points["xyz"]


def _radar(b: Builder, blocks: list[Block], mounted: dict[str, Any], sample: str, stamp: int) -> None:
    token, T = mounted["RADAR_FRONT"]
    path = _data(b, token, sample, stamp, True, "RADAR_FRONT", ".pcd", (0, 0))
    found = detect(World(blocks, _seconds(stamp)), ego_pose(stamp) @ T, np.array([SPEED, 0.0, 0.0]))
    columns = {k: torch.from_numpy(np.asarray(v, np.float32)) for k, v in found.items()}
    n = len(found["rcs"])
    flags = torch.zeros((n, 10), dtype=torch.int64)
    flags[:, 1] = torch.arange(n)
    flags[:, 2], flags[:, 3] = 1, 3  # valid quality, unambiguous
    path.write_bytes(encode_radar({**columns, "flags": flags}))


def _picture(b: Builder, blocks: list[Block], mounted: dict[str, Any], name: str, sample: str, stamp: int) -> None:
    token, T = mounted[name]
    path = _data(b, token, sample, stamp, True, name, ".jpg", b.size)
    picture = take_picture(World(blocks, _seconds(stamp)), camera_sensor(name, b.size), ego_pose(stamp) @ T)
    write_image(torch.from_numpy(picture), path)


def _annotations(
    b: Builder, blocks: list[Block], samples: list[str], i: int, stamp: int, cloud: Array, T_world_lidar: Array
) -> None:
    outlines = [block for block in blocks if block.look == "outline"]
    poses = torch.from_numpy(np.stack([o.pose(_seconds(stamp)) for o in outlines]))
    sizes = torch.tensor([o.size for o in outlines], dtype=torch.float64)
    world = torch.from_numpy(cloud @ T_world_lidar[:3, :3].T + T_world_lidar[:3, 3])
    counts = [len(rows) for rows in points_in_boxes(world, poses, sizes)]
    for o, pose, count in zip(outlines, poses, counts, strict=True):
        instance = b.token("instance", o.owner)
        around = [b.token("box", o.owner, j) if 0 <= j < len(samples) else "" for j in (i - 1, i, i + 1)]
        moving = "moving" if any(o.velocity) else "parked"
        kind = "vehicle" if o.category.startswith("vehicle") else "pedestrian"
        length, width, height = o.size
        b.add("sample_annotation", around[1], sample_token=samples[i], instance_token=instance, num_radar_pts=0,
              attribute_tokens=[b.token("attribute", f"{kind}.{moving}")], visibility_token="4",
              size=[width, length, height], **record_from_pose(pose), num_lidar_pts=count,
              prev=around[0], next=around[2])  # fmt: skip
        if i == 0:
            ends = (b.token("box", o.owner, 0), b.token("box", o.owner, len(samples) - 1))
            b.add("instance", instance, category_token=b.token("category", o.category), nbr_annotations=len(samples),
                  first_annotation_token=ends[0], last_annotation_token=ends[1])  # fmt: skip


def _chain(b: Builder) -> None:
    """Link the records of each channel in time."""
    by_channel: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(b.tables["sample_data"], key=lambda r: r["timestamp"]):
        by_channel.setdefault(row["calibrated_sensor_token"], []).append(row)
    for rows in by_channel.values():
        for first, second in itertools.pairwise(rows):
            first["next"], second["prev"] = second["token"], first["token"]
