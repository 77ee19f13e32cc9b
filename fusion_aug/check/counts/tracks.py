"""Trajectories of ``log.past`` and ``log.future``: waypoints of every sample, counted by names and times."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from fusion_aug.check.counts.core import Counted, Counts

STREAM = "waypoints"


class Moment(NamedTuple):
    """Scene, time (ns) and tracks with a box of a sample."""

    scene: str
    time: int
    tracks: Collection[str]


def asks_for_tracks(options: Mapping[str, Any]) -> bool:
    """Whether a log is read with waypoints."""
    return options.get("past") is not None or options.get("future") is not None


def with_tracks(found: Counted, options: Mapping[str, Any], moment: Callable[[str], Moment]) -> Counted:
    """Counts with those of the waypoints, where they are asked for and every box of the log is read.

    Args:
        found: of a log. options: it is read with. moment: of a sample of ``found``.
    """
    chosen = options.get("classes") is not None or options.get("bad_boxes") not in (None, "refuse")
    if not asks_for_tracks(options) or chosen:
        return found
    of_sample = cache(moment)

    @cache
    def scenes() -> dict[str, list[Moment]]:
        out: dict[str, list[Moment]] = {}
        for sample in found:
            out.setdefault(of_sample(sample).scene, []).append(of_sample(sample))
        return out

    def count(sample: str) -> Counts:
        own = of_sample(sample)
        past, future = (round(float(options.get(name) or 0) * 1e9) for name in ("past", "future"))
        near = [m for m in scenes()[own.scene] if -past <= m.time - own.time <= future]
        rows = len(near) + sum(len(set(own.tracks) & set(m.tracks)) for m in near)  # the vehicle is in each
        return {**found[sample](), STREAM: {"items": 1, "rows": rows}}

    return {sample: partial(count, sample) for sample in found}


__all__ = ["STREAM", "Moment", "asks_for_tracks", "with_tracks"]
