"""Metadata of a sample: what it is besides its streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from calib import Rig
from fusion_aug.sample.history import History

REF = "ref"


class Ref(NamedTuple):
    """The reference frame of a sample: a frame of the rig at one time (ns)."""

    frame: str
    time: int


class Change(NamedTuple):
    """What a stream gained and lost by one transform.

    Attributes:
        path: of the transform. stream: its name.
        items_lost, items_added: pictures, sweeps, readings. rows_lost, rows_added: points, boxes.
    """

    path: str
    stream: str
    items_lost: int
    items_added: int
    rows_lost: int
    rows_added: int


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleMeta:
    """What a sample is besides its streams. A sample has one, a batch several.

    Attributes:
        id: unique in its log.
        scene: id of the scene or episode, which shares draws of scope ``scene``.
        ref: the reference frame.
        rig: the reported calibration, which consumers get and writers write.
        true_rig: the calibration that the data obey; the same object unless a transform made them differ.
        anchor: ``T_world_ref`` (4, 4) at the first reference pose of the scene, which places mirror planes.
        start: ns, first reference time of the scene, which maps of time leave where it is; None for ``ref.time``.
        clock: name of the stream whose capture times delimit timesteps.
        occurrence: how often the sample came before in its epoch, where each time is drawn anew; draws are keyed by it.
        history: records of the transforms that were applied.
        changes: gains and losses that were counted on the way (``run(..., count=True)``); empty where nothing counts.
        left_out: stream -> reason -> rows of the log that the reader was asked to leave out, for the account.
    """

    id: str
    scene: str
    ref: Ref
    rig: Rig
    true_rig: Rig
    anchor: Tensor = field(default_factory=lambda: torch.eye(4, dtype=torch.float64))
    start: int | None = None
    clock: str = ""
    occurrence: int = 0
    history: History = ()
    changes: tuple[Change, ...] = ()
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SampleMeta({self.id!r}, scene {self.scene!r}, {self.rig!r}, {len(self.history)} records)"

    def T_ref(self, frame: str, time: int, *, true_rig: bool = False) -> Tensor:
        """``T_ref_frame`` (4, 4) float64 at a time.

        Args:
            frame: of the rig, or "ref". time: ns. true_rig: by the calibration that the data obey.

        Raises:
            CalibrationError: the frame is unknown, or its pose is unknown at that time.
        """
        if frame == REF:
            return torch.eye(4, dtype=torch.float64)
        rig = self.true_rig if true_rig else self.rig
        return rig.T(self.ref.frame, frame, time, self.ref.time)


def world_frame_of(rig: Rig, frame: str) -> str | None:
    """The world frame that is the root of a frame; None where the root is no world frame."""
    root = rig.root_of(frame)
    return root if rig.frames[root].axis_convention == "world" else None
