"""Geometry that every transform keeps. None of them is named here: the registry is walked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from dots import MAX_LIMIT, MEAN_LIMIT, dot_errors, with_dots
from generic import Case, build, making, of_family, only, promises
from oracle import cloud, followed, motion, moved, seen
from samples import make_sample

import fusion_aug as fa
from fusion_aug.check.geometry import key_cloud
from fusion_aug.check.velocity import world_tracks
from fusion_aug.core.engine import run
from fusion_aug.core.fields import kinds
from fusion_aug.core.registry import own_transforms
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.streams.families import Mix, Mount, Photometric, Scene


@pytest.mark.quick
@only(lambda case: case[0] == "Viewpoint" or promises(case, "keeps_rows", "content_identity"))
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-6), (torch.float32, 1e-3)], ids=["f64", "f32"])
def test_projection_identity(case: Case, dtype: torch.dtype, limit: float) -> None:
    """What the source's cameras saw, carried by the drawn numbers, is where the new rig projects the moved points.

    Both sides are worked out by the oracle. The settings of Viewpoint only turn sensors, which loses no rows.
    """
    sample = make_sample(dtype=dtype)
    out = build(case)(sample, seed=3)
    points = cloud(sample, "lidar")
    after = moved(motion(out.history), points)
    if not isinstance(build(case), Mount):
        assert np.allclose(cloud(out, "lidar"), after, atol=1e-9 if dtype == torch.float64 else 2e-5)
        after = cloud(out, "lidar")  # a cloud of float32 is projected from where its rounding left it
    off = projection_errors(sample, out, points, after)
    assert len(off) > 60 and off.max() <= limit, off.max()


def projection_errors(sample: fa.Sample, out: fa.Sample, points: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Pixels from where a source camera's view was carried to where the new rig projects, points (n, 3) both."""
    errors = []
    for camera in sample.of_type(fa.Camera):
        expected, name = followed(sample, out.history, camera, points)
        errors.append(np.linalg.norm(seen(out, name, after) - expected, axis=1)[np.isfinite(expected).all(1)])
    return np.concatenate(errors)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("transform", "what", "wrong"),
    [
        (fa.RotateImage(angle_deg=5.0), "pixel_map", lambda p: {**p, "angle_deg": -p["angle_deg"]}),
        (fa.ResizeCrop(scale=1.3), "pixel_map", lambda p: {**p, "x": p["x"] + 0.1}),
        (fa.RotateScene(pitch_deg=4.0, roll_deg=2.0), "motion", lambda p: {**p, "pitch_deg": p["roll_deg"]}),
    ],
    ids=["turned the other way", "cut at another pixel", "pitched by the roll"],
)
def test_a_fault_that_rig_and_data_share_is_found(
    monkeypatch: pytest.MonkeyPatch, transform: fa.Transform, what: str, wrong: Callable[[dict], dict]
) -> None:
    """A wrong map of the class moves rig and data alike: they agree with one another, and not with the numbers."""
    sample, right = make_sample(), getattr(type(transform), what)
    monkeypatch.setattr(type(transform), what, staticmethod(lambda params, *more: right(wrong(params), *more)))
    out = transform(sample, seed=3)
    points = cloud(sample, "lidar")
    off = projection_errors(sample, out, points, moved(motion(out.history), points))
    assert np.nan_to_num(off, nan=9.0).max() > 0.5


def dotted_sample() -> tuple[fa.Sample, dict[str, np.ndarray]]:
    """A sample of its own for each test, whose dots are drawn once, and their points."""
    sample, points = drawn_dots()
    return copy.deepcopy(sample), points


@cache
def drawn_dots() -> tuple[fa.Sample, dict[str, np.ndarray]]:
    return with_dots(make_sample(size=(240, 320), points=3000))


@pytest.mark.quick
@making("content_identity")
def test_content_identity(case: Case) -> None:
    """Dots drawn at projected points are found where the augmented rig's numbers put the points."""
    sample, points = dotted_sample()
    scaled = {k: tuple(5 * v for v in x) if k == "size" else x for k, x in case[1].items()}
    out = own_transforms()[case[0]](**scaled)(sample, seed=4)
    found = dot_errors(sample, out, points)
    errors = np.concatenate(list(found.values()))
    assert len(errors) >= 20, "too few dots to compare"
    assert np.isfinite(errors).all(), "a dot is missing"
    assert errors.mean() <= MEAN_LIMIT and errors.max() <= MAX_LIMIT, (errors.mean(), errors.max())


def stays_calibrated(case: Case) -> bool:
    """Miscalibrate moves what is reported of a sensor and not the boxes: that is its purpose."""
    return case[0] != "Miscalibrate"


@pytest.mark.quick
@only(stays_calibrated)
@only(lambda case: promises(case, "keeps_counts") or not promises(case, "keeps_rows"))
@only(lambda case: not issubclass(own_transforms()[case[0]], Mix))
def test_point_in_box_counts(case: Case) -> None:
    """Points of every box stay in it; where points may go, counts never grow."""
    sample = make_sample(points=500)
    out = build(case)(sample, seed=5)

    def counts(s: fa.Sample) -> list[int]:
        boxes = s.boxes()
        return [len(i) for i in points_in_boxes(key_cloud(s, "lidar"), boxes["pose"], boxes["size"])]

    before, after = counts(sample), counts(out)
    assert sum(before) > 100
    if promises(case, "keeps_counts"):
        assert before == after
    else:
        assert all(b >= a for b, a in zip(before, after, strict=True))


