"""Which links and joints of a robot are each other's image in a mirror: found subtree by subtree from the root.

Whether a subtree is the image of another one depends on nothing but the reflection between their parents, so every
pair of subtrees is solved on its own and once per reflection. Only readings that several links follow (mimic joints)
tie subtrees together; what they may be is kept open up to the link that carries all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from calib.joints import Joint
from calib.kinematics import Robot
from calib.rounding import Rounding

TOLERANCE = 1e-6  # metres, and 1 for directions
OFFSETS = (0.0, math.pi / 2, -math.pi / 2, math.pi)  # zero positions that a mirrored wrist may have, rad
MOST_WAYS = 64  # kept open for one subtree; those that come first are the simplest
CLOSE = 1e-3  # metres, and 1 for directions: nearer to an axis, nothing shows how far about it a link is turned
SLANTED = 1e-4  # of an axis along no coordinate, which descriptions write with four decimals

Reflections = dict[str, tuple[str, np.ndarray]]  # link -> partner, M (4, 4)
Readings = dict[str, tuple[str, float, float]]  # reading -> reading of the partner, sign, offset


class Way(NamedTuple):
    """One way in which a subtree is the image of another one."""

    links: Reflections
    joints: Readings


class Failure(NamedTuple):
    """Why there is no way, and how many links below the beginning that was seen."""

    depth: int
    reason: str


class Edge(NamedTuple):
    """What moves a link in its parent: a joint, or None where it is fixed; its pose at zero; and its rounding."""

    parent: str
    joint: Joint | None
    origin: np.ndarray
    rounding: Rounding


class Pairing:
    """Finds the image of every link that joints move, or that carries such links.

    Args:
        robot: whose links are paired.
        edges: of those links, with exact figures.
        partners: link -> the link of the other side by its name, or itself.
        declared: link -> partner, as the user says it; no other is tried.
    """

    def __init__(
        self, robot: Robot, edges: Mapping[str, Edge], partners: Mapping[str, str], declared: Mapping[str, str]
    ):
        self.root, self.edges, self.partners, self.declared = robot.root, edges, partners, declared
        self.children: dict[str, list[str]] = {}
        for link, edge in edges.items():
            self.children.setdefault(edge.parent, []).append(link)
        self._links_of: dict[str, set[str]] = {}  # reading -> links that follow it
        for link, edge in edges.items():
            if edge.joint is not None:
                self._links_of.setdefault(edge.joint.name, set()).add(link)
        self._solved: dict[tuple[str, str, bytes], list[Way] | Failure] = {}

    def solve(self) -> Way | Failure:
        """The mirror at the root's xz plane, or why there is none."""
        M = np.diag([1.0, -1.0, 1.0, 1.0])
        ways = self._below(self.root, self.root, M, 0)
        if isinstance(ways, Failure):
            return ways
        return Way({self.root: (self.root, M), **ways[0].links}, ways[0].joints)

    def _subtree(self, link: str, other: str, M: np.ndarray, depth: int) -> list[Way] | Failure:
        """Ways in which ``other`` and what is below it are the image of ``link`` and what is below it."""
        key = (link, other, (np.round(M, 4) + 0.0).tobytes())
        if key not in self._solved:
            self._solved[key] = self._solve_subtree(link, other, M, depth)
        return self._solved[key]

    def _solve_subtree(self, link: str, other: str, M: np.ndarray, depth: int) -> list[Way] | Failure:
        found: list[Way] = []
        deepest: Failure | None = None
        for step in self._steps(link, other, M, depth):
            below = step if isinstance(step, Failure) else self._below(link, other, step.links[link][1], depth + 1)
            if isinstance(step, Way) and not isinstance(below, Failure):
                found += [joined for way in below if (joined := _joined(step, way)) is not None]
                below = Failure(depth, f"joint of link {link!r} moves links that a mirror would move differently")
            if isinstance(below, Failure) and (deepest is None or below.depth > deepest.depth):
                deepest = below
        if not found:
            return deepest or Failure(depth, f"link {link!r}: nothing moves it as its image is moved")
        return self._distinct(found)

    def _steps(self, link: str, other: str, M: np.ndarray, depth: int) -> Iterator[Way | Failure]:
        """Ways for the joint of a link alone, without what is below it."""
        edge, twin = self.edges[link], self.edges[other]
        if edge.joint is None or twin.joint is None:
            if (edge.joint is None) != (twin.joint is None):
                yield Failure(depth, f"link {link!r} and its partner {other!r}: a joint moves one, and the other not")
                return
            yield Way({link: (other, np.linalg.inv(twin.origin) @ M @ edge.origin)}, {})
            return
        a, b = edge.joint, twin.joint
        N = np.linalg.inv(twin.origin) @ M @ edge.origin
        axis, twin_axis = a.axis.detach().numpy(), b.axis.detach().numpy()
        mirrored = N[:3, :3] @ axis
        along = math.copysign(1.0, float(mirrored @ twin_axis))
        off, shift = float(np.linalg.norm(mirrored - along * twin_axis)), float(np.linalg.norm(N[:3, 3]))
        most = _tolerances(edge, twin, axis)
        if a.kind != b.kind or off > most.angle or shift > most.length:
            yield Failure(depth, self._difference(link, other, off, shift))
            return
        sense = along * (-1.0 if a.is_rotary else 1.0)  # a mirror reverses the sign of an angle, not that of a shift
        sign = sense * a.multiplier / b.multiplier
        if abs(abs(sign) - 1) > TOLERANCE:
            yield Failure(depth, f"joint {_own(a)!r} and its partner {_own(b)!r} count in different units")
            return
        N = _aligned(N, axis, along * twin_axis)
        tails = tuple(j.tail.detach().numpy() for j in (a, b))
        zeros = [*OFFSETS, *self._other_zeros(link, other, N @ tails[0], tails[1], twin_axis)] if a.is_rotary else [0.0]
        for zero in zeros:
            if link == other and sign > 0 and zero:
                continue  # mirrored twice it would not come back
            offset = (sense * a.bias - b.bias + zero) / b.multiplier
            own = np.linalg.inv(tails[1]) @ _turned(twin_axis, -zero) @ N @ tails[0]
            yield Way({link: (other, own)}, {a.name: (b.name, float(round(sign)), offset)})

    def _other_zeros(self, link: str, other: str, M: np.ndarray, tail: np.ndarray, axis: np.ndarray) -> list[float]:
        """Turns about an axis, other than ``OFFSETS``, that bring what is on a link to where it is on the partner.

        Args:
            link, other: the two. M: (4, 4) of the link's coordinates in the frame of the partner's joint, mirrored.
            tail: (4, 4) of the partner in that frame. axis: (3,) of its joint.
        """
        out: list[float] = []
        for child in self.children.get(link, []):
            for twin in self.children.get(other, []):
                edge, known = self.edges[child], self.edges[twin]
                mine, theirs = M @ edge.origin, tail @ known.origin
                ways = [(mine[:3, 3], theirs[:3, 3])]
                if edge.joint is not None and known.joint is not None:
                    a, b = (T[:3, :3] @ j.axis.detach().numpy() for T, j in ((mine, edge.joint), (theirs, known.joint)))
                    ways += [(a, b), (-a, b)]
                found = [angle for x, y in ways if (angle := _angle_about(axis, y, x)) is not None]
                for angle in found:
                    if all(abs(math.remainder(angle - z, math.tau)) > SLANTED for z in (*OFFSETS, *out)):
                        out.append(angle)
        return out

    def _difference(self, link: str, other: str, off: float, shift: float) -> str:
        a, b = self.edges[link].joint, self.edges[other].joint
        assert a is not None and b is not None
        with_whom = f"to that of {other!r}" if other != link else "and no other link is its partner by name"
        kinds = "" if a.kind == b.kind else f", and is {a.kind}, not {b.kind}"
        return (
            f"the axis of joint {_own(a)!r} (link {link!r}) is off by {math.degrees(off):.3g} degrees "
            f"and {shift * 1e3:.3g} mm {with_whom}{kinds}"
        )

    def _below(self, link: str, other: str, M: np.ndarray, depth: int) -> list[Way] | Failure:
        """Ways for all that is below a link and its image, child by child."""
        mine, theirs = self.children.get(link, []), list(self.children.get(other, []))
        if len(mine) != len(theirs):
            return Failure(
                depth, f"{len(mine)} moving links are on link {link!r}, {len(theirs)} on its partner {other!r}"
            )
        ways = [Way({}, {})]
        left = list(mine) if link == other else []
        for child in mine:
            if link == other and child not in left:
                continue  # the partner of one that came before
            found = self._with_partner(child, theirs, M, depth, ways)
            if isinstance(found, Failure):
                return found
            partner, ways = found
            theirs.remove(partner)
            if link == other:
                left.remove(child)
                if partner != child:
                    left.remove(partner)
                    theirs.remove(child)
            ways = self._distinct(ways)
        return ways

    def _with_partner(
        self, child: str, free: list[str], M: np.ndarray, depth: int, ways: list[Way]
    ) -> tuple[str, list[Way]] | Failure:
        """The first of the free links that a child's image can be, and the ways of before with its own."""
        preferred = self.declared.get(child) or self.partners.get(child, child)
        rest = [] if child in self.declared else [c for c in (child, *free) if c != preferred and c in free]
        first: Failure | None = None
        for other in [*([preferred] if preferred in free else []), *rest]:
            found = self._subtree(child, other, M, depth)
            if isinstance(found, Failure):
                first = first or found
                continue
            if other in free and child in free and other != child:
                found = [both for way in found if (both := _joined(way, _back(way))) is not None]
            joined = [j for way in ways for more in found if (j := _joined(way, more)) is not None]
            if joined:
                return other, joined
            first = first or Failure(depth, self._tied(child))
        if preferred not in free:
            above = self.edges[preferred].parent if preferred in self.edges else "nothing"
            parent = self.edges[child].parent
            reason = f"the parent of link {child!r} is {parent!r}, that of its partner {preferred!r} is {above!r}"
            return Failure(depth, reason)
        return first or Failure(depth, f"link {child!r} has no partner")

    def _tied(self, link: str) -> str:
        names = sorted({e.name for n in self._subtree_links(link) if (e := self.edges[n].joint) is not None})
        shared = [n for n in names if len(self._links_of[n]) > 1]
        return f"joint {(shared or names)[0]!r} moves links that a mirror would move differently"

    def _subtree_links(self, link: str) -> list[str]:
        return [link, *(n for child in self.children.get(link, []) for n in self._subtree_links(child))]

    def _distinct(self, ways: list[Way]) -> list[Way]:
        """One of the ways for each choice of the readings that links elsewhere follow too."""
        out: dict[tuple[object, ...], Way] = {}
        for way in ways:
            inside = {*way.links, *(partner for partner, _ in way.links.values())}
            still_open = tuple(
                (j, p, s, round(o, 6)) for j, (p, s, o) in sorted(way.joints.items())
                if not self._links_of[j] | self._links_of[p] <= inside
            )  # fmt: skip
            out.setdefault(still_open, way)
        return list(out.values())[:MOST_WAYS]


