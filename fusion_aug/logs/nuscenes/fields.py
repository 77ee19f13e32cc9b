"""Fields of the tables that are read, and what they have to be."""

from __future__ import annotations

from typing import Any

from fusion_aug.errors import DataError

# Fields that are read, and their types; every table has a token.
NUMBER = (int, float)
FIELDS: dict[str, dict[str, Any]] = {
    "category": {"name": str},
    "instance": {"category_token": str},
    "sensor": {"channel": str, "modality": str},
    "calibrated_sensor": {"sensor_token": str, "translation": list, "rotation": list, "camera_intrinsic": list},
    "ego_pose": {"translation": list, "rotation": list},
    "scene": {"name": str, "first_sample_token": str, "last_sample_token": str},
    "sample": {"timestamp": NUMBER, "prev": str, "next": str, "scene_token": str},
    "sample_data": {
        "sample_token": str, "ego_pose_token": str, "calibrated_sensor_token": str, "timestamp": NUMBER,
        "is_key_frame": bool, "filename": str, "prev": str, "next": str,
    },
    "sample_annotation": {
        "sample_token": str, "instance_token": str, "translation": list, "rotation": list, "size": list, "prev": str,
        "next": str,
    },
    "lidarseg": {"sample_data_token": str, "filename": str},
    "panoptic": {"sample_data_token": str, "filename": str},
}  # fmt: skip
MAX_STAMP = 2**63 / 1000  # microseconds: nanoseconds are whole numbers of 64 bits


def check_row(table: str, row: dict[str, Any], where: str) -> None:
    """Raise where a field that is read is missing or is of a wrong type; every table has a token besides.

    Args:
        table: name of it. row: of it. where: the file, for messages.

    Raises:
        DataError: naming record and field.
    """
    for key, kind in FIELDS.get(table, {}).items():
        if not isinstance(row.get(key), kind) or (kind is NUMBER and not _is_finite(row[key])):
            what = "is missing" if key not in row else f"is not {'a number' if kind is NUMBER else kind.__name__}"
            raise DataError(f"{where}: {row['token']}: {key} {what}")
    if table == "sample_annotation" and not _three_numbers(row["size"]):
        raise DataError(f"{where}: {row['token']}: size: expected 3 numbers")


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and abs(value) < MAX_STAMP


def _three_numbers(value: list[Any]) -> bool:
    return len(value) == 3 and all(isinstance(v, NUMBER) and not isinstance(v, bool) for v in value)
