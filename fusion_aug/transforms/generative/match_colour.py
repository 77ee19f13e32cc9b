"""``MatchColour``: the colours of a log made those of other pictures, without any network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.physics.colour_match import moved_colours
from fusion_aug.sample import Sample
from fusion_aug.streams.source import Source
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext
from fusion_aug.transforms.mix.pictures import PictureFolder

ACROSS = 64  # pixels of the longer side of each picture that are looked at
MOST = 1000  # pictures of a folder that are looked at, evenly


@dataclass(frozen=True)
class Colours:
    """Mean and covariance of the levels of pictures, red, green and blue from 0 to 1.

    Attributes:
        mean: (3,). covariance: (3, 3). folder: that they are of; None where the numbers were given.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    folder: str | None = None

    @classmethod
    def from_config(cls, value: Any, where: str = "Colours") -> Self:
        """Those of a folder of pictures, or the numbers themselves.

        Args:
            value: a folder, or a mapping with ``mean`` and ``covariance``. where: transform and field, for messages.

        Raises:
            ConfigError: it is neither, or a picture cannot be read.
        """
        if isinstance(value, Mapping) and set(value) == {"mean", "covariance"}:
            mean, covariance = (
                _numbers(value[k], shape, f"{where}.{k}") for k, shape in (("mean", (3,)), ("covariance", (3, 3)))
            )
            if np.abs(covariance - covariance.T).max() > 1e-9 or np.linalg.eigvalsh(covariance).min() < -1e-9:
                raise ConfigError(f"{where}.covariance: is no covariance: it has to be symmetric and not below 0")
            return cls(tuple(mean.tolist()), tuple(map(tuple, covariance.tolist())))
        if isinstance(value, Mapping):
            raise ConfigError(
                f"{where}: expected a folder, or a mapping of mean and covariance, got {sorted(map(str, value))}"
            )
        pictures = PictureFolder.from_config(value, where)
        paths = [Path(pictures.folder).expanduser().absolute() / n for n in pictures.names]
        try:
            middle, spread = _of_files(tuple((p, p.stat().st_mtime_ns, p.stat().st_size) for p in paths))
        except DataError as error:
            raise ConfigError(f"{where}: {error}") from None
        return cls(tuple(middle), tuple(map(tuple, spread)), pictures.folder)

    def recorded(self) -> dict[str, Any]:
        """What a record says of them."""
        return {"mean": list(self.mean), "covariance": [list(row) for row in self.covariance]}

    def to_config(self) -> str | dict[str, Any]:
        """What ``from_config`` takes."""
        return self.recorded() if self.folder is None else self.folder


@dataclass(frozen=True, kw_only=True)
class MatchColour(PhotometricTransform):
    """Colours of all cameras become those of other pictures, by mean and covariance of a whole folder.

    One matrix and one shift for all pictures, so that cameras and times agree: a log of summer made as warm, as dark
    and as grey as one of winter, without any network. It is also what a translating network has to be better than.

    Attributes:
        pictures: folder of pictures as the log's own are (of one of its cameras, say), or a mapping ``mean`` and
            ``covariance`` of levels from 0 to 1.
        like: folder of pictures whose colours are to be had, or such a mapping.
        strength: share of the way.
    """

    scope: str = "scene"
    pictures: Colours
    like: Colours
    strength: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"strength": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {
        "strength": Strength(0.0, 1.0, "linear", "declared: its end, the colours of the other pictures", "share")
    }
    needs_naming: ClassVar[str] = "it needs pictures of the user's own"
    example: ClassVar[dict[str, Any]] = {
        "pictures": {"mean": [0.5] * 3, "covariance": [[0.05, 0.03, 0.03], [0.03, 0.05, 0.03], [0.03, 0.03, 0.05]]},
        "like": {"mean": [0.4, 0.42, 0.45], "covariance": [[0.04, 0.02, 0.02], [0.02, 0.04, 0.02], [0.02, 0.02, 0.04]]},
        "strength": [0.5, 1.0],
    }  # fmt: skip

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Draw the share, and note matrix and shift of levels from 0 to 1, to 1e-6."""
        share = draw(self.strength, rng)
        matrix, shift = moved_colours(
            self.pictures.mean, self.pictures.covariance, self.like.mean, self.like.covariance
        )
        return {
            "cameras": None if self.cameras is None else list(self.cameras), "strength": share,
            "matrix": np.round(matrix, 6).tolist(), "shift": np.round(shift, 6).tolist(),
        }  # fmt: skip

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Levels times the matrix, plus the shift, as far as ``strength`` says; clipped."""
        share, white = float(params["strength"]), 255.0 if picture.dtype == torch.uint8 else 1.0
        if share == 0:
            return picture
        matrix = np.eye(3) + share * (np.asarray(params["matrix"]) - np.eye(3))
        whole = np.concatenate([matrix, share * white * np.asarray(params["shift"])[:, None]], 1)
        out = cv2.transform(np.ascontiguousarray(picture.detach().cpu().numpy()), whole)
        return torch.from_numpy(out if white == 255 else np.clip(out, 0, 1)).to(picture.device)


def _numbers(value: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        found = np.full((), np.nan)
    if found.shape != shape or not np.isfinite(found).all():
        raise ConfigError(f"{where}: expected {' x '.join(map(str, shape))} numbers, got {value!r}")
    return found


@lru_cache(maxsize=8)
def _of_files(files: tuple[tuple[Path, int, int], ...]) -> tuple[list[float], list[list[float]]]:
    """Mean and covariance of all levels, each picture counting the same."""
    step = -(-len(files) // MOST)
    means, squares = [], []
    for path, _, _ in files[::step]:
        picture = Source(path, "image").value
        if picture.dtype != torch.uint8:
            raise DataError(f"{path} holds {picture.dtype}; convert it to 8 bits")
        small = picture.numpy()[:: max(1, len(picture) // ACROSS), :: max(1, picture.shape[1] // ACROSS)]
        levels = small.reshape(-1, 3) / 255.0
        means.append(levels.mean(0))
        squares.append(levels.T @ levels / len(levels))
    mean = np.mean(means, 0)
    covariance = np.mean(squares, 0) - np.outer(mean, mean)
    return np.round(np.asarray(mean), 9).tolist(), np.round(covariance, 9).tolist()