def _joined(a: Way, b: Way) -> Way | None:
    """Both ways as one; None where they move a joint differently, or two joints as one."""
    for joint, (partner, sign, offset) in b.joints.items():
        known = a.joints.get(joint)
        if known is not None and not (known[0] == partner and known[1] == sign and abs(known[2] - offset) < TOLERANCE):
            return None
    joints = {**a.joints, **b.joints}
    if len({partner for partner, _, _ in joints.values()}) < len(joints):
        return None
    return Way({**a.links, **b.links}, joints)


def _back(way: Way) -> Way:
    """The same from the other side: a mirror brings back what it is used on twice."""
    links = {partner: (link, np.linalg.inv(M)) for link, (partner, M) in way.links.items()}
    return Way(links, {partner: (joint, sign, -sign * offset) for joint, (partner, sign, offset) in way.joints.items()})


def _own(joint: Joint) -> str:
    return joint.own or joint.name


def _tolerances(edge: Edge, twin: Edge, axis: np.ndarray) -> Rounding:
    """How far a joint and its partner may be off: their own rounding, and what that of an angle does to a length."""
    angle = edge.rounding.angle + twin.rounding.angle
    length = edge.rounding.length + twin.rounding.length
    reach = float(np.linalg.norm(edge.origin[:3, 3]))
    slant = SLANTED if np.count_nonzero(np.abs(axis) > 1e-9) > 1 else 0.0
    return Rounding(TOLERANCE + angle + slant, TOLERANCE + length + angle * reach)


def _aligned(N: np.ndarray, axis: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A reflection that is nearly right, without its shift and with the axis where it has to be."""
    R = N[:3, :3]
    is_now = R @ axis
    v = np.cross(is_now, wanted)
    K = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    turn = np.eye(3) + K + K @ K / (1 + float(is_now @ wanted))
    out = np.eye(4)
    U, _, V = np.linalg.svd(turn @ R)  # stays a reflection over many links
    out[:3, :3] = U @ V
    return out


def _angle_about(axis: np.ndarray, start: np.ndarray, end: np.ndarray) -> float | None:
    """The turn about an axis that takes one vector over another; None where no turn does, or one is along the axis."""
    a, b = (v - (v @ axis) * axis for v in (start, end))
    if min(np.linalg.norm(a), np.linalg.norm(b)) < CLOSE or abs(np.linalg.norm(a) - np.linalg.norm(b)) > CLOSE:
        return None
    return math.atan2(float(np.cross(a, b) @ axis), float(a @ b))


def _turned(axis: np.ndarray, angle: float) -> np.ndarray:
    out = np.eye(4)
    if angle:
        K = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        out[:3, :3] += math.sin(angle) * K + (1 - math.cos(angle)) * (K @ K)
    return out
