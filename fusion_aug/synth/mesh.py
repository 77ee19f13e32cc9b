"""Triangle meshes of simple solids: x forward, y left, z up, metres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Mesh(NamedTuple):
    """Vertices (n, 3) float64 and triangles (m, 3) of vertex numbers."""

    vertices: Array
    triangles: Array

    def at(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0, pitch: float = 0.0) -> Mesh:
        """The mesh rotated about y (``pitch``), then z (``yaw``), then shifted."""
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        R = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        return Mesh(self.vertices @ R.T + np.array([x, y, z]), self.triangles)

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        """The mesh stretched along its axes."""
        return Mesh(self.vertices * np.array([x, y, z]), self.triangles)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(m.vertices) for m in meshes)])
    triangles = [m.triangles + s for m, s in zip(meshes, starts, strict=False)]
    return Mesh(np.concatenate([m.vertices for m in meshes]), np.concatenate(triangles))


def box(length: float, width: float, height: float) -> Mesh:
    """A box with its bottom face on z = 0, centred in x and y."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return Mesh(corners * [length, width, height], _fans(quads))


def prism(profile: Sequence[tuple[float, float]], width: float, taper: float = 1.0, above: float = np.inf) -> Mesh:
    """A side view (x, z), convex or star-shaped about its middle, drawn out along y.

    Args:
        profile: corners in order.
        width: along y.
        taper: factor on the width of the corners above ``above``.
    """
    xz = np.array(profile)
    n = len(xz)
    half = np.where(xz[:, 1] > above, taper, 1.0) * width / 2
    middle = np.array([xz[:, 0].mean(), 0.0, (xz[:, 1].min() + xz[:, 1].max()) / 2])
    left, right = (np.stack([xz[:, 0], s * half, xz[:, 1]], 1) for s in (1, -1))
    aside = np.array([0.0, half.min(), 0.0])
    caps = np.stack([middle + aside, middle - aside])
    vertices = np.concatenate([left, right, caps])
    triangles = []
    for i in range(n):
        j = (i + 1) % n
        triangles += [(i, j, n + j), (i, n + j, n + i), (i, j, 2 * n), (n + i, n + j, 2 * n + 1)]
    return Mesh(vertices, np.array(triangles))


def cylinder(radius: float, height: float, sides: int = 14, top: float | None = None) -> Mesh:
    """A cylinder, or a cone with another radius at the top, with its base on z = 0."""
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(sides)], 1)
    upper = ring * (radius if top is None else top) + [0, 0, height]
    vertices = np.concatenate([ring * radius, upper, [[0, 0, 0], [0, 0, height]]])
    triangles = []
    for i in range(sides):
        j = (i + 1) % sides
        triangles += [
            (i, j, sides + j),
            (i, sides + j, sides + i),
            (i, j, 2 * sides),
            (sides + i, sides + j, 2 * sides + 1),
        ]
    return Mesh(vertices, np.array(triangles))


def wheel(radius: float, width: float) -> Mesh:
    """A cylinder lying along y, its centre in the origin."""
    upright = cylinder(radius, width, 18)
    x, y, z = upright.vertices.T
    return Mesh(np.stack([x, z - width / 2, y], 1), upright.triangles)


def ball(radius: float, rough: float = 0.0, seed: int = 0) -> Mesh:
    """A sphere about the origin, its vertices moved in and out by the share ``rough``."""
    from scipy.spatial import ConvexHull

    n = 162
    height = 1 - (2 * np.arange(n) + 1) / n
    angle = np.arange(n) * np.pi * (3 - 5**0.5)  # a golden-angle spiral spreads points evenly
    ring = np.sqrt(1 - height**2)
    points = np.stack([ring * np.cos(angle), ring * np.sin(angle), height], 1)
    bumps = 1 + rough * np.random.default_rng(seed).uniform(-1, 1, (n, 1))
    return Mesh(points * radius * bumps, ConvexHull(points).simplices)


def gable(length: float, width: float, rise: float, eaves: float = 0.4) -> Mesh:
    """A roof on z = 0, its ridge along x, that sticks out by ``eaves``."""
    a, b = length / 2 + eaves, width / 2 + eaves
    vertices = np.array([[-a, -b, 0], [-a, b, 0], [a, -b, 0], [a, b, 0], [-a, 0, rise], [a, 0, rise]], float)
    return Mesh(vertices, _fans([(0, 2, 5, 4), (1, 4, 5, 3), (0, 1, 3, 2)], [(0, 4, 1), (2, 3, 5)]))


def _fans(quads: Sequence[tuple[int, ...]], triangles: Sequence[tuple[int, ...]] = ()) -> Array:
    halves = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return np.array([*halves, *triangles])
