"""The ground under a vehicle, from its LiDAR points, and what water on it does to light."""

from __future__ import annotations

import numpy as np

from calib.ties import TIE, cell_of

REACH = 30.0  # metres around the vehicle that the plane is fitted to
NEAR = 0.2  # metres above it that still count as ground: pavements, and errors of distances far away
MOST = 6000  # points that it is fitted to
AIR, WATER, ASPHALT = 1.0003, 1.33, 1.6  # refractive indices


def fit_ground(xyz: np.ndarray) -> np.ndarray | None:
    """The plane of the ground, (4,): n . x + d = 0 with n pointing up; None where too few points lie on one.

    Args:
        xyz: (n, 3) points in a frame whose z points up, metres.

    Least squares over the lowest points, refined three times with what lies within 15 cm.
    """
    near = xyz[(np.hypot(xyz[:, 0], xyz[:, 1]) < REACH) & np.isfinite(xyz).all(1)]
    if len(near) < 50:
        return None
    near = near[:: max(1, len(near) // MOST)]
    cells = cell_of(near[:, :2] / 2.0).astype(np.int64)
    order = np.lexsort((near[:, 2], cells[:, 1], cells[:, 0]))  # the lowest of each cell first
    sorted_cells = cells[order]
    first = np.concatenate([[True], (sorted_cells[1:] != sorted_cells[:-1]).any(1)])
    lowest = near[order[first]]
    keep = np.abs(lowest[:, 2] - np.median(lowest[:, 2])) < 0.5
    candidates, plane = lowest, None
    for _ in range(4):
        if keep.sum() < 10:
            return None
        A = np.column_stack([candidates[keep, :2], np.ones(int(keep.sum()))])
        plane = np.linalg.lstsq(A, candidates[keep, 2], rcond=None)[0]
        candidates = near
        keep = np.abs(near[:, :2] @ plane[:2] + plane[2] - near[:, 2]) < 0.15
    assert plane is not None
    normal = np.array([-plane[0], -plane[1], 1.0])
    length = np.linalg.norm(normal)
    return np.append(normal, -plane[2]) / length


def height(plane: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Height (n,) of points above a plane, metres."""
    return xyz @ plane[:3] + plane[3]


def distance_along(plane: np.ndarray, start: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Distance (...) along unit rays (..., 3) from ``start`` (3,) to a plane; infinity where a ray never meets it.

    A level ray does not: the sign of its slope would say so only up to the last bits.
    """
    slope = rays @ plane[:3]
    with np.errstate(divide="ignore"):
        found = -(start @ plane[:3] + plane[3]) / slope
    return np.where((slope < -TIE) & (found > 0), found, np.inf)


def fresnel(cosine: np.ndarray, n1: float, n2: float) -> np.ndarray:
    """Share of unpolarized light that a surface between refractive indices n1 and n2 reflects (Fresnel)."""
    cosine = np.clip(cosine, 0.0, 1.0)
    refracted = np.sqrt(np.maximum(1 - (n1 / n2) ** 2 * (1 - cosine**2), 0.0))
    s = (n1 * cosine - n2 * refracted) / (n1 * cosine + n2 * refracted)
    p = (n1 * refracted - n2 * cosine) / (n1 * refracted + n2 * cosine)
    return 0.5 * (s * s + p * p)


def water_share(film: float) -> float:
    """Share of the road that a film of water (mm) covers: its texture, 0.3 mm deep, protrudes from a thinner one."""
    return 1.0 - float(np.exp(-film / 0.3))


def wet_return(cosine: np.ndarray, film: float) -> np.ndarray:
    """Share of a LiDAR's diffuse return that wet ground still gives back.

    The beam crosses the water's surface on its way in and out, and what gets through meets asphalt whose pores are
    filled, so that less is scattered back. At grazing angles the surface reflects most of it away.

    Args:
        cosine: of the angle between beam and the ground's normal. film: thickness of the water, mm.
    """
    covered = water_share(film)
    through = (1 - fresnel(cosine, AIR, WATER)) ** 2
    darker = (1 - fresnel(np.ones(1), WATER, ASPHALT)[0]) * 0.6  # diffuse albedo of wetted pores, Lekner and Dorf 1988
    return 1 - covered + covered * through * darker


def friction(film: float, snow_cover: float) -> float:
    """Coefficient of friction between tyre and road: 0.9 dry, 0.5 with 1.2 mm of water, 0.2 on packed snow."""
    wet = 0.9 - 0.4 * min(film / 1.2, 1.0)
    return wet + (0.2 - wet) * snow_cover
