"""Left-right symmetry of a robot: which joints a mirror swaps, with which signs, and what it does to every link.

A mirror S of the base's xz plane takes link c at the readings q to the pose of its partner c* at other readings q':
``S T_root_c(q) = T_root_c*(q') M_c`` with one reflection M_c per link, found link by link from the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.joints import Joint, JointPose
from calib.kinematics import Robot
from calib.pairing import TOLERANCE, Edge, Failure, Pairing, Readings
from calib.remembered import Remembered
from calib.rig import Rig
from calib.rounding import Rounding, unrounded_pose
from calib.sides import other_side
from calib.trajectory import MovingPose

REACH = 2.0  # metres: how far out a rounded angle is felt


@dataclass(frozen=True, eq=False)
class RobotMirror:
    """What a mirror does to a robot.

    Attributes:
        joints: reading -> (reading of the partner, sign, offset): ``q'[partner] = sign q + offset``.
        links: link -> (partner, M (4, 4) that takes coordinates of the link to those of its partner).
    """

    joints: Mapping[str, tuple[str, float, float]]
    links: Mapping[str, tuple[str, Tensor]]

    @cached_property
    def swapped(self) -> Mapping[str, str]:
        """Links that swap names."""
        return {n: p for n, (p, _) in self.links.items() if n != p}

    @cached_property
    def partners(self) -> Mapping[str, str]:
        """Reading -> the reading of the partner."""
        return {j: p for j, (p, _, _) in self.joints.items()}

    @cached_property
    def own_images(self) -> frozenset[str]:
        """Links whose axes a mirror takes to axes of their partners, about the same origin."""
        return frozenset(n for n, (_, M) in self.links.items() if _is_own_image(M))

    @cached_property
    def inverses(self) -> Mapping[str, Tensor]:
        """Link -> the inverse (4, 4) of its M."""
        return {n: torch.linalg.inv(M) for n, (_, M) in self.links.items()}

    def is_one_sided(self, names: tuple[str, ...]) -> bool:
        """Whether all of these readings belong to one side of the robot."""
        known = all(n in self.joints for n in names)
        return known and len(names) > 0 and not {self.joints[n][0] for n in names} & set(names)

    def has_two_arms(self, prismatic_joints: tuple[str, ...]) -> bool:
        """Whether rotary joints swap; ``prismatic_joints`` are the readings of the others."""
        return any(partner != j for j, (partner, _, _) in self.joints.items() if j not in prismatic_joints)

    @cached_property
    def _tables(self) -> dict[tuple[str, ...], tuple[Tensor, Tensor, Tensor]]:
        return {}

    def readings(self, values: Tensor, names: tuple[str, ...], rate: bool = False) -> Tensor:
        """Readings (..., J) of the mirrored robot; of rates and forces with ``rate``.

        Readings of one side alone become those of the partners, in the same order.

        Raises:
            CalibrationError: a joint is not one of the robot's, or its partner has no reading.
        """
        if names not in self._tables:
            self._tables[names] = self._table(names)
        index, signs, offsets = self._tables[names]
        moved = signs.to(values) * values.index_select(-1, index.to(values.device))
        return moved + (0.0 if rate else offsets.to(values))

    def _table(self, names: tuple[str, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Which of the readings each mirrored one comes from, (J,) int64; its sign and its offset, (J,) float64."""
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
            columns.append((names.index(j), sign, offset))
        rows = torch.tensor(columns, dtype=torch.float64).reshape(-1, 3)
        return rows[:, 0].to(torch.int64), rows[:, 1], rows[:, 2]

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


def find_mirror(robot: Robot, declared: Mapping[str, str] | None = None) -> RobotMirror:
    """The mirror of a robot at its root's xz plane.

    Links whose names differ in their side (left and right, l and r, FL and FR) are partners where their geometry fits,
    else any links of the same parents whose geometry does. Only links that joints move, or that carry such links, have
    to be symmetric. Figures are compared as exactly as the description gives them (``calib.rounding``).

    Args:
        robot: the links. declared: link -> partner, where the names do not say it; both ways, or one.

    Raises:
        CalibrationError: the robot is not symmetric; the link and how far it is off are named.
    """
    exact, edges = _with_exact_figures(robot)
    pairs = {**{b: a for a, b in (declared or {}).items()}, **(declared or {})}
    unknown = [n for n in pairs if n not in robot.edges]
    if unknown:
        known = ", ".join(robot.edges)
        raise CalibrationError(f"robot {robot.name!r}: mirror: there is no link {unknown[0]!r} (it has {known})")
    partners = {n: other_side(n, robot.edges) for n in robot.edges}
    way = Pairing(exact, edges, partners, pairs).solve()
    if isinstance(way, Failure):
        raise CalibrationError(
            f"robot {robot.name!r} is not left-right symmetric about its base's xz plane: {way.reason}"
        )
    maps = {n: (p, torch.from_numpy(M)) for n, (p, M) in way.links.items()}
    by_name = {**partners, **pairs}
    for link, (parent, edge) in exact.edges.items():  # what is fixed on a link keeps its mounting
        if isinstance(edge, Joint) or link in maps or parent not in maps:
            continue
        other = by_name[link]
        above, twin = exact.edges[other]
        if above != maps[parent][0] or by_name[other] != link or isinstance(twin, Joint):
            other, above, twin = link, parent, edge
        on_a_link = any(isinstance(exact.edges[a][1], Joint) for a in exact.chain(link))
        if on_a_link and above == maps[parent][0]:  # else it has no partner, and changes sides
            maps[link] = (other, torch.linalg.inv(twin) @ maps[parent][1] @ edge)
    mirror = RobotMirror({**way.joints, **_mimics(exact, maps, way.joints)}, maps)
    off = check_mirror(exact, mirror)
    allowed = max((e.rounding.angle * REACH + e.rounding.length for e in edges.values()), default=0.0)
    if off > TOLERANCE + 2 * len(edges) * allowed:
        raise CalibrationError(f"robot {robot.name!r}: its mirror image is off by {off:.2g} m in forward kinematics")
    return mirror


