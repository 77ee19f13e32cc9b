"""The road: a straight, a bend to the left, a straight; and motion along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fusion_aug.synth.mesh import Array


@dataclass(frozen=True)
class Road:
    """A centre line, in coordinates along it (s, metres) and to the left of it (d, metres).

    Attributes:
        origin: world (x, y) of s = 0; the road leaves it along +x.
        straight: s where the bend begins. radius: of the bend, metres. angle: of the bend, radians.
    """

    origin: tuple[float, float] = (90.0, 70.0)
    straight: float = 32.0
    radius: float = 32.0
    angle: float = np.radians(62.0)

    @property
    def bend_end(self) -> float:
        """s where the bend ends."""
        return self.straight + self.radius * self.angle

    @cached_property
    def _centre(self) -> Array:
        """Centre of the bend, (x, y)."""
        return np.add(self.origin, (self.straight, self.radius))

    def at(self, s: Array | float, d: Array | float = 0.0) -> tuple[Array, Array]:
        """World (x, y) (..., 2) and heading (...,) of road coordinates."""
        s, d = np.asarray(s, float), np.asarray(d, float)
        heading = np.clip((s - self.straight) / self.radius, 0.0, self.angle)
        rest = np.where(s < self.straight, s - self.straight, np.maximum(s - self.bend_end, 0.0))
        along = np.stack([np.cos(heading), np.sin(heading)], -1)
        left = np.stack([-np.sin(heading), np.cos(heading)], -1)
        return self._centre + (d - self.radius)[..., None] * left + rest[..., None] * along, heading

    def locate(self, xy: Array) -> tuple[Array, Array]:
        """Road coordinates s and d of world points (n, 2)."""
        x, y = (xy - self._centre).T
        bearing = np.arctan2(x, -y)
        end = np.array([np.cos(self.angle), np.sin(self.angle)])
        beyond = x * end[0] + y * end[1]
        # which piece a point belongs to: before the bend, after it, or in its fan
        before = (x < 0) & ~((beyond > 0) & (y > 0))
        after = ~before & (beyond > 0) & (bearing > self.angle / 2)
        s = np.where(
            before, self.straight + x, np.where(after, self.bend_end + beyond, self.straight + self.radius * bearing)
        )
        straight_d = self.radius + y
        after_d = self.radius - (x * end[1] - y * end[0])
        return s, np.where(before, straight_d, np.where(after, after_d, self.radius - np.hypot(x, y)))


@dataclass(frozen=True)
class Speed:
    """Distance over time from ramps between steady speeds.

    Attributes:
        start: distance at time 0, metres.
        first: speed until the first ramp, m/s.
        ramps: (begin, end, speed afterwards) in seconds and m/s, in order. The speed follows a smoothstep.
    """

    start: float
    first: float
    ramps: Sequence[tuple[float, float, float]] = ()

    def at(self, time: float) -> tuple[float, float, float]:
        """Distance (m), speed (m/s) and acceleration (m/s^2) at a time in seconds."""
        where, speed, clock = self.start, self.first, 0.0
        for begin, end, after in self.ramps:
            if time <= begin:
                break
            where += speed * (begin - clock)
            span, change = end - begin, after - speed
            u = min(1.0, (time - begin) / span)
            where += span * (speed * u + change * (u**3 - u**4 / 2))
            if u < 1.0:
                return where, speed + change * u * u * (3 - 2 * u), change * 6 * u * (1 - u) / span
            speed, clock = after, end
        return where + speed * (time - clock), speed, 0.0


@dataclass(frozen=True)
class Track:
    """Something that moves along the road at a fixed distance from its middle.

    Attributes:
        road: the road. speed: distance over time; against the road's direction the distance counts from s = 0
            backwards, so oncoming traffic starts below zero. d: metres to the left of the middle.
        forward: False against the road's direction.
        dive: pitch per acceleration, rad per m/s^2; a car dips its nose when it brakes.
    """

    road: Road
    speed: Speed
    d: float
    forward: bool = True
    dive: float = 0.0

    def pose(self, time: float) -> Array:
        """``T_world_body`` (4, 4) at a time in seconds."""
        s, _, acceleration = self.speed.at(time)
        xy, heading = self.road.at(s if self.forward else -s, self.d)
        return pose_at(xy, float(heading) + (0.0 if self.forward else np.pi), pitch=-self.dive * acceleration)


@dataclass(frozen=True)
class Crossing:
    """Someone who walks straight from one place to another and stops there.

    Attributes:
        start, stop: world (x, y). begin: second at which the walk begins. speed: m/s.
    """

    start: tuple[float, float]
    stop: tuple[float, float]
    begin: float
    speed: float

    def pose(self, time: float) -> Array:
        """``T_world_body`` (4, 4) at a time in seconds."""
        way = np.subtract(self.stop, self.start)
        length = float(np.hypot(*way))
        share = float(np.clip((time - self.begin) * self.speed / length, 0.0, 1.0))
        return pose_at(np.array(self.start) + share * way, float(np.arctan2(way[1], way[0])))


def pose_at(xy: Array, heading: float, z: float = 0.0, pitch: float = 0.0) -> Array:
    """``T_world_body`` (4, 4) of a body on the ground."""
    c, s, cp, sp = np.cos(heading), np.sin(heading), np.cos(pitch), np.sin(pitch)
    T = np.eye(4)
    T[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    T[:3, 3] = [xy[0], xy[1], z]
    return T
