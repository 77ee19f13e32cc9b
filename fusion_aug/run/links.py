"""Links in outputs: a run makes none that lead out of its folder, so such a link is of others and not followed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusion_aug.errors import DataError
from fusion_aug.logs.core.tree import Tree


def refuse_links(
    out: Path, names: Sequence[str] | None = None, follow_links: str | Sequence[str] | None = None
) -> None:
    """Raise if a link below an output leads out of it, nowhere or in a circle.

    Args:
        out: the output, which may be a link itself, or need not exist.
        names: what in it is looked at, from its root; by default all of it.
        follow_links: folders to which links may lead, see ``Tree``.

    Raises:
        DataError: one does.
    """
    tree = Tree(out, follow_links)
    found = (tree.refusal(out / n) for n in names) if names is not None else (e.refusal for e in tree.files())
    refusal = next((r for r in found if r is not None), None)
    if refusal is not None:
        raise DataError(f"{out}: {refusal.partition('; to follow it')[0]}; a run makes no such links, remove it")
