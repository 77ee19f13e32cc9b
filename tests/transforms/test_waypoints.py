"""Trajectories under every transform: what moves them, and that their velocity stays the derivative of their place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from generic import Case, build, only
from samples import make_sample, make_waypoints

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.sample.history import history_from_json, history_to_json
from fusion_aug.streams.families import Mix, Scene
from fusion_aug.transforms.temporal.speed import WarpTransform

MOTIONS = {
    "turned": fa.RotateScene(yaw_deg=[20, 60], pitch_deg=3.0, roll_deg=-2.0),
    "shifted": fa.TranslateScene(x=2.0, y=-1.0, z=0.1),
    "larger": fa.ScaleScene(scale=1.3),
    "mirrored": fa.MirrorScene(axis="y"),
    "mirrored along x": fa.MirrorScene(axis="x"),
    "faster": fa.SpeedWarp(speed=1.37),
    "swelling": fa.TimeWarp(slowest=0.6, fastest=1.5, waves=2),
    "all": fa.Compose([
        fa.RotateScene(yaw_deg=-31), fa.MirrorScene(axis="y"), fa.ScaleScene(scale=0.9), fa.SpeedWarp(speed=0.8),
        fa.TimeWarp(slowest=0.7, fastest=1.2), fa.TranslateScene(x=1.0),
    ]),
}  # fmt: skip
STEP = 0.002  # s between waypoints, for differences


def dense_sample() -> fa.Sample:
    sample = make_sample(boxes=3, points=20, gels=False)
    names = ["ego", *sample.boxes()["instance"].tolist()]
    dense = make_waypoints(sample.ref.time, names, STEP, (-750, 1500), sample.boxes()["pose"])
    return sample.with_streams({"boxes": sample["boxes"], "ego": sample["ego"], "waypoints": dense})


def tracks(stream: fa.Waypoints) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Instance -> seconds (k,), places and velocities (k, 3)."""
    columns = (stream["time_offset"], stream["pose"][:, :3, 3], stream["velocity"])
    seconds, places, velocity = (c.numpy() for c in columns)
    rows = {n: stream["instance"] == n for n in dict.fromkeys(stream["instance"].tolist())}
    return {n: (seconds[r], places[r], velocity[r]) for n, r in rows.items()}


def derivative_error(stream: fa.Waypoints) -> float:
    """Largest difference of a velocity from the slope of the parabola through a waypoint and its two neighbours."""
    worst = 0.0
    for seconds, places, velocity in tracks(stream).values():
        a, b = np.diff(seconds)[:-1, None], np.diff(seconds)[1:, None]
        d = np.diff(places, axis=0)
        slope = (d[:-1] / a * b + d[1:] / b * a) / (a + b)
        worst = max(worst, float(np.abs(slope - velocity[1:-1]).max()))
    return worst


@pytest.mark.quick
@pytest.mark.parametrize("name", MOTIONS)
def test_velocity_is_the_derivative_of_the_place(name: str) -> None:
    sample = dense_sample()
    assert derivative_error(sample["waypoints"]) < 1e-9
    out = MOTIONS[name](sample, seed=4)
    moved = out["waypoints"]
    # m/s: what rounding leaves, what whole ns leave of steps of 2 ms, and of parabolas through a wave
    limit = {"faster": 1e-5, "swelling": 2e-4, "all": 2e-4}.get(name, 1e-9)
    assert derivative_error(moved) < limit
    assert not torch.equal(moved["time_offset"], sample["waypoints"]["time_offset"]) or not torch.equal(
        moved["pose"], sample["waypoints"]["pose"]
    )
    assert moved["instance"].tolist() == sample["waypoints"]["instance"].tolist()


def test_the_derivative_finds_a_fault() -> None:
    """One speed for all rows, as of a cloud, is wrong where the speed swells."""
    sample = dense_sample()
    out = MOTIONS["swelling"](sample, seed=4)["waypoints"]
    now = int(out["time_offset"].abs().argmin())
    ratio = float(out["velocity"][now].norm() / sample["waypoints"]["velocity"][now].norm())
    assert derivative_error(out.with_values(velocity=sample["waypoints"]["velocity"] * ratio)) > 0.1


