"""Windows with light in them: on a raster of the world, few of them lit, where a facade stands behind.

The raster hangs on the world's axes and not on the walls that were found, so that every camera, frame and log of the
same world has the same windows: along a wall they follow the axis, x or y, that it runs along more nearly.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from calib.ties import TIE, count_up, nearest_whole
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.ops.facing import odd
from fusion_aug.ops.hashed import chance, row_key, uniform
from fusion_aug.physics.facades import COLUMN, REACH, RISES, Facade, find_facades
from fusion_aug.physics.ground import height
from fusion_aug.sample.depth import cached_with_stream, lidars_of, points_around
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.transforms.weather.lamps import add_streak, mirror_of, streak_length
from fusion_aug.transforms.weather.place import T_ref_vehicle, T_world_ref
from fusion_aug.transforms.weather.posts import ground_under
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import STEP, WeatherView

Array = np.ndarray
ALONG, STOREY = 2.9, 3.0  # metres between windows along an axis of the world, and upwards
WIDE, TALL = 1.2, 1.4  # metres
LUMINANCE = 3.0, 30.0  # cd/m^2 from outside: a curtained room of 100 lux to a bright one without curtains; guessed
WARM, WHITE = np.array([1.0, 0.6, 0.24]), np.array([1.0, 0.93, 0.8])  # lamps of 2700 and 5000 K to a camera in between
LOWEST = 2.9  # metres above the ground, of the middle of the lowest windows: below are shops, doors, hedges and cars
TALLEST = 18.0  # metres above what the LiDAR proves of a wall, up to which the picture's distances tell the rest
EDGE, EAVES = 0.4, 0.8  # metres of wall beside and above a window
OFF = 0.5, 0.05  # metres, and share of the distance, by which completed distances may miss a wall
GRAZING = 0.12  # cosine of the angle to the wall's normal below which it is not seen well enough
MEAN = 0.55  # light of a window against that of the lamp in it
GRID = np.linspace(-0.5, 0.5, 5)  # of a window, at which distances are asked
OWN = len(GRID) ** 2  # such places
SHOWN = 0.7  # share of these that must show the wall
SLIVER = 0.01  # radians, of what is too flat to stand before a window
CARS, ASIDE = 1.8, 6.0  # metres above the ground, and from the vehicle's way, within which nothing is a facade
AHEAD = 25.0  # metres before and behind the vehicle, up to which its way is known
OUT_OF_VIEW = np.radians(2.5)  # below the scan's upper edge, of what may go on above it
ROWS = 4096  # of the raster, so that a window has a number


class LitWindow(NamedTuple):
    """A window with light in it, in the camera's axes.

    Attributes:
        middle: (3,). along, up, normal: (3,) unit vectors. light: (3,) as the picture shows it. draws: (6,), 0 to 1.
        proofs: (n, 3) places on the wall that distances must not contradict, the first ``OWN`` of the window itself.
    """

    middle: Array
    along: Array
    up: Array
    normal: Array
    light: Array
    draws: Array
    proofs: Array


def lit_windows_seen(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """The lit windows of the facades that a picture shows, and their streaks on a wet road."""
    windows = [w for facade in facades_around(view) for w in _lit(facade, view, state) if _is_on_a_wall(view, w)]
    if not windows:
        return picture
    light, mirror = light_of(picture), mirror_of(view, state)
    for window in windows:
        _draw(light, view, window)
        if mirror is not None:
            _streak(light, view, mirror, window)
    return level_of(light, picture)


def facades_around(view: WeatherView) -> list[Facade]:
    """The facades around the vehicle, by the points of all LiDARs, or by a picture's own distances where there is none.

    Cameras of one sample know of the same ones.
    """
    sample, index = view.call.sample, view.index
    lidars = lidars_of(sample, index)
    if not lidars:
        far = view.distance[::STEP, ::STEP, None]
        return _facades_of(view, (view.T_ref[:3, 3] + view.rays[::STEP, ::STEP] * far)[far[..., 0] < REACH])
    inputs = [sample.metas[index].true_rig, *(sample[n] for n in lidars)]
    return cached_with_stream(
        sample[lidars[0]], ("facades", index), inputs, lambda: _facades_of(view, points_around(sample, index))
    )


def _facades_of(view: WeatherView, xyz: Array) -> list[Facade]:
    """Those among points (n, 3) in the reference frame."""
    vehicle, T, up = (f(view.call.sample, view.index) for f in (T_ref_vehicle, T_world_ref, T_up_ref))
    own = (xyz - vehicle[:3, 3]) @ np.linalg.inv(vehicle[:3, :3]).T
    x, y, z = (xyz @ up[:3, :3].T + up[:3, 3]).T  # about the first LiDAR
    elevation = np.arctan2(z, np.hypot(x, y))
    at_edge = elevation > np.quantile(elevation, 0.995) - OUT_OF_VIEW if len(xyz) else elevation > 0
    above = height(ground_under(view), xyz)
    keep = (above > CARS) & ((np.abs(own[:, 1]) > ASIDE) | (np.abs(own[:, 0]) > AHEAD))
    place = xyz[keep] @ T[:3, :3].T + T[:3, 3]
    return find_facades(place, above[keep], at_edge[keep], (T @ vehicle)[:2, 3])


def _lit(facade: Facade, view: WeatherView, state: WeatherState) -> list[LitWindow]:
    """The windows of a facade that are lit, whatever stands before them."""
    middle, tangent = facade.normal * facade.offset, facade.tangent
    axis = int(np.abs(tangent[1]) > np.abs(tangent[0]) + TIE)
    side = int(facade.normal[1 - axis] > 0)  # houses that face each other are not lit alike
    base = _ground_at(view, middle + tangent * (facade.start + facade.stop) / 2)
    top = base + facade.top[np.isfinite(facade.top)].max() + TALLEST
    ends = np.sort(middle[axis] + tangent[axis] * np.array([facade.start, facade.stop]))
    columns = np.arange(count_up(ends[0] / ALONG), count_up(ends[1] / ALONG))
    storeys = np.arange(count_up((base + LOWEST) / STOREY - 0.5), count_up(top / STOREY - 0.5))
    numbers = (columns[:, None] * ROWS + storeys).reshape(-1)
    lit = chance(row_key(state.key, "windows", axis, side), numbers, state.lit_windows)
    out = []
    for number in numbers[lit].tolist():
        column, storey = divmod(number + ROWS // 2, ROWS)
        along = (column * ALONG - middle[axis]) / tangent[axis]
        if facade.start + WIDE / 2 + EDGE < along < facade.stop - WIDE / 2 - EDGE:
            draws = uniform(row_key(state.key, "light of windows", axis, side, number), 6)
            out.append(_window(facade, along, (storey - ROWS // 2 + 0.5) * STOREY, base, draws, view, state))
    return out


def _window(
    facade: Facade, along: float, high: float, base: float, draws: Array, view: WeatherView, state: WeatherState
) -> LitWindow:
    """The window of a facade ``along`` its tangent and ``high`` in the world, over the ground at ``base``."""
    axes = np.array([[*facade.tangent, 0.0], [0.0, 0.0, 1.0], [*facade.normal, 0.0]])  # along, up, to the vehicle
    proven = base + max(0.0, float(facade.top[int((along - facade.start) / COLUMN)]))
    local = [[along + x * WIDE, high + y * TALL] for x in GRID for y in GRID]
    local += [[along, max(high + TALL / 2, proven) + EAVES], [along, base + RISES]]
    T = np.linalg.inv(view.T_world)
    proofs = np.column_stack([local, np.full(len(local), facade.offset)]) @ axes @ T[:3, :3].T + T[:3, 3]
    luminance = LUMINANCE[0] * (LUMINANCE[1] / LUMINANCE[0]) ** draws[0]
    # a white wall under an illuminance E has the luminance E / pi
    light = np.pi * luminance * state.exposure_key * (WARM + draws[1] * (WHITE - WARM))
    tangent, up, normal = axes @ T[:3, :3].T
    return LitWindow(proofs[OWN // 2], tangent, up, normal, light, draws, proofs)


def _ground_at(view: WeatherView, xy: Array) -> float:
    """Height of the ground in the world at a place (2,) of it, metres."""
    T, plane = np.linalg.inv(T_world_ref(view.call.sample, view.index)), ground_under(view)
    low, high = (float(height(plane, T[:3, :3] @ np.append(xy, z) + T[:3, 3])) for z in (0.0, 1.0))
    return -low / (high - low)


def _is_on_a_wall(view: WeatherView, window: LitWindow) -> bool:
    """Whether a picture shows a window's middle, and its distances say that the wall is there and goes on around."""
    far = np.linalg.norm(window.proofs, axis=1)
    if -float(window.normal @ window.middle) < GRAZING * float(np.linalg.norm(window.middle)):
        return False
    pixels, seen = view.project(window.proofs)
    if not seen[:OWN].all():
        return False
    u, v = np.clip(nearest_whole(pixels[seen]).astype(int), 0, (view.size[1] - 1, view.size[0] - 1)).T
    off = view.distance[v, u] - far[seen]
    allowed = OFF[0] + OFF[1] * far[seen]
    return bool((off < allowed).all() and (off > -allowed)[:OWN].mean() >= SHOWN)


