"""What the fields of clouds mean, by the names that drivers give them and by what the user says (``log.fields``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.streams.meanings import MEANINGS, UNITS, UNKNOWN, UNKNOWN_BYTE, VECTORS, WORDS, Meaning

AXES = ("x", "y", "z")
# fields that clouds of LiDARs have columns for
OWN = (*AXES, "intensity", "ring", "label", "instance", "status", "true_range")
# columns of the class that mean something else than a field of their name would
TAKEN = ("xyz", "origin", "time_offset", "panoptic_label", "flow", "flow_valid", "flow_dynamic")

# times: Ouster, Velodyne, Hesai, Robosense, Livox, Aeva; the first that a cloud has is its ``time_offset``
TIMES = ("t", "time", "time_stamp", "timestamp", "offset_time", "time_offset", "time_offset_ns", "timestamp_ns", "ts")
# name of a column -> meaning of vectors whose parts are called NAME_x or NAMEx
VECTOR_NAMES = {
    "normal": "direction", "n": "direction", "direction": "direction", "dir": "direction",
    "principal_curvature": "direction", "velocity": "velocity", "vel": "velocity", "v": "velocity",
    "angular_velocity": "angular_velocity", "omega": "angular_velocity", "flow": "vector", "displacement": "vector",
    "vp": "position",
}  # fmt: skip
COLUMN_NAMES = {"n": "normal", "v": "velocity", "vel": "velocity", "vp": "viewpoint"}
BEHIND = ("", "_comp", "_compensated")  # vx_comp: with the sensor's own motion taken out
MEANING_OF: dict[str, str] = {
    # distances and angles that follow from x, y, z
    **dict.fromkeys(("range", "distance", "depth", "range_m"), "range"),
    **dict.fromkeys(("azimuth", "azimuth_angle", "horizontal_angle"), "azimuth"),
    **dict.fromkeys(("elevation", "elevation_angle", "vertical_angle", "altitude_angle"), "elevation"),
    **dict.fromkeys(("theta", "phi"), "angle"),
    # Doppler: Continental, smartmicro, TI, Oculii, View-of-Delft, Aeva
    **dict.fromkeys(("velocity", "doppler", "radial_velocity", "radial_speed", "range_rate", "rangerate", "v_r",
                     "doppler_velocity", "v_r_compensated", "recoveredspeed"), "radial_speed"),
    "speed": "speed",
    **dict.fromkeys(("range_rate_std", "doppler_std", "velocity_std"), "speed"),
    **dict.fromkeys(("radius", "range_std", "range_sigma"), "length"),
    # strengths and colours
    **dict.fromkeys(("reflectivity", "reflectance", "ambient", "near_ir", "signal", "noise", "snr", "power", "rcs",
                     "strength", "amplitude", "background", "intensity_raw", "peak", "pulse_width", "gain",
                     "rgb", "rgba", "bgr", "hue", "temperature", "thermal",
                     "signal_quality", "signal_strength", "elongation", "ambient_light", "ambient_light_level",
                     "azimuth_std", "elevation_std", "azimuth_angle_std", "elevation_angle_std",
                     "positive_predictive_value", "multi_target_probability",
                     "confidence", "probability", "prob", "score", "quality", "existence_probability",
                     "existence_probability_percent", "false_alarm_probability", "pdh0", "weight", "entropy",
                     "curvature", "histogram", "fpfh", "vfh", "shot", "descriptor"), "scalar"),
    # what a point lies on
    **dict.fromkeys(("class", "class_id", "classification", "semantic", "semantic_id", "label_id", "object_id",
                     "instance_id", "cluster", "cluster_id", "segment", "segment_id", "track_id", "ground",
                     "is_ground"), "label"),
    # which part of the sensor measured, and how
    **dict.fromkeys(("channel", "line", "laser", "laser_id", "laser_number", "beam", "row", "column", "col", "u", "v",
                     "tag", "return_type", "return", "return_id", "return_num", "return_number", "echo", "echo_id",
                     "num_returns", "sensor_id", "lidar_id", "device_id", "id", "index", "point_id", "line_index",
                     "point_index", "frame_index", "frame_id", "count", "flag", "flags", "valid", "is_valid",
                     "validity", "dotflags", "detector_site_id", "scan_checkpoint", "noise_flag", "blockage",
                     "scan_id", "scan_idx", "is_2nd_return", "layer", "point_flags", "point_flags_lsb",
                     "point_flags_msb", "invalid_flags", "ambiguity", "ambiguity_id", "measurement_id"), "number"),
}  # fmt: skip
COLOURS = ("rgba", "hsv")  # fields of one letter: alone, r may be a distance and v a speed
Told = Mapping[str, str]  # field, or fields with spaces or + between, or the name of a vector -> word


def told_fields(option: Any, topic: str) -> dict[str, str]:
    """What ``log.fields`` says of a topic's fields.

    Args:
        option: {topic, with or without its slash, or shell pattern: {field: meaning}}, or None. topic: of the cloud.

    Raises:
        ConfigError: it is no such mapping, or a meaning is not one of the words.
    """
    if option is None:
        return {}
    if not isinstance(option, Mapping) or not all(isinstance(v, Mapping) for v in option.values()):
        raise ConfigError(f"log.fields: expected {{topic or *: {{field: meaning}}}}, got {option!r}")
    out: dict[str, str] = {}
    for pattern, fields in option.items():
        for field, word in fields.items():
            if word not in WORDS:
                raise ConfigError(
                    f"log.fields: {pattern}: {field}: {word!r} is no meaning; they are {', '.join(WORDS)}"
                )
        if any(fnmatchcase(topic.strip("/"), str(p)) for p in (pattern, str(pattern).strip("/"))):
            out |= {str(f): str(w) for f, w in fields.items()}
    return out


def meanings_of(kinds: Mapping[str, np.dtype], told: Told, where: str) -> list[Meaning]:
    """What the fields of a cloud mean that its class does not declare.

    Args:
        kinds: field -> its dtype, of several numbers where it has several.
        told: what the user says. where: file and topic, for messages.

    Raises:
        ConfigError: what the user says does not fit the fields.
    """
    out: list[Meaning] = []
    free = [n for n in kinds if n not in AXES]
    for key, word in told.items():
        if not names_fields_of(key, word, kinds):
            continue  # of another cloud that the same pattern names
        parts = _parts_told(key, word, kinds)
        if parts is None or not set(parts) <= set(free):
            raise ConfigError(
                f"log.fields: {where}: {key}: is no field that can be a {word}; the fields are {', '.join(kinds)}"
            )
        _add(out, _column_name(key if len(parts) > 1 else parts[0]), word, parts, kinds)
        free = [n for n in free if n not in parts]
    for base, word in VECTOR_NAMES.items():
        for behind in BEHIND:
            parts = _parts_of(base, behind, free)
            if parts:
                _add(out, _column_name(base) + behind, word, parts, kinds)
                free = [n for n in free if n not in parts]
    for name in free:
        word = _word_of(name, kinds[name], kinds)
        if name not in OWN and word:
            _add(out, _column_name(name), word, (name,), kinds)
    return out


def _word_of(name: str, kind: np.dtype, kinds: Mapping[str, np.dtype]) -> str:
    """The meaning of a field by its name alone."""
    low, several = name.lower(), kind.shape != ()
    if low in TIMES and not several:
        unit = low.rpartition("_")[2]
        return f"time_{unit}" if unit in UNITS and "_" in low else "time"
    if low in VECTOR_NAMES and kind.shape == (3,):
        return VECTOR_NAMES[low]
    if any(low in colour and set(colour[:3]) <= {n.lower() for n in kinds} for colour in COLOURS):
        return "scalar"
    word = MEANING_OF.get(low, "")
    if low in ("u", "v") and kind.base.kind not in "iu":
        word = ""  # pixels are whole numbers
    if several and word != "scalar":
        word = ""
    return word or (UNKNOWN_BYTE if kind.base.itemsize == 1 and not several else UNKNOWN)


def _parts_of(base: str, behind: str, names: Iterable[str]) -> tuple[str, ...] | None:
    """The fields that hold x, y and perhaps z of a vector; None where there are none."""
    known = {n.lower(): n for n in names}
    for between in ("_", ""):
        parts = [known.get(f"{base}{between}{axis}{behind}") for axis in "xyz"]
        if parts[0] and parts[1]:
            return tuple(p for p in parts if p)
    return None


def names_fields_of(key: str, word: str, kinds: Mapping[str, np.dtype]) -> bool:
    """Whether a key of ``log.fields`` names fields of a cloud, or one of them."""
    return _parts_told(key, word, kinds) is not None or any(p in kinds for p in key.replace("+", " ").split())


def _parts_told(key: str, word: str, kinds: Mapping[str, np.dtype]) -> tuple[str, ...] | None:
    """The fields that a key of ``log.fields`` names; None where they are not there, or too few for a vector."""
    listed = tuple(key.replace("+", " ").split()) if key not in kinds else (key,)
    if len(listed) > 1:
        return listed if word in VECTORS and len(listed) <= 3 and set(listed) <= set(kinds) else None
    if word in VECTORS:
        whole = key in kinds and kinds[key].shape == (3,)
        return (key,) if whole else _parts_of(key.lower(), "", kinds)
    single = key in kinds and (kinds[key].shape == () or word in ("scalar", "label", "number"))
    return (key,) if single else None


def _column_name(name: str) -> str:
    name = COLUMN_NAMES.get(name, name)
    return f"field_{name}" if name in TAKEN else name


def _add(out: list[Meaning], name: str, word: str, parts: tuple[str, ...], kinds: Mapping[str, np.dtype]) -> None:
    """Add a meaning under a name that no other column has; the first time is the cloud's own."""
    if word.startswith("time") and not any(m.name == "time_offset" for m in out):
        name = "time_offset"
    others = {m.name for m in out} | (set(kinds) - set(parts))
    if name in others:
        name = "+".join(parts)
    kind = kinds[parts[0]].base
    is_whole = kind.kind in "iu" and not word.startswith("time")
    out.append(Meaning(name, word, parts, f"{kind.kind}{kind.itemsize}" if is_whole else ""))


def meaning_rows() -> list[list[str]]:
    """Rows of the documented table: word, what it means, the fields that are known by their names."""
    names: dict[str, list[str]] = {}
    for name, word in MEANING_OF.items():
        names.setdefault(word, []).append(f"`{name}`")
    for name, word in VECTOR_NAMES.items():
        parts = " ".join(f"{name}_{axis}" if len(name) > 1 else f"{name}{axis}" for axis in AXES)
        names.setdefault(word, []).insert(0, f"`{parts}`")
    names["time"] = [f"`{name}`" for name in TIMES]
    return [
        [f"`{word}`", about, ", ".join(names.get(word, []))]
        for word, (_, about) in MEANINGS.items()
        if not word.startswith(UNKNOWN)
    ]
