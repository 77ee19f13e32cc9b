"""The manifest: one line for the run, one for every sample. It reproduces each of them.

It holds no wall time, host, absolute path or worker count; those go to ``run.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib.regular_files import is_there, open_regular, read_regular_text, status
from fusion_aug.errors import DataError
from fusion_aug.safe.guard import reads_file
from fusion_aug.sample.history import History, history_from_json

VERSION = 1
ANEW = "made_anew"  # of a header, where an output of the input's format does not mirror its tree
NAME = "manifest.jsonl"
MAX_BYTES = 4 * 2**30
MAX_HEADER_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Entry:
    """One sample of a run.

    Attributes:
        id: of the output. source: of the input. copy, epoch: which copy, drawn in which epoch.
        digest: of the files written for it.
        history: what was done.
    """

    id: str
    source: str
    copy: int
    epoch: int
    digest: str
    history: History


@dataclass(frozen=True)
class Manifest:
    """A run and its samples.

    Attributes:
        header: its first line. entries: the others. where: its file, for messages.
    """

    header: dict[str, Any]
    entries: list[Entry]
    where: str = "the manifest"

    def entry(self, sample_id: str) -> Entry:
        """The sample with an id.

        Raises:
            DataError: there is none.
        """
        for entry in self.entries:
            if entry.id == sample_id:
                return entry
        known = ", ".join(e.id for e in self.entries[:3])
        raise DataError(
            f"{self.where}: there is no sample {sample_id!r} (it has {known}{', ...' if len(self.entries) > 3 else ''})"
        )


@reads_file
def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        DataError: it is missing, damaged, or of another version.
    """
    path = path / NAME if path.is_dir() else path
    try:
        if status(path).st_size > MAX_BYTES:
            raise DataError(f"{path}: is larger than a manifest may be")
        lines = read_regular_text(path, most=MAX_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise DataError(f"{path}: line {number} is not JSON") from None
    if not rows or not isinstance(rows[0], dict) or rows[0].get("manifest") != VERSION:
        raise DataError(f"{path}: line 1: expected the header of a manifest of version {VERSION}")
    missing = [k for k in ("format", "output", "lossy") if k not in rows[0]]
    if missing:
        raise DataError(f"{path}: line 1: {missing[0]} is missing")
    entries = []
    for number, row in enumerate(rows[1:], 2):
        where = f"{path}: line {number}"
        try:
            history = history_from_json(row["history"], where)
            source, copy = str(row["source"]), int(row["copy"])
            entry = Entry(str(row["id"]), source, copy, int(row["epoch"]), str(row["digest"]), history)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{where}: {error} is missing or of a wrong type") from None
        if entry.id != output_id(source, copy):
            raise DataError(f"{where}: id: {entry.id!r} is not the id of copy {copy} of {source!r}")
        entries.append(entry)
    return Manifest(rows[0], entries, str(path))


def manifest_header(path: Path) -> dict[str, Any]:
    """First line of a manifest; empty where there is none, or it is none of ours."""
    if not is_there(path):
        return {}
    with open_regular(path) as file:
        line = file.readline(MAX_HEADER_BYTES)
    try:
        header = json.loads(line)
    except ValueError:
        return {}
    return header if isinstance(header, dict) and header.get("manifest") == VERSION else {}


def mirrors_input(header: Mapping[str, Any]) -> bool:
    """Whether an output is of its input's format and mirrors its tree, by the first line of its manifest.

    Args:
        header: with ``ANEW`` where all tables were made anew, as mixed keyframes of nuScenes need it.
    """
    return header.get("format") == header.get("output", header.get("format")) and not header.get(ANEW)


def output_id(sample_id: str, copy: int) -> str:
    """Id of a copy: the source's for copy 0, ``<id>__k`` for the others."""
    return sample_id if copy == 0 else f"{sample_id}__{copy}"


def tree_digest(folder: Path) -> str:
    """blake2b of the names and bytes of all files below a folder."""
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(path.relative_to(folder).as_posix().encode())
        own = hashlib.blake2b(digest_size=16)
        with open_regular(path) as file:
            while block := file.read(2**20):  # it may be larger than the memory
                own.update(block)
        total.update(own.digest())
    return total.hexdigest()
