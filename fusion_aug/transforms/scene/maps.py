"""The map of every frame under a motion of the scene.

A motion is a similarity ``H = G S`` of the reference frame. Every frame f of the rig gets its own map H_f: the
reference frame H; frames above it (the world) W, which holds only what gravity lets it hold; every body M, its own
scale and mirror. Data in frame f map by H_f, and every pose by ``T_a_b' = H_a T_a_b H_b^-1``. That one law covers
calibration, ego poses and boxes alike (docs/design.md derives it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from calib.joints import JointPose
from calib.replacing import replace_unchecked
from calib.se3 import AXES, as_f64, invert, upright
from calib.sensors import CameraSensor, TactileSensor, TaxelSensor
from calib.symmetry import RobotMirror, mirror_of_robot
from fusion_aug.errors import DataError
from fusion_aug.ops.similarity import Motion
from fusion_aug.sample import REF, SampleMeta
from fusion_aug.streams import Stream
from fusion_aug.transforms.scene.partners import is_on_links, sides_of_sensors, sides_of_streams
from fusion_aug.transforms.scene.roles import LINK, roles_of, roles_with_robot
from fusion_aug.transforms.scene.taxel_places import Rows, rows_in_mirror, rows_then


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
        """The state of a sample with this metadata and these streams."""
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

    def to_json(self, names: Mapping[str, str], rows: Rows) -> dict[str, Any]:
        """The state as a record keeps it, with the names that swap and the taxels that change places."""
        canvas = {n: list(s) for n, s in self.canvas.items()}
        out = {"roles": dict(self.roles), "canvas": canvas, "names": dict(names), "anchor": self.anchor.tolist()}
        out |= {"taxel_rows": {n: r.tolist() for n, r in rows.items()}} if rows else {}
        if self.robot is None:
            return out
        robot = self.robot.to_dict() if isinstance(self.robot, RobotMirror) else self.robot
        return out | {"robot": robot, "slides": list(self.prismatic_joints)}


class SceneMaps:
    """The map H_f of every frame of one sample.

    Args:
        H: (4, 4) similarity of the reference frame.
        scale: s.
        axis: coordinate that a mirror reverses, or None.
        state: of the sample before the motion.

    Attributes:
        flips_images: whether pictures are flipped. swaps_names: whether left and right partners swap names.
        rows: the taxels that change places.
    """

    def __init__(self, H: Tensor, scale: Tensor, axis: str | None, state: SceneState):
        self.scale, self.axis, self.state = scale, axis, state
        self.flips_images, self.swaps_names = axis is not None, axis == "y"
        self._last = self
        self._pairs: dict[str, tuple[Tensor, Tensor] | None] = {}
        is_rigid = not scale.requires_grad and float(scale) == 1.0
        sign = torch.full((1,), -1.0 if self.flips_images else 1.0, dtype=torch.float64)

        def similarity(matrix: Tensor) -> Motion:
            return Motion(matrix[None], scale.reshape(1), sign, is_rigid)

        self.by_role: dict[str, Motion | None] = {"ref": similarity(H), "world": None, "body": None, "camera": None}
        if self.flips_images or not is_rigid:
            T_v = upright(state.anchor)
            self.by_role["world"] = similarity(T_v @ scale_and_mirror(scale, axis) @ invert(T_v))
            for role, own in (("body", "y"), ("camera", "x")):
                plane = own if self.flips_images else None
                self.by_role[role] = mirror(own) if is_rigid else similarity(scale_and_mirror(scale, plane))
        if state.robot is not None:
            self._add_links(None if is_rigid else similarity)
        self.rows: Rows = {}
        if self.flips_images:
            self.rows = rows_in_mirror(state.taxels, self.names, self) if state.rows is None else state.rows

    @staticmethod
    def nothing(state: SceneState) -> SceneMaps:
        """The maps of a sample that is left as it is."""
        out = SceneMaps(torch.eye(4, dtype=torch.float64), torch.ones((), dtype=torch.float64), None, state)
        out.by_role["ref"] = None
        return out

    @property
    def moves_nothing(self) -> bool:
        """Whether every frame stays where it is."""
        return not self.flips_images and all(m is None for m in self.by_role.values())

    def _add_links(self, similarity: Callable[[Tensor], Motion] | None) -> None:
        """The maps of a robot's links; without ``similarity`` those of a mirror alone."""
        robot = self.state.robot
        if self.flips_images and isinstance(robot, str):
            raise DataError(f"the robot cannot be mirrored: {robot}")
        for name, role in self.state.roles.items():
            if not role.startswith(LINK):
                continue
            if not self.flips_images:
                self.by_role[role] = self.by_role["body"]
                continue
            assert isinstance(robot, RobotMirror)
            if similarity is None:
                self.by_role[role] = link_mirrors(robot)[name]
                continue
            M = robot.links[name][1].clone()
            M[:3] = M[:3] * self.scale.detach()
            self.by_role[role] = similarity(M)

    @property
    def robot(self) -> RobotMirror | None:
        """What a robot's readings become; None where they stay."""
        return self.state.robot if self.flips_images and isinstance(self.state.robot, RobotMirror) else None

    @property
    def names(self) -> Mapping[str, str]:
        """Sensors and frames that swap names."""
        robot_swaps = self.state.robot_swaps
        beside = {a: b for a, b in self.state.partners.items() if a not in robot_swaps} if self.swaps_names else {}
        # a robot that is mirrored front to back is one mirrored left to right and turned around
        return {**beside, **robot_swaps} if self.flips_images else beside

    def matrices(self, frame: str) -> tuple[Tensor, Tensor] | None:
        """H_f and its inverse, (4, 4) each; None for the identity."""
        role = self.state.roles[frame]
        if role not in self._pairs:
            motion = self.by_role[role]
            self._pairs[role] = None if motion is None else (motion.matrix[0], motion.inverse_matrix[0])
        return self._pairs[role]

    def __call__(self, frame: str) -> Motion | None:
        """H_f of a frame, None for the identity."""
        role = "ref" if frame == REF else self.state.roles.get(frame)
        if role is None:
            raise DataError(f"frame {frame!r} is not in the rig, so nothing is known of how it moves with the scene")
        return self.by_role[role]

    @cached_property
    def state_after(self) -> SceneState:
        """The state that the motion leaves.

        The anchor follows the world and the mirror, not the rigid part: that may be drawn for every sample, and one
        plane has to hold for all of a scene.
        """
        if self._last is not self:
            return self._last.state_after
        anchor, W = self.state.anchor, self.by_role["world"]
        if W is not None:
            own = scale_and_mirror(self.scale, self.axis)
            back = mirror(self.axis).inverse_matrix[0] if W.is_rigid and self.axis else torch.linalg.inv(own)
            anchor = (W.matrix[0] @ anchor @ back).detach()
        robot, scale = self.state.robot, float(self.scale.detach())
        if isinstance(robot, RobotMirror) and scale != 1.0:
            robot = robot.scaled(scale, self.state.prismatic_joints)
        taxels = self.state.taxels
        if scale != 1.0:
            taxels = {n: s.scaled(scale) for n, s in taxels.items()}
        same = replace_unchecked(self.state, anchor=anchor, robot=robot, taxels=taxels)
        if not self.names:
            return same
        roles = {self.names.get(n, n): role for n, role in self.state.roles.items()}
        canvas = {self.names.get(n, n): size for n, size in self.state.canvas.items()}
        return replace_unchecked(same, roles=roles, canvas=canvas)

    def then(self, other: SceneMaps) -> SceneMaps:
        """This motion and then another, as one."""
        out = self._copy()
        out.scale, out.flips_images, out.swaps_names = (
            self.scale * other.scale, self.flips_images != other.flips_images, self.swaps_names != other.swaps_names,
        )  # fmt: skip
        out.by_role = {r: compose_motions(m, other.by_role[r]) for r, m in self.by_role.items()}
        out.rows = rows_then(self.rows, self.names, other.rows)
        out._last = other
        return out

    def inverted(self) -> SceneMaps:
        """The maps of the inverse motion."""
        out = self._copy()
        out.scale = 1 / self.scale
        out.by_role = {r: None if m is None else m.inverse for r, m in self.by_role.items()}
        out.rows = {n: torch.argsort(r) for n, r in self.rows.items()}
        return out

    def _copy(self) -> SceneMaps:
        out = object.__new__(SceneMaps)
        out.__dict__.update(self.__dict__)
        out.__dict__.pop("state_after", None)
        out._pairs = {}
        return out


