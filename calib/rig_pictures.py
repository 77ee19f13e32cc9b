"""Pictures that a rig file names beside it: backgrounds of gels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calib.errors import CalibrationError
from calib.gel import load_sibling_picture


def with_loaded_pictures(data: Any, path: Path) -> Any:
    """The contents of a rig file with the pictures that it names.

    Raises:
        CalibrationError: one cannot be read; ``path`` and the field are named.
    """
    for name, sensor in sensors_with_picture(data):
        try:
            sensor["background"] = load_sibling_picture(path.parent, sensor["background"])
        except CalibrationError as error:
            raise CalibrationError(f"{path}: sensors.{name}.background: {error}") from None
    return data


def sensors_with_picture(data: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Sensors of a rig file that name a picture, with their names."""
    sensors = data.get("sensors") if isinstance(data, Mapping) else None
    listed = sensors.items() if isinstance(sensors, Mapping) else ()
    return [(n, s) for n, s in listed if isinstance(s, dict) and isinstance(s.get("background"), str)]
