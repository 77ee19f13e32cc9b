"""Trajectories: where boxes and the ego were, and where they will be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fusion_aug.streams.columns import Column, label, polar, pose, time_offset
from fusion_aug.streams.families import ImagePlane, Mount, Weather
from fusion_aug.streams.ragged import Ragged

EGO = "ego"  # the instance of the vehicle itself


@dataclass(frozen=True, kw_only=True, eq=False)
class Waypoints(Ragged):
    """Poses of boxes and of the ego at other times than the item's, all in the frame of the item's own time.

    Columns: pose ``T_frame_body`` (rows, 4, 4), velocity (rows, 3) m/s over ground in the stream's frame at the time of
    the row (NaN where unknown), time_offset (rows,) seconds after the item's time, below 0 in the past, instance (text:
    that of the box in ``Boxes3D``; "ego" is the vehicle).

    A pose is that of a body: under a motion of the scene ``T' = H T M^-1``, as of boxes. In a change of speed every row
    has the local speed of its own time. Boxes that a transform takes away leave their waypoints.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        pose("pose"),
        polar("velocity", rate=True),
        time_offset("time_offset"),
        label("instance"),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)

    def of(self, instance: str, item: int = 0) -> Tensor:
        """(k,) int64 rows of an item that belong to an instance, by time."""
        rows = torch.arange(self.rows)[self.item_slice(item)]
        mine = torch.from_numpy(self.values["instance"][rows.numpy()] == instance)
        rows = rows[mine]
        return rows[self.values["time_offset"].cpu()[rows].argsort(stable=True)]
