"""Photometric transforms on one picture: against bare OpenCV, and beside albumentations and kornia."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch

import fusion_aug as fa
from benchmarks.timing import Figure, measured
from fusion_aug.ops import blur, color

SIZE = (900, 1600)
CHAIN: list[tuple[Any, dict[str, float]]] = [
    (fa.WhiteBalance, {"red": 1.1, "blue": 0.9}),
    (fa.Brightness, {"factor": 1.2}),
    (fa.Contrast, {"factor": 0.9}),
    (fa.Saturation, {"factor": 1.3}),
    (fa.GaussianBlur, {"sigma": 1.0}),
    (fa.Sharpness, {"amount": 0.5, "sigma": 1.0}),
    (fa.JpegCompression, {"quality": 70.0}),
]


def picture() -> torch.Tensor:
    """A picture with structure of all sizes."""
    rng = np.random.default_rng(0)
    layers = [cv2.resize(rng.random((h, w, 3)), SIZE[::-1]) for h, w in ((5, 8), (40, 60), (200, 300), SIZE)]
    return torch.from_numpy((np.mean(layers, 0) * 255).astype(np.uint8))


def measure() -> list[Figure]:
    """The chain against its OpenCV calls, then one by one beside other libraries."""
    image = picture()
    return [chain_figure(image), *beside(image)]


def chain_figure(image: torch.Tensor) -> Figure:
    """Seven transforms, tables and kernels computed each time, against the same calls with prepared ones."""
    gains = [(np.arange(256) * g / 255).clip(0, 1) for g in (1.1, 1.0, 0.9)]
    white = np.stack([(g * 255).astype(np.uint8) for g in gains], -1)[:, None]
    table = np.arange(256, dtype=np.uint8)
    matrix = color.saturation_matrix(1.3).numpy().astype(np.float32)
    taps = blur.gaussian_taps(1.0)

    def bare() -> None:
        x = cv2.LUT(image.numpy(), white)
        x = cv2.LUT(x, table)
        cv2.mean(x)
        x = cv2.LUT(x, table)
        x = cv2.transform(x, matrix)
        x = cv2.sepFilter2D(x, -1, taps, taps)
        soft = cv2.sepFilter2D(x, -1, taps, taps)
        x = cv2.addWeighted(x, 1.5, soft, -0.5, 0)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(x, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 70])
        cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)

    def ours() -> None:
        x = image
        for cls, params in CHAIN:
            x = cls.change(x, params, None)

    return measured("7 photometric transforms, 1600x900", ours, ("their OpenCV calls", bare), 2.0, 15)


def beside(image: torch.Tensor) -> list[Figure]:
    """Ours, albumentations' and kornia's version of one operation, in turn. Without the libraries: nothing."""
    try:
        import albumentations
        import kornia.augmentation
        import kornia.filters
    except ImportError:
        return []
    jiggle = kornia.augmentation.ColorJiggle
    array, batch = image.numpy(), (image.permute(2, 0, 1)[None].float() / 255).contiguous()
    pairs: list[tuple[str, Callable[[], object], Any, Any]] = [
        (
            "GaussianBlur, sigma 2", lambda: fa.GaussianBlur.change(image, {"sigma": 2.0}, None),  # type: ignore[arg-type]
            albumentations.GaussianBlur(blur_limit=(17, 17), sigma_limit=(2.0, 2.0), p=1.0),
            lambda x: kornia.filters.gaussian_blur2d(x, (17, 17), (2.0, 2.0)),
        ),
        (
            "Brightness", lambda: fa.Brightness.change(image, {"factor": 1.2}, None),  # type: ignore[arg-type]
            albumentations.RandomBrightnessContrast(brightness_limit=(0.2, 0.2), contrast_limit=(0, 0), p=1.0),
            jiggle(brightness=(1.2, 1.2), p=1.0),
        ),
        (
            "JpegCompression, quality 70",
            lambda: fa.JpegCompression.change(image, {"quality": 70.0}, None),  # type: ignore[arg-type]
            albumentations.ImageCompression(quality_range=(70, 70), p=1.0), None,
        ),
        (
            "MotionBlur, 9 px", lambda: fa.MotionBlur.change(image, {"length": 9.0, "angle_deg": 30.0}, None),  # type: ignore[arg-type]
            albumentations.MotionBlur(blur_limit=(9, 9), p=1.0),
            lambda x: kornia.filters.motion_blur(x, 9, 30.0, 0.0),
        ),
        (
            "Clahe, limit 2", lambda: fa.Clahe.change(image, {"limit": 2.0, "tiles": 8}, None),  # type: ignore[arg-type]
            albumentations.CLAHE(clip_limit=(2.0, 2.0), p=1.0), None,
        ),
    ]  # fmt: skip
    figures = []
    for name, ours, theirs, tensor in pairs:
        peers = [] if tensor is None else [("kornia on the CPU:", lambda t=tensor: t(batch))]
        with torch.no_grad():
            other = ("albumentations", lambda t=theirs: t(image=array))
            figures.append(measured(name, ours, other, runs=9, peers=peers))
    return figures
