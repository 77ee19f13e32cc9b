"""A zone plate: what is left of it above the Nyquist frequency of a smaller canvas is aliasing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.streams import Camera
from fusion_aug.streams.source import Source
from fusion_aug.transforms.image.image_plane import ResizeCrop

SIZE, CANVAS = (900, 1600), (256, 704)


def zone_plate() -> tuple[np.ndarray, np.ndarray]:
    """A pattern whose frequency grows with the distance from the middle, and that frequency in cycles per pixel."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    x, y = x - (SIZE[1] - 1) / 2, y - (SIZE[0] - 1) / 2
    rate = 0.5 / (SIZE[1] / 2)  # half a cycle per pixel at the left and right edge
    return np.round(127.5 + 127 * np.cos(np.pi * rate * (x**2 + y**2))).astype(np.uint8), rate * np.hypot(x, y)


def seen_frequency(frequency: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Frequency of the pattern at the pixels of the canvas, cycles per pixel of the plate; NaN beside it."""
    v, u = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(float)
    inverse = np.linalg.inv(P)
    su, sv = u * inverse[0, 0] + inverse[0, 2], v * inverse[1, 1] + inverse[1, 2]
    inside = (su > 8) & (su < SIZE[1] - 8) & (sv > 8) & (sv < SIZE[0] - 8)
    rows, columns = (np.clip(s.round().astype(int), 0, n - 1) for s, n in ((sv, SIZE[0]), (su, SIZE[1])))
    return np.where(inside, frequency[rows, columns], np.nan)


def strength(picture: np.ndarray, where: np.ndarray) -> float:
    """RMS of the pattern in a part of a picture, as a share of that of a full cosine."""
    return float(np.sqrt(np.mean((picture.astype(float)[where] - 127.5) ** 2))) / (127 / np.sqrt(2))


def measured(scale: float, suffix: str = "") -> tuple[float, float]:
    """What shrinking leaves of the plate.

    Args:
        scale: of ``ResizeCrop``. suffix: of a file that the plate is read from (``.jpg``); none warps it in memory.

    Returns:
        the residual above the new Nyquist frequency, as a share of that of a plain bilinear warp, and the contrast at
        0.3 cycles per pixel of the canvas.
    """
    plate, frequency = zone_plate()
    P, size = ResizeCrop.pixel_map({"size": list(CANVAS), "scale": scale, "x": 0.5, "y": 0.5}, SIZE)
    image_map = ImageMap.homography(P, size)
    ours = _from_file(plate, image_map, suffix) if suffix else warp(torch.from_numpy(plate), image_map).numpy()
    plain = cv2.warpAffine(plate, P.numpy()[:2], CANVAS[::-1], flags=cv2.INTER_LINEAR)
    seen = seen_frequency(frequency, P.numpy())
    fine, middle = (seen > 0.5 * scale * 1.02) & (seen <= 0.5), np.abs(seen / scale - 0.3) < 0.01
    return strength(ours, fine) / strength(plain, fine), strength(ours, middle)


def _from_file(plate: np.ndarray, image_map: ImageMap, suffix: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plate").with_suffix(suffix)
        cv2.imwrite(str(path), plate, [cv2.IMWRITE_JPEG_QUALITY, 98])
        source = Source(path, "image", options={"size": SIZE})
        camera = Camera(frame="plate", capture_times=torch.tensor([0]), items=(source,), pending=(image_map,))
        return camera.image(0)[..., 0].numpy()
