"""Streams to ROS 2 messages: changed values are put into a copy of the original message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.file import typestore
from fusion_aug.logs.mcap.vectors import NUMBERS, write_numbers
from fusion_aug.streams import Stream, Taxels

Writer = Callable[[Any, Any, int], Any]
WRITERS: dict[type[Stream], Writer] = {}


def register_writer(kind: type[Stream]) -> Callable[[Writer], Writer]:
    """Register the function that puts an item of a kind of stream into a message."""

    def register(function: Writer) -> Writer:
        WRITERS[kind] = function
        return function

    return register


def to_message(stream: Stream, item: int, template: Any) -> Any:
    """Return the message of one item; what the stream does not hold is taken from a template.

    Raises:
        DataError: the kind of stream has no message.
    """
    if str(getattr(template, "__msgtype__", "")) in NUMBERS and not isinstance(stream, Taxels):
        return write_numbers(stream, template, item)
    for kind in type(stream).__mro__:
        if kind in WRITERS:
            return WRITERS[kind](stream, template, item)
    raise DataError(f"{type(stream).__name__} has no ROS 2 message")


def vector(v: Tensor) -> Any:
    """A geometry_msgs/Vector3."""
    return typestore().types["geometry_msgs/msg/Vector3"](*(float(x) for x in v))


@register_writer(Taxels)
def taxels(stream: Taxels, template: Any, i: int) -> Any:
    """Write forces as the numbers of a MultiArray, in their original order."""
    return replace(template, data=stream["force"][i].numpy().astype(np.asarray(template.data).dtype))
