"""What a folder of ALOHA's episodes holds, and what a run makes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, REFUSED, Part

FILE = "episode_*.hdf5"
LENGTHS = "compress_len"  # bytes of every picture in the padded rows, (cameras, frames)
CONTENTS = (
    Part(FILE, CHANGED, "episodes; a copy gets the next number"),
    Part(f"{FILE}:dataset **", CHANGED, "data of the episode; copied byte by byte where nothing changes"),
    Part(f"{FILE}:unread **", REFUSED, "data that nothing reads: kept by a run that changes nothing; see log.exclude"),
    Part(f"{FILE}:excluded **", LEFT_OUT, "data that log.exclude names"),
    Part(f"{FILE}:{LENGTHS}", CHANGED, "bytes of every compressed picture, counted again"),
    Part(f"{FILE}:@*", KEPT, "attributes of the episode: sim, compress"),
    Part(f"{FILE}:attribute **", KEPT, "attributes of groups and datasets"),
)


def fields_of(
    file: Any, datasets: Collection[str], unread: Collection[str], is_excluded: Callable[[str], bool]
) -> list[str]:
    """Datasets and attributes of a file; those that nothing reads by their own path.

    Args:
        file: open. datasets: that are read. unread: that are copied as they are.
        is_excluded: whether a dataset is to be left out.
    """
    found = {f"@{n}" for n in file.attrs}

    def look(name: str, item: Any) -> None:
        found.update(f"attribute {name}@{n}" for n in item.attrs)
        if not hasattr(item, "keys"):
            word = (
                "excluded " if is_excluded(name) else "dataset " if name in datasets else "unread " * (name in unread)
            )
            found.add(f"{word}{name}")

    file.visititems(look)
    return sorted(found)
