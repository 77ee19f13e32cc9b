"""A small street of boxes with ground truth, ray cast with Open3D (no window, no OpenGL)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fusion_aug.errors import FusionAugError

Array = np.ndarray
SUN = np.array([0.35, -0.5, 0.79])  # direction to the sun, world frame
SKY_LOW, SKY_HIGH = np.array([214, 224, 235.0]), np.array([105, 150, 210.0])


@dataclass(frozen=True)
class Block:
    """A box in the world.

    Attributes:
        centre, size: metres; size is (length, width, height) along its own axes.
        heading: radians about z.
        colour: RGB levels.
        look: which pattern it is painted with: plain, facade, body, cabin.
        velocity: (vx, vy) m/s in the world.
        category: nuScenes category of a labelled object, else "".
        owner: number of the object that it is a part of, -1 for none.
    """

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    heading: float = 0.0
    colour: tuple[int, int, int] = (128, 128, 128)
    look: str = "plain"
    velocity: tuple[float, float] = (0.0, 0.0)
    category: str = ""
    owner: int = -1

    def position(self, time: float) -> Array:
        """Centre (3,) at a time in seconds."""
        return np.array(self.centre) + np.array([*self.velocity, 0.0]) * time

    def pose(self, time: float) -> Array:
        """``T_world_box`` (4, 4) at a time in seconds."""
        c, s = np.cos(self.heading), np.sin(self.heading)
        T = np.eye(4)
        T[:2, :2] = [[c, -s], [s, c]]
        T[:3, 3] = self.position(time)
        return T


def car(
    owner: int, x: float, y: float, heading: float, colour: tuple[int, int, int], speed: float = 0.0
) -> list[Block]:
    """A car: the labelled outline (not drawn), a body and a cabin."""
    c, s = np.cos(heading), np.sin(heading)
    v = (float(speed * c), float(speed * s))
    back = 0.25
    return [
        Block((x, y, 0.8), (4.4, 1.9, 1.6), heading, colour, "outline", v, "vehicle.car", owner),
        Block((x, y, 0.55), (4.4, 1.9, 0.8), heading, colour, "body", v, "", owner),
        Block((x - back * c, y - back * s, 1.25), (2.4, 1.7, 0.7), heading, colour, "cabin", v, "", owner),
    ]


def street(seed: int = 0) -> list[Block]:
    """A straight street: parked and moving cars, houses, poles, two pedestrians."""
    rng = np.random.default_rng(seed)
    paints = [(172, 44, 38), (40, 84, 150), (225, 225, 220), (60, 62, 66), (196, 160, 44), (70, 120, 84)]
    blocks: list[Block] = []
    owner = 0
    for side, heading in ((-1, 0.0), (1, np.pi)):
        for x in (8.0, 15.5, 27.0, 36.0):
            blocks += car(owner, x + rng.uniform(-0.8, 0.8), side * 5.4, heading, paints[owner % 6])
            owner += 1
    blocks += car(owner, 17.0, -1.9, 0.0, paints[2], 6.0)
    blocks += car(owner + 1, 44.0, 1.9, np.pi, paints[0], 7.0)
    owner += 2
    for x, y, speed in ((12.0, -8.3, 1.2), (21.0, 8.2, -1.1)):
        shirt = (190, 90, 60) if speed > 0 else (70, 90, 170)
        v = (speed, 0.0)
        blocks.append(Block((x, y, 0.9), (0.6, 0.6, 1.8), 0.0, shirt, "outline", v, "human.pedestrian.adult", owner))
        blocks.append(Block((x, y, 0.75), (0.35, 0.45, 1.5), 0.0, shirt, "plain", v, "", owner))
        blocks.append(Block((x, y, 1.64), (0.24, 0.24, 0.28), 0.0, (214, 178, 150), "plain", v, "", owner))
        owner += 1
    walls = [(190, 170, 150), (168, 120, 100), (176, 180, 184), (150, 140, 120)]
    for i, x in enumerate(np.arange(-22.0, 80.0, 15.0)):
        for side in (-1, 1):
            high = 7.0 + 3.0 * rng.random()
            blocks.append(Block((x, side * 16.0, high / 2), (13.0, 9.0, high), 0.0, walls[(i + side) % 4], "facade"))
            blocks.append(Block((x + 5.5, side * 7.2, 2.5), (0.18, 0.18, 5.0), 0.0, (90, 90, 92), "plain"))
    return blocks


@dataclass(frozen=True)
class Hits:
    """What rays met.

    Attributes:
        distance: (n,) metres, infinity for the sky.
        block: (n,) number of the block, -1 for the ground, -2 for the sky.
        normal: (n, 3) world frame.
        point: (n, 3) world frame.
    """

    distance: Array
    block: Array
    normal: Array
    point: Array


class World:
    """Blocks on the ground plane z = 0, frozen at one moment.

    Args:
        blocks: what stands in it.
        time: seconds.
    """

    def __init__(self, blocks: list[Block], time: float):
        self.blocks, self.time = blocks, time

    @cached_property
    def _scene(self) -> tuple[Any, dict[int, int]]:
        try:
            import open3d as o3d
        except (ImportError, OSError) as error:
            raise FusionAugError(
                f"Open3D cannot be imported ({error}); on Debian: apt-get install libusb-1.0-0 libegl1 libgl1 libx11-6 "
                "libgomp1"
            ) from None
        scene: Any = o3d.t.geometry.RaycastingScene(nthreads=1)
        numbers = {}
        ground = np.array([[-200, -200, 0], [400, -200, 0], [400, 200, 0], [-200, 200, 0]], np.float32)
        numbers[scene.add_triangles(ground, np.array([[0, 1, 2], [0, 2, 3]], np.uint32))] = -1
        for i, block in enumerate(self.blocks):
            if block.look == "outline":
                continue
            corners, triangles = box_mesh()
            T = block.pose(self.time)
            world = (corners * np.array(block.size)) @ T[:3, :3].T + T[:3, 3]
            numbers[scene.add_triangles(world.astype(np.float32), triangles)] = i
        return scene, numbers

    def cast(self, origins: Array, directions: Array) -> Hits:
        """Cast rays (n, 3) from origins (n, 3), world frame; directions are unit vectors."""
        scene, numbers = self._scene
        rays = np.concatenate([np.broadcast_to(origins, directions.shape), directions], 1).astype(np.float32)
        answer = scene.cast_rays(rays)
        distance = answer["t_hit"].numpy().astype(np.float64)
        table = np.full(max(numbers) + 1, -2)
        for geometry, number in numbers.items():
            table[geometry] = number
        ids = answer["geometry_ids"].numpy().astype(np.int64)
        hit = np.isfinite(distance)
        block = np.where(hit, table[np.where(hit, ids, 0)], -2)
        normal = answer["primitive_normals"].numpy().astype(np.float64)
        facing = np.sum(normal * directions, 1, keepdims=True)
        normal = np.where(facing > 0, -normal, normal)
        point = origins + directions * np.where(hit, distance, 0)[:, None]
        return Hits(distance, block, normal, point)

    def lit(self, hits: Hits) -> Array:
        """(n,) whether a hit point sees the sun."""
        scene, _ = self._scene
        start = hits.point + hits.normal * 0.02
        rays = np.concatenate([start, np.broadcast_to(SUN, start.shape)], 1).astype(np.float32)
        return ~scene.test_occlusions(rays).numpy()

    def colours(self, directions: Array, hits: Hits) -> Array:
        """(n, 3) uint8 RGB of what was hit: pattern, sun and shadow, sky."""
        up = np.clip(directions[:, 2:], 0, 1) ** 0.5
        colour = SKY_LOW * (1 - up) + SKY_HIGH * up
        solid = hits.block > -2
        paint = np.zeros((len(colour), 3))
        ground = hits.block == -1
        paint[ground] = ground_colour(hits.point[ground])
        for i, block in enumerate(self.blocks):
            mine = hits.block == i
            if mine.any():
                T = block.pose(self.time)
                local = (hits.point[mine] - T[:3, 3]) @ T[:3, :3]
                paint[mine] = block_colour(block, local, hits.normal[mine] @ T[:3, :3])
        sun = np.clip(hits.normal @ SUN, 0, 1) * self.lit(hits)
        light = 0.42 + 0.2 * np.clip(hits.normal[:, 2], 0, 1) + 0.62 * sun
        shaded = paint * light[:, None]
        haze = np.exp(-np.where(solid, hits.distance, 0) / 400.0)[:, None]
        colour = np.where(solid[:, None], shaded * haze + SKY_LOW * (1 - haze), colour)
        return np.clip(np.round(colour), 0, 255).astype(np.uint8)


def box_mesh() -> tuple[Array, Array]:
    """Corners (8, 3) of the unit cube and its 12 triangles."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    return corners, np.array(triangles, np.uint32)


