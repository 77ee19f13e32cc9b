"""Sensors of a user's rig file that nothing of the log is of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from calib.nearest_names import listed
from fusion_aug.streams import Points, Stream
from fusion_aug.streams.naming import message_of


def sensors_without_stream(
    told: Mapping[str, Any], streams: Mapping[str, Stream], left_out: Callable[[], Collection[str]], file: str
) -> list[str]:
    """A sentence for every sensor that no stream is of; a scanner may be one of several in a cloud.

    Args:
        told: sensors, as the rig file says them. streams: of a sample.
        left_out: returns names of streams that the log has besides; asked where a sensor has none of the sample's.
        file: the rig file, for messages.
    """
    known = {*streams, *(s.instance(n) for n, s in streams.items())}
    scanners = {frame for s in streams.values() if isinstance(s, Points) for frame in s.origins}
    lost = [str(n) for n, t in told.items() if known.isdisjoint((str(n), message_of(str(n))))
            and not (isinstance(t, Mapping) and t.get("frame") in scanners)]  # fmt: skip
    more = left_out() if lost else ()
    return [
        f"{file}: sensors.{name}: nothing is read of it, since no stream has this name (there are "
        f"{listed(name, streams)}); correct the name, or take the sensor out"
        for name in lost
        if {name, message_of(name)}.isdisjoint(more)
    ]
