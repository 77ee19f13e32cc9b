"""Numbers that are told to be rotations and are none stop a run before it writes; scipy makes the rotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import policy_logs as made
import pytest

import fusion_aug as fa

pytest.importorskip("pyarrow.parquet")
FRAMES = 30
PLACE, TURN = made.hand(FRAMES)
COLUMNS = np.concatenate([TURN.as_matrix()[:, :, 0], TURN.as_matrix()[:, :, 1]], 1)
GRIPPER = np.linspace(0.01, 0.05, FRAMES)[:, None]


def opened(root: Path, turn: np.ndarray, **parts: list[float]) -> Any:
    state = np.concatenate([PLACE, turn, GRIPPER], 1)
    made.lerobot(root, {"observation.state": (None, [state])})
    return fa.open_log("lerobot", root, parts={"observation.state": {"position": [0, 3], **parts}})[0]


def test_rotations_are_read(tmp_path: Path) -> None:
    rows = opened(tmp_path / "a", COLUMNS, rotation_6d=[3, 9], gripper=[9, 10])["state"]["rotation_6d"].numpy()
    assert np.abs(rows - COLUMNS).max() < 1e-6
    quaternions = TURN.as_quat()
    lost = quaternions.copy()
    lost[4], lost[9] = 0, np.nan  # readings that were lost, a few among all
    for name, numbers in (("b", quaternions), ("c", lost)):
        found = opened(tmp_path / name, numbers, quaternion_xyzw=[3, 7], gripper=[7, 8])["state"]["quaternion_xyzw"]
        assert np.array_equal(found.numpy(), numbers.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(("turn", "parts", "said"), [
    (COLUMNS, {"other": [3, 4], "rotation_6d": [4, 10]}, r"rotation_6d: numbers \[4, 10\] .* as 30 of 30"),
    (COLUMNS * 1.3, {"rotation_6d": [3, 9], "gripper": [9, 10]}, "length 1.3 and 1.3 and the product"),
    (COLUMNS, {"quaternion_xyzw": [3, 7], "other": [7, 10]}, r"quaternion_xyzw: numbers \[3, 7\] are no rotations"),
    (TURN.as_quat(), {"other": [3, 4], "quaternion_wxyz": [4, 8]}, "correct .start, stop. or the form"),
])  # fmt: skip
def test_others_are_refused(tmp_path: Path, turn: np.ndarray, parts: dict[str, list[float]], said: str) -> None:
    with pytest.raises(fa.ConfigError, match=f"log.parts.observation.state: .*{said}"):
        opened(tmp_path / "log", turn, **parts)