def value_noise(x: Array, y: Array) -> Array:
    """Smooth pseudo-random values in [0, 1] at plane coordinates."""

    def lattice(i: Array, j: Array) -> Array:
        h = (i.astype(np.int64) * 374761393 + j.astype(np.int64) * 668265263) & 0x7FFFFFFF
        h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
        return (h % 1024) / 1023.0

    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    top = lattice(i, j) * (1 - u) + lattice(i + 1, j) * u
    bottom = lattice(i, j + 1) * (1 - u) + lattice(i + 1, j + 1) * u
    return top * (1 - v) + bottom * v


def ground_colour(point: Array) -> Array:
    """Asphalt with markings between kerbs at y = +-7, pavement beyond."""
    x, y = point[:, 0], point[:, 1]
    grain = 0.6 * value_noise(x * 6, y * 6) + 0.4 * value_noise(x * 1.3, y * 1.3)
    road = np.abs(y) < 7.0
    tone = np.where(road, 78 + 22 * grain, 150 + 26 * grain)
    slab = ~road & ((np.mod(x, 1.5) < 0.05) | (np.mod(y, 1.5) < 0.05))
    dash = (np.abs(y) < 0.08) & (np.mod(x, 6.0) < 3.0)
    edge = np.abs(np.abs(y) - 3.9) < 0.06
    kerb = np.abs(np.abs(y) - 7.0) < 0.12
    tone = np.where(slab, tone - 35, np.where(dash | edge, 228, np.where(kerb, 190, tone)))
    return np.stack([tone, tone, tone * 0.97 + 4], 1)


