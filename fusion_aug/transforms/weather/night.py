"""Pictures of the day relit at night: the light of lamps, the lamps, and the noise of a dark picture."""

from __future__ import annotations

import cv2
import numpy as np

from calib.ties import cell_of, nearest_whole
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.ops.random import digest, generator
from fusion_aug.physics.completion import SKY_DISTANCE
from fusion_aug.physics.ground import NEAR, height
from fusion_aug.transforms.weather.place import T_ref_vehicle, T_world_ref, moving_vehicles
from fusion_aug.transforms.weather.state import DAYLIGHT, EXPOSED_DOWN_TO, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
FULL_WELL, READ_NOISE = 10000.0, 3.0  # electrons, of a 3 micrometre automotive pixel
HEADLAMP = 20000.0  # candela in the middle of a low beam
LAMP_GRID, LAMP_HEIGHT, LAMP = 28.0, 7.0, 1500.0  # street lamps: metres apart, metres high, candela downwards
LED, SODIUM = np.array([1.0, 0.98, 0.92], np.float32), np.array([1.0, 0.78, 0.5], np.float32)
TAIL, HEAD = np.array([1.0, 0.08, 0.05]), np.array([1.0, 0.97, 0.9])
STEP = 4  # pixels between the nodes of the map of light


def relight_at_night(picture: Array, view: WeatherView, state: WeatherState) -> tuple[Array, float]:
    """The scene lit by what is left of daylight and by lamps.

    Returns:
        the picture, and the factor on the level of what only the surroundings light.
    """
    around = float(state.light.illuminance or DAYLIGHT)
    exposed = state.exposure_illuminance
    share: Array = np.full(3, around / exposed, np.float32)
    if state.light.lamps and around < EXPOSED_DOWN_TO:
        share = share + _lamp_light(view, state) / np.float32(exposed)
    dimmed = (around / exposed) ** (1 / 2.2)
    return level_of(light_of(picture) * share, picture), dimmed


