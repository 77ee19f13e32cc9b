"""``RandomTexture``: surfaces of another colour and pattern, lit as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context
from fusion_aug.core.strength import Strengths
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.color import LUMA, level_of, light_of
from fusion_aug.ops.hashed import row_key
from fusion_aug.ops.random import digest, generator
from fusion_aug.ops.random_fields import random_field
from fusion_aug.ops.shading import lit_by, shading
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import is_given, lidars_of
from fusion_aug.streams import Camera, TactileImage
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext, applies_to
from fusion_aug.transforms.distances import SeesDistances
from fusion_aug.transforms.mix.masked import NOT_CHOSEN, chosen_numbers
from fusion_aug.transforms.mix.pictures import PictureFolder, recorded_picture
from fusion_aug.transforms.mix.texture_places import on_surfaces, picture_places, scene_places

LUMINANCE = np.array(LUMA, np.float32)
RADIUS = 1 / 24  # of the picture's width, over which an old pattern is evened out


@dataclass(frozen=True, kw_only=True)
class RandomTexture(PhotometricTransform, SeesDistances):
    """Give surfaces that a mask names another colour and pattern, and leave the light on them as it is.

    The light is the picture's luminance on the surface, evened out but for shadows. The pattern is fixed in space, so
    that all cameras and all pictures of a recording see the same on what stands still; each class (or object) has
    colours of its own. How much of the light a surface gave back before cannot be seen: it is taken for 0.3 on average.

    Attributes:
        classes: names or shell patterns of classes of the cameras' masks, or ``objects`` for each object of a mask of
            instances.
        pictures: folder of JPEG and PNG files, one of which is laid on the surfaces; by default noise of two colours.
        grain: size of the noise's coarsest spots, or of one repetition of a picture, metres; in the picture's plane a
            metre is a twentieth of its width.
        albedo: share of the light that the new colours give back, each channel.
        pattern: contrast, as the standard deviation of the logarithm of light, up to which what was seen on a surface
            is taken for its own pattern and evened out; above it is taken for light and shadow, which stay. With 1
            windows and road markings go too, and shadows with them.
        space: "scene", by the distance of every pixel, or "picture", flat in the picture's plane.
    """

    classes: tuple[str, ...]
    pictures: PictureFolder | None = None
    grain: Range = (0.3, 1.5)
    albedo: tuple[float, ...] = (0.05, 0.7)
    pattern: float = 0.2
    space: str = "scene"

    limits: ClassVar[dict[str, tuple[float, float]]] = {"grain": (1e-3, 1000.0)}
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "what is seen at a place has another colour"
    }
    strengths: ClassVar[Strengths] = {"grain": "how fine it is, not how strong"}
    needs_naming: ClassVar[str] = "it has to be said which surfaces change"
    example: ClassVar[dict[str, Any]] = {"cameras": ["CAM_LEFT"], "classes": ["*"]}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.classes:
            raise ConfigError("RandomTexture.classes: say which surfaces change, as in classes: [building]")
        if len(self.albedo) != 2 or not 0 <= self.albedo[0] <= self.albedo[1] <= 1:
            raise ConfigError(f"RandomTexture.albedo: expected two shares from 0 to 1, got {self.albedo!r}")
        if not 0 < self.pattern < 10:
            raise ConfigError(f"RandomTexture.pattern: expected a contrast above 0 and below 10, got {self.pattern!r}")
        if self.space not in ("scene", "picture"):
            raise ConfigError(f"RandomTexture.space: {self.space!r} is not one of scene, picture")

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Draw the grain and the picture."""
        return {
            "cameras": None if self.cameras is None else list(self.cameras),
            "classes": list(self.classes),
            "picture": None if self.pictures is None else self.pictures.drawn(rng),
            "texture": digest("texture", int(rng.integers(2**62))),  # shared where the draw is: by all of a scene
            "grain": draw(self.grain, rng),
            "albedo": list(self.albedo),
            "pattern": self.pattern,
            "space": self.space,
            "refine": self.refine,
            "depth": None if self.depth is None else self.depth.recorded(),
            "sky": None if self.sky is None else self.sky.recorded(),
        }

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Change the pictures.

        Raises:
            DataError: a camera has no mask, or nothing tells how far away is what it shows.
        """
        for name, stream in sample.of_type(Camera).items():
            call = Call(cls, sample, name, parameters, context)
            for item, params in call.asked[:1] if not isinstance(stream, TactileImage) else ():
                if applies_to(stream, call, params):
                    _check_known(sample, name, item, params)
        return cls.visit(sample, parameters, context)

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Light on the surface times the new colour of every pixel."""
        sample, name, item = context.call.sample, context.call.name, context.item
        numbers = chosen_numbers(sample, name, item, params["classes"], "RandomTexture.classes").numpy()
        if not (numbers != NOT_CHOSEN).any():
            return picture
        mine = np.ascontiguousarray(picture.detach().cpu().numpy())
        light = light_of(mine)
        luminance = cv2.transform(light, LUMINANCE[None]).reshape(light.shape[:2])
        find = scene_places if params["space"] == "scene" else picture_places
        places = find(sample, name, item, params)
        usual = float(luminance.mean(dtype=np.float64))
        radius = max(1, round(RADIUS * mine.shape[1]))
        out = light.copy()
        for number in np.unique(numbers[numbers != NOT_CHOSEN]).tolist():
            where = numbers == number
            box = _around(where, radius)
            smooth = shading(luminance[box], where[box], radius, params["pattern"])
            falls = lit_by(smooth, where[box], usual)[where[box]]
            out[where] = falls[:, None] * _colours(places, where, number, params)
        result = np.where((numbers != NOT_CHOSEN)[..., None], level_of(out, mine), mine)
        return torch.from_numpy(result).to(picture.device, picture.dtype)


def _check_known(sample: Sample, name: str, item: int, params: Mapping[str, Any]) -> None:
    """Raise where the surfaces of a picture, or their places, are not known, before pictures of files are changed."""
    chosen_numbers(sample, name, item, params["classes"], "RandomTexture.classes")
    far = is_given(sample, name, item) or lidars_of(sample, int(sample[name].sample_index[item]))
    if params["space"] == "scene" and not far:
        raise DataError(
            f"RandomTexture: nothing tells how far away is what {name!r} shows: it has no depth stream, and there is "
            f"no LiDAR; give depth, or say space=picture"
        )


def _around(where: np.ndarray, radius: int) -> tuple[slice, slice]:
    """The part of a picture in which a surface and all that its shading looks at lie."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    margin = 2 * radius
    top, left = max(0, int(rows[0]) - margin), max(0, int(columns[0]) - margin)
    return slice(top, int(rows[-1]) + margin + 1), slice(left, int(columns[-1]) + margin + 1)


def _colours(places: np.ndarray, where: np.ndarray, number: int, params: Mapping[str, Any]) -> np.ndarray:
    """New albedo (n, 3) float32 of the pixels of a surface."""
    low, high = params["albedo"]
    here = places[where] / params["grain"]
    if params["picture"] is not None:
        tile = light_of(recorded_picture(params["picture"], "RandomTexture"))
        shown = on_surfaces(tile, places, where, here)
        return (low + (high - low) * shown).astype(np.float32)
    two = generator(digest(params["texture"], number)).uniform(low, high, (2, 3))
    share = random_field(row_key(params["texture"], number), here)[:, None]
    return (two[0] + share * (two[1] - two[0])).astype(np.float32)
