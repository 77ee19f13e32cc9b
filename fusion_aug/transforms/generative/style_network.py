"""Networks of the user's own that make a picture of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.tiles import in_tiles
from fusion_aug.safe.onnx import FLOATS, Value, signature_of
from fusion_aug.sample.networks import Network, believe_network

Array = np.ndarray

WARM = "warm"  # the word for the network that comes with the package: one matrix of colours, for trying things out
WARM_FILE = Path(__file__).with_name("warm.onnx")
MOST_LATENT = 4096  # numbers


class StyleContract(NamedTuple):
    """What a network that translates pictures takes and gives.

    Attributes:
        sha256: of the file. picture, output: names.
        size: (height, width) of its picture; None for one that may have any.
        nearness: whether the picture has a fourth plane, of nearness.
        latent: name and length of its latent vector; None without one.
        halves: whether picture and latent have 16 bits.
    """

    sha256: str
    picture: str
    output: str
    size: tuple[int, int] | None
    nearness: bool
    latent: tuple[str, int] | None
    halves: tuple[bool, bool]


@dataclass(frozen=True)
class StyleNetwork(Network):
    """A network in an ONNX file that makes a picture of a picture.

    It takes one RGB picture (1, 3, height, width) of floats, levels from 0 to 1 less ``mean`` over ``std``, and gives
    one of the same size and kind, which is brought back by ``std`` and ``mean``. A picture of four planes holds
    nearness last, ``near`` over the distance in metres and 1 at most. A second input (1, k) is a latent vector.

    Attributes:
        margin: pixels beside a pixel that it looks at (half of its receptive field); tiles overlap by them.
        stride: pixels that a side of its picture has to be a multiple of.
        near: metres.
        size: (height, width) of tiles in which pictures are worked on; None for that of the file, or whole pictures.
    """

    margin: int = 32
    stride: int = 8
    near: float = 5.0

    @classmethod
    def contract(cls, path: Path) -> StyleContract:
        """What the network in a file takes and gives.

        Raises:
            DataError: the file cannot be read, or holds no network of a picture and perhaps a latent vector.
        """
        sha256, inputs, outputs = signature_of(path)
        pictures = [v for v in inputs if v.is_picture([3, 4])]
        latents = [v for v in inputs if len(v.shape) == 2 and v.shape[0] in (1, None) and v.kind in FLOATS]
        if len(pictures) != 1 or len(pictures) + len(latents) != len(inputs) or len(latents) > 1 or len(outputs) != 1:
            raise DataError(
                f"{path}: takes {_said(inputs)} and gives {_said(outputs)}; one picture (1, 3, height, width) of "
                f"floats in, or one of 4 planes with nearness, perhaps a latent vector (1, k), and one picture out are "
                f"understood"
            )
        (picture,), latent = pictures, latents[0] if latents else None
        count = latent.shape[1] if latent is not None else 1
        if count is None or not 1 <= count <= MOST_LATENT:
            raise DataError(f"{path}: its latent vector must have a length from 1 to {MOST_LATENT} in the file")
        return StyleContract(
            sha256, picture.name, outputs[0].name, picture.size, picture.shape[1] == 4,
            None if latent is None else (latent.name, count),
            (picture.kind == "FLOAT16", latent is not None and latent.kind == "FLOAT16"),
        )  # fmt: skip

    @classmethod
    def from_config(cls, value: Any, where: str) -> Self:
        """The network that a setting names; ``warm`` is the one that comes with the package."""
        given = dict(value) if isinstance(value, Mapping) else {"file": value}
        if given.get("file") == WARM:
            given["file"] = WARM_FILE
        return super().from_config(given, where)

    @classmethod
    def from_record(cls, params: Mapping[str, Any] | None) -> Self | None:
        """The network of drawn parameters."""
        made = super().from_record(params)
        if made is not None and made.file == WARM_FILE.name:
            believe_network(made.sha256, WARM_FILE)  # a file of that name is looked at before it is used
        return made

    def to_config(self) -> str | dict[str, Any]:
        """What ``from_config`` takes."""
        plain = super().to_config()
        if self.path != WARM_FILE:
            return plain
        return WARM if isinstance(plain, str) else {**plain, "file": WARM}

    def translated(self, levels: Array, latent: Sequence[float] = (), distance: Array | None = None) -> Array:
        """The picture that it makes of one.

        Args:
            levels: (H, W, 3) uint8, or float32 from 0 to 1. latent: the numbers of its latent vector.
            distance: (H, W) metres; where it takes nearness.

        Returns:
            (H, W, 3) float32 from 0 to 1.

        Raises:
            DataError: the file is not known here, was changed, or gives no picture of the same size.
        """
        session, contract = self.opened()
        white = np.float32(255.0 if levels.dtype == np.uint8 else 1.0)
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        planes = ((levels / white - mean) / std).astype(np.float32).transpose(2, 0, 1)
        if contract.nearness:
            assert distance is not None, "who runs it asks for nearness"
            planes = np.concatenate([planes, np.minimum(self.near / distance, 1)[None].astype(np.float32)])
        picture_type, latent_type = (np.float16 if half else np.float32 for half in contract.halves)
        beside = {} if contract.latent is None else {contract.latent[0]: np.array([latent], latent_type)}

        def run(part: Array) -> Array:
            found = self.run(session, contract.output, {contract.picture: part[None].astype(picture_type), **beside})
            if found.dtype.kind != "f" or found.shape != (1, 3, *part.shape[1:]) or not np.isfinite(found).all():
                raise DataError(
                    f"{self.file}: expected a picture (1, 3, {part.shape[1]}, {part.shape[2]}) of finite floats, got "
                    f"{found.dtype} of shape {found.shape}"
                )
            out: Array = found[0].astype(np.float32)
            return out

        made = in_tiles(planes, run, self.tile(contract.size), self.stride, self.margin)
        out: Array = np.clip(made.transpose(1, 2, 0) * std + mean, 0, 1)
        return out

    def tile(self, own: tuple[int, int] | None) -> tuple[int, int] | None:
        """(height, width) of tiles; None for whole pictures. ``own``: the size in the file."""
        return own if self.size is None else (self.size[0], self.size[1])

    def _check(self, where: str) -> None:
        """Raise ConfigError unless the settings are such as can be used."""
        super()._check(where)
        for name, low, high in (("margin", 0, 4096), ("stride", 1, 1024)):
            if type(value := getattr(self, name)) is not int or not low <= value <= high:
                raise ConfigError(f"{where}.{name}: expected a whole number from {low} to {high}, got {value!r}")
        if type(self.near) not in (int, float) or not 0 < self.near < 1e6:
            raise ConfigError(f"{where}.near: expected metres above 0, got {self.near!r}")

    def _check_size(self, own: tuple[int, int] | None, where: str) -> None:
        """Raise ConfigError where tiles do not fit the margins; without tiles pictures are worked on whole."""
        tile = self.tile(own)
        if tile is None:
            return
        try:  # of a picture larger than a tile
            in_tiles(
                np.zeros((1, *(t + 1 for t in tile)), np.float32), lambda part: part, tile, self.stride, self.margin
            )
        except ValueError as error:
            raise ConfigError(f"{where}: tiles of {tile[0]} x {tile[1]} pixels: {error}") from None


def _said(values: Sequence[Value]) -> str:
    return ", ".join(f"{v.name} {v.shape} of {v.kind}" for v in values) or "nothing"
