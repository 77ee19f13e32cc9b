"""Streams of sensors that swap names in a mirror."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calib.replacing import replace_unchecked
from fusion_aug.sample import Sample, merge
from fusion_aug.streams import Stream


def with_renamed_streams(sample: Sample, names: Mapping[str, str], indices: Sequence[int]) -> Sample:
    """The sample with streams renamed in some samples of a batch; ``CAM/depth`` follows ``CAM``."""
    renamed = {n: _renamed(n, s, names) for n, s in sample.streams.items()} if names else {}
    changed = {n: (new, s) for n, (new, s) in renamed.items() if new != n or s is not sample.streams[n]}
    if not changed:
        return sample
    if len(indices) < len(sample.metas):  # only what is renamed is taken apart
        rest = [u for u in range(len(sample.metas)) if u not in set(indices)]
        before = sample.with_streams({n: sample.streams[n] for n in changed})
        part = before.take(indices)
        parts = [with_renamed_streams(part, names, range(len(indices))), before.take(rest)]
        streams = dict(merge(parts, order=[*indices, *rest]).streams)
    else:
        streams = dict(changed.values())
    # a name that is still there keeps its place, a new one takes that of its source
    order = [n if n in streams or n not in changed else changed[n][0] for n in sample.streams]
    found = {**{n: s for n, s in sample.streams.items() if n not in changed}, **streams}
    return sample.with_streams({n: found[n] for n in dict.fromkeys((*order, *streams))})


def _renamed(name: str, stream: Stream, names: Mapping[str, str]) -> tuple[str, Stream]:
    """New name of a stream, and the stream with its frames and camera renamed; the same where nothing is."""
    head, _, tail = name.partition("/")
    new = names.get(name, names.get(head, head) + (f"/{tail}" if tail else ""))
    changes: dict[str, Any] = {k: names.get(getattr(stream, k), getattr(stream, k)) for k in ("frame", "child")}
    if getattr(stream, "camera", ""):
        changes["camera"] = names.get(stream.camera, stream.camera)  # type: ignore[attr-defined]
    differs = any(getattr(stream, k) != v for k, v in changes.items())
    return new, replace_unchecked(stream, **changes) if differs else stream
