"""Points inside boxes on a device: which boxes are meant is told on the host, where they lie is not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.rows import (
    NO_KEY,
    NO_SPAN,
    Columns,
    Numbers,
    check_points_move_alone,
    columns_of,
    hit,
    in_their_rows,
    keyed,
    least,
    longest_of,
    noise_rows,
    normals,
    per_row,
    planned,
    planned_loss,
    quantiles,
    side_by_side,
    span_numbers,
    valid_rows,
    without,
)
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.box_labels import box_of_points
from fusion_aug.ops.boxes_many import in_some_box
from fusion_aug.ops.hashed import chance
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Boxes3D, Points
from fusion_aug.streams.on_device import ROW_ITEM, Block, ColumnsOnDevice
from fusion_aug.transforms.cloud.box_points import BoxPointDropout, BoxPointJitter
from fusion_aug.transforms.cloud.points import item_key

Params = Mapping[str, Any]
BOX = ("pose", "size", "velocity")


class BoxesThere:
    """The boxes of a batch on a device, and how the items of a cloud tell which of them are meant.

    Attributes:
        blocks: that they lie in; rows of boxes are numbered through all of them.
    """

    def __init__(self, stream: Points, call: Call):
        self.stream, self.call = stream, call
        some = columns_of(stream).block.rows > 0  # else nothing can lie in a box
        self.boxes = {n: s for n, s in call.sample.of_type(Boxes3D).items() if s.rows and some}
        apart = [n for n, s in self.boxes.items() if not isinstance(s.values, ColumnsOnDevice)]
        if apart:
            raise DataError(f"stream {apart[0]!r}: its boxes lie on the host, but {call.name!r} on a device")
        self.blocks: tuple[Block, ...] = tuple(dict.fromkeys(s.values.block for s in self.boxes.values()))
        begins = np.cumsum([0, *(b.rows for b in self.blocks)]).tolist()
        self.begins = dict(zip(self.blocks, begins, strict=False))
        totals = torch.zeros(len(call.sample.metas), dtype=torch.int64)
        for s in self.boxes.values():
            totals.index_add_(0, s.sample_index, s.counts)
        self.width = max(int(totals.max()), 1)
        self.longest = longest_of(stream)

    def matched(self, item: int, params: Params) -> Iterator[tuple[int, float]]:
        """Row of every box that is meant, and seconds from its stamp to the item's; as ``rows_in_boxes`` has them."""
        number, time = int(self.stream.sample_index[item]), int(self.stream.true_capture_times[item])
        for boxes in self.boxes.values():
            held, names = boxes.values, boxes.values.get("category")
            for k in (boxes.sample_index == number).nonzero()[:, 0].tolist():
                rows, begin = boxes.item_slice(k), self.begins[held.block] + int(held.block.offsets[held.own[k]])
                for j in range(rows.stop - rows.start):
                    if matches("" if names is None else str(names[rows][j]), params["categories"]):
                        yield begin + j, (time - int(boxes.capture_times[k])) * 1e-9

    def numbers(self, item: int, meant: list[tuple[int, float]]) -> dict[str, Any]:
        """Numbers of an item of the cloud: its boxes, its rows, and the frame of the boxes in its own."""
        out = self.neutral()
        number, time = int(self.stream.sample_index[item]), int(self.stream.true_capture_times[item])
        T = self.call.sample.metas[number].T_ref(self.stream.frame, time, true_rig=True)
        for k, (row, seconds) in enumerate(meant):
            out["box"][k], out["chosen"][k], out["later"][k] = row, True, seconds
        return out | {"T_own": np.linalg.inv(T.numpy()), **span_numbers(self.stream, item)}

    def neutral(self) -> dict[str, Any]:
        """The same of an item without boxes."""
        m = self.width
        boxes = {"box": np.zeros(m, np.int64), "chosen": np.zeros(m, bool), "later": np.zeros(m)}
        return {**boxes, "T_own": np.eye(4), **NO_SPAN}


