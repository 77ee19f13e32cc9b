"""Rules of messages of instruments: inertial units, magnetometers, planar scanners, distances, satellite receivers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.logs.mcap.messages import ReceivedMessage
from fusion_aug.logs.mcap.rules import MIRROR, MOUNT, NOISE, SCALE, SHIFT, TURN, WEATHER, Field, MessageRules
from fusion_aug.logs.mcap.typed import add_rules
from fusion_aug.streams import Imu, MagneticReading, PlanarScan, RangeReading, SatelliteFix

SENSOR = "sensor_msgs/msg/"
OWN = "in the sensor's own axes"
UNKNOWN = "all 0 or a negative first entry, which mean unknown, stay; noise that a transform adds is not in it"
EARTH = (MIRROR, SCALE)


def without_unknown_attitude(values: dict[str, Any], messages: list[ReceivedMessage]) -> dict[str, Any]:
    """The columns of an inertial unit without orientations that are none: a negative first covariance says so."""
    unknown = values["orientation_covariance"][:, 0, 0] < 0
    attitude = np.where(unknown[:, None], np.nan, values["orientation"])
    others = {c: v for c, v in values.items() if c != "orientation"}
    return others if np.isnan(attitude).all() else others | {"orientation": attitude}


def with_rays(values: dict[str, Any], messages: list[ReceivedMessage]) -> dict[str, Any]:
    """The columns of a planar scan with the number of rays of every sweep; intensities where there are any."""
    rays = np.array([len(h.message.ranges) for h in messages], dtype=np.int64)
    if not any(len(h.message.intensities) for h in messages):
        values = {c: v for c, v in values.items() if c != "intensity"}
    return values | {"rays": rays}


def look_at_intensities(messages: list[Any]) -> str:
    """Why a planar scan is not understood: it has intensities, but not one for each ray."""
    wrong = next((m for m in messages if len(m.intensities) not in (0, len(m.ranges))), None)
    return "" if wrong is None else f"it has {len(wrong.intensities)} intensities for {len(wrong.ranges)} rays"


add_rules(
    MessageRules(
        f"{SENSOR}Imu", Imu,
        (
            Field("orientation", "orientation", "quaternion", why="in a world with z up; unknown ones stay"),
            Field("orientation_covariance", "orientation_covariance", "square", why=f"about the world; {UNKNOWN}"),
            Field("gyro", "angular_velocity", "vector", (NOISE,), why=OWN),
            Field("gyro_covariance", "angular_velocity_covariance", "square", why=UNKNOWN),
            Field("accel", "linear_acceleration", "vector", (NOISE,), why=f"{OWN}, with gravity"),
            Field("accel_covariance", "linear_acceleration_covariance", "square", why=UNKNOWN),
        ),
        {}, adjust=without_unknown_attitude,
    )
)  # fmt: skip
add_rules(
    MessageRules(
        f"{SENSOR}MagneticField", MagneticReading,
        (
            Field("field", "magnetic_field", "vector", why=f"{OWN}; a pseudo-vector"),
            Field("covariance", "magnetic_field_covariance", "square", why=UNKNOWN),
        ),
        {},
    )
)  # fmt: skip
add_rules(
    MessageRules(
        f"{SENSOR}LaserScan", PlanarScan,
        (
            Field("angle_min", "angle_min", "number", (MIRROR, TURN, MOUNT), why="a turn about z only"),
            Field("angle_max", "angle_max", "number", (MIRROR, TURN, MOUNT)),
            Field(
                "angle_increment", "angle_increment", "number", (MIRROR,),
                why="negated by a mirror where rays are of different times; else the order of rays is reversed",
            ),
            Field("time_increment", "time_increment", "number"),
            Field("scan_time", "scan_time", "number"),
            Field("range_min", "range_min", "number"),
            Field("range_max", "range_max", "number"),
            Field("range", "ranges", "numbers", (MIRROR,), (SHIFT, MOUNT, WEATHER), "NaN, infinity and 0 stay"),
            Field("intensity", "intensities", "numbers", (MIRROR,), why="with the ranges"),
        ),
        {}, adjust=with_rays, look=look_at_intensities,
    )
)  # fmt: skip
add_rules(
    MessageRules(
        f"{SENSOR}Range", RangeReading,
        (
            Field("range_min", "min_range", "number"),
            Field("range_max", "max_range", "number"),
            Field("range", "range", "number", (), (TURN, SHIFT, MOUNT, WEATHER), "infinity stays"),
        ),
        {"radiation_type": "kind of sensor", "field_of_view": "an angle"},
    )
)  # fmt: skip
add_rules(
    MessageRules(
        f"{SENSOR}NavSatFix", SatelliteFix,
        (
            Field("latitude", "latitude", "number", (NOISE,), EARTH, "of the earth, which no rigid motion moves"),
            Field("longitude", "longitude", "number", (NOISE,), EARTH, "interpolated the short way around"),
            Field("altitude", "altitude", "number", (), EARTH),
            Field("covariance", "position_covariance", "square", why="that of the nearest fix"),
        ),
        {
            "status.status": "that of the nearest fix", "status.service": "of the receiver",
            "position_covariance_type": "that of the nearest fix",
        },
    )
)  # fmt: skip
