"""Streams of any kind as files, as the folder format and the sidecars hold them.

A stream is a folder with ``stream.json`` (class, plain fields, what lies where), ``arrays.npz`` (tensors and strings,
no pickles) and one PNG or JPEG per colour picture.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import torch
from torch import Tensor

from calib import CalibrationError, GelModel
from calib.regular_files import is_there, open_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json, write_picture
from fusion_aug.logs.core.tree import Tree
from fusion_aug.safe.guard import reads_file
from fusion_aug.streams import STREAMS, Camera, ImageStream, Points, Ragged, Stream, TactileImage
from fusion_aug.streams.loose import check_offsets
from fusion_aug.streams.source import Source, decoder

MAX_ARRAY_BYTES = 8 * 2**30
SMALL_BYTES, MOST_PACKED = 2**29, 200  # of arrays whatever the size of their file, and per byte of it
PLAIN_TYPES = (str, int, float, bool)
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
PICTURE_STREAMS = (Camera, TactileImage)  # files of their own
SHARED_FIELDS = ("backgrounds", "gels")  # entries of items, most of them the same, written once


def write_stream(stream: Stream, folder: Path, link: str = "copy") -> None:
    """Write a stream into a folder of its own.

    Pictures that are backed by a file are copied or linked, everything else is decoded and written exactly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header: dict[str, Any] = {"class": type(stream).__name__, "fields": {}, "pictures": []}
    arrays: dict[str, Any] = {}
    in_files = not _has_fractions(stream)
    if isinstance(stream, PICTURE_STREAMS) and in_files:
        for i, source in enumerate(stream.sources):
            own = "" if source is None else source.path.suffix
            name = f"{i:06d}{own if own in PICTURE_SUFFIXES else '.png'}"  # a frame of a video or a message is no file
            write_picture(stream, i, folder / name, link)
            header["pictures"].append(name)
    elif isinstance(stream, Ragged):
        stream = stream.realized().loaded()
    else:
        stream = stream.realized()
    for f in fields(stream):
        value = getattr(stream, f.name)
        if f.name == "values":
            arrays |= {f"values/{k}": _array(v) for k, v in stream.values.items()}
        elif f.name == "items":
            if not (isinstance(stream, PICTURE_STREAMS) and in_files):
                arrays |= {f"items/{i:06d}": _array(v) for i, v in enumerate(value)}
        elif isinstance(value, Tensor):
            arrays[f"fields/{f.name}"] = _array(value)
        elif isinstance(value, PLAIN_TYPES):
            header["fields"][f.name] = value
        elif isinstance(value, tuple) and value and all(isinstance(v, PLAIN_TYPES) for v in value):
            header["fields"][f.name] = list(value)
        elif isinstance(value, tuple) and value and f.name in SHARED_FIELDS:
            once = list({id(v): v for v in value}.values())
            arrays[f"index/{f.name}"] = np.array([next(k for k, o in enumerate(once) if o is v) for v in value])
            if isinstance(once[0], GelModel):
                header["gels"] = [v.to_dict() for v in once]
            else:
                arrays |= {f"shared/{f.name}/{k}": _array(v) for k, v in enumerate(once)}
        elif value is not None and value != () and f.name != "pending":  # which the pictures above have in them
            raise DataError(f"{folder}: {f.name}: a {type(value).__name__} cannot be written")
    write_npz(arrays, folder / "arrays.npz")
    (folder / "stream.json").write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")


# what version 0.1 wrote
OLD_FIELDS = {"times": "capture_times", "stamps": "receive_times", "clock_error": "clock_offset"}


def read_stream(folder: Path, tree: Tree | None = None) -> Stream:
    """Read what ``write_stream`` wrote.

    Args:
        folder: of the stream. tree: of the log that it lies in; by default the folder is a tree of its own.

    Raises:
        DataError: a file is missing or damaged, or the class is unknown.
    """
    tree = tree or Tree(folder)
    where = tree.path("stream.json", str(folder), folder)
    header = read_json(where)
    if not isinstance(header, dict) or not isinstance(header.get("fields"), dict):
        raise DataError(f"{where}: fields: expected a mapping")
    cls = STREAMS.get(str(header.get("class")))
    if cls is None:
        raise DataError(f"{where}: class: unknown kind of stream {header.get('class')!r}; import its plugin first")
    known = {f.name for f in fields(cls)}
    kwargs: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in header["fields"].items()}
    values: dict[str, Any] = {}
    items: list[Any] = []
    shared: dict[str, dict[int, Any]] = {"gels": {k: _gel(v, where) for k, v in enumerate(header.get("gels", []))}}
    index: dict[str, list[int]] = {}
    for key, array in read_npz(tree.path("arrays.npz", str(folder), folder)).items():
        group, _, name = key.partition("/")
        value: Any = array if array.dtype.kind == "U" else torch.from_numpy(array)
        if group == "values":
            values[name] = value
        elif group == "items":
            items.append(value)
        elif group == "index":
            index[name] = value.tolist()
        elif group == "shared":
            field, _, number = name.partition("/")
            shared.setdefault(field, {})[int(number)] = value
        else:
            kwargs[name] = value
    try:
        kwargs |= {name: tuple(shared[name][k] for k in numbers) for name, numbers in index.items()}
    except KeyError as error:
        raise DataError(f"{where}: entry {error} of what items share is missing") from None
    unknown = sorted(set(kwargs) - known)
    if unknown:
        now = OLD_FIELDS.get(unknown[0])
        hint = f"; it is called {now!r} now, write the log again" if now else ""
        raise DataError(f"{where}: fields: {cls.__name__} has no field {unknown[0]!r}{hint}")
    if values:
        kwargs["values"] = values
    if issubclass(cls, ImageStream):
        names = header.get("pictures", [])
        paths = [tree.path(str(n), str(where), folder) for n in names]
        kwargs["items"] = tuple(Source(p, "image") for p in paths) or tuple(items)
    try:
        stream = cls(**kwargs)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where}: {error}") from None
    _check_rows(stream, where)
    return stream


