"""What a format holds: for every kind of file and every field of its tables, what a run makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

KEPT, CHANGED, REFUSED, LEFT_OUT = FATES = ("kept", "changed", "refused", "left out")
FIELD = ":"  # between the pattern of a file and that of a field of its table


class Part(NamedTuple):
    """A kind of file below a log's root, or of fields of its tables.

    Attributes:
        pattern: of paths from the root, ``training/image_[23]/*.png`` (``*`` ends at a slash, ``**`` does not), or of
            the fields of a table, ``v1.0-*/sample_data.json:timestamp``.
        fate: what a run makes of it: ``kept`` as it is; ``changed`` where the pipeline changes what it says;
            ``refused``: a pipeline that would make it wrong is refused; ``left out``.
        about: what it is, and of what is left out why, and what to do about it.
    """

    pattern: str
    fate: str
    about: str


# what a run writes besides the files of a format
OWN_PARTS = (
    Part("fusion_aug/**", CHANGED, "sidecar: what the format has no place for"),
    Part("manifest.jsonl", LEFT_OUT, "of the run that wrote this log; a run writes one of its own"),
    Part("run.json", LEFT_OUT, "of the run that wrote this log; a run writes one of its own"),
)


def part_of(path: str, parts: Iterable[Part]) -> Part | None:
    """Return the first part whose pattern a path or a field matches; None if it is not understood.

    Args:
        path: a path from the root, with slashes, or ``PATH:FIELD``.
        parts: of a format, the special before the general.
    """
    return next((p for p in (*parts, *OWN_PARTS) if _expression(p.pattern).fullmatch(path)), None)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    words = re.split(r"(\*\*|\*|\?|\[[^\]]+\])", pattern)
    special = {"**": ".*", "*": f"[^/{FIELD}]*", "?": f"[^/{FIELD}]"}
    return re.compile("".join(special.get(w) or (w if w.startswith("[") else re.escape(w)) for w in words))
