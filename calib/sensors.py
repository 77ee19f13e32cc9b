"""The sensors of a rig: the devices themselves. Their frames and poses are in the rig."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from calib.cameras import CameraModel, Pinhole, flip_u, is_intrinsics, split_pixel_map
from calib.errors import CalibrationError
from calib.figures import Figure, Pixels
from calib.lidar import Angle, LidarSensor, Metres
from calib.rectification import Rectification
from calib.replacing import replace_unchecked
from calib.se3 import as_f64
from calib.sensor import Sensor
from calib.ties import TIE
from calib.touch_sensors import TactileSensor, TaxelSensor, WrenchSensor

Seconds = Annotated[float, Figure(unit="seconds", at_least=0, at_most=60)]
Noise = Annotated[float, Figure(unit="SI units", at_least=0)]
Speed = Annotated[float, Figure(unit="m/s", above=0)]


@dataclass(frozen=True, eq=False, kw_only=True)
class CameraSensor(Sensor):
    """A camera and the pixel map that image-plane operations built up: ``pixel = A [project(X); 1]``.

    Attributes:
        model: the physical camera.
        A: (3, 3) float64 homography from physical pixels to canvas pixels.
        size: (height, width) of the canvas, pixels. Defaults to the physical size.
        exposure: exposure time, seconds.
        readout: seconds from the sensor's first row to its last, of a rolling shutter; None where it is not known.
        rectification: how its picture is rectified, or how it was; None where it is not known.
    """

    model: CameraModel
    A: Tensor = field(default_factory=lambda: torch.eye(3, dtype=torch.float64, device="cpu"))
    size: tuple[Pixels, Pixels] = (0, 0)
    exposure: Seconds | None = None
    readout: Seconds | None = None
    rectification: Rectification | None = None

    kind = "camera"

    def __post_init__(self) -> None:
        object.__setattr__(self, "A", as_f64(self.A))
        if self.size == (0, 0):
            object.__setattr__(self, "size", self.model.size)
        super().__post_init__()
        if tuple(self.A.shape) != (3, 3):
            raise CalibrationError(f"A: the pixel map must be 3x3, got shape {tuple(self.A.shape)}")

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Canvas pixels (..., 2) of camera-frame points (..., 3), and whether each lies on the canvas (..., bool)."""
        physical, valid = self.model.project(points)
        pixels = apply_homography(self.A, physical) if self.has_pixel_map else physical
        height, width = self.size
        u, v = pixels.unbind(-1)
        rim = 0.5 + TIE
        inside = (u >= -rim) & (u <= width - 1 + rim) & (v >= -rim) & (v <= height - 1 + rim)
        return pixels, valid & inside

    def unproject(self, pixels: Tensor) -> Tensor:
        """Unit rays (..., 3) in the camera frame of canvas pixels (..., 2)."""
        pixels = pixels.to(torch.float64)
        physical = apply_homography(torch.linalg.inv(self.A), pixels) if self.has_pixel_map else pixels
        return self.model.unproject(physical)

    def cosines(self) -> Tensor:
        """Cosine (H, W), float64, between the optical axis and the ray of every pixel; NaN where a lens sees nothing.

        It turns distances along the axis into those along rays. It carries no gradient.
        """
        v, u = (torch.arange(n, dtype=torch.float64) for n in self.size)
        if type(self.model) is not Pinhole:
            return self.unproject(torch.stack(torch.meshgrid(u, v, indexing="xy"), -1))[..., 2].detach()
        M = torch.linalg.inv(self.A @ self.model.K).detach()
        across, down = M[:, 0], M[:, 1:2] * v + M[:, 2:]  # (3,) and (3, H): a ray is down + across u
        square = torch.outer(2 * across @ down, u)  # of its length, in few passes over the canvas
        square.add_((across @ across) * u * u).add_((down * down).sum(0)[:, None])
        along = down[2, :, None] if across[2] == 0 else down[2, :, None] + across[2] * u
        return square.rsqrt_().mul_(along.abs())

    @property
    def has_pixel_map(self) -> bool:
        """Whether canvas pixels are others than physical ones, or ``A`` carries a gradient."""
        return self.A.requires_grad or not torch.equal(self.A, torch.eye(3, dtype=self.A.dtype, device=self.A.device))

    @property
    def pixels_per_radian(self) -> float:
        """Canvas pixels per radian about the middle of the picture."""
        A = self.A.detach()
        scale = float(torch.linalg.det(A[:2, :2]).abs().sqrt() / A[2, 2].abs())
        return float(self.model.K[0, 0].detach()) * scale

    def with_pixel_map(self, P: Tensor, size: tuple[int, int]) -> CameraSensor:
        """After an image-plane map ``P`` onto a canvas of ``size``: ``A' = P A``."""
        return replace_unchecked(self, A=P @ self.A, size=size)

    def mirrored(self) -> CameraSensor:
        """Mirrored camera: ``A' = F_canvas A F_physical``, where F_w maps u to w - 1 - u."""
        same = self.size == self.model.size and not self.has_pixel_map
        A = self.A if same else flip_u(self.size[1]) @ self.A @ flip_u(self.model.size[1])
        rectified = self.rectification and self.rectification.mirrored(self.model.size[1])
        return replace_unchecked(self, model=self.model.mirrored(), A=A, rectification=rectified)


