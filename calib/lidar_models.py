"""LiDARs that are known by name: their figures, and where each of these is from.

Makers publish wavelengths, ranges and divergences, but neither thresholds near the sensor nor how the gain rises there.
What a device reports from fog hangs on just these. ``Origin`` tells them apart: what the maker's own text says, what
others cite from it or measured, figures fitted to recordings, and guesses from devices of the same kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from calib.errors import CalibrationError
from calib.lidar import LidarSensor


class Origin(Enum):
    """Where a figure is from. ``SHEET`` is a text of the maker that was read, ``PUBLISHED`` any other source."""

    SHEET = "data sheet"
    PUBLISHED = "published"
    FITTED = "fitted"
    GUESS = "guessed"


class Known(NamedTuple):
    """A figure of a device, in the unit of the field of ``LidarSensor``, where it is from, and the source in words."""

    value: Any
    origin: Origin
    source: str


S, P, F, G = Origin.SHEET, Origin.PUBLISHED, Origin.FITTED, Origin.GUESS


def _device(*sources: tuple[Origin, str, dict[str, Any]]) -> dict[str, Known]:
    return {name: Known(value, origin, where) for origin, where, figures in sources for name, value in figures.items()}


ALIKE = "as devices of the same kind"
HELIOS = "https://github.com/3dgeo-heidelberg/helios, scanners_tls.xml, which cites the data sheet"

# Fitted: HDL-32E to the faintest returns of a clear sweep (nuScenes) and to five sweeps in fog (RADIATE), HDL-64E to a
# clear scan (KITTI) and to published scans in fog, which show a ring at 4-9 m. A floor from a range for 10 % of
# reflectivity is 0.1 / range^2. An oval beam counts as the round one of the same section.
LIDAR_MODELS: dict[str, dict[str, Known]] = {
    "HDL-32E": _device(
        (S, "user's manual, p. 2 (https://manualsdump.com, 275446/5)", {"min_range": 0.05, "max_range": 100.0}),
        (S, "user's manual, note on intensity data (https://velodyne.manymanuals.cz, lidar-hdl-32e, p. 17)",
         {"intensity_levels": 255, "white": 100 / 255}),
        (P, "user's manual, p. 26, as a program's list of scanners cites it: wide side", {"divergence": 2.79e-3}),
        (P, "of nuScenes: https://github.com/nutonomy/nuscenes-devkit/issues/789", {"echo": "strongest"}),
        (F, "nuScenes, RADIATE", {"noise_floor": 1.8e-5, "least_reflectivity": 0.005}),
        (F, "nuScenes: 1 % of the returns at 4-16 m of a clear sweep are fainter", {"near_floor": 0.015}),
        (G, "as the VLP-16; its manuals are said to give 903 or 905 nm", {"wavelength": 903e-9}),
        (G, ALIKE, {"pulse": 5e-9, "near_range": 8.0}),
    ),
    "HDL-64E": _device(
        (S, "maker's page http://www.velodyne.com/lidar/technology/concept.aspx: typically 4 ns; others cite 5 ns for "
         "the HDL-64E S2", {"pulse": 4e-9}),
        (P, f"{HELIOS}; from 3 feet", {"wavelength": 905e-9, "divergence": 2e-3, "min_range": 0.9, "max_range": 120.0}),
        (F, "KITTI, published scans",
         {"noise_floor": 1e-5, "near_floor": 0.0022, "near_range": 8.0, "least_reflectivity": 0.013}),
        (G, "as the HDL-32E", {"intensity_levels": 255, "white": 100 / 255}),
        (G, "set by the user (manual 63-HDL64ES3 Rev. K, p. 37)", {"echo": "strongest"}),
    ),
    "VLP-16": _device(
        (S, "user manual 63-9243, p. 55", {"wavelength": 903e-9, "intensity_levels": 255}),
        (S, "user manual 63-9243 Rev. D (https://usermanual.wiki/Pdf/VLP16Manual.1719942037), quoted in documents of "
         "Autoware", {"white": 100 / 255}),
        (P, "https://github.com/ros-drivers/velodyne/issues/60: manual 63-9243 Rev. A, p. 3, says 1 to 100 m; seen are "
         "returns from 0.45 m on", {"min_range": 0.45, "max_range": 100.0}),
        (G, "as the VLS-128: 3.0 x 1.5 mrad (its manual, p. 115)", {"divergence": 2.12e-3}),
        (G, "set by the user (manual, p. 50)", {"echo": "strongest"}),
        (G, ALIKE, {"pulse": 6e-9, "noise_floor": 2e-5, "near_floor": 0.005, "near_range": 8.0,
                    "least_reflectivity": 0.005}),
    ),
    "VLP-32C": _device(
        (P, "https://github.com/ros-drivers/velodyne/pull/323", {"max_range": 200.0}),
        (G, "as the VLP-16 and the VLS-128", {"wavelength": 903e-9, "intensity_levels": 255, "white": 100 / 255}),
        (G, "as the VLS-128: 3.0 x 1.5 mrad (its manual, p. 115)", {"divergence": 2.12e-3}),
        (G, "set by the user (manual 63-9325 Rev. C, p. 57)", {"echo": "strongest"}),
        (G, ALIKE, {"pulse": 6e-9, "min_range": 1.0, "noise_floor": 5e-6, "near_floor": 0.004, "near_range": 8.0,
                    "least_reflectivity": 0.005}),
    ),
    "OS1": _device(
        (S, "data sheet, first OS1 (https://scribd.com/document/672435817), 128 beams: 0.18 degrees, 40 m at 10 %",
         {"wavelength": 850e-9, "divergence": 3.14e-3, "noise_floor": 6.3e-5, "min_range": 0.8, "max_range": 120.0,
          "echo": "strongest"}),
        (S, "user guide, p. 17 (https://easymanua.ls/ouster/os1)", {"intensity_levels": 65535}),
        (G, ALIKE, {"pulse": 6e-9, "near_floor": 0.004, "near_range": 3.0, "white": 100 / 255,
                    "least_reflectivity": 0.01}),
    ),
    "OS2": _device(
        (S, "hardware user manual (https://manuals.plus/ouster/os2-long-range-lidar-sensor-manual)",
         {"wavelength": 865e-9}),
        (P, "data sheet Rev. D v2.0 (https://data.ouster.io, datasheet-revd-v2p0-os2.pdf), as OpenPLX and others cite "
         "it: 0.09 degrees", {"divergence": 1.57e-3, "min_range": 1.0, "max_range": 240.0}),
        (G, "as the OS1", {"echo": "strongest", "intensity_levels": 65535}),
        (G, ALIKE, {"pulse": 6e-9, "noise_floor": 1e-5, "near_floor": 0.004, "near_range": 5.0, "white": 100 / 255,
                    "least_reflectivity": 0.01}),
    ),
    "Pandar64": _device(
        (S, "user manual, p. 35 and 85 (https://easymanua.ls/hesai/pandar64)",
         {"intensity_levels": 255, "white": 100 / 255}),
        (P, "https://arxiv.org/abs/2407.07462 (MAN TruckScenes), table 2, as others cite it: 200 m at 10 %",
         {"max_range": 200.0, "noise_floor": 2.5e-6}),
        (G, ALIKE, {"wavelength": 905e-9, "divergence": 2e-3, "pulse": 5e-9, "min_range": 0.3, "near_floor": 0.004,
                    "near_range": 8.0, "echo": "strongest", "least_reflectivity": 0.005}),
    ),
    "Livox Avia": _device(
        (S, "maker's driver, https://docs.ros.org/en/kinetic/api/livox_ros_driver, CustomPoint",
         {"intensity_levels": 255}),
        (P, f"{HELIOS}: 0.28 x 0.03 degrees", {"wavelength": 905e-9, "divergence": 1.6e-3, "min_range": 1.0}),
        (P, "https://www.livoxtech.com/avia/specs, as others cite it: 190 m at 10 %; 450 m at 80 % in the dark",
         {"noise_floor": 2.8e-6, "max_range": 450.0}),
        (G, "as the HAP (its manual, p. 15)", {"white": 150 / 255}),
        (G, ALIKE, {"pulse": 6e-9, "near_floor": 0.004, "near_range": 8.0, "echo": "strongest",
                    "least_reflectivity": 0.005}),
    ),
}  # fmt: skip


def lidar_figures(model: object) -> Mapping[str, Any]:
    """Fields of ``LidarSensor`` of a device that is known by name.

    Raises:
        CalibrationError: no device of that name is known.
    """
    if not isinstance(model, str) or model not in LIDAR_MODELS:
        raise CalibrationError(f"{model!r} is no known LiDAR; known are {', '.join(LIDAR_MODELS)}")
    return {name: figure.value for name, figure in LIDAR_MODELS[model].items()}


def lidar_of_model(model: str, frame: str, **fields: Any) -> LidarSensor:
    """A LiDAR that is known by name.

    Args:
        model: a key of ``LIDAR_MODELS``. frame: its frame. fields: of ``LidarSensor``, which override the model's.

    Raises:
        CalibrationError: no device of that name is known, or a field is wrong.
    """
    return LidarSensor(frame=frame, **{**lidar_figures(model), **fields})


def model_of(sensor: LidarSensor) -> str:
    """The name of the device whose figures a scanner has, but for two at most that a log overrides; else empty."""
    off = {m: sum(getattr(sensor, n) != k.value for n, k in own.items()) for m, own in LIDAR_MODELS.items()}
    nearest = min(off, key=off.__getitem__)
    return nearest if off[nearest] <= 2 else ""
