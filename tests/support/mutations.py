"""Damage to files, drawn from a seed: bytes, values of JSON and of text, and odd things in place of files."""

from __future__ import annotations

import json
import os
import random
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

ODD_VALUES: list[Any] = [
    None, -1, 0, 2**31, 2**63, -(2**70), 1e308, float("nan"), float("inf"), "", "x" * 5000, "\0", "é\n", True, [], {},
    "../../outside/secret.json", "/etc/passwd", [None], [[]], {"": None}, [1, 2, 3], ["0"] * 2000, 0.5, "nan", "1e999",
]  # fmt: skip
ODD_NUMBERS = ["nan", "-1", "1e999", "99999999999999999999", "", "x", "0", "-0.0", "1e-320", "0x10", "1_0"]
WORDS = re.compile(rb"[-+.\w]+")
DEEP = 600


def flip(raw: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, most of them near the beginning or the end, where heads and indices are."""
    out = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 8, 64]) if out else 0):
        near = min(len(out), rng.choice([64, 512, 4096, len(out)]))
        at = rng.choice([rng.randrange(near), len(out) - 1 - rng.randrange(near)])
        out[at] = rng.choice([0, 255, 127, 128, rng.randrange(256)])
    return bytes(out)


def numbers(raw: bytes, rng: random.Random) -> bytes:
    """Two, four or eight bytes that are often a size replaced by an extreme one."""
    out, width = bytearray(raw), rng.choice([2, 4, 8])
    if len(out) > width:
        at = rng.randrange(min(len(out) - width, rng.choice([256, 4096, len(out)])))
        out[at : at + width] = rng.choice([b"\xff", b"\x7f", b"\0", b"\x01"]) * width
    return bytes(out)


def cut(raw: bytes, rng: random.Random) -> bytes:
    """Less of it, at the end or within."""
    a, b = sorted(rng.randrange(len(raw) + 1) for _ in range(2))
    return raw[:a] if rng.random() < 0.5 else raw[:a] + raw[b:]


def doubled(raw: bytes, rng: random.Random) -> bytes:
    """A part of it twice."""
    a, b = sorted(rng.randrange(len(raw) + 1) for _ in range(2))
    return raw[:b] + raw[a : min(b, a + 2**16)] + raw[b:]


def zeroed(raw: bytes, rng: random.Random) -> bytes:
    """A block of zeros, as a disk leaves it."""
    a = rng.randrange(len(raw) + 1)
    return raw[:a] + bytes(min(len(raw) - a, rng.choice([16, 512, 4096]))) + raw[a + 4096 :]


def text(raw: bytes, rng: random.Random) -> bytes:
    """A word of a text replaced, taken away or repeated; brackets without end."""
    found = list(WORDS.finditer(raw[: 2**20]))
    if not found or rng.random() < 0.1:
        return rng.choice([b"[", b"{", b"{a: ", b"- ", b"<a>"]) * DEEP + raw
    word = rng.choice(found)
    new = rng.choice([*ODD_NUMBERS, "", word[0].decode("latin1") * 3, "é"]).encode()
    return raw[: word.start()] + new + raw[word.end() :]


def value(raw: bytes, rng: random.Random) -> bytes:
    """A value of JSON, or of the lines of JSON of a manifest, replaced or taken away."""
    lines = raw.splitlines() if raw.count(b"\n{") else [raw]
    at = rng.randrange(len(lines)) if lines else 0
    try:
        content = json.loads(lines[at])
    except (ValueError, IndexError):
        return flip(raw, rng)
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        if not keys:
            content = rng.choice(ODD_VALUES)
            break
        key = rng.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.85:
            place = place[key]
            continue
        if rng.random() < 0.2:
            del place[key]
        else:
            place[key] = rng.choice(ODD_VALUES)
        break
    lines[at] = json.dumps(content).encode()
    return b"\n".join(lines)


def _pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path, outside: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


ODD_FILES: dict[str, Callable[[Path, Path], None]] = {
    "pipe": _pipe,
    "socket": _socket,
    "folder": lambda path, outside: path.mkdir(),
    "nothing": lambda path, outside: None,
    "dangling link": lambda path, outside: path.symlink_to("nowhere"),
    "link in a circle": lambda path, outside: path.symlink_to(path.name),
    "link to a device": lambda path, outside: path.symlink_to("/dev/zero"),
    "link outside": lambda path, outside: path.symlink_to(outside / "secret.json"),
    "link to its folder": lambda path, outside: path.symlink_to("."),
}
BYTES = (flip, flip, numbers, numbers, cut, doubled, zeroed)
OF_TEXT = (text, text, text, cut, flip)
OF_JSON = (value, value, value, value, value, text, cut, flip)
TEXTS = (".txt", ".yaml", ".urdf")
JSONS = (".json", ".jsonl")


def damage(path: Path, rng: random.Random, outside: Path) -> str:
    """Damage a file, or put something else in its place; returns what was done.

    Args:
        path: the file. rng: draws. outside: a folder with files that must not be read.
    """
    if rng.random() < 0.08:
        kind = rng.choice(list(ODD_FILES))
        path.unlink()
        ODD_FILES[kind](path, outside)
        return kind
    kinds = OF_JSON if path.suffix in JSONS else OF_TEXT if path.suffix in TEXTS else BYTES
    change = rng.choice(kinds)
    raw = path.read_bytes()
    path.write_bytes(change(raw, rng))
    return change.__name__
