"""Dense tensors of a batch on a device: the same tables as ``dense`` makes, without a look at a value.

What places points and pictures in the tables is known on the host: one copy takes the numbers of the motions, another
the places. Rows that were dropped, or lie nowhere, stay in the tables; their masks are False there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.program import Program
from fusion_aug.errors import DataError
from fusion_aug.ops.filled import filled
from fusion_aug.ops.one_copy import one_copy
from fusion_aug.ops.taken import taken
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D, Lidar, Radar
from fusion_aug.streams.on_device import VALID, Block
from fusion_aug.train.dense_places import (
    Places,
    in_reference_frame,
    parts_of,
    picture_grid,
    places_of,
    refuse_what_has_no_table,
)

NOWHERE = float("nan")
LABELS = {"point_labels": "label", "point_instances": "instance"}


def dense_tables(
    batch: Sample, names: Mapping[str, Sequence[str]], host: Mapping[str, Tensor], *, sweeps: bool,
    channels_first: bool, packed: bool, dtype: torch.dtype,
) -> dict[str, Any]:  # fmt: skip
    """The tables of ``to_dense`` that hold values, of a batch on a device.

    Args:
        batch: on a device. names: of its ``cameras``, ``lidars`` and ``radars``, in order.
        host: further tensors of the result, which go along to the device.
        sweeps, channels_first, packed, dtype: as of ``to_dense``.

    Raises:
        ConfigError, DataError: it holds something that has no table there, or pictures differ.
    """
    refuse_what_has_no_table(batch, packed)
    program = Program(_device_of(batch))
    program.begin()
    kinds = {"points": (Lidar, names["lidars"]), "radar": (Radar, names["radars"]), "boxes": (Boxes3D, ["boxes"])}
    held = {what: in_reference_frame(batch, kind, mine, program) for what, (kind, mine) in kinds.items()}
    program.run()
    tables = {what: places_of(parts_of(batch, own, sweeps and what != "boxes")) for what, own in held.items()}
    grid = picture_grid(batch, names["cameras"])
    blocks = list(dict.fromkeys(p.block for row in grid for p in row if p is not None))
    begins = dict(zip(blocks, np.cumsum([0, *(b.items for b in blocks)]).tolist(), strict=False))
    places = np.array([[-1 if p is None else begins[p.block] + p.place for p in row] for row in grid], np.int64)
    sent = {
        f"{what}.{k}": torch.from_numpy(getattr(t, k)) for what, t in tables.items() for k in ("rows", "mask", "age")
    }
    sent |= {"places": torch.from_numpy(places.reshape(len(batch.metas), -1)), **host}
    there = dict(zip(sent, one_copy(list(sent.values()), program.device), strict=True))
    out = {name: there[name] for name in host}
    out |= _pictures(there["places"], places, blocks, channels_first)
    out |= _points(tables["points"], there, dtype)
    out |= _echoes(tables["radar"], there, dtype)
    return out | _boxes(tables["boxes"], there, dtype)


def _device_of(batch: Sample) -> torch.device:
    blocks = [i.block for s in batch.streams.values() for i in getattr(s, "items", ()) if hasattr(i, "block")]
    blocks += [s.values.block for s in batch.streams.values() if hasattr(s.values, "block")]
    device: torch.device = blocks[0].device
    return device


def _pictures(places: Tensor, known: np.ndarray, blocks: Sequence[Block], channels_first: bool) -> dict[str, Tensor]:
    """Pictures of ``blocks`` one after another at their ``places`` (B, C), which the host ``known``; -1 is none."""
    mask = places >= 0
    if not blocks:
        return {"images": places.new_zeros((*places.shape, 0, 0, 3), dtype=torch.uint8), "image_mask": mask}
    held = blocks[0].values if len(blocks) == 1 else torch.cat([b.values for b in blocks])
    whole = np.array_equal(known.ravel(), np.arange(len(held)))
    images = held if whole else taken(held, places.clamp(min=0).reshape(-1))
    images = images.reshape(*places.shape, *held.shape[1:])
    if (known < 0).any():
        images = filled(images, ~mask[..., None, None, None], 0)
    return {"images": images.movedim(-1, -3) if channels_first else images, "image_mask": mask}


def _rows(
    table: Places, there: Mapping[str, Tensor], what: str, name: str, width: int, missing: float, dtype: Any
) -> Tensor:
    """A column (B, N, width) of a table."""
    parts = []
    for block in table.blocks:
        value, rows = block.values.get(name), block.rows
        shape = (rows, width)
        made = torch.full(shape, missing, dtype=dtype, device=block.device) if value is None else value.to(dtype)
        parts.append(made.reshape(shape))
    index = there[f"{what}.rows"]
    if not parts:
        return torch.full((*index.shape, width), missing, dtype=dtype, device=index.device)
    flat = parts[0] if len(parts) == 1 else torch.cat(parts)
    return flat.index_select(0, index.reshape(-1)).reshape(*index.shape, width)


def _valid(table: Places, there: Mapping[str, Tensor], what: str, xyz: Tensor) -> Tensor:
    """(B, N) bool: rows that are there, were not dropped and have a place."""
    mask = there[f"{what}.mask"] & torch.isfinite(xyz).all(-1)
    if any(VALID in block.values for block in table.blocks):
        mask = mask & _rows(table, there, what, VALID, 1, 1, torch.bool)[..., 0]
    return mask


def _masked(mask: Tensor, columns: Sequence[Tensor]) -> Tensor:
    joined = torch.cat(list(columns), -1)
    return torch.where(mask[..., None], joined, torch.zeros((), dtype=joined.dtype, device=joined.device))


def _points(table: Places, there: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    xyz = _rows(table, there, "points", "xyz", 3, NOWHERE, dtype)
    intensity = _rows(table, there, "points", "intensity", 1, 0.0, dtype)
    mask = _valid(table, there, "points", xyz)
    out = {"points": _masked(mask, [xyz, intensity, there["points.age"][..., None].to(dtype)]), "point_mask": mask}
    if any("label" in block.values for block in table.blocks):
        for key, name in LABELS.items():
            labels = _rows(table, there, "points", name, 1, -1 if name == "label" else 0, torch.int64)[..., 0]
            out[key] = labels.masked_fill(~mask, -1)
    return out


def _echoes(table: Places, there: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    if any("velocity_comp" not in block.values for block in table.blocks):
        raise DataError("to_dense: a radar on a device has raw velocities alone; call to_dense before batch.to(...)")
    xyz = _rows(table, there, "radar", "xyz", 3, NOWHERE, dtype)
    velocity = _rows(table, there, "radar", "velocity_comp", 3, NOWHERE, dtype)[..., :2]
    rcs = _rows(table, there, "radar", "rcs", 1, 0.0, dtype)
    mask, known = _valid(table, there, "radar", xyz), torch.isfinite(velocity).all(-1)
    columns = [xyz, velocity.nan_to_num(0.0), rcs, there["radar.age"][..., None].to(dtype)]
    return {"radar_points": _masked(mask, columns), "radar_velocity_known": known & mask, "radar_mask": mask}


def _boxes(table: Places, there: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    pose = _rows(table, there, "boxes", "pose", 16, NOWHERE, torch.float64).unflatten(-1, (4, 4))
    size = _rows(table, there, "boxes", "size", 3, 0.0, torch.float64)
    velocity = _rows(table, there, "boxes", "velocity", 3, NOWHERE, torch.float64)[..., :2]
    mask, known = there["boxes.mask"], torch.isfinite(velocity).all(-1)
    yaw = torch.atan2(pose[..., 1, 0], pose[..., 0, 0])[..., None]
    boxes = _masked(mask, [pose[..., :3, 3], size, yaw, torch.where(known[..., None], velocity, 0.0)])
    out = {"boxes": boxes.to(dtype), "box_mask": mask, "velocity_known": known & mask}
    if any("weight" in block.values for block in table.blocks):
        out["box_weights"] = _masked(mask, [_rows(table, there, "boxes", "weight", 1, 1.0, dtype)])[..., 0]
    return out
