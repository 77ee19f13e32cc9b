"""Robots of the package example-robot-data: kinematics and mirrors against pinocchio, within seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from calib import CalibrationError, Joint, Robot, load_urdf
from calib.symmetry import RobotMirror, find_mirror

pin = pytest.importorskip("pinocchio")
MOST_SECONDS = 2.0  # of one description, on a busy machine
FILES = sorted(Path(str(f.locate())) for f in distribution("example-robot-data").files or () if f.suffix == ".urdf")
SYMMETRIC = {"a1", "anymal", "baxter", "bolt", "g1_29dof_rev_1_0", "go1", "go2", "hyq_no_sensors", "icub", "laikago",
             "panda", "pr2", "romeo", "simple_humanoid", "solo12", "talos_full_v2", "ur5_robot", "xarm7"}  # fmt: skip
CROOKED = {"tiago_dual": "arm_left_3_joint", "talos_left_arm": "arm_left_2_joint", "so101": "shoulder_lift",
           "centauro": "velodyne_joint", "alex_psyonic_hands": "Left_index_q2", "ur3": "root link"}  # fmt: skip


@dataclass
class Described:
    """A description, what became of it, and how long that took."""

    path: Path
    robot: Robot | None
    mirror: RobotMirror | None
    reason: str
    seconds: float


@pytest.fixture(scope="module")
def described() -> dict[str, Described]:
    return {f"{p.parent.parent.name}/{p.stem}": _described(p) for p in FILES}


def _described(path: Path) -> Described:
    robot = mirror = None
    start, reason = time.process_time(), ""
    try:
        robot = load_urdf(path)
        mirror = find_mirror(robot)
    except CalibrationError as error:
        reason = str(error)
    return Described(path, robot, mirror, reason, time.process_time() - start)


def test_each_ends_in_time_with_a_mirror_or_a_reason(described: dict[str, Described]) -> None:
    assert len(described) > 50
    slow = {n: d.seconds for n, d in described.items() if d.seconds > MOST_SECONDS}
    assert not slow
    by_name = {n.split("/")[1]: d for n, d in described.items()}
    refused = {n: by_name[n].reason for n in SYMMETRIC if by_name[n].mirror is None}
    assert not refused
    assert not {n: by_name[n].reason for n, word in CROOKED.items() if word not in by_name[n].reason}
    for name, found in described.items():
        links = [*found.robot.edges, *found.robot.joints] if found.robot is not None else [found.path.name]
        assert found.mirror is not None or any(word in found.reason for word in links), name


def test_links_stand_where_pinocchio_puts_them(described: dict[str, Described]) -> None:
    worst = {}
    for name, robot, model, q in _with_models(described):
        places, expected = _ours(robot, q), _placed(model, robot, q)
        worst[name] = max(float(np.abs(places[n] - T).max()) for n, T in expected.items() if n in places)
    assert len(worst) > 50 and max(worst.values()) < 1e-9, worst


def test_mirrors_hold_in_the_kinematics_of_pinocchio(described: dict[str, Described]) -> None:
    """The partner of a link stands at its mirror image, and partners are each other's."""
    S, worst = np.diag([1.0, -1.0, 1.0, 1.0]), {}
    for name, robot, model, q in _with_models(described):
        mirror = described[name].mirror
        if mirror is None or robot.root != model.frames[1].name:
            continue
        there = mirror.readings(torch.from_numpy(q), robot.joints).numpy()
        before, after = _placed(model, robot, q), _placed(model, robot, there)
        off = [
            float(np.abs(S @ before[n] - after[p] @ M.numpy()).max())
            for n, (p, M) in mirror.links.items() if n in before and p in after
        ]  # fmt: skip
        again = mirror.readings(torch.from_numpy(there), robot.joints).numpy()
        worst[name] = max([*off, *np.abs(again - q)])
        assert all(mirror.links[p][0] == n for n, (p, _) in mirror.links.items()), name
    assert len(worst) > 35
    rounded = {n: w for n, w in worst.items() if w > 1e-9}  # a file with 3.14 for half a turn, others with six decimals
    assert max(rounded.values(), default=0.0) < 2e-3, rounded


def test_legs_are_the_partners_that_their_names_say(described: dict[str, Described]) -> None:
    by_name = {n.split("/")[1]: d for n, d in described.items()}
    for name, leg, other in (("go1", "FL_hip", "FR_hip"), ("solo12", "HL_SHOULDER", "HR_SHOULDER"),
                             ("hyq_no_sensors", "lf_hipassembly", "rf_hipassembly")):  # fmt: skip
        mirror = by_name[name].mirror
        assert mirror is not None and mirror.links[leg][0] == other


def _with_models(described: dict[str, Described]) -> Iterator[tuple[str, Robot, Any, np.ndarray]]:
    rng = np.random.default_rng(0)
    for name, found in described.items():
        if found.robot is not None:
            yield (
                name,
                found.robot,
                pin.buildModelFromUrdf(str(found.path)),
                rng.uniform(-1, 1, len(found.robot.joints)),
            )


def _ours(robot: Robot, q: np.ndarray) -> dict[str, np.ndarray]:
    return {n: T.numpy() for n, T in robot.forward(torch.from_numpy(q)).items()}


def _placed(model: Any, robot: Robot, readings: np.ndarray) -> dict[str, np.ndarray]:
    """Poses of all links in the root, as pinocchio computes them."""
    named = dict(zip(robot.joints, readings, strict=True))
    q, data = pin.neutral(model), model.createData()
    for _, edge in robot.edges.values():
        if isinstance(edge, Joint):
            joint = model.joints[model.getJointId(edge.own or edge.name)]
            moved = edge.multiplier * named[edge.name] + edge.bias
            q[joint.idx_q : joint.idx_q + joint.nq] = moved if joint.nq == 1 else (math.cos(moved), math.sin(moved))
    pin.forwardKinematics(model, data, q)
    pin.updateFramePlacements(model, data)
    bodies = [i for i, frame in enumerate(model.frames) if frame.type == pin.FrameType.BODY]
    return {model.frames[i].name: np.array(data.oMf[i].homogeneous) for i in bodies}
