"""Blur, sharpness and colour seams of pictures on a device: a filter of its own for each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.sensors import apply_homography
from fusion_aug.ops import blur
from fusion_aug.ops.blur_many import channels_moved, filtered, filtered_both_ways, in_the_middle
from fusion_aug.transforms.camera.blur import ChromaticAberration, DefocusBlur, GaussianBlur, MotionBlur, Sharpness
from fusion_aug.transforms.camera.on_device import Params, as_stored, changes_levels, most, wide
from fusion_aug.transforms.camera.photometric import PictureContext

Numbers = Mapping[str, Any]
NOTHING = np.ones(1)  # taps that change nothing


def _taps(sigma: float) -> np.ndarray:
    return blur.gaussian_taps(sigma) if sigma > 0 else NOTHING


def _gaussian(params: Params, picture: PictureContext) -> dict[str, Any]:
    half = most(picture, lambda p: len(_taps(p["sigma"])) // 2)
    return {"taps": in_the_middle(_taps(params["sigma"]), half)}


@changes_levels(GaussianBlur, _gaussian)
def softened(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Each picture with its ``taps`` along rows and columns."""
    return filtered_both_ways(levels, numbers["taps"])


def _disc(params: Params, picture: PictureContext) -> dict[str, Any]:
    kernel = blur.disc(params["radius"]) if params["radius"] > 0 else NOTHING[None]
    return {"kernel": in_the_middle(kernel, most(picture, lambda p: math.ceil(p["radius"])))}


def _line(params: Params, picture: PictureContext) -> dict[str, Any]:
    length, angle = params["length"], math.radians(params["angle_deg"])
    kernel = blur.line(length, angle) if length > 0 else NOTHING[None]
    return {"kernel": in_the_middle(kernel, most(picture, lambda p: math.ceil(p["length"] / 2)))}


@changes_levels(DefocusBlur, _disc)
@changes_levels(MotionBlur, _line)
def smeared(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Each picture with its ``kernel``."""
    return filtered(levels, numbers["kernel"])


@changes_levels(Sharpness, lambda p, picture: {"amount": np.float32(p["amount"]), **_gaussian(p, picture)})
def sharpened(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Each picture with ``amount`` times what a blur takes from it."""
    soft = as_stored(softened(levels, numbers, white), white)
    return levels + wide(numbers["amount"]) * (levels - soft)


def _magnified(params: Params, picture: PictureContext) -> dict[str, Any]:
    camera = picture.camera
    centre = camera.model.K[:2, 2].detach()
    about = (apply_homography(camera.A, centre) if camera.has_pixel_map else centre).detach().numpy()
    grown = np.array([params["red"], params["blue"]], np.float64)
    return {"scale": 1 / (1 + grown), "shift": (grown / (1 + grown))[:, None] * about, "moved": grown != 0}


@changes_levels(ChromaticAberration, _magnified)
def fringed(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Red and blue sampled at ``scale`` times their pixels plus ``shift``, where they are ``moved``; green stays."""
    outer = levels[:, ::2]
    outer = torch.where(wide(numbers["moved"]), channels_moved(outer, numbers["scale"], numbers["shift"]), outer)
    return torch.stack([outer[:, 0], levels[:, 1], outer[:, 1]], 1)
