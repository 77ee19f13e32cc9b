"""Point counts of boxes, as a data set tells them, after a change.

A data set counts by a rule of its own (more sweeps, wider boxes, other clocks), so a count of ours replaces none of its
figures. It changes by as many points as entered or left the box by our count, and by none under a motion that moves
cloud and boxes alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import Sample
from fusion_aug.streams import Points


def counts_after(sample: Sample, source: Sample, clouds: Sequence[str], official: Mapping[str, int]) -> dict[str, int]:
    """Record of a box -> its official count after a change: official - (ours before - ours after), at least 0.

    Args:
        sample, source: after and before the change; boxes are matched by their column ``record``.
        clouds: streams whose key items the counts are of.
        official: record of a box of the source -> count. A box of the source without one gets none; one that is not of
            the source gets our count.
    """
    before, after = points_of_boxes(source, clouds), points_of_boxes(sample, clouds)
    changed = {r: max(0, official[r] - before.get(r, 0) + n) for r, n in after.items() if r in official}
    return changed | {r: n for r, n in after.items() if r not in before}


def points_of_boxes(sample: Sample, clouds: Sequence[str]) -> dict[str, int]:
    """Record of a box -> points in it, of the key items of some clouds.

    Boxes are brought to the numbers of a cloud as they are stored, not the cloud to the boxes, so that no rounding of
    moved points decides.
    """
    boxes = sample.boxes()
    total = torch.zeros(boxes.rows, dtype=torch.int64)
    for name in clouds:
        if name not in sample.streams:
            continue
        key = sample.take_key(name)
        assert isinstance(key, Points)
        T_ref_stored = sample.T_ref(name) if key.pending is None else sample.T_ref(name) @ key.pending[0]
        scale = torch.linalg.det(T_ref_stored[:3, :3]).abs() ** (1 / 3)
        poses = torch.linalg.inv(T_ref_stored) @ boxes["pose"]  # mirrored where the cloud is: |local| stays the same
        poses[:, :3, :3] *= scale
        found = points_in_boxes(key.values["xyz"].cpu(), poses, boxes["size"] / scale)
        total += torch.tensor([len(rows) for rows in found], dtype=torch.int64)
    return dict(zip(map(str, boxes["record"]), total.tolist(), strict=True))
