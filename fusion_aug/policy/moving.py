"""Numbers of drawn parameters that may move: where they stand, their bounds and their scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calib import CameraSensor
from fusion_aug.core.fields import kinds
from fusion_aug.core.registry import transform_class
from fusion_aug.core.schedules import is_number
from fusion_aug.core.strength import Strength
from fusion_aug.core.transform import Transform
from fusion_aug.sample import SampleMeta
from fusion_aug.sample.history import History
from fusion_aug.sample.sensors import matches
from fusion_aug.transforms.mount.miscalibrate import MountTransform, moves_sensor

TAILS = 3.0  # standard deviations to either side that a normal distribution without limits is moved over


@dataclass(frozen=True)
class Number:
    """One drawn number that may move inside the range that it was drawn from.

    Attributes:
        name: ``path.field``, and ``@sensor`` where each sensor has one of its own.
        record: index of its record. instance: key of its parameters there. field: of the transform.
        low, high: bounds. log: whether equal steps are equal factors. whole: whether it stays a whole number.
        chosen: whether the pipeline gives its range, or it has a strength; else it is a side issue left at its default,
            as the direction of a wind, and nobody is surprised where it has no effect.
    """

    name: str
    record: int
    instance: str
    field: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    chosen: bool = True

    def moved(self, value: float, share: float) -> float:
        """The number a share of its range (1: from end to end) further up, or down; it stays inside."""
        further = value * (self.high / self.low) ** share if self.log else value + (self.high - self.low) * share
        new = min(max(further, self.low), self.high)
        return float(round(new)) if self.whole else float(new)


def bounds(value: Any) -> tuple[float, float, bool] | None:
    """Lowest and highest number of a checked ``Range``, and whether its scale is logarithmic.

    None for what does not move: fixed numbers and choices.
    """
    if isinstance(value, Mapping):
        name = value["distribution"]
        if name == "choice":
            return None
        if name == "normal":
            ends = (value["mean"] - TAILS * value["std"], value["mean"] + TAILS * value["std"])
            low, high = max(ends[0], value.get("low", -math.inf)), min(ends[1], value.get("high", math.inf))
        else:
            low, high = value["low"], value["high"]
        log = name == "log_uniform"
    elif isinstance(value, tuple):
        (low, high), log = value, False
    else:
        return None
    return (float(low), float(high), log) if low < high else None


def ranges_of(transform: Transform) -> dict[str, tuple[float, float, bool]]:
    """Field -> bounds and scale, of the fields of a transform that move."""
    fields = [n for n, kind in kinds(type(transform)).items() if kind.name == "range"]
    found = {n: bounds(getattr(transform, n)) for n in fields}
    return {n: b for n, b in found.items() if b is not None}


def moving_numbers(
    records: History, drawn_by: Mapping[str, Transform], prefix: str, meta: SampleMeta
) -> tuple[list[Number], list[str]]:
    """The numbers of records that may move.

    Args:
        records: of what was drawn for one sample. drawn_by: path -> transform. prefix: of the paths, left out in names.
        meta: of the sample as it was before.

    Returns:
        the numbers, and the names of the fields with a range that stay as drawn, since their transform records
        something else than the number itself.
    """
    found, still = [], []
    for i, record in enumerate(records):
        if not record.applied or record.path not in drawn_by:
            continue
        for field, (low, high, log) in ranges_of(drawn_by[record.path]).items():
            for instance, params in record.params.items():
                name = f"{record.path.removeprefix(f'{prefix}/')}.{field}" + (f"@{instance}" if instance else "")
                value = params.get(field)
                if not _acts(transform_class(record), params, instance, meta):
                    continue
                if value is None or not is_number(value) or (log and value <= 0):
                    still.append(name)
                    continue
                ends = min(low, value), max(high, value)  # it may lie in the tail of a normal distribution
                whole, chosen = isinstance(value, int), _is_chosen(drawn_by[record.path], field)
                found.append(Number(name, i, instance, field, *ends, log, whole, chosen))
    return found, still


def with_values(records: History, values: Mapping[Number, Any]) -> list[dict[str, dict[str, Any]]]:
    """Parameters of every record with some numbers replaced, by others or by tensors."""
    out = [{k: dict(v) for k, v in r.params.items()} for r in records]
    for number, value in values.items():
        out[number.record][number.instance][number.field] = value
    return out


def values_of(records: History, numbers: Sequence[Number]) -> dict[Number, float]:
    """The numbers as they were drawn."""
    return {n: records[n.record].params[n.instance][n.field] for n in numbers}


def _is_chosen(transform: Transform, field: str) -> bool:
    """Whether a field was set, or is one whose strength is known."""
    default = type(transform).__dataclass_fields__[field].default
    return getattr(transform, field) != default or isinstance(type(transform).strengths.get(field), Strength)


def _acts(cls: Any, params: Mapping[str, Any], instance: str, meta: SampleMeta) -> bool:
    """Whether the parameters of one instance are for a sensor that the transform is to change."""
    if instance not in meta.rig.sensors:
        return True
    if issubclass(cls, MountTransform):
        return moves_sensor(params, instance, isinstance(meta.rig.sensors[instance], CameraSensor))
    patterns = [params[f] for f in ("cameras", "sensors") if params.get(f) is not None]
    return all(matches(instance, some) for some in patterns)
