"""The robot in a MuJoCo model, as links and joints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import Frame, Joint, JointPose, Rig, Robot
from calib.se3 import rotation_from_quaternion, se3
from fusion_aug.errors import DataError
from fusion_aug.sim.model_names import body_name, joint_name

FREE, BALL, SLIDE, HINGE = range(4)  # mjtJoint
ALWAYS = 2**62  # ns that a reading holds


def joints_of(model: Any, body: int) -> list[int]:
    """Numbers of a body's joints, in the order in which they move it."""
    first = int(model.body_jntadr[body])
    return list(range(first, first + int(model.body_jntnum[body]))) if first >= 0 else []


def is_free(model: Any, body: int) -> bool:
    """Whether a free joint moves a body."""
    return any(int(model.jnt_type[j]) == FREE for j in joints_of(model, body))


def find_root(model: Any, root: str = "") -> int:
    """Number of the body whose xz plane the robot is mirrored at.

    Args:
        model: of MuJoCo. root: name of the body; by default that with a free joint that carries other joints, else the
            world.

    Raises:
        DataError: there is no such body, or several robots are free.
    """
    names = [body_name(model, b) for b in range(model.nbody)]
    if root:
        if root not in names:
            raise DataError(f"mirror: root: the model has no body {root!r} (it has {', '.join(names)})")
        return names.index(root)
    moved = {b for b in range(1, model.nbody) if joints_of(model, b) and not is_free(model, b)}
    found = {int(model.body_rootid[b]) for b in moved}
    free = sorted(b for b in found if is_free(model, b))
    if len(free) > 1 or (free and len(found) > 1):
        raise DataError(
            f"mirror: there are several robots ({', '.join(names[b] for b in sorted(found))}); give one as root"
        )
    return free[0] if free else 0


def robot_of_model(model: Any, root: int) -> Robot:
    """All bodies below a root that hinges and slides move, or that are fixed; readings are those of ``qpos``.

    A body of several joints has a link ``BODY/JOINT`` for each but the last.

    Raises:
        DataError: a ball joint moves one of them.
    """
    edges: dict[str, tuple[str, Joint | Tensor]] = {}
    inside = {root}
    for body in range(root + 1, model.nbody):
        above = int(model.body_parentid[body])
        if above not in inside or is_free(model, body):
            continue
        inside.add(body)
        _add(edges, model, body, body_name(model, above))
    return Robot(root=body_name(model, root), edges=edges, name=body_name(model, root))


def _add(edges: dict[str, tuple[str, Joint | Tensor]], model: Any, body: int, parent: str) -> None:
    place = se3(
        rotation_from_quaternion(np.array(model.body_quat[body])), torch.from_numpy(np.array(model.body_pos[body]))
    )
    joints, name = joints_of(model, body), body_name(model, body)
    if not joints:
        edges[name] = (parent, place)
    for number, j in enumerate(joints):
        kind = int(model.jnt_type[j])
        if kind == BALL:
            raise DataError(f"mirror: joint {joint_name(model, j)!r}: ball joints have no sign; give three hinges")
        at = torch.from_numpy(np.array(model.jnt_pos[j]))
        low, high = -math.inf, math.inf
        if model.jnt_limited[j]:
            low, high = np.array(model.jnt_range[j]) - model.qpos0[model.jnt_qposadr[j]]
        joint = Joint(
            name=joint_name(model, j), kind="prismatic" if kind == SLIDE else "revolute",
            axis=torch.from_numpy(np.array(model.jnt_axis[j])), origin=place @ se3(translation=at),
            tail=se3(translation=-at), bias=-float(model.qpos0[model.jnt_qposadr[j]]),
            lower=float(low), upper=float(high),
        )  # fmt: skip
        link = name if number + 1 == len(joints) else f"{name}/{joint.name}"
        edges[link] = (parent, joint)
        parent, place = link, se3()


def frames_of_model(model: Any, data: Any, time: int = 0, world: str = "world") -> dict[str, Frame]:
    """All bodies of a model as frames of a rig: links follow their joints, loose bodies stay where they are.

    Joints hold one reading, that of ``data``, for all times: a recording puts its readings in their place.

    Args:
        model, data: of MuJoCo. time: ns, of the reading. world: name of the root.
    """
    frames = {world: Frame(axis_convention="world")}
    edges: dict[str, tuple[str, Joint | Tensor]] = {}
    for body in range(1, model.nbody):
        above = int(model.body_parentid[body])
        parent = body_name(model, above) if above else world
        if is_free(model, body):
            T = se3(rotation_from_quaternion(np.array(data.xquat[body])), torch.from_numpy(data.xpos[body].copy()))
            frames[body_name(model, body)] = Frame(parent=parent, pose=T)
        else:
            _add(edges, model, body, parent)
    readings = {joint_name(model, j): float(data.qpos[model.jnt_qposadr[j]]) for j in range(model.njnt)}
    times = torch.tensor([time])
    for link, (parent, edge) in edges.items():
        pose: Any = edge
        if isinstance(edge, Joint):
            reading = torch.tensor([readings[edge.name]], dtype=torch.float64)
            pose = JointPose(joint=edge, times=times, readings=reading, reach=ALWAYS)
        frames[link] = Frame(parent=parent, pose=pose)
    return frames


def pose_at(rig: Rig, base: str, frame: str, readings: Mapping[str, float]) -> np.ndarray:
    """``T_base_frame`` (4, 4) of a rig whose joints have other readings: reported poses while an episode runs.

    Args:
        rig: whose links between the two follow joints or are fixed. base: an ancestor of the frame.
        readings: joint -> rad or m, of all joints between them, as they are reported (with their offsets).

    Raises:
        DataError: ``base`` is no ancestor of the frame, or a joint has no reading.
    """
    chain = rig.ancestors(frame)
    if base not in chain:
        raise DataError(f"rig: {base!r} carries no frame {frame!r}")
    T = np.eye(4)
    for name in chain[: chain.index(base)]:
        pose = rig.frames[name].pose
        if isinstance(pose, JointPose):
            if pose.joint.name not in readings:
                raise DataError(f"rig: joint {pose.joint.name!r} has no reading")
            local = pose.joint.pose(torch.tensor(readings[pose.joint.name], dtype=torch.float64)).numpy()
        else:
            local = rig.frames[name].at(None).numpy()
        T = local @ T
    return T
