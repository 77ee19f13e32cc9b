"""``meta/info.json``, and the tables of LeRobotDataset v2 that are JSON, an object on every line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calib.regular_files import open_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import MAX_JSON_BYTES, read_json


def read_info(path: Path) -> dict[str, Any]:
    """Facts of a dataset, of which rate, features, splits and chunks are what they have to be.

    Raises:
        DataError: it is missing, damaged, or one of these facts is not.
    """
    info = read_json(path)
    if not isinstance(info, dict):
        raise DataError(f"{path}: expected a mapping, got {type(info).__name__}")
    fps, features = info.get("fps"), info.get("features")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not fps > 0:
        raise DataError(f"{path}: fps: expected frames per second, got {fps!r}")
    if not isinstance(features, dict):
        raise DataError(f"{path}: features: expected a mapping, got {features!r}")
    if type(info.get("chunks_size", 1000)) is not int or info.get("chunks_size", 1000) < 1:
        raise DataError(f"{path}: chunks_size: expected a whole number above 0, got {info['chunks_size']!r}")
    if not isinstance(info.get("splits") or {}, dict):
        raise DataError(f"{path}: splits: expected a mapping, got {info['splits']!r}")
    for name, span in (info.get("splits") or {}).items():
        if re.fullmatch(r"\d{1,18}:\d{1,18}", str(span)) is None:
            raise DataError(f"{path}: splits.{name}: expected START:STOP, got {span!r}")
    for name, feature in features.items():
        if (
            not isinstance(feature, dict)
            or not isinstance(feature.get("dtype"), str)
            or not isinstance(feature.get("shape"), list)
            or not all(type(n) is int and n > 0 for n in feature["shape"])
        ):
            raise DataError(f"{path}: features.{name}: expected a mapping with dtype and shape, whole numbers")
    return info


def filled(template: Any, numbers: Mapping[str, int], words: Mapping[str, str], where: str) -> str:
    """A path template of ``info.json`` with its fields filled in.

    Args:
        template: as ``data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet``.
        numbers: name of a field with a width -> its number. words: name of a field -> its text.
        where: file and field, for messages.

    Raises:
        DataError: it is no text, or holds another field.
    """
    if not isinstance(template, str):
        raise DataError(f"{where}: expected a path with its indices in braces, got {template!r}")
    for word, value in numbers.items():
        for found in re.finditer(rf"\{{{word}:0(\d)d\}}", template):
            template = template.replace(found[0], f"{value:0{found[1]}d}")
    for word, text in words.items():
        template = template.replace(f"{{{word}}}", text)
    if "{" in template:
        raise DataError(f"{where}: {template!r} holds an unknown field in braces")
    return template


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a table of JSON lines, each with its place in the file, bytes.

    Raises:
        DataError: it is missing, too large, or one of its lines is no object; the message names the line.
    """
    try:
        with open_regular(path) as file:
            at = 0
            for number, line in enumerate(file):
                place, at = at, at + len(line)
                if at > MAX_JSON_BYTES:
                    raise DataError(f"{path}: is larger than {MAX_JSON_BYTES >> 30} GiB")
                if line.strip():
                    yield place, _object(line, f"{path}: line {number + 1}")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def read_line(path: Path, place: int) -> dict[str, Any]:
    """The object at a place of a table of JSON lines.

    Raises:
        DataError: see ``read_lines``.
    """
    try:
        with open_regular(path) as file:
            file.seek(place)
            return _object(file.readline(MAX_JSON_BYTES), f"{path}: byte {place}")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not valid JSON ({error})") from None
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected an object, got {row!r:.100}")
    return row
