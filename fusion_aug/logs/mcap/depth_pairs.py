"""Whose depth a topic of depth is: told by ``log.depth_of``, or found by name, frame, size and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from calib import CameraSensor, UnknownLens
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.touch import camera_of
from fusion_aug.logs.mcap.pictures import picture_size_of
from fusion_aug.streams import Camera, Depth, ImageStream, Stream


def told_cameras(value: Any, names: Mapping[str, str], known: Mapping[str, Stream]) -> dict[str, str]:
    """Stream of depth -> camera, as ``log.depth_of`` says.

    Args:
        value: of the option: {depth topic: camera topic}, or names of streams. names: topic of pictures -> its stream.
        known: the streams of a sample; topics that have none there do not count.

    Raises:
        ConfigError: it is no such mapping, or there is no such topic, or none that is read.
    """
    if not isinstance(value or {}, Mapping):
        raise ConfigError(f"log.depth_of: expected {{depth topic: camera topic}}, got {value!r}")
    out = {}
    for depth, camera in (value or {}).items():
        pair = [names.get(str(n), str(n).strip("/")) for n in (depth, camera)]
        for given, name in zip((depth, camera), pair, strict=True):
            if name not in names.values():
                there = ", ".join(sorted(names)) or "none"
                raise ConfigError(f"log.depth_of: there is no topic of pictures {given!r}; the log has {there}")
            if name in known and not isinstance(known[name], ImageStream):
                raise ConfigError(f"log.depth_of: topic {given!r} holds pictures that are not read")
        if all(n in known for n in pair):
            out[pair[0]] = pair[1]
    return out


def as_depth(stream: Stream, name: str) -> Stream:
    """Pictures whose 16 bits are millimetres, as ``log.depth_of`` says of a topic that does not say so itself.

    Raises:
        ConfigError: they are coloured.
    """
    if isinstance(stream, Depth) or not isinstance(stream, Camera):
        return stream
    if not stream.items[0].options.get("deep"):
        raise ConfigError(f"log.depth_of: {name!r} holds pictures of colours or of 8 bits, which are no depth")
    items = tuple(replace(i, options={**i.options, "depth": True}) for i in stream.items)
    kept = {f: getattr(stream, f) for f in (*Depth.item_fields, "frame") if f not in ("items", "pending")}
    return Depth(**kept, items=items)


def cameras_of(
    streams: Mapping[str, Stream], sensors: Mapping[str, CameraSensor], told: Mapping[str, str]
) -> dict[str, str]:
    """Camera of every stream of pictures: its own name, or whose depth it is.

    Depth belongs to the camera that ``told`` or its name says (``cam/depth``, ``aligned_depth_to_color``), else to one
    of the same frame, size and calibration; of several such the one whose topic is most alike.

    Args:
        streams: by name. sensors: of the streams of pictures, by their own CameraInfo. told: see ``told_cameras``.

    Raises:
        ConfigError: ``told`` names a camera with pictures of another size.
    """
    out = {}
    for name, stream in streams.items():
        if isinstance(stream, ImageStream):
            deep = isinstance(stream, Depth) and not name.endswith("/height")
            out[name] = _camera_of_depth(name, stream, streams, sensors, told) if deep else camera_of(name, streams)
    return out


def _camera_of_depth(
    name: str, stream: ImageStream, streams: Mapping[str, Stream], sensors: Mapping[str, CameraSensor],
    told: Mapping[str, str],
) -> str:  # fmt: skip
    size = picture_size_of(stream)
    if name in told:
        other = streams[told[name]]
        found = picture_size_of(other) if isinstance(other, ImageStream) else None
        if found != size:
            raise ConfigError(
                f"log.depth_of: {name!r} has pictures of {size}, {told[name]!r} of {found} (rows, columns)"
            )
        return told[name]
    own, cameras = sensors[name], {n: s for n, s in streams.items() if isinstance(s, Camera) and n in sensors}
    alike = [n for n, s in cameras.items() if picture_size_of(s) == size and _same_lens(own, sensors[n])]
    by_name = camera_of(name, streams)
    if by_name in alike:
        return by_name
    same = [n for n in alike if cameras[n].frame == stream.frame]
    return max(same, key=lambda n: _likeness(name, n), default=name)


def _same_lens(a: CameraSensor, b: CameraSensor) -> bool:
    """Whether two cameras have the same calibration, or that of one is not known."""
    if isinstance(a.model, UnknownLens) or isinstance(b.model, UnknownLens):
        return True
    pairs = ((a.A, b.A), (a.model.K, b.model.K), (a.model.distortion, b.model.distortion))
    same = type(a.model) is type(b.model) and a.size == b.size
    return same and all(x.shape == y.shape and torch.allclose(x, y, rtol=1e-6, atol=1e-9) for x, y in pairs)


def _likeness(depth: str, camera: str) -> tuple[bool, int]:
    """How alike the topics of depth and of a camera are: whether one names the other, and the words they share."""
    words, others = depth.split("/"), camera.split("/")
    shared = next((k for k, (a, b) in enumerate(zip(words, others, strict=False)) if a != b), len(others))
    return any(w.endswith(f"_to_{others[-1]}") for w in words), shared