@pytest.mark.quick
@of_family(Scene)
def test_velocity_is_the_derivative_of_position(case: Case) -> None:
    """Two keyframes half a second apart, one draw for the scene: boxes move by their velocity in the world."""
    step = 500_000_000
    first = make_sample("a", boxes=6)
    later = make_sample("b", time=first.ref.time + step, boxes=6)
    # the same boxes, moved in the world by their velocity
    T0, T1 = (s.rig.T("world", "ego", s.ref.time) for s in (first, later))
    v_world = first.boxes()["velocity"] @ T0[:3, :3].T
    pose = T0 @ first.boxes()["pose"]
    pose[:, :3, 3] += v_world * step * 1e-9
    moved = first.boxes().with_values(pose=torch.linalg.inv(T1) @ pose, velocity=v_world @ T1[:3, :3])
    later = later.with_streams({**later.streams, "boxes": replace(moved, capture_times=later["boxes"].capture_times)})
    transform = build(case, scope="scene")
    out = [transform(s, seed=7) for s in (first, later)]
    for track in world_tracks(out).values():
        (t0, p0, v0), (t1, p1, v1) = track
        assert np.allclose((p1 - p0) / ((t1 - t0) * 1e-9), v0, atol=1e-9)
        assert np.allclose(v0, v1, atol=1e-9)


@pytest.mark.quick
@only(stays_calibrated)
@making("keeps_rows", "content_identity")
def test_doppler_is_the_projection_of_the_velocity(case: Case) -> None:
    sample = make_sample(boxes=8)
    out = build(case)(sample, seed=8)
    radar, boxes = out["radar"], out.boxes()
    T = out.T_ref("radar")
    ray = radar["xyz"].double() / radar["xyz"].double().norm(dim=1, keepdim=True)
    velocity = boxes["velocity"] @ T[:3, :3]
    measured = (radar["velocity_comp"].double() * ray).sum(1)
    assert torch.allclose(measured, (velocity * ray).sum(1), atol=1e-5)


@only(lambda case: not issubclass(own_transforms()[case[0]], Photometric))
@making("keeps_rows")
def test_fused_equals_eager(case: Case) -> None:
    """Pending maps applied at the end, or after every transform: same calibration, dots at the same places."""
    sample, points = dotted_sample()
    scaled = {k: tuple(5 * v for v in x) if k == "size" else x for k, x in case[1].items()}
    chain = fa.Compose(
        [
            fa.RotateScene(yaw_deg=20.0),
            own_transforms()[case[0]](**scaled),
            fa.MirrorScene(p=0.99),
            fa.RotateImage(angle_deg=6.0),
            fa.ResizeCrop(scale=1.1),
        ]
    )
    fused, eager = run(chain, sample, seed=12), run(chain, sample, seed=12, eager=True)
    for name, frame in fused.rig.frames.items():
        other = eager.rig.frames[name].pose
        if isinstance(frame.pose, torch.Tensor):
            assert torch.allclose(frame.pose, other, atol=1e-9)  # type: ignore[arg-type]
    for name in sample.of_type(fa.Camera):
        a, b = fused.rig.camera(name), eager.rig.camera(name)
        assert torch.allclose(a.A, b.A, atol=1e-9) and torch.allclose(a.model.K, b.model.K, atol=1e-9)
    assert torch.allclose(fused["lidar"]["xyz"], eager["lidar"]["xyz"], atol=1e-4)
    if promises(case, "content_identity"):
        for out in (fused, eager):
            errors = np.concatenate(list(dot_errors(sample, out, points).values()))
            assert len(errors) >= 15 and np.isfinite(errors).all()
            assert errors.mean() <= MEAN_LIMIT and errors.max() <= MAX_LIMIT, (errors.mean(), errors.max())


def draws_numbers(case: Case) -> bool:
    cls = own_transforms()[case[0]]
    ranges = {name for name, kind in kinds(cls).items() if kind.name == "range"}
    return cls is fa.PerspectiveImage or bool(ranges - set(cls.rounded))


@pytest.mark.quick
@only(draws_numbers)
@making("differentiable")
def test_gradcheck(case: Case) -> None:
    """Extrinsics, pixel maps and points have gradients in every drawn number."""
    cls = own_transforms()[case[0]]
    sample = make_sample(points=6, boxes=2, dtype=torch.float64)
    record = build(case)(sample, seed=13).history[0]
    instance = next(iter(record.params))
    numbers = {k: v for k, v in record.params[instance].items() if isinstance(v, float) or k == "shifts"}
    drawn = {k: v for k, v in numbers.items() if k not in cls.rounded}
    keys = list(drawn)
    assert keys

    def outcome(*values: torch.Tensor) -> torch.Tensor:
        params = {**record.params[instance], **dict(zip(keys, values, strict=True))}
        out = cls.apply_params(sample, params)
        in_ref = key_cloud(out, "lidar")[:3] if not issubclass(cls, Mount) else key_cloud(sample, "lidar")[:3]
        camera = out.rig.camera("FISHEYE")
        parts = [in_ref.flatten(), camera.A.flatten(), out.rig.T("ego", "FISHEYE").flatten()]
        return torch.cat([*parts, out.boxes()["pose"].flatten(), out.boxes()["velocity"].flatten()])

    inputs = [torch.tensor(drawn[k], dtype=torch.float64, requires_grad=True) for k in keys]
    assert torch.autograd.gradcheck(outcome, inputs, eps=1e-6, atol=1e-5)