def compose_motions(first: Motion | None, second: Motion | None) -> Motion | None:
    """Two motions of one frame, one after the other; None is the identity."""
    if first is None or second is None:
        return second if first is None else first
    rigid = first.is_rigid and second.is_rigid
    return Motion(second.matrix @ first.matrix, second.scale * first.scale, second.sign * first.sign, rigid)


def _signs(axis: str | None) -> tuple[Tensor, Tensor]:
    diagonal = [-1.0 if axis is not None and i == AXES[axis] else 1.0 for i in range(3)]
    corner = torch.zeros(4, 4, dtype=torch.float64)
    corner[3, 3] = 1.0
    return torch.diag(torch.tensor([*diagonal, 0.0], dtype=torch.float64)), corner


_SIGNS = {axis: _signs(axis) for axis in (None, *AXES)}


def scale_and_mirror(scale: Tensor, axis: str | None) -> Tensor:
    """(4, 4) diagonal matrix: uniform scale, with the sign of one axis reversed."""
    signs, homogeneous = _SIGNS[axis]
    return signs * scale + homogeneous


@lru_cache
def mirror(axis: str) -> Motion:
    """The mirror that reverses one axis and does nothing else. Shared: do not write into it."""
    one = torch.ones(1, dtype=torch.float64)
    return Motion(scale_and_mirror(one[0], axis)[None], one, -one, True)


_LINK_MIRRORS: WeakKeyDictionary[RobotMirror, Mapping[str, Motion]] = WeakKeyDictionary()


def link_mirrors(robot: RobotMirror) -> Mapping[str, Motion]:
    """Link -> its map under a mirror, made once for all samples of a robot."""
    if robot not in _LINK_MIRRORS:
        one = torch.ones(1, dtype=torch.float64)
        _LINK_MIRRORS[robot] = {n: Motion(M[None], one, -one, True) for n, (_, M) in robot.links.items()}
    return _LINK_MIRRORS[robot]
