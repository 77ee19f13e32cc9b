"""Poses of hands in vectors of LeRobot and robomimic, under every transform; scipy, NumPy and the files as oracles."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import policy_logs as made
import pytest
from scipy.spatial.transform import Rotation
from written import run

import fusion_aug as fa
from fusion_aug.errors import ConfigError, UnhandledStream
from fusion_aug.logs.core.part_names import parts_from_names

FRAMES = 20
D = np.diag([1.0, -1.0, 1.0])
BRIDGE = ["x", "y", "z", "roll", "pitch", "yaw", "pad", "gripper"]
LIBERO = ["x", "y", "z", "axis_angle1", "axis_angle2", "axis_angle3", "gripper", "gripper"]
FRACTAL = ["x", "y", "z", "rx", "ry", "rz", "rw", "gripper"]
DROID = ["x", "y", "z", "roll", "pitch", "yaw"]
COMMAND = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"]
EXTRA = np.random.default_rng(9).uniform(0.1, 0.9, (FRAMES, 2))


def state_of(names: list[str], seed: int = 0) -> np.ndarray:
    """A state (n, k) of a data set's kind, by scipy."""
    place, turn = made.hand(FRAMES, seed)
    if "rw" in names:
        return np.concatenate([place, turn.as_quat(), EXTRA[:, :1]], 1)
    numbers = turn.as_rotvec() if "axis_angle1" in names else turn.as_euler("xyz")
    return np.concatenate([place, numbers, EXTRA[:, : len(names) - 6]], 1)


def read_state(names: list[str], rows: np.ndarray) -> tuple[np.ndarray, Rotation]:
    if "rw" in names:
        return rows[:, :3], Rotation.from_quat(rows[:, 3:7])
    turn = Rotation.from_rotvec if "axis_angle1" in names else lambda v: Rotation.from_euler("xyz", v)
    return rows[:, :3], turn(rows[:, 3:6])


def deltas(seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(scale=0.02, size=(FRAMES, 3)), rng.normal(scale=0.1, size=(FRAMES, 3)),
                           rng.integers(0, 2, (FRAMES, 1))], 1).astype(np.float32)  # fmt: skip


OSC = {"position": [0, 3, 0.05], "axis_angle": [3, 6, 0.5], "delta": "base", "command": [6, 7]}
STATES = {"bridge": BRIDGE, "libero": LIBERO, "fractal": FRACTAL, "droid": DROID}


@pytest.mark.parametrize("kind", STATES)
def test_names_imply_poses_and_a_mirror_moves_them(tmp_path: Path, kind: str) -> None:
    names = STATES[kind]
    feature = "observation.state.cartesian_position" if kind == "droid" else "observation.state"
    root = made.lerobot(tmp_path / "log", {
        feature: (None if kind == "droid" else names, [state_of(names)]), "action": (COMMAND, [deltas()]),
    })  # fmt: skip
    sample = fa.open_log("lerobot", root, parts=None, exclude=["action"])[0]
    stream = next(s for s in sample.streams.values() if isinstance(s, fa.RobotState))
    before = made.rows(root, feature).astype(np.float64)
    out = fa.MirrorScene(axis="y")(sample)
    after = next(s for s in out.streams.values() if isinstance(s, fa.RobotState))
    numbers = np.concatenate([v.numpy() for v in after.values.values()], 1)
    place, turn = read_state(names, before)
    found_place, found = read_state(names, numbers)
    assert np.abs(found_place - place @ D).max() < 1e-12
    assert np.abs(found.as_matrix() - D @ turn.as_matrix() @ D).max() < 1e-6
    assert np.array_equal(np.abs(numbers), np.abs(before)), "a mirror changes signs alone"
    assert stream.frame == "base" and after.frame == "base"


@pytest.mark.parametrize("kind", ["bridge", "libero", "fractal"])
def test_a_turned_scene_turns_poses_on_their_branch(tmp_path: Path, kind: str) -> None:
    names = STATES[kind]
    root = made.lerobot(tmp_path / "log", {"observation.state": (names, [state_of(names)])})
    sample = fa.open_log("lerobot", root)[0]
    after = fa.RotateScene(yaw_deg=130.0)(sample)["state"]
    numbers = np.concatenate([v.numpy() for v in after.values.values()], 1)
    before = made.rows(root, "observation.state").astype(np.float64)
    yaw = Rotation.from_euler("z", 130, degrees=True)
    place, turn = read_state(names, before)
    found_place, found = read_state(names, numbers)
    assert np.abs(found_place - yaw.apply(place)).max() < 1e-9
    assert (found * (yaw * turn).inv()).magnitude().max() < 1e-6
    width = 7 if "rw" in names else 6
    jumps = np.abs(np.diff(numbers[:, 3:width], axis=0)).max()
    smooth = Rotation.concatenate([turn[1:] * turn[:-1].inv()]).magnitude().max()
    steps = np.abs(np.diff(before[:, 3:width], axis=0)).max(1)
    quiet = steps < 1  # where the source itself does not jump
    assert np.abs(np.diff(numbers[:, 3:width], axis=0))[quiet].max() < 4 * smooth + 1e-6 or jumps < 1


