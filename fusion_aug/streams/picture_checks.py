"""Whether a picture is what its stream's class says: type, shape (H, W, C) and range."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.reduced import reduced_size
from fusion_aug.streams.source import Source

INTERPOLATED = (torch.uint8, torch.uint16, torch.float32, torch.float64)
SLACK = 0.5 / 255  # of full scale: what another library's resampling may have left beyond black and white
_IN_RANGE: WeakValueDictionary[int, Tensor] = WeakValueDictionary()  # float pictures that were looked through once


def check_shape(title: str, picture: Tensor, pixel_shape: tuple[int, ...] | None) -> None:
    """Raise where a picture is not (H, W, *pixel_shape); None allows any shape of a pixel.

    Raises:
        DataError: naming the picture by its ``title``.
    """
    shape = tuple(picture.shape)
    pixel = shape[2:] if pixel_shape is None else pixel_shape
    if len(shape) < 2 or shape[2:] != pixel:
        remedy = "permute(1, 2, 0) puts channels last" if len(shape) == 3 and shape[:1] == pixel else "reshape it"
        expected = ", ".join(("H", "W", *map(str, pixel)))
        raise DataError(f"{title}: has shape {shape}, expected ({expected}); {remedy}")
    if 0 in shape:
        raise DataError(
            f"{title}: has shape {shape}, which holds no pixel; leave the item out, or mark it as not present"
        )


def check_size(source: Source, picture: Tensor) -> int:
    """Raise where a decoded picture is of another size than its calibration, which ``source.options["size"]`` gives.

    Returns:
        how many times smaller it was decoded, which its source may ask for (``Source.reduced``).

    Raises:
        DataError: naming the file and both sizes.
    """
    expected, (height, width) = source.options.get("size"), picture.shape[:2]
    by = source.options.get("reduced", 1)
    if expected is not None and by > 1 and reduced_size(expected, by) == (height, width):
        return int(by)
    if expected is not None and tuple(expected) != (height, width):
        topic = f": topic {source.options['topic']}" if "topic" in source.options else ""
        raise DataError(
            f"{source.path}{topic}: a picture is {width}x{height}, but its camera is calibrated for "
            f"{expected[1]}x{expected[0]}; scale one to the other"
        )
    return 1


def check_dtype(
    title: str, picture: Tensor, full_scale: Mapping[torch.dtype, float] | None, interpolation: str
) -> None:
    """Raise where a picture's type has no full scale, or cannot be resampled as its class says.

    Raises:
        DataError: naming the picture by its ``title``.
    """
    if full_scale is not None and picture.dtype not in full_scale:
        ranges = " or ".join(f"{dtype} from 0 to {white:g}" for dtype, white in full_scale.items())
        raise DataError(f"{title}: holds {picture.dtype}, expected {ranges}; convert it")
    if interpolation == "linear" and picture.dtype not in INTERPOLATED:
        remedy = "use float32, or a class with interpolation = 'nearest'"
        raise DataError(f"{title}: holds {picture.dtype}, which cannot be interpolated; {remedy}")


def check_range(title: str, picture: Tensor, white: float | None) -> None:
    """Raise where values of a float picture lie outside 0 to ``white``; a picture is looked through once.

    Raises:
        DataError: naming the picture by its ``title``.
    """
    if white is None or not picture.is_floating_point() or picture.is_meta or picture.numel() == 0:
        return
    if _IN_RANGE.get(id(picture)) is picture:
        return
    low, high = (float(v) for v in picture.detach().aminmax())
    if not (low >= -SLACK * white and high <= (1 + SLACK) * white):  # also where they are NaN
        raise DataError(
            f"{title}: has values from {low:g} to {high:g}, expected 0 to {white:g}; divide it by its full scale, or "
            f"use a class that declares another full_scale"
        )
    _IN_RANGE[id(picture)] = picture
