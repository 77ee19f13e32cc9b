"""The rig after a motion of the scene."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from calib.joints import Joint, JointPose
from calib.replacing import replace_unchecked
from calib.rig import Frame, Rig
from calib.sensors import CameraSensor, TactileSensor, TaxelSensor
from calib.symmetry import RobotMirror
from fusion_aug.core.gradients import asks_gradient
from fusion_aug.errors import DataError
from fusion_aug.transforms.scene.maps import SceneMaps
from fusion_aug.transforms.scene.taxel_places import EYE, moved_taxels, reordered

SLACK = 1e-3  # rad or m, beyond the limits of a joint


def moved_rig(rig: Rig, maps: SceneMaps) -> Rig:
    """The rig after a motion of the scene: poses, mirrored devices, swapped names.

    Of a robot that differs from the last one under the same maps in readings of joints alone, only these are new.
    """
    if maps.robot is None:
        return _moved_rig(rig, maps, {})
    poses, known = _mirrored_poses(rig, maps.robot), maps.moved
    if not maps.is_rigid:
        return _moved_rig(rig, maps, poses)
    if known is None or not _are_alike(rig, known[0]):
        out = _moved_rig(rig, maps, poses)
        all_follow = all(n in poses for n, f in rig.frames.items() if isinstance(f.pose, JointPose))
        maps.moved = (rig, out) if all_follow and not asks_gradient(out) else None
        return out
    frames = dict(known[1].frames)
    for name, pose in poses.items():
        joint = frames[name].pose.joint  # type: ignore[union-attr]  # the mirror of one that a joint moves
        frames[name] = replace_unchecked(frames[name], pose=replace_unchecked(pose, joint=joint))
    return Rig(frames, known[1].sensors)


def _are_alike(a: Rig, b: Rig) -> bool:
    """Whether two rigs differ in nothing but readings of joints."""
    same = list(a.frames) == list(b.frames) and list(a.sensors) == list(b.sensors)
    same = same and all(s is b.sensors[n] for n, s in a.sensors.items())
    return same and all(f is b.frames[n] or _is_alike(f, b.frames[n]) for n, f in a.frames.items())


def _is_alike(a: Frame, b: Frame) -> bool:
    same = a.inertia is b.inertia and a.parent == b.parent
    if not same or a.axis_convention != b.axis_convention or a.mirror_of != b.mirror_of:
        return False
    if isinstance(a.pose, JointPose) and isinstance(b.pose, JointPose):
        x, y = a.pose.joint, b.pose.joint
        return x is y or (x.figures, x.lower, x.upper) == (y.figures, y.lower, y.upper)
    is_still = isinstance(a.pose, Tensor) and isinstance(b.pose, Tensor)
    return a.pose is b.pose or (is_still and torch.equal(a.pose, b.pose))  # type: ignore[arg-type]


def _moved_rig(rig: Rig, maps: SceneMaps, poses: Mapping[str, JointPose]) -> Rig:
    moved = rig.mapped(maps.matrices, but_poses_of=poses)
    if maps.flips_images:
        moved = Rig(moved.frames, {n: s.mirrored() for n, s in rig.sensors.items()})
    moved = with_stereo_pairs(with_moved_touch_sensors(moved.renamed(maps.names), rig, maps), rig, maps)
    return moved if maps.robot is None else with_mirrored_joints(moved, rig, maps, maps.robot, poses)


def _mirrored_poses(rig: Rig, robot: RobotMirror) -> dict[str, JointPose]:
    """Link -> the pose that follows its partner's readings, mirrored, by the link's own joint.

    Raises:
        DataError: a joint would leave its limits.
    """
    moving = {n: f.pose for n, f in rig.frames.items() if isinstance(f.pose, JointPose) and f.parent is not None}
    out = {}
    for link, (other, _) in robot.links.items():
        if link in moving and other in moving:
            own, twin = moving[link], moving[other]
            _, sign, offset = robot.joints[own.joint.name]
            readings = sign * own.readings + offset  # before any scale, which ``mapped`` brings in
            _check_limits(own, twin, readings)
            out[other] = replace_unchecked(own, joint=twin.joint, readings=readings)
    return out


def with_moved_touch_sensors(moved: Rig, before: Rig, maps: SceneMaps) -> Rig:
    """A moved rig whose touch sensors are as large as their world, and have their elements where the mirror puts them.

    A gel keeps its lights and its background: pictures are rendered under those of the sensor whose name they get.
    """
    sensors = dict(moved.sensors)
    for name, sensor in before.sensors.items():
        new = maps.names.get(name, name)
        moved_sensor = sensors[new]
        if isinstance(moved_sensor, TactileSensor):
            own = before.sensors[new]
            assert isinstance(own, TactileSensor)
            lit = (
                moved_sensor
                if own.size != moved_sensor.size
                else replace_unchecked(moved_sensor, gel=own.gel, background=own.background)
            )
            sensors[new] = lit.scaled(float(maps.scale.detach()))
        elif isinstance(moved_sensor, TaxelSensor) and moved_sensor.poses is not None:
            own, motion, poses = before.sensors[new], maps(sensor.frame), moved_sensor.poses
            assert isinstance(own, TaxelSensor)
            if motion is not None:
                poses = reordered(maps.rows.get(name), moved_taxels(poses, motion))
            sensors[new] = replace_unchecked(moved_sensor, poses=poses, rows=own.rows)
    return Rig(moved.frames, sensors)


def with_stereo_pairs(moved: Rig, before: Rig, maps: SceneMaps) -> Rig:
    """A moved rig in which the first camera of a stereo pair that swapped names is still the first."""
    sensors = dict(moved.sensors)
    for name in maps.names:
        new, old = sensors.get(name), before.sensors.get(name)
        if isinstance(new, CameraSensor) and isinstance(old, CameraSensor) and new.rectification and old.rectification:
            sensors[name] = replace_unchecked(new, rectification=new.rectification.beside_as(old.rectification))
    return Rig(moved.frames, sensors)


def with_mirrored_joints(
    moved: Rig, before: Rig, maps: SceneMaps, robot: RobotMirror, poses: Mapping[str, JointPose]
) -> Rig:
    """A mirrored rig whose links follow their own joints again, at the mirrored readings.

    Args:
        moved: with other poses of these links. before: as it was. maps, robot: the mirror.
        poses: of these links, from ``_mirrored_poses``.
    """
    frames = dict(moved.frames)
    for link, (other, M) in robot.links.items():
        if other not in poses:
            continue
        parent = before.frames[link].parent
        assert parent is not None
        H_parent, H_link = maps.matrices(parent), maps.matrices(link)
        left = (EYE if H_parent is None else H_parent[0]) @ robot.inverses[parent]
        right = M @ (EYE if H_link is None else H_link[1])
        frames[other] = replace_unchecked(frames[other], pose=poses[other].mapped(left, right))
    return Rig(frames, moved.sensors)


def _check_limits(old: JointPose, new: JointPose, readings: Tensor) -> None:
    joint = new.joint
    if math.isinf(joint.lower) and math.isinf(joint.upper):
        return
    low, high = _extremes(joint, readings)
    if not _is_inside(joint, low, high) and _is_inside(old.joint, *_extremes(old.joint, old.readings)):
        raise DataError(
            f"the robot cannot be mirrored: joint {joint.name!r} would move to {low:.3f} to {high:.3f}, beyond its "
            f"limits {joint.lower:.3f} and {joint.upper:.3f}"
        )


def _extremes(joint: Joint, readings: Tensor) -> tuple[float, float]:
    """Least and largest motion, rad or m."""
    a, b = (joint.multiplier * float(end) + joint.bias for end in readings.detach().aminmax())
    return (a, b) if a <= b else (b, a)


def _is_inside(joint: Joint, low: float, high: float) -> bool:
    """Whether motions are within the limits of a joint; what is not a number is not."""
    return low >= joint.lower - SLACK and high <= joint.upper + SLACK
