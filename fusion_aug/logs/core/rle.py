"""Masks of single objects as COCO writes them: run lengths, column by column, the first of pixels that are not in it.

``counts`` is a list of numbers, or a text in which each number is written as its difference to the last but one, five
bits a character, the lowest first; bit 6 says that more follow and bit 5 of the last is the sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import MAX_PIXELS

FIRST, BITS, MORE, SIGN = 48, 5, 0x20, 0x10  # character of 0, bits of each, flags
LONGEST = 7  # characters of a number, which then is of 35 bits
SINCE = 3  # numbers from here on are differences
MOST = 2**31 - 1  # that int32 holds


def decode_rle(rle: Mapping[str, Any], where: str = "rle") -> Tensor:
    """The pixels of an object.

    Args:
        rle: ``size`` [height, width], and ``counts``, a list, or a text or bytes in COCO's short form.
        where: file and field, for messages.

    Returns:
        (H, W) bool.

    Raises:
        DataError: it is no such mapping, is of more than 2^26 pixels, or its runs do not fill the picture exactly.
    """
    size, counts = (rle.get(k) if isinstance(rle, Mapping) else None for k in ("size", "counts"))
    if not isinstance(size, Sequence) or len(size) != 2 or not all(_is_whole(n) and n > 0 for n in size):
        raise DataError(f"{where}: size: expected [height, width], got {str(size)[:40]}")
    height, width = (int(n) for n in size)
    if height * width > MAX_PIXELS:
        raise DataError(f"{where}: size: {width}x{height} pixels are out of bounds")
    if isinstance(counts, str | bytes):
        runs = _numbers_of(counts.encode(errors="surrogatepass") if isinstance(counts, str) else counts, where)
    elif isinstance(counts, Sequence) and all(map(_is_whole, counts)):
        runs = [int(n) for n in counts]
    else:
        raise DataError(f"{where}: counts: expected whole numbers or a text, got {type(counts).__name__}")
    if any(n < 0 for n in runs) or sum(runs) != height * width:
        raise DataError(f"{where}: counts: the runs do not fill the {height * width} pixels of the picture")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, np.int64))
    return torch.from_numpy(np.ascontiguousarray(flat.reshape(width, height).T))


def encode_rle(mask: Any, *, short: bool = True) -> dict[str, Any]:
    """Run lengths of the pixels (H, W) of an object, which are not 0.

    Args:
        mask: tensor or array (H, W).
        short: whether ``counts`` is a text, as COCO's tools write it; else a list.
    """
    inside = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask) != 0
    if inside.ndim != 2 or inside.size == 0:
        raise DataError(f"encode_rle: expected pixels (H, W), got {inside.shape}")
    flat = inside.T.reshape(-1)
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff([0, *borders.tolist(), flat.size]).tolist()
    runs = [0, *runs] if flat[0] else runs
    return {"size": list(inside.shape), "counts": _text_of(runs) if short else runs}


def objects_mask(rles: Sequence[Mapping[str, Any]], numbers: Sequence[int], where: str = "rle") -> Tensor:
    """A mask of several objects: the number of each where its pixels are, 0 elsewhere; where two overlap the later one.

    Args:
        rles: of the objects, all of one size. numbers: of them, above 0. where: file and field, for messages.

    Returns:
        (H, W) int32.

    Raises:
        DataError: there is none, one is damaged, or they are of different sizes; a number is not above 0 and whole, or
            too large for int32.
    """
    if len(rles) != len(numbers) or not len(rles):
        raise DataError(f"{where}: {len(rles)} masks for {len(numbers)} objects")
    if not all(_is_whole(n) and 0 < n <= MOST for n in numbers):
        raise DataError(f"{where}: numbers: expected whole numbers from 1 to {MOST}, as 0 is of no object")
    out: Tensor | None = None
    for i, (rle, number) in enumerate(zip(rles, numbers, strict=True)):
        inside = decode_rle(rle, f"{where} {i}")
        out = torch.zeros(inside.shape, dtype=torch.int32) if out is None else out
        if inside.shape != out.shape:
            raise DataError(f"{where} {i}: size: {tuple(inside.shape)} is not that of the others, {tuple(out.shape)}")
        out[inside] = number
    assert out is not None
    return out


def _is_whole(n: Any) -> bool:
    return isinstance(n, int | np.integer) and not isinstance(n, bool)


def _numbers_of(text: bytes, where: str) -> list[int]:
    runs: list[int] = []
    value = place = 0
    for code in text:
        digit = code - FIRST
        if not 0 <= digit < 2 * MORE or place >= LONGEST:
            raise DataError(f"{where}: counts: is not a text of run lengths")
        value |= (digit & (MORE - 1)) << (BITS * place)
        place += 1
        if digit & MORE:
            continue
        if digit & SIGN:
            value -= 1 << (BITS * place)
        runs.append(value + (runs[-2] if len(runs) >= SINCE else 0))
        value = place = 0
    if place:
        raise DataError(f"{where}: counts: the text ends within a number")
    return runs


def _text_of(runs: Sequence[int]) -> str:
    out = bytearray()
    for i, run in enumerate(runs):
        rest = run - runs[i - 2] if i >= SINCE else run
        while True:
            digit, rest = rest & (MORE - 1), rest >> BITS
            ends = rest == (-1 if digit & SIGN else 0)
            out.append(FIRST + (digit if ends else digit | MORE))
            if ends:
                break
    return out.decode("ascii")
