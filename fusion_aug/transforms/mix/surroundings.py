"""Streams about the surroundings that a mix makes untrue: maps, grids, key points, sentences."""

from __future__ import annotations

from collections.abc import Mapping

from fusion_aug.errors import ConfigError
from fusion_aug.streams import Keypoints2D, Keypoints3D, MapElements, Occupancy, PlanarScan, Stream, Text

UNTRUE = (MapElements, Occupancy, Keypoints2D, Keypoints3D, PlanarScan)


def without_surroundings(who: str, streams: Mapping[str, Stream], captions: str) -> dict[str, Stream]:
    """Streams without those that say something of what was given up; the account names what they lose.

    Args:
        who: the transform, for messages. streams: by name. captions: "refuse" or "drop".

    Raises:
        ConfigError: there is a sentence about the scene, and it is not to be dropped.
    """
    told = [n for n, s in streams.items() if isinstance(s, Text)]
    if told and captions != "drop":
        raise ConfigError(
            f"{who}: {told[0]!r} says something of a scene of which a part becomes another; drop it with captions=drop"
        )
    return {n: s for n, s in streams.items() if not isinstance(s, (*UNTRUE, Text))}
