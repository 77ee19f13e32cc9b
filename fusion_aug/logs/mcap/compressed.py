"""Pictures of sensor_msgs/CompressedImage: PNG and JPEG, and depth as ``compressed_depth_image_transport`` writes it.

A file stays of its kind, with its channels and bits, so that what ``format`` says of it stays true.
"""

from __future__ import annotations

import re
import struct
from typing import Any, NamedTuple

import cv2
import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import JPEG_QUALITY, JPEG_START, PNG_START, decoded_picture, image_size, millimetres

Array = np.ndarray
DEPTH_HEADER = struct.Struct("<iff")  # ConfigHeader: a number for the kind, and the parameters a and b of inverse depth
IN_GREY = (0, 4)  # colour types of PNG without colours
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a JPEG behind which its size and channels are
SWAPPED = re.compile(r"^(rgb|bgr)a?(8|16)?;.*compressed (?!bgr)")  # whose blue is red, as its subscribers read it


class Coded(NamedTuple):
    """What the head of a coded picture says.

    Attributes:
        ending: ".png" or ".jpg". channels: as OpenCV decodes and encodes it, 1, 3 or 4. deep: whether 16 bits each.
    """

    ending: str
    channels: int
    deep: bool


def coded(data: bytes, where: str) -> Coded:
    """Kind, channels and bits of a PNG or JPEG.

    Raises:
        DataError: it is neither.
    """
    image_size(where, data)
    if data[:4] == PNG_START and len(data) < 26:
        raise DataError(f"{where}: is a PNG without a whole head")
    if data[:4] == PNG_START:
        kind = data[25]
        has_alpha = kind in (4, 6) or (kind == 3 and b"tRNS" in data[: 2**12])
        return Coded(".png", 4 if has_alpha else 1 if kind in IN_GREY else 3, data[24] == 16)
    at = 2
    while data[at : at + 1] == b"\xff" and not (
        0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC)
    ):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return Coded(".jpg", 1 if data[at + 9 : at + 10] == b"\x01" else 3, False)


def other_kind(data: bytes) -> str | None:
    """What a coded picture is that is neither PNG nor JPEG; None where it is one of these."""
    if data[:4] == PNG_START or data[:2] == JPEG_START:
        return None
    known = {b"RIFF": "a WebP", b"II*\0": "a TIFF", b"MM\0*": "a TIFF", b"GIF8": "a GIF", b"\0\0\0\x0c": "a JPEG 2000"}
    return known.get(data[:4], "a picture of an unknown kind")


def is_compressed_depth(message: Any, topic: str) -> bool:
    """Whether a message is one of ``compressedDepth``: a header of 12 bytes, then a PNG."""
    return "compressedDepth" in str(message.format) or topic.endswith("/compressedDepth")


def decode_colours(message: Any, where: str) -> tuple[Array, Array | None]:
    """RGB (H, W, 3), uint8 or uint16, and the fourth channel (H, W) where there is one.

    Raises:
        DataError: the picture is damaged, or none.
    """
    picture = _decoded(bytes(message.data), message, where)
    if picture.ndim == 2:
        return np.repeat(picture[..., None], 3, 2), None
    order = [0, 1, 2] if SWAPPED.match(str(message.format)) else [2, 1, 0]
    alpha = np.ascontiguousarray(picture[..., 3]) if picture.shape[2] == 4 else None
    return np.ascontiguousarray(picture[..., order]), alpha


def decode_depth(message: Any, topic: str, where: str) -> Array:
    """Depth (H, W) float32, metres; 0 or NaN where nothing was measured.

    Raises:
        DataError: the picture is damaged, or not one of 16 bits and one channel.
    """
    data = bytes(message.data)
    deep = is_compressed_depth(message, topic)
    levels = _decoded(data[DEPTH_HEADER.size :] if deep else data, message, where)
    if levels.ndim != 2 or levels.dtype != np.uint16:
        raise DataError(f"{where}: data: depth is a PNG of one channel of 16 bits, got {levels.shape} {levels.dtype}")
    if not (deep and is_inverse(message)):
        return (levels / np.float32(1000)).astype(np.float32)
    _, a, b = DEPTH_HEADER.unpack_from(data)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.float32(a) / (levels.astype(np.float32) - np.float32(b))
    return np.where((levels > 0) & (depth > 0) & (depth < np.inf), depth, np.float32(np.nan)).astype(np.float32)


def is_inverse(message: Any) -> bool:
    """Whether a ``compressedDepth`` holds quantised inverse depth, as it does where the picture was 32FC1."""
    return str(message.format).startswith("32FC1")


def _decoded(data: bytes, message: Any, where: str) -> Array:
    picture = decoded_picture(data, cv2.IMREAD_UNCHANGED, f"{where}: data")
    if picture is None:
        raise DataError(f"{where}: data: the picture is damaged ({message.format})")
    return picture


def encode_colours(rgb: Array, alpha: Array | None, template: Any, where: str) -> Array:
    """The bytes of an RGB picture, coded as the template's are.

    Raises:
        DataError: the template's are of another kind.
    """
    kind = coded(bytes(template.data), where)
    if kind.channels == 1:
        return _coded(kind.ending, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
    pixels = rgb if SWAPPED.match(str(template.format)) else rgb[..., ::-1]
    if kind.channels == 4:
        full = np.full(rgb.shape[:2], np.iinfo(rgb.dtype).max, rgb.dtype) if alpha is None else alpha
        pixels = np.concatenate([pixels, full[..., None]], 2)
    return _coded(kind.ending, np.ascontiguousarray(pixels))


def encode_depth(depth: Array, template: Any, topic: str) -> Array:
    """The bytes of depth (H, W), metres, as the template has them, with the parameters of its header.

    What they cannot hold is no measurement: 0.
    """
    if not is_compressed_depth(template, topic):
        return _coded(".png", millimetres(depth))
    head = bytes(template.data[: DEPTH_HEADER.size])
    levels = millimetres(depth)
    if is_inverse(template):
        _, a, b = DEPTH_HEADER.unpack(head)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = np.where(depth > 0, a / depth.astype(np.float64) + b, 0).round()
        fits = np.isfinite(depth) & (inverse >= 1) & (inverse <= 65535)
        levels = np.where(fits, inverse, 0).astype(np.uint16)
    return np.concatenate([np.frombuffer(head, np.uint8), _coded(".png", levels)])


def _coded(ending: str, pixels: Array) -> Array:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if ending == ".jpg" else []
    data: Array = cv2.imencode(ending, pixels, options)[1].reshape(-1)
    return data
