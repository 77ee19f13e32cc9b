"""Radar, LiDAR and moved cameras."""

from __future__ import annotations

import numpy as np
import torch

import fusion_aug as fa
from benchmarks import primitives
from benchmarks.timing import Figure, measured
from calib import BrownConrady, CameraModel, CameraSensor, Frame, KannalaBrandt, Pinhole, RadarSensor, Rig
from calib.se3 import rotation_about, se3
from fusion_aug.ops.image_map import ImageMap, RotatedView
from fusion_aug.ops.rings import to_elevations
from fusion_aug.ops.view import moved_view
from fusion_aug.ops.warp import gather, warp
from fusion_aug.sample import SampleMeta

SIZE = (900, 1600)


def measure() -> list[Figure]:
    """All of them."""
    return [*radar_figures(), ring_figure(), *view_figures()]


def radar_figures(detections: int = 125) -> list[Figure]:
    """One radar of nuScenes' usual size through each transform, bookkeeping included."""
    rng = np.random.default_rng(0)
    azimuth, distance, n = rng.uniform(-1, 1, detections), rng.uniform(3, 90, detections), detections
    ray = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)], 1)
    values = {
        "xyz": ray * distance[:, None], "velocity": ray * rng.normal(size=(n, 1)),
        "velocity_comp": ray * rng.normal(size=(n, 1)), "rcs": rng.uniform(-5, 20, n),
    }  # fmt: skip
    columns = {k: torch.from_numpy(v).float() for k, v in values.items()}
    columns["flags"] = torch.zeros((n, 10), dtype=torch.int64)
    rig = Rig({"ego": Frame(), "radar": Frame(parent="ego")}, {"radar": RadarSensor(frame="radar")})
    meta = SampleMeta(id="r", scene="r", ref=fa.Ref("ego", 0), rig=rig, true_rig=rig, clock="radar")
    radar = fa.Radar(frame="radar", capture_times=torch.tensor([0]), values=columns)
    sample = fa.Sample(metas=(meta,), streams={"radar": radar})
    transforms = [
        fa.RcsNoise(sigma=2.0), fa.RadarNoise(range=0.5, azimuth=0.5, doppler=0.5), fa.RadarMissed(share=0.1),
        fa.RadarGhosts(share=0.05), fa.RadarClutter(rate=5.0), fa.DopplerFolding(max_doppler=20.0),
    ]  # fmt: skip
    name = f"radar, {detections} detections: "
    bare = ("its columns drawn for and chosen", primitives.columns(columns))
    return [measured(name + type(t).__name__, lambda t=t: t(sample, seed=1), bare, 18.0) for t in transforms]


def ring_figure() -> Figure:
    """A scan of 64 x 1800 rays in a street-like cylinder, as 32 beams."""
    old = np.radians(np.linspace(-25, 5, 64))
    azimuth = np.linspace(-np.pi, np.pi, 1800, endpoint=False)
    e, a = np.meshgrid(old, azimuth, indexing="ij")
    distance = np.minimum(1.8 / np.maximum(np.sin(-e), 1e-3), 30 + 5 * np.sin(3 * a))
    xyz = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], -1) * distance[..., None]
    ring = np.repeat(np.arange(64), 1800)
    points, rings = torch.from_numpy(xyz.reshape(-1, 3)).float(), torch.from_numpy(ring)
    new = np.radians(np.linspace(-25, 5, 32))
    flat = np.ascontiguousarray(a.ravel())

    def sorted_rows() -> np.ndarray:
        return xyz.reshape(-1, 3)[np.lexsort((flat, ring))]

    bare = ("sort of as many by ring and azimuth", sorted_rows)
    return measured(
        "RingResample 64 to 32, 115k points", lambda: to_elevations(points, rings, old, new), bare, 35.0, 10
    )


def view_figures() -> list[Figure]:
    """A rotated camera of each lens, and a shifted one with a depth picture."""
    rng = np.random.default_rng(0)
    picture = torch.from_numpy(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    K = (1260.0, 1260.0, 810.0, 490.0, SIZE)
    lenses: dict[str, CameraModel] = {
        "pinhole": Pinhole.from_focal(*K),
        "Brown-Conrady": BrownConrady.from_focal(*K, [-0.1, 0.03, 0.001, -0.001, 0.0]),
        "Kannala-Brandt": KannalaBrandt.from_focal(500.0, 500.0, 810.0, 490.0, SIZE, [0.02, -0.004, 0.001, 0.0]),
    }
    figures, R = [], rotation_about("y", 0.05)
    remap = ("cv2.remap, maps at hand", primitives.remapped(picture.numpy()))
    for name, model in lenses.items():
        step = ImageMap((RotatedView(CameraSensor(frame="c", model=model), R),), SIZE)
        label = f"Viewpoint rotation, {name}, 1600x900"
        figures.append(measured(label, lambda s=step: warp(picture, s), remap, 20.0, 9))
    sensor = CameraSensor(frame="c", model=lenses["pinhole"])
    v = torch.arange(SIZE[0])[:, None].expand(SIZE)
    distance = torch.where(v > 500, 1260.0 * 1.5 / (v - 490).clamp(min=1), torch.full(SIZE, 60.0)).float()
    move = se3(translation=[0.3, 0.0, 0.0])

    def shift() -> None:
        gather(picture, moved_view(sensor, distance, move).source)

    bare = ("a bare z-buffer and cv2.remap", primitives.z_buffer(distance.numpy(), 1260.0, 0.3))
    return [*figures, measured("Viewpoint shift, pinhole, 1600x900", shift, bare, 40.0, 5)]
