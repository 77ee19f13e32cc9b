"""Left-right symmetry of a robot: which joints a mirror swaps, with which signs, and what it does to every link.

A mirror S of the base's xz plane takes link c at the readings q to the pose of its partner c* at other readings q':
``S T_root_c(q) = T_root_c*(q') M_c`` with one reflection M_c per link, found link by link from the root.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.joints import Joint
from calib.kinematics import Robot
from calib.rig import Rig
from calib.sides import other_side

TOLERANCE = 1e-6  # metres, and 1 for directions
OFFSETS = (0.0, math.pi / 2, -math.pi / 2, math.pi)  # zero positions that a mirrored wrist may have, rad


@dataclass(frozen=True, eq=False)
class RobotMirror:
    """What a mirror does to a robot.

    Attributes:
        joints: reading -> (reading of the partner, sign, offset): ``q'[partner] = sign q + offset``.
        links: link -> (partner, M (4, 4) that takes coordinates of the link to those of its partner).
    """

    joints: Mapping[str, tuple[str, float, float]]
    links: Mapping[str, tuple[str, Tensor]]

    @property
    def swapped(self) -> dict[str, str]:
        """Links that swap names."""
        return {n: p for n, (p, _) in self.links.items() if n != p}

    def is_one_sided(self, names: tuple[str, ...]) -> bool:
        """Whether all of these readings belong to one side of the robot."""
        known = all(n in self.joints for n in names)
        return known and len(names) > 0 and not {self.joints[n][0] for n in names} & set(names)

    def has_two_arms(self, prismatic_joints: tuple[str, ...]) -> bool:
        """Whether rotary joints swap; ``prismatic_joints`` are the readings of the others."""
        return any(partner != j for j, (partner, _, _) in self.joints.items() if j not in prismatic_joints)

    def readings(self, values: Tensor, names: tuple[str, ...], rate: bool = False) -> Tensor:
        """Readings (..., J) of the mirrored robot; of rates and forces with ``rate``.

        Readings of one side alone become those of the partners, in the same order.

        Raises:
            CalibrationError: a joint is not one of the robot's, or its partner has no reading.
        """
        columns = []
        source = {partner: (j, sign, offset) for j, (partner, sign, offset) in self.joints.items()}
        targets = tuple(self.joints[n][0] for n in names) if self.is_one_sided(names) else names
        for name in targets:
            if name not in source or source[name][0] not in names:
                raise CalibrationError(
                    f"joint {name!r} has no mirror partner: the robot's description must have it (log.joint_map says "
                    f"which joint it is), and the log a reading of its partner"
                )
            j, sign, offset = source[name]
            columns.append(sign * values[..., names.index(j)] + (0.0 if rate else offset))
        return torch.stack(columns, -1)

    def scaled(self, scale: float, prismatic_joints: tuple[str, ...]) -> RobotMirror:
        """The mirror of the robot made ``scale`` times as large; ``prismatic_joints`` are readings in metres."""
        grown = {j: (p, s, o * scale if j in prismatic_joints else o) for j, (p, s, o) in self.joints.items()}
        links = {}
        for n, (p, M) in self.links.items():
            M = M.clone()
            M[:3, 3] = M[:3, 3] * scale
            links[n] = (p, M)
        return RobotMirror(grown, links)

    def to_dict(self) -> dict[str, dict[str, list[object]]]:
        """A JSON-able description."""
        return {
            "joints": {j: list(v) for j, v in self.joints.items()},
            "links": {n: [p, M.tolist()] for n, (p, M) in self.links.items()},
        }

    @staticmethod
    def from_dict(data: Mapping[str, Mapping[str, list[object]]]) -> RobotMirror:
        """Read what ``to_dict`` gave."""
        joints = {j: (str(p), float(s), float(o)) for j, (p, s, o) in data["joints"].items()}  # type: ignore[arg-type]
        links = {n: (str(p), torch.tensor(M, dtype=torch.float64)) for n, (p, M) in data["links"].items()}
        return RobotMirror(joints, links)


def find_mirror(robot: Robot) -> RobotMirror:
    """The mirror of a robot at its root's xz plane.

    Links whose names differ in their side (left and right, l and r) are partners. Only links that joints move, or that
    carry such links, have to be symmetric.

    Raises:
        CalibrationError: the robot is not symmetric; the link and how far it is off are named.
    """
    partner = {n: other_side(n, robot.edges) for n in robot.edges}
    carrying = {a for n, (_, e) in robot.edges.items() if isinstance(e, Joint) for a in robot.chain(n)}
    order = [n for n in robot.edges if n in carrying]
    root = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    found = _solve(robot, order, partner, {robot.root: root}, {})
    if isinstance(found, str):
        raise CalibrationError(f"robot {robot.name!r} is not left-right symmetric about its base's xz plane: {found}")
    maps, joints = found
    for link, (parent, edge) in robot.edges.items():  # what is fixed on a link keeps its mounting
        twin = robot.edges[partner[link]]
        on_a_link = any(isinstance(robot.edges[a][1], Joint) for a in robot.chain(link))
        if isinstance(edge, Tensor) and isinstance(twin[1], Tensor) and on_a_link and link not in maps:
            maps[link] = torch.linalg.inv(twin[1]) @ maps[parent] @ edge
    links = {n: (partner.get(n, n), M) for n, M in maps.items()}
    mirror = RobotMirror({**joints, **_mimics(robot, partner, joints)}, links)
    off = check_mirror(robot, mirror)
    if off > TOLERANCE:
        raise CalibrationError(f"robot {robot.name!r}: its mirror image is off by {off:.2g} m in forward kinematics")
    return mirror


Maps = dict[str, Tensor]
Joints = dict[str, tuple[str, float, float]]


def _solve(
    robot: Robot, order: list[str], partner: Mapping[str, str], maps: Maps, joints: Joints
) -> tuple[Maps, Joints] | str:
    """Solve the links of ``order``, trying the zero positions in ``OFFSETS``; a message where none fits."""
    if not order:
        return maps, joints
    link, rest = order[0], order[1:]
    parent, edge = robot.edges[link]
    other = partner[link]
    above, twin = robot.edges.get(other, ("", None))
    if above != partner.get(parent, parent) or isinstance(edge, Joint) != isinstance(twin, Joint):
        return f"the parent of link {link!r} is {parent!r}, that of its partner {other!r} is {above or 'nothing'!r}"
    M = maps[parent]
    if not isinstance(edge, Joint) or not isinstance(twin, Joint):
        assert isinstance(edge, Tensor) and isinstance(twin, Tensor)
        own = torch.linalg.inv(twin) @ M @ edge
        return _solve(robot, rest, partner, {**maps, link: own}, joints)
    N = torch.linalg.inv(twin.origin) @ M @ edge.origin
    mirrored = N[:3, :3] @ edge.axis
    along = float(mirrored @ twin.axis)
    off = float((mirrored - math.copysign(1.0, along) * twin.axis).norm())
    if edge.kind != twin.kind or off > TOLERANCE or float(N[:3, 3].norm()) > TOLERANCE:
        with_whom = f"to that of {other!r}" if other != link else "and no other link is its partner by name"
        return (
            f"the axis of joint {edge.name!r} (link {link!r}) is off by {math.degrees(off):.3g} degrees "
            f"and {float(N[:3, 3].norm()) * 1e3:.3g} mm {with_whom}"
        )
    # a mirror reverses the sign of an angle, not that of a shift
    sense = math.copysign(1.0, along) * (-1.0 if edge.is_rotary else 1.0)
    sign = sense * edge.multiplier / twin.multiplier
    problem = ""
    for zero in OFFSETS if edge.is_rotary else (0.0,):
        offset = (sense * edge.bias - twin.bias + zero) / twin.multiplier
        earlier = joints.get(edge.name)
        if earlier is not None and not _agree(earlier, (twin.name, sign, offset)):
            problem = problem or f"joint {edge.name!r} moves links that a mirror would move differently"
            continue
        if abs(abs(sign) - 1) > TOLERANCE:
            return f"joint {edge.name!r} and its partner {twin.name!r} count in different units"
        # at the reading where the link's own motion is zero
        moved = twin.pose((torch.tensor(zero, dtype=torch.float64) - twin.bias) / twin.multiplier)
        still = edge.pose(torch.tensor(-edge.bias / edge.multiplier, dtype=torch.float64))
        own = torch.linalg.inv(moved) @ M @ still
        new = {**joints, edge.name: (twin.name, float(round(sign)), offset)}
        found = _solve(robot, rest, partner, {**maps, link: own}, new)
        if not isinstance(found, str):
            return found
        problem = problem or found
    return problem


def _mimics(robot: Robot, partner: Mapping[str, str], joints: Joints) -> Joints:
    """The same for readings of joints that mimic another one, which a log may hold too."""
    out: Joints = {}
    for link, (_, edge) in robot.edges.items():
        twin = robot.edges[partner[link]][1]
        if isinstance(edge, Joint) and isinstance(twin, Joint) and edge.own and twin.own:
            _, sign, offset = joints[edge.name]  # own = multiplier * reading + bias, on both sides
            sign *= twin.multiplier / edge.multiplier
            out[edge.own] = (twin.own, sign, twin.multiplier * offset - sign * edge.bias + twin.bias)
    return out


def _agree(a: tuple[str, float, float], b: tuple[str, float, float]) -> bool:
    return a[0] == b[0] and abs(a[1] - b[1]) < TOLERANCE and abs(a[2] - b[2]) < TOLERANCE


def check_mirror(robot: Robot, mirror: RobotMirror, seed: int = 0, count: int = 16) -> float:
    """Largest difference between ``S T_root_c(q)`` and ``T_root_c*(q') M_c`` over random readings and all links."""
    generator = torch.Generator().manual_seed(seed)
    q = torch.rand(count, len(robot.joints), dtype=torch.float64, generator=generator) * 2 - 1
    before, after = robot.forward(q), robot.forward(mirror.readings(q, robot.joints))
    S = mirror.links[robot.root][1]
    return max(float((S @ before[n] - after[p] @ M).abs().max()) for n, (p, M) in mirror.links.items())


def mirror_of_robot(rig: Rig) -> RobotMirror | str | None:
    """What a mirror does to the robot of a rig, or why it is not symmetric; None where no joint moves anything."""
    root = rig.robot_root()
    if root is None:
        return None
    try:
        return find_mirror(Robot.of(rig, root))
    except CalibrationError as error:
        return str(error)
