"""Blur kernels. Edges are repeated."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib.ties import count_up
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.warp import gather

MOST_STEPS = 48  # of a mean along a flow
LEAST_FLOW = 0.05  # pixels; below that nothing is blurred


def gaussian_taps(sigma: float) -> np.ndarray:
    """Normalized taps of a Gaussian, cut at four sigmas."""
    radius = max(1, int(np.ceil(4 * sigma)))
    x = np.arange(-radius, radius + 1)
    taps = np.exp(-(x**2) / (2 * max(sigma, 1e-6) ** 2))
    return taps / taps.sum()


def gaussian(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of ``sigma`` pixels."""
    if sigma <= 0:
        return picture
    taps = gaussian_taps(sigma)
    if _on_cpu(picture):
        out = cv2.sepFilter2D(picture.contiguous().numpy(), -1, taps, taps, borderType=cv2.BORDER_REPLICATE)
        return torch.from_numpy(out)
    return _convolve(picture, np.outer(taps, taps))


def convolve(picture: Tensor, kernel: np.ndarray) -> Tensor:
    """Convolution with a kernel (k, k) whose sum is 1."""
    if _on_cpu(picture):
        image = picture.contiguous().numpy()
        out = torch.from_numpy(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE))
        return out if out.dtype == torch.uint8 else out.clamp(0, 1)  # large kernels go through a Fourier transform
    return _convolve(picture, kernel)


def disc(radius: float) -> np.ndarray:
    """A disc of ``radius`` pixels, its edge weighted by the share of a pixel that it covers."""
    half = int(np.ceil(radius))
    fine = (np.arange((2 * half + 1) * 8) + 0.5) / 8 - half - 0.5
    inside = (fine[:, None] ** 2 + fine[None] ** 2 <= radius**2).astype(float)
    kernel = inside.reshape(2 * half + 1, 8, 2 * half + 1, 8).mean((1, 3))
    kernel[half, half] = max(kernel[half, half], 1e-6)
    return kernel / kernel.sum()


def line(length: float, angle: float) -> np.ndarray:
    """A line of ``length`` pixels through the middle, ``angle`` radians from u towards v."""
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    for t in np.linspace(-length / 2, length / 2, max(2, int(8 * length) + 1)):
        u, v = half + t * np.cos(angle), half + t * np.sin(angle)
        i, j = int(np.floor(v)), int(np.floor(u))
        for di, dj in ((0, 0), (0, 1), (1, 0), (1, 1)):
            if i + di < len(kernel) and j + dj < len(kernel):
                kernel[i + di, j + dj] += (1 - abs(v - i - di)) * (1 - abs(u - j - dj))
    return kernel / kernel.sum()


def along_flow(picture: Tensor, flow: Tensor, most: int = MOST_STEPS) -> Tensor:
    """Mean of the picture over the time in which every pixel moves by ``flow``, half of it before, half after.

    Args:
        picture: (H, W, 3). flow: (H, W, 2) pixels over the exposure. most: upper limit of the number of steps.
    """
    longest = float(flow.norm(dim=-1).max())
    steps = min(most, count_up(longest) + 1)
    if longest < LEAST_FLOW:
        return picture
    grid = pixel_grid((picture.shape[0], picture.shape[1])).to(flow)
    total = torch.zeros(picture.shape, dtype=torch.float32, device=picture.device)
    for t in (np.arange(steps) + 0.5) / steps - 0.5:
        total += gather(picture, grid + t * flow).to(torch.float32)
    mean = total / steps
    return mean.round().clamp(0, 255).to(torch.uint8) if picture.dtype == torch.uint8 else mean.to(picture.dtype)


def _on_cpu(picture: Tensor) -> bool:
    return picture.is_cpu and not picture.requires_grad


def _convolve(picture: Tensor, kernel: np.ndarray) -> Tensor:
    x = picture.permute(2, 0, 1)[:, None].to(torch.float32 if picture.dtype == torch.uint8 else picture.dtype)
    r, s = kernel.shape[0] // 2, kernel.shape[1] // 2
    weights = torch.as_tensor(kernel, dtype=x.dtype, device=x.device)[None, None]
    out = F.conv2d(F.pad(x, (s, s, r, r), mode="replicate"), weights)[:, 0].permute(1, 2, 0).contiguous()
    return out.round().clamp(0, 255).to(torch.uint8) if picture.dtype == torch.uint8 else out
