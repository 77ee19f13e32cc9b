"""Classes of masks and grids by other numbers: ``log.classes`` for pixels and cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.streams import LazyColumns, Occupancy, SegmentationMask
from fusion_aug.streams.occupancy import LABEL
from fusion_aug.streams.source import Source

OPTION = "new_numbers"  # of a source: the arguments of ``renumbered`` after the first
DECODERS = ("mask", "occ3d")  # that take it
UNNAMED = -1


def renumbered(ids: Tensor, table: Mapping[int, int], per_class: int, nothing: int) -> Tensor:
    """Numbers with other classes; of classes that are not in the table ``nothing``.

    Args:
        ids: of any shape and whole type. table: class -> new class.
        per_class: how many objects a class may have where numbers hold both, see ``SegmentationMask``; 1 where not.
        nothing: the number that says that nothing is known, which stays.

    Raises:
        DataError: a new number does not fit the type.
    """
    wide = ids.to(torch.int64)
    counted = (wide >= per_class) & (wide != nothing) & (per_class > 1)
    classes, place = torch.unique(torch.where(counted, wide // per_class, wide), return_inverse=True)
    new = torch.tensor([table.get(int(c), UNNAMED) for c in classes.tolist()], dtype=torch.int64)[place]
    out = torch.where(counted, new * per_class + wide % per_class, new)
    out = torch.where((new == UNNAMED) | (wide == nothing), nothing, out)
    limits = torch.iinfo(ids.dtype)
    if out.numel() and not (limits.min <= int(out.min()) and int(out.max()) <= limits.max):
        raise DataError(
            f"log.classes: class {int(new.max())} does not fit {ids.dtype} numbers of {per_class} per class"
        )
    return out.to(ids.dtype)


def as_asked(ids: Tensor, options: Mapping[str, Any]) -> Tensor:
    """The numbers of a file as the options of its source want them."""
    return renumbered(ids, *options[OPTION]) if OPTION in options else ids


def mask_with_new_classes(mask: SegmentationMask, table: Mapping[int, int], names: tuple[str, ...]) -> SegmentationMask:
    """A mask with other classes; files are renumbered when they are read.

    Args:
        mask: of which classes and their names are known. table: class -> new class. names: of the new classes.
    """
    how = (dict(table), mask.per_class if mask.holds == "panoptic" else 1, mask.ignore)
    items = tuple(
        _asking(i, how) if _knows(i) else renumbered(i.value if isinstance(i, Source) else i, *how) for i in mask.items
    )
    return replace(mask, items=items, label_names=names)


def grid_with_new_classes(grid: Occupancy, table: Mapping[int, int], names: tuple[str, ...]) -> Occupancy:
    """A grid with other classes; free cells stay free, those of classes that are not in the table are unknown.

    Args:
        grid: of which the names of classes are known. table: class -> new class. names: of the new classes.
    """
    free, whole = grid.free, dict(table)
    if free is not None and free not in whole:
        taken = {*whole.values(), grid.unknown}
        whole[free] = free if free not in taken else next(i for i in count() if i not in taken)
        longer = list(names) + [""] * (whole[free] + 1 - len(names))
        longer[whole[free]] = grid.label_names[free] if free < len(grid.label_names) else ""
        names = tuple(longer)
    how, values = (whole, 1, grid.unknown), grid.values
    if isinstance(values, LazyColumns) and all(map(_knows, values.sources)):
        new: Any = LazyColumns([_asking(s, how) for s in values.sources], values.names)
    else:
        new = {**values, LABEL: renumbered(values[LABEL], *how)}
    return replace(grid, values=new, label_names=names, free=None if free is None else whole[free])


def _knows(item: Any) -> bool:
    """Whether what is behind an item is a file whose decoder renumbers, so that it need not be read now."""
    return isinstance(item, Source) and item.decoder in DECODERS


def _asking(source: Source, how: tuple[Any, ...]) -> Source:
    return replace(source, options={**source.options, OPTION: how})
