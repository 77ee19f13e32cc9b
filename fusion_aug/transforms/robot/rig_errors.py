"""Errors of a rig's geometry: joints, links and mountings; and the link of the end effector."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import JointPose, Rig, TaxelSensor
from calib.replacing import replace_unchecked
from calib.sides import side_of
from fusion_aug.transforms.mount.miscalibrate import with_frame_errors

DEGREE = math.pi / 180


def is_joint_driven(rig: Rig, frame: str) -> bool:
    """Whether a joint moves a frame."""
    return any(isinstance(rig.frames[n].pose, JointPose) for n in rig.ancestors(frame))


def error_matrix(six: Sequence[float]) -> Tensor:
    """(4, 4) of x y z metres and rx ry rz degrees, a rotation vector w: I + a [w]x + b [w]x^2 (Rodrigues)."""
    rx, ry, rz = (d * DEGREE for d in six[3:])
    angle = math.hypot(rx, ry, rz)
    half = math.sin(angle / 2)
    a, b = (math.sin(angle) / angle, 2 * (half / angle) ** 2) if angle else (1.0, 0.5)
    xy, xz, yz = b * rx * ry, b * rx * rz, b * ry * rz
    xx, yy, zz = b * rx * rx, b * ry * ry, b * rz * rz
    entries = (
        1 - yy - zz, xy - a * rz, xz + a * ry, six[0],
        xy + a * rz, 1 - xx - zz, yz - a * rx, six[1],
        xz - a * ry, yz + a * rx, 1 - xx - yy, six[2],
        0.0, 0.0, 0.0, 1.0,
    )  # fmt: skip
    return torch.from_numpy(np.array(entries).reshape(4, 4))


def has_own_mounting(rig: Rig, frame: str) -> bool:
    """Whether a frame is a sensor's alone: it has a parent, no joint moves it in that, and it carries nothing."""
    entry = rig.frames[frame]
    bare = entry.parent is not None and entry.inertia is None and not isinstance(entry.pose, JointPose)
    return bare and all(f.parent != frame for f in rig.frames.values())


def recorded_frame_errors(rig: Rig, params: Mapping[str, Any]) -> dict[str, Tensor]:
    """E (4, 4) by frame of the sensors with an error of mounting. Sensors of one frame move once."""
    out: dict[str, Tensor] = {}
    for name, six in params["sensors"].items():
        frame = params["frames"][name]
        if any(six) and has_own_mounting(rig, frame):
            out.setdefault(frame, error_matrix(six))
    return out


def taxel_pose_errors(rig: Rig, params: Mapping[str, Any]) -> dict[str, Tensor]:
    """E (4, 4) by stream of taxels that are fixed on a link's own frame: errors of their poses on the link."""
    return {
        name: error_matrix(six) for name, six in params["sensors"].items()
        if any(six) and isinstance(rig.sensors.get(name), TaxelSensor)
        and not has_own_mounting(rig, params["frames"][name])
    }  # fmt: skip


def with_geometry_errors(rig: Rig, params: Mapping[str, Any], mounts: Mapping[str, Tensor]) -> Rig:
    """The rig with the errors of joints, links and mountings."""
    rig = with_frame_errors(rig, mounts)
    frames = dict(rig.frames)
    for name, frame in rig.frames.items():
        pose = frame.pose
        if not isinstance(pose, JointPose):
            continue
        offset, joint = params["joints"].get(pose.joint.name, 0.0), pose.joint
        if any(six := params["links"].get(name, ())):
            joint = replace_unchecked(joint, origin=joint.origin @ error_matrix(six))
        if offset or joint is not pose.joint:
            moved = replace_unchecked(pose, joint=joint, readings=pose.readings + offset)
            frames[name] = replace_unchecked(frame, pose=moved)
    sensors = dict(rig.sensors)
    for name, error in taxel_pose_errors(rig, params).items():
        pad = sensors[name]
        assert isinstance(pad, TaxelSensor)
        sensors[name] = pad if pad.poses is None else replace_unchecked(pad, poses=error @ pad.poses)
    return Rig(frames, sensors)


def end_effector_link(rig: Rig, name: str) -> str | None:
    """The link of the end effector: the last of the longest chain of rotary joints; None where there is none.

    Where a robot has two arms, the side in the stream's ``name`` decides. A reading that several links follow is a
    gripper's.
    """
    poses = {n: f.pose for n, f in rig.frames.items()}
    followed = Counter(p.joint.name for p in poses.values() if isinstance(p, JointPose))
    links = [
        n for n, p in poses.items() if isinstance(p, JointPose) and p.joint.is_rotary and followed[p.joint.name] == 1
    ]
    mine = [n for n in links if side_of(n) == side_of(name)] if side_of(name) else []
    return max(mine or links, key=lambda n: len(set(rig.ancestors(n)) & set(links)), default=None)
