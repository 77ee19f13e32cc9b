"""The ground under a vehicle, from its LiDAR points, and what water on it does to light."""

from __future__ import annotations

import numpy as np

from calib.ties import TIE, cell_of

REACH = 30.0  # metres around the vehicle that the plane is fitted to
NEAR = 0.2  # metres above it that still count as ground: pavements, and errors of distances far away
MOST = 6000  # points that it is fitted to
ON_GROUND = 0.15  # share by which a point of a picture may be farther or nearer than the ground and still lie on it
AIR, WATER, ASPHALT = 1.0003, 1.33, 1.6  # refractive indices
OUTSIDE = 0.066  # share of diffuse light that flat water reflects from above
INSIDE = 1 - (1 - OUTSIDE) / WATER**2  # and from below, nearly all beyond the angle of total reflection
GROUND_ALBEDO = 0.16  # that ground in pictures is taken to have in the middle; asphalt has 0.05 to 0.20 (Oke 1987)
WHITEST = 0.95  # albedo; what sends back more light than this is a glint
WET_PORES = 0.6  # diffuse albedo of wetted pores against dry ones, Lekner and Dorf 1988


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


def rough_fresnel(cosine: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Share of unpolarized light that rough water reflects (Bruneton et al. 2010, mean Fresnel term).

    Args:
        cosine: of the angle between ray and the mean normal. slope: standard deviation of the water's slopes; with 0
            this is Schlick's approximation of Fresnel.
    """
    straight = ((WATER - AIR) / (WATER + AIR)) ** 2
    rise = (1 - np.clip(cosine, 0.0, 1.0)) ** (5 * np.exp(-2.69 * slope))
    return straight + (1 - straight) * rise / (1 + 22.7 * slope**1.5)


def roughness(film: float) -> float:
    """Standard deviation of the slopes of a film of water (mm) on asphalt, whose texture a thick one evens out.

    0.12 when it is thin and 0.03 when it is thick are our choice.
    """
    return 0.03 + 0.09 * float(np.exp(-film / 0.4))


def wet_albedo(albedo: np.ndarray) -> np.ndarray:
    """Diffuse albedo of ground under a film of water (Lekner and Dorf 1988).

    Light that the ground scatters meets the water's surface from below, which sends INSIDE of it back, so that it is
    absorbed at many bounces: what is dark gets darker, and colours stronger.

    Args:
        albedo: dry, of one colour; a glint above ``WHITEST`` loses no larger share than white does.
    """
    bounces = np.float32(INSIDE) * np.minimum(albedo, np.float32(WHITEST))
    return albedo * np.float32((1 - OUTSIDE) * (1 - INSIDE)) / (1 - bounces)


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
    darker = (1 - fresnel(np.ones(1), WATER, ASPHALT)[0]) * WET_PORES
    return 1 - covered + covered * through * darker


def wet_surface(wetness: float, cosine: np.ndarray | float = 1.0) -> np.ndarray:
    """Share of a LiDAR's diffuse return that surfaces under a thin film of water still give back.

    The wetted pores scatter less (Lekner and Dorf 1988), the light crosses the water's rough surface twice, and what
    leaves it is refracted into a solid angle that is wider by the square of its index.

    Args:
        wetness: share of the surfaces that the film covers.
        cosine: of the angle between beam and normal, where that is known; at 1 the film reflects least.
    """
    through = (1 - rough_fresnel(np.asarray(cosine, float), np.asarray(roughness(0.0)))) ** 2
    return 1 - wetness + wetness * through * WET_PORES / WATER**2


def friction(film: float, snow_cover: float) -> float:
    """Coefficient of friction between tyre and road: 0.9 dry, 0.5 with 1.2 mm of water, 0.2 on packed snow."""
    wet = 0.9 - 0.4 * min(film / 1.2, 1.0)
    return wet + (0.2 - wet) * snow_cover
