"""What every camera model offers: project, unproject, Jacobian, validity, mirror."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.figures import Pixels, check_figures
from calib.replacing import replace_unchecked
from calib.se3 import as_f64

_MINUS_X = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)


@lru_cache(maxsize=256)
def flip_u(width: int) -> Tensor:
    """(3, 3) pixel map u -> width - 1 - u. Shared: do not write into it."""
    return torch.tensor([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)


@dataclass(frozen=True, eq=False, kw_only=True)
class CameraModel(ABC):
    """The physical camera: lens and sensor, before anything was done to the pixels.

    Camera frame: x right, y down, z forward. Pixel (0, 0) is the centre of the top-left pixel.

    Attributes:
        K: (3, 3) float64 intrinsics, upper triangular (skew allowed), in pixels.
        size: (height, width) of the sensor in pixels.
        distortion: (k,) float64 coefficients in OpenCV's order; their number depends on the model.
    """

    K: Tensor
    size: tuple[Pixels, Pixels]
    distortion: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    lens: ClassVar[str]
    coefficients: ClassVar[tuple[int, ...]]  # how many the model takes

    def __post_init__(self) -> None:
        object.__setattr__(self, "K", as_f64(self.K))
        object.__setattr__(self, "distortion", as_f64(self.distortion).reshape(-1))
        check_figures(self)
        if tuple(self.K.shape) != (3, 3):
            raise CalibrationError(f"intrinsics: K must be 3x3, got shape {tuple(self.K.shape)}")
        if len(self.distortion) not in self.coefficients:
            raise CalibrationError(
                f"distortion: {self.lens} takes {self.coefficients} coefficients, got {len(self.distortion)}"
            )

    @classmethod
    def from_focal(
        cls,
        fx: float,
        fy: float,
        cx: float,
        cy: float,
        size: tuple[int, int],
        distortion: Sequence[float] = (),
        skew: float = 0.0,
    ) -> Self:
        """Build from focal lengths and principal point in pixels; ``size`` is (height, width)."""
        K = torch.tensor([[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float64)
        return cls(K=K, size=size, distortion=as_f64(list(distortion)))

    # --- what a lens supplies -------------------------------------------------------------------------------------
    @abstractmethod
    def _to_lens(self, points: Tensor) -> Tensor:
        """Points (..., 3) to lens coordinates (..., 2)."""

    @abstractmethod
    def _to_lens_jacobian(self, points: Tensor) -> Tensor:
        """Derivative (..., 2, 3) of the lens coordinates with respect to the point."""

    @abstractmethod
    def _ray(self, lens: Tensor) -> Tensor:
        """Lens coordinates (..., 2) to rays (..., 3), NaN where no ray exists."""

    @abstractmethod
    def valid(self, points: Tensor) -> Tensor:
        """Whether the lens images a point (...,): in front, inside the monotone radius and the limit angle."""

    @abstractmethod
    def _mirrored_distortion(self) -> Tensor:
        """Coefficients of the lens seen in a mirror (x changes sign)."""

    # --- what everybody calls -------------------------------------------------------------------------------------
    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Project points in the camera frame.

        Args:
            points: (..., 3) metres.

        Returns:
            pixels (..., 2) as (u, v), and validity (...,) bool. Pixels of invalid points are meaningless.
        """
        points = points.to(torch.float64)
        valid = self.valid(points)
        safe = torch.where(valid[..., None], points, points.new_tensor([0.0, 0.0, 1.0]))
        return self._to_lens(safe) @ self.K[:2, :2].T + self.K[:2, 2], valid

    def jacobian(self, points: Tensor) -> Tensor:
        """Derivative (..., 2, 3) of the pixel with respect to the point, pixels per metre."""
        derivative: Tensor = self.K[:2, :2] @ self._to_lens_jacobian(points.to(torch.float64))
        return derivative

    def unproject(self, pixels: Tensor) -> Tensor:
        """Rays (..., 3) of pixels (..., 2): unit vectors in the camera frame, NaN where the lens images nothing."""
        lens = (pixels.to(torch.float64) - self.K[:2, 2]) @ torch.linalg.inv(self.K[:2, :2]).T
        ray = self._ray(lens)
        unit: Tensor = ray / torch.linalg.norm(ray, dim=-1, keepdim=True)
        return unit

    def mirrored(self) -> Self:
        """The camera whose image of a mirrored scene is this camera's image flipped left-right."""
        # flip_u(width) K diag(-1, 1, 1): skew changes sign and cx becomes width - 1 - cx
        K = flip_u(self.size[1]) @ self.K * _MINUS_X
        return replace_unchecked(self, K=K, distortion=self._mirrored_distortion())

    def to_dict(self) -> dict[str, Any]:
        """A JSON- and YAML-able description that ``camera_from_dict`` reads back exactly."""
        return {
            "model": self.lens,
            "K": self.K.tolist(),
            "size": list(self.size),
            "distortion": self.distortion.tolist(),
        }
