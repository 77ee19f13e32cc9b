"""How values are compared: one open table from a kind of value to its unit, its limit and how its errors are measured.

A kind is that of a typed column ("polar"), a class's own column or field ((Radar, "rcs")), or the type of what a field
holds (GelModel). A class of one's own with typed columns needs no entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from calib import GelModel
from fusion_aug.logs.core.files import JPEG_QUALITY
from fusion_aug.names import Registry
from fusion_aug.ops.color import jpeg_coded, levels_of
from fusion_aug.streams import (
    Action,
    BodyPose,
    Boxes3D,
    Camera,
    Depth,
    HeightMap,
    ImageStream,
    SegmentationMask,
    Stream,
    TactileImage,
    Taxels,
    Wrench,
)  # fmt: skip
from fusion_aug.streams.columns import Column

Errors = Callable[[Any, Any], np.ndarray]
Unit = str | Callable[[Column, Any], str]
# parts of a comparison that hold for pictures whose coding changes levels: JPEG, and what a video is held to
LOSSY, VIDEO, VIDEO_BLOCK = "lossy", "video", "video block"
BLOCK = 16  # pixels of the side of a block of JPEG with its colour at half the size
# Levels by which the mean of a block may be off. Coded by the same library, a JPEG is off by 0 from the JPEG of what is
# expected. Where a replay elsewhere differs by a level before it is coded, the worst block of pure noise is off by
# 2.5 and that of street scenes by 1 (quality 95); other encoders of that quality are off by up to 3.4.
JPEG_BLOCK = 4.0
# A video keeps no noise of single pixels: AV1 loses up to 5.5 levels of pictures with a noise of 5, and 2.7 of squares.
SQUARE = 4  # pixels of its side
VIDEO_BLOCK_LIMIT = 24.0  # AV1 at crf 30, which is what is written, makes up to 13 of noisy pictures
# float32, in which most formats store numbers, is off by half of this at most, relative to the number
FLOAT32_SPACING = 2.0**-23


@dataclass(frozen=True)
class Comparison:
    """How an expected and a found value are compared.

    Attributes:
        errors: function (expected, found) -> (n,) float64 errors, of two values of one shape; infinity where one of
            them is not finite and the other is another.
        unit: of the errors, or a function (column, sensor of the rig or None) -> unit.
        limit: largest error that is allowed.
        title: name of the row; ``{}`` stands for the column or field.
        nothing: why there is nothing to compare, where there are no errors.
    """

    errors: Errors
    unit: Unit
    limit: float
    title: str = "{}"
    nothing: str = "there are no rows"

    def __post_init__(self) -> None:
        object.__setattr__(self, "__module__", self.errors.__module__)  # who wrote it, for the registry

    def unit_for(self, column: Column, sensor: Any) -> str:
        """Unit of the errors of a column of a sensor."""
        return self.unit if isinstance(self.unit, str) else self.unit(column, sensor)


COMPARISONS: Registry[Comparison] = Registry("comparison")


def register_comparison(kind: Any, errors: Errors, unit: Unit, limit: float, *, part: str = "", **texts: str) -> None:
    """Say how values of a kind are compared by ``fusion-aug check OUT``.

    Args:
        kind: kind of a column, (class, name of a column or field), or the type of what a field holds.
        errors: function (expected, found) -> (n,) errors. unit: of them. limit: the largest that is allowed.
        part: which figure of the kind it is, where one kind has several, such as metres and radians of a pose.
        texts: ``title`` of the row, and ``nothing``: why there is nothing to compare where there are no errors.

    Raises:
        ConfigError: there is another comparison of that kind.
    """
    comparison = Comparison(errors, unit, limit, **texts)
    if COMPARISONS.get((kind, part)) != comparison:
        words = kind if isinstance(kind, tuple) else (kind,)
        COMPARISONS.add((kind, part), comparison, repr(".".join(getattr(w, "__name__", str(w)) for w in words)))


def comparisons_of(kind: Any) -> dict[str, Comparison]:
    """The comparisons of a kind by part; of a type, those of its bases too. Empty where there is none."""
    owner, *rest = kind if isinstance(kind, tuple) else (kind,)
    for base in owner.__mro__ if isinstance(owner, type) else (owner,):
        key = (base, *rest) if rest else base
        found = {part: c for (k, part), c in COMPARISONS.items() if k == key}
        if found:
            return found
    return {}


def column_comparisons(stream: Stream, name: str, value: Any) -> dict[str, Comparison]:
    """The comparisons of a column of a stream by part; empty where nothing is known of its kind.

    A column that the stream does not declare, and a declared plain one, is compared by what it holds.
    """
    own = comparisons_of((type(stream), name))
    if own:
        return own
    column = column_of(stream, name)
    if column.kind == "plain" and not (isinstance(value, Tensor) and value.is_floating_point()):
        return comparisons_of("entries")
    return comparisons_of(column.kind)


def column_of(stream: Stream, name: str) -> Column:
    """The declared column of a stream; a plain one where it declares none of that name."""
    return stream.column_types.get(name, Column(name, "plain"))


# --- errors ----------------------------------------------------------------------------------------------------------
def by_value(expected: Any, found: Any) -> np.ndarray:
    """(n,) absolute difference of every number, less what float32 rounds."""
    return beyond_rounding(expected, found).reshape(-1)


def beyond_rounding(expected: Any, found: Any) -> np.ndarray:
    """Absolute differences in the values' shape, less what float32 rounds; 0 where both are NaN or one infinity."""
    a, b = (np.asarray(_on_cpu(v), dtype=np.float64) for v in (expected, found))
    with np.errstate(invalid="ignore"):
        off = np.maximum(np.abs(a - b) - FLOAT32_SPACING * np.abs(a), 0.0)
        off = np.where(np.isfinite(off), off, np.inf)
    return np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, off)


