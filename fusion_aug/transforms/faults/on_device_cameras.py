"""Faults of cameras on a device: what is broken is drawn on the host and travels as numbers, places or bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor
from calib.replacing import replace_unchecked
from fusion_aug.core.device.pending import settled
from fusion_aug.core.device.rules import lacks_on_device, on_device
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.blur_many import filtered_both_ways, in_the_middle
from fusion_aug.ops.filled import filled
from fusion_aug.sample import Sample
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Camera, SegmentationMask
from fusion_aug.transforms.camera.on_device import Params, changes_levels, most, size_of, wide
from fusion_aug.transforms.camera.on_device_light import gains, relit, shaded
from fusion_aug.transforms.camera.photometric import PictureContext, applies_to, matches_camera
from fusion_aug.transforms.faults.cameras import Banding, BlackCamera, DeadPixels, Overexposure
from fusion_aug.transforms.faults.frozen import FrozenCamera
from fusion_aug.transforms.faults.lens import HIDDEN, SCRATCH_GLOW, LensDirt, LensScratches

Numbers = Mapping[str, Any]
UNHIT = 2  # what a place holds that is not hit; 0 is dead and 1 stuck


@changes_levels(BlackCamera, lambda p, _: {})
def black(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Nothing where the camera fails."""
    return torch.where(wide(numbers["on"]), 0, levels)


changes_levels(Overexposure, lambda p, _: gains(*[2.0 ** p["stops"]] * 3), put_back=True)(relit)


@lacks_on_device(FrozenCamera)
def what_frozen_lacks(settings: Params, sample: Sample) -> str:
    """Why older pictures cannot be shown on a device; nothing where the samples hold them."""
    for name, stream in sample.of_type(Camera).items():
        alone = bool((stream.sample_index.bincount() == 1).any())
        if alone and lies_on_device(stream) and matches_camera(stream, name, settings["cameras"]):
            return f"of {name!r} (of one picture in a sample, what it saw before is rendered on the host)"
    return ""


def _older(params: Params, picture: PictureContext) -> dict[str, Any]:
    """Numbers of the picture in its block and of that which is shown instead."""
    stream, own = picture.stream, picture.stream.items[picture.item]
    older = FrozenCamera.shown_instead(params, picture) if params["fails"] else picture.item
    if older is None or stream.items[older].block is not own.block:
        what = "are alone in their samples now" if older is None else "have several sizes"
        raise DataError(f"FrozenCamera: pictures of {picture.call.name!r} {what}; run it first, before batch.to(...)")
    shown = stream.items[older]
    return {"own": np.int64(own.number), "shown": np.int64(shown.number)}