def _with_exact_figures(robot: Robot) -> tuple[Robot, dict[str, Edge]]:
    """The robot with the poses that its rounded figures stand for, and the edges that have to be symmetric."""
    carrying = {a for n, (_, e) in robot.edges.items() if isinstance(e, Joint) for a in robot.chain(n)}
    links: dict[str, tuple[str, Joint | Tensor]] = {}
    edges: dict[str, Edge] = {}
    for link, (parent, edge) in robot.edges.items():
        joint = edge if isinstance(edge, Joint) else None
        given = (edge.origin if isinstance(edge, Joint) else edge).detach()
        T, rounding = unrounded_pose(given.numpy())
        origin = given if T is given.numpy() else torch.from_numpy(T)
        links[link] = (parent, origin if joint is None else replace(joint, origin=origin))
        if link not in carrying:
            continue
        above = edges.get(parent)
        if above is not None:  # an angle above turns all that is below; a shift counts up to the next joint
            length = 0.0 if above.joint is not None else above.rounding.length
            rounding = Rounding(rounding.angle + above.rounding.angle, rounding.length + length)
        edges[link] = Edge(parent, joint, origin.numpy(), rounding)
    return replace(robot, edges=links), edges


def _mimics(robot: Robot, maps: Mapping[str, tuple[str, Tensor]], joints: Readings) -> Readings:
    """The same for readings of joints that mimic another one, which a log may hold too.

    Its partner is the joint of the partner link. Where that is the leader itself, as of two fingers of one hand that a
    mirror exchanges, any joint that follows the partner of the leader is; each is one's alone.
    """
    mimics = {link: e for link, (_, e) in robot.edges.items() if isinstance(e, Joint) and e.own and e.name in joints}
    twins = {a: maps[a][0] for a in mimics if a in maps and maps[a][0] in mimics}
    for a, edge in mimics.items():
        free = [b for b in mimics if b not in twins and mimics[b].name == joints[edge.name][0]]
        if a not in twins and free:
            twins |= {a: free[0], free[0]: a}
    out: Readings = {}
    for link, other in twins.items():
        edge, twin = mimics[link], mimics[other]
        _, sign, offset = joints[edge.name]  # own = multiplier * reading + bias, on both sides
        sign *= twin.multiplier / edge.multiplier
        out[edge.own] = (twin.own, sign, twin.multiplier * offset - sign * edge.bias + twin.bias)
    return out


def check_mirror(robot: Robot, mirror: RobotMirror, seed: int = 0, count: int = 16) -> float:
    """Largest difference between ``S T_root_c(q)`` and ``T_root_c*(q') M_c`` over random readings and all links."""
    generator = torch.Generator().manual_seed(seed)
    q = torch.rand(count, len(robot.joints), dtype=torch.float64, generator=generator) * 2 - 1
    before, after = robot.forward(q), robot.forward(mirror.readings(q, robot.joints))
    S = mirror.links[robot.root][1]
    return max(float((S @ before[n] - after[p] @ M).abs().max()) for n, (p, M) in mirror.links.items())


def _is_own_image(M: Tensor) -> bool:
    size = M[:3].abs()
    return bool((size.minimum((size - 1).abs())[:, :3] < TOLERANCE).all()) and bool((size[:, 3] < TOLERANCE).all())


_MIRRORS: Remembered[RobotMirror | str | None] = Remembered(64)


def mirror_of_robot(rig: Rig) -> RobotMirror | str | None:
    """What a mirror does to the robot of a rig, or why it is not symmetric; None where no joint moves anything.

    Samples of one robot differ in their readings alone, so what was found is kept for those that follow.
    """
    return _MIRRORS.get(figures_of(rig), partial(_mirror_of_robot, rig))


def figures_of(rig: Rig) -> tuple[object, ...]:
    """Names and figures of all frames but the readings and poses over time: what samples of one robot share."""
    return tuple((n, f.parent, f.axis_convention, f.mirror_of, _figures(f.pose)) for n, f in rig.frames.items())


def _figures(pose: Tensor | MovingPose) -> object:
    if isinstance(pose, Tensor):
        return pose.detach().numpy().tobytes()
    return pose.joint.figures if isinstance(pose, JointPose) else None


def _mirror_of_robot(rig: Rig) -> RobotMirror | str | None:
    root = rig.robot_root()
    if root is None:
        return None
    try:
        robot = Robot.of(rig, root)
        declared = {n: m for n in robot.edges if (m := rig.frames[n].mirror_of) is not None}
        return find_mirror(robot, declared)
    except CalibrationError as error:
        return str(error)
