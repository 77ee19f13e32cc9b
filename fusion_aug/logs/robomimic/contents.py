"""What a folder with a robomimic file holds, and what a run makes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, REFUSED, Part

FILE = "*.h*5"
CONTENTS = (
    Part("*.hdf5", CHANGED, "demonstrations"),
    Part("*.h5", CHANGED, "demonstrations"),
    Part(f"{FILE}:dataset **", CHANGED, "data of the demonstrations"),
    Part(f"{FILE}:group **", REFUSED, "groups that nothing reads: kept by a run that changes nothing; see log.exclude"),
    Part(f"{FILE}:excluded **", LEFT_OUT, "data that log.exclude names"),
    Part(f"{FILE}:mask/*", CHANGED, "lists of demonstrations; a copy is in the lists of its source"),
    Part(f"{FILE}:data@total", CHANGED, "number of frames, counted again"),
    Part(f"{FILE}:data/demo@num_samples", CHANGED, "number of frames, counted again"),
    Part(f"{FILE}:@*", KEPT, "attributes of the file"),
    Part(f"{FILE}:data@*", KEPT, "attributes of all demonstrations"),
    Part(f"{FILE}:data/demo@*", KEPT, "attributes of a demonstration"),
    Part(f"{FILE}:attribute **", KEPT, "attributes of its data"),
)


def fields_of(
    file: Any, datasets: Collection[str], groups: Collection[str], is_excluded: Callable[[str], bool]
) -> list[str]:
    """Datasets, groups and attributes of a file; those that nothing reads by their own path.

    Args:
        file: open. datasets: of a demonstration that are read. groups: that are copied unread.
        is_excluded: whether a dataset or group is to be left out.
    """
    found = {f"@{n}" for n in file.attrs} | {f"data@{n}" for n in file["data"].attrs}
    found |= {f"mask/{n}" for n in file.get("mask", ())} | {n for n in file if n not in ("data", "mask")}
    for demo in file["data"].values():
        found |= {f"data/demo@{n}" for n in demo.attrs}
        for name in (*(n for n in demo if n != "obs"), *(f"obs/{n}" for n in demo.get("obs", ()))):
            word = "excluded " if is_excluded(name) else "dataset " if name in datasets else "group " * (name in groups)
            found.add(f"{word}{name}" if word else f"data/demo/{name}")
            member = demo.get(name)
            found |= {f"attribute {name}@{n}" for n in getattr(member, "attrs", ()) if name in datasets}
    return sorted(found)
