"""Motion of the vehicle or robot: ego pose, odometry and IMU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import Column, axial, covariance, polar, pose, rotation, specific_force
from fusion_aug.streams.families import ImagePlane, Mount, Weather


@dataclass(frozen=True, kw_only=True, eq=False)
class EgoPose(Stream):
    """Pose of the vehicle in the world, and its twist in its own frame, at every sensor's stamp.

    Columns: pose ``T_frame_child`` (n, 4, 4), velocity (m/s) and angular_velocity (rad/s) in the child frame.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        pose("pose"),
        polar("velocity", in_child_frame=True, rate=True),
        axial("angular_velocity", in_child_frame=True, rate=True),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class Odometry(Stream):
    """Wheel odometry, in the vehicle's own frame.

    Columns: velocity (n, 3) m/s; angular_velocity (n, 3) rad/s.
    """

    columns: ClassVar[tuple[Column, ...]] = (polar("velocity", rate=True), axial("angular_velocity", rate=True))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount)
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Imu(Stream):
    """Inertial readings in the sensor frame.

    Columns: gyro (n, 3) rad/s; accel (n, 3) m/s^2, the specific force R^T (a - g); orientation (n, 4), w x y z, the
    unit's attitude in the world, NaN where it has none; and covariances (n, 3, 3): of orientation about the world's
    axes (rad^2), of gyro and accel about the unit's.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        axial("gyro", rate=True),
        specific_force("accel"),
        rotation("orientation", in_world=True),
        covariance("orientation_covariance", 3, scaled=False, in_world=True),
        covariance("gyro_covariance", 3, scaled=False, per_second=1),
        covariance("accel_covariance", 3, per_second=2),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)
    is_continuous: ClassVar[bool] = True
