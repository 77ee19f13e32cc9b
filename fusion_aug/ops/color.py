"""Pixel kernels. Values are shares of full scale: a uint8 level v is v / 255."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.hashed import RowKey
from fusion_aug.ops.normals import normal

LEVELS = torch.arange(256, dtype=torch.float64) / 255
SHARES = LEVELS.numpy()
# all levels of uint8 as one row of pixels, and each in a row of its own, which fills no vector of the processor
IN_A_ROW = np.arange(256, dtype=np.uint8).reshape(1, 256)
ONE_BY_ONE = np.repeat(IN_A_ROW.T, 2, 1)[:, :1]
WORTH_A_LINE = 1 << 17  # values of a picture; in smaller ones a table costs less than the trial of a line
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
GREY = torch.tensor([LUMA] * 3, dtype=torch.float64)
COLOUR = torch.eye(3, dtype=torch.float64) - GREY


def stretched(picture: Tensor, factor: Any, middle: Any = None) -> Tensor:
    """Every value times ``factor``, about ``middle`` (0 by default), a share of full scale; clipped."""
    if picture.dtype != torch.uint8:
        return (picture * factor if middle is None else (picture - middle) * factor + middle).clamp(0, 1)
    factor = float(factor.detach() if isinstance(factor, Tensor) else factor)  # integers carry no gradient
    return _mapped(picture, *_stretched_levels(factor, middle))


@lru_cache(maxsize=64)  # the cameras of a sample share a draw
def _stretched_levels(factor: float, middle: float | None) -> tuple[np.ndarray, np.ndarray]:
    values = SHARES * factor if middle is None else (SHARES - middle) * factor + middle
    return values, _levels(values)


def curve(picture: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function of one value to every channel; uint8 goes through a table of 256 entries."""
    if picture.dtype != torch.uint8:
        return function(picture).clamp(0, 1)
    values = function(LEVELS).detach().numpy()
    return _mapped(picture, values, _levels(values))


def _mapped(picture: Tensor, values: np.ndarray, table: np.ndarray) -> Tensor:
    """A uint8 picture whose levels become ``values`` (256,), shares of full scale, or ``table``, as whole levels."""
    if picture.is_cpu:
        image = picture.contiguous().numpy()
        out = _on_a_line(image, values * 255, table) if image.size >= WORTH_A_LINE else None
        return torch.from_numpy(cv2.LUT(image, table) if out is None else out)
    return torch.from_numpy(table).to(picture.device)[picture.long()]


def _levels(shares: np.ndarray) -> np.ndarray:
    """uint8 levels of shares of full scale (float64), clipped and rounded, ties to even, as OpenCV's products are."""
    found = cv2.multiply(np.minimum(shares, 1), 255.0, dtype=cv2.CV_8U)  # type: ignore[call-overload]
    return found.reshape(shares.shape)


def _on_a_line(image: np.ndarray, values: np.ndarray, table: np.ndarray) -> np.ndarray | None:
    """A picture through a table of levels that lie on a line but for clipping, in a third of the time of a table.

    Args:
        image: uint8. values: (256,) float64 that the levels become. table: (256,) uint8, the same clipped and rounded.

    Returns:
        None where sums of float32 do not round to this very table; 256 levels are tried.
    """
    line = np.array([[(values[-1] - values[0]) / 255, values[0]]])
    if not all((cv2.transform(levels, line).ravel() == table).all() for levels in (IN_A_ROW, ONE_BY_ONE)):
        return None
    return cv2.transform(image.reshape(len(image), -1), line).reshape(image.shape)


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
    return GREY + factor * COLOUR


def hue_matrix(angle: float) -> Tensor:
    """Rotation of the RGB cube about its grey diagonal by ``angle`` radians."""
    c, s = math.cos(angle), math.sin(angle) / math.sqrt(3)
    d = (1 - c) / 3
    return torch.tensor([[c + d, d - s, d + s], [d + s, c + d, d - s], [d - s, d + s, c + d]], dtype=torch.float64)


