"""Bodies in the street: cars, people, trees, houses, posts. Each in its own frame, its base on z = 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fusion_aug.synth.mesh import Array, Mesh, ball, box, cylinder, gable, joined, prism, wheel

Colour = tuple[int, int, int]
DARK: Colour = (26, 26, 28)


class Part(NamedTuple):
    """A piece of a body that is painted in one way: its mesh, the name of its paint, its colour (sRGB levels)."""

    mesh: Mesh
    paint: str
    colour: Colour


@dataclass(frozen=True)
class Body:
    """Something in the world.

    Attributes:
        parts: what it is made of, in its own frame.
        pose: ``T_world_body`` (4, 4) at a time in seconds.
        moving: whether the pose changes.
        category: nuScenes category, empty for what is not labelled.
        size: (length, width, height) of its label, whose base is on z = 0.
        rcs: radar cross-section seen from behind or ahead, dBsm.
        kind: class in the segmentation masks.
    """

    parts: tuple[Part, ...]
    pose: Callable[[float], Array]
    moving: bool = False
    category: str = ""
    size: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rcs: float = 0.0
    kind: str = "thing"

    def label_pose(self, time: float) -> Array:
        """``T_world_box`` (4, 4): the box's centre lies half its height above the ground."""
        T = self.pose(time).copy()
        T[:3, 3] += T[:3, 2] * self.size[2] / 2
        return T


CAR = ((2.2, 0.42), (2.24, 0.62), (2.1, 0.78), (1.05, 0.95), (0.25, 1.42), (-1.05, 1.46), (-1.85, 1.02), (-2.2, 0.96),
       (-2.24, 0.5), (-2.15, 0.3), (2.1, 0.28))  # fmt: skip
VAN = (
    (2.5, 0.42),
    (2.52, 0.8),
    (2.3, 1.05),
    (1.6, 1.2),
    (1.05, 1.95),
    (-2.45, 2.0),
    (-2.5, 0.5),
    (-2.45, 0.3),
    (2.4, 0.28),
)


def car_parts(colour: Colour, profile: tuple[tuple[float, float], ...] = CAR, width: float = 1.76) -> tuple[Part, ...]:
    """A car (or a van, by its profile): body with painted windows and lamps, four wheels."""
    reach = max(x for x, _ in profile)
    axles = (0.61 * reach, -0.6 * reach)
    tyres = [wheel(0.33, 0.22).at(x, y, 0.33) for x in axles for y in (-width / 2 + 0.13, width / 2 - 0.13)]
    mirrors = [box(0.12, 0.18, 0.14).at(0.22 * reach, s * (width / 2 + 0.05), 0.98) for s in (-1, 1)]
    shell = prism(profile, width, 0.8, above=1.2)
    return (Part(shell, "van" if profile is VAN else "car", colour), Part(joined(tyres), "tyre", DARK),
            Part(joined(mirrors), "plain", colour))  # fmt: skip


def truck_parts(colour: Colour) -> tuple[Part, ...]:
    """A small lorry: cab, box, six wheels."""
    cab = prism(((3.4, 0.5), (3.45, 1.2), (3.1, 2.3), (1.7, 2.4), (1.7, 0.5)), 2.2)
    tyres = [wheel(0.45, 0.3).at(x, y, 0.45) for x in (2.5, -1.4, -2.4) for y in (-0.95, 0.95)]
    return (Part(cab, "cab", colour), Part(box(5.2, 2.4, 2.5).at(-0.95, 0, 0.8), "cargo", (226, 226, 222)),
            Part(box(6.4, 0.9, 0.3).at(0.1, 0, 0.55), "plain", DARK), Part(joined(tyres), "tyre", DARK))  # fmt: skip


