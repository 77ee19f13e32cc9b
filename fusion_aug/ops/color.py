"""Pixel kernels. Values are shares of full scale: a uint8 level v stands for v / 255."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def curve(picture: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of one value to every channel; uint8 goes through a table of 256 entries."""
    if picture.dtype != torch.uint8:
        return function(picture).clamp(0, 1)
    levels = torch.arange(256, dtype=torch.float64) / 255
    table = (function(levels).clamp(0, 1) * 255).round().to(torch.uint8)
    if picture.is_cpu:
        return torch.from_numpy(cv2.LUT(picture.contiguous().numpy(), table.numpy()))
    return table.to(picture.device)[picture.long()]


def mix_channels(picture: Tensor, matrix: Tensor) -> Tensor:
    """Multiply every RGB triple by a 3x3 matrix and clip."""
    if picture.is_cpu and not picture.requires_grad and not matrix.requires_grad:
        out = cv2.transform(picture.contiguous().numpy(), matrix.numpy().astype(np.float32))
        result = torch.from_numpy(out)
        return result if picture.dtype == torch.uint8 else result.clamp(0, 1)
    x = picture.to(torch.float32) if picture.dtype == torch.uint8 else picture
    mixed = x @ matrix.to(x.device, x.dtype).T
    if picture.dtype == torch.uint8:
        return mixed.round().clamp(0, 255).to(torch.uint8)
    return mixed.clamp(0, 1)


def saturation_matrix(factor: float) -> Tensor:
    """0 gives grey, 1 the identity: interpolation between the luma and the colour."""
    luma = torch.tensor([LUMA] * 3, dtype=torch.float64)
    return luma + factor * (torch.eye(3, dtype=torch.float64) - luma)


def hue_matrix(angle: float) -> Tensor:
    """Rotation of the RGB cube about its grey diagonal by ``angle`` radians."""
    c, s = math.cos(angle), math.sin(angle) / math.sqrt(3)
    d = (1 - c) / 3
    return torch.tensor([[c + d, d - s, d + s], [d + s, c + d, d - s], [d - s, d + s, c + d]], dtype=torch.float64)


def add_noise(picture: Tensor, sigma: float, rng: np.random.Generator) -> Tensor:
    """Add white Gaussian noise of standard deviation ``sigma`` (share of full scale) to every value."""
    grain = torch.from_numpy(rng.standard_normal(tuple(picture.shape), dtype=np.float32)).to(picture.device)
    if picture.dtype == torch.uint8:
        return (picture.to(torch.float32) + grain * (sigma * 255)).round().clamp(0, 255).to(torch.uint8)
    return (picture + grain * sigma).clamp(0, 1)
