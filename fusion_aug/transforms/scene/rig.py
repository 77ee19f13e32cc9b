"""The rig after a motion of the scene."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.joints import JointPose
from calib.replacing import replace_unchecked
from calib.rig import Rig
from calib.sensors import CameraSensor, TactileSensor, TaxelSensor
from calib.symmetry import RobotMirror
from fusion_aug.errors import DataError
from fusion_aug.transforms.scene.maps import SceneMaps
from fusion_aug.transforms.scene.taxel_places import EYE, moved_taxels, reordered


def moved_rig(rig: Rig, maps: SceneMaps) -> Rig:
    """The rig after a motion of the scene: poses, mirrored devices, swapped names."""
    moved = rig.mapped(maps.matrices)
    if maps.flips_images:
        moved = Rig(moved.frames, {n: s.mirrored() for n, s in rig.sensors.items()})
    moved = with_stereo_pairs(with_moved_touch_sensors(moved.renamed(maps.names), rig, maps), rig, maps)
    return moved if maps.robot is None else with_mirrored_joints(moved, rig, maps, maps.robot)


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


def with_mirrored_joints(moved: Rig, before: Rig, maps: SceneMaps, robot: RobotMirror) -> Rig:
    """A mirrored rig whose links follow their own joints again, at the mirrored readings.

    Raises:
        DataError: a joint would leave its limits.
    """
    frames = dict(moved.frames)
    for link, (other, M) in robot.links.items():
        frame, twin = before.frames[link], before.frames[other].pose
        if not isinstance(frame.pose, JointPose) or not isinstance(twin, JointPose) or frame.parent is None:
            continue
        _, sign, offset = robot.joints[frame.pose.joint.name]
        readings = sign * frame.pose.readings + offset  # before any scale, which ``mapped`` brings in
        _check_limits(frame.pose, twin, readings)
        H_parent, H_link = maps.matrices(frame.parent), maps.matrices(link)
        left = (EYE if H_parent is None else H_parent[0]) @ torch.linalg.inv(robot.links[frame.parent][1])
        right = M @ (EYE if H_link is None else H_link[1])
        pose = JointPose(joint=twin.joint, times=frame.pose.times, readings=readings, reach=frame.pose.reach).mapped(
            left, right
        )
        frames[other] = replace_unchecked(frames[other], pose=pose)
    return Rig(frames, moved.sensors)


def _check_limits(old: JointPose, new: JointPose, readings: Tensor) -> None:
    joint, slack = new.joint, 1e-3
    motion = joint.multiplier * readings + joint.bias
    was = old.joint.multiplier * old.readings + old.joint.bias
    inside = bool(((was >= old.joint.lower - slack) & (was <= old.joint.upper + slack)).all())
    if inside and bool(((motion < joint.lower - slack) | (motion > joint.upper + slack)).any()):
        raise DataError(
            f"the robot cannot be mirrored: joint {joint.name!r} would move to {float(motion.min()):.3f} to "
            f"{float(motion.max()):.3f}, beyond its limits {joint.lower:.3f} and {joint.upper:.3f}"
        )
