"""Flat clouds: files of nothing but little-endian float32, some numbers per point.

Such a file does not say what it holds. The format knows its columns, or the user declares them (``log.columns``); a
file that looks like another layout is refused, and so no number is ever taken for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.flat_evidence import other_layout
from fusion_aug.streams import Lidar, Points, Radar
from fusion_aug.streams.source import Source, decoder, row_counter

AXES = ("x", "y", "z")
NUMBERS = {"intensity": "intensity", "ring": "ring", "time": "time_offset", "rcs": "rcs"}
DOPPLER = {"v_r": "velocity", "v_r_comp": "velocity_comp"}  # along the ray, m/s, positive when receding
FREE = "feature_"  # beginning of names of numbers that no geometry touches
WHOLE = ("ring",)
SAME_PLACE = 1e-9  # metres
HELP = (
    "numbers per point of flat clouds, in order: x, y, z, intensity, ring, time (s), rcs (dBsm), v_r and v_r_comp "
    "(Doppler, m/s: raw, and without the own motion), feature_NAME for numbers that no geometry touches"
)


@dataclass(frozen=True)
class FlatLayout:
    """The numbers of every point in a flat file, in their order; ``flat_layout`` makes one of declared names."""

    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers per point."""
        return len(self.names)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns of the stream."""
        others = [DOPPLER.get(n) or NUMBERS.get(n, n) for n in self.names if n not in AXES]
        return ("xyz", *others)

    @property
    def stream(self) -> type[Points]:
        """Class of the stream: a radar where a column is one that only radars measure."""
        return Radar if {"rcs", *DOPPLER} & set(self.names) else Lidar

    def source(self, path: Path) -> Source:
        """A file of this layout, decoded on first use."""
        return Source(path, "flat_cloud", options={"columns": list(self.names)})

    def encode(self, values: Mapping[str, Tensor]) -> bytes:
        """Return the bytes of a file.

        Args:
            values: column of the stream -> (n, ...) tensor.
        """
        table = [self._numbers(values, name) for name in self.names]
        return np.stack(table, 1).astype("<f4").tobytes()

    def _numbers(self, values: Mapping[str, Tensor], name: str) -> np.ndarray[Any, Any]:
        if name in AXES:
            found = values["xyz"][:, AXES.index(name)]
        elif name in DOPPLER:
            found = along_ray(values[DOPPLER[name]], values["xyz"])
        else:
            found = values[NUMBERS.get(name, name)]
        out: np.ndarray[Any, Any] = found.detach().cpu().numpy()
        return out


def flat_layout(names: Sequence[str], option: str = "log.columns") -> FlatLayout:
    """Return the layout of declared columns.

    Raises:
        ConfigError: a name is unknown or given twice, or x, y or z is missing.
    """
    if isinstance(names, str) or not all(isinstance(n, str) for n in names):
        raise ConfigError(f"{option}: expected a list of names such as [x,y,z,intensity], got {names!r}")
    known = (*AXES, *NUMBERS, *DOPPLER)
    for name in names:
        if name not in known and not (name.startswith(FREE) and name != FREE):
            raise ConfigError(
                f"{option}: there is no column {name!r}, only {', '.join(known)}, and {FREE}NAME for numbers that no "
                f"geometry touches"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"{option}: a column is given twice in {list(names)}")
    missing = [n for n in AXES if n not in names]
    if missing:
        raise ConfigError(f"{option}: {', '.join(missing)} is missing in {list(names)}")
    return FlatLayout(tuple(names))


@decoder("flat_cloud")
def decode_flat(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """Columns of a flat file; ``options["columns"]`` are the names of the numbers of a point.

    Raises:
        DataError: the size does not fit, or the file looks like another layout.
    """
    layout = FlatLayout(tuple(options["columns"]))
    width, declared = layout.width, " ".join(layout.names)
    count_points(path, len(raw), options)
    found = other_layout(raw, width, [layout.names.index(axis) for axis in AXES])
    if found:
        raise DataError(
            f"{path}: the cloud is not {width} little-endian float32 numbers per point ({declared}): {found}; declare "
            f"the columns that it has with log.columns, or write it as float32"
        )
    table = torch.from_numpy(np.frombuffer(raw, "<f4").reshape(-1, width).copy())
    xyz = torch.stack([table[:, layout.names.index(axis)] for axis in AXES], 1)
    out = {"xyz": xyz}
    for i, name in enumerate(layout.names):
        if name in DOPPLER:
            out[DOPPLER[name]] = on_ray(table[:, i], xyz)
        elif name not in AXES:
            numbers = table[:, i].contiguous()
            out[NUMBERS.get(name, name)] = numbers.to(torch.int64) if name in WHOLE else numbers
    return out


@row_counter("flat_cloud")
def count_points(path: Path, size: int, options: dict[str, Any]) -> int:
    """Points of a flat file, by its size.

    Raises:
        DataError: the size does not fit.
    """
    names = options["columns"]
    points, rest = divmod(size, 4 * len(names))
    if rest:
        raise DataError(
            f"{path}: the cloud is truncated or of another layout: its {size} bytes are not a multiple of "
            f"{4 * len(names)}, {len(names)} float32 numbers per point ({' '.join(names)}); declare other columns with "
            f"log.columns"
        )
    return points


def on_ray(speed: Tensor, xyz: Tensor) -> Tensor:
    """Velocity (n, 3) of a radial speed (n,), m/s; along x for a return at the sensor itself."""
    rays = xyz.to(torch.float64)
    distance = torch.linalg.norm(rays, dim=1, keepdim=True)
    ahead = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    return (speed[:, None] * torch.where(distance > 0, rays / distance.clamp(min=1e-30), ahead)).to(speed.dtype)


def along_ray(velocity: Tensor, xyz: Tensor) -> Tensor:
    """Radial speed (n,), m/s, of velocities (n, 3) on their rays.

    Where a sensor was shifted with the scene, its rays no longer start at the origin: the speed is what it measured.
    """
    towards = (velocity.to(torch.float64) * xyz).sum(1)
    towards = torch.where(towards == 0, velocity[:, 0].to(torch.float64), towards)
    return torch.sign(towards) * torch.linalg.norm(velocity.to(torch.float64), dim=1)


def on_new_rays(cloud: Points, motion: Tensor) -> Points:
    """A cloud of a radar as a file gives it back: its Doppler along the rays from where the file has the sensor.

    Args:
        cloud: of one item. motion: (4, 4), from the frame of the cloud to the one in which the file holds it.
    """
    if not bool((motion[:3, 3].abs() > SAME_PLACE).any()):
        return cloud
    cloud = cloud.realized()
    stored = cloud.transformed(motion[None])
    xyz, R = stored.values["xyz"], motion[:3, :3].to(torch.float64)
    speeds = {n: along_ray(stored.values[n], xyz) for n in DOPPLER.values() if n in cloud.values}
    return cloud.with_values(**{n: (on_ray(v, xyz) @ R).to(cloud.values[n]) for n, v in speeds.items()})
