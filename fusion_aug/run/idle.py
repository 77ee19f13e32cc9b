"""Transforms that a log holds nothing for: a run would copy its samples in silence."""

from __future__ import annotations

from collections.abc import Iterable

from fusion_aug.core.compose import named_leaves
from fusion_aug.core.registry import has_rules, is_invariant, resolve
from fusion_aug.core.transform import Transform
from fusion_aug.errors import USER_ERRORS
from fusion_aug.run.job import Job
from fusion_aug.streams import Stream


def idle_notes(job: Job) -> list[str]:
    """What is to be said of transforms that the first sample holds nothing for.

    Returns:
        no sentence, or one: of these transforms, or that the whole pipeline does nothing.
    """
    try:
        kinds = {type(s) for s in job.log.read(job.tasks[0][0]).streams.values()}
    except USER_ERRORS:  # a sample that is skipped
        return []
    asked = [(path, leaf) for path, leaf in named_leaves(job.planned) if leaf.p > 0]
    idle = [path for path, leaf in asked if not acts_on(leaf, kinds)]
    if not idle:
        return []
    if len(idle) < len(asked):
        return [f"the first sample holds nothing for these to act on: {', '.join(idle)}"]
    held = ", ".join(sorted(kind.__name__ for kind in kinds))
    return [
        f"nothing in the pipeline acts on this log, so that every sample stays as it is: the first one holds {held}; "
        f"fusion-aug explain {type(asked[0][1]).__name__} tells what {asked[0][0]} acts on"
    ]


def acts_on(transform: Transform, kinds: Iterable[type[Stream]]) -> bool:
    """Whether a transform has a rule for one of some kinds of streams, or works without: on a rig, by partners."""
    cls = type(transform)
    return not has_rules(cls) or any(resolve(cls, k) and not is_invariant(cls, k) for k in kinds)
