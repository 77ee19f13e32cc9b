"""A cloud as a moved sensor measures it: places, vectors, and speeds along rays that are others now."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.core.registry import Call
from fusion_aug.sample.ego import radar_velocity
from fusion_aug.streams import Points
from fusion_aug.transforms.cloud.unknown_fields import refuse_fields_at_mounting
from fusion_aug.transforms.mount.frame_motions import is_pure_rotation

EYE = torch.eye(4, dtype=torch.float64)


def cloud_from(stream: Points, call: Call, moves: Sequence[Tensor | None]) -> Points:
    """The cloud in the moved sensor's frame.

    Args:
        stream: the cloud. call: of the transform.
        moves: of every item ``T_before_after`` (4, 4) of the sensor's frame, None where it stays.

    Raises:
        Obstacle: a field has no known meaning, or is a distance or an angle from another place.
    """
    stream = stream.realized()
    refuse_fields_at_mounting(stream, call.name, call.transform)
    moved = stream.transformed(torch.stack([EYE if m is None else invert(m) for m in moves]))
    types = stream.column_types
    radial = [n for n in stream.values if n in types and types[n].kind == "radial"]
    if not radial or all(m is None or is_pure_rotation(m) for m in moves):
        return moved
    speeds = {n: stream.values[n].clone() for n in radial}
    for i, move in enumerate(moves):
        if move is not None and not is_pure_rotation(move):
            rows = stream.item_slice(i)
            for n in radial:
                speeds[n][rows] = _speeds_from(stream, call, i, move.detach(), stream.values[n][rows]).to(speeds[n])
    return moved.with_values(**speeds)


def _speeds_from(stream: Points, call: Call, item: int, move: Tensor, speed: Tensor) -> Tensor:
    """Speeds (n,), m/s, along the rays from the sensor's new place.

    Every target is taken to move along its old ray, as fast as was measured. Where the sensor's own motion is known,
    that was a part of it, as in a raw Doppler.
    """
    xyz = stream.values["xyz"][stream.item_slice(item)].detach().to("cpu", torch.float64)
    shift, along = move[:3, 3], speed.detach().to("cpu", torch.float64)
    old, new = (v / torch.linalg.norm(v, dim=1, keepdim=True).clamp(min=1e-9) for v in (xyz, xyz - shift))
    before, after = radar_velocity(call.sample, stream, item), radar_velocity(call.sample, stream, item, shift)
    if before is None or after is None:
        return along * (old * new).sum(1)
    return (along + old @ before) * (old * new).sum(1) - new @ after
