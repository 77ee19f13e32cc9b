"""What the maps of a sample's frames depend on besides the motion of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from calib.joints import JointPose
from calib.remembered import Remembered
from calib.se3 import as_f64
from calib.sensors import CameraSensor, Sensor, TactileSensor, TaxelSensor
from calib.symmetry import RobotMirror, figures_of, mirror_of_robot
from fusion_aug.sample import SampleMeta
from fusion_aug.streams import Stream
from fusion_aug.transforms.scene.partners import is_on_links, sides_of_sensors, sides_of_streams
from fusion_aug.transforms.scene.roles import roles_of, roles_with_robot
from fusion_aug.transforms.scene.taxel_places import Rows


@dataclass(frozen=True, eq=False)
class SceneState:
    """What the maps of a sample depend on besides the motion.

    Attributes:
        anchor: ``T_world_ref`` (4, 4) at the first reference pose of the scene.
        roles: frame -> "ref", "world" (above the reference), "body" or "camera".
        canvas: camera -> (height, width).
        partners: sensors and frames that a left-right mirror swaps.
        robot: what a left-right mirror does to the robot; why it cannot be mirrored; None where there is none.
        prismatic_joints: names of the readings in metres, which a scale makes longer.
        robot_swaps: streams of the robot's sides, as of two hands, and links of a described robot with the sensors on
            them, that swap names whenever the robot itself is mirrored.
        taxels: sensors of taxels with known poses. rows: what a mirror does to their order; None until it is asked.
    """

    anchor: Tensor
    roles: Mapping[str, str]
    canvas: Mapping[str, tuple[int, int]]
    partners: Mapping[str, str]
    robot: RobotMirror | str | None = None
    prismatic_joints: tuple[str, ...] = ()
    robot_swaps: Mapping[str, str] = field(default_factory=dict)
    taxels: Mapping[str, TaxelSensor] = field(default_factory=dict)
    rows: Rows | None = None

    @staticmethod
    def of(meta: SampleMeta, streams: Mapping[str, Stream] | None = None) -> SceneState:
        """The state of a sample with this metadata and these streams; samples that are alike share one."""
        key, sensors = _likeness(meta, streams or {}), tuple(meta.rig.sensors.values())
        if key is None:
            return SceneState._of(meta, streams)
        # the sensors are held, since the key has their addresses
        return _STATES.get(key, lambda: (SceneState._of(meta, streams), sensors))[0]

    @staticmethod
    def _of(meta: SampleMeta, streams: Mapping[str, Stream] | None) -> SceneState:
        canvas = {n: s.size for n, s in meta.rig.sensors.items() if isinstance(s, CameraSensor | TactileSensor)}
        roles, partners = roles_of(meta.rig, meta.ref.frame), meta.rig.mirror_names()
        robot = mirror_of_robot(meta.rig)
        links_that_swap = robot.swapped if isinstance(robot, RobotMirror) else {}
        joints = robot.partners if isinstance(robot, RobotMirror) else {}
        swaps = {**partners, **links_that_swap}
        beside = sides_of_streams(streams or {}, meta.rig, swaps, joints)
        robot_swaps = {**beside, **sides_of_sensors(meta.rig, swaps)}
        if isinstance(robot, RobotMirror):
            roles = roles_with_robot(roles, meta.rig, robot, streams or {})
            carried = {n: p for n, p in partners.items() if is_on_links(meta.rig, n, robot.links)}
            robot_swaps = {**robot_swaps, **carried, **robot.swapped}
        partners = {**partners, **robot_swaps}
        moving = [f.pose.joint for f in meta.rig.frames.values() if isinstance(f.pose, JointPose)]
        prismatic_joints = tuple(dict.fromkeys(n for j in moving if not j.is_rotary for n in (j.name, j.own) if n))
        taxels = {n: s for n, s in meta.rig.sensors.items() if isinstance(s, TaxelSensor) and s.poses is not None}
        return SceneState(meta.anchor, roles, canvas, partners, robot, prismatic_joints, robot_swaps, taxels)

    @staticmethod
    def from_json(before: Mapping[str, Any]) -> SceneState:
        """The state that a record holds."""
        canvas = {n: (int(s[0]), int(s[1])) for n, s in before["canvas"].items()}
        robot = before.get("robot")
        robot = RobotMirror.from_dict(robot) if isinstance(robot, Mapping) else robot
        prismatic_joints = tuple(before.get("slides", ()))
        names, rows = before["names"], {n: torch.tensor(r) for n, r in before.get("taxel_rows", {}).items()}
        return SceneState(
            as_f64(before["anchor"]), before["roles"], canvas, names, robot, prismatic_joints, names, rows=rows
        )

    @cached_property
    def mirrors(self) -> dict[str, Any]:
        """Axis -> the maps of a mirror: see ``SceneMaps.mirror``."""
        return {}

    def to_json(self, names: Mapping[str, str], rows: Rows) -> dict[str, Any]:
        """The state as a record keeps it, with the names that swap and the taxels that change places."""
        canvas = {n: list(s) for n, s in self.canvas.items()}
        out = {"roles": dict(self.roles), "canvas": canvas, "names": dict(names), "anchor": self.anchor.tolist()}
        out |= {"taxel_rows": {n: r.tolist() for n, r in rows.items()}} if rows else {}
        if self.robot is None:
            return out
        robot = self.robot.to_dict() if isinstance(self.robot, RobotMirror) else self.robot
        return out | {"robot": robot, "slides": list(self.prismatic_joints)}


_STATES: Remembered[tuple[SceneState, tuple[Sensor, ...]]] = Remembered(64)


def _likeness(meta: SampleMeta, streams: Mapping[str, Stream]) -> tuple[object, ...] | None:
    """What the state of a sample depends on; None where a gradient is asked of it."""
    told = []
    for name, s in streams.items():
        if type(s.values) is not dict:
            return None
        told.append((name, type(s), s.frame, s.child, getattr(s, "names", ()), getattr(s, "origins", ()), *s.values))
    if meta.anchor.requires_grad:
        return None
    sensors = [(n, id(s)) for n, s in meta.rig.sensors.items()]
    return figures_of(meta.rig), meta.ref.frame, meta.anchor.numpy().tobytes(), *sensors, *told
