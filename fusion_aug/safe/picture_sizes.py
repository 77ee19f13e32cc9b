"""Sizes that the heads of JPEG XL and JPEG 2000 tell, before a decoder takes the memory for them."""

from __future__ import annotations

import struct

BARE, BOXED = b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # of width and height
WIDTHS = (9, 13, 18, 30)  # bits of a size
STREAM = b"\xff\x4f\xff\x51"  # begin of a codestream of JPEG 2000, and its sizes


def jpegxl_size(raw: bytes) -> tuple[int, int] | None:
    """(height, width) of a JPEG XL (ISO/IEC 18181-1, SizeHeader); None where the bytes are none."""
    if raw[:12] == BOXED:
        at, found = 12, -1
        while at + 8 <= len(raw) and found < 0:
            length, name = struct.unpack_from(">I4s", raw, at)
            found = {b"jxlc": at + 8, b"jxlp": at + 12}.get(name, -1)
            at += length if length >= 8 else len(raw)
        raw = raw[found:] if found >= 0 else b""
    if raw[:2] != BARE or len(raw) < 12:
        return None
    bits, taken = int.from_bytes(raw[2:12], "little"), 0

    def take(count: int) -> int:
        nonlocal taken
        taken += count
        return (bits >> (taken - count)) & ((1 << count) - 1)

    small = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take(WIDTHS[take(2)])

    height = side()
    ratio = take(3)
    width = side() if ratio == 0 else height * RATIOS[ratio - 1][0] // RATIOS[ratio - 1][1]
    return height, width


def jpeg2000_size(raw: bytes) -> tuple[int, int] | None:
    """(height, width) of a JPEG 2000 (ISO/IEC 15444-1, SIZ); None where the bytes are none."""
    at = raw.find(STREAM)
    if at < 0 or len(raw) < at + 24:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", raw, at + 8)
    return bottom - top, right - left
