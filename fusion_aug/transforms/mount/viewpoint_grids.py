"""What a moved sensor does to grids of cells that are given in its frame."""

from __future__ import annotations

import torch

from calib.se3 import invert
from fusion_aug.core.registry import Call, handles
from fusion_aug.streams import Occupancy
from fusion_aug.transforms.mount.frame_motions import item_motions
from fusion_aug.transforms.mount.viewpoint import Viewpoint

EYE = torch.eye(4, dtype=torch.float64)


@handles(Viewpoint, Occupancy)
def keep_grids_in_place(stream: Occupancy, call: Call) -> Occupancy:
    """The grid in the moved frame; of the reference frame and the vehicle, which stay, the grid itself.

    Raises:
        UnhandledStream: the frame is tilted.
    """
    found = item_motions(stream, call.family_state)
    if all(m is None for m in found):
        return stream
    return stream.moved(torch.stack([EYE if m is None else invert(m) for m in found]), call.name)
