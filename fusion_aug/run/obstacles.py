"""What a pipeline would have to change that a log does not understand: all of it in one list, before the first byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from calib.sides import other_side
from fusion_aug.core.compose import named_leaves
from fusion_aug.core.engine import Run
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, Obstacle
from fusion_aug.logs import Log
from fusion_aug.sample import Sample
from fusion_aug.streams import Opaque, Stream

MOST_NAMED = 50  # obstacles of a message


@dataclass
class _Found:
    """Where something is in the way: in which recordings, and of which transforms."""

    transforms: dict[str, None] = field(default_factory=dict)
    recordings: dict[str, None] = field(default_factory=dict)


def refuse_obstacles(pipeline: Transform, log: Log) -> None:
    """Stop if a pipeline would have to change what a log cannot, as far as its first messages tell.

    Raises:
        ConfigError: naming every topic, the transforms, the reason and the remedy.
    """
    found: dict[tuple[str, str, str], _Found] = {}
    tried: dict[tuple[object, ...], list[Obstacle]] = {}
    for recording, sample in log.probes():
        for name, stream in sample.streams.items():
            facts = (name, stream.frame, type(stream), *_told_of(stream))
            if facts not in tried:
                tried[facts] = list(obstacles_of(pipeline, sample, name))
            for obstacle in tried[facts]:
                one = found.setdefault((obstacle.place, obstacle.reason, obstacle.remedy), _Found())
                one.transforms[obstacle.transform] = one.recordings[recording] = None
    if found:
        told = [_sentence(*key, one) for key, one in found.items()]
        more = f"; and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
        places = {place for place, _, _ in found}
        count = "one topic" if len(places) == 1 else f"{len(places)} topics"
        raise ConfigError(
            f"{log.root}: the pipeline would have to change {count} that cannot be changed: "
            + "; ".join(f"({k}) {t}" for k, t in enumerate(told[:MOST_NAMED], 1)) + more
        )  # fmt: skip


def _told_of(stream: Stream) -> tuple[object, ...]:
    """What the user and the log tell of a stream, besides its values."""
    if not isinstance(stream, Opaque):
        return ()
    return stream.place, stream.reason, stream.ways, stream.like, stream.untouched_by


def _sentence(place: str, reason: str, remedy: str, one: _Found) -> str:
    names = list(one.recordings)
    where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more recordings"
    return f"{place} in {where}: {', '.join(one.transforms)} would have to change it, but {reason}; {remedy}"


def obstacles_of(pipeline: Transform, sample: Sample, name: str) -> Iterator[Obstacle]:
    """What stops each transform of a pipeline at a stream, by applying it to that stream and its partner alone.

    A transform that needs more of a sample than is there is not asked.

    Args:
        pipeline: whose transforms are tried, each by itself. sample: with the stream. name: of it.
    """
    pair = dict.fromkeys((name, other_side(name, sample.streams)))
    alone = Sample(metas=sample.metas, streams={n: sample.streams[n] for n in pair})
    for path, leaf in named_leaves(pipeline):
        if leaf.p <= 0:
            continue
        run = Run(Keys(), Context({}))
        try:
            params = leaf.sample_params(np.random.default_rng(0), alone, run.context)
            if leaf.dense_noise:
                params["noise"] = run.keys.key(name, path, "noise", "")
            run.flush(run.apply_drawn(type(leaf), alone, [{"": params}], path))
        except Obstacle as error:
            yield error
        except Exception:  # of whatever else is missing; if it is none, the first sample says so
            continue
