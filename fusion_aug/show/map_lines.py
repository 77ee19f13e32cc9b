"""Drawing the lines and areas of a map, in pictures and from above."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import cv2
import numpy as np
import torch

from fusion_aug.ops.polylines import pieces_within
from fusion_aug.sample import Sample
from fusion_aug.streams import MapElement, MapElements

COLOURS = {
    "lane_divider": (255, 255, 120), "road_divider": (255, 160, 60), "lane_boundary": (150, 150, 110),
    "centerline": (120, 120, 140), "ped_crossing": (235, 110, 235), "drivable_area": (80, 200, 255),
    "stop_line": (255, 90, 90), "walkway": (120, 190, 130), "carpark_area": (130, 130, 220),
}  # fmt: skip
OTHER = (170, 170, 170)
NOT_DRAWN = ("lane", "road_segment", "road_block")  # areas whose outlines others have too
STEP, FAR = 0.25, 60.0  # m: between places of a line in a picture, which a lens bends; and how far it is drawn there


def draw_map(image: np.ndarray, sample: Sample, camera: str, scale: float) -> None:
    """Draw the map into a picture, each line from place to place, where both are seen.

    Args:
        image: (H, W, 3) uint8 RGB, which is changed. sample: one sample. camera: of the picture.
        scale: of the picture against the camera's canvas.
    """
    reach = np.full(2, FAR)
    for element, line in lines_of_maps(sample):
        for piece in pieces_within(line, -reach, reach):
            fine = _with_steps(piece)
            uv, visible = sample.project_ref(torch.from_numpy(fine), camera)
            pixels = np.round((uv.numpy() + 0.5) * scale - 0.5)
            for k in np.flatnonzero(visible.numpy()[1:] & visible.numpy()[:-1]).tolist():
                a, b = ([int(v) for v in p] for p in pixels[k : k + 2])
                cv2.line(image, a, b, colour(element), 1, cv2.LINE_AA)


def draw_map_from_above(image: np.ndarray, sample: Sample, pixel: Callable[[np.ndarray], np.ndarray]) -> None:
    """Draw the map from above.

    Args:
        image: (H, W, 3) uint8 RGB, which is changed. sample: one sample.
        pixel: pixels (n, 2) of places (n, 2) of the reference frame.
    """
    limit = 4.0 * max(image.shape)  # beyond it OpenCV's coordinates overflow
    for element, line in lines_of_maps(sample):
        points = np.clip(np.round(pixel(line[:, :2])), -limit, limit).astype(np.int32)
        cv2.polylines(image, [points], False, colour(element), 1, cv2.LINE_AA)


def colour(element: MapElement) -> tuple[int, int, int]:
    """RGB levels."""
    return COLOURS.get(element.category, OTHER)


def lines_of_maps(sample: Sample) -> Iterator[tuple[MapElement, np.ndarray]]:
    """Every line (k, 3) of the maps in the reference frame, outlines with their first vertex again at the end."""
    for name, stream in sample.of_type(MapElements).items():
        T = sample.T_ref(name, 0).numpy() if len(stream) else np.eye(4)
        for element in stream.elements() if len(stream) else ():
            if element.category in NOT_DRAWN:
                continue
            for part in element.parts:
                line = np.concatenate([part, part[:1]]) if element.closed else part
                yield element, line @ T[:3, :3].T + T[:3, 3]


def _with_steps(line: np.ndarray) -> np.ndarray:
    """A line with places between its vertices, at most ``STEP`` apart."""
    out = [line[:1]]
    for a, b in pairwise(line):
        count = max(1, int(np.ceil(np.linalg.norm(b - a) / STEP)))
        out.append(a + (b - a) * (np.arange(1, count + 1) / count)[:, None])
    return np.concatenate(out)
