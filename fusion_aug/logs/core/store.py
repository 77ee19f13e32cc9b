"""Streams of any kind as files, as the folder format and the sidecars hold them.

A stream is a folder with ``stream.json`` (class, plain fields, what lies where), ``arrays.npz`` (tensors and strings,
no pickles) and one PNG or JPEG per colour picture, one PNG per mask that fits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import torch
from torch import Tensor

from calib import CalibrationError, GelModel
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import write_picture
from fusion_aug.logs.core.masks import mask_files, write_mask
from fusion_aug.logs.core.npz import npz_names, read_npz, write_npz
from fusion_aug.logs.core.stored import Stored
from fusion_aug.streams import (
    STREAMS,
    Camera,
    ImageStream,
    Points,
    Ragged,
    SegmentationMask,
    Stream,
    TactileImage,
)
from fusion_aug.streams.deferred import Deferred
from fusion_aug.streams.loose import check_offsets
from fusion_aug.streams.source import Source, decoder

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
    masks = mask_files(stream) if isinstance(stream, SegmentationMask) else None
    in_files = masks is not None or _are_files(stream)
    if masks is not None:
        for i, mask in enumerate(masks):
            header["pictures"].append(f"{i:06d}.png")
            write_mask(mask, folder / f"{i:06d}.png", link)
    elif isinstance(stream, PICTURE_STREAMS) and in_files:
        for i, source in enumerate(stream.sources):
            own = "" if source is None else source.suffix
            name = f"{i:06d}{own if own in PICTURE_SUFFIXES else '.png'}"  # a frame of a video or a message is no file
            write_picture(stream, i, folder / name, link)
            header["pictures"].append(name)
    elif isinstance(stream, Ragged):
        stream = stream.realized().loaded()
    else:
        stream = stream.realized()
    for f in (f for f in fields(stream) if f.name not in NUMBERS):
        value = getattr(stream, f.name)
        if f.name == "values":
            arrays |= {f"values/{k}": _array(v) for k, v in stream.values.items()}
        elif f.name == "items":
            if not in_files:
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


# what items and rows were numbered by before the run; in what is written they are numbered anew
NUMBERS = ("source_items", "source_rows")
# what version 0.1 wrote
OLD_FIELDS = {"times": "capture_times", "stamps": "receive_times", "clock_error": "clock_offset"}


def read_stream(stored: Stored) -> Stream:
    """Read what ``write_stream`` wrote.

    Raises:
        DataError: a file is missing or damaged, or the class is unknown.
    """
    where, header = stored.where("stream.json"), stored.json("stream.json")
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
    for key, array in stored.arrays("arrays.npz").items():
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
        files = [stored.picture(str(n)) for n in names]
        files = [replace(f, decoder="mask") for f in files] if issubclass(cls, SegmentationMask) else files
        kwargs["items"] = tuple(files) or tuple(items)
    try:
        stream = cls(**kwargs)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where}: {error}") from None
    _check_rows(stream, where)
    return stream


def _check_rows(stream: Stream, where: str) -> None:
    """Raise where items and columns of a file do not have the rows that they say."""
    if isinstance(stream, Ragged):
        check_offsets(stream, where)
    rows = stream.rows if isinstance(stream, Ragged) else len(stream)
    counts = {name: len(v) if getattr(v, "shape", ()) else 0 for name, v in stream.values.items()}
    wrong = next((name for name, count in counts.items() if count != rows), None)
    if wrong is not None:
        raise DataError(f"{where}: {wrong}: {counts[wrong]} rows, expected {rows}")


def _gel(data: Any, where: str) -> GelModel:
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


def read_streams(stored: Stored, kind: type[Stream] = Stream) -> dict[str, Stream]:
    """Read what ``write_streams`` wrote, those of a class, in alphabetical order."""
    places = {name: stored.below(name) for name in stored.names()}
    found = {n: p for n, p in places.items() if p.has("stream.json") and (kind is Stream or _is_of(p, kind))}
    return {unquote(name): read_stream(place) for name, place in found.items()}


def _is_of(stored: Stored, kind: type[Stream]) -> bool:
    header = stored.json("stream.json")
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


def _are_files(stream: Any) -> bool:
    """Whether colour pictures go into files of their own: not floats, which no file of levels holds exactly."""
    items = getattr(stream, "items", ())
    first = next((p.value for p in items if isinstance(p, Deferred)), None)  # of whose kind the others are
    has_fractions = any(isinstance(p, Tensor) and p.is_floating_point() for p in (*items, first))
    return isinstance(stream, PICTURE_STREAMS) and not has_fractions


def _array(value: Any) -> np.ndarray:
    if isinstance(value, Source):
        value = value.value
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
