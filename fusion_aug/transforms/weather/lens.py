"""Drops of rain on the lens, each a small picture of the scene upside down, and the pixels that they hide."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from fusion_aug.core.registry import Call
from fusion_aug.ops.random import digest, generator
from fusion_aug.sample import Sample
from fusion_aug.streams import SegmentationMask, Stream
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
SIZE_DEG = (0.6, 2.5)  # diameters of drops as the lens sees them
FIELD = 0.45  # share of the picture's height that a drop shows from its middle to its rim
HIDDEN = 0.5  # share of a pixel from which on a drop hides what is behind it
SOFT = 0.1  # blur of what a drop shows, in its radii: drops are far out of focus


def drops_on_the_lens(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Refract the picture in drops, which stay where they are from frame to frame.

    A drop is a lens of very short focal length before the camera: it turns the scene upside down, compressed to its own
    disc (Halimeh and Roser 2009), and its rim, which looks past the scene, is dark.
    """
    drops = drops_seen(view, state)
    if not drops.share.any():
        return picture
    seen = cv2.remap(picture, drops.u, drops.v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    blur = max(0.5, SOFT * view.focal * np.radians(SIZE_DEG[1]) / 2)
    refracted = cv2.GaussianBlur(seen * drops.dark[..., None], (0, 0), blur)
    mixed = picture * (1 - drops.share[..., None]) + refracted * drops.share[..., None]
    return np.round(mixed).astype(np.uint8) if picture.dtype == np.uint8 else mixed.astype(np.float32)


class Drops(NamedTuple):
    """Drops on a lens, (H, W) float32 each.

    Attributes:
        u, v: the pixel that each pixel shows. share: of a pixel that a drop covers. dark: light of what it shows.
    """

    u: Array
    v: Array
    share: Array
    dark: Array


def drops_seen(view: WeatherView, state: WeatherState) -> Drops:
    """The drops on the lens of a camera."""
    rng = generator(digest(state.key, "lens", view.stream.instance(view.call.name)))
    height, width = view.size
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    share, dark = np.zeros(view.size, np.float32), np.ones(view.size, np.float32)
    for _ in range(round(state.lens_drops)):
        radius = view.focal * np.radians(np.exp(rng.uniform(*np.log(SIZE_DEG)))) / 2
        centre = rng.uniform(0, 1, 2) * (width, height)
        a, b = (slice(max(0, int(c - 1.5 * radius)), int(c + 1.5 * radius) + 2) for c in centre[::-1])
        y, x = np.mgrid[a, b][:, : height - a.start, : width - b.start]
        if x.size == 0:
            continue
        # drops hang a little longer than wide
        du, dv = (x - centre[0]) / radius, (y - centre[1]) / (1.15 * radius)
        r = np.hypot(du, dv)
        inside = np.clip((1 - r) * radius / max(1.0, 0.15 * radius) + 0.5, 0, 1).astype(np.float32)
        rows = (slice(a.start, a.start + x.shape[0]), slice(b.start, b.start + x.shape[1]))
        stronger = inside > share[rows]
        bend = height * FIELD * np.arcsin(np.minimum(r, 0.999)) / (np.pi / 2) / np.maximum(r, 1e-6)
        for grid, off, middle, at in ((u, du, width / 2, centre[0]), (v, dv, height / 2, centre[1])):
            seen = middle + 0.6 * (at - middle) - off * bend
            grid[rows] = np.where(stronger, seen, grid[rows])
        dark[rows] = np.where(stronger, 1 - 0.7 * np.clip(r, 0, 1) ** 6, dark[rows])
        share[rows] = np.maximum(share[rows], inside)
    return Drops(u, v, share, dark)


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
            hidden = drops_seen(WeatherView(call, i), state).share >= HIDDEN
            stream = stream.with_ignored(i, torch.from_numpy(hidden))
    return stream
