"""The arm's task: reach, grip, lift, move across, press down. Minimum-jerk steps between postures."""

from __future__ import annotations

import math

import numpy as np

UPPER, FORE = 0.28, 0.26  # metres, lengths of the two beams
TOOL = 0.22  # metres from the wrist's pitch axis to the middle of the pads
SHOULDER = 0.20  # metres above the base
OPEN, CLOSED = 0.040, 0.019  # metres of each finger from the middle


def posture(x: float, y: float, z: float, pitch: float = math.pi / 2, roll: float = 0.0) -> np.ndarray:
    """Return six joint angles (rad) that bring the pads to (x, y, z), metres, with the hand pitched down."""
    yaw, reach = math.atan2(y, x), math.hypot(x, y)
    out, up = reach - TOOL * math.cos(pitch), z - SHOULDER + TOOL * math.sin(pitch)
    distance, rise = math.hypot(out, up), math.atan2(up, out)
    upper = rise + math.acos((UPPER**2 + distance**2 - FORE**2) / (2 * UPPER * distance))
    fore = rise - math.acos((FORE**2 + distance**2 - UPPER**2) / (2 * FORE * distance))
    lift = math.pi / 2 - upper
    bend = -fore - lift
    return np.array([yaw, lift, bend, 0.0, pitch - lift - bend, roll])


def pads_at(joints: np.ndarray) -> np.ndarray:
    """Return x, y, z (metres) of the middle between the pads and the hand's turn about z (rad): ``posture`` undone.

    Args:
        joints: (..., 6 or more) rad; the fourth, which ``posture`` leaves at 0, is taken to be 0.
    """
    yaw, lift, bend, _, tilt, roll = (joints[..., k] for k in range(6))
    pitch = lift + bend + tilt
    out = UPPER * np.sin(lift) + FORE * np.cos(lift + bend) + TOOL * np.cos(pitch)
    up = UPPER * np.cos(lift) - FORE * np.sin(lift + bend) + SHOULDER - TOOL * np.sin(pitch)
    return np.stack([out * np.cos(yaw), out * np.sin(yaw), up, yaw - roll], -1)


def knots() -> list[tuple[float, np.ndarray, float]]:
    """(seconds, joint angles, finger opening) of the postures."""
    here, there = (0.37, 0.09, 0.054), (0.36, -0.10, 0.054)

    def over(place: tuple[float, float, float], height: float) -> np.ndarray:
        x, y, z = place
        return posture(x, y, z + height, roll=math.atan2(y, x))

    home = posture(0.33, 0.0, 0.24, pitch=1.0)
    rolled = posture(0.37, 0.0, 0.174, pitch=1.15, roll=0.9)
    rolled[3] = 0.35
    return [
        (0.0, home, 0.025), (0.25, home, 0.025), (1.10, over(here, 0.09), OPEN), (1.60, over(here, 0.0), OPEN),
        (1.95, over(here, 0.0), CLOSED), (2.10, over(here, 0.0), CLOSED), (2.60, over(here, 0.10), CLOSED),
        (3.25, rolled, CLOSED), (3.90, over(there, 0.05), CLOSED), (4.25, over(there, -0.006), CLOSED),
        (4.55, over(there, -0.006), CLOSED),
    ]  # fmt: skip


DURATION = 4.55


def target_at(t: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Joint angles, their rates and accelerations (6,), and the finger opening at a time."""
    steps = knots()
    k = next((k for k, step in enumerate(steps[1:]) if t <= step[0]), len(steps) - 2)
    (t0, a, f0), (t1, b, f1) = steps[k : k + 2]
    h = t1 - t0
    s = min(max((t - t0) / h, 0.0), 1.0)
    way = 10 * s**3 - 15 * s**4 + 6 * s**5
    rate = (30 * s**2 - 60 * s**3 + 30 * s**4) / h
    change = (60 * s - 180 * s**2 + 120 * s**3) / h**2
    return a + (b - a) * way, (b - a) * rate, (b - a) * change, f0 + (f1 - f0) * way