def test_places_by_hand() -> None:
    """NumPy alone: p' = H p, v' = s Q v, and the heading of a body in a mirror."""
    sample = dense_sample()
    yaw = np.deg2rad(30.0)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    mirror = np.diag([1.0, -1.0, 1.0])
    chain = fa.Compose([fa.MirrorScene(axis="y"), fa.RotateScene(yaw_deg=30.0), fa.ScaleScene(scale=1.2)])
    before, after = sample["waypoints"], chain(sample, seed=0)["waypoints"]
    H = 1.2 * turn @ mirror
    assert np.allclose(after["pose"][:, :3, 3].numpy(), before["pose"][:, :3, 3].numpy() @ H.T, atol=1e-9)
    assert np.allclose(after["velocity"].numpy(), before["velocity"].numpy() @ H.T, atol=1e-9)
    assert np.allclose(after["pose"][:, :3, :3].numpy(), turn @ mirror @ before["pose"][:, :3, :3].numpy() @ mirror)
    assert torch.equal(after["time_offset"], before["time_offset"])


def test_a_box_and_its_waypoint_move_as_one() -> None:
    """The waypoint at time 0 of a box is where the box is, whatever moved both."""
    sample = make_sample(boxes=4, points=20, gels=False)
    boxes = sample.boxes()
    rows = {"pose": boxes["pose"], "velocity": boxes["velocity"], "instance": boxes["instance"]}
    now = fa.Waypoints(
        frame="ref", capture_times=boxes.capture_times, values={**rows, "time_offset": torch.zeros(4).double()}
    )
    sample = sample.with_streams({"boxes": boxes, "ego": sample["ego"], "waypoints": now})
    for name, motion in MOTIONS.items():
        out = motion(sample, seed=3)
        for column in rows:
            a, b = out["waypoints"][column], out.boxes()[column]
            same = a.tolist() == b.tolist() if column == "instance" else torch.allclose(a, b, rtol=0, atol=1e-12)
            assert same, (name, column)
        assert out["waypoints"].capture_times.tolist() == [out.ref.time], name


def test_a_map_of_time_and_its_inverse() -> None:
    sample = dense_sample()
    for name, motion in MOTIONS.items():
        out = motion(sample, seed=5)
        back = fa.invert(out["waypoints"], history_from_json(history_to_json(out.history)))
        for column in ("pose", "velocity", "time_offset"):
            close = torch.allclose(back[column], sample["waypoints"][column], rtol=0, atol=3e-9)
            assert close, (name, column)


@only(lambda case: not issubclass(own_transforms()[case[0]], Mix))
def test_only_scenes_and_maps_of_time_move_them(case: Case) -> None:
    sample = make_sample(points=60, gels=False)
    transform = own_transforms()[case[0]]
    out = build(case)(sample, seed=2)
    before, after = sample["waypoints"], out["waypoints"]
    moves = issubclass(transform, Scene | WarpTransform)
    same = [c for c in before.values if np.array_equal(np.asarray(before[c]), np.asarray(after[c]))]
    assert (len(same) == 4) == (not moves)
    assert after.present.all() and after.rows == before.rows
    assert after["instance"].tolist() == before["instance"].tolist()


def test_rows_of_one_instance() -> None:
    stream = dense_sample()["waypoints"]
    mixed = stream.select(torch.ones(stream.rows, dtype=torch.bool))
    order = torch.randperm(stream.rows, generator=torch.Generator().manual_seed(0))
    mixed = mixed.with_values(
        **{c: v[order.numpy()] if isinstance(v, np.ndarray) else v[order] for c, v in stream.values.items()}
    )
    rows = mixed.of("box1")
    assert set(mixed["instance"][rows.numpy()]) == {"box1"} and len(rows) == 2251
    assert bool((mixed["time_offset"][rows].diff() > 0).all())
    assert len(mixed.of("nobody")) == 0


def test_a_hand_made_sample_is_looked_at() -> None:
    sample = make_sample(points=10, gels=False)
    way = sample["waypoints"]
    made = fa.make_sample("a", ("ego", sample.ref.time), sample.rig, {"waypoints": way})
    assert made["waypoints"].rows == way.rows
    short = fa.Waypoints(frame="ref", capture_times=way.capture_times, values={"pose": way["pose"]})
    with pytest.raises(fa.DataError, match="has no column time_offset"):
        fa.make_sample("a", ("ego", sample.ref.time), sample.rig, {"waypoints": short})