def test_changes_per_step_turn_and_mirror(tmp_path: Path) -> None:
    root = made.lerobot(tmp_path / "log", {"action": (COMMAND, [deltas()])})
    before = made.rows(root, "action").astype(np.float64)
    yaw = Rotation.from_euler("z", 40, degrees=True)
    for delta in ("base", "tool"):
        sample = fa.open_log("lerobot", root, parts={"action": OSC | {"delta": delta}})[0]
        found = fa.MirrorScene(axis="y")(sample)["action"].values
        place, turn, command = (v.numpy() for v in found.values())
        assert np.array_equal(place, before[:, :3] * 0.05 * [1, -1, 1])
        assert np.array_equal(turn, before[:, 3:6] * 0.5 * [-1, 1, -1])
        assert np.array_equal(command, before[:, 6:])
        place, turn, _ = (v.numpy() for v in fa.RotateScene(yaw_deg=40.0)(sample)["action"].values.values())
        base = delta == "base"  # what is said along the tool's own axes stays
        assert np.abs(place - (yaw.apply(before[:, :3]) if base else before[:, :3]) * 0.05).max() < 1e-12
        assert np.abs(turn - (yaw.apply(before[:, 3:6]) if base else before[:, 3:6]) * 0.5).max() < 1e-9
    rpy = {"action": {"position": [0, 3], "rpy": [3, 6], "delta": "base", "command": [6, 7]}}
    found = fa.RotateScene(yaw_deg=40.0)(fa.open_log("lerobot", root, parts=rpy)[0])["action"]["delta_rpy"].numpy()
    expected = yaw * Rotation.from_euler("xyz", before[:, 3:6]) * yaw.inv()
    assert (Rotation.from_euler("xyz", found) * expected.inv()).magnitude().max() < 1e-9


@pytest.mark.parametrize("delta", ["base", "tool"])
def test_a_warp_reads_poses_between_and_joins_changes(tmp_path: Path, delta: str) -> None:
    state = state_of(LIBERO)
    root = made.lerobot(tmp_path / "log", {"observation.state": (LIBERO, [state]), "action": (COMMAND, [deltas()])})
    sample = fa.open_log("lerobot", root, parts={
        "observation.state": {"position": [0, 3], "axis_angle": [3, 6], "gripper": [6, 8]},
        "action": OSC | {"delta": delta},
    })[0]  # fmt: skip
    slow = fa.SpeedWarp(speed=0.5)(sample)
    place, turn = read_state(LIBERO, made.rows(root, "observation.state").astype(np.float64))
    between = Rotation.concatenate([Rotation.from_rotvec((b * a.inv()).as_rotvec() / 2) * a
                                    for a, b in pairwise(turn)])  # fmt: skip
    found = slow["state"]
    assert np.abs(found["position"].numpy()[1::2] - (place[1:] + place[:-1]) / 2).max() < 1e-9
    assert (Rotation.from_rotvec(found["axis_angle"].numpy()[1::2]) * between.inv()).magnitude().max() < 1e-6
    assert np.array_equal(found["axis_angle"].numpy()[::2], made.rows(root, "observation.state")[:, 3:6])
    name = "delta_rotation" if delta == "base" else "tool_delta_rotation"
    for speed in (0.5, 2.0):
        out = fa.SpeedWarp(speed=speed)(sample)["action"][name].numpy()
        whole, slow_whole = Rotation.identity(), Rotation.identity()
        for v in sample["action"][name].numpy():
            whole = Rotation.from_rotvec(v) * whole if delta == "base" else whole * Rotation.from_rotvec(v)
        for v in out:
            step = Rotation.from_rotvec(v)
            slow_whole = step * slow_whole if delta == "base" else slow_whole * step
        half = 0.5 if speed < 1 else 0.0  # of the last step, which a slower clock leaves half done
        left = np.linalg.norm(sample["action"][name].numpy()[-1]) * half
        assert (whole * slow_whole.inv()).magnitude() < left + 1e-9


