"""Drawing trajectories, in pictures and from above: grey in the past, blue to red by the seconds to come."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch

from fusion_aug.sample import Sample
from fusion_aug.streams import EGO, Boxes3D, Waypoints

PAST = (150, 150, 150)
HORIZON = 6.0  # s, of the last colour
PIECES = 8  # of the way between two waypoints in a picture, which a lens bends
LIMIT = 20_000  # pixels beyond which OpenCV's coordinates overflow
STILL = 0.5  # m: what stays within it has no path


def paths_of(sample: Sample) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Instance, seconds (k,) and places (k, 3) on the ground, in the reference frame, of every trajectory.

    A body's waypoints are its middle; they are lowered by half the height of its box.
    """
    for name, stream in sample.of_type(Waypoints).items():
        if not stream.rows:
            continue
        T, half = sample.T_ref(name, 0).numpy(), half_heights(sample)
        pose, seconds = stream["pose"].numpy(), stream["time_offset"].numpy()
        for instance in dict.fromkeys(stream["instance"].tolist()):
            rows = stream.of(instance).numpy()
            low = pose[rows, :3, 3] - pose[rows, :3, 2] * half.get(instance, 0.0)
            if np.ptp(low[:, :2], axis=0).max() > STILL:
                yield instance, seconds[rows], low @ T[:3, :3].T + T[:3, 3]


def half_heights(sample: Sample) -> dict[str, float]:
    """Instance -> half the height of its box, m."""
    out: dict[str, float] = {}
    for boxes in sample.of_type(Boxes3D).values():
        if "instance" in boxes.values:
            out |= dict(zip(boxes["instance"].tolist(), (boxes["size"][:, 2] / 2).tolist(), strict=True))
    return out


def path_colour(seconds: float) -> tuple[int, int, int]:
    """RGB levels of a piece of a path that ends at some seconds from now."""
    if seconds <= 0:
        return PAST
    level = np.uint8(np.clip(40 + 200 * seconds / HORIZON, 0, 255))
    b, g, r = cv2.applyColorMap(np.full((1, 1), level), cv2.COLORMAP_TURBO)[0, 0].tolist()
    return r, g, b


def draw_paths(image: np.ndarray, sample: Sample, camera: str, scale: float) -> None:
    """Draw trajectories into a picture, on the ground.

    Args:
        image: (H, W, 3) uint8 RGB, which is changed. sample: one sample. camera: of the picture.
        scale: of the picture against the camera's canvas.
    """
    share = np.linspace(0, 1, PIECES + 1)[:, None]
    for instance, seconds, places in paths_of(sample):
        for k in range(len(places) - 1):
            fine = places[k] + share * (places[k + 1] - places[k])
            uv, visible = sample.project_ref(torch.from_numpy(fine), camera)
            pixels = np.clip(np.round((uv.nan_to_num(0.0).numpy() + 0.5) * scale - 0.5), -LIMIT, LIMIT).astype(int)
            for i in np.flatnonzero(visible.numpy()[1:] & visible.numpy()[:-1]).tolist():
                a, b = (tuple(p) for p in pixels[i : i + 2].tolist())
                cv2.line(image, a, b, path_colour(seconds[k + 1]), _thickness(instance), cv2.LINE_AA)


def draw_paths_from_above(image: np.ndarray, sample: Sample, pixel: Callable[[np.ndarray], np.ndarray]) -> None:
    """Draw trajectories from above, with a dot at every waypoint.

    Args:
        image: (H, W, 3) uint8 RGB, which is changed. sample: one sample.
        pixel: pixels (n, 2) of places (n, 2) of the reference frame.
    """
    for instance, seconds, places in paths_of(sample):
        points = np.clip(np.round(pixel(places[:, :2])), -LIMIT, LIMIT).astype(int).tolist()
        for k in range(len(points) - 1):
            colour, thickness = path_colour(seconds[k + 1]), _thickness(instance)
            cv2.line(image, tuple(points[k]), tuple(points[k + 1]), colour, thickness, cv2.LINE_AA)
        for point, time in zip(points, seconds.tolist(), strict=True):
            cv2.circle(image, tuple(point), _thickness(instance), path_colour(time), -1, cv2.LINE_AA)


def _thickness(instance: str) -> int:
    return 2 if instance == EGO else 1


__all__ = ["draw_paths", "draw_paths_from_above", "path_colour", "paths_of"]