def _lamp_light(view: WeatherView, state: WeatherState) -> Array:
    """Illuminance (H, W, 3) by the vehicle's own head lamps and by street lamps, lux."""
    rows, columns = (-(-s // STEP) for s in view.size)
    far = cv2.resize(view.distance, (columns, rows), interpolation=cv2.INTER_NEAREST)
    rays = cv2.resize(view.rays, (columns, rows), interpolation=cv2.INTER_AREA)
    xyz = view.T_ref[:3, 3] + rays * np.minimum(far, 200.0)[..., None]
    plane = np.array([0, 0, 1.0, 0]) if view.plane is None else view.plane
    above = height(plane, xyz)
    T = np.linalg.inv(T_ref_vehicle(view.call.sample, view.index))
    own = _headlamps(xyz @ T[:3, :3].T + T[:3, 3], above)[..., None] * LED
    street = _street_lamps(xyz, above, view, state)[..., None] * SODIUM
    lux = np.where((far < 0.5 * SKY_DISTANCE)[..., None], own + street, 0.0).astype(np.float32)
    return cv2.resize(cv2.blur(lux, (5, 5)), view.size[::-1])  # distances have steps that light has not


def _headlamps(xyz: Array, above: Array) -> Array:
    """Two low beams, 0.65 m above the ground at the vehicle's front, in lux on what they meet.

    Args:
        xyz: (h, w, 3) in the vehicle's frame. above: (h, w) metres above the ground.
    """
    total = np.zeros(xyz.shape[:2])
    for side in (-0.65, 0.65):
        way = np.stack([xyz[..., 0] - 2.5, xyz[..., 1] - side, above - 0.65], -1)
        far = np.maximum(np.linalg.norm(way, axis=-1), 1.0)
        across = np.degrees(np.arctan2(way[..., 1], np.maximum(way[..., 0], 1e-3)))
        up = np.degrees(np.arcsin(np.clip(way[..., 2] / far, -1, 1)))
        # below the cut-off at -0.6 degrees the beam is bright, above it 1 % is left
        cut = 1 / (1 + np.exp((up + 0.6) / 0.25))
        beam = np.exp(-((across / 20) ** 2)) * (0.01 + 0.99 * cut * np.exp(-(((up + 1.5) / 5) ** 2)))
        facing = np.where(np.abs(above) < NEAR, 0.1, 0.7)  # the road sends little of it back
        total += np.where(way[..., 0] > 0.2, HEADLAMP * beam * facing / far**2, 0.0)
    return total


def _street_lamps(xyz: Array, above: Array, view: WeatherView, state: WeatherState) -> Array:
    """Lamps on a shaken grid of the world, which shine downwards in a cone, in lux."""
    T = T_world_ref(view.call.sample, view.index)
    world = xyz @ T[:3, :3].T + T[:3, 3]
    cells = cell_of(world[..., :2] / LAMP_GRID).astype(np.int64)
    total = np.zeros(xyz.shape[:2])
    drop = np.maximum(LAMP_HEIGHT - above, 0.5)
    for cell in np.unique(cells.reshape(-1, 2), axis=0):
        place = _lamp_place(state.key, cell)
        near = (np.abs(world[..., :2] - place) < LAMP_GRID).all(-1)
        gap = ((world[near][:, :2] - place) ** 2).sum(1)
        far = gap + drop[near] ** 2
        total[near] += LAMP * (drop[near] / np.sqrt(far)) ** 3 / far * (above[near] < LAMP_HEIGHT)
    return total


def _lamp_place(key: str, cell: Array) -> Array:
    """Position (x, y) in the world of the street lamp of a cell of the grid."""
    rng = generator(digest(key, "lamp", int(cell[0]), int(cell[1])))
    return (cell + rng.uniform(0.2, 0.8, 2)) * LAMP_GRID


def lamps_seen(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """The lamps of traffic: white in front, red behind, with a glow that thick air widens."""
    spots, power = _lamp_spots(view), EXPOSED_DOWN_TO / state.exposure_illuminance
    if not spots or power < 0.01:  # invisible by day
        return picture
    light = light_of(picture)
    extinction = state.air.extinction(550e-9)
    T = np.linalg.inv(view.T_ref)
    for place, facing, colour, strength in spots:
        local = T[:3, :3] @ place + T[:3, 3]
        far = float(np.linalg.norm(local))
        towards = float(-(T[:3, :3] @ facing) @ local / far)
        pixel, seen = view.project(local[None])
        if towards < 0.1 or not seen[0] or not view.is_unoccluded(pixel, np.array([far - 1.5]))[0]:
            continue
        share = power * strength * towards**2 * np.exp(-extinction * far)
        core = max(1.2, view.focal * 0.07 / far)
        _add_spot(light, pixel[0], core, share * colour)
        # the lens and the air scatter some of it about
        glow = 0.03 + 0.25 * (1 - np.exp(-extinction * far))
        _add_spot(light, pixel[0], 6 * core + 4, share * glow * colour)
    return level_of(light, picture)


def _lamp_spots(view: WeatherView) -> list[tuple[Array, Array, Array, float]]:
    """Place and direction in the reference frame, colour and light of every lamp of moving traffic."""
    out = []
    for pose, size, velocity in moving_vehicles(view.call.sample, view.index, view.time):
        speed = float(velocity.norm())
        if speed < 0.5:  # parked; a vehicle of unknown speed has its lamps on
            continue
        T, (length, width, tall) = pose.numpy(), size.tolist()
        forward = T[:3, 0]
        for end, colour, strength in ((1, HEAD, 3.0), (-1, TAIL, 0.9)):
            for side in (-0.38, 0.38):
                local = np.array([end * length / 2, side * width, -tall / 2 + min(0.75, 0.45 * tall)])
                out.append((T[:3, :3] @ local + T[:3, 3], end * forward, colour, strength))
    return out


def _add_spot(light: Array, pixel: Array, sigma: float, colour: Array) -> None:
    """Add a Gaussian spot to a picture of light, in place."""
    reach = int(np.ceil(3 * sigma))
    u, v = nearest_whole(pixel).astype(int).tolist()
    a, b = max(0, v - reach), min(light.shape[0], v + reach + 1)
    c, d = max(0, u - reach), min(light.shape[1], u + reach + 1)
    if a >= b or c >= d:
        return
    y, x = np.mgrid[a:b, c:d]
    bell = np.exp(-((x - pixel[0]) ** 2 + (y - pixel[1]) ** 2) / (2 * sigma**2))
    light[a:b, c:d] += (bell[..., None] * colour).astype(np.float32)


def _colour_grain(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Noise (H, W, 3) of a Bayer sensor: green is measured at every other pixel, red and blue at every fourth."""
    rows, columns = size
    small = (-(-rows // 2), -(-columns // 2))
    fine = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (3, 3), 0.5)
    coarse = [cv2.resize(rng.standard_normal(small, dtype=np.float32), (columns, rows)) for _ in range(2)]
    return cv2.merge([coarse[0], fine, coarse[1]])


def add_sensor_noise(picture: Array, state: WeatherState, rng: np.random.Generator) -> Array:
    """Shot and read noise of the electrons that the exposure of a dark scene collects."""
    white = FULL_WELL * min(1.0, state.exposure_factor * state.exposure_illuminance / DAYLIGHT)
    light = light_of(picture)
    grain = _colour_grain(light.shape[:2], rng)
    counted = light + grain * np.sqrt(light * np.float32(1 / white) + np.float32((READ_NOISE / white) ** 2))
    return level_of(counted, picture)
