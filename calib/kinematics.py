"""Kinematics and dynamics of a robot: a tree of links, in batches, float64, differentiable.

Positions in metres, angles in radians, masses in kg. Equations: Featherstone, Rigid Body Dynamics Algorithms (2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.joints import EYE, Joint, JointPose
from calib.rig import Frame, Inertia, Rig
from calib.trajectory import Trajectory

GRAVITY = torch.tensor([0.0, 0.0, -9.81], dtype=torch.float64)


class Mimic(NamedTuple):
    """What a description says of two joints: ``follower = multiplier * leader + offset``, by the names of readings.

    Attributes:
        is_rotary: whether the follower turns. named: whether the log gives it a reading of its own, which it follows.
    """

    follower: str
    leader: str
    multiplier: float
    offset: float
    is_rotary: bool
    named: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Robot:
    """The links of a robot and the joints between them.

    Attributes:
        root: the link that all others descend from.
        edges: link -> (parent link, the joint that moves it, or ``T_parent_link`` (4, 4)), parents first.
        inertias: link -> Inertia, of the links whose mass is known.
        name: of the robot.
        mimics: of the description, also those of joints that follow readings of their own.
    """

    root: str
    edges: Mapping[str, tuple[str, Joint | Tensor]]
    inertias: Mapping[str, Inertia] = field(default_factory=dict)
    name: str = "robot"
    mimics: tuple[Mimic, ...] = ()

    @staticmethod
    def of(rig: Rig, base: str) -> Robot:
        """The robot whose links are the frames of a rig below ``base`` that do not move otherwise than by joints."""
        edges: dict[str, tuple[str, Joint | Tensor]] = {}
        below = {base}
        grew = True
        while grew:
            grew = False
            for name, frame in rig.frames.items():
                if name in below or frame.parent not in below or isinstance(frame.pose, Trajectory):
                    continue
                pose = frame.pose.joint if isinstance(frame.pose, JointPose) else frame.pose
                edges[name] = (frame.parent, pose)  # type: ignore[assignment]
                below.add(name)
                grew = True
        # in the order of the rig: sums must not depend on that of a set
        inertias = {n: f.inertia for n, f in rig.frames.items() if n in below and f.inertia is not None}
        return Robot(root=base, edges=edges, inertias=inertias)

    @cached_property
    def joints(self) -> tuple[str, ...]:
        """Names of the readings, each once, in the order of the links."""
        return tuple(dict.fromkeys(e.name for _, e in self.edges.values() if isinstance(e, Joint)))

    def chain(self, link: str) -> list[str]:
        """Links from below the root down to ``link``.

        Raises:
            CalibrationError: the robot has no such link.
        """
        out: list[str] = []
        while link != self.root:
            if link not in self.edges:
                raise CalibrationError(f"robot {self.name!r} has no link {link!r} (it has {', '.join(self.edges)})")
            out.append(link)
            link = self.edges[link][0]
        return out[::-1]

    def forward(self, readings: Tensor, joints: Sequence[str] | None = None) -> dict[str, Tensor]:
        """``T_root_link`` (..., 4, 4) of every link.

        Args:
            readings: (..., J), rad or m.
            joints: their names; ``self.joints`` by default.

        Raises:
            CalibrationError: a joint has no reading.
        """
        names = list(self.joints if joints is None else joints)
        missing = [j for j in self.joints if j not in names]
        if missing or readings.shape[-1] != len(names):
            raise CalibrationError(
                f"robot {self.name!r}: needs a reading of every joint ({', '.join(self.joints)}), "
                f"got {readings.shape[-1]} readings of {', '.join(names)}"
            )
        poses = {self.root: EYE.expand(*readings.shape[:-1], 4, 4)}
        for link, (parent, edge) in self.edges.items():
            moved = edge.pose(readings[..., names.index(edge.name)]) if isinstance(edge, Joint) else edge
            poses[link] = poses[parent] @ moved
        return poses

    def screws(self, poses: Mapping[str, Tensor]) -> list[tuple[str, Joint, Tensor, Tensor]]:
        """Every moving link with its joint, and the joint's axis and position (..., 3) in the root frame.

        Args:
            poses: from ``forward``.
        """
        out = []
        for link, (parent, joint) in self.edges.items():
            if isinstance(joint, Joint):
                T = poses[parent] @ joint.origin
                # a mirrored origin would reverse an angle, so the sign comes from its determinant
                sense = torch.sign(torch.linalg.det(joint.origin[:3, :3])) if joint.is_rotary else 1.0
                out.append((link, joint, joint.multiplier * sense * (T[..., :3, :3] @ joint.axis), T[..., :3, 3]))
        return out

    def jacobian(
        self,
        readings: Tensor,
        link: str,
        joints: Sequence[str] | None = None,
        poses: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Derivative (..., 6, J) of a link's twist by the readings' rates, in the root frame.

        Rows are the velocity of the link's origin, then its angular velocity.

        Args:
            readings: (..., J) rad or m. link: whose twist. joints: their names; ``self.joints`` by default.
            poses: from ``forward``, where they are known.
        """
        names = list(self.joints if joints is None else joints)
        poses = self.forward(readings, names) if poses is None else poses
        chain = set(self.chain(link))
        out = readings.new_zeros((*readings.shape[:-1], 6, len(names)))
        for moving, joint, axis, place in self.screws(poses):
            if moving not in chain:
                continue
            k = names.index(joint.name)
            if joint.is_rotary:
                out[..., :3, k] += torch.linalg.cross(axis, poses[link][..., :3, 3] - place)
                out[..., 3:, k] += axis
            else:
                out[..., :3, k] += axis
        return out

    def gravity_torque(
        self, readings: Tensor, joints: Sequence[str] | None = None, gravity: Tensor = GRAVITY
    ) -> Tensor:
        """Torque or force (..., J) of every joint that holds the links still against gravity.

        Args:
            readings: (..., J) rad or m.
            joints: their names in that order; ``self.joints`` by default.
            gravity: (3,) m/s^2 in the root frame.

        Raises:
            CalibrationError: a link that a joint moves has no inertia anywhere below it.
        """
        names = list(self.joints if joints is None else joints)
        poses = self.forward(readings, names)
        out = readings.new_zeros((*readings.shape[:-1], len(names)))
        for moving, joint, axis, place in self.screws(poses):
            k = names.index(joint.name)
            for link, inertia in self.inertias.items():
                if moving not in self.chain(link):
                    continue
                weight = inertia.mass * gravity
                com = (poses[link][..., :3, :3] @ inertia.center) + poses[link][..., :3, 3]
                arm = torch.linalg.cross(axis, com - place) if joint.is_rotary else axis
                out[..., k] -= (arm * weight).sum(-1)
        return out

    def mass_matrix(self, readings: Tensor, joints: Sequence[str] | None = None) -> Tensor:
        """Joint-space inertia M (..., J, J): the torque that accelerates the joints from rest is ``M q''``.

        Args:
            readings: (..., J) rad or m.
            joints: their names in that order; ``self.joints`` by default.

        Raises:
            CalibrationError: a joint has no reading.
        """
        names = list(self.joints if joints is None else joints)
        poses = self.forward(readings, names)
        out = readings.new_zeros((*readings.shape[:-1], len(names), len(names)))
        for link, inertia in self.inertias.items():
            twist = self.jacobian(readings, link, names)
            R = poses[link][..., :3, :3]
            arm = (R @ inertia.center)[..., None, :]
            angular = twist[..., 3:, :]
            moving = twist[..., :3, :] + torch.linalg.cross(angular.transpose(-1, -2), arm).transpose(-1, -2)
            about = R @ inertia.about_center @ R.transpose(-1, -2)
            out = out + inertia.mass * moving.transpose(-1, -2) @ moving + angular.transpose(-1, -2) @ about @ angular
        return out

    def readings_in(self, rig: Rig, times: Tensor) -> Tensor:
        """Readings (n, J) that the links of a rig follow at times (n,) ns; beyond the ends those of the ends."""
        found: dict[str, Tensor] = {}
        for link, (_, edge) in self.edges.items():
            pose = rig.frames[link].pose
            if isinstance(edge, Joint) and isinstance(pose, JointPose) and edge.name not in found:
                found[edge.name] = pose.reading(times.clamp(int(pose.times[0]), int(pose.times[-1])))
        return torch.stack([found[j] for j in self.joints], -1)

    def has_dynamics(self) -> bool:
        """Whether every moving joint carries some mass that is known."""
        carried = {link for heavy in self.inertias for link in self.chain(heavy)}
        return all(link in carried for link, (_, e) in self.edges.items() if isinstance(e, Joint))

    def to_frames(
        self, parent: str | None, T_parent_root: Tensor | None, readings: Mapping[str, tuple[Tensor, Tensor]]
    ) -> dict[str, Frame]:
        """The links as frames of a rig that follow recorded readings.

        Args:
            parent: parent frame of the root; None makes the root a root of the rig.
            T_parent_root: (4, 4) pose of the root in it.
            readings: joint -> times (k,) ns and values (k,); joints without any stay at zero.
        """
        root = Frame(inertia=self.inertias.get(self.root))
        if parent is not None:
            own = EYE.clone() if T_parent_root is None else T_parent_root
            root = Frame(parent=parent, pose=own, inertia=root.inertia)
        out = {self.root: root}
        for link, (above, edge) in self.edges.items():
            pose: Tensor | JointPose
            if not isinstance(edge, Joint):
                pose = edge
            elif edge.name in readings:
                times, values = readings[edge.name]
                pose = JointPose(joint=edge, times=times, readings=values.to(torch.float64))
            else:
                pose = edge.pose(torch.zeros((), dtype=torch.float64))
            out[link] = Frame(parent=above, pose=pose, inertia=self.inertias.get(link))
        return out


def align_to_joints(values: Tensor, joints: Sequence[str], names: Sequence[str]) -> Tensor:
    """Values (..., J) of ``joints`` rearranged to ``names`` (..., len(names)); zero for names without a joint."""
    none = torch.zeros_like(values[..., 0])
    return torch.stack([values[..., joints.index(n)] if n in joints else none for n in names], -1)
