"""Sensors of a rig file beside topics: names as those of streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusion_aug.errors import ConfigError


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
