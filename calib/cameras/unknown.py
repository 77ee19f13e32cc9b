"""A camera of which only the size of its pictures is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

import torch
from torch import Tensor

from calib.cameras.base import CameraModel
from calib.errors import CalibrationError
from calib.replacing import replace_unchecked


@dataclass(frozen=True, eq=False, kw_only=True)
class UnknownLens(CameraModel):
    """A camera without intrinsics: its pictures can be cut, flipped and resized, but nothing can be projected.

    Logs of robot learning often hold pictures and no calibration at all.

    Attributes:
        why: what the log holds instead, as a clause, where it is a lens that is not understood.
        is_mirrored: whether that lens is seen in a mirror, which changes it in a way that is not known.
    """

    why: str = ""
    is_mirrored: bool = False

    lens = "unknown"
    coefficients: ClassVar[tuple[int, ...]] = (0,)

    @classmethod
    def of(cls, size: tuple[int, int], why: str = "") -> UnknownLens:
        """The camera of pictures of (height, width)."""
        return cls(K=torch.eye(3, dtype=torch.float64), size=size, why=why)

    def _unknown(self) -> NoReturn:
        reason = self.why or "the log holds no intrinsics of this camera"
        raise CalibrationError(f"{reason}; give them in a rig file (log.rig=FILE) to project with it")

    def _to_lens(self, points: Tensor) -> Tensor:
        self._unknown()

    def _to_lens_jacobian(self, points: Tensor) -> Tensor:
        self._unknown()

    def _ray(self, lens: Tensor) -> Tensor:
        self._unknown()

    def valid(self, points: Tensor) -> Tensor:
        self._unknown()

    def _mirrored_distortion(self) -> Tensor:
        return self.distortion

    def mirrored(self) -> UnknownLens:
        """The same where nothing is known of it."""
        return replace_unchecked(self, is_mirrored=not self.is_mirrored) if self.why else self
