"""Replay buffers in Zarr 2: rows of every array between the ends of the episodes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import Counted, Counts, counter, is_excluded, samples_per_frame, streams_of
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.safe.zarr import Store, read_array

PICTURE_AXES = 4  # row, height, width, channel


@counter("zarr")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Frames of every vector and pictures of every camera."""
    files = LogFiles(root, options)
    links = tuple(files.allowed)
    stores = [p.parent for p in (*files.matching(".zgroup"), *files.matching("*.zarr/.zgroup"))]
    path = [*stores, *files.matching("*.zarr.zip")][0]
    store = Store(path, links)
    ends = [int(end) for end in read_array(path, "meta/episode_ends", slice(None), links)]
    arrays = {n: store.facts(f"data/{n}") for n in store.names("data") if not is_excluded(n, options)}
    shapes = {
        n: facts.shape for n, facts in arrays.items()
        if facts is not None and not facts.problem and facts.shape[:1] == (ends[-1],)
    }  # fmt: skip
    spans = zip([0, *ends], ends, strict=False)
    return {f"episode_{k:06d}": partial(count_episode, b - a, shapes, options) for k, (a, b) in enumerate(spans)}


def count_episode(rows: int, shapes: Mapping[str, tuple[int, ...]], options: Mapping[str, Any]) -> Counts:
    """One episode."""
    out: dict[str, dict[str, int]] = {}
    for name, shape in shapes.items():
        if len(shape) < PICTURE_AXES:
            frames = {"frames": rows * samples_per_frame(name, shape[1:], options)}
            out |= dict.fromkeys(streams_of(name, name, options), frames)
        elif len(shape) == PICTURE_AXES and shape[-1] == 3:
            out[name] = {"pictures": rows}
    return out