def grain_of(picture: Tensor, key: RowKey) -> Tensor:
    """A standard normal variate for every value of a picture, float32, in its shape and on its device."""
    return normal(key, picture.numel(), picture.device).reshape(picture.shape)


def add_noise(picture: Tensor, sigma: float, key: RowKey) -> Tensor:
    """Add white Gaussian noise of standard deviation ``sigma`` (share of full scale) to every value."""
    grain = grain_of(picture, key)
    if picture.dtype != torch.uint8:
        return (picture + grain * sigma).clamp(0, 1)
    if picture.is_cpu:
        values = grain.numpy()
        values *= np.float32(float(sigma) * 255)
        values += picture.numpy()
        return _as_levels(values)
    return grain.mul_(sigma * 255).add_(picture).round_().clamp_(0, 255).to(torch.uint8)


def _as_levels(values: np.ndarray) -> Tensor:
    """Levels of values from 0 to 255, which are overwritten: NumPy clips and rounds in a third of torch's time."""
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    return torch.from_numpy(values.astype(np.uint8))


def curves(picture: Tensor, functions: Sequence[Callable[[Tensor], Tensor]]) -> Tensor:
    """Apply a function of its own to each of the three channels."""
    if picture.dtype != torch.uint8:
        return torch.stack([f(picture[..., i]).clamp(0, 1) for i, f in enumerate(functions)], -1)
    return _through_tables(picture, np.stack([_levels(f(LEVELS).detach().numpy()) for f in functions], -1))


def _through_tables(picture: Tensor, tables: np.ndarray) -> Tensor:
    """A uint8 picture through a table (256, 3) for each channel."""
    if picture.is_cpu:
        return torch.from_numpy(cv2.LUT(picture.contiguous().numpy(), tables[:, None]))
    channel = torch.arange(3, device=picture.device)
    return torch.from_numpy(tables).to(picture.device)[picture.long(), channel]


