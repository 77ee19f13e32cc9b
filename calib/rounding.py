"""What a description's figures say about their own rounding.

``1.5708`` is a quarter turn to four decimals, ``1.570796`` to six. A figure with few decimals is taken as it stands
(0.04 and 0.041 differ), unless it is what a half, third, quarter or sixth turn becomes at its number of decimals.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

FEWEST, MOST = 4, 9  # decimals of a figure that is taken for a rounded one; beyond, it has all that a float64 holds
TURNS = sorted({k * math.pi / n for n in (4, 6) for k in range(-2 * n, 2 * n + 1)})
NOISE = 1e-10  # of angles that come out of a rotation matrix


class Rounding(NamedTuple):
    """How far figures may be off by their own rounding: angles in rad, lengths in metres."""

    angle: float
    length: float


def decimals(figure: float) -> int:
    """Digits after the point that a figure was written with; more than ``MOST`` where it was not rounded."""
    return next((d for d in range(MOST + 1) if abs(figure - round(figure, d)) < NOISE), MOST + 1)


def half_unit(figure: float) -> float:
    """Half a unit of the last digit of a rounded figure; 0 for one that is taken as it stands."""
    digits = decimals(figure)
    return 0.5 * 10.0**-digits if FEWEST <= digits <= MOST else 0.0


def exact_angle(angle: float) -> float:
    """The part of a turn that an angle is the rounding (or the beginning of the digits) of; else the angle itself."""
    digits = decimals(angle)
    if not 2 <= digits <= MOST:
        return angle
    nearest = min(TURNS, key=lambda turn: abs(turn - angle))
    return nearest if abs(nearest - angle) < 10.0**-digits else angle


def unrounded_pose(T: np.ndarray) -> tuple[np.ndarray, Rounding]:
    """A pose whose angles are what their figures stand for, and how far the others may be off.

    Args:
        T: (4, 4), of xyz and rpy (roll, pitch, yaw) that were written in a file.

    Returns:
        (4, 4), T itself where no figure of its angles is a rounded part of a turn; and the rounding that is left.
    """
    length = max(half_unit(float(x)) for x in T[:3, 3])
    angles = _written_angles(T[:3, :3])
    exact = [exact_angle(a) for a in angles]
    rounding = Rounding(max((half_unit(e) for e in exact), default=0.0), length)
    if exact == angles:
        return T, rounding
    out = T.copy()
    out[:3, :3] = _from_angles(*exact)
    return out, rounding


def _written_angles(R: np.ndarray) -> list[float]:
    """Roll, pitch and yaw of a rotation, as the one of the two ways to write them that takes fewer digits."""
    flat = math.hypot(R[0, 0], R[1, 0])
    if flat < 1e-8:  # roll and yaw are one angle, which no figure can be told of
        return [_as_written(math.atan2(-R[1, 2], R[1, 1])), math.atan2(-R[2, 0], flat), 0.0]
    first = [math.atan2(R[2, 1], R[2, 2]), math.atan2(-R[2, 0], flat), math.atan2(R[1, 0], R[0, 0])]
    second = [math.atan2(-R[2, 1], -R[2, 2]), math.atan2(-R[2, 0], -flat), math.atan2(-R[1, 0], -R[0, 0])]
    ways = [[_as_written(a) for a in angles] for angles in (first, second)]
    return min(ways, key=lambda angles: sum(map(decimals, angles)))


def _as_written(angle: float) -> float:
    """An angle, or the same one turn on where that takes fewer digits: 3.1416 is a little more than half a turn."""
    return min((angle, angle + 2 * math.pi, angle - 2 * math.pi), key=decimals)


def _from_angles(roll: float, pitch: float, yaw: float) -> np.ndarray:
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(a), math.sin(a)) for a in (roll, pitch, yaw))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
