"""Masks and features of pictures of two views, compared where both show the same."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.errors import ConfigError
from fusion_aug.train.losses.divergence import jensen_shannon, refuse_whole_numbers


def at_pixels(features: Tensor, pixels: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Values of a picture's features between its pixels, bilinear, differentiable in both.

    Args:
        features: (C, h, w), such as the logits or the feature map of a network.
        pixels: (..., 2) u and v; pixel (0, 0) is the centre of the top-left one. Beyond the rim that of the rim counts;
            where one is NaN, as ``matches.pixels`` gives where nothing matches, so is the answer.
        size: (height, width) of the canvas that the pixels are of, where the features have another resolution; by
            default that of the features.

    Returns:
        (..., C), of the type of the features.

    Raises:
        ConfigError: the features are not those of one picture, or whole numbers, or pixels have no u and v.
    """
    refuse_whole_numbers([features], "at_pixels")
    if features.ndim != 3:
        raise ConfigError(f"at_pixels: expected features (C, h, w) of one picture, got {tuple(features.shape)}")
    if pixels.ndim == 0 or pixels.shape[-1] != 2:
        raise ConfigError(f"at_pixels: expected pixels (..., 2), u and v, got the shape {tuple(pixels.shape)}")
    if pixels.numel() == 0:
        return features.flatten(1).T[:0].reshape(*pixels.shape[:-1], len(features))
    height, width = features.shape[1:] if size is None else size
    # types of 16 bits are too coarse for places: 1000.25 would be 1000.5
    exact = torch.promote_types(features.dtype, torch.float32)
    at = pixels.to(features.device, exact).reshape(-1, 2)
    there = torch.isfinite(at).all(-1)[:, None]
    at = torch.where(there, at, 0.0)  # a place that is NaN would make the gradient of all features NaN
    # pixel centres: -1/2 is the left edge of the canvas, as of any resolution of it
    unit = (at + 0.5) * torch.tensor([2 / width, 2 / height]).to(at) - 1
    found = F.grid_sample(
        features[None].to(exact), unit[None, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    chosen = torch.where(there, found[0, :, 0].T, torch.nan).to(features.dtype)
    return chosen.reshape(*pixels.shape[:-1], len(features))


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

    Raises:
        ConfigError: shapes do not fit.
    """
    if pixels_a.shape != pixels_b.shape or (valid is not None and valid.shape != pixels_a.shape[:-1]):
        shapes = [tuple(v.shape) for v in (pixels_a, pixels_b, valid) if v is not None]
        raise ConfigError(
            f"mask_consistency: expected pixels_a and pixels_b (n, 2) and valid (n,), got {', '.join(map(str, shapes))}"
        )
    counts = torch.isfinite(pixels_b).all(-1) & torch.isfinite(pixels_a).all(-1).to(pixels_b.device)
    counts = counts if valid is None else counts & valid.to(counts.device)
    size_a, size_b = (None, None) if sizes is None else sizes
    chosen_a, chosen_b = pixels_a[counts.to(pixels_a.device)], pixels_b[counts]
    views = [at_pixels(logits_a, chosen_a, size_a), at_pixels(logits_b, chosen_b, size_b)]
    return jensen_shannon(views, multi_label=multi_label)
