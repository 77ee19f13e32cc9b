"""Episodes whose calibration is that of their sidecar: their streams in the frames that it knows."""

from __future__ import annotations

from pathlib import Path

from calib.replacing import replace_unchecked
from fusion_aug.logs.core.robots import BASE, REFERENCE_FRAME
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.core.touch import with_touch_sensors_of_rig
from fusion_aug.logs.core.tree import Tree
from fusion_aug.sample import Ref, Sample


def with_sidecar(sample: Sample, root: Path | Tree) -> Sample:
    """The sample of an episode with what its sidecar holds; the rig of a sidecar counts before the user's.

    Args:
        sample: as read from the format's own files. root: of the log, or ``Log.tree``.

    Raises:
        DataError: a file of the sidecar is damaged.
    """
    return with_touch_sensors_of_rig(_at_its_sensors(_on_its_base(merge_sidecar(sample, root, rig_first=True))))


def _on_its_base(sample: Sample) -> Sample:
    """The sample by the base of its rig, where that of a described robot is told by no description now."""
    rig, meta = sample.rig, sample.metas[0]
    if meta.ref.frame in rig.frames:
        return sample
    base = next((n for n, f in rig.frames.items() if f.parent == REFERENCE_FRAME), REFERENCE_FRAME)
    if base not in rig.frames:
        return sample
    ref = Ref(REFERENCE_FRAME, meta.ref.time)
    root = rig.root_of(REFERENCE_FRAME)
    is_placed = root != REFERENCE_FRAME and rig.frames[root].axis_convention == "world"
    anchor = rig.T(root, REFERENCE_FRAME, ref.time) if is_placed else meta.anchor
    streams = {n: replace_unchecked(s, frame=base) if s.frame == BASE else s for n, s in sample.streams.items()}
    return sample.with_streams(streams).with_meta(0, ref=ref, anchor=anchor)


def _at_its_sensors(sample: Sample) -> Sample:
    """The sample whose streams are read where its rig's sensors are; a mirror may have brought them to another link."""
    frames = {n: s.frame for n, s in sample.rig.sensors.items() if n in sample.streams}
    moved = {
        n: replace_unchecked(sample.streams[n], frame=f) for n, f in frames.items() if sample.streams[n].frame != f
    }
    return sample.with_streams({**sample.streams, **moved})
