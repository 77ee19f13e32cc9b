"""How fast radars move over ground, on a device: by the twist of an ego pose, else by their own detections."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.rows import (
    NO_SPAN,
    Columns,
    Numbers,
    longest_of,
    side_by_side,
    span_numbers,
    valid_rows,
)
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.radar import VELOCITIES, radial, rays_of, velocity_of_many
from fusion_aug.streams import EgoPose, Radar
from fusion_aug.streams.on_device import ROW_ITEM, Block, ColumnsOnDevice

TWIST = ("velocity", "angular_velocity")


class MotionThere:
    """The ego poses of a batch on a device, and how the items of a radar tell which of their readings is meant.

    Attributes:
        blocks: that they lie in; readings are numbered through all of them. longest: detections of an item at most.
    """

    def __init__(self, stream: Radar, call: Call):
        self.stream, self.call = stream, call
        self.poses = [s for s in call.sample.of_type(EgoPose).values() if set(s.values) >= set(TWIST)]
        if any(not isinstance(s.values, ColumnsOnDevice) for s in self.poses):
            raise DataError(f"the ego poses of a batch lie on the host, but {call.name!r} on a device")
        self.blocks: tuple[Block, ...] = tuple(dict.fromkeys(s.values.block for s in self.poses))
        begins = np.cumsum([0, *(b.rows for b in self.blocks)]).tolist()
        self.begins = dict(zip(self.blocks, begins, strict=False))
        self.longest = longest_of(stream)

    def numbers(self, item: int) -> dict[str, Any]:
        """Numbers of an item: for every stream of ego poses its nearest reading, and the radar's place on the ego."""
        number, time = int(self.stream.sample_index[item]), int(self.stream.true_capture_times[item])
        rig, out = self.call.sample.metas[number].true_rig, self.neutral()
        for e, ego in enumerate(self.poses):
            mine = (ego.sample_index == number).nonzero()[:, 0]
            if len(mine) == 0 or ego.child not in rig.frames:
                continue
            held, k = ego.values, int(mine[(ego.capture_times[mine] - time).abs().argmin()])
            out["twist"][e] = self.begins[held.block] + int(held.block.offsets[held.own[k]])
            out["told"][e] = True
            out["mounting"][e] = rig.T(ego.child, self.stream.frame, time).numpy()
        return {**out, **span_numbers(self.stream, item)}

    def neutral(self) -> dict[str, Any]:
        """The same of an item whose motion nothing tells."""
        e = len(self.poses)
        readings = {"twist": np.zeros(e, np.int64), "told": np.zeros(e, bool)}
        return {**readings, "mounting": np.tile(np.eye(4), (e, 1, 1)), **NO_SPAN}


class OwnVelocity(NamedTuple):
    """Velocity over ground of the radars of items, (items, 3) m/s in their own axes, and where it is known (items,)."""

    velocity: Tensor
    known: Tensor

    def of_rows(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """The two for every row, of the items ``which`` (rows,)."""
        return self.velocity.index_select(0, which), self.known.index_select(0, which)


def own_velocities(columns: Columns, numbers: Numbers, read: tuple[Columns, ...], longest: int) -> OwnVelocity:
    """By the first ego pose whose twist is finite, else by least squares of what detections were compensated by.

    Args:
        columns, numbers: of a stage, with those of ``MotionThere``. read: columns of the blocks of ego poses.
        longest: detections of an item at most.
    """
    found = _by_detections(columns, numbers, longest)
    for e in reversed(range(numbers["twist"].shape[1])):
        v, w = (
            torch.cat([b[n] for b in read]).index_select(0, numbers["twist"][:, e]).to(torch.float64) for n in TWIST
        )
        T = numbers["mounting"][:, e]
        at_radar = v + torch.linalg.cross(w, T[:, :3, 3])
        own = (T[:, :3, :3].transpose(1, 2) @ at_radar[..., None])[..., 0]
        told = numbers["told"][:, e] & torch.isfinite(torch.cat([v, w], 1)).all(1)
        found = OwnVelocity(torch.where(told[:, None], own, found.velocity), told | found.known)
    return found


def _by_detections(columns: Columns, numbers: Numbers, longest: int) -> OwnVelocity:
    if not set(VELOCITIES) <= set(columns) or not len(columns[ROW_ITEM]):
        still = numbers["span"].new_zeros((len(numbers["span"]), 3), dtype=torch.float64)
        return OwnVelocity(still, torch.zeros_like(still[:, 0], dtype=torch.bool))
    rays, _ = rays_of(dict(columns))
    raw, comp = (radial(dict(columns), name, rays) for name in VELOCITIES)
    rows, there = side_by_side(columns, numbers, longest)
    pick = rows.flatten()
    there = there & valid_rows(columns).index_select(0, pick).view(rows.shape)
    beside = rays.index_select(0, pick).view(*rows.shape, 3), (comp - raw).index_select(0, pick).view(rows.shape)
    return OwnVelocity(*velocity_of_many(*beside, there))


def compensated(raw: Tensor, rays: Tensor, gap: Tensor, own: Tensor, known: Tensor) -> Tensor:
    """Compensated Doppler (rows,) of raw ones on rays (rows, 3); see ``ScanContext.compensated``.

    Args:
        gap: (rows,) compensated less raw before. own, known: of ``OwnVelocity``, for every row.
    """
    return raw + torch.where(known, (rays * own).sum(1), gap)


__all__ = ["MotionThere", "OwnVelocity", "compensated", "own_velocities"]
