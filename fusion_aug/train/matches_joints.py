"""Joints of two views: which reading of one is which of the other, and how the two are related."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fusion_aug.core.inversion import invert
from fusion_aug.core.registry import find_transform
from fusion_aug.sample.history import History, Record
from fusion_aug.streams import JointState
from fusion_aug.transforms.robot import KinematicNoise
from fusion_aug.transforms.scene.scene import SceneTransform


@dataclass(frozen=True, eq=False)
class JointMatches:
    """Readings of joints that two views have in common.

    What a mirror, a scale and errors of encoders do to a reading is in ``sign`` and ``offset``; noise and pushes of
    either view are not.

    Attributes:
        name_a, name_b: of the stream in the two views; empty where a view has none.
        items_a, items_b: (k,) int64, items that are one in the source. Signals that a change of time read between their
            samples have none; ``Matches.times`` maps their times.
        joints_a, joints_b: (j,) int64, columns of the same joint.
        sign, offset: (j,) float64: a position of b is ``sign * position of a + offset``, rad or m; a rate, an
            acceleration is ``sign`` times that of a.
    """

    name_a: str
    name_b: str
    items_a: Tensor
    items_b: Tensor
    joints_a: Tensor
    joints_b: Tensor
    sign: Tensor
    offset: Tensor


def source_map(stream: JointState, history: History, name: str) -> tuple[Tensor, Tensor]:
    """Positions of the source from those of a view, ``A q + c``: (J, J) with one entry in each row, and (J,), float64.

    A history is undone on a reading of zeros and on one of each joint alone.
    """
    count = len(stream.names)
    eye = torch.eye(count, dtype=torch.float64)
    probe: JointState = JointState(
        frame=stream.frame, names=stream.names, misplaced=stream.misplaced,
        capture_times=torch.arange(count + 1), values={"position": torch.cat([torch.zeros(1, count).double(), eye])},
    )  # fmt: skip
    for record in reversed(history):
        if record.applied:
            probe, name = _undone(probe, record, name), record.name_before(name)
    read = probe.values["position"].to(torch.float64)
    return (read[1:] - read[0]).T, read[0]


def _undone(probe: JointState, record: Record, name: str) -> JointState:
    cls = find_transform(record.name)
    if cls is None:
        return probe
    if issubclass(cls, SceneTransform):
        return invert(probe, (record,), name=name)
    if issubclass(cls, KinematicNoise):
        offsets = torch.tensor([float(record.params[""]["joints"].get(n, 0.0)) for n in probe.names])
        return replace(probe, values={"position": probe.values["position"] - offsets.to(torch.float64)})
    return probe


def related(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Columns, signs and offsets of ``JointMatches``, from ``source_map`` of both views."""
    (A, c), (B, d) = a, b
    in_a, in_b = A.abs().argmax(1), B.abs().argmax(1)
    rows = torch.arange(len(A))
    # B q_b + d = A q_a + c, joint by joint
    scale = B[rows, in_b]
    sign, offset = A[rows, in_a] / scale, (c - d) / scale
    order = in_a.argsort()
    return in_a[order], in_b[order], sign[order], offset[order]
