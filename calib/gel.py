"""Camera-based touch: how a gel deforms and how it is lit."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.figures import Figure, check_figures
from calib.regular_files import read_regular
from calib.se3 import as_f64

LIGHTS = (10, 3)
MAX_PICTURE = 32 * 2**20
MAX_PIXELS = 16 * 2**20
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class GelModel:
    """How a gel deforms and how it is lit.

    Per channel the difference to the picture without contact is ``(L + x Lx + y Ly) . n + k``: near lights whose
    strength and direction change to first order over the gel, x and y from -1 to 1 over the picture, n the surface
    normal (x right, y down, z out of the gel towards the camera).

    Attributes:
        lights: (10, 3) float64, parameters per channel R, G, B in levels of 255: L, x L, y L (3 each) and k.
        relaxation: length over which the gel comes back to rest beside a contact, mm. 0.83 mm fits GelSight.
        noise: standard deviation of the picture's noise, levels.
    """

    lights: Tensor
    relaxation: Annotated[float, Figure(unit="millimetres", above=0)] = 0.83
    noise: Annotated[float, Figure(unit="levels", at_least=0)] = 1.5

    def __post_init__(self) -> None:
        lights = as_f64(self.lights)
        if tuple(lights.shape) != LIGHTS or not bool(torch.isfinite(lights).all()):
            raise CalibrationError(f"lights: expected {LIGHTS} numbers, got shape {tuple(lights.shape)}")
        object.__setattr__(self, "lights", lights)
        check_figures(self)

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers."""
        return {"lights": self.lights.tolist(), "relaxation": self.relaxation, "noise": self.noise}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> GelModel:
        """Read what ``to_dict`` wrote."""
        unknown = sorted(set(data) - {"lights", "relaxation", "noise"})
        if unknown:
            raise CalibrationError(f"{unknown[0]}: unknown field, expected lights, relaxation, noise")
        if "lights" not in data:
            raise CalibrationError("lights: are missing")
        rest = {k: data[k] for k in ("relaxation", "noise") if k in data}
        return GelModel(as_f64(data["lights"]), **rest)


def picture_to_dict(picture: Tensor) -> dict[str, str]:
    """A picture (H, W, 3) uint8 as text: a PNG in base64."""
    raw = cv2.imencode(".png", cv2.cvtColor(picture.numpy(), cv2.COLOR_RGB2BGR))[1].tobytes()
    return {"png": base64.b64encode(raw).decode()}


def png_size(raw: bytes) -> tuple[int, int] | None:
    """(height, width) from the header of a PNG; None where the bytes are none."""
    if len(raw) < 24 or raw[:8] != PNG or raw[12:16] != b"IHDR":
        return None
    return int.from_bytes(raw[20:24], "big"), int.from_bytes(raw[16:20], "big")


def picture_from_dict(data: Any) -> Tensor:
    """Read what ``picture_to_dict`` wrote.

    Raises:
        CalibrationError: it is no PNG.
    """
    if not isinstance(data, Mapping) or set(data) != {"png"} or len(str(data["png"])) > MAX_PICTURE:
        raise CalibrationError("expected the name of a picture beside the rig file")
    return decode_rgb(base64.b64decode(str(data["png"])))


def load_sibling_picture(folder: Path, name: str) -> dict[str, str]:
    """A picture file of a folder as ``picture_from_dict`` reads it.

    Raises:
        CalibrationError: it lies outside, is missing, too large or no picture.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CalibrationError(f"{name!r} lies outside the folder of the rig file")
    try:
        return picture_to_dict(decode_rgb(read_regular(path, MAX_PICTURE)))
    except OSError as error:
        raise CalibrationError(f"{path} is missing or cannot be read ({error.strerror})") from None


def decode_rgb(raw: bytes) -> Tensor:
    """RGB (H, W, 3) uint8 of an encoded picture."""
    size = png_size(raw)
    if size is None or size[0] * size[1] > MAX_PIXELS:
        raise CalibrationError("is not a PNG, or of a size out of bounds")
    bgr = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        raise CalibrationError("is not a readable picture")
    return torch.from_numpy(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
