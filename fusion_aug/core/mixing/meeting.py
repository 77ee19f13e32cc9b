"""Where the items of a donor belong in the sample that takes them: which go together, and how they are moved.

Both reference frames are laid upon each other at the reference times. So a donor's sweep at t_i comes to its place by
its own motion, and into the receiver's sensor by the receiver's:
``X' = T_A(t_i)^-1 T_A(t_0) T_B(t_0)^-1 T_B(t_i) X``, with T(t) the pose of the sensor in the world.
"""

from __future__ import annotations

import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.sample import Sample

MOST_APART = 5_000_000  # ns between the offsets of two items to their reference times that go together


def partner_items(sample: Sample, donor: Sample, name: str) -> list[int | None]:
    """Of every item of a stream of the receiver, that of the donor at the same offset to the reference time.

    Args:
        sample: receives, one sample. donor: another. name: of a stream of both.

    Returns:
        numbers of the donor's items; None where none lies within 5 ms, or it was dropped.
    """
    mine, other = sample[name], donor[name]
    offsets = other.true_capture_times - donor.ref.time
    out: list[int | None] = []
    for time in (mine.true_capture_times - sample.ref.time).tolist():
        apart = (offsets - time).abs()
        nearest = int(apart.argmin()) if len(apart) else 0
        fits = bool(len(apart)) and int(apart[nearest]) <= MOST_APART and bool(other.present[nearest])
        out.append(nearest if fits else None)
    return out


def T_ref_item(sample: Sample, name: str, item: int) -> Tensor:
    """``T_ref_frame`` (4, 4) of a stream's frame at an item, by the calibration that the data obey."""
    stream = sample[name]
    return sample.meta.T_ref(stream.frame, int(stream.true_capture_times[item]), true_rig=True)


def T_into(sample: Sample, donor: Sample, name: str, item: int, other: int) -> Tensor:
    """``T_sensor_donor`` (4, 4): from the frame of a donor's item into that of the receiver's item beside it."""
    return invert(T_ref_item(sample, name, item)) @ T_ref_item(donor, name, other)


def in_ref(sample: Sample, name: str, item: int) -> Tensor:
    """(rows, 3) float64 places of the rows of one item of a cloud in the reference frame."""
    cloud = sample[name].realized()
    T = T_ref_item(sample, name, item)
    xyz = cloud["xyz"][cloud.item_slice(item)].to(torch.float64)  # type: ignore[attr-defined]
    return xyz @ T[:3, :3].T + T[:3, 3]
