"""Selection of sensors (or joints, categories, ids) by names and shell patterns, in one way everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from fusion_aug.streams import Points, Radar, Stream


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches one of the patterns; case matters, on every system."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def is_selected(stream: Stream, name: str, patterns: Iterable[str]) -> bool:
    """Whether the sensor of a stream matches one of the patterns.

    Args:
        stream: any; a depth image or a mask belongs to its camera.
        name: of the stream.
        patterns: of sensors.
    """
    return matches(stream.instance(name), patterns)


def unmatched(patterns: Iterable[str], known: Iterable[str]) -> list[str]:
    """The patterns that match none of the known names."""
    names = list(known)
    return [p for p in patterns if not any(fnmatchcase(n, p) for n in names)]


def scans(streams: Mapping[str, Stream]) -> dict[str, Points]:
    """Clouds of scanners: every stream of points but those of radars."""
    return {n: s for n, s in streams.items() if isinstance(s, Points) and not isinstance(s, Radar)}
