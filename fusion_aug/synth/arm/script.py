"""A script that moves parcels: it knows where they stand, and grips them as hard as they feel heavy.

Every command follows from what is read at its time, so that it can be learnt from readings: the next target lies a
little ahead of where the pads are. While the hand begins to rise, load passes from the table to the grip, and the grip
is kept at ``GRIP`` times the load that is felt: enough for the smoothest board, and not too much for the weakest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fusion_aug.synth.arm.motion import posture
from fusion_aug.synth.arm.parcel_world import OPEN, TICK, ParcelWorld
from fusion_aug.synth.arm.parcels import HEIGHT

GRIP = 2.3  # force of each pad over the load
TOUCHED = 0.35  # N on both pads
ABOVE, CARRIED = 0.10, 0.08  # metres over the table's parcel, of the pads before they go down, and with it
LOW = HEIGHT + 0.012  # metres, of the pads when they grip
SPEED = {"reach": 0.35, "down": 0.25, "close": 0.05, "load": 0.025, "lift": 0.15, "across": 0.35, "lower": 0.12,
         "open": 0.05, "leave": 0.25}  # m/s  # fmt: skip
SLOWING, CHANGE = 5.0, {"lift": 1.0, "lower": 1.0}  # 1/s of the distance that is left; m/s^2
SPRING = 1500.0  # N/m, of the fingers
FASTEST = 0.0006  # metres in a tick, of closing


@dataclass
class Script:
    """What to do next; one for each episode.

    Attributes:
        world: the episode. phase: what it is at. place: x, y, yaw, where it grips.
    """

    world: ParcelWorld
    place: tuple[float, float, float]
    phase: str = "reach"

    def __post_init__(self):
        self.point, self.rate = self.world.pads().copy(), np.zeros(3)

    def __call__(self) -> np.ndarray:
        """Targets (8,) of the joints."""
        read, pads = self.world.observe(), self.world.pads()
        forces = np.array([read["taxel_left"].sum(), read["taxel_right"].sum()])
        load = -read["wrench"][0] - 5.1954
        self.phase = self._next(pads, forces, load)
        goal, yaw = self._goal(pads)
        way, fastest = goal - self.point, SPEED[self.phase]
        if self.phase == "lower" and pads[2] < LOW + 0.03:
            fastest = 0.05
        if self.phase == "load":
            wanted = GRIP * max(load, 0.0) + 2 * TOUCHED
            fastest *= float(np.clip(1.5 - 2.5 * (1 - forces.min() / wanted), 0, 1))
        speed = way * min(SLOWING, fastest / max(float(np.linalg.norm(way)), 1e-9))
        change, most = speed - self.rate, CHANGE.get(self.phase, 3.0) * TICK
        self.rate = self.rate + change * min(1.0, most / max(float(np.linalg.norm(change)), 1e-9))
        self.point = point = self.point + self.rate * TICK
        roll = math.atan2(point[1], point[0]) - yaw
        return np.concatenate([posture(*point, roll=roll), self._fingers(read["position"][6:], forces, load)])

    def _goal(self, pads):
        x, y, yaw = self.place
        gx, gy = self.world.parcel.goal
        return {
            "reach": (np.array([x, y, LOW + ABOVE]), yaw), "down": (np.array([x, y, LOW]), yaw),
            "close": (np.array([x, y, LOW]), yaw), "load": (np.array([x, y, LOW + CARRIED]), yaw),
            "lift": (np.array([x, y, LOW + CARRIED]), yaw), "across": (np.array([gx, gy, LOW + CARRIED]), 0.0),
            "lower": (np.array([gx, gy, LOW - 0.03]), 0.0), "open": (np.array([*pads[:2], pads[2]]), 0.0),
            "leave": (np.array([gx, gy, LOW + ABOVE]), 0.0),
        }[self.phase]

    def _next(self, pads, forces, load):
        goal, _ = self._goal(pads)
        near, high = float(np.hypot(*(goal - pads)[:2])) < 0.012, float(pads[2]) - LOW
        phase = self.phase
        if phase == "reach" and near: return "down"
        if phase == "down" and high < 0.012: return "close"
        if phase == "close" and forces.min() > TOUCHED: return "load"
        if phase == "load" and high > 0.008: return "lift"
        if phase == "lift" and high > CARRIED - 0.02: return "across"
        if phase == "across" and near: return "lower"
        if phase == "lower" and load < 0.5 * self.world.parcel.weight and high < 0.02: return "open"
        if phase == "open" and self.world.motors.min() > OPEN - 0.002: return "leave"
        return phase

    def _fingers(self, motors, forces, load):
        if self.phase in ("reach", "down", "open", "leave"):
            return np.full(2, OPEN)
        if self.phase == "close":
            return motors - np.where(forces < 4*TOUCHED, FASTEST, 0.0)
        if self.phase != "load":
            load = self.world.parcel.weight
        wanted = GRIP * max(load, 0.0) + 2 * TOUCHED
        return motors - np.clip((wanted - forces.mean()) / SPRING * 0.4, -FASTEST, FASTEST)
