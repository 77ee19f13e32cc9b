"""The same decisions on every processor: under other right roundings every transform draws, counts, branches alike."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from generic import Case, build
from processors import compared, effect
from results import Results, differences, results
from roundings import ORDERS, rounding
from routes import routed
from samples import make_sample

import fusion_aug as fa
from calib import Frame, Rig
from calib.se3 import invert, rotation_about, se3
from fusion_aug.transforms.mount import frame_motions, viewpoint, viewpoint_sensors

TURN: Case = ("Viewpoint", {"x_deg": [-2, 2], "y_deg": [-4, 4], "z_deg": [-3, 3]})
Samples = dict[str, fa.Sample]


def inputs(**how: Any) -> Samples:
    """The same sample for this processor's own rounding and every other: what one keeps, no other finds."""
    return {order: make_sample(**how) for order in ("own", *ORDERS)}


@pytest.fixture(scope="module")
def samples() -> Samples:
    """All cases share them: a sample is used by each case once, or by none."""
    return inputs()


def outcome(case: Case, sample: fa.Sample, seed: int) -> Results:
    return results(build(case)(sample, seed=seed))


def unlike(case: Case, samples: Samples, seed: int) -> list[str]:
    """In what runs of a case differ: their results from this processor's own, their ways from each other."""
    own = outcome(case, samples["own"], seed)  # and what is made once, such as tables, is made now
    found, ways = [], {}
    for order in ORDERS:
        with rounding(order):
            other, ways[order] = routed(partial(outcome, case, samples[order], seed))
        found += [f"seed {seed}, {order}: {line}" for line in differences(own, other)]
        found += [f"seed {seed}, {order}: another way: {line}" for line in sorted(ways[order] ^ ways[ORDERS[0]])]
    return found


def test_every_transform_decides_alike(case: Case, samples: Samples) -> None:
    found = unlike(case, samples, 0)
    assert not found, "\n".join(found[:20])


# --- the fixture itself ----------------------------------------------------------------------------------------------
def test_roundings_are_right_and_differ() -> None:
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.normal(size=(20, 4, 4))) for _ in range(2))
    works: dict[str, Any] = {
        "product": lambda: a @ b,
        "einsum": lambda: torch.einsum("nij,nkj->nik", a, b),
        "inverse": lambda: torch.linalg.inv(a),
        "determinant": lambda: torch.linalg.det(a),
        "solution": lambda: torch.linalg.solve(a, b),
        "NumPy's product": lambda: torch.from_numpy(np.asarray(a.numpy() @ b.numpy()[0])),
        "NumPy's inverse": lambda: torch.from_numpy(np.asarray(np.linalg.inv(a.numpy()))),
        "NumPy's einsum": lambda: torch.from_numpy(np.asarray(np.einsum("nij,nj->ni", a.numpy(), b.numpy()[:, 0]))),
    }
    for name, work in works.items():
        own, found = work(), {}
        for order in ORDERS:
            with rounding(order):
                found[order] = work()
            assert torch.allclose(found[order], own, rtol=1e-9, atol=1e-10), (name, order)
        assert len({f.numpy().tobytes() for f in [own, *found.values()]}) > 1, name


@pytest.mark.parametrize("order", ORDERS)
def test_whole_numbers_and_gradients_stay(order: str) -> None:
    whole = torch.arange(16.0, dtype=torch.float64).reshape(4, 4)
    point = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    with rounding(order):
        assert torch.equal(whole @ whole, (whole.long() @ whole.long()).double())
        (gradient,) = torch.autograd.grad((whole @ point).sum(), point)
        assert type(whole.float().numpy() @ np.ones(4, np.float32)) is not np.ndarray, "passes itself on"
    assert torch.equal(gradient, whole.sum(0))
    assert type(whole.numpy()) is np.ndarray


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("streams", None),
        ("stream lidar.capture_times", 1),
        ("stream lidar.values[xyz]", 1e-4),
        ("stream boxes.values[pose]", 1e-8),
        ("levels CAM_FRONT.items[0]", 2),
        ("picked CAM_LEFT/mask.items[0]", 1),
        ("picked CAM_FRONT/depth.items[0]", 1e-3),
        ("meta 0.rig.frames[lidar].pose", 1e-8),
        ("meta 0.history[0].params[][yaw_deg]", 1e-8),
    ],
)
def test_differences_over_a_limit_are_found(path: str, by: float | None) -> None:
    out = fa.RotateScene(yaw_deg=[10.0, 20.0])(make_sample(), seed=1)
    one, other = results(out), results(out)
    assert differences(one, other) == []
    other[path] = other[path][:-1] if by is None else (other[path] + by).astype(other[path].dtype)
    assert [line.partition(": ")[0] for line in differences(one, other)] == [path]


