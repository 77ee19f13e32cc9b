"""Small samples that hold every kind of stream, for property tests."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec

import numpy as np
import torch
from arm import with_arm

import fusion_aug as fa
from calib import BrownConrady, CameraSensor, Frame, ImuSensor, KannalaBrandt, LidarSensor, Pinhole, RadarSensor, Rig
from calib.se3 import rotation_about, se3
from calib.trajectory import Trajectory
from fusion_aug.sample import SampleMeta
from fusion_aug.streams import rectangle_corners, strings

T0 = 1_600_000_000_000_000_000
FORWARD = rotation_about("z", -np.pi / 2) @ rotation_about("x", -np.pi / 2)
Given = ParamSpec("Given")
SPEED, TURN = 6.0, 0.2  # m/s along x, rad/s about z


def ego_pose(time: int) -> torch.Tensor:
    """``T_world_ego``: a steady curve, the body tilted and turned against its path."""
    t = (time - T0) * 1e-9
    radius = SPEED / TURN
    position = [10 + radius * np.sin(TURN * t), 5 + radius * (1 - np.cos(TURN * t)), 0.3]
    tilt = rotation_about("y", 0.03) @ rotation_about("x", -0.02)
    return se3(rotation_about("z", 0.4 + TURN * t) @ tilt, position)


def camera_models(size: tuple[int, int]) -> dict[str, object]:
    """One camera of each lens; the two Brown-Conrady ones are mirror partners."""
    h, w = size
    f, cx, cy = 0.7 * w, (w - 1) / 2 + 0.4, (h - 1) / 2 - 0.7
    brown = [-0.05, 0.02, 0.002, -0.003, 0.004, 0.01, -0.004, 0.001]
    return {
        "CAM_FRONT": Pinhole.from_focal(f, 1.1 * f, cx, cy, size, skew=0.3),
        "CAM_LEFT": BrownConrady.from_focal(f, f, cx, cy, size, brown),
        "CAM_RIGHT": BrownConrady.from_focal(1.05 * f, f, cx + 1, cy, size, brown[:5]),
        "FISHEYE": KannalaBrandt.from_focal(0.35 * w, 0.35 * w, cx, cy, size, [0.02, -0.004, 0.001, -0.0003]),
    }


def make_rig(size: tuple[int, int], times: list[int]) -> Rig:
    """Vehicle with four cameras, LiDAR, radar and IMU, moving through the world."""
    poses = torch.stack([ego_pose(t) for t in times])
    frames = {
        "world": Frame(axis_convention="world"),
        "ego": Frame(parent="world", pose=Trajectory.from_unsorted(torch.tensor(times), poses)),
        "lidar": Frame(parent="ego", pose=se3(rotation_about("z", -1.5) @ rotation_about("x", 0.02), [0.9, 0.1, 1.8])),
        "radar": Frame(parent="ego", pose=se3(rotation_about("z", 0.1), [3.4, 0.0, 0.5])),
        "imu": Frame(parent="ego", pose=se3(rotation_about("z", 0.3) @ rotation_about("x", 0.2), [0.1, 0.0, 0.4])),
    }
    sensors = {
        "lidar": LidarSensor(frame="lidar", intensity_scale=1.0),
        "radar": RadarSensor(frame="radar"),
        "imu": ImuSensor(frame="imu"),
    }
    yaws = {"CAM_FRONT": 0.02, "CAM_LEFT": 0.9, "CAM_RIGHT": -0.85, "FISHEYE": 0.3}
    partner = {"CAM_LEFT": "CAM_RIGHT", "CAM_RIGHT": "CAM_LEFT"}
    for name, model in camera_models(size).items():
        tilt = rotation_about("x", 0.03)
        frames[name] = Frame(
            parent="ego",
            pose=se3(rotation_about("z", yaws[name]) @ FORWARD @ tilt, [1.5, yaws[name], 1.5]),
            axis_convention="camera",
        )
        sensors[name] = CameraSensor(frame=name, model=model, mirror_of=partner.get(name))
    return Rig(frames, sensors)


def copied(make: Callable[Given, fa.Sample]) -> Callable[Given, fa.Sample]:
    """Make a sample once in a process, and give each test a deep copy, which takes an eighth of the time."""
    made = cache(make)

    @wraps(make)
    def copy_of(*args: Given.args, **settings: Given.kwargs) -> fa.Sample:
        return copy.deepcopy(made(*args, **settings))

    return copy_of


@copied
def make_sample(
    sample_id: str = "s0",
    *,
    scene: str = "scene",
    time: int = T0,
    size: tuple[int, int] = (48, 64),
    points: int = 400,
    boxes: int = 5,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    anchor: torch.Tensor | None = None,
    gels: bool = True,
) -> fa.Sample:
    """A sample with every kind of stream; LiDAR with one sweep, cameras with times of their own.

    ``gels=False`` leaves tactile pictures out: what changes levels refuses them, and they are rendered on the CPU.
    """
    rng = np.random.default_rng(seed)
    stamps = {"lidar": [time - 50_000_000, time], "radar": [time + 3_000_000]}
    cameras = {n: time + 7_000_000 * (i + 1) for i, n in enumerate(camera_models(size))}
    joint_times = [time + 4_000_000 * k for k in range(-18, 19)]
    imu_times = [time + 2_000_000 * k for k in range(-4, 5)]
    rig = make_rig(size, sorted({*stamps["lidar"], *stamps["radar"], *cameras.values(), *imu_times, *joint_times}))
    streams: dict[str, fa.Stream] = {}
    poses, sizes, velocity, angular = _boxes(rng, boxes)
    streams["lidar"] = _lidar(rng, rig, stamps["lidar"], time, points, poses, sizes, dtype)
    streams["radar"] = _radar(rig, stamps["radar"], time, poses, velocity)
    for name, stamp in cameras.items():
        noise = rng.integers(0, 256, (max(1, size[0] // 4), max(1, size[1] // 4), 3), dtype=np.uint8)
        picture = torch.from_numpy(noise).repeat_interleave(4, 0).repeat_interleave(4, 1)[: size[0], : size[1]]
        padded = torch.zeros((*size, 3), dtype=torch.uint8)
        padded[: picture.shape[0], : picture.shape[1]] = picture
        streams[name] = fa.Camera(frame=name, capture_times=torch.tensor([stamp]), items=(padded,))
    front = cameras["CAM_FRONT"]
    depth = torch.from_numpy(rng.uniform(2, 60, size).astype(np.float32))
    streams["CAM_FRONT/depth"] = fa.Depth(
        frame="CAM_FRONT", camera="CAM_FRONT", capture_times=torch.tensor([front]), items=(depth,)
    )
    mask = torch.from_numpy(rng.integers(0, 20, size).astype(np.uint8))
    streams["CAM_LEFT/mask"] = fa.SegmentationMask(
        frame="CAM_LEFT", camera="CAM_LEFT", capture_times=torch.tensor([cameras["CAM_LEFT"]]), items=(mask,)
    )
    names = strings(f"box{i}" for i in range(boxes))
    streams["boxes"] = fa.Boxes3D(
        frame="ref",
        capture_times=torch.tensor([time]),
        values={"pose": poses, "size": sizes, "velocity": velocity, "angular_velocity": angular,
                "category": strings(["car"] * boxes), "instance": names, "record": names},
    )  # fmt: skip
    corner = torch.from_numpy(rng.uniform(0, 0.5, (boxes, 2))) * torch.tensor([size[1], size[0]])
    flat = torch.cat([corner, corner + torch.tensor([size[1], size[0]]) * 0.3], 1)
    streams["CAM_RIGHT/flat"] = fa.Boxes2D(
        frame="CAM_RIGHT", camera="CAM_RIGHT", capture_times=torch.tensor([cameras["CAM_RIGHT"]]),
        values={"corners": rectangle_corners(flat), "category": strings(["car"] * boxes), "instance": names},
    )  # fmt: skip
    track = rig.frames["ego"].pose
    heading = TURN * (track.times - T0) * 1e-9
    along = torch.stack([SPEED * torch.cos(heading), SPEED * torch.sin(heading), torch.zeros(len(heading))], 1).double()
    to_body = track.poses[:, :3, :3].transpose(1, 2)
    turning = torch.tensor([0.0, 0.0, TURN], dtype=torch.float64)
    streams["ego"] = fa.EgoPose(
        frame="world", child="ego", capture_times=track.times,
        values={"pose": track.poses,
                "velocity": (to_body @ along[..., None])[..., 0], "angular_velocity": to_body @ turning},
    )  # fmt: skip
    streams["wheels"] = fa.Odometry(
        frame="ego", capture_times=track.times,
        values={"velocity": streams["ego"]["velocity"].clone(), "angular_velocity": to_body @ turning},
    )  # fmt: skip
    streams["imu"] = fa.Imu(
        frame="imu", capture_times=torch.tensor(imu_times),
        values={"gyro": torch.from_numpy(rng.normal(size=(9, 3))), "accel": torch.from_numpy(rng.normal(size=(9, 3)))},
    )  # fmt: skip
    streams["caption"] = fa.Text(
        frame="ref", capture_times=torch.tensor([time]), values={"text": strings(["Turn left at the car on the right"])}
    )
    streams["waypoints"] = make_waypoints(time, ["ego", *names], at=poses)
    streams["map"] = _road(rng, time)
    rig, robot = with_arm(rig, time, size, gels)
    streams |= robot
    meta = SampleMeta(
        id=sample_id, scene=scene, ref=fa.Ref("ego", time), rig=rig, true_rig=rig, clock="lidar",
        anchor=ego_pose(T0) if anchor is None else anchor,
    )  # fmt: skip
    return fa.Sample(metas=(meta,), streams=streams)


def make_waypoints(
    time: int, names: list[str], step: float = 0.5, steps: tuple[int, int] = (-2, 4), at: torch.Tensor | None = None
) -> fa.Waypoints:
    """The ego and boxes (at poses ``at``) of several speeds and accelerations, turning, at multiples of ``step`` s."""
    t = torch.arange(steps[0], steps[1] + 1, dtype=torch.float64) * step
    poses, velocities = [], []
    for k in range(len(names)):
        start = at[k - 1] if at is not None and k else torch.eye(4, dtype=torch.float64)
        speed, change = torch.tensor([[4.0 - k, 0.5 * k, 0.1], [0.3, -0.2 * k, 0.02]], dtype=torch.float64)
        place = start[:3, 3] + t[:, None] * speed + t[:, None] ** 2 * change / 2
        poses.append(se3(start[:3, :3] @ rotation_about("z", 0.1 * t), place))
        velocities.append(speed + t[:, None] * change)
    values = {"pose": torch.cat(poses), "velocity": torch.cat(velocities), "time_offset": t.repeat(len(names)),
              "instance": strings(np.repeat(names, len(t)))}  # fmt: skip
    return fa.Waypoints(frame="ref", capture_times=torch.tensor([time]), values=values)


def _boxes(rng: np.random.Generator, n: int) -> tuple[torch.Tensor, ...]:
    yaw = torch.from_numpy(rng.uniform(-3, 3, n))
    tilt = rotation_about("y", torch.from_numpy(rng.uniform(-0.1, 0.1, n)))
    spread = np.stack([rng.uniform(-20, 30, n), rng.uniform(-15, 15, n), rng.uniform(0, 2, n)], 1)
    poses = se3(rotation_about("z", yaw) @ tilt, torch.from_numpy(spread))
    sizes = torch.from_numpy(rng.uniform([3, 1.5, 1.4], [5, 2, 2], (n, 3)))
    return poses, sizes, torch.from_numpy(rng.normal(size=(n, 3)) * 4), torch.from_numpy(rng.normal(size=(n, 3)))


def _road(rng: np.random.Generator, time: int) -> fa.MapElements:
    """Both boundaries and the centre line of a lane, and an area with a hole."""
    x = np.linspace(-20, 30, 6)
    lines = [np.stack([x, np.full(6, y), rng.normal(0, 0.1, 6)], axis=1) for y in (1.8, -1.8, 0.0)]
    sides = {"left": "lane_divider", "right": "lane_boundary", "": "centerline"}
    square = np.array([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])
    elements = [
        fa.MapElement(category, [line], side=side, mark="DASHED_WHITE" if side == "left" else "", record="lane")
        for (side, category), line in zip(sides.items(), lines, strict=True)
    ]
    area = fa.MapElement("drivable_area", [square * [25, 8, 0], square * [5, 2, 0]], closed=True, record="area")
    return fa.MapElements.of([*elements, area], frame="ref", time=time)


def _lidar(rng, rig, stamps, time, n, poses, sizes, dtype):  # type: ignore[no-untyped-def]
    clouds = []
    for stamp in stamps:
        free = rng.uniform([-30, -25, -1.5], [40, 25, 4], (n // 2, 3))
        inside = np.zeros((0, 3))
        if len(poses):
            which = rng.integers(0, len(poses), n - n // 2)
            local = rng.uniform(-0.45, 0.45, (len(which), 3)) * sizes.numpy()[which]
            inside = (poses[which, :3, :3].numpy() @ local[..., None])[..., 0] + poses[which, :3, 3].numpy()
        in_ref = np.concatenate([free, inside])
        T = torch.linalg.inv(rig.T("ego", "lidar", stamp, time)).numpy()
        clouds.append(torch.from_numpy(in_ref @ T[:3, :3].T + T[:3, 3]).to(dtype))
    counts = [len(c) for c in clouds]
    total = sum(counts)
    values = {
        "xyz": torch.cat(clouds),
        "intensity": torch.from_numpy(rng.uniform(0, 1, total).astype(np.float32)),
        "ring": torch.from_numpy(rng.integers(0, 32, total)),
        "time_offset": torch.from_numpy(rng.uniform(-0.05, 0, total).astype(np.float32)),
    }
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return fa.Lidar(frame="lidar", capture_times=torch.tensor(stamps), values=values, offsets=offsets)


def _radar(rig, stamps, time, poses, velocity):  # type: ignore[no-untyped-def]
    """One detection at the centre of every box, with the box's own radial velocity as compensated Doppler."""
    T = torch.linalg.inv(rig.T("ego", "radar", stamps[0], time))
    local = poses[:, :3, 3] @ T[:3, :3].T + T[:3, 3]
    ray = local / local.norm(dim=1, keepdim=True)
    v = velocity @ T[:3, :3].T
    along = (v * ray).sum(1, keepdim=True) * ray
    n = len(poses)
    values = {
        "xyz": local.to(torch.float32),
        "velocity": (along - ray).to(torch.float32),
        "velocity_comp": along.to(torch.float32),
        "rcs": torch.zeros(n),
        "flags": torch.zeros((n, 10), dtype=torch.int64),
    }
    return fa.Radar(frame="radar", capture_times=torch.tensor(stamps), values=values, offsets=torch.tensor([0, n]))


@copied
def make_batch(n: int = 3, gels: bool = True) -> fa.Sample:
    """A batch of samples of two scenes."""
    return fa.collate(
        [make_sample(f"s{i}", scene=f"scene{i % 2}", seed=i, points=200 + 40 * i, gels=gels) for i in range(n)]
    )
