"""Grids of cells: motions, what they cannot hold, and every transform of the registry."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from generic import Case, build, only, same_values
from samples import T0, make_sample

import fusion_aug as fa
from calib import Frame, Rig
from calib.se3 import rotation_about, se3
from fusion_aug.core.registry import own_transforms
from fusion_aug.errors import DataError, UnhandledStream
from fusion_aug.streams.dropped import with_dropped
from fusion_aug.streams.families import Mount, Scene
from fusion_aug.transforms.scene.grids import NOT_HELD

SHAPE, LOW, CELL = (20, 16, 4), (-10.0, -8.0, -1.0), (1.0, 1.0, 0.5)
COLUMNS = ("label", "seen_by_camera", "seen_by_lidar")


def grid(seed: int = 0, n: int = 1, **changes: object) -> fa.Occupancy:
    """Random classes of 0 to 16, 17 is free."""
    rng = np.random.default_rng(seed)
    values = {"label": rng.integers(0, 18, (n, *SHAPE), np.uint8)}
    values |= {name: rng.integers(0, 2, (n, *SHAPE), np.uint8) for name in COLUMNS[1:]}
    times = torch.arange(n) * 1000 + T0
    return fa.Occupancy(frame="ref", capture_times=times, values=values, low=LOW, cell=CELL, free=17, **changes)  # type: ignore[arg-type]


def with_grid(sample: fa.Sample, **changes: object) -> fa.Sample:
    return sample.with_streams({**sample.streams, "occupancy": grid(**changes)})


def moved_by_numpy(values: np.ndarray, H: np.ndarray, outside: int) -> np.ndarray:
    """One cell after another: the nearest cell to where its centre was."""
    out, back = np.full_like(values, outside), np.linalg.inv(H)
    for at in np.ndindex(values.shape):
        centre = np.array(LOW) + (np.array(at) + 0.5) * CELL
        was = (back[:3, :3] @ centre + back[:3, 3] - LOW) / CELL - 0.5
        near = np.floor(was + 0.5 + 1e-6).astype(int)
        if ((near >= 0) & (near < SHAPE)).all():
            out[at] = values[tuple(near)]
    return out


MOTIONS = {
    "yaw": [fa.RotateScene(yaw_deg=25.0)],
    "quarter": [fa.RotateScene(yaw_deg=90.0)],
    "left and right": [fa.MirrorScene(axis="y")],
    "front and back": [fa.MirrorScene(axis="x")],
    "shift": [fa.TranslateScene(x=2.3, y=-1.0, z=0.6)],
    "all": [
        fa.RotateScene(yaw_deg=-40.0), fa.MirrorScene(axis="y"), fa.TranslateScene(x=-1.2),
        fa.RotateScene(yaw_deg=12.0),
    ],
}  # fmt: skip


@pytest.mark.parametrize("steps", MOTIONS.values(), ids=MOTIONS)
def test_a_grid_follows_the_scene(steps: list[fa.Transform]) -> None:
    sample = with_grid(make_sample())
    before = {n: sample["occupancy"][n].clone() for n in COLUMNS}
    out = fa.Compose(steps)(sample, seed=1)
    H = torch.eye(4, dtype=torch.float64)
    for step in steps:
        H = type(step).motion({k: getattr(step, k) for k in vars(step)})[0] @ H
    for name in COLUMNS:
        expected = moved_by_numpy(before[name][0].numpy(), H.numpy(), 255 if name == "label" else 0)
        assert np.array_equal(out["occupancy"][name][0].numpy(), expected), name
        assert same_values(sample["occupancy"][name], before[name])
        assert out["occupancy"][name].dtype == torch.uint8
    assert out["occupancy"].residual <= 0.5 * np.linalg.norm(CELL) + 1e-9


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_mirror_of_an_even_grid_is_exact(axis: str) -> None:
    sample = with_grid(make_sample())
    once = fa.MirrorScene(axis=axis)(sample)
    assert once["occupancy"].residual < 1e-9
    flipped = sample["occupancy"]["label"].flip(1 if axis == "x" else 2)
    assert torch.equal(once["occupancy"]["label"], flipped)
    assert torch.equal(fa.MirrorScene(axis=axis)(once)["occupancy"]["label"], sample["occupancy"]["label"])


def test_motions_add_up_and_come_back() -> None:
    """A motion and its inverse leave the grid itself, and read nothing."""
    sample = with_grid(make_sample())
    there = fa.RotateScene(yaw_deg=33.0)(sample)
    back = fa.invert(there["occupancy"], there.history, name="occupancy")
    assert torch.equal(back["label"], sample["occupancy"]["label"])
    again = fa.replay(sample, there.history)
    assert torch.equal(again["occupancy"]["label"], there["occupancy"]["label"])


@pytest.mark.parametrize(
    ("step", "what"),
    [(fa.ScaleScene(scale=1.1), "scale"), (fa.RotateScene(pitch_deg=1.0), "roll or pitch"),
     (fa.RotateScene(yaw_deg=5.0, roll_deg=-0.5), "roll or pitch")],
)  # fmt: skip
def test_what_a_grid_cannot_hold_is_refused(step: fa.Transform, what: str) -> None:
    with pytest.raises(UnhandledStream, match=f"'occupancy': a grid of cells holds no {what}; use yaw"):
        step(with_grid(make_sample()))


def test_a_grid_of_a_moved_lidar() -> None:
    sample = make_sample()
    sample = sample.with_streams({**sample.streams, "grid": grid(n=1)}).with_streams(
        {**sample.streams, "grid": fa.Occupancy(frame="lidar", capture_times=[T0], values={"label": grid()["label"]},
                                                low=LOW, cell=CELL)}
    )  # fmt: skip
    turned = fa.Viewpoint(sensors=["lidar"], z_deg=30.0)(sample)["grid"]
    E = se3(rotation_about("z", np.radians(30.0)))
    expected = moved_by_numpy(sample["grid"]["label"][0].numpy(), torch.linalg.inv(E).numpy(), 255)
    assert np.array_equal(turned["label"][0].numpy(), expected)
    with pytest.raises(UnhandledStream, match="'grid': a grid of cells holds no roll or pitch"):
        fa.Viewpoint(sensors=["lidar"], x_deg=2.0)(sample)
    assert fa.Viewpoint(sensors=["CAM_FRONT"], x_deg=2.0)(sample)["grid"] is sample["grid"]


def is_refused(case: Case) -> bool:
    return bool(set(build(case).effects()) & set(NOT_HELD))


@only(is_refused)
def test_transforms_that_move_what_a_grid_cannot_hold_are_refused(case: Case) -> None:
    with pytest.raises(UnhandledStream, match="a grid of cells holds no"):
        build(case)(with_grid(make_sample()), seed=4)


@only(lambda case: not is_refused(case))
def test_every_transform_knows_grids(case: Case) -> None:
    """Scenes move them, times warp, sensors may be dropped; nothing else touches them."""
    sample, cls = with_grid(make_sample()), own_transforms()[case[0]]
    out = build(case)(sample, seed=4).realized()
    found = [s for s in out.streams.values() if isinstance(s, fa.Occupancy)]
    assert found or cls.loss_reason or "Drop" in cls.__name__, "gone without a word"
    back = fa.replay(sample, out.history)
    for name in COLUMNS if found else ():
        value = found[0].values[name]
        assert value.dtype == torch.uint8 and value.is_contiguous() and value.shape[1:] == SHAPE
        assert same_values(back["occupancy"][name], found[0][name])
        if not issubclass(cls, Scene | Mount) and bool(found[0].present.all()):
            assert all(torch.equal(v, sample["occupancy"][name][0]) for v in value), name


def test_a_batch_equals_the_loop() -> None:
    samples = [with_grid(make_sample(f"s{i}", seed=i), seed=i) for i in range(3)]
    steps = fa.Compose([fa.RotateScene(yaw_deg=[-30, 30], p=0.6), fa.MirrorScene(p=0.5)])
    batch = steps(fa.collate(samples), seed=5)
    alone = [steps(s, seed=5) for s in samples]
    for name in COLUMNS:
        assert torch.equal(batch["occupancy"][name], torch.cat([a["occupancy"][name] for a in alone])), name
    assert {bool((a["occupancy"]["label"] == 255).any()) for a in alone} == {True, False}, "some turned, some not"


def test_dropped_grids_know_nothing() -> None:
    before = grid(n=2)
    out = with_dropped(before, torch.tensor([False, True]))
    assert out.present.tolist() == [True, False]
    assert torch.equal(out["label"][0], before["label"][0]) and bool((out["label"][1] == 255).all())
    assert bool(out["seen_by_lidar"][0].any()) and not bool(out["seen_by_lidar"][1].any())


def test_a_pending_grid_is_sent_as_it_is() -> None:
    out = fa.RotateScene(yaw_deg=20.0)(with_grid(make_sample()))
    again = pickle.loads(pickle.dumps(out))
    assert again["occupancy"].pending is not None
    assert torch.equal(again["occupancy"]["label"], out["occupancy"]["label"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unknown": 256}, "torch.uint8 cannot hold unknown=256"),
        ({"cell": (1.0, 1.0, 0.0)}, r"Occupancy\.cell: expected three lengths"),
        ({"values": {"label": np.zeros((1, 2, 2, 2), np.float32)}}, "label: torch.float32 holds no classes"),
        ({"values": {"label": np.zeros((1, 2, 2), np.uint8)}}, r"label: has shape \(1, 2, 2\), expected"),
        ({"values": {"seen_by_lidar": np.zeros((1, 2, 2, 2), np.uint8)}}, "needs the column 'label'"),
    ],
)
def test_wrong_grids_are_refused(changes: dict[str, object], words: str) -> None:
    fields = {"frame": "ref", "capture_times": [0], "values": {"label": np.zeros((1, 2, 2, 2), np.uint8)}}
    with pytest.raises(DataError, match=words):
        fa.Occupancy(**{**fields, **changes})  # type: ignore[arg-type]


def test_grids_of_several_sizes_make_no_batch() -> None:
    other = fa.Occupancy(frame="ref", capture_times=[T0], values={"label": np.zeros((1, 2, 2, 2), np.uint8)},
                         low=LOW, cell=CELL, free=17)  # fmt: skip
    sample = make_sample("s1")
    with pytest.raises(DataError, match="grids of different sizes"):
        fa.collate([with_grid(make_sample()), sample.with_streams({**sample.streams, "occupancy": other})])


def test_a_sample_of_ones_own_may_have_grids() -> None:
    rig = Rig({"ego": Frame()}, {})
    sample = fa.make_sample("s", ("ego", T0), rig, scene="scene", streams={"occupancy": grid()})
    assert torch.equal(sample["occupancy"]["label"], grid()["label"])
    with pytest.raises(DataError, match="label: 1 rows, expected 2 rows"):
        fa.make_sample("s", ("ego", T0), rig, scene="scene",
                       streams={"occupancy": replace(grid(), capture_times=torch.tensor([T0, T0 + 1]),
                                                     sample_index=None, present=None)})  # fmt: skip
