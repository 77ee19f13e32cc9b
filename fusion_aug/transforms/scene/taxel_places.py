"""Where a motion of the scene puts the taxels of a pad, and which taxels of the partner lie there.

A mirror brings the forces of one finger to the other. Which number of the other's message a force becomes is told by
the places of the taxels, not by the order in which they are listed: the taxel of B that lies where the mirror puts the
i-th of A, with the same normal, gets the force of that one. A pad that is its own mirror image is its own partner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from calib.sensors import TaxelSensor
from calib.ties import nearest_whole
from fusion_aug.errors import DataError
from fusion_aug.ops.similarity import Motion

NEAR_MM, NEAR_DEG = 0.5, 5.0  # how far a taxel and its mirror image may be apart: place, mm, and normal, degrees
UNIT = 1e-3  # mm and degrees: finer differences do not decide which taxel is the nearest
EYE = torch.eye(4, dtype=torch.float64)
BODY = torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))  # a body in a mirror

Rows = Mapping[str, Tensor]  # sensor -> (T,) int64: which of its taxels comes to each taxel of the name it gets


def moved_taxels(poses: Tensor, motion: Motion) -> Tensor:
    """Poses (..., T, 4, 4) of taxels after a motion of their link's frame; a mirror turns their y axis about."""
    body = torch.where((motion.sign < 0)[:, None, None], BODY, EYE).clone()
    body[:, :3] = body[:, :3] * motion.scale[:, None, None].detach()
    moved = motion.matrix[:, None] @ poses @ torch.linalg.inv(body)[:, None]
    return moved if poses.ndim == 4 else moved[0]


def rows_in_mirror(
    taxels: Mapping[str, TaxelSensor], names: Mapping[str, str], motion_of: Callable[[str], Motion | None]
) -> Rows:
    """Which taxel comes to which in a mirror; without sensors whose taxels keep their order.

    Args:
        taxels: of the rig, with their poses. names: that swap. motion_of: gives that of a frame.

    Raises:
        DataError: partners have other numbers of taxels, or taxels that are not each other's mirror images.
    """
    out: dict[str, Tensor] = {}
    for name, sensor in taxels.items():
        other = names.get(name, name)
        if other in out:
            out[name] = torch.argsort(out[other])
            continue
        motion, partner = motion_of(sensor.frame), taxels.get(other)
        if motion is None or partner is None:
            continue
        assert sensor.poses is not None and partner.poses is not None
        moved = moved_taxels(sensor.poses, motion)
        if other != name:
            _check_count(name, sensor, other, partner)
        order, lost = _order(moved.detach().numpy(), partner.poses.detach().numpy())
        if not lost:
            out[name] = torch.tensor(order)
        elif other != name:  # one that is no mirror image of itself moves its poses instead
            x, y, z = (1e3 * partner.poses[lost[0], :3, 3]).tolist()
            raise DataError(
                f"sensors.{name}.poses: a mirror brings none of its taxels to {len(lost)} of the {len(moved)} of "
                f"{other!r} within {NEAR_MM} mm and {NEAR_DEG:g} degrees (the first is taxel {lost[0]} at {x:.1f} "
                f"{y:.1f} {z:.1f} mm); correct the poses of one of them in the rig file (log.rig), or leave it out"
            )
    return {n: order for n, order in out.items() if order.tolist() != list(range(len(order)))}


def _check_count(name: str, sensor: TaxelSensor, other: str, partner: TaxelSensor) -> None:
    assert sensor.poses is not None and partner.poses is not None
    if len(sensor.poses) != len(partner.poses):
        field = "poses" if partner.rows is None else "rows"
        raise DataError(
            f"sensors.{name}.{field}: a mirror brings its {len(sensor.poses)} taxels to {other!r}, which has "
            f"another number of them, {len(partner.poses)}; give both in the "
            f"rig file (log.rig) as many, or leave the mirror out"
        )


def _order(moved: np.ndarray, own: np.ndarray) -> tuple[list[int], list[int]]:
    """The one of ``moved`` (T, 4, 4) that lies at each of ``own`` (T, 4, 4), and those of ``own`` that none lies at.

    Taxels at one place, as those of two directions of force, keep their order.
    """
    far = 1e3 * np.linalg.norm(own[:, None, :3, 3] - moved[None, :, :3, 3], axis=2)
    tilt = np.degrees(np.arccos(np.clip(own[:, :3, 2] @ moved[:, :3, 2].T, -1, 1)))
    units, tilts = nearest_whole(far / UNIT), nearest_whole(tilt / UNIT)
    units[(units > NEAR_MM / UNIT) | (tilts > NEAR_DEG / UNIT)] = np.inf
    order, lost = [], []
    for k, row in enumerate(units):
        nearest = int(row.argmin())
        if np.isfinite(row[nearest]):
            order.append(nearest)
            units[:, nearest] = np.inf
        else:
            lost.append(k)
    return order, lost


def reordered(order: Tensor | None, values: Tensor) -> Tensor:
    """What belongs to taxels (T, ...) in their new order; ``values`` itself where that is the old one."""
    return values if order is None else values[order]


def rows_then(first: Rows, names: Mapping[str, str], second: Rows) -> Rows:
    """The rows of one motion and then another, by the names before both.

    Args:
        first, second: rows of the two. names: that the first one swaps.
    """
    back = {new: old for old, new in names.items()}
    starts = dict.fromkeys([*first, *(back.get(n, n) for n in second)])
    out: dict[str, Tensor] = {}
    for name in starts:
        a, b = first.get(name), second.get(names.get(name, name))
        order = b if a is None else reordered(b, a)
        assert order is not None
        if order.tolist() != list(range(len(order))):
            out[name] = order
    return out
