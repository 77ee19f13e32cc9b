"""Parts that cannot be meant are refused by the word that is wrong, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import policy_logs as made
import pytest
from written import run

import fusion_aug as fa
from fusion_aug.errors import ConfigError


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"position": [0, 3, float("nan")], "other": [3, 7]}, r"position: expected a factor .* other than 0, got nan"),
        ({"position": [0, 3, 0], "other": [3, 7]}, r"position: expected a factor .* other than 0, got 0"),
        ({"position": [0, 2.9], "other": [3, 7]}, r"position: expected \[start, stop\]"),
        ({"position": [False, 3], "other": [3, 7]}, r"position: expected \[start, stop\]"),
        ({"joints": ["a", "b"]}, r"joints: names the joints of columns, and none is told; .* position: \[0, 2\]"),
        (
            {"postion": [0, 3], "rpy": [3, 6], "gripper": [6, 7]},
            r"no kind of stream has the columns \['postion'\]; known: position,",
        ),
    ],
)
def test_parts_that_cannot_be_meant(tmp_path: Path, parts: dict[str, Any], words: str) -> None:
    root = made.lerobot(tmp_path / "log", {"observation.state": (None, [np.zeros((5, 7))])})
    with pytest.raises(ConfigError, match=words):
        fa.open_log("lerobot", root, parts={"observation.state": parts})[0]


def test_efforts_of_each_arm_are_features_of_their_own(tmp_path: Path) -> None:
    """Efforts alone are no state, and stop no export."""
    (tmp_path / "log").mkdir()
    rows = np.random.default_rng(0).normal(size=(12, 4))
    with h5py.File(tmp_path / "log/demos.hdf5", "w") as file:
        demo = file.create_group("data/demo_0")
        demo.attrs["num_samples"] = len(rows)
        demo["actions"], demo["obs/a_torque"], demo["obs/state"] = rows, rows, rows
    arms = {"left": [0, 2], "right": [2, 4]}
    names = {side: [f"{side}_{k}" for k in range(2)] for side in arms}
    parts = {
        f: {side: {word: span, "joints": names[side]} for side, span in arms.items()}
        for f, word in (("obs/a_torque", "effort"), ("obs/state", "position"), ("actions", "joint_position"))
    }
    told = f"log.parts={parts}".replace("'", "")
    out = run(tmp_path / "out", "log=robomimic", f"log.root={tmp_path / 'log'}", told, "pipeline=identity",
              "output=lerobot", "output.task=go")  # fmt: skip
    for feature, span in (("left", slice(0, 2)), ("right", slice(2, 4))):
        found = made.rows(out, f"observation.a_torque_{feature}")
        assert np.allclose(found, rows[:, span], atol=1e-6)
    assert np.allclose(made.rows(out, "observation.state"), rows, atol=1e-6)
    assert np.allclose(made.rows(out, "action"), rows, atol=1e-6)
