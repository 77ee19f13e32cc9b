"""The map of every frame under a motion of the scene.

A motion is a similarity ``H = G S`` of the reference frame. Every frame f of the rig gets its own map H_f: the
reference frame H; frames above it (the world) W, which holds only what gravity lets it hold; every body M, its own
scale and mirror. Data in frame f map by H_f, and every pose by ``T_a_b' = H_a T_a_b H_b^-1``. That one law covers
calibration, ego poses and boxes alike (docs/design.md derives it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from calib.rig import Rig
from calib.se3 import AXES, invert, upright
from calib.symmetry import RobotMirror
from fusion_aug.errors import DataError
from fusion_aug.ops.similarity import Motion
from fusion_aug.sample import REF
from fusion_aug.transforms.scene.roles import LINK
from fusion_aug.transforms.scene.state import SceneState
from fusion_aug.transforms.scene.taxel_places import Rows, rows_in_mirror, rows_then


class SceneMaps:
    """The map H_f of every frame of one sample.

    Args:
        H: (4, 4) similarity of the reference frame.
        scale: s.
        axis: coordinate that a mirror reverses, or None.
        state: of the sample before the motion.

    Attributes:
        is_rigid: whether the scale is known to be 1.
        flips_images: whether pictures are flipped. swaps_names: whether left and right partners swap names.
        rows: the taxels that change places.
    """

    def __init__(self, H: Tensor, scale: Tensor, axis: str | None, state: SceneState):
        self.scale, self.axis, self.state = scale, axis, state
        self.flips_images, self.swaps_names = axis is not None, axis == "y"
        self._last = self
        self.moved: tuple[Rig, Rig] | None = None  # a rig and what these maps made of it: see ``rig.moved_rig``
        self._pairs: dict[str, tuple[Tensor, Tensor] | None] = {}
        self.is_rigid = is_rigid = not scale.requires_grad and float(scale) == 1.0
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
    def mirror(state: SceneState, axis: str) -> SceneMaps:
        """The maps of a mirror that reverses an axis of the reference frame, one for all samples of a state."""
        if axis not in state.mirrors:
            one = torch.ones((), dtype=torch.float64)
            state.mirrors[axis] = SceneMaps(scale_and_mirror(one, axis), one, axis, state)
        maps: SceneMaps = state.mirrors[axis]
        return maps

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
        out.is_rigid = self.is_rigid and other.is_rigid
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
        out._pairs, out.moved = {}, None
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
