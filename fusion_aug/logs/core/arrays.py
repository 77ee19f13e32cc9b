"""Base of logs of episodes that are arrays: a row for every frame, at a rate that they do not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.episodes import EPISODE_OPTIONS, EpisodeLog
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.robots import BASE
from fusion_aug.logs.core.sidecar_rig import with_sidecar
from fusion_aug.safe.hdf5 import get_member, open_hdf5, read_rows
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Depth, ImageStream, Signal, Stream
from fusion_aug.streams.source import Coding, Source

MAX_ITEM_BYTES = 2**31
PICTURE_AXES = 4  # row, height, width, channel


def array_options(rate: float) -> dict[str, Option]:
    """Options of such a format; ``rate`` is what it is recorded at where nothing is said."""
    return {**EPISODE_OPTIONS, "rate": Option("frames per second, which the files do not hold", rate)}


class ArrayLog(EpisodeLog):
    """A log of episodes whose frames are rows of arrays, ``log.rate`` of them in a second."""

    @cached_property
    def rate(self) -> float:
        """Frames per second."""
        rate = self.options.rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
            raise ConfigError(f"log.rate: expected frames per second, got {rate!r}")
        return float(rate)

    def frames(self, count: int) -> dict[str, Any]:
        """Fields of every stream of an episode: frame, capture times (count,) ns, records."""
        times = torch.from_numpy(np.round(np.arange(count) / self.rate * 1e9).astype(np.int64))
        return {"frame": BASE, "capture_times": times, "records": tuple(str(i) for i in range(count))}

    def picture_stream(self, name: str, items: Sequence[Source], fields: Mapping[str, Any]) -> ImageStream:
        """Pictures of a camera, or its depth where the name ends in ``/depth``."""
        camera = name.removesuffix("/depth")
        kind: type[ImageStream] = Depth if name.endswith("/depth") else Camera
        return kind(**{**fields, "frame": camera}, camera=camera, items=tuple(items))

    def episode(self, sample_id: str, streams: dict[str, Stream]) -> Sample:
        """The sample of an episode, with what its sidecar holds."""
        sample = self.make_sample(sample_id, self.with_capture_times(streams, sample_id))
        return with_sidecar(sample, self.tree)

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints of the described robot."""
        return tuple(self.robot.joints) if self.robot is not None else ()


def events(rows: np.ndarray, fields: Mapping[str, Any]) -> Signal:
    """Numbers of single points in time, as rewards are."""
    return Signal(**fields, values={"event": torch.from_numpy(rows.copy())})


def check_numbers(dtype: np.dtype, shape: Sequence[int], count: int, where: str) -> None:
    """Raise unless an array holds a row of numbers for every frame.

    Args:
        dtype, shape: of the array. count: frames. where: file and name, for messages.

    Raises:
        DataError: it does not, or its rows are too large.
    """
    if not shape or shape[0] != count:
        raise DataError(f"{where}: has {shape[0] if shape else 'no'} rows, expected {count}")
    if dtype.kind not in "biuf" or int(np.prod(shape[1:], dtype=object)) * dtype.itemsize > MAX_ITEM_BYTES:
        raise DataError(f"{where}: a row of {dtype} {tuple(shape[1:])} is not read")


@dataclass(frozen=True, eq=False)
class DatasetSource(Source):
    """A picture of an HDF5 dataset (n, H, W, C); ``options`` hold the dataset's name and the row."""

    is_whole = False  # a file holds many

    @property
    def coding(self) -> Coding:
        """Datasets hold the numbers as they are."""
        return Coding()

    def row(self) -> np.ndarray:
        """What the dataset holds."""
        with open_hdf5(self.path) as file:
            return read_rows(get_member(file, self.options["dataset"], self.path), self.options["row"], self.path)

    @property
    def value(self) -> Tensor:
        """The picture (H, W, 3) uint8, or depth (H, W) float32; read at every access."""
        picture = torch.from_numpy(np.ascontiguousarray(self.row()))
        return picture[..., 0].to(torch.float32) if self.decoder == "depth" and picture.ndim == 3 else picture
