"""Masks as PNG files: numbers of 8 or 16 bits, of a palette, or in three colours as COCO's panoptic files hold them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import PNG_START, check_size, copy_file, decoded_picture, image_size
from fusion_aug.logs.core.new_files import write_new_bytes
from fusion_aug.logs.core.new_numbers import OPTION, as_asked
from fusion_aug.streams import SegmentationMask
from fusion_aug.streams.source import Source, decoder

GRAY, COLOUR, PALETTE = 0, 2, 3  # kinds of PNG
SIGNATURE, HEAD = 8, 33  # bytes of a PNG before its first chunk, and up to the end of that
COLOUR_IDS = 2**24  # that three colours of 8 bits tell apart


@decoder("mask")
def decode_mask(path: Path, raw: bytes, options: dict[str, Any]) -> Tensor:
    """The numbers (H, W) of a PNG: uint8, of one with 16 bits uint16; of one in colour R + 256 G + 65536 B, int32.

    Of a palette the numbers of the colours, and of fewer than 8 bits the numbers themselves.

    Raises:
        DataError: it is no PNG, is damaged, or has shades of transparency or colours of 16 bits.
    """
    if raw[:4] != PNG_START or len(raw) < HEAD:
        raise DataError(f"{path}: is no PNG, and other pictures do not hold the numbers of a mask exactly")
    image_size(path, raw)
    bits, kind = raw[24], raw[25]
    if kind not in (GRAY, COLOUR, PALETTE) or (kind == COLOUR and bits != 8):
        raise DataError(
            f"{path}: has transparency or colours of 16 bits; a mask is gray, of a palette, or of 3 x 8 bits"
        )
    how = cv2.IMREAD_COLOR if kind == COLOUR else cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH
    try:
        plain = b"".join(_without_palette(raw)) if kind == PALETTE else raw
    except (struct.error, IndexError):
        plain = b""
    picture = decoded_picture(plain, how | cv2.IMREAD_IGNORE_ORIENTATION, path) if plain else None
    if picture is None:
        raise DataError(f"{path}: the image is damaged or truncated")
    if kind == COLOUR:
        blue, green, red = (picture[..., i].astype(np.int32) for i in range(3))
        picture = red + 256 * green + 65536 * blue
    elif bits < 8:
        picture = picture // (255 // (2**bits - 1))  # which OpenCV has stretched to 0..255
    return as_asked(torch.from_numpy(picture), options)


def _without_palette(raw: bytes) -> Iterator[bytes]:
    """The parts of a PNG of a palette as one in gray, whose levels are the numbers of the colours."""
    yield raw[:SIGNATURE]
    at = SIGNATURE
    while at < len(raw):
        (length,), name = struct.unpack_from(">I", raw, at), raw[at + 4 : at + 8]
        data = raw[at + 8 : at + 8 + length]
        at += 12 + length
        if name == b"IHDR":
            data = data[:9] + bytes([GRAY]) + data[10:]
        if name not in (b"PLTE", b"tRNS"):
            yield struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        if name == b"IEND":
            return


def fits_png(mask: Tensor) -> bool:
    """Whether a PNG holds a mask (H, W) so that it is read back with its type."""
    if mask.dtype in (torch.uint8, torch.uint16):
        return True
    return mask.dtype == torch.int32 and bool((mask >= 0).all()) and bool((mask < COLOUR_IDS).all())


def encode_mask(mask: Tensor, where: Path | str) -> bytes:
    """A mask (H, W), uint8 or uint16, as PNG; int32 of up to 24 bits in three colours.

    Raises:
        DataError: it holds other numbers.
    """
    if not fits_png(mask):
        raise DataError(f"{where}: a PNG holds no {mask.dtype} mask, or not all of its numbers")
    levels = mask.detach().cpu().contiguous().numpy()
    if mask.dtype == torch.int32:
        levels = np.stack([(levels >> shift) & 255 for shift in (16, 8, 0)], -1).astype(np.uint8)  # blue first
    done, data = cv2.imencode(".png", levels)
    if not done:
        raise DataError(f"{where}: the mask could not be encoded")
    return bytes(data)


def mask_files(stream: SegmentationMask) -> list[Source | Tensor] | None:
    """What goes into a PNG for every item: the file of an untouched one, or its numbers; None where not all fit."""
    files = [s if s is not None and is_mask_file(s) else stream.image(i) for i, s in enumerate(stream.sources)]
    return files if all(isinstance(f, Source) or fits_png(f) for f in files) else None


def is_mask_file(source: Source) -> bool:
    """Whether what is behind a mask is a PNG that can be copied."""
    return source.decoder == "mask" and source.suffix == ".png" and OPTION not in source.options


def write_mask(file: Source | Tensor, path: Path, link: str = "copy") -> None:
    """Write one of ``mask_files`` as PNG: a copy of a file, else its numbers."""
    if isinstance(file, Source):
        check_size(file)
        copy_file(file, path, link)
    else:
        write_new_bytes(path, encode_mask(file, path))
