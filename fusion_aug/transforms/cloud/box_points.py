"""Points inside boxes: removed, or jittered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib.se3 import transform_points
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops.hashed import cells, chance
from fusion_aug.ops.normals import normal
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Boxes3D, Points
from fusion_aug.transforms.cloud.points import PointTransform, item_key


@dataclass(frozen=True, kw_only=True)
class BoxPointDropout(PointTransform):
    """Lose points of objects: each box with probability ``boxes`` loses the share ``share`` of its points.

    ``categories`` are names or shell patterns of the boxes that can lose any.
    """

    share: Range
    boxes: Range = 1.0
    categories: tuple[str, ...] = ("*",)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0), "boxes": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {"keeps_rows": "it drops points on purpose"}
    strengths: ClassVar[Strengths] = {
        "share": Strength(0.0, 0.9, "linear", "suite/object_points_reducing", "share of the points"),
        "boxes": "which boxes, not how much of each",
    }
    example: ClassVar[dict[str, Any]] = {"share": [0.3, 0.8], "boxes": 0.5}


@dataclass(frozen=True, kw_only=True)
class BoxPointJitter(PointTransform):
    """Move every point inside a box by Gaussian noise of ``sigma`` metres along each axis.

    ``categories`` are names or shell patterns of the boxes.
    """

    sigma: Range
    categories: tuple[str, ...] = ("*",)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 10.0)}
    exemptions: ClassVar[dict[str, str]] = PointTransform.exemptions | {
        "content_identity": "points are moved on purpose"
    }
    strengths: ClassVar[Strengths] = {"sigma": Strength(0.0, 0.25, "linear", "suite/object_noise", "m")}
    example: ClassVar[dict[str, Any]] = {"sigma": 0.05}


def rows_in_boxes(stream: Points, call: Call, item: int, params: Mapping[str, Any]) -> Iterator[Tensor]:
    """Rows (of the item) in each chosen box, the boxes carried by their velocity to the item's time."""
    unit_number, time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
    meta = call.sample.metas[unit_number]
    T = meta.T_ref(stream.frame, time, true_rig=True)
    xyz = transform_points(T, stream["xyz"][stream.item_slice(item)].detach().cpu().to(torch.float64))
    for boxes in call.sample.of_type(Boxes3D).values():
        for k in (boxes.sample_index == unit_number).nonzero()[:, 0].tolist():
            rows = boxes.item_slice(k)
            names = boxes.values.get("category")
            found = points_in_boxes(xyz, boxes.poses_at(k, time), boxes.values["size"][rows])
            for j, inside in enumerate(found):
                name = "" if names is None else str(names[rows][j])
                if matches(name, params["categories"]):
                    yield inside


@handles(BoxPointDropout, Points, by_item=True)
def drop_in_boxes(stream: Points, call: Call) -> Points:
    """Remove the drawn share of points from the drawn boxes."""
    stream = stream.realized()
    keep = torch.ones(stream.rows, dtype=torch.bool)
    for i, params in call.asked:
        start, key, numbers = stream.item_slice(i).start, item_key(stream, call, i, params), stream.noise_rows(i)
        found = list(rows_in_boxes(stream, call, i, params))
        chosen = chance(item_key(stream, call, i, params, "boxes"), len(found), params["boxes"])
        for k in np.flatnonzero(chosen):
            keep[start + found[k][chance(key, numbers[found[k]], params["share"])]] = False
    return stream if bool(keep.all()) else stream.select(keep)


@handles(BoxPointJitter, Points, by_item=True)
def jitter_in_boxes(stream: Points, call: Call) -> Points:
    """Jitter every point inside a box once."""
    stream = stream.realized()
    xyz = stream["xyz"].clone()
    for i, params in call.asked:
        inside = [rows.numpy() for rows in rows_in_boxes(stream, call, i, params)]
        rows = np.unique(np.concatenate(inside)) if inside else np.zeros(0, int)
        drawn = normal(item_key(stream, call, i, params), cells(stream.noise_rows(i)[rows], 3))
        shift = drawn.to(torch.float64) * params["sigma"]
        xyz[stream.item_slice(i).start + torch.from_numpy(rows)] += shift.to(xyz)
    return stream.with_values(xyz=xyz)