def block_colour(block: Block, local: Array, normal: Array) -> Array:
    """Paint of a block at points in its own frame."""
    colour = np.broadcast_to(np.array(block.colour, float), local.shape).copy()
    height = block.size[2]
    side, up = np.abs(normal[:, 1]) > 0.5, np.abs(normal[:, 2]) > 0.5
    along = np.where(side, local[:, 0], local[:, 1])
    z = local[:, 2] + height / 2
    if block.look == "facade":
        pane = (np.mod(along + 0.4, 2.2) < 1.2) & (np.mod(z + 1.4, 3.0) < 1.5) & ~up & (z > 0.8)
        brick = 10 * value_noise(along * 5, z * 12)
        colour += brick[:, None]
        colour[pane] = np.array([70, 84, 100]) + 30 * value_noise(along[pane], z[pane])[:, None]
    elif block.look == "cabin":
        glass = ~up & (z > 0.12) & (z < 0.58) & (np.abs(np.abs(along) - 0.02) > 0.05)
        colour[glass] = (38, 46, 56)
    elif block.look == "body":
        for wheel in (-1.35, 1.35):
            tyre = side & ((local[:, 0] - wheel) ** 2 + (z - 0.05) ** 2 < 0.36**2)
            colour[tyre] = (24, 24, 26)
        lamp = ~side & ~up & (np.abs(np.abs(local[:, 1]) - 0.7) < 0.18) & (np.abs(z - 0.55) < 0.1)
        front = normal[:, 0] > 0
        colour[lamp & front] = (250, 246, 224)
        colour[lamp & ~front] = (200, 24, 20)
        colour[(z < 0.12)] *= 0.5
    return colour
