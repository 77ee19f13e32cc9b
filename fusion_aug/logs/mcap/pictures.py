"""Pictures of Image and CompressedImage messages: what they are, decoded when used, and back.

Depth is what is stored as depth: 32FC1 (REP 118: NaN is no measurement, +inf too far), ``compressedDepth``, and 16
bits in millimetres (0 is no measurement) where the topic says depth, or ``log.depth_of`` names it. 16 bits of other
topics are levels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import image_size, millimetres
from fusion_aug.logs.mcap import compressed
from fusion_aug.logs.mcap.compressed import DEPTH_HEADER, coded, is_compressed_depth, other_kind
from fusion_aug.logs.mcap.definitions import decode
from fusion_aug.logs.mcap.file import CODINGS
from fusion_aug.logs.mcap.messages import ReceivedMessage, register_reader
from fusion_aug.logs.mcap.one_message import naming_its_message
from fusion_aug.logs.mcap.pixels import ENCODINGS, Encoding, alpha_of, encoding_of, from_rgb, pixels_of, to_rgb
from fusion_aug.ops.color import levels_of
from fusion_aug.streams import Camera, Depth, HeightMap, ImageStream, Opacity, Stream
from fusion_aug.streams.source import Coding, decoder

PICTURES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
MILLIMETRE = 1e-3
IN_MILLIMETRES = ("16UC1", "mono16")
# words of topics whose float pictures are something else than metres
NO_DEPTH = re.compile(r"confidence|disparit|thermal|temperature|heat|variance|uncertainty|flow|normal|intensity|mask")
OF_STEREO = re.compile(r"(^|/)stereo/image_(raw|rect)(/compressed(depth)?)?$")  # as depthai_ros calls its depth
OPACITY = "opacity"
REMEDY = "leave the topic out with log.exclude"


def is_depth(message: Any, topic: str, told: bool = False) -> bool:
    """Whether the pictures of a topic are depth.

    Args:
        message: one of them. topic: its name. told: whether ``log.depth_of`` says so.
    """
    is_deep = told or "depth" in topic.lower() or bool(OF_STEREO.search(topic.lower()))
    if hasattr(message, "format"):
        return is_compressed_depth(message, topic) or (is_deep and _is_deep_grey(bytes(message.data[:64])))
    encoding = str(message.encoding)
    if encoding == "32FC1":
        return is_deep or not NO_DEPTH.search(topic.lower())
    return is_deep and encoding in IN_MILLIMETRES


def _is_deep_grey(head: bytes) -> bool:
    return head[1:4] == b"PNG" and head[24:26] == b"\x10\x00"


def picture_problem(message: Any, topic: str) -> tuple[str, str] | None:
    """Why the pictures of a topic cannot be read, by one of them, and what to do about it; None where they can.

    Args:
        message: an Image or CompressedImage. topic: its name.
    """
    if hasattr(message, "format"):
        if is_compressed_depth(message, topic):
            if "rvl" in str(message.format).lower():
                return "depth coded as RVL is not read", f"write it as PNG (compressedDepth.format), or {REMEDY}"
            data = bytes(message.data[DEPTH_HEADER.size : DEPTH_HEADER.size + 4])
        else:
            data = bytes(message.data[:4])
        kind = other_kind(data)
        return None if kind is None else (f"it is {kind}, and only PNG and JPEG are read", REMEDY)
    encoding = str(message.encoding)
    if encoding not in ENCODINGS:
        return f"the encoding {encoding!r} is not one that is read (docs/cameras.md lists them)", REMEDY
    if encoding == "32FC1" and not is_depth(message, topic):
        told = "name it in log.depth_of if it is depth"
        return "it holds numbers (32FC1), and its topic does not say that they are depth", f"{told}, or {REMEDY}"
    return None


def picture_size(message: Any, topic: str, where: str) -> tuple[int, int]:
    """(height, width) of a picture, from its head alone.

    Raises:
        DataError: it has none.
    """
    if not hasattr(message, "format"):
        return int(message.height), int(message.width)
    data = bytes(message.data)
    return image_size(f"{where}: data", data[DEPTH_HEADER.size :] if is_compressed_depth(message, topic) else data)


def unknown_of(message: Any) -> str:
    """What stands for no measurement in depth of a message's coding: "nan" or "zero" (``Depth.unknown``)."""
    if hasattr(message, "format"):
        return "nan" if compressed.is_inverse(message) else "zero"
    return "nan" if str(message.encoding) == "32FC1" else "zero"


