"""Sensors of a rig file beside topics: names as those of streams, and sensors that nothing in the recordings is of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.streams import Points, Stream
from fusion_aug.streams.naming import message_of


def without_slashes(listed: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The sensors of a rig file under the names of streams, which begin and end without the slash of a topic.

    Args:
        listed: sensors, as the rig file says them. file: the rig file, for messages.

    Raises:
        ConfigError: one is listed with and without it.
    """
    out: dict[str, Any] = {}
    for key, told in listed.items():
        name = str(key).strip("/")
        if name in out:
            raise ConfigError(f"{file}: sensors.{key}: is listed twice, with and without its slash; leave one out")
        partner = told.get("mirror_of") if isinstance(told, Mapping) else None
        out[name] = {**told, "mirror_of": partner.strip("/")} if isinstance(partner, str) else told
    return out


def sensors_without_topic(
    listed: Mapping[str, Any], named: Collection[str], streams: Mapping[str, Stream], file: str
) -> list[str]:
    """A sentence for every sensor that no topic is of, and no stream; a scanner may be one of several in a cloud.

    Args:
        listed: sensors, as the rig file says them. named: names of the streams of all topics, those left out too.
        streams: of a sample, which a sidecar may have added to. file: the rig file, for messages.
    """
    known = {*named, *streams, *(s.instance(n) for n, s in streams.items())}
    scanners = {frame for s in streams.values() if isinstance(s, Points) for frame in s.origins}
    lost = {str(n): told for n, told in listed.items() if known.isdisjoint((str(n), message_of(str(n))))}
    return [
        f"{file}: sensors.{name}: nothing is read of it, since no topic has this name (there are "
        f"{', '.join(sorted(named))}); correct the name, or take the sensor out"
        for name, told in lost.items()
        if told.get("frame") not in scanners
    ]
