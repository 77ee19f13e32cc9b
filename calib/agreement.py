"""Whether two rigs are the same vehicle's: what parts their sensors, with a figure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields

import torch

from calib.lidar import LidarSensor
from calib.rig import Rig
from calib.se3 import invert
from calib.sensor import Sensor
from calib.sensors import CameraSensor

MOST_METRES, MOST_DEGREES, MOST_PIXELS = 1e-3, 0.02, 0.05
GRID = 9  # rays of a picture, each way, that lenses are compared by


def difference(a: Rig, b: Rig, names: Iterable[str], bodies: tuple[str, str], times: tuple[int, int]) -> str:
    """What parts two rigs, as one figure; empty where nothing does.

    Mountings may differ by 1 mm and 0.02 degrees, rays of cameras by 0.05 px; LiDARs have to be the same device.

    Args:
        a, b: the rigs. names: sensors that are compared. bodies: frame of each rig that the mountings are given in.
        times: ns, of each rig, where mountings move.
    """
    for name in names:
        mine, other = a.sensors.get(name), b.sensors.get(name)
        if mine is None and other is None:
            continue
        if mine is None or other is None:
            return f"only one of them has {name!r}"
        if type(mine) is not type(other):
            return f"{name!r} is a {mine.kind} and a {other.kind}"
        T_a, T_b = (r.T(f, s.frame, t) for r, f, s, t in zip((a, b), bodies, (mine, other), times, strict=True))
        apart = float((T_a[:3, 3] - T_b[:3, 3]).norm())
        if apart > MOST_METRES:
            return f"{name!r} is mounted {1000 * apart:.1f} mm elsewhere ({1000 * MOST_METRES:.0f} mm allowed)"
        turned = math.degrees(rotation_angle(T_a, T_b))
        if turned > MOST_DEGREES:
            return f"{name!r} is turned by {turned:.3f} degrees ({MOST_DEGREES} allowed)"
        if found := _device_difference(mine, other):
            return f"{name!r} {found}"
    return ""


def rotation_angle(T_a: torch.Tensor, T_b: torch.Tensor) -> float:
    """Angle between the rotations of two poses (4, 4), radians, exact also where it is small."""
    R = (invert(T_a) @ T_b)[:3, :3]
    twice = torch.stack([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]).norm()
    return math.atan2(float(twice), float(R.trace()) - 1.0)


def _device_difference(a: Sensor, b: Sensor) -> str:
    if isinstance(a, CameraSensor) and isinstance(b, CameraSensor):
        return _lens_difference(a, b)
    if isinstance(a, LidarSensor) and isinstance(b, LidarSensor):
        names = [f.name for f in fields(a) if f.name not in ("frame", "mirror_of")]
        for name in names:
            if getattr(a, name) != getattr(b, name):
                return f"is another device: {name} is {_short(getattr(a, name))} and {_short(getattr(b, name))}"
    return ""


def _short(value: object) -> str:
    return str(value) if not isinstance(value, tuple) or len(value) < 4 else f"{len(value)} numbers"


def _lens_difference(a: CameraSensor, b: CameraSensor) -> str:
    if a.size != b.size:
        return f"has pictures of {a.size[1]}x{a.size[0]} and {b.size[1]}x{b.size[0]} pixels"
    if type(a.model) is not type(b.model):
        return f"has a {type(a.model).__name__} lens and a {type(b.model).__name__} lens"
    height, width = a.size
    v, u = torch.linspace(0, height - 1, GRID), torch.linspace(0, width - 1, GRID)
    rays = a.unproject(torch.stack(torch.meshgrid(u, v, indexing="xy"), -1).reshape(-1, 2).to(torch.float64))
    rays = rays[rays.isfinite().all(-1)]
    here, seen = a.project(rays)
    there, also = b.project(rays)
    if not bool((seen == also).all()):
        return "has lenses that see to different angles"
    apart = float((here - there)[seen].norm(dim=-1).max()) if bool(seen.any()) else 0.0
    return f"has rays that are {apart:.2f} px apart ({MOST_PIXELS} allowed)" if apart > MOST_PIXELS else ""
