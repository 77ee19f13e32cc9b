"""Joint readings against the description of the robot: its limits, and the joints that follow others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from calib import Joint, Robot
from calib.kinematics import Mimic
from fusion_aug.errors import DataError

Readings = Mapping[str, tuple[Tensor, Tensor]]  # joint -> times (k,) int64 ns, increasing; positions (k,) rad or m
# how far real robots overshoot, by encoders, soft limits and rounded descriptions
SLACK = {"rad": 0.1, "m": 0.005}
REMEDY = 'a reading of the other sign takes a "-" before the joint in log.joint_map, one in another unit log.parts'


def check_joints(robot: Robot, readings: Readings, where: str) -> None:
    """Compare readings with the limits of their joints, and joints that follow others with these.

    Args:
        robot: with the joint names of the log.
        readings: of the joints that move the robot and of those that follow others, by the names of the log.
        where: the log, for messages.

    Raises:
        DataError: a reading lies further outside the limits, or from what the joint should follow, than ``SLACK``.
    """
    where = f"{where}: robot {robot.name!r}"
    for joint in (edge for _, edge in robot.edges.values() if isinstance(edge, Joint)):
        if joint.name in readings:
            _check_limits(joint, *readings[joint.name], where)
    for mimic in robot.mimics:
        if mimic.follower in readings and mimic.leader in readings:
            _check_mimic(mimic, readings[mimic.leader], readings[mimic.follower], where)


def _check_limits(joint: Joint, times: Tensor, values: Tensor, where: str) -> None:
    if joint.lower >= joint.upper:  # 0 and 0, as tools write limits that nobody set
        return
    moved, unit = joint.multiplier * values + joint.bias, "rad" if joint.is_rotary else "m"
    beyond = torch.maximum(joint.lower - moved, moved - joint.upper)
    worst = int(beyond.argmax())
    if float(beyond[worst]) > SLACK[unit]:
        value, reached = float(values[worst]), float(moved[worst])
        follows = "" if reached == value else f", which puts {joint.own or 'it'} at {reached:.4g} {unit}"
        raise DataError(
            f"{where}: joint {joint.name!r} is read as {value:.4g} {unit} at {int(times[worst])} ns{follows}, outside "
            f"the limits {joint.lower:g} to {joint.upper:g} {unit} of the description; {REMEDY}, or correct the limits"
        )


def _check_mimic(mimic: Mimic, leader: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor], where: str) -> None:
    """A joint that the log gives a reading of its own may move on its own; it is wrong where only its sign is."""
    times, values = own
    start, unit = leader[0][0], "rad" if mimic.is_rotary else "m"
    led = np.interp((times - start).numpy(), (leader[0] - start).numpy(), leader[1].numpy())
    expected = mimic.multiplier * torch.from_numpy(led) + mimic.offset
    off = (values - expected).abs()
    worst = int(off.argmax())
    fits, fits_turned = (bool((o <= SLACK[unit]).all()) for o in (off, (values + expected).abs()))
    if not fits and (fits_turned or not mimic.named):
        raise DataError(
            f"{where}: joint {mimic.follower!r} is read as {float(values[worst]):.4g} {unit} at {int(times[worst])} "
            f"ns, but the description lets it follow {mimic.leader!r} to {float(expected[worst]):.4g} {unit}; "
            f"{REMEDY}, and a joint that moves on its own is named there too"
        )
