"""Files that the account of a run calls kept: they are in the output, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import same_content
from fusion_aug.check.counts.core import files_below
from fusion_aug.check.measurement import Row

KEPT = "kept"
WORDS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
NO_ACCOUNT = "the manifest is of a version that wrote no account of files"


def compare_kept_files(
    source: Path, out: Path, header: Mapping[str, Any], suffixes: Iterable[str], options: Mapping[str, Any]
) -> Iterator[Row]:
    """A row for every kind of file that is kept.

    Args:
        source, out: roots of the logs. header: of the manifest.
        suffixes: of the copies of a run, "" for the log itself; a copy may lie in a folder of its own.
        options: of the source.
    """
    account = header.get("account")
    if not isinstance(account, Mapping) or "files" not in account:
        yield Row.not_compared("files kept", "all", NO_ACCOUNT)
        return
    groups = [g for g in account["files"] if g["fate"] == KEPT and g.get("understood", True)]
    patterns = {g["name"]: re.compile(expression(g["name"])) for g in groups}
    found: dict[str, list[str]] = {name: [] for name in patterns}
    for path in files_below(source, options) if patterns else ():
        name = next((n for n, p in patterns.items() if p.fullmatch(path)), None)
        if name is not None:
            found[name].append(path)
    endings = list(dict.fromkeys(("", *suffixes)))  # what all copies share lies in its own place
    for group in groups:
        states = [state_of(source, out, path, endings) for path in found[group["name"]]]
        missing = max(0, int(group["count"]) - sum(s is not None for s in states))
        yield Row("files missing", group["name"], "files", 0, np.array([float(missing)]))
        changed = sum(s is False for s in states)
        if changed:
            yield Row("files changed since", group["name"], "files", 0, np.array([float(changed)]))


def state_of(source: Path, out: Path, path: str, suffixes: Iterable[str]) -> bool | None:
    """Whether all copies of a file in the output are as in the source; None where there is none."""
    there = [c for c in candidates(path, suffixes) if (out / c).is_file()]
    return all(same_content(source / path, out / c) for c in there) if there else None


def candidates(path: str, suffixes: Iterable[str]) -> Iterator[str]:
    """Where a file may lie in an output: in its place, or below a folder that belongs to a copy."""
    folders = path.split("/")
    for suffix in suffixes:
        if not suffix:
            yield path
            continue
        for i in range(len(folders) - 1):
            yield "/".join([*folders[:i], folders[i] + suffix, *folders[i + 1 :]])


def expression(pattern: str) -> str:
    """Regular expression of a pattern of paths: ``*`` ends at a slash, ``**`` does not."""
    words = re.split(r"(\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(WORDS.get(w) or (w if w.startswith("[") else re.escape(w)) for w in words)