def picture_coding(message: Any, topic: str) -> Coding:
    """What the coding of a topic's pictures keeps of their numbers, by one of them."""
    deep = is_depth(message, topic)
    if not hasattr(message, "format"):
        encoding = ENCODINGS.get(str(message.encoding))
        in_steps = deep and str(message.encoding) in IN_MILLIMETRES
        if encoding is not None and not deep and (encoding.is_lossy or encoding.channels == 1):
            return Coding(stored=partial(_stored, encoding))
        return Coding(step=MILLIMETRE if in_steps else 0.0)
    if deep:
        inverse = compressed.is_inverse(message)
        return Coding(stored=partial(_stored_depth, message, topic)) if inverse else Coding(step=MILLIMETRE)
    if other_kind(bytes(message.data[:4])) is not None:
        return Coding()
    kind = coded(bytes(message.data), topic)
    grey = partial(_stored, ENCODINGS["mono16" if kind.deep else "mono8"]) if kind.channels == 1 else None
    return Coding(lossy=kind.ending == ".jpg", stored=grey)


def _stored(encoding: Encoding, picture: Tensor) -> Tensor:
    """A picture as it comes back from an encoding that does not hold all of its colours."""
    levels = _levels(picture, encoding.dtype == "u2", "the picture")
    return torch.from_numpy(to_rgb(from_rgb(levels, encoding, None, "the picture"), encoding))


def _stored_depth(message: Any, topic: str, picture: Tensor) -> Tensor:
    """Depth as it comes back from quantised inverse depth."""
    data = compressed.encode_depth(picture.cpu().numpy(), message, topic)
    return torch.from_numpy(compressed.decode_depth(replace(message, data=data), topic, topic))


CODINGS |= dict.fromkeys(PICTURES, picture_coding)


