"""Arrays, pictures, videos and HDF5 files of ``fuzz.py`` that stand for far more than they are."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import fuzz_bombs_tables
import numpy as np
from fuzz_hand import Hand, first

CASES: dict[str, Hand] = dict(fuzz_bombs_tables.CASES)


def case(name: str, base: str, **more: Any) -> Callable[[Callable[[Path, Path], None]], None]:
    """Note a function that changes a log as a case."""

    def note(change: Callable[[Path, Path], None]) -> None:
        CASES[name] = Hand(base, change, **more)

    return note


# --- arrays -----------------------------------------------------------------------------------------------------------
def npy(shape: tuple[int, ...], descr: Any, content: bytes, fortran: bool = False) -> bytes:
    """A .npy file whose head says what is told."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": fortran, "shape": shape})
    return head.getvalue() + content


def npz(path: Path, members: Mapping[str, bytes]) -> None:
    """An npz file of such arrays, packed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(f"{name}.npy", raw)


def _arrays(root: Path, outside: Path, members: Mapping[str, bytes]) -> None:
    npz(first(root, "arrays.npz"), members)


MEMBERS = {
    "2^40 numbers": {"values/xyz": npy((2**40,), "<f8", bytes(64))},
    "-1 numbers": {"values/xyz": npy((-1,), "<f8", bytes(64))},
    "2^20 x 2^20 x 2^24 numbers": {"values/xyz": npy((2**20, 2**20, 2**24), "<f8", bytes(64))},
    "none of 2^62 numbers": {"values/xyz": npy((0, 2**62), "<f8", b"")},
    "texts of 4 GB": {"values/xyz": npy((1,), "<U1000000000", bytes(64))},
    "10^8 empty texts": {"values/xyz": npy((10**8,), "<U0", b"")},
    "fields": {"values/xyz": npy((1,), [("a", "<f8"), ("b", "|O")], bytes(64))},
    "a head that is a program": {
        "values/xyz": b"\x93NUMPY\x01\x00" + struct.pack("<H", 40) + b"__import__('os').system('touch it_ran') "
    },
    "a deep head": {"values/xyz": b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000},
    "a head of 1 GiB": {"values/xyz": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**30) + bytes(2**20)},
}
for _name, _members in MEMBERS.items():
    CASES[f"npz: {_name}"] = Hand("folder", partial(_arrays, members=_members))


@case("npz: 4 GiB of zeros", "folder")
def _zeros(root: Path, outside: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = b"".join(packer.compress(bytes(2**24)) for _ in range(16)) + packer.flush()
    path = first(root, "arrays.npz")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("values/xyz.npy", raw)
    content = path.read_bytes()  # now it says that it is packed, and of which size it is
    for start, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.index(start) + at
        content = content[:place] + struct.pack("<H", 8) + content[place + 2 :]
        size = place + 14
        content = content[:size] + struct.pack("<I", 2**32 - 2) + content[size + 4 :]
    path.write_bytes(content)


@case("npz: 1,000 members that share their bytes", "folder")
def _shared(root: Path, outside: Path) -> None:
    path = first(root, "arrays.npz")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values/xyz.npy", npy((2**22,), "<f8", bytes(2**25)))
    raw = path.read_bytes()
    start, end = raw.index(b"PK\x01\x02"), raw.index(b"PK\x05\x06")
    entry, tail = raw[start:end], bytearray(raw[end:])
    tail[8:16] = struct.pack("<HHI", 1000, 1000, 1000 * len(entry))
    path.write_bytes(raw[:start] + entry * 1000 + bytes(tail))


# --- pictures ---------------------------------------------------------------------------------------------------------
def png(width: int, height: int, depth: int = 8, chunks: bytes = b"", color: int = 2) -> bytes:
    """A PNG of a size, without its pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunks + pixels + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def jpeg(width: int, height: int, scans: int = 0) -> bytes:
    """A progressive JPEG of a size, with as many scans of one component that change nothing."""
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes([1, 17, 0, 2, 17, 0, 3, 17, 0])
    table = b"\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    codes = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1]) + bytes(15) + b"\xe0"  # of 2^14 blocks
    one = b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, 1, 63, 0x00]) + bytes(64)
    return b"\xff\xd8" + table + codes + frame + one * scans + b"\xff\xd9"


