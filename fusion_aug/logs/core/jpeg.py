"""Heads of JPEG files (ITU-T T.81, and Exif 2.3 for the orientation)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

START = b"\xff\xd8"
NO_FRAME = (0xC4, 0xC8, 0xCC)  # markers in the range of those of frames that begin none
SEQUENTIAL = (0xC0, 0xC1)  # frames whose blocks come once; those of others are drawn over and over
APP1, EXIF, ORIENTATION = 0xE1, b"Exif\0\0", 0x0112
UPRIGHT = 1


def segments(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments of a file, up to its pixels."""
    at = 2 if raw[:2] == START else len(raw)
    while at + 4 <= len(raw) and raw[at] == 0xFF:
        marker, length = raw[at + 1], struct.unpack_from(">H", raw, at + 2)[0]
        yield marker, raw[at + 4 : at + 2 + length]
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME:
            return
        at += 2 + length


def _frame(raw: bytes) -> tuple[int, bytes] | None:
    """Marker and content of the frame."""
    found = next(((m, c) for m, c in segments(raw) if 0xC0 <= m <= 0xCF and m not in NO_FRAME), None)
    return found if found is not None and len(found[1]) >= 6 else None


def jpeg_size(raw: bytes) -> tuple[int, int] | None:
    """(height, width) of a JPEG; None of anything else."""
    frame = _frame(raw)
    if frame is None:
        return None
    height, width = struct.unpack_from(">HH", frame[1], 1)
    return height, width


def is_plain(raw: bytes) -> bool:
    """Whether a JPEG can be decoded at a part of its size: sequential, grey or of three colours, and upright."""
    frame = _frame(raw)
    if frame is None or frame[0] not in SEQUENTIAL or frame[1][0] != 8 or frame[1][5] not in (1, 3):
        return False
    return all(_orientation(c) == UPRIGHT for m, c in segments(raw) if m == APP1 and c[: len(EXIF)] == EXIF)


def _orientation(content: bytes) -> int:
    """Orientation that an Exif segment tells, 1 where it tells none; 0 where it is damaged."""
    tiff = content[len(EXIF) :]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "")
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for i in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + 12 * i)
            if tag == ORIENTATION:
                return int(value)
    except struct.error:
        return 0
    return UPRIGHT if order else 0
