"""What ``fusion-aug check`` measures: one measurement per file, in an open registry."""

from fusion_aug.check import air, dots, geometry, returns, robots, trajectories, velocity
from fusion_aug.check.measurement import MEASUREMENTS, Pair, Row, combine, measurement

__all__ = [
    "MEASUREMENTS", "Pair", "Row", "air", "combine", "dots", "geometry", "measurement", "returns", "robots",
    "trajectories", "velocity",
]  # fmt: skip
