"""A camera of which only the size of its pictures is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

import torch
from torch import Tensor

from calib.cameras.base import CameraModel
from calib.errors import CalibrationError


@dataclass(frozen=True, eq=False, kw_only=True)
class UnknownLens(CameraModel):
    """A camera without intrinsics: its pictures can be cut, flipped and resized, but nothing can be projected.

    Logs of robot learning often hold pictures and no calibration at all.
    """

    lens = "unknown"
    coefficients: ClassVar[tuple[int, ...]] = (0,)

    @classmethod
    def of(cls, size: tuple[int, int]) -> UnknownLens:
        """The camera of pictures of (height, width)."""
        return cls(K=torch.eye(3, dtype=torch.float64), size=size)

    def _unknown(self) -> NoReturn:
        raise CalibrationError(
            "the log holds no intrinsics of this camera; give them in a rig file (log.rig=FILE) to project with it"
        )

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
        """The same: nothing is known of it."""
        return self
