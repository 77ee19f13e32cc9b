"""Errors of mountings on a device: sensors that turn. Joints and links shift sensors too, and are left to the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusion_aug.core.device.rules import lacks_on_device, on_device, walks_on_host
from fusion_aug.core.ranges import can_differ_from
from fusion_aug.core.registry import Call
from fusion_aug.sample import Sample
from fusion_aug.streams import BodyPose, JointState, RobotVector, Stream, Taxels
from fusion_aug.transforms.robot.kinematic_rules import move_taxel_poses
from fusion_aug.transforms.robot.kinematics import KinematicNoise
from fusion_aug.transforms.scene.robot import refuse_misplaced

SHIFTS = ("joint_deg", "joint", "link", "link_deg", "hand_eye")  # of which sensors move

walks_on_host(KinematicNoise)  # which changes rigs, and then moves sensors as ``Viewpoint`` does
on_device(KinematicNoise, Taxels)(move_taxel_poses)  # which are part of how they are described


@lacks_on_device(KinematicNoise)
def what_kinematic_noise_lacks(settings: Mapping[str, Any], sample: Sample) -> str:
    """Why errors of a robot's geometry cannot run on a device; nothing where sensors turn alone."""
    if "frames" not in settings:  # fields, and not what was drawn
        moving = [n for n in SHIFTS if can_differ_from(settings[n], 0.0)]
    else:
        moving = ["joints"] if any(settings["joints"].values()) else []
        moving += ["links"] if any(map(any, settings["links"].values())) else []
        moving += ["hand_eye"] if any(any(six[:3]) for six in settings["sensors"].values()) else []
    return f"with {moving[0]} (on a device sensors turn alone; set {', '.join(moving)} to 0)" if moving else ""


def keep_readings(stream: JointState | RobotVector, call: Call) -> Stream:
    """Readings and commands as they are, since neither joints nor links are off."""
    refuse_misplaced(stream, call)
    return stream


on_device(KinematicNoise, JointState)(keep_readings)
on_device(KinematicNoise, RobotVector)(keep_readings)


@on_device(KinematicNoise, BodyPose)
def keep_pose(stream: BodyPose, call: Call) -> Stream:
    """The pose of a part of the robot as it is."""
    return stream
