"""Gradients: what asks for one, what carries one, and refusal where a transform would drop it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fusion_aug.core.parameters import DrawnParameters
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.some_of_batch import looked_at
from fusion_aug.streams import Stream
from fusion_aug.streams.deferred import Deferred
from fusion_aug.streams.held_columns import HeldColumns
from fusion_aug.streams.on_device import PictureOnDevice
from fusion_aug.streams.source import Source

PLAIN = frozenset((float, int, str, bool, type(None)))


def tensors_with_gradient(value: Any, seen: set[int] | None = None) -> Iterator[Tensor]:
    """Every tensor that requires a gradient in a tensor, container, sample, stream, rig or image map.

    What still lies in files is not read: nothing there has a gradient.
    """
    seen = set() if seen is None else seen
    if (
        id(value) in seen
        or value is None
        or isinstance(value, str | int | float | HeldColumns | Source | Deferred | PictureOnDevice)
    ):
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        if value.requires_grad:
            yield value
        return
    if isinstance(value, Mapping):
        inside: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple | set):
        inside = value
    else:
        inside = getattr(value, "__dict__", {}).values()
    for part in inside:
        yield from tensors_with_gradient(part, seen)


def asks_gradient(value: Any) -> bool:
    """Whether a gradient is asked of anything in a value, and torch keeps track of it."""
    return torch.is_grad_enabled() and not _is_plain(value) and next(tensors_with_gradient(value), None) is not None


def _is_plain(value: Any) -> bool:
    """Whether a value consists of numbers, text and containers of them alone, as most drawn parameters do."""
    kind = type(value)
    if kind in PLAIN:
        return True
    if kind not in (dict, list, tuple):
        return False
    inside = value.values() if kind is dict else value
    return all(type(part) in PLAIN or _is_plain(part) for part in inside)


def numbers_alone(value: Any) -> Any:
    """Drawn parameters with numbers in the place of tensors of one, which drops their gradients."""
    if isinstance(value, Tensor):
        return value.detach().item() if value.ndim == 0 else value.detach()
    if isinstance(value, Mapping):
        return {k: numbers_alone(v) for k, v in value.items()}
    return type(value)(map(numbers_alone, value)) if type(value) in (list, tuple) else value


def depends_on(results: Iterable[Tensor], source: Tensor) -> bool:
    """Whether the gradient of any of the results reaches a tensor."""
    nodes: list[Any] = []
    for result in results:
        if result is source:
            return True
        nodes.append(result.grad_fn)
    seen = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        if node is source.grad_fn or getattr(node, "variable", None) is source:
            return True
        seen.add(node)
        nodes += [before for before, _ in node.next_functions]
    return False


def check_parameters(who: str, drawn: DrawnParameters, result: Any) -> None:
    """Raise where a gradient is asked of a parameter that the result of a transform does not depend on.

    Args:
        who: the transform, for the message.
        drawn: its parameters, of all samples and instances.
        result: sample, or pending maps.

    Raises:
        DataError: the gradient would be lost.
    """
    if not asks_gradient(drawn):
        return
    results = list(tensors_with_gradient(result))
    for name, value in (pair for rows in drawn if rows for params in rows.values() for pair in params.items()):
        for parameter in tensors_with_gradient(value):
            if not depends_on(results, parameter):
                raise DataError(
                    f"{who}: {name}: a gradient is asked of it, but nothing in the sample can carry it; detach the "
                    f"parameter, or give float pictures where pictures are meant"
                )


def check_streams(who: str, before: Sample, after: Sample) -> None:
    """Raise where a stream with a gradient has none after a transform.

    Streams that were removed or dropped as a whole, and those that a mirror gives another name, are no loss.

    Raises:
        DataError: the gradient would be lost.
    """
    if not torch.is_grad_enabled():
        return
    old, new = dict(looked_at(before)), dict(looked_at(after))
    had = {n for n, s in old.items() if new.get(n) is not s and _carries(s)}
    if not had:
        return
    has = {n for n, s in new.items() if old.get(n) is not s and _carries(s)}
    lost = [n for n in sorted(had - has) if n in after.streams and bool(after.streams[n].present.any())]
    if lost and len(has) < len(had):
        raise DataError(
            f"{who}: cannot carry the gradient of {', '.join(map(repr, lost))}; detach its values before, or leave the "
            f"transform out"
        )


def _carries(stream: Stream) -> bool:
    values = () if isinstance(stream.values, HeldColumns) else stream.values.values()
    pending = getattr(stream, "pending", None)  # a motion of points, or a map of every picture
    maps = pending if isinstance(pending, tuple) else ()
    parts = (*values, *getattr(stream, "items", ()), pending)
    held = any(isinstance(p, Tensor) and p.requires_grad for p in parts)
    return held or any(m is not None and m.has_gradient() for m in maps)