def test_no_change_keeps_every_bit(tmp_path: Path) -> None:
    root = made.lerobot(tmp_path / "log", {"observation.state": (FRACTAL, [state_of(FRACTAL)])})
    sample = fa.open_log("lerobot", root)[0]
    for transform in (fa.SpeedWarp(speed=1.0), fa.RotateScene(yaw_deg=0.0), fa.RateChange(rate=10)):
        found = transform(sample)["state"]
        numbers = np.concatenate([v.numpy() for v in found.values.values()], 1).astype(np.float32)
        assert np.array_equal(numbers, made.rows(root, "observation.state")), type(transform).__name__


def test_robomimic_poses_have_names_of_their_own(tmp_path: Path) -> None:
    root = made.robomimic(tmp_path / "log")
    parts = {"actions": {"position": [0, 3, 0.05], "axis_angle": [3, 6, 0.5], "delta": "base", "command": [6, 7]}}
    sample = fa.open_log("robomimic", root, parts=parts)[0]
    place, turn = made.hand(12)
    out = fa.MirrorScene(axis="y")(sample)
    assert np.array_equal(out["robot0_eef_pos"]["position"].numpy(), place @ D)
    found = Rotation.from_quat(out["robot0_eef_quat"]["quaternion_xyzw"].numpy())
    assert np.abs(found.as_matrix() - D @ turn.as_matrix() @ D).max() < 1e-12
    assert out["robot0_gripper_qpos"] is sample["robot0_gripper_qpos"] or np.array_equal(
        out["robot0_gripper_qpos"]["gripper"], sample["robot0_gripper_qpos"]["gripper"]
    )
    fast = fa.SpeedWarp(speed=2.0)(sample)
    assert np.allclose(fast["robot0_gripper_qvel"]["gripper_velocity"],
                       2 * sample["robot0_gripper_qvel"]["gripper_velocity"][::2])  # fmt: skip


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (BRIDGE, {"other": [0, 8]}),
        (BRIDGE, {"value": [0, 8]}),
        (["left_x", "left_y", "left_z", *"abc"], {"other": [0, 6]}),
        (["x", "y", "z", "rx", "ry", "rz"], {"other": [0, 6]}),
        ([*"abc", "qx", "qy", "qz", "qw"], {"other": [0, 7]}),
        (["state_x", "state_y", "state_z", "state_roll", "state_pitch", "state_yaw"], {"other": [0, 6]}),
        (["agent.x", "agent.y", "angle"], {"other": [0, 3]}),
        (["a", "ee_quat_w", "ee_quat_x", "ee_quat_y", "ee_quat_z"], {"other": [0, 5]}),
    ],
)
def test_poses_that_are_told_as_others_stop_what_moves_them(tmp_path: Path, names: list[str], part: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(FRAMES, len(names)))
    root = made.lerobot(tmp_path / "log", {"observation.state": (names, [rows])})
    sample = fa.open_log("lerobot", root, parts={"observation.state": part})[0]
    for transform in (fa.MirrorScene(axis="y"), fa.RotateScene(yaw_deg=5.0), fa.TranslateScene(x=1.0)):
        with pytest.raises(UnhandledStream, match=r"'state'.*log\.parts.*position.*log\.exclude"):
            transform(sample)
    fa.SpeedWarp(speed=1.5)(sample)
    fa.RotateScene(yaw_deg=0.0, p=0.0)(sample)


@pytest.mark.parametrize("names", [
    ["left_x", "left_y", "left_z", "right_x", "right_y", "right_z"], ["x", "y", "z"], ["x", "y", "z", "rx", "ry", "rz"],
    ["delta_x", "delta_y", "delta_z", "roll", "pitch", "yaw"], ["qx", "qz", "qy", "qw", "x", "y"], list("abcdef"),
])  # fmt: skip
def test_names_in_doubt_imply_nothing(tmp_path: Path, names: list[str]) -> None:
    root = made.lerobot(tmp_path / "log", {"observation.state": (names, [np.zeros((4, len(names)))])})
    assert "value" in fa.open_log("lerobot", root)[0]["state"].values
    with pytest.raises(UnhandledStream, match=r"rpy.*delta: tool"):
        fa.MirrorScene(axis="y")(fa.open_log("lerobot", root)[0])


def test_a_frame_is_one_of_the_rig(tmp_path: Path) -> None:
    root = made.lerobot(tmp_path / "log", {"observation.state": (DROID, [state_of(DROID)])})
    part: dict[str, Any] = {"position": [0, 3], "rpy": [3, 6], "frame": "table"}
    with pytest.raises(ConfigError, match=r"log\.parts: state: frame: the rig has no frame 'table'"):
        fa.open_log("lerobot", root, parts={"observation.state": part})[0]
    rig = tmp_path / "rig.yaml"
    rig.write_text("frames: {base: {parent: null}, table: {parent: base, translation: [0.5, 0, 0]}}\n")
    sample = fa.open_log("lerobot", root, parts={"observation.state": part}, rig=str(rig))[0]
    before, after = sample["state"], fa.RotateScene(yaw_deg=30.0)(sample)["state"]
    assert after is before or np.array_equal(after["rpy"], before["rpy"]), "a table in the scene turns with it"
    assert sample["state"].frame == "table"