# --- read -------------------------------------------------------------------------------------------------------------
@register_reader(PICTURES[0])
@register_reader(PICTURES[1])
def pictures(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read pictures, or depth. They are decoded when used; what they are is told by the first of them.

    The options of its source say it: ``stored``, the (height, width), ``deep``, whether they may be millimetres, and
    ``alpha``, whether they have a fourth channel.
    """
    first = messages[0].source
    topic, options = str(first.options["topic"]), first.options
    message = decode(first.bytes(), options["type"], options["definition"], where)
    deep = _is_deep_grey(bytes(message.data[:64])) if hasattr(message, "format") else message.encoding in IN_MILLIMETRES
    facts = {"stored": picture_size(message, topic, where), "deep": deep, "alpha": has_alpha(message)}
    items = (replace(first, options={**options, **facts}), *(h.source for h in messages[1:]))
    if is_depth(message, topic):
        return Depth(**stream_fields, items=items, unknown=unknown_of(message))
    return Camera(**stream_fields, items=items)


def picture_size_of(stream: ImageStream) -> tuple[int, int]:
    """(height, width) of the first picture of a stream that ``pictures`` read, which is not decoded for it."""
    stored = stream.items[0].options["stored"]
    return int(stored[0]), int(stored[1])


def with_opacity(streams: Mapping[str, Stream]) -> dict[str, Stream]:
    """Streams with the fourth channel of pictures that have one, ``CAMERA/opacity`` beside ``CAMERA``."""
    out = dict(streams)
    for name, stream in streams.items():
        if isinstance(stream, Camera) and stream.items[0].options.get("alpha"):
            items = tuple(replace(i, decoder="ros_alpha") for i in stream.items)
            kept = {f: getattr(stream, f) for f in (*Stream.item_fields, "frame")}
            out[f"{name}/{OPACITY}"] = Opacity(**kept, items=items, camera=stream.camera or name)
    return out


def opacity_of(opacity: Stream | None, stream: ImageStream, item: int) -> Tensor | None:
    """The fourth channel (H, W) of a picture, of what ``with_opacity`` put beside its stream; None without one."""
    if not isinstance(opacity, Opacity) or not stream.records or stream.records[item] not in opacity.records:
        return None
    return opacity.image(opacity.records.index(stream.records[item]))


# --- what is decoded when used ---------------------------------------------------------------------------------------
@decoder("ros_image")
@naming_its_message
def decode_picture(path: Path, raw: bytes, options: Mapping[str, Any]) -> Tensor:
    """RGB (H, W, 3) uint8 or uint16, or depth (H, W) float32 metres, of a message."""
    where, topic = f"{path}: topic {options['topic']}", str(options["topic"])
    message = decode(raw, options["type"], options["definition"], where)
    deep = is_depth(message, topic, bool(options.get("depth")))
    if hasattr(message, "format"):
        depth = compressed.decode_depth(message, topic, where) if deep else None
        return torch.from_numpy(compressed.decode_colours(message, where)[0] if depth is None else depth)
    encoding, pixels = encoding_of(message, where), pixels_of(message, where)
    if not deep and encoding.dtype == "f4":
        raise DataError(f"{where}: encoding: its numbers (32FC1) are no depth by its topic; {REMEDY}")
    if not deep:
        return torch.from_numpy(to_rgb(pixels, encoding))
    metres = pixels[..., 0].astype(np.float32)
    if options.get("heights"):  # of a gel, which is not pressed where it was not measured
        metres = np.nan_to_num(metres, nan=0.0, posinf=0.0, neginf=0.0)
    return torch.from_numpy(metres if encoding.dtype == "f4" else metres / np.float32(1000))


@decoder("ros_alpha")
@naming_its_message
def decode_alpha(path: Path, raw: bytes, options: Mapping[str, Any]) -> Tensor | None:
    """The fourth channel (H, W), uint8 or uint16, of a message; None where it has none."""
    where = f"{path}: topic {options['topic']}"
    message = decode(raw, options["type"], options["definition"], where)
    if hasattr(message, "format"):
        alpha = compressed.decode_colours(message, where)[1]
    else:
        alpha = alpha_of(pixels_of(message, where), encoding_of(message, where))
    return None if alpha is None else torch.from_numpy(alpha)


def has_alpha(message: Any) -> bool:
    """Whether a picture has a fourth channel."""
    if hasattr(message, "format"):
        data = bytes(message.data)
        return other_kind(data[:4]) is None and coded(data, "picture").channels == 4
    encoding = ENCODINGS.get(str(message.encoding))
    return encoding is not None and encoding.has_alpha


# --- and back ---------------------------------------------------------------------------------------------------------
def picture_message(
    stream: ImageStream, template: Any, item: int, topic: str = "", opacity: Tensor | None = None
) -> Any:
    """Write a picture in the encoding of its source.

    Args:
        stream: of pictures. template: the message that the picture was read from. item: which. topic: its name.
        opacity: (H, W) fourth channel; opaque without one.

    Raises:
        DataError: the stream is of a kind that has no message, or its levels do not go into the encoding.
    """
    image, where = stream.image(item).detach().cpu(), f"topic {topic}"
    if isinstance(stream, Depth | HeightMap):
        depth = image.to(torch.float32).numpy()
        if hasattr(template, "format"):
            return replace(template, data=compressed.encode_depth(depth, template, topic))
        in_steps = str(template.encoding) in IN_MILLIMETRES
        return _with_pixels(template, (millimetres(depth) if in_steps else depth)[..., None], depth.shape[:2])
    alpha = None if opacity is None else opacity.detach().cpu().numpy()
    if hasattr(template, "format"):
        deep = coded(bytes(template.data), where).deep
        rgb = _levels(image, deep, stream.title(item))
        return replace(template, data=compressed.encode_colours(rgb, alpha, template, where))
    encoding = encoding_of(template, where)
    rgb = _levels(image, encoding.dtype == "u2", stream.title(item))
    return _with_pixels(template, from_rgb(rgb, encoding, alpha, where), rgb.shape[:2])


def _levels(image: Tensor, deep: bool, title: str) -> np.ndarray:
    """Levels of 8 or 16 bits, as a file holds them."""
    if not deep:
        levels: np.ndarray = levels_of(image, title).numpy()
        return levels
    if image.is_floating_point():
        image = (image * 65535).round().clamp(0, 65535).to(torch.uint16)
    if image.dtype != torch.uint16:
        raise DataError(f"{title}: levels of {image.dtype} do not go into 16 bits; convert them to uint16 first")
    return image.contiguous().numpy()


def _with_pixels(template: Any, pixels: np.ndarray, size: tuple[int, ...]) -> Any:
    stored = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    data = np.frombuffer(stored.tobytes(), np.uint8)
    step = len(data) // stored.shape[0]
    return replace(template, height=size[0], width=size[1], step=step, is_bigendian=0, data=data)