def vectors(expected: Any, found: Any) -> np.ndarray:
    """(n,) length of the difference of every vector, which is the last axis."""
    return np.sqrt((beyond_rounding(expected, found) ** 2).sum(-1)).reshape(-1)


def origins(expected: Any, found: Any) -> np.ndarray:
    """(n,) distance of the origins of poses (..., 4, 4)."""
    return vectors(expected[..., :3, 3], found[..., :3, 3])


def turns(expected: Any, found: Any) -> np.ndarray:
    """(n,) angle in radians between the rotations of poses (..., 4, 4): 2 asin(|R - R'| / sqrt 8), Frobenius norm."""
    off = beyond_rounding(expected[..., :3, :3], found[..., :3, :3])
    size = np.sqrt((off**2).sum((-1, -2))) / np.sqrt(8.0)
    return np.where(np.isfinite(size), 2 * np.arcsin(np.minimum(size, 1.0)), np.inf).reshape(-1)


def entries(expected: Any, found: Any) -> np.ndarray:
    """(n,) 1 where whole numbers, flags or texts differ, else 0."""
    return (np.asarray(_on_cpu(expected)) != np.asarray(_on_cpu(found))).astype(np.float64).reshape(-1)


def differing_pixels(expected: Tensor, found: Tensor) -> np.ndarray:
    """(1,) share of the entries of a picture of ids that differ."""
    return np.array([entries(expected, found).mean()]) if expected.numel() else np.zeros(1)


def largest(expected: Tensor, found: Tensor) -> np.ndarray:
    """(1,) largest difference within a picture of numbers."""
    return by_value(expected, found).max(initial=0.0, keepdims=True)


def levels(expected: Tensor, found: Tensor) -> np.ndarray:
    """(1,) largest difference of two pictures in levels of 255."""
    return largest(_in_levels(expected), _in_levels(found))


def _in_levels(picture: Tensor) -> Tensor:
    """A picture in levels of 255, float32; 16 bits keep their fractions of one."""
    return picture.cpu().float() / 257 if picture.dtype == torch.uint16 else levels_of(picture).float()


def _codings(picture: Tensor) -> list[Tensor]:
    """A picture, and as a JPEG gives it back where one can hold it."""
    return [picture] if picture.dtype == torch.uint16 else [picture, jpeg_coded(picture, JPEG_QUALITY)]


def jpeg_blocks(expected: Tensor, found: Tensor) -> np.ndarray:
    """(1,) mean difference in levels of the worst block, of what is expected or of its JPEG, whichever is nearer.

    Noise loses more than the limit in a coding that is allowed to change it. The mean of a whole picture would hide a
    block that was damaged.
    """
    nearest: np.ndarray = np.minimum.reduce([blocks_off(p, found) for p in _codings(expected)])
    return nearest.max(initial=0.0, keepdims=True)


def video_blocks(expected: Tensor, found: Tensor) -> np.ndarray:
    """(1,) mean difference in levels of the worst block."""
    return blocks_off(expected, found).max(initial=0.0, keepdims=True)


