"""Changes per step along the axes of the tool: all steps together lead where the old ones did; scipy as oracle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import policy_logs as made
import pytest
from scipy.spatial.transform import Rotation, Slerp
from written import run

FRAMES = 30
FORMS = {"rotation_6d": 6, "axis_angle": 3, "quaternion_xyzw": 4}


def numbers(form: str, turn: Rotation) -> np.ndarray:
    if form == "rotation_6d":
        return np.concatenate([turn.as_matrix()[..., 0], turn.as_matrix()[..., 1]], 1)
    return turn.as_rotvec() if form == "axis_angle" else turn.as_quat()


def rotations(form: str, v: np.ndarray) -> Rotation:
    if form != "rotation_6d":
        return Rotation.from_rotvec(v) if form == "axis_angle" else Rotation.from_quat(v)
    a, b = v[:, :3], v[:, 3:]
    return Rotation.from_matrix(np.stack([a, b, np.cross(a, b)], 2))


def way(steps: np.ndarray, form: str) -> tuple[np.ndarray, Rotation]:
    """Places (n + 1, 3) and rotations to which steps of the tool lead, one after another."""
    place, turn = [np.zeros(3)], [Rotation.identity()]
    for shift, change in zip(steps[:, :3], rotations(form, steps[:, 3:].astype(np.float64)), strict=True):
        place.append(place[-1] + turn[-1].apply(shift))
        turn.append(turn[-1] * change)
    return np.stack(place), Rotation.concatenate(turn)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_new_steps_lead_as_the_old(tmp_path: Path, form: str, speed: float) -> None:
    place, turn = made.hand(FRAMES + 1)
    back = turn[:-1].inv()
    steps = np.concatenate([back.apply(np.diff(place, axis=0)), numbers(form, back * turn[1:])], 1).astype(np.float32)
    root = made.lerobot(tmp_path / "log", {"action": (None, [steps])})
    parts = {"action": {"position": [0, 3], form: [3, 3 + FORMS[form]], "delta": "tool"}}
    told = f"log.parts={json.dumps(parts).replace(chr(34), '')}"
    warp = f"+pipeline.transforms.w={{_target_: fusion_aug.SpeedWarp, speed: {speed}}}"
    out = run(tmp_path / "out", "log=lerobot", f"log.root={root}", "pipeline=identity", told, warp)

    (old, turned), (new, turned_then) = way(steps, form), way(made.rows(out, "action"), form)
    at = np.arange(len(new)) * speed
    inside = at <= FRAMES
    straight = np.stack([np.interp(at, np.arange(FRAMES + 1), old[:, k]) for k in range(3)], 1)
    assert np.abs(straight - new)[inside].max() < 1e-6
    between = Slerp(np.arange(FRAMES + 1), turned)(at[inside])
    assert (between.inv() * turned_then[inside]).magnitude().max() < 1e-5
