"""Where what a picture shows lies in space, and which part of a tile lies there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from fusion_aug.ops.grid import pixel_grid
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import camera_range
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.sample.meta import world_frame_of

FLAT = 20.0  # metres that a picture is wide where patterns lie in its plane
SMOOTH = 5  # pixels over which the direction of a surface is evened out
SHARP = 4  # power of a surface's direction that one of three projections is weighted by


def scene_places(sample: Sample, name: str, item: int, params: Mapping[str, Any]) -> np.ndarray:
    """(H, W, 3) places of what every pixel shows, metres, in the world (else the reference frame), where things rest.

    Args:
        sample: or batch. name: camera stream. item: which picture. params: with the settings of distances.

    Raises:
        DataError: the camera has no depth stream, and the sample no LiDAR.
    """
    stream = sample[name]
    meta = sample.metas[int(stream.sample_index[item])]
    sensor = meta.true_rig.camera(stream.instance(name))
    distance = camera_range(sample, name, item, DepthSettings.of(params)).numpy()
    rays = sensor.unproject(pixel_grid((distance.shape[0], distance.shape[1]))).nan_to_num(0.0).numpy()
    time = int(stream.true_capture_times[item])
    world = world_frame_of(meta.true_rig, sensor.frame)
    T = meta.true_rig.T(world, sensor.frame, time) if world else meta.T_ref(sensor.frame, time, true_rig=True)
    R, t = T[:3, :3].numpy(), T[:3, 3].numpy()
    places: np.ndarray = (rays * distance[..., None]) @ R.T + t
    return places


def picture_places(sample: Sample, name: str, item: int, params: Mapping[str, Any]) -> np.ndarray:
    """(H, W, 3) places in the picture's plane, which is 20 m wide; arguments as of ``scene_places``."""
    stream = sample[name]
    height, width = sample.metas[int(stream.sample_index[item])].true_rig.camera(stream.instance(name)).size
    flat = pixel_grid((height, width)).numpy() * (FLAT / width)
    return np.concatenate([flat, np.zeros((height, width, 1))], -1)


def on_surfaces(tile: np.ndarray, places: np.ndarray, where: np.ndarray, here: np.ndarray) -> np.ndarray:
    """What of a tile, repeated along three axes, lies on surfaces, blended by their direction.

    Args:
        tile: (h, w, 3) float32. places: (H, W, 3) metres. where: (H, W) bool. here: (n, 3) places of those pixels, in
            widths of the tile.

    Returns:
        (n, 3) float32.
    """
    across, down = (
        cv2.GaussianBlur(g, (0, 0), SMOOTH) for g in (np.gradient(places, axis=1), np.gradient(places, axis=0))
    )
    normal = np.abs(np.cross(across[where], down[where]))
    weight = (normal / np.maximum(normal.max(1, keepdims=True), 1e-12)) ** SHARP
    weight /= np.maximum(weight.sum(1, keepdims=True), 1e-12)
    out = np.zeros((len(here), 3), np.float32)
    for axis, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
        out += weight[:, axis, None].astype(np.float32) * _repeated(tile, here[:, a], -here[:, b])
    return out


def _repeated(tile: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(n, 3) of a tile at (u, v) in its widths, repeated without end."""
    height, width = tile.shape[:2]
    at_u, at_v = (u % 1.0) * width, (v * (width / height) % 1.0) * height
    wide = 4096  # a remap takes pictures of at most 32,767 pixels each way
    pad = -len(u) % wide
    map_u, map_v = (np.pad(m, (0, pad)).astype(np.float32).reshape(-1, wide) for m in (at_u, at_v))
    found = cv2.remap(tile, map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    out: np.ndarray = found.reshape(-1, 3)[: len(u)]
    return out