def _check_rows(stream: Stream, where: Path) -> None:
    """Raise where items and columns of a file do not have the rows that they say."""
    if isinstance(stream, Ragged):
        check_offsets(stream, str(where))
    rows = stream.rows if isinstance(stream, Ragged) else len(stream)
    counts = {name: len(v) if getattr(v, "shape", ()) else 0 for name, v in stream.values.items()}
    wrong = next((name for name, count in counts.items() if count != rows), None)
    if wrong is not None:
        raise DataError(f"{where}: {wrong}: {counts[wrong]} rows, expected {rows}")


def _gel(data: Any, where: Path) -> GelModel:
    try:
        return GelModel.from_dict(data)
    except (CalibrationError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: gels: {error}") from None


def write_streams(streams: dict[str, Stream], folder: Path, link: str = "copy") -> None:
    """Write several streams, one folder each, named by the stream."""
    for name, stream in streams.items():
        if name in ("", ".", ".."):
            raise DataError(f"{folder}: a stream cannot be called {name!r}")
        write_stream(stream, folder / quote(name, safe=" "), link)


def read_streams(folder: Path, tree: Tree | None = None, kind: type[Stream] = Stream) -> dict[str, Stream]:
    """Read what ``write_streams`` wrote, those of a class, in alphabetical order."""
    tree = tree or Tree(folder)
    paths = [tree.path(entry.name, str(folder), folder) for entry in tree.entries(folder)]
    found = [p for p in paths if is_there(p / "stream.json") and (kind is Stream or _is_of(p, tree, kind))]
    return {unquote(p.name): read_stream(p, tree) for p in found}


def _is_of(folder: Path, tree: Tree, kind: type[Stream]) -> bool:
    header = read_json(tree.path("stream.json", str(folder), folder))
    name = header.get("class") if isinstance(header, dict) else None
    return issubclass(STREAMS.get(str(name), Stream), kind)


def write_columns(stream: Points, names: Sequence[str], path: Path) -> None:
    """Write some columns of a cloud as one npz, item by item."""
    cloud = stream.realized()
    path.parent.mkdir(parents=True, exist_ok=True)
    pairs = [(i, n) for i in range(len(cloud)) for n in names]
    write_npz({f"{i:06d}/{n}": _array(cloud.values[n][cloud.item_slice(i)]) for i, n in pairs}, path)


def column_sources(path: Path, items: int) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Return one lazy source per item of what ``write_columns`` wrote, and the names of the columns.

    Raises:
        DataError: the file holds another number of items.
    """
    keys = [k.partition("/") for k in npz_names(path)]
    if {k[0] for k in keys} != {f"{i:06d}" for i in range(items)}:
        raise DataError(f"{path}: expected columns of {items} items, found {len({k[0] for k in keys})}")
    return (
        tuple(Source(path, "columns", options={"item": f"{i:06d}"}) for i in range(items)),
        tuple(dict.fromkeys(k[2] for k in keys)),
    )


@decoder("columns")
def decode_columns(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """Decode the columns of one item."""
    own = options["item"] + "/"
    return {k[len(own) :]: torch.from_numpy(v) for k, v in read_npz(path).items() if k.startswith(own)}


@reads_file
def npz_names(path: Path) -> list[str]:
    """Names of the arrays in an npz file.

    Raises:
        DataError: it is missing or damaged.
    """
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        return [n.removesuffix(".npy") for n in archive.namelist()]


@reads_file
def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an npz file, refusing pickles and more bytes than a file of its size may stand for.

    Raises:
        DataError: the file is missing, damaged, too large or holds objects.
    """
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        total = sum(i.file_size for i in archive.infolist())
        most = min(MAX_ARRAY_BYTES, SMALL_BYTES + MOST_PACKED * os.fstat(file.fileno()).st_size)
        if total > most:
            raise DataError(f"{path}: {total} bytes of arrays are more than the {most} of a file of its size")
        return {i.filename.removesuffix(".npy"): _member(archive, i, path) for i in archive.infolist()}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """One array of an npz file; the size that it declares is compared with that of its member before it is made."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    where = f"{path}: {info.filename.removesuffix('.npy')}"
    if dtype.kind not in "biufU":
        raise DataError(f"{where}: arrays of type {dtype} are not read")
    if math.prod(shape) * dtype.itemsize > info.file_size:
        raise DataError(f"{where}: declares {shape} numbers, more than it holds")
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def write_npz(arrays: dict[str, Any], path: Path) -> None:
    """Write an npz whose bytes depend on the arrays alone (NumPy's own writer stores the time of writing)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def _has_fractions(stream: Any) -> bool:
    """Whether a picture is one of floats, which no file of whole levels holds exactly."""
    return any(isinstance(p, Tensor) and p.is_floating_point() for p in getattr(stream, "items", ()))


def _array(value: Any) -> np.ndarray:
    if isinstance(value, Source):
        value = value.value
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
