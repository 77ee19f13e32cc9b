"""A town at one time, ray cast with Open3D (no window, no OpenGL)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fusion_aug.errors import FusionAugError
from fusion_aug.synth.bodies import Body
from fusion_aug.synth.daylight import LIGHTS, SUNLIGHT
from fusion_aug.synth.mesh import Array
from fusion_aug.synth.paint import GROUND_LEVEL, PAINTS, ground, ground_kinds
from fusion_aug.synth.town import SUN, Town

GROUND, SKY = -1, -2
KINDS = ("sky", "road", "pavement", "lawn", "building", "vehicle", "person", "plant", "pole", "sign", "thing")
REACH = 400.0  # metres of ground around the road


@dataclass(frozen=True)
class Hits:
    """What n rays met.

    Attributes:
        distance: (n,) metres, infinity for the sky.
        body: (n,) number of the body, -1 for the ground, -2 for the sky.
        part: (n,) number of the part among all parts of the town; as ``body`` where there is none.
        normal, point: (n, 3) world frame; the normal faces the ray.
    """

    distance: Array
    body: Array
    part: Array
    normal: Array
    point: Array


class RayScene:
    """Bodies at one time as one ray casting scene.

    Args:
        bodies: number in the town -> body.
        time: seconds.
        first_part: number in the town -> number of the body's first part.
        with_ground: whether the ground is in it.
    """

    def __init__(self, bodies: dict[int, Body], time: float, first_part: dict[int, int], with_ground: bool):
        vertices, triangles, owner, count = [], [], [], 0
        for number, body in bodies.items():
            T = body.pose(time)
            for i, part in enumerate(body.parts):
                vertices.append(part.mesh.vertices @ T[:3, :3].T + T[:3, 3])
                triangles.append(part.mesh.triangles + count)
                owner.append(np.tile([number, first_part[number] + i], (len(part.mesh.triangles), 1)))
                count += len(part.mesh.vertices)
        if with_ground:
            a, b = -REACH, REACH + 300.0
            vertices.append(np.array([[a, a, 0], [b, a, 0], [b, b, 0], [a, b, 0]]))
            triangles.append(np.array([[0, 1, 2], [0, 2, 3]]) + count)
            owner.append(np.full((2, 2), GROUND))
        self.owner = np.concatenate(owner) if owner else np.zeros((0, 2), int)
        self.scene = _open3d().t.geometry.RaycastingScene(nthreads=1)
        if triangles:
            self.scene.add_triangles(
                np.concatenate(vertices).astype(np.float32), np.concatenate(triangles).astype(np.uint32)
            )

    def nearest(self, rays: Array) -> tuple[Array, Array, Array]:
        """Distance (n,), owner (n, 2) and normal (n, 3) of rays (n, 6)."""
        if not len(self.owner):
            return np.full(len(rays), np.inf), np.full((len(rays), 2), SKY), np.zeros((len(rays), 3))
        answer = self.scene.cast_rays(rays)
        distance = answer["t_hit"].numpy().astype(np.float64)
        triangle = answer["primitive_ids"].numpy().astype(np.int64)
        hit = np.isfinite(distance)
        owner = np.where(hit[:, None], self.owner[np.where(hit, triangle, 0)], SKY)
        return distance, owner, answer["primitive_normals"].numpy().astype(np.float64)

    def blocks(self, rays: Array) -> Array:
        """(n,) whether anything lies on rays (n, 6)."""
        return self.scene.test_occlusions(rays).numpy() if len(self.owner) else np.zeros(len(rays), bool)


class Scenery:
    """A town with its static bodies ready for ray casting; moving ones are added for every time.

    Args:
        town: what stands in it. light: what lights it, one of ``LIGHTS``.
    """

    def __init__(self, town: Town, light: str = "sun"):
        self.town, self.light = town, LIGHTS[light]
        starts = np.cumsum([0, *(len(b.parts) for b in town.bodies)])
        self.first_part = {i: int(starts[i]) for i in range(len(town.bodies))}
        parts = [p for b in town.bodies for p in b.parts]
        self.paint = np.array([p.paint for p in parts])
        self.colour = np.array([p.colour for p in parts], float)
        self.level = np.array([PAINTS[p.paint][1] for p in parts])
        self.kind = np.array([KINDS.index(b.kind) for b in town.bodies])

    @cached_property
    def static(self) -> RayScene:
        """Everything that does not move."""
        return RayScene({i: b for i, b in enumerate(self.town.bodies) if not b.moving}, 0.0, self.first_part, True)

    def at(self, time: float) -> World:
        """The world at a time in seconds."""
        return World(self, time)


class World:
    """A town at one time. Made by ``Scenery.at``."""

    def __init__(self, scenery: Scenery, time: float):
        self.scenery, self.time, self.town = scenery, time, scenery.town
        moving = {i: b for i, b in enumerate(self.town.bodies) if b.moving}
        self._casts = (scenery.static, RayScene(moving, time, scenery.first_part, False))

    def cast(self, origins: Array, directions: Array) -> Hits:
        """Cast rays from origins (n, 3) or (1, 3), world frame, along unit vectors (n, 3)."""
        rays = np.concatenate([np.broadcast_to(origins, directions.shape), directions], 1).astype(np.float32)
        (distance, owner, normal), (nearer, other, slope) = (c.nearest(rays) for c in self._casts)
        moved = nearer < distance
        distance, owner = np.where(moved, nearer, distance), np.where(moved[:, None], other, owner)
        normal = np.where(moved[:, None], slope, normal)
        normal = np.where(np.sum(normal * directions, 1, keepdims=True) > 0, -normal, normal)
        point = origins + directions * np.where(np.isfinite(distance), distance, 0)[:, None]
        return Hits(distance, owner[:, 0], owner[:, 1], normal, point)

    def lit(self, hits: Hits) -> Array:
        """(n,) whether a hit point sees the sun."""
        start = hits.point + hits.normal * 0.02
        rays = np.concatenate([start, np.broadcast_to(SUN, start.shape)], 1).astype(np.float32)
        return ~(self._casts[0].blocks(rays) | self._casts[1].blocks(rays))

    def kinds(self, hits: Hits) -> Array:
        """Class (n,) of what was hit, numbers of ``KINDS``, uint8."""
        kind = np.zeros(len(hits.body), np.uint8)
        floor, solid = hits.body == GROUND, hits.body >= 0
        kind[floor] = ground_kinds(hits.point[floor, :2], self.town.road)
        kind[solid] = self.scenery.kind[hits.body[solid]]
        return kind

    def surfaces(self, hits: Hits) -> tuple[Array, Array]:
        """Albedo (n, 3) in sRGB levels and gloss (n,) of what was hit."""
        colour, gloss = np.zeros((len(hits.body), 3)), np.zeros(len(hits.body))
        floor, solid = hits.body == GROUND, hits.body >= 0
        colour[floor], gloss[floor] = ground(hits.point[floor, :2], self.town.road)
        local, facing = self._local(hits, solid)
        rows, painted = np.flatnonzero(solid), self.scenery.paint[hits.part[solid]]
        for name in np.unique(painted):
            mine = painted == name
            base = self.scenery.colour[hits.part[rows[mine]]]
            colour[rows[mine]], gloss[rows[mine]] = PAINTS[str(name)][0](local[mine], facing[mine], base)
        return colour, gloss

    def levels(self, hits: Hits, kind: Array) -> Array:
        """(n,) reflectivity at 905 nm as a level of 255."""
        solid = hits.body >= 0
        out = np.array([GROUND_LEVEL.get(k, 0.0) for k in range(len(KINDS))])[kind]
        out[solid] = self.scenery.level[hits.part[solid]]
        return out

    def _local(self, hits: Hits, rows: Array) -> tuple[Array, Array]:
        """Points and normals of the chosen rows in the frames of their bodies."""
        numbers, index = np.unique(hits.body[rows], return_inverse=True)
        poses = np.array([self.town.bodies[n].pose(self.time) for n in numbers]).reshape(-1, 4, 4)
        R, t = poses[index, :3, :3], poses[index, :3, 3]
        point, normal = hits.point[rows] - t, hits.normal[rows]
        return np.einsum("nij,ni->nj", R, point), np.einsum("nij,ni->nj", R, normal)

    def colours(self, directions: Array, hits: Hits) -> Array:
        """Radiance (n, 3) that rays met, linear, 1 for white in the sun."""
        day, solid = self.scenery.light, hits.body > SKY
        out = np.zeros(directions.shape)
        out[~solid] = day.sky(directions[~solid])
        hits, directions = _rows(hits, solid), directions[solid]
        albedo, gloss = self.surfaces(hits)
        n = hits.normal
        sun = np.clip(n @ SUN, 0, 1)
        faces = sun > 0
        sun[faces] *= self.lit(_rows(hits, faces))
        sun *= day.sunny
        light = SUNLIGHT * sun[:, None] + day.from_sky(n)
        bounced = np.clip(-n[:, 2:] * 0.5 + 0.5, 0, 1) * np.array([0.075, 0.07, 0.06])
        shaded = (albedo / 255) ** 2.2 * (light + bounced)
        mirror = gloss > 0
        shaded[mirror] = self._mirrored(directions[mirror], n[mirror], shaded[mirror], sun[mirror], gloss[mirror])
        haze = np.exp(-hits.distance / 900.0)[:, None]
        out[solid] = shaded * haze + day.haze * (1 - haze)
        return out

    def _mirrored(self, directions: Array, n: Array, shaded: Array, sun: Array, gloss: Array) -> Array:
        """Radiance (n, 3) of surfaces that mirror the sky and the sun; what is below the horizon is dark."""
        cosine = np.clip(-np.sum(directions * n, 1), 0, 1)
        mirrored = directions + 2 * cosine[:, None] * n
        fresnel = gloss * (0.05 + 0.95 * (1 - cosine) ** 5)
        glint = 6.0 * np.clip(mirrored @ SUN, 0, 1) ** 400 * sun * gloss
        reflected = np.where(mirrored[:, 2:] > 0, self.scenery.light.sky(mirrored), 0.06)
        return shaded * (1 - fresnel[:, None]) + reflected * fresnel[:, None] + glint[:, None]


def _rows(hits: Hits, rows: Array) -> Hits:
    return Hits(hits.distance[rows], hits.body[rows], hits.part[rows], hits.normal[rows], hits.point[rows])


def _open3d() -> Any:
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise FusionAugError(
            f"Open3D cannot be imported ({error}); on Debian: "
            "apt-get install libusb-1.0-0 libegl1 libgl1 libx11-6 libgomp1"
        ) from None
    return open3d