def person_parts(shirt: Colour, trousers: Colour, stride: float = 0.5) -> tuple[Part, ...]:
    """Someone in mid-step, facing +x."""
    legs = [
        cylinder(0.085, 0.88, 10, 0.11).at(-s * 0.42 * stride, s * 0.09, 0.0, pitch=s * stride * 0.5) for s in (-1, 1)
    ]
    arms = [cylinder(0.05, 0.62, 8).at(s * 0.22 * stride, s * 0.25, 0.82, pitch=-s * stride * 0.5) for s in (-1, 1)]
    torso = ball(0.5).scaled(0.3, 0.46, 0.66).at(z=1.14)
    head = ball(0.115).scaled(1.0, 0.9, 1.2).at(0.02, 0, 1.62)
    hair = ball(0.12).scaled(1.0, 0.95, 1.0).at(-0.02, 0, 1.67)
    return (Part(joined(legs), "plain", trousers), Part(joined([torso, *arms]), "cloth", shirt),
            Part(head, "plain", (206, 164, 136)), Part(hair, "plain", (58, 40, 28)))  # fmt: skip


def tree_parts(height: float, seed: int) -> tuple[Part, ...]:
    """A trunk and a crown of rough balls."""
    rng = np.random.default_rng(seed)
    crown, balls = height * 0.3, []
    for i in range(7):
        x, y, z = rng.uniform(-0.5, 0.5) * crown, rng.uniform(-0.5, 0.5) * crown, rng.uniform(-0.2, 0.55) * crown
        balls.append(ball(crown * rng.uniform(0.55, 0.75), 0.14, seed + i).at(x, y, height * 0.62 + z))
    green = tuple(int(c) for c in np.array([70, 104, 44]) + rng.integers(-14, 15, 3))
    return (Part(cylinder(0.16 + 0.012 * height, height * 0.6, 10, 0.1), "bark", (92, 74, 58)),
            Part(joined(balls), "leaf", green))  # type: ignore[arg-type]  # fmt: skip


def house_parts(
    length: float, depth: float, storeys: int, wall: Colour, roof: Colour, pitched: bool
) -> tuple[Part, ...]:
    """A house whose street front is its side y = -depth / 2; x runs along the street."""
    height = 3.0 * storeys + 0.6
    parts = [Part(box(length, depth, height), "facade", wall)]
    if pitched:
        parts.append(Part(gable(length, depth, 0.32 * depth).at(z=height), "tiles", roof))
    else:
        parts.append(Part(box(length + 0.3, depth + 0.3, 0.4).at(z=height), "plain", (150, 148, 144)))
    parts.append(Part(box(1.5, 0.5, 2.5).at(length * 0.22, -depth / 2, 0), "door", (96, 58, 40)))
    return tuple(parts)


def lamp_parts() -> tuple[Part, ...]:
    """A street lamp whose arm reaches towards +y."""
    steel = (104, 110, 114)
    arm = box(0.07, 1.6, 0.07).at(0, 0.75, 5.9)
    return (
        Part(joined([cylinder(0.09, 6.0, 10, 0.06), arm]), "metal", steel),
        Part(box(0.22, 0.6, 0.12).at(0, 1.5, 5.82), "plain", (220, 220, 210)),
    )


def sign_parts() -> tuple[Part, ...]:
    """A round traffic sign that faces -x."""
    disc = wheel(0.32, 0.03).at(yaw=np.pi / 2).at(-0.06, 0, 2.2)
    return (Part(cylinder(0.04, 2.5, 8), "metal", (130, 134, 138)), Part(disc, "sign", (200, 30, 36)))


def hedge_parts(length: float) -> tuple[Part, ...]:
    """A clipped hedge along x."""
    return (Part(box(length, 0.7, 1.1), "leaf", (62, 92, 46)),)


def bin_parts() -> tuple[Part, ...]:
    """A litter bin."""
    return (
        Part(cylinder(0.24, 0.9, 12), "plain", (52, 82, 60)),
        Part(cylinder(0.26, 0.08, 12).at(z=0.9), "plain", DARK),
    )