def test_make_processors_finds_settings_that_differ() -> None:
    """And tells one without effect from one whose results are within the limits."""
    own = results(make_sample())
    near, far = ({**own, "stream lidar.values[xyz]": own["stream lidar.values[xyz]"] + by} for by in (1e-6, 1e-3))
    found = {
        name: {"probe": {"sum": probe}, "results": {"case": result}}
        for name, probe, result in (("default", "a", own), ("same", "a", own), ("near", "b", near), ("far", "b", far))
    }
    assert {(one, other) for one, other, _ in compared(found)} == {("default", "far"), ("same", "far"), ("near", "far")}
    assert effect(found["same"], found["default"]) == ([], 0)
    assert effect(found["near"], found["default"]) == (["sum"], 1)


# --- the fault that it was made for ----------------------------------------------------------------------------------
def test_the_old_rule_of_pure_turns_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn was one where a product of poses came to exactly 0: caught at every seed, and nothing without it."""
    seeds = range(4)

    def is_pure_rotation(move: torch.Tensor) -> bool:
        return bool((move[:3, 3].detach() == 0).all())

    def by_poses(self: frame_motions.FrameMotions, frame: str, times: torch.Tensor) -> torch.Tensor | None:
        if frame not in self.errors:
            return None
        parent = self.before.frames[frame].parent
        assert parent is not None
        return self.before.T_at_times(frame, parent, times) @ self.after.T_at_times(parent, frame, times)

    def caught(seed: int) -> bool:
        return bool(unlike(TURN, inputs(points=60, boxes=1, size=(24, 32), gels=False), seed))

    assert not any(caught(seed) for seed in seeds)
    monkeypatch.setattr(frame_motions.FrameMotions, "T_at_times", by_poses)
    for module in (viewpoint, viewpoint_sensors):
        monkeypatch.setattr(module, "is_pure_rotation", is_pure_rotation)
    assert all(caught(seed) for seed in seeds)


def test_a_turn_of_a_carried_camera_is_a_turn() -> None:
    """Anything about the turn may be large or carried: what was drawn is not shifted."""
    far = se3(rotation_about("z", 0.7), [5.2e5, 5.4e6, 30.0])  # a mast on a map
    link = se3(rotation_about("x", 0.4) @ rotation_about("y", 0.3), [0.4, -0.2, 1.1])
    optical = se3(rotation_about("x", -np.pi / 2))
    turn = se3(rotation_about("y", 0.02))
    frames = {
        "map": Frame(axis_convention="world"),
        "mast": Frame(parent="map", pose=far),
        "link": Frame(parent="mast", pose=link),
        "optical": Frame(parent="link", pose=optical),
    }
    for moved, frame in (("mast", "mast"), ("link", "link"), ("link", "optical")):
        before = Rig(frames, {})
        after = before.with_pose(moved, before.frames[moved].pose @ turn)
        motions = frame_motions.FrameMotions(before, after, {moved: turn})
        for order in ORDERS:
            with rounding(order):
                motion = motions(frame, 0)
                assert motion is not None and frame_motions.is_pure_rotation(motion), (moved, frame, order)
    shifted = frame_motions.FrameMotions(before, after, {"link": turn})
    assert frame_motions.is_pure_rotation(shifted("link", 0)) and shifted("mast", 0) is None
    assert not frame_motions.is_pure_rotation(invert(se3(translation=[0.0, 1e-6, 0.0])))
