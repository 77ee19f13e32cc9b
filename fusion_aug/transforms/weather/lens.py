"""Drops of rain on the glass before a lens: far out of focus, each a small picture of the scene upside down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import torch

from calib.sensors import apply_homography
from fusion_aug.core.registry import Call
from fusion_aug.ops.blur import disc
from fusion_aug.ops.color import light_of
from fusion_aug.ops.layers import cell_middles, grid_of, to_canvas, to_cells
from fusion_aug.ops.random import digest, generator
from fusion_aug.ops.streaks import cover
from fusion_aug.sample import Sample
from fusion_aug.streams import SegmentationMask, Stream
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
APERTURE = 0.003  # metres, of the lens
GLASS = 0.05  # metres from the aperture to the glass that drops hang on
WIDTH = (0.0008, 0.005)  # metres, of drops
FINE = 10  # cells over the disc that the lens makes of a point of the glass
FIELD = 0.32  # radians of the scene that a drop shows from its middle to its rim
TOWARDS = 0.6  # share of a drop's way off the optical axis by which the middle of what it shows is off it
HIDDEN = 0.5  # share of a pixel from which on drops hide what is behind them


class Drop(NamedTuple):
    """A drop on the glass: middle (2,) and radius in pixels of the camera itself, whatever was cut from its pictures.

    Attributes:
        longer: share by which it is longer than wide. phases: (2,) of the harmonics of its outline, radians.
    """

    middle: Array
    radius: float
    longer: float
    phases: Array

    def inwards(self, du: Array, dv: Array) -> Array:
        """Distance (n,) from the middle, 1 on the outline, of places off it by (du, dv) pixels, (n,) each."""
        u, v = du / self.radius, dv / ((1 + self.longer) * self.radius)
        angle = np.arctan2(v, u)
        two, three = (n * angle + phase for n, phase in zip((2, 3), self.phases, strict=True))
        return np.hypot(u, v) * (1 + 0.1 * np.cos(two) + 0.07 * np.cos(three))


class Glass(NamedTuple):
    """Drops on the glass as if in focus, at the middles of cells.

    Attributes:
        shown: (h, w, 2) pixel of the camera itself that each cell shows. share: (h, w) that drops cover.
        bright: (h, w) light that comes through these, a share.
    """

    shown: Array
    share: Array
    bright: Array


def drops_on_the_lens(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Refract the picture in drops, which stay where they are from frame to frame.

    A drop is a lens of very short focal length before the camera: it turns the scene upside down, compressed to its own
    disc (Halimeh and Roser 2009), and its rim, which looks past the scene, is dark. The camera is focused far behind
    it: all its light is spread over the disc of the aperture, and so is its shadow.
    """
    grid = _grid(view)
    glass = glass_of(view, state)
    if not glass.share.any():
        return picture
    canvas = apply_homography(view.sensor.A.detach(), torch.from_numpy(glass.shown)).numpy()
    u, v = (((canvas[..., i] + 0.5) * (grid[1 - i] / view.size[1 - i]) - 0.5).astype(np.float32) for i in (0, 1))
    seen = cv2.remap(light_of(to_cells(picture, grid)), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light = _defocused(seen * (glass.bright * glass.share)[..., None], view)
    hidden = _defocused(glass.share, view)
    light /= np.maximum(hidden, 1e-3)[..., None]
    return cover(picture, to_canvas(hidden, view.size), to_canvas(light, view.size))


def _grid(view: WeatherView) -> tuple[int, int]:
    """Rows and columns of the cells that drops are worked out in."""
    return grid_of(view.size, max(1, int(view.focal * APERTURE / GLASS / FINE)))


def _defocused(values: Array, view: WeatherView) -> Array:
    """A map of the glass as the lens sees it."""
    focal = view.focal * _grid(view)[1] / view.size[1]
    kernel = disc(focal * APERTURE / GLASS / 2).astype(np.float32)
    return cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def drawn_drops(view: WeatherView, state: WeatherState) -> Iterator[Drop]:
    """The drops on a camera's glass, the same in each of its pictures."""
    rng = generator(digest(state.key, "lens", view.stream.instance(view.call.name)))
    model = view.sensor.model
    for _ in range(round(state.lens_drops)):
        radius = float(model.K[0, 0]) * np.exp(rng.uniform(*np.log(WIDTH))) / GLASS / 2
        middle, phases = rng.uniform(0, 1, 2) * model.size[::-1], rng.uniform(0, 2 * np.pi, 2)
        yield Drop(middle, radius, 0.3 * rng.random(), phases)  # they hang a little longer than wide, and none is round


def glass_of(view: WeatherView, state: WeatherState) -> Glass:
    """What the drops on a camera's glass show and hide."""
    middles = torch.from_numpy(cell_middles(view.size, _grid(view)))
    place = apply_homography(torch.linalg.inv(view.sensor.A.detach()), middles).numpy()
    shown, share, bright = place.copy(), np.zeros(_grid(view), np.float32), np.ones(_grid(view), np.float32)
    cell = float(np.abs(place[:1, 1:2] - place[:1, :1]).max()) if place.shape[1] > 1 else 1.0
    optical_axis, focal = np.array(view.sensor.model.size[::-1]) / 2, float(view.sensor.model.K[0, 0])
    for drop in drawn_drops(view, state):
        off = place - drop.middle
        near = np.nonzero((off * off).sum(-1) < (1.7 * drop.radius) ** 2)
        r = drop.inwards(*off[near].T)
        inside = np.clip((1 - r) * (drop.radius / cell) + 0.5, 0, 1)
        over = inside > share[near]
        rows = tuple(n[over] for n in near)
        r, share[rows] = r[over], inside[over]
        bend = focal * FIELD * np.arcsin(np.minimum(r, 0.999)) / (np.pi / 2) / np.maximum(r, 1e-6) / drop.radius
        shown[rows] = optical_axis + TOWARDS * (drop.middle - optical_axis) - off[rows] * bend[:, None]
        bright[rows] = 1 - 0.7 * np.clip(r, 0, 1) ** 6
    return Glass(shown, share, bright)


def hidden_by_drops(view: WeatherView, state: WeatherState) -> Array:
    """Which pixels (H, W) drops hide."""
    return to_canvas(_defocused(glass_of(view, state).share, view), view.size) >= HIDDEN


def mark_what_drops_hide(sample: Sample, call: Call) -> Stream:
    """The masks of a camera with ``ignore`` in the pixels that drops cover by half or more, where a draw asks for it.

    Args:
        sample: whose stream ``call.name`` holds the masks. call: the application of the weather to it.
    """
    stream = sample[call.name]
    assert isinstance(stream, SegmentationMask)
    for i, params in call.asked:
        state = WeatherState.of(params)
        if params.get("mark_hidden", False) and state.lens_drops >= 0.5 and bool(stream.present[i]):
            hidden = hidden_by_drops(WeatherView(call, i), state)
            stream = stream.with_ignored(i, torch.from_numpy(hidden))
    return stream
