"""Boxes of a network as a stream, which ``invert`` brings back to the original scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import rotation_about, se3
from fusion_aug.errors import ConfigError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import REF
from fusion_aug.streams import Boxes3D, strings


@standard_modes()
def boxes_from(
    table: Tensor | np.ndarray | Sequence[Sequence[float]],
    *,
    labels: Tensor | np.ndarray | Sequence[int] | None = None,
    classes: Sequence[str] | Mapping[str, Any] | None = None,
    names: Sequence[str] | None = None,
    instances: Sequence[str] | None = None,
    scores: Tensor | np.ndarray | None = None,
    time: int = 0,
    bottom: bool = False,
) -> Boxes3D:
    """Boxes of a table, such as a network found in one sample, in its reference frame.

    The inverse of the tables of ``to_dense`` (and, with ``bottom``, of ``to_mmdet3d``): upright boxes come back as they
    were.

    Args:
        table: (m, 7) centre x y z, length, width, height (metres), yaw (rad); (m, 9) with vx, vy (m/s).
        labels: (m,) numbers of classes; those below 0 have no name.
        classes: names by label: what ``to_dense`` was given.
        names: (m,) categories, in place of labels and classes.
        instances: (m,) ids that last over time, the column ``instance``.
        scores: (m,) kept as the column ``score``.
        time: ns, reference time of the sample (``sample.ref.time``).
        bottom: whether the centre is that of the bottom face.

    Returns:
        Boxes with the columns pose, size, velocity (NaN where the table has none), category, and where they are given
        instance and score.

    Raises:
        ConfigError: the table has another shape, or a label no class.
    """
    rows = _float64(table)
    rows = rows.reshape(0, 7) if rows.numel() == 0 and rows.ndim < 2 else rows
    if rows.ndim != 2 or rows.shape[1] not in (7, 9):
        raise ConfigError(f"boxes_from: expected a table (m, 7) or (m, 9) of one sample, got {tuple(rows.shape)}")
    turn, m = rotation_about("z", rows[:, 6]), len(rows)
    half = torch.stack([torch.zeros_like(rows[:, 5]), torch.zeros_like(rows[:, 5]), rows[:, 5] / 2], 1)
    centre = rows[:, :3] + half if bottom else rows[:, :3]
    velocity = torch.full((m, 3), float("nan"), dtype=torch.float64)
    if rows.shape[1] == 9:
        velocity = torch.cat([rows[:, 7:], torch.zeros(m, 1, dtype=torch.float64)], 1)
    values: dict[str, Any] = {
        "pose": se3(turn, centre), "size": rows[:, 3:6], "velocity": velocity,
        "category": _names(labels, classes, m) if names is None else strings(names),
    }  # fmt: skip
    if instances is not None:
        values["instance"] = strings(instances)
    if scores is not None:
        values["score"] = _float64(scores)
    wrong = {name: len(v) for name, v in values.items() if len(v) != m}
    if wrong:
        raise ConfigError(f"boxes_from: {', '.join(f'{n} entries of {k}' for k, n in wrong.items())} for {m} boxes")
    return Boxes3D(frame=REF, capture_times=torch.tensor([time]), values=values)


def _float64(values: Any) -> Tensor:
    return values.to(torch.float64) if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values, np.float64))


def class_names(classes: Sequence[str] | Mapping[str, Any] | None) -> list[str]:
    """The names of classes by label.

    Raises:
        ConfigError: they are one text, whose letters would count as names.
    """
    if isinstance(classes, str):
        raise ConfigError(f"classes: expected a list of names, got the text {classes!r}; give [{classes!r}]")
    return [str(c) for c in classes or ()]


def _names(labels: Any, classes: Sequence[str] | Mapping[str, Any] | None, m: int) -> Any:
    if labels is None:
        return strings([""] * m)
    numbers = torch.as_tensor(labels).reshape(-1).tolist()
    names = class_names(classes)
    fraction = next((n for n in numbers if n != int(n)), None)
    if fraction is not None:
        raise ConfigError(f"boxes_from: labels: expected whole numbers, got {fraction:g}")
    wrong = [n for n in numbers if n >= len(names)]
    if len(numbers) != m or wrong:
        what = f"label {int(wrong[0])} is no class of {len(names)}" if wrong else f"{len(numbers)} labels for {m} boxes"
        raise ConfigError(f"boxes_from: {what}; give classes=[...] in the order of training")
    return strings(names[int(n)] if n >= 0 else "" for n in numbers)


__all__ = ["boxes_from"]
