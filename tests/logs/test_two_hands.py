"""Two hands in one vector, or in two: a mirror makes a left one of a right one; scipy and the files as oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import policy_logs as made
import pytest
from scipy.spatial.transform import Rotation
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError

FRAMES = 20
D = np.array([1.0, -1.0, 1.0])
SIDES = ("left", "right")
MIRROR = "+pipeline.transforms.m={_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
WARP = "+pipeline.transforms.w={_target_: fusion_aug.SpeedWarp, speed: 2.0}"
PARTS = {
    side: {"position": [7 * k, 7 * k + 3], "rpy": [7 * k + 3, 7 * k + 6], "gripper": [7 * k + 6, 7 * k + 7]}
    for k, side in enumerate(SIDES)
}
STEPS = {side: {"position": [6 * k, 6 * k + 3, 0.05], "axis_angle": [6 * k + 3, 6 * k + 6, 0.5]}
         for k, side in enumerate(SIDES)} | {"delta": "base", "command": [12, 14]}  # fmt: skip
TOLD = {"observation.state": PARTS, "action": STEPS}


def told(parts: dict[str, Any]) -> str:
    return f"log.parts={json.dumps(parts).replace(chr(34), '')}"


def states() -> np.ndarray:
    """(n, 14) as sets of two arms have them: x y z roll pitch yaw gripper of the left hand, and of the right one."""
    hands = [made.hand(FRAMES, seed) for seed in range(2)]
    grip = np.random.default_rng(3).uniform(0, 1, (2, FRAMES, 1))
    return np.concatenate([np.concatenate([p, r.as_euler("xyz"), g], 1) for (p, r), g in zip(hands, grip, strict=True)],
                          1).astype(np.float32)  # fmt: skip


def steps() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.concatenate([rng.normal(scale=0.2, size=(FRAMES, 12)), rng.integers(0, 2, (FRAMES, 2))], 1).astype(
        np.float32
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return made.lerobot(tmp_path / "log", {"observation.state": (None, [states()]), "action": (None, [steps()])})


def mirrored(hand: np.ndarray) -> np.ndarray:
    """Numbers (n, 7) of a hand in a mirror of y, by matrices."""
    R = Rotation.from_euler("xyz", hand[:, 3:6]).as_matrix() * D[:, None] * D
    return np.concatenate([hand[:, :3] * D, Rotation.from_matrix(R).as_euler("xyz"), hand[:, 6:]], 1)


def test_each_hand_is_a_stream(root: Path) -> None:
    sample = fa.open_log("lerobot", root, parts=TOLD)[0]
    assert list(sample.streams) == ["state:left", "state:right", "action", "action:left", "action:right", "task"]
    assert np.allclose(sample["state:right"]["position"], states()[:, 7:10])
    assert np.allclose(sample["action:left"]["delta_rotation"], 0.5 * steps()[:, 3:6])


def test_a_mirror_gives_the_numbers_of_one_hand_to_the_other(root: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "out", "log=lerobot", f"log.root={root}", "pipeline=identity", MIRROR, told(TOLD))
    before, after = states().astype(np.float64), made.rows(out, "observation.state")
    found = [Rotation.from_euler("xyz", after[:, k : k + 3]) for k in (3, 10)]
    for k, other in ((0, 7), (7, 0)):
        expected = mirrored(before[:, other : other + 7])
        assert np.allclose(after[:, k : k + 3], expected[:, :3], atol=1e-6)
        turn = Rotation.from_euler("xyz", expected[:, 3:6]).inv() * found[k // 7]
        assert turn.magnitude().max() < 1e-5
        assert np.allclose(after[:, k + 6], before[:, other + 6])
    old, new = steps(), made.rows(out, "action")
    sign = np.concatenate([D, -D])
    assert np.allclose(new[:, :6], old[:, 6:12] * sign, atol=1e-6)
    assert np.allclose(new[:, 6:12], old[:, :6] * sign, atol=1e-6)
    assert main(["check", str(out)]) == 0


def test_copies_and_warps_hold(root: Path, tmp_path: Path) -> None:
    words = ["log=lerobot", f"log.root={root}", "pipeline=identity", told(TOLD)]
    same = run(tmp_path / "same", *words)
    assert np.array_equal(made.rows(same, "observation.state"), states())
    fast = run(tmp_path / "fast", *words, WARP)
    assert np.allclose(made.rows(fast, "observation.state")[:, 7:10], states()[::2, 7:10], atol=1e-5)
    assert np.allclose(made.rows(fast, "action")[:, 6:9], steps()[:, 6:9].reshape(-1, 2, 3).sum(1), atol=1e-5)
    assert main(["check", str(fast)]) == 0


def test_two_arms_of_robomimic(tmp_path: Path) -> None:
    root = tmp_path / "log"
    root.mkdir()
    with h5py.File(root / "demos.hdf5", "w") as file:
        group = file.create_group("data/demo_0")
        group.attrs["num_samples"] = FRAMES
        group["actions"] = steps()
        for side, (place, turn) in zip(SIDES, (made.hand(FRAMES, 1), made.hand(FRAMES, 2)), strict=True):
            group[f"obs/{side}_eef_pos"], group[f"obs/{side}_eef_quat"] = place, turn.as_quat()
    parts: dict[str, Any] = {"actions": STEPS}
    for side in SIDES:
        parts |= {f"obs/{side}_eef_pos": {"position": [0, 3]}, f"obs/{side}_eef_quat": {"quaternion_xyzw": [0, 4]}}
    words = ["log=robomimic", f"log.root={root}", "pipeline=identity"]
    out = run(tmp_path / "out", *words, MIRROR, told(parts))
    with h5py.File(next(out.glob("*.hdf5"))) as file:
        demo = file["data/demo_0"]
        assert np.allclose(demo["obs/left_eef_pos"], made.hand(FRAMES, 2)[0] * D)
        found = Rotation.from_quat(demo["obs/right_eef_quat"][:]).as_matrix()
        assert np.allclose(found, made.hand(FRAMES, 1)[1].as_matrix() * D[:, None] * D)
        assert np.allclose(demo["actions"][:, :3], steps()[:, 6:9] * D, atol=1e-6)
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({**PARTS, "left": {"position": [0, 3]}}, "number 3 of 14 is not declared"),
        ({**PARTS, "left": {**PARTS["right"]}}, "belongs to"),
        ({**PARTS, "left": {"thumb": PARTS["left"]}}, "expected columns of the hand"),
        ({**PARTS, "a/b": PARTS["left"]}, "expected the name of a hand"),
    ],
)
def test_hands_that_are_not_told_well_are_refused(root: Path, parts: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fa.open_log("lerobot", root, parts={"observation.state": parts}, exclude=["action"])[0]