def _draw(light: Array, view: WeatherView, window: LitWindow) -> None:
    """Draw a window into a picture of light, in place, where nothing stands before it."""
    pixels = view.project(window.proofs[:OWN])[0]
    (a, c), (b, d) = np.floor(pixels.min(0)).astype(int) - 2, np.ceil(pixels.max(0)).astype(int) + 3
    box = np.s_[max(c, 0) : max(d, 0), max(a, 0) : max(b, 0)]
    R = view.T_ref[:3, :3].astype(np.float32)
    rays = view.rays[box] @ R
    facing = rays @ window.normal
    far = np.maximum(float(window.normal @ window.middle) / np.minimum(facing, -1e-3), 0)
    way = rays * far[..., None] - window.middle
    across, rise = way @ window.along, way @ window.up
    pixel = far / view.focal
    cover = _inside(WIDE / 2 - np.abs(across), pixel / np.maximum(-facing, GRAZING))
    cover *= _inside(TALL / 2 - np.abs(rise), pixel) * (1 - _before(view.distance[box], far, view.focal))
    room = _room(across / WIDE, rise / TALL, window.draws)[..., None] * window.light
    light[box] += (cover[..., None] * (room - light[box])).astype(np.float32)


def _before(distance: Array, far: Array, focal: float) -> Array:
    """Where (H, W) something stands before a wall at distances ``far``; flat slivers are errors of distances."""
    nearer = (distance < far * (1 - OFF[1]) - OFF[0]).astype(np.uint8)
    return cv2.morphologyEx(nearer, cv2.MORPH_OPEN, np.ones((odd(SLIVER * focal), 1), np.uint8))


