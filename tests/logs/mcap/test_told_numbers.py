"""Topics of plain numbers whose meaning log.parts tells: poses of a hand and changes per step; scipy as oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bags
import numpy as np
import policy_logs as made
import pytest
from scipy.spatial.transform import Rotation

import fusion_aug as fa
from fusion_aug.errors import ConfigError

COUNT, STEP = 15, 100_000_000
POSE = {"/hand": {"position": [0, 3], "quaternion_xyzw": [3, 7], "gripper": [7, 8]}}
COMMAND = {"/command": {"position": [0, 3], "axis_angle": [3, 6], "delta": "base", "command": [6, 7]}}
NEITHER = ["/joint_states", "/imu", "/tf_static"]


def rows() -> tuple[np.ndarray, np.ndarray]:
    """Rows of poses (n, 8) and of commands (n, 7)."""
    place, turn = made.hand(COUNT)
    rng = np.random.default_rng(2)
    return (np.concatenate([place, turn.as_quat(), rng.uniform(size=(COUNT, 1))], 1),
            np.concatenate([rng.normal(scale=0.05, size=(COUNT, 6)), rng.integers(0, 2, (COUNT, 1))], 1))  # fmt: skip


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    layout = bags.ros("std_msgs/MultiArrayLayout")(dim=[], data_offset=0)
    extra: list[Any] = []
    for topic, table, kind in zip(
        ("/hand", "/command"), rows(), ("Float64MultiArray", "Float32MultiArray"), strict=True
    ):
        dtype = np.float64 if "64" in kind else np.float32
        for k, row in enumerate(table):
            message = bags.ros(f"std_msgs/{kind}")(layout=layout, data=row.astype(dtype))
            extra.append((topic, f"std_msgs/msg/{kind}", message, bags.T0 + k * STEP))
    return bags.recording(tmp_path / "bag" / "made.mcap", extra)


def numbers(out: Path, topic: str) -> np.ndarray:
    return np.stack([m.data for _, m in bags.messages(next(out.rglob("*.mcap")), topic)])


def test_a_mirror_and_a_warp_of_told_numbers(bag: Path, tmp_path: Path) -> None:
    pose, command = rows()
    command = command.astype(np.float32)
    log = fa.open_log("mcap", bag, parts=POSE | COMMAND, exclude=NEITHER)
    sample = log[0]
    assert type(sample["hand"]).__name__ == "RobotState" and isinstance(sample["command"], fa.Action)
    told = "{/hand: {position: [0, 3], quaternion_xyzw: [3, 7], gripper: [7, 8]}, " \
           "/command: {position: [0, 3], axis_angle: [3, 6], delta: base, command: [6, 7]}}"  # fmt: skip
    words = [f"log.exclude=[{','.join(NEITHER)}]", f"log.parts={told}"]
    from written import run

    run(tmp_path / "mirrored", "log=mcap", f"log.root={bag}", *words, "pipeline=identity",
        "+pipeline.transforms.mirror={_target_: fusion_aug.MirrorScene, axis: y}")  # fmt: skip
    assert np.array_equal(numbers(tmp_path / "mirrored", "/hand"), pose * [1, -1, 1, -1, 1, -1, 1, 1])
    after = numbers(tmp_path / "mirrored", "/command")
    assert np.array_equal(after, command * np.float32([1, -1, 1, -1, 1, -1, 1])) and after.dtype == np.float32
    run(tmp_path / "slow", "log=mcap", f"log.root={bag}", *words, "pipeline=identity",
        "+pipeline.transforms.slow={_target_: fusion_aug.SpeedWarp, speed: 0.5}")  # fmt: skip
    slow = numbers(tmp_path / "slow", "/hand")
    assert np.abs(slow[::2] - pose).max() < 1e-12
    a, b = Rotation.from_quat(pose[:-1, 3:7]), Rotation.from_quat(pose[1:, 3:7])
    between = Rotation.from_rotvec((b * a.inv()).as_rotvec() / 2) * a
    assert (Rotation.from_quat(slow[1::2, 3:7]) * between.inv()).magnitude().max() < 1e-9
    halves = numbers(tmp_path / "slow", "/command")
    assert np.abs(halves[:-1:2, :3] + halves[1::2, :3] - command[:-1, :3]).max() < 1e-6
    run(tmp_path / "copy", "log=mcap", f"log.root={bag}", *words, "pipeline=identity")
    assert np.array_equal(numbers(tmp_path / "copy", "/hand"), pose)


def test_windows_of_a_recording(bag: Path) -> None:
    _, command = rows()
    log = fa.open_log("mcap", bag, parts=POSE | COMMAND, exclude=NEITHER)
    data = fa.AugmentedDataset(log, fa.Compose([]), observe=[-0.1, 0], chunk=0.3)
    assert len(data) == COUNT - 1 - 2
    batch = fa.to_policy(data[4])
    assert np.array_equal(batch["command"][0], command[5:8].astype(np.float32))
    assert np.allclose(batch["hand"][0], rows()[0][4:6])


@pytest.mark.parametrize(("parts", "words"), [
    ({"/nothing": {"position": [0, 3]}}, "the log has no topic '/nothing'"),
    ({"/hand": {"position": [0, 3, 0.1], "other": [3, 8]}}, "position: a factor is for rows of tables"),
    ({"/hand": {"position": [0, 3], "other": [3, 7]}}, "number 7 of 8 is not declared"),
    ({"/imu": {"position": [0, 3]}}, "its type is sensor_msgs/msg/Imu"),
    ({"/hand": {"position": [0, 3], "other": [3, 8], "frame": "nowhere"}}, "pose of 'nowhere'"),
])  # fmt: skip
def test_wrong_parts_of_topics_are_refused(bag: Path, parts: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fa.open_log("mcap", bag, parts=parts)[0]
