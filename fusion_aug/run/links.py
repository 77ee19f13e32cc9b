"""What a run does not make in its output: links that lead out of it, pipes, sockets, devices. They are of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusion_aug.errors import DataError
from fusion_aug.logs.core.tree import Entry, Tree


def refuse_links(
    out: Path, names: Sequence[str] | None = None, follow_links: str | Sequence[str] | None = None
) -> None:
    """Raise if a link below an output leads out of it, nowhere or in a circle, or if something is no file or folder.

    Args:
        out: the output, which may be a link itself, or need not exist.
        names: what in it is looked at, from its root; by default all of it.
        follow_links: folders to which links may lead, see ``Tree``.

    Raises:
        DataError: one does.
    """
    tree = Tree(out, follow_links)
    found = (tree.refusal(out / n) for n in names) if names is not None else map(_refusal, tree.files())
    refusal = next((r for r in found if r is not None), None)
    if refusal is not None:
        raise DataError(f"{out}: {refusal.partition('; to follow it')[0]}; a run makes nothing of the kind, remove it")


def _refusal(entry: Entry) -> str | None:
    return f"{entry.found} is neither a file nor a folder" if entry.is_odd else entry.refusal
