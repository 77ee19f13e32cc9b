"""Marks that shine in a simulated scene, to find again in a picture what its calibration says."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.ops.hashed import row_key, uniform
from fusion_aug.sim.pictures import Eyes

COUNT = 6  # marks in a picture, each in a cell of its own
DISTANCES = (0.8, 2.5)  # metres along the optical axis
RADIUS = 2.5  # pixels of a mark
WINDOW = 8  # pixels about a mark


def place_marks(T_world_camera: np.ndarray, K: np.ndarray, size: tuple[int, int], seed: int) -> np.ndarray:
    """(COUNT, 3) places in the world before a camera, well inside its picture, and apart from one another.

    Args:
        T_world_camera: (4, 4) pose, x right, y down, z forward. K: (3, 3). size: (height, width). seed: of the places.
    """
    height, width = size
    share = uniform(row_key("marks", seed), COUNT * 3).reshape(COUNT, 3)
    column, row = np.arange(COUNT) % 3, np.arange(COUNT) // 3
    u = width * (column + 0.35 + 0.3 * share[:, 0]) / 3 - 0.5
    v = height * (row + 0.35 + 0.3 * share[:, 1]) / (COUNT // 3) - 0.5
    z = DISTANCES[0] + (DISTANCES[1] - DISTANCES[0]) * share[:, 2]
    rays = np.linalg.inv(K) @ np.stack([u, v, np.ones(COUNT)])
    return (T_world_camera[:3, :3] @ (rays * z) + T_world_camera[:3, 3:]).T


def radii(places: np.ndarray, T_world_camera: np.ndarray, K: np.ndarray) -> np.ndarray:
    """(n,) metres by which marks are ``RADIUS`` pixels wide."""
    z = (places - T_world_camera[:3, 3]) @ T_world_camera[:3, 2]
    return RADIUS * z / K[0, 0]


def distances(picture: np.ndarray, places: np.ndarray, params: dict[str, np.ndarray]) -> list[float]:
    """Pixels between the centre of each mark's light and where a reported calibration says that it is.

    Args:
        picture: (H, W, 3) of the marks alone. places: (n, 3) in the world. params: as ``sensor_param`` has them.
    """
    homogeneous = np.concatenate([places, np.ones((len(places), 1))], axis=1).T
    X = params["intrinsic_cv"].astype(float) @ (params["extrinsic_cv"].astype(float) @ homogeneous)
    light, out = picture.astype(float).sum(-1), []
    height = light.shape[0]
    for u, v in (X[:2] / X[2]).T:
        left, top = max(round(u) - WINDOW, 0), max(round(v) - WINDOW, 0)
        window = light[top : min(top + 2 * WINDOW + 1, height), left : left + 2 * WINDOW + 1]
        if window.sum() == 0:
            out.append(float("inf"))
            continue
        y, x = np.indices(window.shape)
        found = np.array([left + (window * x).sum() / window.sum(), top + (window * y).sum() / window.sum()])
        out.append(float(np.hypot(*(found - (u, v)))))
    return out


def picture_of_marks(eyes: Eyes, name: str, places: Any, sizes: Any) -> np.ndarray:
    """(H, W, 3) uint8 of marks alone, white on black, as a camera of the model sees them now."""
    return eyes.picture(name, marks=list(zip(places, sizes, strict=True)))
