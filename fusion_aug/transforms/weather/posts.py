"""Where street lamps stand in the world, and the posts that carry them."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from calib.ties import cell_of, nearest_whole
from fusion_aug.ops.color import level_of
from fusion_aug.ops.haze import full_scale
from fusion_aug.ops.random import digest, generator
from fusion_aug.physics.ground import height
from fusion_aug.transforms.weather.place import T_ref_vehicle, T_world_ref
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
LAMP_GRID, LAMP_HEIGHT = 28.0, 7.0  # metres apart, metres high
REACH = 140.0  # metres up to which lamps are seen
LANE = 5.0  # metres on either side of the vehicle's way in which no lamp stands
NEAREST = 3.0  # metres from the camera that are kept free of posts
THICK = 0.09, 0.05  # metres, radius of a post at its foot and at its lamp
PIECES = 24  # that a post is drawn in, since lenses bend it
POST = 0.06  # light of a grey post under clouds, share of full scale
SHIFT = 4  # bits of a pixel that OpenCV draws by


def lamp_feet(view: WeatherView, state: WeatherState) -> Array:
    """Feet (n, 3) of the street lamps around the camera in the reference frame, on a jittered grid of the world."""
    T, plane = T_world_ref(view.call.sample, view.index), ground_under(view)
    T_ref, middle = np.linalg.inv(T), cell_of(view.T_world[:2, 3] / LAMP_GRID).astype(np.int64)
    vehicle = T @ T_ref_vehicle(view.call.sample, view.index)
    reach = int(REACH / LAMP_GRID)
    feet = []
    for cell in np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), -1).reshape(-1, 2) + middle:
        place = np.append(lamp_place(state.key, *cell.tolist()), vehicle[2, 3])
        if abs(vehicle[:3, 1] @ (place - vehicle[:3, 3])) < LANE:
            continue
        foot = T_ref[:3, :3] @ place + T_ref[:3, 3]
        feet.append(foot - plane[:3] * float(height(plane, foot)))
    return np.array(feet).reshape(-1, 3)


@lru_cache(2**12)  # every camera asks for those around it, for posts and for lights
def lamp_place(key: str, i: int, j: int) -> Array:
    """Position (x, y) in the world of the street lamp of a cell of the grid."""
    rng = generator(digest(key, "lamp", i, j))
    return (np.array([i, j]) + rng.uniform(0.2, 0.8, 2)) * LAMP_GRID


def ground_under(view: WeatherView) -> Array:
    """The plane (4,) of the ground in the reference frame; level through its origin where none is seen."""
    return np.array([0, 0, 1.0, 0]) if view.plane is None else view.plane


def raise_posts(picture: Array, view: WeatherView, state: WeatherState, dimmed: Array) -> Array:
    """Posts under the street lamps, in the picture and in the distances of the view.

    Args:
        dimmed: factor (3,) on the level of what only the surroundings light.
    """
    T = np.linalg.inv(view.T_ref)
    up, feet = T[:3, :3] @ ground_under(view)[:3], lamp_feet(view, state) @ T[:3, :3].T + T[:3, 3]
    far = np.linalg.norm(feet, axis=1)
    farthest_first = np.argsort(-far, kind="stable")
    feet = feet[farthest_first[far[farthest_first] > NEAREST]]
    out, distance = picture.copy(), view.distance.copy()
    colour = (
        level_of(np.full((1, 1, 3), POST, np.float32), np.zeros(1, np.float32))[0, 0] * dimmed * full_scale(picture)
    )
    for foot, corners, shown in zip(feet, *_outlines(view, feet, up), strict=True):
        if shown.any():
            _raise_post(out, distance, view, foot + 0.5 * LAMP_HEIGHT * up, corners[shown], colour)
    view.distance = distance
    return out


def _outlines(view: WeatherView, feet: Array, up: Array) -> tuple[Array, Array]:
    """Corners (n, PIECES, 4, 2) of the pieces of posts, pixels, and which of them (n, PIECES) are on the canvas.

    Args:
        feet: (n, 3) in the camera frame. up: (3,) along the posts.
    """
    share = np.linspace(0, 1, PIECES + 1)[:, None]
    middle = feet[:, None] + share * LAMP_HEIGHT * up
    aside = np.cross(middle, up)
    aside *= (THICK[0] + share * (THICK[1] - THICK[0])) / np.linalg.norm(aside, axis=-1, keepdims=True)
    (left, right), seen = view.project(np.stack([middle - aside, middle + aside]))
    both = seen[0] & seen[1]
    return np.stack([left[:, :-1], left[:, 1:], right[:, 1:], right[:, :-1]], 2), both[:, :-1] & both[:, 1:]


def _raise_post(
    picture: Array, distance: Array, view: WeatherView, middle: Array, corners: Array, colour: Array
) -> None:
    """Draw one post with its middle (3,), camera frame, into a picture and its distances where it shows.

    Args:
        corners: (n, 4, 2) of the pieces of it to draw, pixels.
    """
    low = nearest_whole(corners.min((0, 1))).astype(int) - 2
    high = nearest_whole(corners.max((0, 1))).astype(int) + 3
    low, high = np.maximum(low, 0), np.minimum(high, view.size[::-1])
    mask = np.zeros((high - low)[::-1], np.uint8)
    for quad in nearest_whole((corners - low) * 2**SHIFT).astype(np.int32):
        cv2.fillConvexPoly(mask, quad, 255, cv2.LINE_AA, SHIFT)
    here = np.s_[low[1] : high[1], low[0] : high[0]]
    far = float(np.linalg.norm(middle))
    wide = 2 * THICK[1] * view.focal / far  # a thinner one than a pixel covers a share of it
    cover = mask.astype(np.float32) * np.float32(min(1.0, wide) / 255) * (distance[here] > far)
    mixed = picture[here] + cover[..., None] * (colour.astype(np.float32) - picture[here])
    picture[here] = np.round(mixed) if picture.dtype == np.uint8 else mixed
    distance[here] = np.where(cover > 0.5, np.float32(far), distance[here])
