"""Steps of boxes and ego as planners take them, against the waypoints and against places by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from fusion_aug.train.trajectories import trajectory_tables


def sample() -> fa.Sample:
    """Waypoints from -1 to 2 s, every half second, of the ego and of five boxes where the boxes are."""
    return make_sample(points=20, gels=False)


def place(stream: fa.Waypoints, name: str, seconds: float) -> np.ndarray:
    rows = [
        k for k in range(stream.rows) if stream["instance"][k] == name and float(stream["time_offset"][k]) == seconds
    ]
    return stream["pose"][rows[0], :2, 3].numpy()


def test_steps_are_differences_of_places() -> None:
    made = sample()
    out, stream = fa.to_mmdet3d(made), made["waypoints"]
    assert out["fut_times"].tolist() == [0.5, 1.0, 1.5, 2.0] and out["his_times"].tolist() == [-1.0, -0.5]
    assert out["gt_agent_fut_trajs"].shape == (5, 4, 2) and out["gt_agent_fut_trajs"].dtype == np.float32
    assert out["gt_agent_fut_masks"].all() and out["gt_ego_fut_masks"].all() and out["gt_ego_his_masks"].all()
    for k, name in enumerate(made.boxes()["instance"].tolist()):
        for j in range(4):
            step = place(stream, name, 0.5 * (j + 1)) - place(stream, name, 0.5 * j)
            assert np.allclose(out["gt_agent_fut_trajs"][k, j], step, atol=1e-5)
    assert np.allclose(out["gt_ego_fut_trajs"].sum(0), place(stream, "ego", 2.0) - place(stream, "ego", 0.0), atol=1e-5)
    assert np.allclose(out["gt_ego_his_trajs"][0], place(stream, "ego", -0.5) - place(stream, "ego", -1.0), atol=1e-5)


def test_gaps_and_ends_are_masked() -> None:
    made = sample()
    stream = made["waypoints"]
    gone = torch.from_numpy(stream["instance"] == "box1") & (stream["time_offset"] == 1.0)
    made = made.with_streams({**made.streams, "waypoints": stream.select(~gone)})
    out = trajectory_tables(made, future_steps=6, past_steps=3, step=0.5)
    assert out["gt_agent_fut_masks"].tolist()[0] == [True] * 4 + [False] * 2
    assert out["gt_agent_fut_masks"].tolist()[1] == [True, False, False, True, False, False]
    assert (out["gt_agent_fut_trajs"][~out["gt_agent_fut_masks"]] == 0).all()
    assert out["gt_ego_his_masks"].tolist() == [False, True, True]
    assert out["gt_ego_fut_masks"].tolist() == [True] * 4 + [False] * 2


def test_steps_turn_with_the_scene() -> None:
    made = sample()
    before = trajectory_tables(made)
    after = trajectory_tables(fa.Compose([fa.RotateScene(yaw_deg=90.0), fa.MirrorScene(axis="y")])(made, seed=0))
    for key in ("gt_agent_fut_trajs", "gt_ego_fut_trajs", "gt_ego_his_trajs"):
        x, y = before[key][..., 0], before[key][..., 1]
        assert np.allclose(after[key], np.stack([-y, -x], -1), atol=1e-5), key


def test_boxes_that_went_and_boxes_without_waypoints() -> None:
    made = sample()
    boxes = made.boxes()
    kept = boxes.select(torch.tensor([False, True, True, True, False]))
    named = kept.with_values(instance=np.array(["box1", "other", ""]))
    out = trajectory_tables(made.with_streams({**made.streams, "boxes": named}))
    assert out["gt_agent_fut_masks"].any(1).tolist() == [True, False, False]
    assert out["gt_agent_fut_trajs"].shape == (3, 4, 2)


def test_a_faster_world_has_other_times() -> None:
    out = trajectory_tables(fa.SpeedWarp(speed=2.0)(sample(), seed=0))
    assert out["fut_times"] == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=1e-8)
    coarse = trajectory_tables(fa.SpeedWarp(speed=2.0)(sample(), seed=0), future_steps=2, step=0.5)
    assert np.allclose(coarse["gt_ego_fut_trajs"][0], out["gt_ego_fut_trajs"][:2].sum(0), atol=1e-5)


def test_what_is_not_there_is_asked_for() -> None:
    made = sample()
    bare = made.with_streams({n: s for n, s in made.streams.items() if n != "waypoints"})
    assert trajectory_tables(bare) == {} and "gt_ego_fut_trajs" not in fa.to_mmdet3d(bare)
    with pytest.raises(fa.DataError, match=r"has no waypoints; read its log with log\.future"):
        fa.to_mmdet3d(bare, future_steps=6)
    with pytest.raises(fa.DataError, match="the ego has 4 waypoints there, fewer than 5 steps"):
        trajectory_tables(made, future_steps=5)
    for wrong in ({"future_steps": 1.5}, {"past_steps": -1}, {"future_steps": 10**9}, {"step": 0}, {"step": True}):
        with pytest.raises(fa.ConfigError, match=next(iter(wrong))):
            fa.to_mmdet3d(made, **wrong)


def test_a_log_hands_over_its_own() -> None:
    log = fa.open_log("nuscenes", DRIVE, intensity_scale=255, past=1.1, future=3.1)
    out = fa.to_mmdet3d(log[4], cameras=[], future_steps=6, past_steps=2, step=0.5)
    n = len(out["gt_names"])
    assert out["gt_agent_fut_trajs"].shape == (n, 6, 2) and out["gt_ego_his_trajs"].shape == (2, 2)
    assert out["gt_ego_fut_masks"].all() and out["gt_agent_fut_masks"].mean() > 0.8
    velocity, known = out["gt_bboxes_3d"][:, 7:9], out["gt_velocity_known"] & out["gt_agent_fut_masks"][:, 0]
    assert np.abs(out["gt_agent_fut_trajs"][known, 0] / 0.5 - velocity[known]).max() < 1.5
    last = fa.to_mmdet3d(log[20], cameras=[], future_steps=6, step=0.5)
    assert not last["gt_ego_fut_masks"].any()
