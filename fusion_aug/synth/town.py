"""The street of the sample log: everything in it, from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_aug.synth.bodies import (
    VAN,
    Body,
    Colour,
    Part,
    bin_parts,
    car_parts,
    hedge_parts,
    house_parts,
    lamp_parts,
    person_parts,
    sign_parts,
    tree_parts,
    truck_parts,
)
from fusion_aug.synth.paint import HALF_ROAD, LANE, PAVEMENT, ZEBRA
from fusion_aug.synth.road import Crossing, Road, Speed, Track, pose_at

SUN = np.array([0.70, -0.38, 0.66]) / np.linalg.norm([0.70, -0.38, 0.66])  # direction to the sun, world frame
CAR_SIZE, VAN_SIZE, TRUCK_SIZE, PERSON_SIZE = (4.5, 1.9, 1.5), (5.05, 2.0, 2.05), (7.0, 2.5, 3.35), (0.75, 0.75, 1.82)
PAINTWORK: list[Colour] = [
    (150, 28, 30), (34, 66, 120), (206, 208, 210), (52, 54, 58), (196, 150, 40), (60, 98, 76), (120, 124, 130),
    (228, 228, 224),
]  # fmt: skip
WALLS: list[Colour] = [
    (198, 178, 150),
    (158, 98, 80),
    (184, 186, 186),
    (214, 200, 176),
    (140, 112, 96),
    (176, 152, 128),
]
ROOFS: list[Colour] = [(128, 62, 48), (92, 72, 66), (76, 80, 86)]
# The ego vehicle: 7 m/s, stops before the crossing, drives on into the bend.
EGO = Speed(0.0, 7.0, ((1.6, 3.6, 0.0), (4.8, 6.8, 7.0)))
EGO_LANE = -LANE / 2


@dataclass(frozen=True)
class Town:
    """A road and the bodies along it."""

    road: Road
    bodies: tuple[Body, ...]

    @property
    def ego(self) -> Track:
        """Path of the ego vehicle, of its rear axle on the ground."""
        return Track(self.road, EGO, EGO_LANE, dive=0.006)


def make_town(seed: int = 0) -> Town:
    """The street: parked and driving cars, people, houses, trees, lamps."""
    rng, road = np.random.default_rng(seed), Road()
    bodies = [*_parked(road, rng), *_traffic(road, rng), *_people(road, rng), *_houses(road, rng), *_green(road, rng)]
    return Town(road, tuple(bodies))


def _static_body(road: Road, s: float, d: float, parts: tuple[Part, ...], yaw: float = 0.0, **more: object) -> Body:
    xy, heading = road.at(s, d)
    T = pose_at(xy, float(heading) + yaw)
    return Body(parts, lambda time: T, **more)  # type: ignore[arg-type]


def _vehicle(kind: str, colour: Colour) -> tuple[tuple[Part, ...], dict[str, object]]:
    """Parts and label of a car, van or truck."""
    if kind == "truck":
        return truck_parts(colour), {"category": "vehicle.truck", "size": TRUCK_SIZE, "rcs": 20.0, "kind": "vehicle"}
    parts = car_parts(colour) if kind == "car" else car_parts(colour, VAN, 1.9)
    return parts, {
        "category": "vehicle.car",
        "size": CAR_SIZE if kind == "car" else VAN_SIZE,
        "rcs": 12.0,
        "kind": "vehicle",
    }


def _parked(road: Road, rng: np.random.Generator) -> list[Body]:
    out = []
    for side in (-1, 1):
        s = -24.0 + rng.uniform(0, 3)
        while s < 120.0:
            clear = ZEBRA[0] - 6.0 < s < ZEBRA[1] + 6.0
            if not clear and rng.random() < 0.62:
                parts, label = _vehicle(
                    "van" if rng.random() < 0.22 else "car", PAINTWORK[rng.integers(len(PAINTWORK))]
                )
                d = side * (HALF_ROAD - 1.15 + rng.uniform(-0.1, 0.1))
                out.append(_static_body(road, s, d, parts, 0.0 if side < 0 else np.pi, **label))
            s += rng.uniform(6.0, 7.2)
    return out


def _traffic(road: Road, rng: np.random.Generator) -> list[Body]:
    """A car ahead, a van behind that stops too, an oncoming car that waits at the crossing, others further on."""
    plan = [  # distances of oncoming vehicles count from s = 0 backwards
        ("car", Speed(24.0, 8.0, ((7.0, 9.0, 6.0),)), True),
        ("car", Speed(-ZEBRA[1] - 13.0, 6.0, ((0.0, 2.4, 0.0), (6.0, 8.0, 7.0))), False),
        ("truck", Speed(-92.0, 7.5, ((6.5, 9.0, 4.0),)), False),
        ("van", Speed(-23.0, 7.2, ((1.8, 4.2, 0.0), (5.4, 8.0, 7.0))), True),
        ("car", Speed(-140.0, 8.5), False),
    ]
    out = []
    for kind, speed, forward in plan:
        parts, label = _vehicle(kind, PAINTWORK[rng.integers(len(PAINTWORK))])
        track = Track(road, speed, LANE / 2 * (-1 if forward else 1), forward)
        out.append(Body(parts, track.pose, True, **label))  # type: ignore[arg-type]
    return out


def _people(road: Road, rng: np.random.Generator) -> list[Body]:
    clothes: list[Colour] = [(176, 60, 50), (50, 80, 140), (60, 110, 80), (212, 190, 90), (90, 90, 96), (150, 110, 160)]
    trousers: list[Colour] = [(40, 44, 60), (70, 60, 50), (30, 30, 32)]
    kerb = HALF_ROAD + 0.8
    walks = [
        (ZEBRA[0] + 1, -kerb, ZEBRA[0] + 1, kerb, 0.2, 1.5),
        (ZEBRA[0] + 2.4, kerb, ZEBRA[0] + 2.4, -kerb, -3.0, 1.35),
    ]
    for s, side, way, speed in (
        (6.0, 7.6, 1, 1.2),
        (16.0, -7.9, 1, 1.3),
        (40.0, -7.4, -1, 1.1),
        (52.0, 7.9, -1, 1.4),
        (70.0, -8.0, 1, 1.2),
        (21.0, 8.3, 1, 0.9),
    ):
        walks.append((s, side, s + way * 14.0, side, 0.0, speed))
    out = []
    for s0, d0, s1, d1, begin, speed in walks:
        start, stop = (tuple(map(float, road.at(s, d)[0])) for s, d in ((s0, d0), (s1, d1)))
        parts = person_parts(
            clothes[rng.integers(len(clothes))], trousers[rng.integers(len(trousers))], rng.uniform(0.35, 0.6)
        )
        walk = Crossing(start, stop, begin, speed)  # type: ignore[arg-type]
        out.append(Body(parts, walk.pose, True, "human.pedestrian.adult", PERSON_SIZE, 0.0, "person"))
    return out


def _houses(road: Road, rng: np.random.Generator) -> list[Body]:
    out = []
    for side in (-1, 1):
        s = -52.0
        while s < 190.0:
            length, depth = rng.uniform(11.0, 17.0), rng.uniform(9.0, 11.0)
            middle = s + length / 2
            # the inside of the bend is a park
            inside = side > 0 and road.straight - 4.0 < middle < road.bend_end + 4.0
            if not inside:
                parts = house_parts(
                    length,
                    depth,
                    int(rng.integers(2, 5)),
                    WALLS[rng.integers(len(WALLS))],
                    ROOFS[rng.integers(len(ROOFS))],
                    rng.random() < 0.65,
                )
                d = side * (PAVEMENT + rng.uniform(0.6, 2.4) + depth / 2)
                # the street front is the side y = -depth / 2
                out.append(_static_body(road, middle, d, parts, 0.0 if side > 0 else np.pi, kind="building"))
            widening = 1.3 if side < 0 and road.straight < middle < road.bend_end else 1.0
            s += (length + rng.uniform(0.4, 3.5)) / widening
    return out


def _green(road: Road, rng: np.random.Generator) -> list[Body]:
    out = []
    for side in (-1, 1):
        for i, s in enumerate(np.arange(-30.0, 130.0, 11.5)):
            if abs(s - ZEBRA[0]) < 5.0:
                continue
            if (i + (side > 0)) % 2 == 0:
                parts = tree_parts(rng.uniform(5.5, 8.0), int(rng.integers(1 << 30)))
                out.append(_static_body(road, s + rng.uniform(-1, 1), side * (HALF_ROAD + 1.3), parts, kind="plant"))
            else:
                # the arm reaches over the road: +y on the right side of it
                out.append(
                    _static_body(
                        road, s, side * (HALF_ROAD + 0.7), lamp_parts(), 0.0 if side < 0 else np.pi, kind="pole"
                    )
                )
    for _ in range(16):  # the park inside the bend
        s, d = rng.uniform(road.straight - 2, road.bend_end + 2), rng.uniform(PAVEMENT + 3.0, 26.0)
        out.append(_static_body(road, s, d, tree_parts(rng.uniform(6, 10), int(rng.integers(1 << 30))), kind="plant"))
    for s in np.arange(road.straight, road.bend_end, 4.5):
        out.append(_static_body(road, s, PAVEMENT + 1.0, hedge_parts(4.0), kind="plant"))
    for s, d, turn in ((ZEBRA[0] - 1.5, -HALF_ROAD - 0.6, 0.0), (ZEBRA[1] + 1.5, HALF_ROAD + 0.6, np.pi)):
        out.append(_static_body(road, s, d, sign_parts(), turn, kind="sign"))
    out += [_static_body(road, s, d, bin_parts()) for s, d in ((9.0, -6.7), (24.0, 6.8), (48.0, -6.8), (75.0, 6.8))]
    return out
