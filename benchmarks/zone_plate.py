"""A zone plate: what is left of it above the Nyquist frequency of a smaller canvas is aliasing."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.transforms.image.image_plane import ResizeCrop

SIZE, CANVAS = (900, 1600), (256, 704)


def zone_plate() -> tuple[np.ndarray, np.ndarray]:
    """A pattern whose frequency grows with the distance from the middle, and that frequency in cycles per pixel."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    x, y = x - (SIZE[1] - 1) / 2, y - (SIZE[0] - 1) / 2
    rate = 0.5 / (SIZE[1] / 2)  # half a cycle per pixel at the left and right edge
    return np.round(127.5 + 127 * np.cos(np.pi * rate * (x**2 + y**2))).astype(np.uint8), rate * np.hypot(x, y)


def above_nyquist(frequency: np.ndarray, P: np.ndarray, scale: float) -> np.ndarray:
    """Where on the canvas the pattern is finer than the canvas can hold."""
    v, u = np.mgrid[: CANVAS[0], : CANVAS[1]].astype(float)
    inverse = np.linalg.inv(P)
    su, sv = u * inverse[0, 0] + inverse[0, 2], v * inverse[1, 1] + inverse[1, 2]
    inside = (su > 8) & (su < SIZE[1] - 8) & (sv > 8) & (sv < SIZE[0] - 8)
    rows, columns = (np.clip(s.round().astype(int), 0, n - 1) for s, n in ((sv, SIZE[0]), (su, SIZE[1])))
    f = frequency[rows, columns]
    return inside & (f > 0.5 * scale * 1.02) & (f <= 0.5)


def residual_share(scale: float) -> float:
    """RMS of our warp's residual above the new Nyquist frequency, as a share of that of a plain bilinear warp."""
    plate, frequency = zone_plate()
    P, size = ResizeCrop.pixel_map({"size": list(CANVAS), "scale": scale, "x": 0.5, "y": 0.5}, SIZE)
    ours = warp(torch.from_numpy(plate), ImageMap.homography(P, size)).numpy().astype(float)
    plain = cv2.warpAffine(plate, P.numpy()[:2], CANVAS[::-1], flags=cv2.INTER_LINEAR).astype(float)
    fine = above_nyquist(frequency, P.numpy(), scale)
    ours_rms, plain_rms = (float(np.sqrt(np.mean((image[fine] - 127.5) ** 2))) for image in (ours, plain))
    return ours_rms / plain_rms
