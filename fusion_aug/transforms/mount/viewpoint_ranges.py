"""What moved sensors of distance measure."""

from __future__ import annotations

import torch

from calib.se3 import invert
from fusion_aug.core.registry import Call, handles
from fusion_aug.errors import Obstacle
from fusion_aug.streams import PlanarScan, RangeReading, Stream
from fusion_aug.streams.readings import TILT
from fusion_aug.transforms.mount.frame_motions import item_motions
from fusion_aug.transforms.mount.viewpoint import Viewpoint


@handles(Viewpoint, RangeReading)
@handles(Viewpoint, PlanarScan)
def refuse_moved_ranges(stream: Stream, call: Call) -> Stream:
    """The stream itself where its sensor stays; the angles of a planar scan follow a turn about its own z axis.

    Raises:
        Obstacle: the sensor is shifted or tilted: what it would see there was not measured.
    """
    found = item_motions(stream, call.family_state)
    if all(m is None for m in found):
        return stream
    back = torch.stack([torch.eye(4, dtype=torch.float64) if m is None else invert(m) for m in found])
    tilt = (back[:, 2] - torch.tensor([0.0, 0, 1, 0], dtype=torch.float64)).abs().max()
    if max(float(tilt), float(back[:, :3, 3].abs().max())) > TILT or not isinstance(stream, PlanarScan):
        reason = "what its sensor would measure at another place or tilt is not in the recording"
        raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, stream.remedy)
    turn = torch.atan2(back[:, 1, 0], back[:, 0, 0])
    return stream.turned(turn, torch.zeros(len(stream), dtype=torch.bool))


__all__ = ["refuse_moved_ranges"]
