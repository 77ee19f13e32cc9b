"""Errors of a robot's kinematic model, and its mirror image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from calib import JointPose, TactileSensor, TaxelSensor
from calib.replacing import replace_unchecked
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, can_differ_from, draw, draw_several
from fusion_aug.core.registry import Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches, unmatched
from fusion_aug.streams import Imu, JointState, Wrench
from fusion_aug.streams.families import Kinematic
from fusion_aug.transforms.mount.frame_motions import FrameMotions
from fusion_aug.transforms.mount.viewpoint import with_validity_masks
from fusion_aug.transforms.mount.viewpoint_sensors import Viewpoint
from fusion_aug.transforms.robot.rig_errors import (
    DEGREE,
    has_own_mounting,
    is_joint_driven,
    recorded_frame_errors,
    with_geometry_errors,
)
from fusion_aug.transforms.scene.scene import MirrorScene
from fusion_aug.transforms.temporal.dynamics import robot_with_masses

MODES = ("belief", "truth")
OFF = "declared: moves a hand at 1 m by 5 cm"


@dataclass(frozen=True, kw_only=True)
class KinematicNoise(Transform, Kinematic):
    """Errors of a robot's geometry: encoder offsets, link lengths, mountings. One draw enters everything they touch.

    Joint readings, absolute joint targets, the end effector's pose, the extrinsics of what the links carry (cameras,
    touch, wrench) follow. With ``mode=belief`` only what is reported changes, while the data obey the old geometry;
    with ``mode=truth`` the robot has moved: pictures of carried cameras are rendered again, as by ``Viewpoint`` (a
    shift needs their depth), and efforts hold its weight in the new posture (where all masses are known). A camera
    beside the robot keeps its picture, which shows the robot where it was.

    Attributes:
        joint_deg: offset of every rotary joint, degrees. joint: of every prismatic one, metres.
        link: error of every link's position in its parent, metres per axis. link_deg: of its rotation, degrees.
        hand_eye: error of the mounting of every sensor that the links carry (cameras, touch, wrench, IMUs), metres per
            axis. A sensor at a link's own frame has no mounting, but taxels at one have poses of their own.
        hand_eye_deg: degrees per axis.
        joints: names or shell patterns of the joints that have an offset.
        sensors: names or shell patterns of sensors with an error of mounting; those that the links carry by default.
            With ``mode=truth`` without those of gels, whose contact would be another one elsewhere.
        mode: "belief" or "truth".
    """

    joint_deg: Range = 0.0
    joint: Range = 0.0
    link: Range = 0.0
    link_deg: Range = 0.0
    hand_eye: Range = 0.0
    hand_eye_deg: Range = 0.0
    joints: tuple[str, ...] = ("*",)
    sensors: tuple[str, ...] = ()
    mode: str = "belief"

    version: ClassVar[int] = 2  # since 2026-11: rotations by Rodrigues' formula, right to the last bits
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "a moved scanner does not see what now lies behind something; validity masks are added",
        "keeps_counts": "a moved scanner does not see what now lies behind something",
        "content_identity": "a wrong reported rig no longer says where things are",
        "invertible": "what a moved camera does not see is lost",
        "differentiable": "pictures are rendered without a gradient",
    }
    strengths: ClassVar[Strengths] = {
        "joint_deg": Strength(0.0, (-3.0, 3.0), "linear", OFF, "degrees", exact=False),
        "joint": Strength(0.0, (-0.05, 0.05), "linear", OFF, "m", exact=False),
        "link": Strength(0.0, (-0.05, 0.05), "linear", OFF, "m", exact=False),
        "link_deg": Strength(0.0, (-3.0, 3.0), "linear", OFF, "degrees", exact=False),
        "hand_eye": Strength(0.0, (-0.05, 0.05), "linear", OFF, "m", exact=False),
        "hand_eye_deg": Strength(0.0, (-3.0, 3.0), "linear", OFF, "degrees", exact=False),
    }
    needs_naming: ClassVar[str] = "the reported geometry of the robot becomes wrong"
    example: ClassVar[dict[str, Any]] = {"joint_deg": [-0.3, 0.3], "hand_eye": [-0.002, 0.002]}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in MODES:
            raise ConfigError(f"{type(self).__name__}.mode: {self.mode!r} is not one of {', '.join(MODES)}")

    def effects(self) -> dict[str, str]:
        """Lengths of links are in no log."""
        wrong = [f for f in ("link", "link_deg") if can_differ_from(getattr(self, f), 0.0)]
        return {"link_geometry": f"{type(self).__name__}.{wrong[0]}"} if wrong else {}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Offsets by joint, and errors [x y z, rx ry rz] (metres, degrees) by link and by sensor.

        Raises:
            DataError: the rig has no joints.
            ConfigError: ``joints`` or ``sensors`` name nothing, or a sensor without a mounting of its own.
        """
        rig = sample.metas[0].rig
        links = {n: f.pose.joint for n, f in rig.frames.items() if isinstance(f.pose, JointPose)}
        if not links and (self.joint_deg, self.joint, self.link, self.link_deg) != (0, 0, 0, 0):
            raise DataError(
                f"{type(self).__name__}: the rig of sample {sample.metas[0].id!r} has no joints; "
                "give the robot's description as log.urdf, or leave the transform out (~pipeline.transforms.kinematics)"
            )
        self._check_names("joints", {j.name for j in links.values()})
        offsets: dict[str, float] = {}
        for joint in links.values():
            if joint.name not in offsets and matches(joint.name, self.joints):
                angle = draw(self.joint_deg, rng) * DEGREE
                shift = draw(self.joint, rng)
                offsets[joint.name] = angle if joint.is_rotary else shift
        for joint in links.values():  # a log may hold the reading of a joint that mimics another, too
            if joint.own and joint.name in offsets:
                offsets[joint.own] = joint.multiplier * offsets[joint.name]
        mounts = self._mounts(sample)
        return {
            "joints": offsets,
            "links": {n: _draw_pose_error(self.link, self.link_deg, rng) for n in links},
            "sensors": {n: _draw_pose_error(self.hand_eye, self.hand_eye_deg, rng) for n in mounts},
            "frames": mounts,
            "mode": self.mode,
        }

    def _mounts(self, sample: Sample) -> dict[str, str]:
        """Sensor -> frame, of those with an error of mounting."""
        rig = sample.metas[0].rig
        known = {n: s.frame for n, s in rig.sensors.items()}
        for name, stream in sample.streams.items():
            if isinstance(stream, Imu | Wrench) and stream.frame in rig.frames:
                known.setdefault(name, stream.frame)
        self._check_names("sensors", set(known))
        mounts = {}
        for name, frame in known.items():
            if not (matches(name, self.sensors) if self.sensors else is_joint_driven(rig, frame)):
                continue
            sensor = rig.sensors.get(name)
            if self.mode == "truth" and isinstance(sensor, TactileSensor):
                continue
            if not isinstance(sensor, TaxelSensor) and not has_own_mounting(rig, frame):
                if name in self.sensors:
                    raise ConfigError(
                        f"{type(self).__name__}.sensors: {name!r} is mounted at the frame of the link {frame!r} "
                        f"itself; give it a frame of its own in log.rig"
                    )
                continue
            mounts[name] = frame
        return mounts

    def _check_names(self, field: str, known: set[str]) -> None:
        """Raise where a name or pattern matches nothing, which is a typing error."""
        wrong = [p for p in unmatched(getattr(self, field), known) if p != "*"]
        if wrong:
            names = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"{type(self).__name__}.{field}: {wrong[0]!r} names none of the rig's ({names})")

    @classmethod
    def before(cls, sample: Sample, index: int, params: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Columns that stay approximate, since the masses that would change them are unknown."""
        moved = any(p["mode"] == "truth" for p in params.values())
        with_effort = {n: s for n, s in sample.of_type(JointState).items() if "effort" in s.values}
        left = [n for n, s in with_effort.items() if robot_with_masses(sample.metas[index], s.names) is None]
        return {"approximate": [f"{n}: effort" for n in left] if moved else []}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Change the reported rig, and with ``mode=truth`` the true one, and apply the streams' handlers."""
        moves, metas, pairs = [], [], []
        for u, meta in enumerate(sample.metas):
            if not parameters.per_sample[u]:  # of a sample that is left as it is
                metas.append(meta)
                pairs.append((meta, meta.rig))
                moves.append(FrameMotions(meta.true_rig, meta.true_rig, {}))
                continue
            params = parameters.of(u)
            errors = recorded_frame_errors(meta.rig, params)
            rig = with_geometry_errors(meta.rig, params, errors)
            true_rig = meta.true_rig
            if params["mode"] == "truth":
                true_rig = rig if meta.true_rig is meta.rig else with_geometry_errors(meta.true_rig, params, errors)
            metas.append(replace_unchecked(meta, rig=rig, true_rig=true_rig))
            pairs.append((meta, rig))
            moves.append(FrameMotions(meta.true_rig, true_rig, errors))
        out = cls.visit(sample, parameters, context, pairs)
        if any(m.after is not m.before for m in moves):
            out = Viewpoint.visit(out, ParameterRows([]), context, moves)
            out = with_validity_masks(out, sample, moves, context)
        return replace_unchecked(out, metas=tuple(metas))


@dataclass(frozen=True, kw_only=True)
class ViewpointNoise(KinematicNoise):
    """Small true errors of the cameras' mountings and of the joints together: a view that was not calibrated exactly.

    The fields are those of ``KinematicNoise``: joint offsets in degrees and metres, and errors of links and mountings
    in metres and degrees per axis. Every sensor of the rig is rotated.
    """

    joint_deg: Range = (-0.2, 0.2)
    hand_eye_deg: Range = (-0.5, 0.5)
    sensors: tuple[str, ...] = ("*",)
    mode: str = "truth"

    example: ClassVar[dict[str, Any]] = {"joint_deg": [-0.2, 0.2], "hand_eye_deg": [-0.5, 0.5]}


@dataclass(frozen=True, kw_only=True)
class MirrorRobot(MirrorScene):
    """The robot and everything about it in a left-right mirror.

    Which joints swap, with which signs, follows from the robot's description and is verified by forward kinematics;
    links, cameras and sensors named left and right swap; wrenches, actions, key points and captions follow. A robot
    that is not symmetric about its base's xz plane is refused, and so is one whose joints would leave their limits.
    """

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The axis.

        Raises:
            DataError: there is no robot.
        """
        for meta in sample.metas:
            if not any(isinstance(f.pose, JointPose) for f in meta.rig.frames.values()):
                raise DataError(
                    f"MirrorRobot: the rig of sample {meta.id!r} has no joints; describe the robot with log.urdf"
                )
        return super().sample_params(rng, sample, context)


def _draw_pose_error(metres: Range, degrees: Range, rng: np.random.Generator) -> list[float]:
    return draw_several(metres, rng, 3) + draw_several(degrees, rng, 3)
