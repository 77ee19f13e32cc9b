"""Joints of a robot's description of which a log has no readings, such as wheels or the fingers of a bought hand."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace

from calib import Joint, Robot
from fusion_aug.errors import ConfigError
from fusion_aug.streams import JointState, RobotState, Stream

MOST_NAMED = 6


def without_unread(
    robot: Robot, unread: Collection[str], read: Collection[str], streams: Mapping[str, Stream], where: str
) -> Robot:
    """The robot without the links that move by joints of which nothing is read, and without what is on these.

    Args:
        robot: with the joint names of the log. unread: rotary joints without readings. read: those with readings.
        streams: of the log. where: the description, for messages.

    Raises:
        ConfigError: nothing is read of any joint, or the log has joints that the description does not: their names
            differ, so that a joint that is not found need not be one that nobody reads.

    Warns:
        UserWarning: links are left out; it names the joints.
    """
    known = {*robot.joints, *(n for m in robot.mimics for n in (m.leader, m.follower))}
    others = [n for s in streams.values() if isinstance(s, JointState | RobotState) for n in s.names if n not in known]
    first = min(unread)
    if not read or others:
        beside = f"; the description has none of {', '.join(others[:MOST_NAMED])}" if others else ""
        raise ConfigError(
            f"log.joint_map: the log has no reading of joint {first!r} of the description "
            f"(it has {', '.join(read) or 'no joints'}{beside})"
        )
    names = ", ".join(sorted(unread)[:MOST_NAMED]) + (", ..." if len(unread) > MOST_NAMED else "")
    warnings.warn(
        f"{where}: nothing in the log reads {names}: the links beyond are left out, with their masses; name other "
        f"readings of them in log.joint_map",
        stacklevel=3,
    )
    moved = {n for n, (_, e) in robot.edges.items() if isinstance(e, Joint) and e.name in unread}
    kept = {n: edge for n, edge in robot.edges.items() if not moved & {n, *robot.chain(n)}}
    masses = {n: m for n, m in robot.inertias.items() if n == robot.root or n in kept}
    mimics = tuple(m for m in robot.mimics if m.leader not in unread)
    return replace(robot, edges=kept, inertias=masses, mimics=mimics)
