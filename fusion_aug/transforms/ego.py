"""How fast a sensor moves over ground, from the ego pose's twist."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.se3 import transform_points
from fusion_aug.registry import Call
from fusion_aug.sample import Sample
from fusion_aug.streams import EgoPose, Stream


def frame_twist(
    sample: Sample, unit: int, frame: str, time: int, place: Tensor | None = None
) -> tuple[Tensor, Tensor] | None:
    """Velocity and angular velocity (3,) of a frame over ground, in its own axes; None where no twist is known.

    Args:
        sample: one sample or a batch. unit: which of it. frame: of the rig. time: ns.
        place: (3,) a point of the frame whose velocity is asked for; its origin by default. v + omega x p.
    """
    rig = sample.units[unit].truth
    for ego in sample.of_type(EgoPose).values():
        mine = (ego.sample_index == unit).nonzero()[:, 0]
        if len(mine) == 0 or ego.child not in rig.frames or not {"velocity", "angular_velocity"} <= set(ego.values):
            continue
        k = int(mine[(ego.times[mine] - time).abs().argmin()])
        v, w = (ego.values[c][k].to("cpu", torch.float64) for c in ("velocity", "angular_velocity"))
        if bool(torch.isfinite(v).all() & torch.isfinite(w).all()):
            T = rig.T(ego.child, frame, time)
            at = transform_points(T, (torch.zeros(3, dtype=torch.float64) if place is None else place)[None])[0]
            return T[:3, :3].T @ (v + torch.linalg.cross(w, at)), T[:3, :3].T @ w
    return None


def radar_velocity(stream: Stream, call: Call, item: int, place: Tensor | None = None) -> Tensor | None:
    """Velocity (3,) of a place in a sensor's frame over ground, in that frame; None where no twist is known."""
    twist = frame_twist(call.sample, int(stream.sample_index[item]), stream.frame, int(stream.times[item]), place)
    return None if twist is None else twist[0]
