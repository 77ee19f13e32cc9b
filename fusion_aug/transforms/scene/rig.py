"""The rig after a motion of the scene."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from calib.joints import Joint, JointPose
from calib.replacing import replace_unchecked
from calib.rig import Rig
from calib.sensors import CameraSensor, TactileSensor, TaxelSensor
from calib.symmetry import RobotMirror
from fusion_aug.errors import DataError
from fusion_aug.transforms.scene.maps import SceneMaps
from fusion_aug.transforms.scene.taxel_places import EYE, moved_taxels, reordered

SLACK = 1e-3  # rad or m, beyond the limits of a joint


def moved_rig(rig: Rig, maps: SceneMaps) -> Rig:
    """The rig after a motion of the scene: poses, mirrored devices, swapped names."""
    followers = {} if maps.robot is None else _followers(rig, maps.robot)
    moved = rig.mapped(maps.matrices, but_poses_of=followers)
    if maps.flips_images:
        moved = Rig(moved.frames, {n: s.mirrored() for n, s in rig.sensors.items()})
    moved = with_stereo_pairs(with_moved_touch_sensors(moved.renamed(maps.names), rig, maps), rig, maps)
    return moved if maps.robot is None else with_mirrored_joints(moved, rig, maps, maps.robot, followers)


def _followers(rig: Rig, robot: RobotMirror) -> dict[str, str]:
    """Link that a joint moves -> its partner, which follows its readings in a mirror."""
    moving = {n for n, f in rig.frames.items() if isinstance(f.pose, JointPose)}
    return {
        n: p for n, (p, _) in robot.links.items() if n in moving and p in moving and rig.frames[n].parent is not None
    }


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
    moved: Rig, before: Rig, maps: SceneMaps, robot: RobotMirror, followers: Mapping[str, str]
) -> Rig:
    """A mirrored rig whose links follow their own joints again, at the mirrored readings.

    Args:
        moved: with other poses of these links. before: as it was. maps, robot: the mirror.
        followers: link -> its partner, which follows its readings now.

    Raises:
        DataError: a joint would leave its limits.
    """
    frames = dict(moved.frames)
    for link, other in followers.items():
        parent, own, twin = before.frames[link].parent, before.frames[link].pose, before.frames[other].pose
        assert isinstance(own, JointPose) and isinstance(twin, JointPose) and parent is not None
        _, sign, offset = robot.joints[own.joint.name]
        readings = sign * own.readings + offset  # before any scale, which ``mapped`` brings in
        _check_limits(own, twin, readings)
        H_parent, H_link = maps.matrices(parent), maps.matrices(link)
        left = (EYE if H_parent is None else H_parent[0]) @ robot.inverses[parent]
        right = robot.links[link][1] @ (EYE if H_link is None else H_link[1])
        pose = replace_unchecked(own, joint=twin.joint, readings=readings).mapped(left, right)
        frames[other] = replace_unchecked(frames[other], pose=pose)
    return Rig(frames, moved.sensors)


def _check_limits(old: JointPose, new: JointPose, readings: Tensor) -> None:
    joint = new.joint
    low, high = _extremes(joint, readings)
    if not _is_inside(joint, low, high) and _is_inside(old.joint, *_extremes(old.joint, old.readings)):
        raise DataError(
            f"the robot cannot be mirrored: joint {joint.name!r} would move to {low:.3f} to {high:.3f}, beyond its "
            f"limits {joint.lower:.3f} and {joint.upper:.3f}"
        )


def _extremes(joint: Joint, readings: Tensor) -> tuple[float, float]:
    """Least and largest motion, rad or m."""
    motion = joint.multiplier * readings.detach().numpy() + joint.bias
    return float(motion.min()), float(motion.max())


def _is_inside(joint: Joint, low: float, high: float) -> bool:
    """Whether motions are within the limits of a joint; what is not a number is not."""
    return low >= joint.lower - SLACK and high <= joint.upper + SLACK
