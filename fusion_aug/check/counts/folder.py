"""The project's own format: every stream in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import Counted, counter, read_json
from fusion_aug.check.counts.stored import count_streams


@counter("folder")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Every stream by the shapes of its arrays and the number of its pictures."""
    ids = [str(i) for i in read_json(root / "log.json")["samples"]]
    return {i: partial(count_streams, root / "samples" / i / "streams") for i in ids}
