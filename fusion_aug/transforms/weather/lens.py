"""Drops of rain on the glass before a lens: far out of focus, each a small picture of the scene upside down."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fusion_aug.core.registry import Call
from fusion_aug.ops.blur import disc
from fusion_aug.ops.color import light_of
from fusion_aug.ops.layers import from_cells, in_cells
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
FIELD = 0.45  # share of the picture's height that a drop shows from its middle to its rim
HIDDEN = 0.5  # share of a pixel from which on drops hide what is behind them


def drops_on_the_lens(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Refract the picture in drops, which stay where they are from frame to frame.

    A drop is a lens of very short focal length before the camera: it turns the scene upside down, compressed to its own
    disc (Halimeh and Roser 2009), and its rim, which looks past the scene, is dark. The camera is focused far behind
    it: all its light is spread over the disc of the aperture, and so is its shadow.
    """
    cell = _cell(view)
    u, v, share, dark = _drops(view, state)
    if not share.any():
        return picture
    seen = cv2.remap(light_of(in_cells(picture, cell)), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light = _defocused(seen * (dark * share)[..., None], view)
    hidden = _defocused(share, view)
    light /= np.maximum(hidden, 1e-3)[..., None]
    return cover(picture, from_cells(hidden, cell, view.size), from_cells(light, cell, view.size))


def _cell(view: WeatherView) -> int:
    """Pixels of the cells that drops are worked out in."""
    return max(1, min(int(view.focal * APERTURE / GLASS / FINE), *view.size))


def _defocused(values: Array, view: WeatherView) -> Array:
    """A map of the glass as the lens sees it."""
    kernel = disc(view.focal * APERTURE / GLASS / 2 / _cell(view)).astype(np.float32)
    return cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def _drops(view: WeatherView, state: WeatherState) -> tuple[Array, Array, Array, Array]:
    """Drops in focus, (h, w) float32: the cell (u, v) that each shows, the share that drops cover, light of that."""
    rng = generator(digest(state.key, "lens", view.stream.instance(view.call.name)))
    cell = _cell(view)
    height, width = (s // cell for s in view.size)
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    share, dark = np.zeros_like(u), np.ones_like(u)
    for _ in range(round(state.lens_drops)):
        radius = view.focal / cell * np.exp(rng.uniform(*np.log(WIDTH))) / GLASS / 2
        centre, (two, three), bulge = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0, 2 * np.pi, 2), rng.random()
        a, b = (slice(max(0, int(c - 1.5 * radius)), int(c + 1.5 * radius) + 2) for c in centre[::-1])
        y, x = np.mgrid[a, b][:, : height - a.start, : width - b.start]
        if x.size == 0:
            continue
        # drops hang a little longer than wide, and none is round
        du, dv = (x - centre[0]) / radius, (y - centre[1]) / ((1 + 0.3 * bulge) * radius)
        angle = np.arctan2(dv, du)
        r = np.hypot(du, dv) * (1 + 0.1 * np.cos(2 * angle + two) + 0.07 * np.cos(3 * angle + three))
        inside = np.clip((1 - r) * radius + 0.5, 0, 1).astype(np.float32)
        rows = (slice(a.start, a.start + x.shape[0]), slice(b.start, b.start + x.shape[1]))
        stronger = inside > share[rows]
        bend = height * FIELD * np.arcsin(np.minimum(r, 0.999)) / (np.pi / 2) / np.maximum(r, 1e-6)
        for grid, off, middle, at in ((u, du, width / 2, centre[0]), (v, dv, height / 2, centre[1])):
            shown = middle + 0.6 * (at - middle) - off * bend
            grid[rows] = np.where(stronger, shown, grid[rows])
        dark[rows] = np.where(stronger, 1 - 0.7 * np.clip(r, 0, 1) ** 6, dark[rows])
        share[rows] = np.maximum(share[rows], inside)
    return u, v, share, dark


def hidden_by_drops(view: WeatherView, state: WeatherState) -> Array:
    """Which pixels (H, W) drops hide."""
    hidden = _defocused(_drops(view, state)[2], view)
    return from_cells(hidden, _cell(view), view.size) >= HIDDEN


def mark_what_drops_hide(sample: Sample, call: Call) -> Stream:
    """The masks of a camera with ``ignore`` in the pixels that drops cover by half or more, where a draw asks for it.

    Args:
        sample: whose stream ``call.name`` holds the masks. call: the application of the weather to it.
    """
    stream = sample[call.name]
    assert isinstance(stream, SegmentationMask)
    for i, params in enumerate(call.params):
        state = WeatherState.of(params)
        if params.get("mark_hidden", False) and state.lens_drops >= 0.5 and bool(stream.present[i]):
            hidden = hidden_by_drops(WeatherView(call, i), state)
            stream = stream.with_ignored(i, torch.from_numpy(hidden))
    return stream
