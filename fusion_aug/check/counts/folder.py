"""The project's own format: every stream in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.check.counts.core import Counted, counter
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.stored import count_folder


@counter("folder")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Every stream by the shapes of its arrays and the number of its pictures."""
    files = LogFiles(root, options)
    ids = [str(i) for i in files.json(root / "log.json")["samples"]]
    folders = {i: files.named(f"samples/{i}/streams", f"{root / 'log.json'}: samples") for i in ids}
    return {i: partial(count_folder, files, folder) for i, folder in folders.items()}
