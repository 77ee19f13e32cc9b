"""A sample as named numbers, and by how much two of them may differ on two processors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor

import fusion_aug as fa
from fusion_aug.streams import Camera, ImageStream, TactileImage

COMPUTED = 1e-9  # of float64 numbers in records and calibration, and of poses: SI units
READINGS = 1e-7  # of float64 readings: a force that follows from second differences of poses over 2 ms keeps no more
POINTS = 1e-5  # metres, of float32 points; float32 columns of other units are held by the same number
LEVELS = 1.0  # of 255, of pictures

Results = dict[str, np.ndarray]


def results(sample: fa.Sample) -> Results:
    """Everything that a sample holds: path -> numbers or words. Pictures are carried out."""
    sample = sample.realized()
    out: Results = {}
    for u, meta in enumerate(sample.metas):
        out |= dict(numbers(meta, f"meta {u}"))
    for name, stream in sample.streams.items():
        for f in fields(stream):
            if f.name != "items":
                out |= dict(numbers(getattr(stream, f.name), f"stream {name}.{f.name}"))
        kind = "levels" if isinstance(stream, Camera | TactileImage) else "picked"
        for i, item in enumerate(stream.items if isinstance(stream, ImageStream) else ()):
            out[f"{kind} {name}.items[{i}]"] = item.detach().numpy()
    out["streams"] = np.array([f"{n}: {type(s).__name__}" for n, s in sample.streams.items()])
    return out


def numbers(value: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    """The numbers and words in a nest of dataclasses, mappings and sequences, by path."""
    if isinstance(value, Tensor):
        yield path, np.asarray(value.detach().cpu())
    elif isinstance(value, np.ndarray):
        yield path, value.astype(str) if value.dtype == object else np.asarray(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{path}: kind", np.array(type(value).__name__)
        for f in fields(value):
            yield from numbers(getattr(value, f.name), f"{path}.{f.name}")
    elif isinstance(value, Mapping):
        yield f"{path}: names", np.array([str(k) for k in value])
        for key, entry in value.items():
            yield from numbers(entry, f"{path}[{key}]")
    elif isinstance(value, list | tuple):
        yield f"{path}: length", np.array(len(value))
        for i, entry in enumerate(value):
            yield from numbers(entry, f"{path}[{i}]")
    else:
        yield path, np.array(value if isinstance(value, bool | int | float) else str(value))


def limit_of(path: str, value: np.ndarray) -> float:
    """By how much the numbers at a path may differ; whole numbers, stamps and words not at all."""
    if path.startswith("levels"):
        return LEVELS if value.dtype == np.uint8 else LEVELS / 255
    if value.dtype == np.float64:
        return READINGS if path.startswith("stream") and not path.endswith("[pose]") else COMPUTED
    return POINTS if value.dtype == np.float32 else 0.0


def differences(a: Results, b: Results) -> list[str]:
    """Where two results are further apart than processors may be, one sentence each."""
    out = [f"{path}: only one of them has it" for path in a.keys() ^ b.keys()]
    for path in a.keys() & b.keys():
        x, y = a[path], b[path]
        if x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes():
            continue
        if x.shape != y.shape or x.dtype.kind != y.dtype.kind:
            out.append(f"{path}: {x.dtype}{x.shape} and {y.dtype}{y.shape}")
        elif x.dtype.kind not in "fiub" or x.size == 0:
            if not np.array_equal(x, y):
                out.append(f"{path}: {x} and {y}")
        elif (apart := distance(x, y)) > limit_of(path, x):
            out.append(f"{path}: {apart:.3g} apart, {limit_of(path, x):g} is allowed")
    return sorted(out)


def distance(x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference; infinity where only one of two is NaN or infinite."""
    kind = np.float64 if x.dtype.kind == "f" else np.int64
    x, y = x.astype(kind), y.astype(kind)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.where(same, 0, x - y))
    return float(np.nan_to_num(apart, nan=np.inf).max())
