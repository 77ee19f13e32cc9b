"""Light of an object that is pasted: exposed as the receiving picture is, with its shadow on the ground."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import torch

from calib.se3 import transform_points
from fusion_aug.core.mixing.meeting import T_ref_item
from fusion_aug.ops.color import light_of
from fusion_aug.physics.ground import height
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import cached_with_stream, ground_plane, lidars_of
from fusion_aug.sample.seen_points import key_scan
from fusion_aug.streams import ImageStream
from fusion_aug.transforms.mix.paste_objects import Solid

Array = np.ndarray
NEAR = 0.08  # metres above or below the plane of the ground
LEAST = 50  # returns on the ground that tell how a picture is exposed
MOST_GAIN = 2.0
QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of light, by which exposures are compared
ON_GROUND = 0.04  # share by which a pixel's distance differs from that of the ground it shows
RIM = (0.3, 1.0)  # metres around an object: within is its shadow at the least, beyond is ground in the light
DARK = 0.35  # light in a shadow, as a share of that beside it, where neither picture shows one
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def ground_light(sample: Sample, name: str, item: int) -> Array | None:
    """(n, 3) linear light of the ground at a LiDAR's returns on it; None where too few are in the picture."""
    stream = sample[name]
    assert isinstance(stream, ImageStream)
    plane, lidars = ground_plane(sample, 0), lidars_of(sample, 0)
    if plane is None:
        return None

    def found() -> Array:
        sensor = sample.true_rig.camera(stream.instance(name))
        T_ref_cam = T_ref_item(sample, name, item)
        rows = []
        for lidar in lidars:
            xyz, T_cam_lidar = key_scan(sample, lidar, name, item)
            local = transform_points(T_cam_lidar, xyz)
            low = np.abs(height(plane, transform_points(T_ref_cam, local).numpy())) < NEAR
            pixels, shown = sensor.project(local[torch.from_numpy(low)])
            rows.append(pixels[shown].round().to(torch.int64).numpy())
        u, v = np.concatenate(rows).T
        picture = stream.image(item).detach()
        levels = picture[v.clip(0, picture.shape[0] - 1), u.clip(0, picture.shape[1] - 1)].contiguous().numpy()
        return light_of(levels.reshape(-1, 1, 3)).reshape(-1, 3)

    light: Array = cached_with_stream(stream, ("light of the ground", item), [sample.true_rig], found)
    return light if len(light) >= LEAST else None


def picture_light(sample: Sample, name: str, item: int) -> Array:
    """(n, 3) linear light of every eighth row and column of a picture."""
    stream = sample[name]
    assert isinstance(stream, ImageStream)
    few = stream.image(item).detach()[4::8, 4::8].contiguous()
    return light_of(few.numpy()).reshape(-1, 3)


def exposure_gains(pairs: Iterable[tuple[Array | None, Array | None]]) -> Array:
    """(3,) by which the light of a donor's picture is multiplied to be exposed as the receiver's.

    Two pictures differ by what they show too, in light and shadow. So several quantiles of what is seen are compared,
    of the ground and of all; where these disagree, whether it is darker or lighter, nothing is changed, else as little
    as one of them says.

    Args:
        pairs: light (n, 3) of the receiver and (m, 3) of the donor, None where it is not known.
    """
    ratios = []
    for mine, other in pairs:
        if mine is not None and other is not None:
            low, high = (np.maximum(np.quantile(light, QUANTILES, axis=0), 1e-3) for light in (other, mine))
            ratios.append(np.log(high / low))
    if not ratios:
        return np.ones(3, np.float32)
    said = np.concatenate(ratios)
    least = np.where((said > 0).all(0), said.min(0), np.where((said < 0).all(0), said.max(0), 0.0))
    gains: Array = np.round(np.exp(least), 4).clip(1 / MOST_GAIN, MOST_GAIN).astype(np.float32)
    return gains


def shadow_depth(light: Array | None) -> float | None:
    """Light of the ground in shadows as a share of that beside them; None where a picture shows none, or all is one."""
    if light is None:
        return None
    level = light @ LUMINANCE
    lit = float(np.quantile(level, 0.6))
    dark = level[level < 0.5 * lit]
    return float(np.median(dark) / lit) if len(dark) > 0.03 * len(level) else None


def shade_of(
    there: Array, far: Array, solid: Solid, local: Array, mask: Array, here: Array, depth: float | None
) -> Array:
    """Share (h, w) float32 of its light that the ground keeps beside an object: what its shadow in the donor says.

    Args:
        there: (h, w) light of the donor's picture. far: (h, w) its distances, metres. solid: object.
        local: (h, w, 3) what its pixels show, along the box's axes. mask: (h, w) pixels of the object.
        here: (h, w) light of the receiving picture; what lies in a shadow there already gets no second one.
        depth: of the receiving picture's shadows; None where it shows none.
    """
    x, y = (np.maximum(np.abs(local[..., k]) - np.float32(solid.size[k] / 2), 0) for k in (0, 1))
    away = np.hypot(x, y)
    flat = np.abs(local[..., 2] - np.float32(solid.ground)) < NEAR + np.float32(ON_GROUND / 2) * far
    floor = flat & ~mask
    under, beyond = floor & (away < RIM[0]), floor & (away > RIM[1])
    none = np.ones(mask.shape, np.float32)
    if int(under.sum()) < 10 or int(beyond.sum()) < 10:
        return none
    dark, lit = float(np.quantile(there[under], 0.2)), float(np.median(there[beyond]))
    if dark > 0.7 * lit:
        return none
    edge = np.sqrt(max(dark, 1e-4) * lit)
    shadow = _joined(floor & (there < edge), mask)
    share = dark / lit if depth is None else max(depth, dark / lit)
    in_light = here > np.sqrt(share) * float(np.median(here[beyond]))
    soft = cv2.GaussianBlur((shadow & in_light).astype(np.float32), (0, 0), 1.0)
    shade: Array = (1 - soft * (1 - share)).astype(np.float32)
    return shade


def contact_shade(solid: Solid, local: Array, mask: Array, far: Array, depth: float | None) -> Array:
    """Share (h, w) float32 of its light that the ground keeps under an object whose shadow nobody saw there.

    Args:
        solid: object. local: (h, w, 3) what the receiving pixels show, along the placed box's axes. mask: (h, w) its
            pixels. far: (h, w) distances, metres. depth: of the receiving picture's shadows.
    """
    x, y = (np.maximum(np.abs(local[..., k]) - np.float32(solid.size[k] / 2), 0) for k in (0, 1))
    flat = np.abs(local[..., 2] - np.float32(solid.ground)) < NEAR + np.float32(ON_GROUND / 2) * far
    dark = np.clip(1 - np.hypot(x, y) / RIM[0], 0, 1) * (flat & ~mask)
    share = DARK if depth is None else depth
    shade: Array = (1 - cv2.GaussianBlur(dark.astype(np.float32), (0, 0), 1.0) * (1 - share)).astype(np.float32)
    return shade


def _joined(shadow: Array, mask: Array) -> Array:
    """The parts of a shadow that touch an object's pixels."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    _, pieces = cv2.connectedComponents(shadow.astype(np.uint8), connectivity=8)
    touched = np.unique(pieces[(near > 0) & shadow])
    out: Array = np.isin(pieces, touched) & shadow
    return out