def inside_boxes(columns: Columns, numbers: Numbers, read: tuple[Columns, ...], longest: int) -> Tensor:
    """Which rows (rows,) lie in some box that is meant, which their velocity has carried to the item's time.

    Args:
        columns, numbers: of a stage, with those of ``BoxesThere``. read: columns of the blocks of boxes.
        longest: rows of an item at most.
    """
    which = numbers["box"].flatten()
    pose, size, velocity = (_of_all(read, name).index_select(0, which).to(torch.float64) for name in BOX)
    pose[:, :3, 3] += velocity.nan_to_num(0.0) * numbers["later"].flatten()[:, None]
    shape = numbers["box"].shape
    pose = torch.bmm(numbers["T_own"].repeat_interleave(shape[1], 0), pose).view(*shape, 4, 4)
    size = size.view(*shape, 3)
    chosen = numbers["chosen"] & torch.cat([valid_rows(boxes) for boxes in read]).index_select(0, which).view(shape)
    if torch.compiler.is_compiling():  # all of it is one kernel, which reads points once
        return box_of_points(columns["xyz"], columns[ROW_ITEM], pose, size, chosen) >= 0
    rows, within = side_by_side(columns, numbers, longest)
    points = columns["xyz"].to(torch.float64).index_select(0, rows.flatten()).view(*rows.shape, 3)
    found = in_some_box(points, pose, size, chosen)
    (span,) = per_row(columns, numbers, "span")
    return in_their_rows(found & within, columns, numbers) & (span[:, 1] > 0)


def _of_all(read: tuple[Columns, ...], name: str) -> Tensor:
    parts = [b[name] if name in b else torch.zeros_like(b["pose"][:, :3, 3]) for b in read]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@on_device(BoxPointDropout, Points)
def plan_box_dropout(stream: Points, call: Call) -> Points:
    """Mark the drawn share of points in the drawn boxes as lost."""
    there = BoxesThere(stream, call)
    if not there.boxes:
        return stream

    def numbers(item: int, params: Params) -> dict[str, Any]:
        meant = list(there.matched(item, params))
        drawn = chance(item_key(stream, call, item, params, "boxes"), len(meant), params["boxes"])
        key = keyed(item_key(stream, call, item, params))
        return {**there.numbers(item, [meant[k] for k in np.flatnonzero(drawn)]), **key,
                "least": least(params["share"])}  # fmt: skip

    neutral = {**there.neutral(), **NO_KEY, "least": np.int64(0)}
    return planned_loss(stream, call, _drop, numbers, neutral, read=there.blocks, longest=there.longest)


def _drop(columns: Columns, numbers: Numbers, *read: Columns, longest: int) -> dict[str, Tensor]:
    lost = inside_boxes(columns, numbers, read, longest)
    return without(columns, lost & hit(columns, numbers, noise_rows(columns)))


@on_device(BoxPointJitter, Points)
def plan_box_jitter(stream: Points, call: Call) -> Points:
    """Jitter every point inside a box once."""
    there = BoxesThere(stream, call)
    if not there.boxes:
        return stream
    check_points_move_alone(stream, call.name)

    def numbers(item: int, params: Params) -> dict[str, Any]:
        meant, key = list(there.matched(item, params)), keyed(item_key(stream, call, item, params))
        return {**there.numbers(item, meant), **key, "sigma": float(params["sigma"]), **quantiles()}

    neutral = {**there.neutral(), **NO_KEY, "sigma": 0.0, **quantiles()}
    return planned(stream, call, _jitter, numbers, neutral, settle=True, read=there.blocks, longest=there.longest)


def _jitter(columns: Columns, numbers: Numbers, *read: Columns, longest: int) -> dict[str, Tensor]:
    xyz, (sigma,) = columns["xyz"], per_row(columns, numbers, "sigma")
    shift = normals(columns, numbers, 3) * sigma[:, None]
    inside = inside_boxes(columns, numbers, read, longest)
    return {"xyz": torch.where(inside[:, None], xyz + shift.to(xyz.dtype), xyz)}
