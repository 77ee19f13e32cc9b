"""Bare work of the same kind, which our figures are ratios to. Nothing of the package takes part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
from torch import Tensor

Work = Callable[[], object]


def columns(values: Mapping[str, Tensor], share: float = 0.9) -> Work:
    """Every column of a table jittered where it is of floats, and rows of it chosen by chance."""

    def work() -> dict[str, Tensor]:
        rows = len(next(iter(values.values())))
        keep = torch.rand(rows) < share
        moved = {k: v + torch.randn_like(v) if v.is_floating_point() else v for k, v in values.items()}
        return {k: v[keep] for k, v in moved.items()}

    return work


def attenuated(xyz: np.ndarray, intensity: np.ndarray) -> Work:
    """A cloud behind a uniform haze, float32: ranges, what is left of each return, and those above a floor."""

    def work() -> np.ndarray:
        distance = np.sqrt(np.einsum("ij,ij->i", xyz, xyz))
        left = intensity * np.exp(np.float32(-0.06) * distance)
        return xyz[left > 1.0]

    return work


def seen_from(places: np.ndarray) -> Work:
    """Particles (n, 3) turned and shifted into a sensor's axes, float32, their distances, and those within 30 m."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0].astype(np.float32)

    def work() -> np.ndarray:
        local = (places - np.float32(1.0)) @ turn
        return local[np.sqrt(np.einsum("ij,ij->i", local, local)) < 30.0]

    return work


def blended(picture: np.ndarray) -> Work:
    """A picture (H, W, 3) uint8 mixed with white by a share per pixel, float32."""
    share = np.random.default_rng(0).random(picture.shape[:2], np.float32)[..., None]

    def work() -> np.ndarray:
        return (picture.astype(np.float32) * share + np.float32(200.0) * (1 - share)).astype(np.uint8)

    return work


def drawn_lines(picture: np.ndarray, places: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Work:
    """Particles seen from a sensor, as many smooth lines by OpenCV, one by one, mixed into the picture."""
    ends = [np.round(p * 16).astype(int).tolist() for p in (start, stop)]
    look, blend = seen_from(places), blended(picture)

    def work() -> object:
        look()
        mask = np.zeros(picture.shape[:2], np.uint8)
        for a, b in zip(*ends, strict=True):
            cv2.line(mask, a, b, 60, 1, cv2.LINE_AA, 4)
        cv2.blur(mask, (3, 3))
        return blend()

    return work


def remapped(picture: np.ndarray) -> Work:
    """``cv2.remap`` of a picture by float maps that are at hand."""
    v, u = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    return lambda: cv2.remap(picture, u + np.float32(3.3), v + np.float32(1.7), cv2.INTER_LINEAR)


def z_buffer(distance: np.ndarray, focal: float, aside: float) -> Work:
    """Every pixel's point moved aside (metres) and projected, float64, the nearest wins; then a ``cv2.remap``."""
    height, width = distance.shape
    v, u = np.mgrid[:height, :width].astype(float)
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones_like(u)], -1)
    remap = remapped(np.zeros((height, width, 3), np.uint8))

    def work() -> object:
        moved = rays * distance[..., None] - np.array([aside, 0.0, 0.0])
        columns = np.round(moved[..., 0] / moved[..., 2] * focal + width / 2).astype(int).clip(0, width - 1)
        target = np.arange(height)[:, None] * width + columns
        nearest = np.full(height * width, np.inf)
        np.minimum.at(nearest, target.ravel(), np.sqrt(np.einsum("ijk,ijk->ij", moved, moved)).ravel())
        return remap()

    return work


def dilated(pixels: np.ndarray, distance: np.ndarray, size: tuple[int, int]) -> Work:
    """A sparse depth picture filled by dilations and blurs alone (the recipe of IP-Basic, Ku et al. 2018)."""
    inside = ((pixels >= 0) & (pixels <= np.array([size[1], size[0]]) - 1)).all(1)
    u, v = pixels[inside].round().astype(int).T
    near = (100.0 - distance[inside]).astype(np.float32)
    kernels = [cv2.getStructuringElement(cv2.MORPH_RECT, (k, k)) for k in (5, 5, 7, 31)]

    def work() -> np.ndarray:
        depth = np.zeros(size, np.float32)
        depth[v, u] = near  # the nearest is the largest, and wins
        depth = cv2.dilate(depth, kernels[0])
        depth = cv2.morphologyEx(depth, cv2.MORPH_CLOSE, kernels[1])
        for kernel in kernels[2:]:
            depth = np.where(depth < 0.1, cv2.dilate(depth, kernel), depth)
        depth = cv2.GaussianBlur(cv2.medianBlur(depth, 5), (5, 5), 0)
        return 100.0 - depth

    return work