def blocks_off(expected: Tensor, found: Tensor) -> np.ndarray:
    """(blocks,) mean difference in levels of every block of 16 x 16 pixels; those at a border count as whole ones."""
    off = (_in_levels(expected) - _in_levels(found)).abs().mean(-1).numpy()
    rows, columns = (-(-side // BLOCK) for side in off.shape)
    whole = np.zeros((rows * BLOCK, columns * BLOCK), np.float32)
    whole[: off.shape[0], : off.shape[1]] = off
    return whole.reshape(rows, BLOCK, columns, BLOCK).mean((1, 3)).reshape(-1)


def mean_levels(expected: Tensor, found: Tensor) -> np.ndarray:
    """(1,) mean difference in levels of squares of pixels, of what is expected or of its JPEG, whichever is nearer."""
    nearest = ((_in_levels(p) - _in_levels(found)).permute(2, 0, 1)[None] for p in _codings(expected))
    means = (avg_pool2d(off, SQUARE, ceil_mode=True, count_include_pad=False) for off in nearest)
    return np.array([min(float(off.abs().mean()) for off in means)])


def no_errors(expected: Any, found: Any) -> np.ndarray:
    """(0,) of what need not be the same."""
    return np.zeros(0)


def gel_parameters(expected: GelModel, found: GelModel) -> np.ndarray:
    """(n,) differences of all numbers of a gel's model."""
    return np.concatenate([by_value(v, getattr(found, name)) for name, v in vars(expected).items()])


def _on_cpu(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value


# --- units -----------------------------------------------------------------------------------------------------------
def rate_unit(plain: str, rate: str, force: str = "SI") -> Unit:
    """Unit of a column that may be a rate, its derivative, or a force."""

    def unit(column: Column, sensor: Any) -> str:
        if column.rate or column.rate_of:
            return rate if column.rate else f"{rate}^2"
        return plain if column.scaled else force

    return unit


def intensity_unit(column: Column, sensor: Any) -> str:
    """Unit of intensities: the scale of the sensor, "of 255"."""
    scale = getattr(sensor, "intensity_scale", None)
    return "1" if scale is None else f"of {scale:g}"


# --- the table -------------------------------------------------------------------------------------------------------
# typed columns
register_comparison("position", vectors, "m", 1e-4)
register_comparison("pose", origins, "m", 1e-4)
register_comparison("pose", turns, "rad", 1e-4, part="rotation", title="{} (rotation)")
register_comparison("polar", vectors, rate_unit("SI", "m/s", "N"), 1e-6)
register_comparison("axial", vectors, rate_unit("SI", "rad/s"), 1e-6)
register_comparison("specific_force", vectors, "m/s^2", 1e-6)
register_comparison("length", by_value, rate_unit("m", "m/s"), 1e-4)
register_comparison("joint", by_value, rate_unit("rad", "rad/s", "Nm"), 1e-6)  # rad or m
register_comparison("pixels", vectors, "px", 1e-3)
register_comparison("time", by_value, "s", 1e-6)
register_comparison("plain", by_value, "1", 1e-6)
register_comparison("entries", entries, "entries", 0)
# columns of a class
register_comparison((Wrench, "torque"), vectors, "Nm", 1e-6)
register_comparison((Taxels, "force"), by_value, "N", 1e-6)
register_comparison((Action, "delta_position"), vectors, "m", 1e-6)
register_comparison((Action, "delta_rotation"), vectors, "rad", 1e-6)
for robot in (Action, BodyPose):
    register_comparison((robot, "pose"), origins, "m", 1e-5)
    register_comparison((robot, "pose"), turns, "rad", 1e-5, part="rotation", title="{} (rotation)")
register_comparison((Boxes3D, "record"), no_errors, "-", 0, nothing="a name within the files, chosen anew by an output")
# pictures, one by one
register_comparison((ImageStream, "items"), largest, "1", 1e-6, title="pixels")
for coloured in (Camera, TactileImage):
    register_comparison((coloured, "items"), levels, "levels", 0, title="picture")
    lossy = {"unit": "levels", "title": "picture (lossy)"}
    register_comparison((coloured, "items"), jpeg_blocks, limit=JPEG_BLOCK, part=LOSSY, **lossy)
    register_comparison((coloured, "items"), mean_levels, limit=4.0, part=VIDEO, **lossy)
    lossy |= {"title": "picture (worst block)"}
    register_comparison((coloured, "items"), video_blocks, limit=VIDEO_BLOCK_LIMIT, part=VIDEO_BLOCK, **lossy)
register_comparison((Depth, "items"), largest, "m", 0, title="depth")
register_comparison((HeightMap, "items"), largest, "m", 0, title="heights")
register_comparison((SegmentationMask, "items"), differing_pixels, "share", 0, title="pixels that differ")
# fields
register_comparison((Taxels, "poses"), origins, "m", 1e-5)
register_comparison((Taxels, "poses"), turns, "rad", 1e-5, part="rotation", title="{} (rotation)")
register_comparison((TactileImage, "mm_per_pixel"), by_value, "mm/px", 1e-6)
register_comparison((TactileImage, "backgrounds"), levels, "levels", 1e-3)
register_comparison(GelModel, gel_parameters, "levels", 1e-3)
