"""The chain of the core: six scene and image-plane transforms on a surround rig."""

from __future__ import annotations

import cv2
import numpy as np
import torch

import fusion_aug as fa
from benchmarks.timing import Figure, interleaved_ms, measured
from benchmarks.zone_plate import measured as zone_plate
from calib import CameraSensor, Frame, LidarSensor, Pinhole, Rig, Trajectory
from calib.se3 import rotation_about, se3
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import SampleMeta

SIZE, CANVAS = (900, 1600), (256, 704)
POINTS, BOXES, CAMERAS = 120_000, 80, 6


def surround_sample() -> fa.Sample:
    """Six cameras 1600x900, 120,000 points, 80 boxes, made of noise."""
    rng = np.random.default_rng(0)
    times = [1000 * i for i in range(CAMERAS + 1)]
    poses = se3(
        rotation_about("z", torch.linspace(0, 0.01, CAMERAS + 1).double()), torch.zeros(CAMERAS + 1, 3).double()
    )
    frames = {
        "world": Frame(axis_convention="world"),
        "ego": Frame(parent="world", pose=Trajectory(torch.tensor(times), poses)),
        "LIDAR": Frame(parent="ego", pose=se3(rotation_about("z", -1.57), [0.9, 0, 1.8])),
    }
    sensors: dict = {"LIDAR": LidarSensor(frame="LIDAR")}
    streams: dict[str, fa.Stream] = {}
    for i in range(CAMERAS):
        name = f"CAM_{i}"
        turn = rotation_about("z", i * np.pi / 3 - np.pi / 2) @ rotation_about("x", -np.pi / 2)
        frames[name] = Frame(parent="ego", pose=se3(turn, [1.0, 0, 1.5]), axis_convention="camera")
        sensors[name] = CameraSensor(frame=name, model=Pinhole.from_focal(1260, 1260, 810, 490, SIZE))
        picture = torch.from_numpy(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        streams[name] = fa.Camera(frame=name, capture_times=torch.tensor([times[i + 1]]), items=(picture,))
    xyz = torch.from_numpy(rng.normal(size=(POINTS, 3)).astype(np.float32) * [30, 30, 2]).float()
    values = {"xyz": xyz, "intensity": torch.rand(POINTS), "ring": torch.zeros(POINTS, dtype=torch.int64)}
    streams["LIDAR"] = fa.Lidar(frame="LIDAR", capture_times=torch.tensor([0]), values=values)
    pose = se3(
        rotation_about("z", torch.from_numpy(rng.uniform(-3, 3, BOXES))),
        torch.from_numpy(rng.normal(size=(BOXES, 3)) * 25),
    )
    size = torch.from_numpy(rng.uniform([3, 1.5, 1.4], [12, 3, 3.5], (BOXES, 3)))
    velocity = torch.zeros(BOXES, 3).double()
    streams["boxes"] = fa.Boxes3D(
        frame="ref", capture_times=torch.tensor([0]), values={"pose": pose, "size": size, "velocity": velocity}
    )
    streams["ego"] = fa.EgoPose(
        frame="world", child="ego", capture_times=torch.tensor(times),
        values={"pose": poses, "velocity": torch.zeros(7, 3).double(), "angular_velocity": torch.zeros(7, 3).double()},
    )  # fmt: skip
    rig = Rig(frames, sensors)
    meta = SampleMeta(id="bench", scene="bench", ref=fa.Ref("ego", 0), rig=rig, true_rig=rig, clock="LIDAR")
    return fa.Sample(metas=(meta,), streams=streams)


def chain() -> fa.Compose:
    """Six transforms: four of the scene, two of the image plane."""
    return fa.Compose(
        [
            fa.RotateScene(yaw_deg=[-45, 45]),
            fa.MirrorScene(axis="y"),
            fa.ScaleScene(scale=[0.9, 1.1]),
            fa.TranslateScene(x=[-1, 1], y=[-1, 1]),
            fa.ResizeCrop(size=CANVAS, scale=0.44, x=[0, 1], y=1.0),
            fa.RotateImage(angle_deg=[-5, 5]),
        ]
    )


def measure() -> list[Figure]:
    """All figures of the core."""
    sample, pipeline = surround_sample(), chain()
    out = pipeline(sample, seed=1)
    figures = [bookkeeping_figure(sample, pipeline), *image_figures(sample, out), *point_figures(sample, out)]
    return [*figures, boxes_figure(sample)]


def bookkeeping_figure(sample: fa.Sample, pipeline: fa.Compose) -> Figure:
    """Six transforms, nothing read out, against the bare products that move every frame of the rig once for each."""
    T = torch.eye(4, dtype=torch.float64)

    def products() -> None:
        for _ in range(6 * len(sample.rig.frames)):
            _ = T @ T @ T

    against = (f"{12 * len(sample.rig.frames)} products of 4x4", products)
    return measured("bookkeeping of 6 transforms", lambda: pipeline(sample, seed=1), against, 25.0, 100)


def image_figures(sample: fa.Sample, out: fa.Sample) -> list[Figure]:
    """Six pictures resampled once, against six bare ``cv2.warpAffine`` of the same matrices."""
    cameras = list(out.of_type(fa.Camera).values())
    pictures = [c.items[0].numpy() for c in cameras]
    matrices = [c.pending[0].matrix().numpy()[:2] for c in cameras]  # type: ignore[union-attr]

    def bare() -> None:
        for picture, matrix in zip(pictures, matrices, strict=True):
            cv2.warpAffine(picture, matrix, CANVAS[::-1], flags=cv2.INTER_LINEAR)

    from dataclasses import replace

    sharp = [replace(c, antialias=False) for c in cameras]

    def ours(streams: list) -> None:
        for stream in streams:
            stream.image(0)

    base, plain, smooth = interleaved_ms([bare, lambda: ours(sharp), lambda: ours(cameras)])
    against, share = "6 cv2.warpAffine", zone_plate(0.44)[0]
    return [
        Figure("6 images, no anti-aliasing", plain, against, base, 1.3),
        Figure("6 images, anti-aliased", smooth, against, base, 3.0, f"zone plate x0.44: {share:.1%} of its residual"),
    ]


def point_figures(sample: fa.Sample, out: fa.Sample) -> list[Figure]:
    """120,000 points through all motions and into the reference frame, against one product."""
    xyz = sample["LIDAR"]["xyz"]
    R, t = torch.linalg.qr(torch.randn(3, 3))[0], torch.randn(3)
    bare = ("xyz @ R.T + t", lambda: xyz @ R.T + t)
    return [measured("120k points to the reference frame", lambda: out.points("LIDAR"), bare, 1.0)]


def boxes_figure(sample: fa.Sample) -> Figure:
    """Points in 80 boxes, against the plain test of every pair, which finds the same."""
    cloud, boxes = sample.points("LIDAR")["xyz"], sample.boxes()

    def plain() -> list[torch.Tensor]:
        found = []
        for pose, size in zip(boxes["pose"], boxes["size"], strict=True):
            local = (cloud.double() - pose[:3, 3]) @ pose[:3, :3]
            found.append((local.abs() <= size / 2).all(1).nonzero()[:, 0])
        return found

    def ours() -> list[torch.Tensor]:
        return points_in_boxes(cloud, boxes["pose"], boxes["size"])

    assert all(torch.equal(a, b) for a, b in zip(plain(), ours(), strict=True))
    note = f"exact, {sum(map(len, ours()))} points inside"
    return measured("points in boxes, 120k x 80", ours, ("every pair", plain), 0.06, 9, note=note)