def to_linear(level: Tensor) -> Tensor:
    """sRGB level in [0, 1] to light (IEC 61966-2-1)."""
    return torch.where(level <= 0.04045, level / 12.92, ((level.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def to_srgb(light: Tensor) -> Tensor:
    """Light in [0, 1] to sRGB level (IEC 61966-2-1)."""
    x = light.clamp(min=0)
    curved = 1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.055  # clamped, or the gradient at 0 would be NaN
    return torch.where(x <= 0.0031308, x * 12.92, curved)


def light_gains(picture: Tensor, gains: Sequence[float]) -> Tensor:
    """Multiply the light of each channel."""
    if picture.dtype == torch.uint8:
        return _through_tables(picture, _lit_levels(tuple(gains)))
    return curves(picture, [lambda x, g=g: to_srgb(to_linear(x) * g) for g in gains])  # type: ignore[misc]


@lru_cache(maxsize=64)  # the cameras of a sample share a draw
def _lit_levels(gains: tuple[float, ...]) -> np.ndarray:
    """What uint8 levels become (256, channels) where the light of each channel is multiplied."""
    light = to_linear(LEVELS)
    return _levels(torch.stack([to_srgb(light * g) for g in gains], -1).detach().numpy())


def daylight_gains(kelvin: float) -> tuple[float, float, float]:
    """How daylight of a colour temperature colours a picture that was balanced for 6504 K; green stays.

    CIE 15:2004, daylight locus, 4000 to 25000 K, through linear sRGB.
    """
    r0, g0, b0 = _daylight_rgb(6504.0)
    r, g, b = _daylight_rgb(kelvin)
    return (r / r0) / (g / g0), 1.0, (b / b0) / (g / g0)


def _daylight_rgb(kelvin: float) -> tuple[float, float, float]:
    t = 1000.0 / kelvin
    if kelvin <= 7000:
        x = 0.244063 + t * (0.09911 + t * (2.9678 - t * 4.6070))
    else:
        x = 0.237040 + t * (0.24748 + t * (1.9018 - t * 2.0064))
    y = -3.0 * x * x + 2.87 * x - 0.275
    X, Z = x / y, (1 - x - y) / y
    return (
        3.2406 * X - 1.5372 - 0.4986 * Z,
        -0.9689 * X + 1.8758 + 0.0415 * Z,
        0.0557 * X - 0.2040 + 1.0570 * Z,
    )


def scale_light(picture: Tensor, factor: Tensor) -> Tensor:
    """Multiply the light of every pixel by a map (H, W) of factors."""
    # the power of sRGB is close enough to 1 / 2.2 that a factor on the light is one on the level
    kind = torch.float32 if picture.dtype == torch.uint8 else picture.dtype
    gain = (factor.to(kind).clamp(min=0) ** (1 / 2.2)).to(picture.device)[..., None]
    if picture.dtype != torch.uint8:
        return (picture * gain).clamp(0, 1)
    values = (picture.to(kind).div_(255) * gain).mul_(255)
    if picture.is_cpu:
        return _as_levels(values.detach().numpy())
    return values.round_().clamp_(0, 255).to(torch.uint8)


def shot_noise(picture: Tensor, stops: float, full_well: float, read_noise: float, key: RowKey) -> Tensor:
    """Another exposure of a picture: light times 2^stops, with shot noise and read noise.

    A white pixel at 0 stops holds ``full_well`` electrons. Their number varies by its root (Poisson, here normal);
    reading adds ``read_noise`` electrons; what is above the full well is lost.
    """
    level = picture.to(torch.float32) / 255 if picture.dtype == torch.uint8 else picture
    electrons = to_linear(level) * (full_well * 2.0**stops)
    counted = electrons + grain_of(picture, key) * torch.sqrt(electrons + read_noise**2)
    out = to_srgb((counted / full_well).clamp(0, 1))
    if picture.dtype == torch.uint8:
        return (out * 255).round().clamp(0, 255).to(torch.uint8)
    return out.to(picture.dtype)


def levels_of(picture: Tensor, title: str = "the picture") -> Tensor:
    """A picture, uint8 or float32 in [0, 1], as levels of uint8 on the CPU, contiguous.

    Raises:
        DataError: it holds other integers, which 8 bits would round; the message calls it by its ``title``.
    """
    if picture.is_floating_point():
        picture = (picture * 255).round().clamp(0, 255).to(torch.uint8)
    if picture.dtype != torch.uint8:
        raise DataError(f"{title}: levels of {picture.dtype} do not go into 8 bits; convert them to uint8 first")
    return picture.detach().cpu().contiguous()


def shown_levels(picture: Tensor) -> Tensor:
    """Levels of uint8 to look at; those of 16 bits are rounded."""
    return levels_of(picture.to(torch.float32) / 65535 if picture.dtype == torch.uint16 else picture)


def jpeg_coded(picture: Tensor, quality: int) -> Tensor:
    """A picture as it comes back from a JPEG file of a quality from 1 to 100."""
    bgr = cv2.cvtColor(levels_of(picture).numpy(), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    out = torch.from_numpy(np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))).to(picture.device)
    return out if picture.dtype == torch.uint8 else out.to(picture.dtype) / 255


def light_of(picture: np.ndarray) -> np.ndarray:
    """Linear light (H, W, 3) float32 of a picture in levels."""
    if picture.dtype == np.uint8:
        table = to_linear(LEVELS).numpy().astype(np.float32)
        return cv2.LUT(picture, table)
    return to_linear(torch.from_numpy(picture)).numpy()


def level_of(light: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Levels of linear light, in the kind of another picture."""
    root = np.clip(light, 0, 1)
    np.sqrt(root, out=root)
    if like.dtype == np.uint8:
        root *= 4095
        root += 0.5
        return _levels_by_root().take(root.astype(np.intp))
    return to_srgb(torch.from_numpy(root * root)).to(torch.float32).numpy()


@lru_cache(maxsize=1)
def _levels_by_root() -> np.ndarray:
    """Levels (4096,) uint8 over the square root of light, which is fine near black."""
    levels = to_srgb(torch.linspace(0, 1, 4096, dtype=torch.float64) ** 2) * 255
    return levels.round().to(torch.uint8).numpy()
