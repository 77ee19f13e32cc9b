"""Dots drawn at the pixels of 3-D points, and found again in an augmented picture by their centres of brightness."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from oracle import cloud, followed, motion, moved, seen

import fusion_aug as fa

SIGMA, REACH = 3.0, 14  # of a dot: standard deviation, and where it has faded out (source pixels)
MOST = 40  # dots in a picture
MEAN_LIMIT, MAX_LIMIT = 0.05, 0.15  # pixels of the canvas


def with_dots(sample: fa.Sample) -> tuple[fa.Sample, dict[str, np.ndarray]]:
    """The sample with black pictures that show a dot at some points of its LiDAR, and those points (k, 3) by camera."""
    points, chosen, painted = cloud(sample, "lidar"), {}, {}
    for camera, stream in sample.of_type(fa.Camera).items():
        size = sample.rig.camera(camera).size
        pixels = seen(sample, camera, points)
        rows = _apart(pixels, size)
        chosen[camera] = points[rows]
        painted[camera] = replace(stream, items=(_picture(pixels[rows], size),), pending=())
    return sample.with_streams({**sample.streams, **painted}), chosen


def _apart(pixels: np.ndarray, size: tuple[int, int]) -> list[int]:
    """Rows of pixels (n, 2) that are inside the picture and far from one another, spread by a fixed shuffle."""
    far, rows = np.array([size[1], size[0]]), list[int]()
    inside = ((pixels > REACH + 1) & (pixels < far - REACH - 1)).all(1)  # NaN is not
    for row in np.random.default_rng(0).permutation(np.flatnonzero(inside)):
        if len(rows) < MOST and all(np.hypot(*(pixels[row] - pixels[r])) > 3 * REACH for r in rows):
            rows.append(int(row))
    return rows


def _picture(pixels: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """(H, W, 3) uint8: white Gaussian dots on black."""
    grey, reach = np.zeros(size), np.arange(-REACH, REACH + 1)
    for x, y in pixels:
        u, v = round(x) + reach, round(y) + reach
        dot = np.outer(np.exp(-((v - y) ** 2) / (2 * SIGMA**2)), np.exp(-((u - x) ** 2) / (2 * SIGMA**2)))
        grey[v[0] : v[-1] + 1, u[0] : u[-1] + 1] += dot
    return torch.from_numpy(np.repeat((grey * 255).round().clip(0, 255).astype(np.uint8)[..., None], 3, 2))


def dot_errors(source: fa.Sample, augmented: fa.Sample, dots: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Distance (pixels) of each dot from where the augmented calibration puts its moved point, by new camera name.

    NaN is a dot that should be there and is not; one that the rim may have cut is left out.
    """
    H, out = motion(augmented.history), {}
    for camera, points in dots.items():
        name = followed(source, augmented.history, camera, points)[1]
        (picture,) = augmented[name].pictures  # type: ignore[attr-defined]
        before, after = seen(source, camera, points), seen(augmented, name, moved(H, points))
        out[name] = _errors(picture[..., 0].numpy(), after, _stretch(before, after))
    return out


def _stretch(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Smallest and largest factor by which distances between pixels (n, 2) changed; (1, 1) for fewer than two."""
    a, b = (np.linalg.norm(p[:, None] - p, axis=-1)[np.triu_indices(len(p), 1)] for p in (before, after))
    ratio = (b / a)[np.isfinite(b)]
    return (float(ratio.min()), float(ratio.max())) if len(ratio) else (1.0, 1.0)


def _errors(picture: np.ndarray, expected: np.ndarray, stretch: tuple[float, float]) -> np.ndarray:
    """Distances (k,) of the dots of a picture (H, W) from expected pixels; those that lie outside are left out."""
    radius = int(np.ceil(REACH * stretch[1]))
    least = 0.2 * 255 * 2 * np.pi * SIGMA**2 * stretch[0] ** 2  # brightness below which there is no dot
    errors = []
    for pixel in expected[np.isfinite(expected).all(1)]:
        found = _centre(picture, pixel, radius, least)
        if found is not None:
            errors.append(float(np.hypot(*(found - pixel))))
        elif (pixel > radius + 3).all() and (pixel < np.array(picture.shape[::-1]) - radius - 3).all():
            errors.append(float("nan"))
    return np.array(errors)


def _centre(picture: np.ndarray, pixel: np.ndarray, radius: int, least: float) -> np.ndarray | None:
    """Centre of brightness (u, v) in a window that follows it from a pixel; None at the rim or in the dark."""
    for _ in range(4):
        corner = np.round(pixel).astype(int) - radius
        if (corner < 0).any() or (corner + 2 * radius >= picture.shape[::-1]).any():
            return None
        rows, columns = (slice(c, c + 2 * radius + 1) for c in corner[::-1])
        m = cv2.moments(picture[rows, columns].astype(np.float32))
        if m["m00"] < least:
            return None
        pixel = corner + np.array([m["m10"], m["m01"]]) / m["m00"]
    return pixel
