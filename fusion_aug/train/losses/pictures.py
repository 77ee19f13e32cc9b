"""Masks and features of pictures of two views, compared where both show the same."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.errors import ConfigError
from fusion_aug.train.losses.divergence import jensen_shannon


def at_pixels(features: Tensor, pixels: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Values of a picture's features between its pixels, bilinear, differentiable in both.

    Args:
        features: (C, h, w), such as the logits or the feature map of a network.
        pixels: (..., 2) u and v; pixel (0, 0) is the centre of the top-left one. Beyond the rim that of the rim counts;
            where one is NaN, as ``matches.pixels`` gives where nothing matches, so is the answer.
        size: (height, width) of the canvas that the pixels are of, where the features have another resolution; by
            default that of the features.

    Returns:
        (..., C).
    """
    if features.ndim != 3:
        raise ConfigError(f"at_pixels: expected features (C, h, w) of one picture, got {tuple(features.shape)}")
    if pixels.numel() == 0:
        return features.flatten(1).T[:0].reshape(*pixels.shape[:-1], len(features))
    height, width = features.shape[1:] if size is None else size
    at = pixels.to(features).reshape(1, 1, -1, 2)
    # pixel centres: -1/2 is the left edge of the canvas, as of any resolution of it
    unit = (at + 0.5) * torch.tensor([2 / width, 2 / height]).to(features) - 1
    found = F.grid_sample(features[None], unit, mode="bilinear", padding_mode="border", align_corners=False)
    there = torch.isfinite(at[0, 0]).all(-1)[:, None]
    return torch.where(there, found[0, :, 0].T, torch.nan).reshape(*pixels.shape[:-1], features.shape[0])


def mask_consistency(
    logits_a: Tensor, logits_b: Tensor, pixels_a: Tensor, pixels_b: Tensor, *,
    valid: Tensor | None = None, sizes: tuple[tuple[int, int], tuple[int, int]] | None = None,
    multi_label: bool = False,
) -> Tensor:  # fmt: skip
    """How far two views' classes of pixels lie apart where both show the same: their Jensen-Shannon divergence.

    Args:
        logits_a, logits_b: (C, h, w) of one picture of each view.
        pixels_a: (n, 2) pixels of a. pixels_b: (n, 2) the same of b, ``fa.matches(a, b).pixels(camera, pixels_a)``.
        valid: (n,) bool, which of them count, ``PixelMatches.valid``; all that are finite by default.
        sizes: (height, width) of the two canvases, where the logits have another resolution.
        multi_label: whether each class is a yes or no of its own.

    Returns:
        the mean, () nats; 0 where no pixel counts.
    """
    counts = torch.isfinite(pixels_b).all(-1) & torch.isfinite(pixels_a).all(-1)
    counts = counts if valid is None else counts & valid.to(counts.device)
    size_a, size_b = (None, None) if sizes is None else sizes
    chosen_a, chosen_b = pixels_a[counts], pixels_b[counts]
    views = [at_pixels(logits_a, chosen_a, size_a), at_pixels(logits_b, chosen_b, size_b)]
    return jensen_shannon(views, multi_label=multi_label)