@cache
def packed_zeros(name: bytes) -> bytes:
    """A chunk that holds 256 MiB of zeros. To pack them takes a second, in each process that asks."""
    return chunk(name, b"a\0\0" + zlib.compress(bytes(2**28)))


PICTURES: dict[str, Callable[[], bytes]] = {
    "PNG of 100,000 x 100,000": lambda: png(100_000, 100_000),
    "PNG of 30,000 x 30,000, 16 bits": lambda: png(30_000, 30_000, 16, color=6),
    "PNG of 2^31 x 1": lambda: png(2**31 - 1, 1),
    "PNG of 0 x 0": lambda: png(0, 0),
    "PNG with a text of 1 GiB": lambda: png(320, 96, chunks=packed_zeros(b"zTXt")),
    "PNG with a profile of 256 MiB": lambda: png(320, 96, chunks=packed_zeros(b"iCCP")),
    "JPEG of 65,535 x 65,535": lambda: jpeg(65_535, 65_535, 1),
    "JPEG of 8,000 x 8,000 in 5,000 scans": lambda: jpeg(8000, 8000, 5000),
    "TIFF": lambda: b"II*\0\x08\0\0\0" + bytes(64),
    "a picture of text": lambda: b"P3 100000 100000 255\n1",
}


def _picture(root: Path, outside: Path, pattern: str, make: Callable[[], bytes]) -> None:
    raw = make()
    for path in root.rglob(pattern):
        path.write_bytes(raw)


for _base, _pattern in (("kitti", "*.png"), ("argoverse2", "*.jpg"), ("nuscenes", "*.jpg"), ("folder", "*.png")):
    for _name, _make in PICTURES.items():
        CASES[f"{_base}: {_name}"] = Hand(_base, partial(_picture, pattern=_pattern, make=_make))


# --- videos -----------------------------------------------------------------------------------------------------------
def _video(root: Path, outside: Path, text: bytes) -> None:
    """A list of files in place of every video, beside a good one and a link to one that lies outside."""
    for path in root.rglob("*.mp4"):
        path.rename(path.with_name("other.mp4"))
        path.with_name("link.mp4").symlink_to(outside / "secret.json")
        path.write_bytes(text.replace(b"{outside}", bytes(outside)))


LISTS = {
    "list of files to join": b"ffconcat version 1.0\nfile other.mp4\n",
    "list of a link": b"ffconcat version 1.0\nfile link.mp4\n",
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{outside}/secret.json\n#EXT-X-ENDLIST\n",
    "session description": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "subtitles": b"WEBVTT\n\n00:00.000 --> 00:10.000\nx\n",
    "picture": png(100_000, 100_000),
}
for _name, _raw in LISTS.items():
    CASES[f"lerobot: a {_name} as video"] = Hand("lerobot", partial(_video, text=_raw))


@case("lerobot: a video of 60,000 x 60,000", "lerobot", may_be_read=True)
def _wide_video(root: Path, outside: Path) -> None:
    for path in root.rglob("*.mp4"):
        raw = path.read_bytes()
        at = raw.index(b"stsd") + 16  # the first kind of samples, after version and count
        path.write_bytes(raw[: at + 28] + struct.pack(">HH", 60_000, 60_000) + raw[at + 32 :])


@case("lerobot: a video of another file", "lerobot", may_be_read=True)
def _reference(root: Path, outside: Path) -> None:
    for path in root.rglob("*.mp4"):
        raw = path.read_bytes()
        at = raw.index(b"url \0\0\0\x01")  # in this file
        path.write_bytes(raw[: at + 7] + b"\0" + raw[at + 8 :])
