"""Files that the account of a run calls kept: they are in the output, byte for byte, and tables of kept fields as such.

An output may also have something else than a file in the place of one, which nothing but training code would open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import same_content
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.measurement import Row
from fusion_aug.check.path_patterns import PathPattern
from fusion_aug.errors import DataError
from fusion_aug.sample.manifest import NAME, mirrors_input

KEPT, FIELD = "kept", ":"
MAX_PATTERNS = 1000
NO_ACCOUNT = "the manifest is of a version that wrote no account of files"


def compare_kept_files(
    source: Path, out: Path, header: Mapping[str, Any], suffixes: Iterable[str], options: Mapping[str, Any]
) -> Iterator[Row]:
    """A row for every kind of file, and every table, that is kept, and one for what is no file in the place of one.

    Args:
        source, out: roots of the logs. header: of the manifest.
        suffixes: of the copies of a run, "" for the log itself; a copy may lie in a folder of its own.
        options: of the source.

    Raises:
        DataError: the account in the header is damaged.
    """
    files = LogFiles(source, options)
    endings = list(dict.fromkeys(("", *suffixes)))  # what all copies share lies in its own place
    yield from rows_of_no_files(source, out, endings)
    if not isinstance(header.get("account"), Mapping) or "files" not in header["account"]:
        yield Row.not_compared("files kept", "all", NO_ACCOUNT)
        return
    where = f"{out / NAME}: account"
    kept = {name: count for name, (count, fates) in groups_of(header, "files", where).items() if fates == {KEPT}}
    tables, others = kept_tables(header, where)
    found = files_of(files, [*kept, *tables], where)
    mixed = {path for paths in files_of(files, others, where).values() for path in paths}
    for name, count in {**tables, **kept}.items():
        same = same_content if name in kept else same_json
        states = [state_of(source, out, p, endings, anything if p in mixed else same) for p in found[name]]
        missing = max(0, count - sum(s is not None for s in states))
        if missing or name in kept:
            yield Row("files missing", name, "files", 0, np.array([float(missing)]))
        changed = sum(s is False for s in states)
        if changed:
            yield Row("files changed since", name, "files", 0, np.array([float(changed)]))


# --- the account -----------------------------------------------------------------------------------------------------
def groups_of(header: Mapping[str, Any], what: str, where: str) -> dict[str, tuple[int, set[str]]]:
    """Pattern of files or tables -> how many there are at most of one group, and all fates of its groups.

    Args:
        header: of the manifest. what: ``files``, or ``fields``, whose names are without the field here.
        where: file and field, for messages.

    Raises:
        DataError: the account is damaged.
    """
    out: dict[str, tuple[int, set[str]]] = {}
    try:
        for group in header["account"].get(what, ()):
            name, fate = str(group["name"]).partition(FIELD)[0], str(group["fate"])
            count, fates = out.get(name, (0, set()))
            fate = fate if group.get("understood", True) or what == "fields" else "not understood"
            out[name] = max(count, int(group["count"])), {*fates, fate}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{where}: {what}: is damaged ({error!r})") from None
    if len(out) > MAX_PATTERNS:
        raise DataError(f"{where}: {what}: names {len(out)} kinds of files, more than the {MAX_PATTERNS} of an account")
    return out


def kept_tables(header: Mapping[str, Any], where: str) -> tuple[dict[str, int], list[str]]:
    """Pattern of JSON tables whose fields are all kept -> how many there are, and patterns of those with other fields.

    A table may match several patterns: fields that are not understood have one of their own. Both are empty where the
    output is of another format than the source.
    """
    if not mirrors_input(header):
        return {}, []
    groups = {n: found for n, found in groups_of(header, "fields", where).items() if n.endswith(".json")}
    kept = {name: count for name, (count, fates) in groups.items() if fates == {KEPT}}
    return kept, [name for name in groups if name not in kept]


def files_of(files: LogFiles, patterns: Sequence[str], where: str) -> dict[str, list[str]]:
    """Pattern -> paths of its files; a file is of the first pattern that it matches."""
    known = {name: PathPattern(name, where) for name in patterns}
    found: dict[str, list[str]] = {name: [] for name in patterns}
    for path in files.below() if known else ():
        name = next((n for n, p in known.items() if p.matches(path)), None)
        if name is not None:
            found[name].append(path)
    return found


# --- files -----------------------------------------------------------------------------------------------------------
def state_of(
    source: Path, out: Path, path: str, suffixes: Iterable[str], same: Callable[[Path, Path], bool] = same_content
) -> bool | None:
    """Whether all copies of a file in the output are as in the source; None where there is none."""
    there = [c for c in candidates(path, suffixes) if (out / c).is_file()]
    return all(same(source / path, out / c) for c in there) if there else None


def anything(one: Path, other: Path) -> bool:
    """Two files of which some fields are not kept need only be there."""
    return True


def same_json(one: Path, other: Path) -> bool:
    """Whether two files say the same in JSON; a damaged one does not."""
    try:
        texts = [json.dumps(LogFiles(p.parent).json(p), sort_keys=True) for p in (one, other)]
    except (DataError, RecursionError):
        return False
    return texts[0] == texts[1]


def candidates(path: str, suffixes: Iterable[str]) -> Iterator[str]:
    """Where a file may lie in an output: in its place, or below a folder that belongs to a copy."""
    folders = path.split("/")
    for suffix in suffixes:
        if not suffix:
            yield path
            continue
        for i in range(len(folders) - 1):
            yield "/".join([*folders[:i], folders[i] + suffix, *folders[i + 1 :]])


def rows_of_no_files(source: Path, out: Path, suffixes: Sequence[str]) -> Iterator[Row]:
    """A failed row for each pipe, device or broken link in an output, and each folder in the place of a file."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(out / folder) as entries:
            listed = sorted(entries, key=lambda e: e.name)
        for entry in listed:
            path = f"{folder}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{path}/")
            if not entry.is_file() and not (entry.is_dir() and not in_place_of_a_file(source, path, suffixes)):
                yield Row("no regular file", path, "files", 0, np.ones(1))


def in_place_of_a_file(source: Path, path: str, suffixes: Iterable[str]) -> bool:
    """Whether a path of the output, or what it is a copy of, is that of a file in the source."""
    parts = path.split("/")
    copied = [
        "/".join([*parts[:i], part.removesuffix(suffix), *parts[i + 1 :]])
        for suffix in suffixes for i, part in enumerate(parts) if suffix and part.endswith(suffix)
    ]  # fmt: skip
    return any((source / p).is_file() for p in (path, *copied))
