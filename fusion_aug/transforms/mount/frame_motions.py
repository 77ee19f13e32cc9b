"""How far the frames of a rig are moved, and whether they only turn."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from calib import JointPose, Rig
from fusion_aug.ops.view import MovedView
from fusion_aug.sample import REF
from fusion_aug.sample.depth_settings import AS_USUAL, DepthSettings
from fusion_aug.streams import Stream

# metres by which a sensor may be shifted and still count as one that turns: what is 1 m away moves by 1e-6 px, and
# products of rotations and lever arms of a vehicle's size are off by 1e-15
STILL = 1e-9


class FrameMotions:
    """Motions of the frames of one sample.

    Args:
        before, after: rigs; a frame has moved in its parent where its pose is another object.
        errors: frame -> E (4, 4), of the frames whose mounting was moved by a drawn error.
        settings: how distances of what pictures show are completed.
    """

    def __init__(self, before: Rig, after: Rig, errors: Mapping[str, Tensor], settings: DepthSettings = AS_USUAL):
        self.before, self.after, self.errors, self.settings = before, after, errors, settings
        self.views: dict[tuple[str, int], MovedView] = {}  # by camera and stamp: its mask and depth need the same

    def __call__(self, frame: str, time: int) -> Tensor | None:
        """``T_old_new`` (4, 4) of a frame at a time; None where neither it nor anything above it moved."""
        found = self.T_at_times(frame, torch.tensor([time]))
        return None if found is None else found[0]

    def joints_changed(self, frame: str) -> bool:
        """Whether joints or links above a frame changed."""
        chain = self.before.ancestors(frame) if frame in self.before.frames else []
        poses = [(self.before.frames[n].pose, self.after.frames[n].pose) for n in chain]
        return any(isinstance(a, JointPose) and a is not b for a, b in poses)

    def T_at_times(self, frame: str, times: Tensor) -> Tensor | None:
        """``T_old_new`` (n, 4, 4) of a frame at times (n,); None where neither it nor anything above it moved."""
        chain = self.before.ancestors(frame) if frame in self.before.frames else []
        motion: Tensor | None = None
        for name in reversed(chain):
            motion = self._in_moved_parent(name, motion, times)
        return None if motion is None else motion.expand(len(times), 4, 4)

    def _in_moved_parent(self, name: str, parent_motion: Tensor | None, times: Tensor) -> Tensor | None:
        """``T_old_new`` of a frame from that of its parent, both None where nothing moved.

        A drawn error alone is taken as it is: the poses about it would cancel only up to the last bits. Above the
        topmost frame that moved nothing is looked up, since poses may be known at other times only.
        """
        before, after = self.before.frames[name], self.after.frames[name]
        if parent_motion is None and before.pose is after.pose:
            return None
        if parent_motion is None and name in self.errors:
            return self.errors[name]
        assert before.parent is not None, "a frame that moved in its parent has one"
        back = self.before.T_at_times(name, before.parent, times)
        pose = self.after.T_at_times(before.parent, name, times)
        return back @ pose if parent_motion is None else back @ parent_motion @ pose


def item_motions(stream: Stream, moves: list[FrameMotions]) -> list[Tensor | None]:
    """``T_old_new`` of a stream's frame for every item."""
    out: list[Tensor | None] = [None] * len(stream)
    for u, move in enumerate(moves) if stream.frame != REF else ():
        mine = (stream.sample_index == u).nonzero()[:, 0]
        found = move.T_at_times(stream.frame, stream.true_capture_times[mine])
        if found is not None:
            for i, row in zip(mine.tolist(), found, strict=True):
                out[i] = row
    return out


def is_pure_rotation(move: Tensor) -> bool:
    """Whether a sensor stays where it is, within ``STILL``, and only turns."""
    return float(move[:3, 3].detach().abs().max()) <= STILL and not move.requires_grad