@pytest.mark.parametrize(("part", "words"), [
    ({"position": [0, 3], "rpy": [3, 6], "axis_angle": [6, 9]}, "are the rotation of one hand"),
    ({"position": [0, 3], "rpy": [3, 6], "delta": "world", "other": [6, 9]}, "delta: expected base or tool"),
    ({"position": [0, 3], "quaternion_xyzw": [3, 6], "other": [6, 9]}, "quaternion_xyzw: takes 4 numbers, got 3"),
    ({"position": [0, 3], "rpy": [3, 6], "frame": 3, "other": [6, 9]}, "frame: expected the name of a frame"),
    ({"position": [0, 3], "rpy": [3, 6]}, "number 6 of 9 is not declared"),
])  # fmt: skip
def test_wrong_parts_of_poses_are_refused(tmp_path: Path, part: dict[str, Any], words: str) -> None:
    root = made.lerobot(tmp_path / "log", {"observation.state": (None, [np.zeros((4, 9))])})
    with pytest.raises(ConfigError, match=words):
        fa.open_log("lerobot", root, parts={"observation.state": part})[0]


@pytest.mark.parametrize("pipeline", ["mirror", "warp", "mirror and warp"])
def test_written_in_the_form_of_the_source(tmp_path: Path, pipeline: str) -> None:
    """``fusion-aug run`` and the parquet files: a mirror and a warp of states and commands, in the source's numbers."""
    root = made.lerobot(tmp_path / "log", {"observation.state": (LIBERO, [state_of(LIBERO), state_of(LIBERO, 1)]),
                                           "action": (COMMAND, [deltas(), deltas(6)])})  # fmt: skip
    steps = []
    if "mirror" in pipeline:
        steps.append("mirror={_target_: fusion_aug.MirrorScene, axis: y}")
    if "warp" in pipeline:
        steps.append("warp={_target_: fusion_aug.SpeedWarp, speed: 0.5}")
    parts = "action: {position: [0, 3, 0.05], axis_angle: [3, 6, 0.5], delta: base, command: [6, 7]}"
    run(tmp_path / "out", "log=lerobot", f"log.root={root}", f"log.parts={{{parts}}}",
        "pipeline=identity", *(f"+pipeline.transforms.{step}" for step in steps))  # fmt: skip
    for feature, signs in (("observation.state", [1, -1, 1, -1, 1, -1, 1, 1]), ("action", [1, -1, 1, -1, 1, -1, 1])):
        before, after = made.rows(root, feature), made.rows(tmp_path / "out", feature)
        expected = before * signs if "mirror" in pipeline else before
        expected = expected.astype(np.float32).reshape(2, FRAMES, -1)
        if "warp" not in pipeline:
            assert np.array_equal(after.reshape(expected.shape), expected), feature
        elif feature == "action":
            found = after.reshape(2, -1, 7)
            assert found.shape[1] == 2 * FRAMES - 1
            assert np.abs(found[:, :-1:2, :6] + found[:, 1::2, :6] - expected[:, :-1, :6]).max() < 1e-6
        else:
            assert np.array_equal(after.reshape(2, 2 * FRAMES - 1, -1)[:, ::2], expected)


@pytest.mark.parametrize(("vector", "width", "columns"), [
    ("obs/robot0_eef_pos", 3, ["position"]), ("obs/robot1_eef_quat", 4, ["quaternion_xyzw"]),
    ("robot0_eef_rot_axis_angle", 3, ["axis_angle"]), ("robot0_gripper_width", 1, ["gripper"]),
    ("observation.state.cartesian_position", 6, ["position", "rpy"]),
    ("action.cartesian_position", 6, ["position", "rpy"]),
    ("obs/robot_states", 9, ["gripper", "position", "quaternion_xyzw"]),
    ("obs/ee_states", 6, ["position", "axis_angle"]),
    ("action", 7, []), ("obs/ee_states", 7, []), ("robot0_eef_position_error", 3, []),
])  # fmt: skip
def test_names_of_whole_vectors(vector: str, width: int, columns: list[str]) -> None:
    parts = parts_from_names(vector, [], width)
    assert list(parts.columns) == columns
    assert not columns or parts.columns[columns[-1]][1] == width
