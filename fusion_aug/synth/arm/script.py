"""A script that moves parcels by what it reads, and grips them as hard as they feel heavy.

It goes where the arm is told that the parcel stands, closes its fingers, and yields to the one that touches first
until both do. Then it rises as far as the grip allows. Load passes from the table to the grip, which follows at
``GRIP`` times the load: enough for the smoothest board, and not too much for the weakest. Near the goal it goes down
until the table carries the load, and lets go.

It remembers nothing: speeds are a smooth function of the readings and of what is told, so that they can be learnt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fusion_aug.synth.arm.motion import pads_at, posture
from fusion_aug.synth.arm.parcel_world import OPEN, TICK
from fusion_aug.synth.arm.parcels import HEIGHT, goal_of

GRIP, REST = 2.3, 0.2  # force of each pad over the load; and N without any
EMPTY = 5.195  # N that the wrench carries at rest with nothing in the hand
LOW = HEIGHT + 0.012  # metres, of the pads when they grip
ABOVE, CARRIED, BELOW = 0.10, 0.08, -0.03  # metres over that: without a parcel, with it, and where none can go
SPRING, MENDED = 1500.0, 0.25  # N/m of the fingers; share of a wrong force that is mended in a tick
CLOSING, OPENING, YIELD = 0.03, 0.06, 0.12  # m/s of each finger; m/s of the hand for each N on one finger alone
NEARING = 6.0  # m/s for each metre that is left
LEAD = np.array([0.05, 0.05, 0.05, 0.3, 0.01])  # metres and rad by which targets may be ahead of what is read


def hand_at(position: np.ndarray) -> np.ndarray:
    """Where the hand is (..., 5): x, y, z of the pads in metres, turn about z in rad, metres of the fingers."""
    return np.concatenate([pads_at(position), position[..., 6:].mean(-1, keepdims=True)], -1)


class Steering:
    """Turns speeds of the hand into targets of the joints, in one episode."""

    def __init__(self) -> None:
        self._hand = np.zeros(0)

    def __call__(self, position: np.ndarray, speed: np.ndarray, sway: np.ndarray | float = 0.0) -> np.ndarray:
        """Targets (8,), rad and metres.

        Args:
            position: (8,) joints as read. speed: (5,) m/s, rad/s, of what ``hand_at`` tells. sway: (5,) metres and rad
                by which the targets of this tick alone are off.
        """
        read = hand_at(position)
        self._hand = np.clip((self._hand if self._hand.size else read) + speed * TICK, read - LEAD, read + LEAD)
        x, y, z, turn, wide = self._hand + sway
        reach = float(np.clip(math.hypot(x, y), 0.2, 0.45)) / math.hypot(x, y)  # where the arm can go
        joints = posture(x * reach, y * reach, float(np.clip(z, 0.02, 0.25)), roll=math.atan2(y, x) - turn)
        return np.concatenate([joints, [wide, wide]])


def script(readings: Mapping[str, np.ndarray], told: Sequence[float], force: float | None = None) -> np.ndarray:
    """How fast the hand is to move.

    Args:
        readings: as ``ParcelWorld.observe`` gives them. told: x, y (metres) and yaw (rad) of the parcel.
        force: N of each pad, of a grip that does not feel the load.

    Returns:
        (5,) m/s and rad/s of what ``hand_at`` tells.
    """
    hand = hand_at(readings["position"])
    forces = np.array([readings["taxel_left"].sum(), readings["taxel_right"].sum()])
    load = max(-float(readings["wrench"][0]) - EMPTY, 0.0)
    to_goal = np.array(goal_of(told[1])) - hand[:2]
    there = 1 - _ramp(float(np.linalg.norm(to_goal)), 0.03, 0.05)
    held = _ramp(float(forces.min()), 0.1, 0.3)
    wanted = GRIP * load + REST if force is None else force
    grip = _bounded(MENDED * (float(forces.mean()) - wanted) / SPRING / TICK, CLOSING)
    firm = _ramp(float(forces.min()) / wanted, 0.4, 0.8)
    empty = (1 - there) * _seek(hand, forces, told) + there * _leave(hand)
    full = (1 - there) * _carry(hand, to_goal, grip, firm) + there * _put_down(hand, to_goal, grip, load)
    return (1 - held) * empty + held * full


def _seek(hand: np.ndarray, forces: np.ndarray, told: Sequence[float]) -> np.ndarray:
    """Over the place that was told, down, and close; while one finger touches, go its way."""
    way, high, turn = np.array(told[:2]) - hand[:2], hand[2] - LOW, float(hand[3])
    off = float(np.linalg.norm(way))
    closing = (1 - _ramp(high, 0.006, 0.014)) * (1 - _ramp(off, 0.014, 0.022))
    touched = closing * _ramp(float(forces.max()), 0.02, 0.15)
    aside = closing * _bounded(YIELD * float(forces[0] - forces[1]), CLOSING)
    across = (1 - touched) * _toward(way, 0.35) + aside * np.array([-math.sin(turn), math.cos(turn)])
    down = _bounded(NEARING * (min(ABOVE, 6 * max(off - 0.013, 0.0)) - high), 0.3)
    fingers = (1 - closing) * _bounded(10 * (OPEN - hand[4]), OPENING) - closing * CLOSING
    return np.array([*across, down, _bounded(NEARING * (told[2] - turn), 2.0), fingers])


def _carry(hand: np.ndarray, to_goal: np.ndarray, grip: float, firm: float) -> np.ndarray:
    """Up as far as the grip is firm, and then across."""
    high = hand[2] - LOW
    up = _ramp(high, CARRIED - 0.03, CARRIED - 0.01)
    rise = firm * min(NEARING * (CARRIED - high), 0.03 + 0.12 * _ramp(high, 0.006, 0.03))
    return np.array([*(up * _toward(to_goal, 0.35)), rise, up * _bounded(-NEARING * hand[3], 1.0), grip])


def _put_down(hand: np.ndarray, to_goal: np.ndarray, grip: float, load: float) -> np.ndarray:
    """Down at the goal, until the table carries the load; then let go."""
    high = hand[2] - LOW
    height = BELOW + min(CARRIED - BELOW, 5 * max(float(np.linalg.norm(to_goal)) - 0.008, 0.0))
    down = max(NEARING * (height - high), -0.05 - 0.1 * _ramp(high, 0.02, 0.05))
    free = (1 - _ramp(load, 0.2, 0.5)) * (1 - _ramp(high, 0.015, 0.025))
    turn = _bounded(-NEARING * hand[3], 1.0)
    return np.array([*_toward(to_goal, 0.2), (1 - free) * down, turn, (1 - free) * grip + free * OPENING])


def _leave(hand: np.ndarray) -> np.ndarray:
    """Open at the goal, and rise when open."""
    opened = _ramp(hand[4], OPEN - 0.008, OPEN - 0.003)
    rise = opened * _bounded(NEARING * (ABOVE + LOW - hand[2]), 0.25)
    return np.array([0, 0, rise, 0, _bounded(10 * (OPEN + 0.001 - hand[4]), OPENING)])


def _ramp(value: float, low: float, high: float) -> float:
    """0 below, 1 above, even between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _bounded(value: float, most: float) -> float:
    """No more than that, either way."""
    return min(max(value, -most), most)


def _toward(way: np.ndarray, fastest: float) -> np.ndarray:
    """m/s along a way of so many metres."""
    speed = NEARING * way
    return speed * min(1.0, fastest / max(float(np.linalg.norm(speed)), 1e-9))
