"""Parcels that differ, and the arm's model with one of them.

What a parcel withstands goes with its weight: a light one is made of thinner board. Held by less than its weight over
twice its friction it slips, and above ``STRENGTH`` its board gives way; between the two lies no force that suits all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np

from fusion_aug.synth.arm.scene import arm_xml, mujoco

G = 9.81  # m/s^2
PLACE, GOAL = (0.37, 0.09), (0.36, -0.10)  # metres, x and y of one that stands on the left, and of where it is put
SPREAD = 0.03  # metres by which it stands elsewhere, along x and y
TURN = math.radians(20)  # either way about z
HALF = (0.019, 0.026)  # metres, half of its width and depth
HEIGHT = 0.034  # metres, half of it
MASS = (0.1, 0.5)  # kg; as many between 0.1 and 0.2 as between 0.2 and 0.4
FRICTION = (0.3, 1.0)
STRENGTH = 0.22  # of its weight: the force on one taxel that crushes it
TOLD = 0.01  # metres, greatest error of the place that the arm is told
SOFT = {"solref": "0.02 1", "solimp": "0.1 0.95 0.002 0.5 2"}  # of the contact of a pad and a board
NOT_NEEDED = ("ball", "can", "block", "floor", "wall", "leg")


@dataclass(frozen=True)
class Parcel:
    """A parcel on the table, and what the arm is told of it.

    Attributes:
        x, y: metres, in the base frame. yaw: rad. half: metres, half of its width. mass: kg. friction: of its board.
        told: x, y, yaw that the arm is told.
    """

    x: float
    y: float
    yaw: float
    half: float
    mass: float
    friction: float
    told: tuple[float, float, float]

    @property
    def weight(self) -> float:
        """Newtons."""
        return self.mass * G

    @property
    def goal(self) -> tuple[float, float]:
        """x and y, metres, of where it is to be put: on the other side of the arm."""
        return goal_of(self.y)

    @property
    def strength(self) -> float:
        """Newtons on one taxel that it withstands."""
        return STRENGTH * self.weight

    def mirrored(self) -> Parcel:
        """The parcel in the mirror of the arm."""
        x, y, yaw = self.told
        return replace(self, y=-self.y, yaw=-self.yaw, told=(x, -y, -yaw))


def goal_of(y: float) -> tuple[float, float]:
    """x and y, metres, of where a parcel is to be put that stands, or is told to stand, at ``y``."""
    return GOAL[0], -math.copysign(GOAL[1], y)


def draw_parcel(seed: int, number: int) -> Parcel:
    """The parcel of that number: its place, yaw, width, mass, friction, and where the arm is told that it stands.

    The yaw is told as it is; the place is off by up to ``TOLD`` metres, as likely anywhere in that circle.
    """
    rng = np.random.default_rng([seed, number])
    side = 1.0 if rng.random() < 0.5 else -1.0
    x, y = PLACE[0] + rng.uniform(-SPREAD, SPREAD), side * PLACE[1] + rng.uniform(-SPREAD, SPREAD)
    yaw, half, mass, friction = (rng.uniform(*r) for r in ((-TURN, TURN), HALF, np.log(MASS), FRICTION))
    off, angle = TOLD * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
    told = (x + off * math.cos(angle), y + off * math.sin(angle), yaw)
    return Parcel(x, y, yaw, half, math.exp(mass), friction, told)


def load_parcel(parcel: Parcel) -> tuple[Any, Any]:
    """Model and data of MuJoCo: the arm, its table and a plain parcel, without pictures.

    The parcel is its own mirror image. Its friction holds for pads and table alike.
    """
    root = ElementTree.fromstring(arm_xml())
    for name in ("asset", "visual"):
        root.remove(root.find(name))  # type: ignore[arg-type]
    for element in root.iter():
        element.attrib.pop("material", None)
        for child in list(element):
            if child.get("name", "") in NOT_NEEDED or child.tag in ("camera", "light"):
                element.remove(child)
    body = next(b for b in root.iter("body") if b.get("name") == "parcel")
    for geom in body.findall("geom"):
        body.remove(geom)
    body.set("pos", f"{parcel.x!r} {parcel.y!r} {HEIGHT!r}")
    body.set("quat", f"{math.cos(parcel.yaw / 2)!r} 0 0 {math.sin(parcel.yaw / 2)!r}")
    ElementTree.SubElement(body, "geom", {
        "name": "parcel", "class": "obj", "type": "box", "size": f"{parcel.half!r} {parcel.half!r} {HEIGHT!r}",
        "mass": repr(parcel.mass), "friction": f"{parcel.friction!r} 0.005 0.0001", "priority": "1", **SOFT,
    })  # fmt: skip
    model = mujoco().MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
    return model, mujoco().MjData(model)