@changes_levels(FrozenCamera, _older)
def frozen(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Other pictures of the same block, found among those that are here by their numbers."""
    here = (numbers["own"] == numbers["shown"][:, None]).to(torch.uint8).argmax(1)
    return levels.index_select(0, here)


def _rows_of_light(params: Params, picture: PictureContext) -> dict[str, Any]:
    return {"light": Banding.light_of_rows(size_of(picture)[0], params, picture)}


@changes_levels(Banding, _rows_of_light)
def banded(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Every row in its own light."""
    return shaded(levels, numbers["light"][:, None, :, None])


def _hits(params: Params, picture: PictureContext) -> dict[str, Any]:
    """Places among the levels (3 H W) of a picture that are hit, and how, as many for every picture."""
    height, width = size_of(picture)
    pixels = height * width
    room = most(picture, lambda p: 3 * sum(DeadPixels.count(pixels, p[n]) for n in ("dead", "stuck")))
    places, kinds = np.zeros(room, np.int32), np.full(room, UNHIT, np.uint8)
    found = [(hit + c * pixels, np.full(len(hit), stuck)) for hit, c, stuck in DeadPixels.hits(pixels, params, picture)]
    at, stuck = (np.concatenate(part)[::-1] for part in zip(*found, strict=True))
    at, last = np.unique(at, return_index=True)  # from behind, so that the later one counts
    if len(at):  # what is hit fills the room; of a picture without a hit the first place stays as it is
        places, kinds = np.resize(at, room).astype(np.int32), np.resize(stuck[last], room).astype(np.uint8)
    return {"places": places, "kinds": kinds}


@changes_levels(DeadPixels, _hits)
def pitted(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Black and white where a pixel is dead or stuck."""
    flat, places, kinds = levels.flatten(1), numbers["places"].to(torch.int64), numbers["kinds"]
    values = torch.where(kinds == UNHIT, flat.gather(1, places), kinds.to(levels.dtype) * white)
    return flat.scatter(1, places, values).view(levels.shape)


def _sharpest(picture: PictureContext) -> float:
    """Pixels per radian of the sharpest camera of the batch."""
    rigs = (meta.true_rig for meta in picture.call.sample.metas)
    return max(s.pixels_per_radian for rig in rigs for s in rig.sensors.values() if isinstance(s, CameraSensor))


def _half(sigma: float) -> int:
    """How far OpenCV's taps of a Gaussian reach, for levels that are no whole numbers."""
    return (round(8 * sigma + 1) | 1) // 2


def _opencv_taps(sigma: float, widest: float) -> np.ndarray:
    """The taps of a Gaussian, in the middle of as many as that of ``widest`` has."""
    taps = cv2.getGaussianKernel(2 * _half(sigma) + 1, sigma, cv2.CV_32F)[:, 0]
    return in_the_middle(taps, max(_half(widest), _half(sigma)))


def _blots(params: Params, picture: PictureContext) -> dict[str, Any]:
    """Eight pixels of dirt in a byte, and the taps that put them out of focus."""
    mask, sigma = LensDirt.blots(size_of(picture), params, picture)
    widest = max(0.5, _sharpest(picture) * most(picture, lambda p: np.radians(p["size_deg"])) / 6)
    taps = _opencv_taps(sigma, widest)
    return {"dirt": np.packbits(mask, axis=1), "taps": taps, "light": np.float32(params["light"])}


def _light_left(numbers: Numbers, width: int) -> Tensor:
    """(N, 1, H, W) share of the light that dirt lets by."""
    bits = torch.arange(7, -1, -1, dtype=torch.uint8, device=numbers["dirt"].device)
    mask = ((numbers["dirt"][..., None] >> bits) & 1).flatten(2)[:, None, :, :width].to(torch.float32)
    return 1 - filtered_both_ways(mask, numbers["taps"], reflect=True) * (1 - wide(numbers["light"]))


@changes_levels(LensDirt, _blots)
def dirty(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Blots of dirt out of focus, which let a share of the light by."""
    return shaded(levels, _light_left(numbers, levels.shape[3]))


@on_device(LensDirt, SegmentationMask)
def plan_hidden(stream: SegmentationMask, call: Call) -> SegmentationMask:
    """Masks ignore what dirt hides, where a draw asks for it."""
    present = stream.present.tolist()
    marked = {
        i: p for i, p in call.asked
        if p.get("mark_hidden", False) and p["fails"] and present[i] and applies_to(stream, call, p)
    }  # fmt: skip
    if not marked:
        return stream
    stream = settled(stream, call.program)
    rows = []
    for i, picture in enumerate(stream.items):
        params = marked.get(i) or {**next(iter(marked.values())), "spots": 0}
        rows.append((picture, _blots(params, PictureContext(call, stream, i))))
    out = call.program.pictures(_without_hidden, rows, {}, ignore=stream.ignore)
    return replace_unchecked(stream, items=tuple(out))


def _without_hidden(masks: Tensor, numbers: Numbers, ignore: int) -> Tensor:
    return filled(masks, _light_left(numbers, masks.shape[2])[:, 0] < HIDDEN, ignore)


def _scratched(params: Params, picture: PictureContext) -> dict[str, Any]:
    mask, sigma = LensScratches.lines(size_of(picture), params, picture)
    taps = _opencv_taps(sigma, max(1.0, 5 * np.radians(1.0) * _sharpest(picture)))
    return {"share": mask, "taps": taps, "strength": np.float32(params["strength"])}


@changes_levels(LensScratches, _scratched)
def scratched(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Scratches glow in the light about them and never darken."""
    around = filtered_both_ways(levels, numbers["taps"], reflect=True).amax(1, keepdim=True)
    share = numbers["share"][:, None].to(torch.float32) / 255 * wide(numbers["strength"])
    return torch.maximum(levels, levels + ((SCRATCH_GLOW * around).clamp(max=white) - levels) * share)
