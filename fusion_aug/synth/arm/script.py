"""A script that moves parcels by what it reads, and grips them as hard as they feel heavy.

It goes where the arm is told that the parcel stands, closes its fingers until both pads are touched, and rises a
little. Load then passes from the table to the grip, which is kept at ``GRIP`` times the load: enough for the smoothest
board, and not too much for the weakest. Once the parcel is off the table it keeps the grip that its weight asks for,
which the script knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fusion_aug.synth.arm.motion import pads_at, posture
from fusion_aug.synth.arm.parcel_world import OPEN, TICK
from fusion_aug.synth.arm.parcels import HEIGHT, Parcel

GRIP = 2.3  # force of each pad over the load
TOUCHED = 0.35  # N on both pads
EMPTY = 5.195  # N that the wrench carries at rest with nothing in the hand
LOW = HEIGHT + 0.012  # metres, of the pads when they grip
ABOVE, CARRIED = 0.10, 0.08  # metres over that, without a parcel and with it
SPRING = 1500.0  # N/m, of the fingers
CLOSING, GAIN = 0.0006, 0.4  # metres of closing in a tick at most; share of a wrong force that is mended in one
SPEED = {
    "reach": 0.35, "down": 0.25, "close": 0.05, "load": 0.025, "lift": 0.15, "across": 0.35, "lower": 0.12,
    "open": 0.05, "leave": 0.25,
}  # m/s at most  # fmt: skip
LANDING = 0.05  # m/s of a parcel close above the table
SLOWING = 5.0  # m/s for each metre that is left
CHANGE = {"lift": 1.0, "lower": 1.0}  # m/s^2, where the wrench has to feel the load; else
CHANGE_ELSE = 3.0


class Script:
    """What to do next, in one episode.

    Attributes:
        phase: what it is at, a key of ``SPEED``.
    """

    def __init__(self, parcel: Parcel):
        self.parcel, self.phase = parcel, "reach"
        self._point = np.zeros(0)  # metres; where the pads were told to be
        self._rate, self._wide = np.zeros(3), OPEN

    def __call__(self, readings: Mapping[str, np.ndarray]) -> np.ndarray:
        """Targets (8,) of the joints, rad and metres, from the readings that ``ParcelWorld.observe`` gives."""
        pads = pads_at(readings["position"])[:3]
        forces = np.array([readings["taxel_left"].sum(), readings["taxel_right"].sum()])
        load = max(-float(readings["wrench"][0]) - EMPTY, 0.0)
        self._point = self._point if self._point.size else pads
        self.phase = self._next(pads, forces, load, float(readings["position"][6:].min()))
        wanted = GRIP * (load if self.phase == "load" else self.parcel.weight) + 2 * TOUCHED
        goal, yaw = self._goal()
        self._move(goal, pads, float(forces.min()) / wanted)
        self._close(forces, wanted)
        x, y, z = self._point.tolist()
        return np.concatenate([posture(x, y, z, roll=math.atan2(y, x) - yaw), [self._wide, self._wide]])

    def _goal(self) -> tuple[np.ndarray, float]:
        """Where the pads are to go, metres, and how the hand is turned, rad."""
        height = {"down": 0.0, "close": 0.0, "load": CARRIED, "lift": CARRIED, "across": CARRIED, "lower": -0.03}
        at_parcel = self.phase in ("reach", "down", "close", "load", "lift")
        x, y, yaw = self.parcel.told if at_parcel else (*self.parcel.goal, 0.0)
        high = self._point[2] if self.phase == "open" else LOW + height.get(self.phase, ABOVE)
        return np.array([x, y, high]), yaw

    def _next(self, pads: np.ndarray, forces: np.ndarray, load: float, motors: float) -> str:
        """The phase that follows from readings."""
        near, high = float(np.hypot(*(self._goal()[0] - pads)[:2])) < 0.012, float(pads[2]) - LOW
        ends = {
            "reach": near, "down": high < 0.012, "close": float(forces.min()) > TOUCHED, "load": high > 0.008,
            "lift": high > CARRIED - 0.02, "across": near,
            "lower": load < 0.5 * self.parcel.weight and high < 0.02, "open": motors > OPEN - 0.002, "leave": False,
        }  # fmt: skip
        phases = list(SPEED)
        return phases[phases.index(self.phase) + 1] if ends[self.phase] else self.phase

    def _move(self, goal: np.ndarray, pads: np.ndarray, gripped: float) -> None:
        """Move the point that the pads follow, at a speed that changes gently; in load only as far as the grip is."""
        fastest = SPEED[self.phase]
        if self.phase == "load":
            fastest *= min(max(2.5 * gripped - 1.0, 0.0), 1.0)
        if self.phase == "lower" and pads[2] < LOW + 0.03:
            fastest = LANDING
        way = goal - self._point
        change = way * min(SLOWING, fastest / max(float(np.linalg.norm(way)), 1e-9)) - self._rate
        most = CHANGE.get(self.phase, CHANGE_ELSE) * TICK
        self._rate = self._rate + change * min(1.0, most / max(float(np.linalg.norm(change)), 1e-9))
        self._point = self._point + self._rate * TICK

    def _close(self, forces: np.ndarray, wanted: float) -> None:
        """Open or close the fingers."""
        if self.phase in ("reach", "down", "open", "leave"):
            self._wide = OPEN
        elif self.phase == "close":
            self._wide -= CLOSING
        else:
            self._wide -= float(np.clip((wanted - forces.mean()) / SPRING * GAIN, -CLOSING, CLOSING))
