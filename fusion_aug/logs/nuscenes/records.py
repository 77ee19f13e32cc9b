"""Records of a JSON list, parsed one by one from pieces of the file, so that no file has to fit into memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from fusion_aug.errors import DataError

BLOCK = 2**20  # bytes that are read at a time
MOST_BYTES = 2**24  # of one record with the space around it
BOM = b"\xef\xbb\xbf"
SPACE = r"[ \t\n\r]*"
BEFORE = {"[": re.compile(rf"{SPACE}\[{SPACE}"), ",": re.compile(rf"{SPACE},{SPACE}")}
# what is left where no record comes any more
END = {"[": re.compile(rf"{SPACE}\[{SPACE}\]{SPACE}"), ",": re.compile(rf"{SPACE}\]{SPACE}")}
HALF = re.compile("[\ud800-\udfff]")  # of a character: a surrogate without the other one
_decode = json.JSONDecoder().raw_decode


def records(read: Callable[[int, int], bytes], where: str) -> Iterator[tuple[int, Any]]:
    """Parse a list as strictly as ``json.loads`` does.

    Args:
        read: returns up to so many bytes (second argument) of the file from a place on (first), none at its end.
        where: the file, for messages.

    Yields:
        place (bytes) of every entry in the file, and the entry, which need not be a record.

    Raises:
        DataError: it is no list, no JSON, an entry is larger than ``MOST_BYTES``, or the text of a record has half of a
            character, which no file could hold that it is written to.
    """
    raw, count, opening = b"", 0, "["
    base = len(BOM) if read(0, len(BOM)) == BOM else 0  # place of ``raw``
    while True:
        block = read(base + len(raw), max(BLOCK, len(raw)))
        raw += block
        # records end in a brace, which is part of no longer character
        text = _text(raw[: raw.rfind(b"}") + 1] if block else raw, where, base)
        is_plain = text.isascii() and "\\u" not in text
        at = used = 0  # characters of the text that are parsed, and their bytes
        while True:
            gap = BEFORE[opening].match(text, at)
            if gap is None:
                problem = f"Expecting {opening!r}"
                break
            try:
                row, stop = _decode(text, gap.end())
            except json.JSONDecodeError as error:
                problem = error.msg
                break
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}: is not valid JSON ({error}, in record {count + 1})") from None
            if not is_plain and isinstance(row, dict):
                _check_text(row, where)
            yield base + used + _width(text, at, gap.end()), row
            used += _width(text, at, stop)
            at, opening, count = stop, ",", count + 1
        if not block and END[opening].fullmatch(text, at):
            return
        raw, base = raw[used:], base + used
        if not block or len(raw) > MOST_BYTES:
            size = f", or larger than {MOST_BYTES >> 20} MiB" if block else ""
            raise DataError(f"{where}: is not valid JSON ({problem} in record {count + 1}, from byte {base} on{size})")


def record_at_start(raw: bytes) -> Any:
    """The entry that bytes of a list begin with, from a place that ``records`` gave."""
    return _decode(raw.decode("utf-8", "surrogatepass"))[0]


def _check_text(row: dict[str, Any], where: str) -> None:
    """Raise where there is half of a character in a field."""
    for field, value in row.items():
        inner = [field, value]
        for one in inner:  # which grows by what is in it
            if isinstance(one, str) and not one.isascii() and HALF.search(one):
                raise DataError(
                    f"{where}: {row.get('token')!a}: {field!a}: holds half of a character (a lone surrogate), so it "
                    "is no Unicode text"
                )
            if isinstance(one, dict | list):
                inner += [*one, *one.values()] if isinstance(one, dict) else one


def _text(raw: bytes, where: str, base: int) -> str:
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is not valid JSON (byte {base + error.start} is not UTF-8)") from None


def _width(text: str, start: int, stop: int) -> int:
    """Bytes of characters."""
    return stop - start if text.isascii() else len(text[start:stop].encode("utf-8", "surrogatepass"))
