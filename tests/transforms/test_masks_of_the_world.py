"""Pixel masks after geometry against what the world shows a camera that is moved instead of its picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import CameraSensor, Frame, Rig
from fusion_aug.sample import SampleMeta
from fusion_aug.synth.sensors import take_masks
from fusion_aug.synth.town import make_town
from fusion_aug.synth.vehicle import vehicle
from fusion_aug.synth.world import KINDS, Scenery, World

SIZE, TIME, STAMP = (396, 704), 4.0, 1_600_000_000_000_000_000
CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "FISHEYE_FRONT")  # a plain lens, one that a mirror swaps, one past 80 degrees
PIPELINES = {
    "crop and scale": [fa.ResizeCrop(size=(320, 576), scale=0.87, x=0.3, y=0.6)],
    "turned pixels": [fa.RotateImage(angle_deg=7.0), fa.Crop(size=(270, 400), x=0.4, y=0.7)],
    "turned camera": [fa.Viewpoint(y_deg=3.0, x_deg=-1.5, z_deg=2.0)],
    "perspective": [fa.PerspectiveImage(strength=0.12)],
    "all": [
        fa.Viewpoint(y_deg=-4.0, z_deg=-1.0), fa.FlipImage(p=1.0), fa.RotateImage(angle_deg=-3.0),
        fa.ResizeCrop(size=(330, 560), scale=0.95),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> World:
    return Scenery(make_town(0)).at(TIME)


@pytest.fixture(scope="module")
def sample(world: World) -> fa.Sample:
    """Masks of classes in 8 bits, of objects in 32, of both in 16."""
    sensors, frames, streams = {}, {"ego": Frame()}, {}
    T_world_ego = world.town.ego.pose(TIME)
    for name in CAMERAS:
        sensor, T, _ = vehicle(SIZE)[name]
        assert isinstance(sensor, CameraSensor)
        sensors[name] = sensor
        frames[name] = Frame(parent="ego", pose=torch.from_numpy(T), axis_convention="camera")
        classes, bodies = take_masks(world, sensor, T_world_ego @ T)
        both = np.where(bodies < 0, 65535, classes.astype(np.uint16) * 1000 + bodies.clip(0))
        common = {"frame": name, "camera": name, "capture_times": torch.tensor([STAMP])}
        streams |= {
            f"{name}/classes": fa.SegmentationMask(items=(classes,), label_names=KINDS, **common),
            f"{name}/objects": fa.SegmentationMask(items=(bodies,), holds="instance", ignore=-1, **common),
            f"{name}/panoptic": fa.SegmentationMask(
                items=(both.astype(np.uint16),), holds="panoptic", ignore=65535, **common
            ),
        }
    rig = Rig(frames, sensors)
    meta = SampleMeta(id="0", scene="0", ref=fa.Ref("ego", STAMP), rig=rig, true_rig=rig)
    return fa.Sample(metas=(meta,), streams=streams)


def near_outline(ids: np.ndarray) -> np.ndarray:
    """(H, W) pixels at most 1.5 px from a pixel beyond which another id begins."""
    edge = np.zeros(ids.shape, bool)
    edge[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    edge[:, 1:] |= ids[:, :-1] != ids[:, 1:]
    edge[:-1] |= ids[:-1] != ids[1:]
    edge[1:] |= ids[:-1] != ids[1:]
    return cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5) <= 1.5


@pytest.mark.parametrize("steps", PIPELINES.values(), ids=PIPELINES)
def test_a_moved_mask_is_that_of_a_moved_camera(world: World, sample: fa.Sample, steps: list[fa.Transform]) -> None:
    out = fa.Compose(steps)(sample, seed=3)
    shares: dict[str, list[float]] = {"all": [], "inside": []}
    for name in CAMERAS:
        camera = out.meta.true_rig.camera(name)
        T_world_cam = world.town.ego.pose(TIME) @ out.meta.true_rig.T("ego", name).numpy()
        classes, bodies = take_masks(world, camera, T_world_cam)
        classes_found = out[f"{name}/classes"].image(0)
        assert classes_found.dtype == torch.uint8 and tuple(classes_found.shape) == camera.size == classes.shape
        wide = classes_found.numpy().astype(np.int64)
        objects_found, panoptic = out[f"{name}/objects"].image(0).numpy(), out[f"{name}/panoptic"]
        assert panoptic.image(0).dtype == torch.uint16
        # the three are one map of pixels, and their numbers are not mixed
        assert np.array_equal(panoptic.classes(0).numpy(), np.where(wide == 255, -1, wide))
        assert np.array_equal(panoptic.instances(0).numpy() % 1000, objects_found.clip(0))
        for found, expected, ignore in ((classes_found.numpy(), classes, 255), (objects_found, bodies, -1)):
            known = (found != ignore) & (expected != ignore)
            assert known.mean() > 0.6, "most of the canvas has a source"
            equal, inside = (found == expected)[known], ~near_outline(expected)[known]
            shares["all"].append(equal.mean())
            shares["inside"].append(equal[inside].mean())
    assert min(shares["all"]) >= 0.985, shares
    assert min(shares["inside"]) >= 0.999, shares


def test_a_mask_that_stays_behind_is_noticed(world: World, sample: fa.Sample) -> None:
    """The measure itself: a mask that is one pixel off fails it."""
    classes = sample["CAM_FRONT/classes"].image(0).numpy()
    off = np.roll(classes, 2, axis=1)
    inside = ~near_outline(classes)
    assert (off == classes).mean() < 0.985 or (off == classes)[inside].mean() < 0.999
