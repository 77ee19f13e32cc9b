"""Pixels of sensor_msgs/Image in every encoding, to RGB and back.

Grey pictures become three equal channels; a Bayer mosaic is filled in between (bilinear) and sampled again at the
places of its pattern, which holds measured pixels exactly; YUV is that of BT.601 with levels from 16 to 235, as in
OpenCV. Rows are written without padding, numbers of 16 and 32 bits little-endian.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import MAX_PIXELS

Array = np.ndarray
BORDER = 2  # pixels around a mosaic, an even number, so that its rim is filled in as its inside is


class Encoding(NamedTuple):
    """How the pixels of a picture are stored.

    Attributes:
        dtype: of a number: "u1", "u2" or "f4". channels: numbers of a pixel, and of a row's step.
        layout: order of the channels ("rgb", "bgra", "m" for grey), or "UYVY", "YUY2", "NV12", "NV21".
        mosaic: colours of the first two pixels of the first two rows of a Bayer pattern; empty for none.
    """

    dtype: str
    channels: int
    layout: str
    mosaic: str = ""

    @property
    def has_alpha(self) -> bool:
        """Whether a fourth channel is beside the colours."""
        return self.layout.endswith("a")

    @property
    def is_lossy(self) -> bool:
        """Whether a picture of any colours comes back changed."""
        return bool(self.mosaic) or self.layout[:2] in ("UY", "YU", "NV")

    @property
    def rows(self) -> float:
        """Rows of the data for one of the picture: half a plane of colour lies below that of light."""
        return 1.5 if self.layout[:2] == "NV" else 1


PATTERNS = ("rggb", "bggr", "gbrg", "grbg")
ENCODINGS: dict[str, Encoding] = {
    **{f"{order}{bits}": Encoding(f"u{bits // 8}", len(order), order)
       for order in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16)},
    **{name: Encoding(dtype, 1, "m") for name, dtype in
       (("mono8", "u1"), ("8UC1", "u1"), ("mono16", "u2"), ("16UC1", "u2"))},
    **{f"{bits}UC{len(order)}": Encoding(f"u{bits // 8}", len(order), order)  # as OpenCV has them
       for order in ("bgr", "bgra") for bits in (8, 16)},
    **{f"bayer_{p}{bits}": Encoding(f"u{bits // 8}", 1, "m", p) for p in PATTERNS for bits in (8, 16)},
    **dict.fromkeys(("yuv422", "uyvy"), Encoding("u1", 2, "UYVY")),
    **dict.fromkeys(("yuv422_yuy2", "yuyv"), Encoding("u1", 2, "YUY2")),
    "nv12": Encoding("u1", 1, "NV12"),
    "nv21": Encoding("u1", 1, "NV21"),
    "32FC1": Encoding("f4", 1, "m"),
}  # fmt: skip


def pixels_of(message: Any, where: str) -> Array:
    """Numbers of a picture as they are stored, (rows, W, channels), without the padding of its rows.

    Raises:
        DataError: its size or its step does not fit its bytes, or the encoding is not known.
    """
    encoding, (height, width) = encoding_of(message, where), (int(message.height), int(message.width))
    if height * width > MAX_PIXELS or min(height, width) < 1:
        raise DataError(f"{where}: image size {width}x{height} is out of bounds")
    if encoding.layout != "m" and encoding.is_lossy and (width % 2 or (encoding.rows != 1 and height % 2)):
        raise DataError(f"{where}: a {message.encoding} picture of {width}x{height} has half a pair of pixels")
    kind = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    rows, line, step = int(height * encoding.rows), width * encoding.channels * kind.itemsize, int(message.step)
    if step < line or len(message.data) < step * rows:
        raise DataError(f"{where}: data: {len(message.data)} bytes are too few for {width}x{height} pixels")
    data = np.ascontiguousarray(np.asarray(message.data[: step * rows]).reshape(rows, step)[:, :line])
    return data.view(kind).reshape(rows, width, encoding.channels).astype(kind.newbyteorder("="), copy=False)


def encoding_of(message: Any, where: str) -> Encoding:
    """The encoding of a picture.

    Raises:
        DataError: it is not known.
    """
    name = str(message.encoding)
    if name not in ENCODINGS:
        raise DataError(f"{where}: encoding: {name!r} is not one of {', '.join(ENCODINGS)}")
    return ENCODINGS[name]


def to_rgb(pixels: Array, encoding: Encoding) -> Array:
    """RGB (H, W, 3), uint8 or uint16, of pixels as they are stored."""
    if encoding.mosaic:
        rim = cv2.copyMakeBorder(pixels, *(BORDER,) * 4, cv2.BORDER_REFLECT_101)
        filled = cv2.cvtColor(rim, getattr(cv2, f"COLOR_Bayer{encoding.mosaic.upper()}2RGB"))
        return np.ascontiguousarray(filled[BORDER:-BORDER, BORDER:-BORDER])
    if encoding.layout in ("UYVY", "YUY2", "NV12", "NV21"):
        return cv2.cvtColor(pixels, getattr(cv2, f"COLOR_YUV2RGB_{encoding.layout}"))
    if encoding.channels == 1:
        return np.repeat(pixels, 3, 2)
    if encoding.layout in ("bgr", "bgra"):
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB if encoding.has_alpha else cv2.COLOR_BGR2RGB)
    return np.array(pixels[..., :3])


def alpha_of(pixels: Array, encoding: Encoding) -> Array | None:
    """The fourth channel (H, W); None where there is none."""
    return np.ascontiguousarray(pixels[..., 3]) if encoding.has_alpha else None


def from_rgb(rgb: Array, encoding: Encoding, alpha: Array | None, where: str) -> Array:
    """Pixels as they are stored, of an RGB picture (H, W, 3) of the encoding's own type.

    Raises:
        DataError: the size is one that the encoding cannot hold.
    """
    height, width = rgb.shape[:2]
    if encoding.mosaic:
        out = np.empty((height, width, 1), rgb.dtype)
        for k, colour in enumerate(encoding.mosaic):
            out[k // 2 :: 2, k % 2 :: 2, 0] = rgb[k // 2 :: 2, k % 2 :: 2, "rgb".index(colour)]
        return out
    if encoding.layout in ("UYVY", "YUY2", "NV12", "NV21"):
        if width % 2 or (encoding.rows != 1 and height % 2):
            raise DataError(f"{where}: a picture of {width}x{height} cannot be written in pairs of pixels; resize it")
        return _to_yuv(rgb, encoding.layout)
    if encoding.channels == 1:
        return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None]
    if encoding.has_alpha:
        full = np.full(rgb.shape[:2], np.iinfo(rgb.dtype).max, rgb.dtype) if alpha is None else alpha
        rgb = np.concatenate([rgb, full[..., None]], 2)
    if encoding.layout in ("bgr", "bgra"):
        return cv2.cvtColor(rgb, cv2.COLOR_RGBA2BGRA if encoding.has_alpha else cv2.COLOR_RGB2BGR)
    return rgb


def _to_yuv(rgb: Array, layout: str) -> Array:
    if layout[:2] != "NV":
        return cv2.cvtColor(rgb, getattr(cv2, f"COLOR_RGB2YUV_{layout}"))
    height, width = rgb.shape[:2]
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    light, u, v = np.split(planes, [height * width, height * width * 5 // 4])
    pairs = np.stack([u, v] if layout == "NV12" else [v, u], 1)
    return np.concatenate([light, pairs.reshape(-1)]).reshape(height * 3 // 2, width, 1)