def pinhole_sensor(frame: str, K: Tensor, size: tuple[int, int], mirror_of: str | None = None) -> CameraSensor:
    """A camera from a 3x3 matrix of a file: what intrinsics cannot hold (flips, rotations) becomes its pixel map.

    Args:
        frame: name of its frame. K: (3, 3) float64. size: (height, width) pixels. mirror_of: its mirror partner.
    """
    K, A = (K, torch.eye(3, dtype=torch.float64)) if is_intrinsics(K) else split_pixel_map(K, size)
    return CameraSensor(frame=frame, mirror_of=mirror_of, model=Pinhole(K=K, size=size), A=A, size=size)


def apply_homography(A: Tensor, pixels: Tensor) -> Tensor:
    """Pixels mapped in homogeneous coordinates.

    Args:
        A: (3, 3), or (n, 3, 3) for one matrix per group of pixels.
        pixels: (..., 2), or (n, k, 2) for n groups.
    """
    shift = A[:2, 2] if A.ndim == 2 else A[:, None, :2, 2]
    corner = A[2, 2] if A.ndim == 2 else A[:, 2, 2, None, None]
    mapped = pixels @ A[..., :2, :2].transpose(-1, -2) + shift
    if A.ndim == 2 and A.is_cpu and not A.requires_grad and A[2].tolist() == [0.0, 0.0, 1.0]:
        return mapped
    return mapped / (pixels @ A[..., 2, :2, None] + corner)


@dataclass(frozen=True, eq=False, kw_only=True)
class RadarSensor(Sensor):
    """An automotive radar.

    Attributes:
        carrier: Hz. range_resolution: metres. azimuth_resolution: radians.
        doppler_resolution, max_doppler: m/s.
        elevation_width: of the beam, radians.
        min_rcs: dBsm that are just detected at 50 m; the threshold grows with the fourth power of the distance.
        max_range: metres.
    """

    carrier: Annotated[float, Figure(unit="Hz", at_least=1e8, at_most=1e12)] = 77e9
    range_resolution: Metres = 0.4
    azimuth_resolution: Angle = 0.028
    doppler_resolution: Speed = 0.1
    max_doppler: Speed = 70.0
    elevation_width: Angle = 0.14
    min_rcs: Annotated[float, Figure(unit="dBsm", at_least=-200, at_most=200)] = -15.0
    max_range: Metres = 250.0

    kind = "radar"


@dataclass(frozen=True, eq=False, kw_only=True)
class ImuSensor(Sensor):
    """An inertial measurement unit (IMU).

    Attributes:
        gyro_noise: rad/s/sqrt(Hz). accel_noise: m/s^2/sqrt(Hz).
        gyro_bias_walk: rad/s^2/sqrt(Hz). accel_bias_walk: m/s^3/sqrt(Hz).
        gravity: what it reads at rest, m/s^2: 9.80665 where it measures in g. None: 9.81, as everywhere else.
    """

    gyro_noise: Noise = 0.0
    accel_noise: Noise = 0.0
    gyro_bias_walk: Noise = 0.0
    accel_bias_walk: Noise = 0.0
    gravity: Annotated[float, Figure(unit="m/s^2", at_least=0, at_most=30)] | None = None

    kind = "imu"


SENSORS: dict[str, type[Sensor]] = {
    s.kind: s for s in (CameraSensor, LidarSensor, RadarSensor, ImuSensor, TactileSensor, TaxelSensor, WrenchSensor)
}

__all__ = [
    "SENSORS", "CameraSensor", "ImuSensor", "LidarSensor", "RadarSensor", "Sensor", "TactileSensor", "TaxelSensor",
    "WrenchSensor", "apply_homography", "pinhole_sensor",
]  # fmt: skip