def _streak(light: Array, view: WeatherView, mirror: Array, window: LitWindow) -> None:
    """Add what a wet road mirrors of a window, drawn out downwards, in place."""
    wide, tall = (view.focal * size / float(np.linalg.norm(window.middle)) for size in (WIDE, TALL))
    place = view.T_ref[:3, :3] @ window.middle + view.T_ref[:3, 3]
    down = float(np.hypot(streak_length(view), tall / 3))  # a third of its height has a window's variance, nearly
    add_streak(light, view, mirror, place, window.light * (MEAN * tall / (2.5 * down)), (wide / 3 + 1, down))


def _inside(depth: Array, pixel: Array) -> Array:
    """Share of a pixel (m) that lies so far (m) inside of an edge."""
    return np.clip(depth / pixel + 0.5, 0, 1)


def _room(u: Array, v: Array, draws: Array) -> Array:
    """Light of a room at places of its window, -0.5 to 0.5: a lamp in it, curtains in folds, a frame in the middle."""
    lamp = 0.5 + 0.5 * np.exp(-(((u - 0.5 * (draws[2] - 0.5)) / 0.35) ** 2) - ((v - 0.2) / 0.45) ** 2)
    open_to = 0.15 + 0.4 * draws[3]
    folds = 0.5 + 0.12 * np.sin(2 * np.pi * (11 * u + draws[4]))
    curtain = np.clip((np.abs(u) - open_to) / 0.06 + 0.5, 0, 1)
    blind = np.clip((v - 0.5 + 0.5 * draws[5] ** 2) / 0.04, 0, 1)
    frame = np.clip((np.abs(u) - 0.02) / 0.02, 0.15, 1)
    return lamp * (1 + curtain * (folds - 1)) * (1 - 0.45 * blind) * frame
