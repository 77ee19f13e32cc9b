"""``Diffuse``: pictures through a diffusion model of the user's own, held in place by ControlNets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample
from fusion_aug.streams import Text
from fusion_aug.transforms.generative.conditions import CONDITIONS
from fusion_aug.transforms.generative.diffusion_model import DiffusionModel
from fusion_aug.transforms.generative.made_pictures import MadePictures, remembered

Array = np.ndarray

MOST_STEPS = 1000
FEWEST_NOISE = 1e-3  # strength below which the picture stays as it is


@dataclass(frozen=True, kw_only=True)
class Diffuse(MadePictures):
    """Pictures that a diffusion model makes of pictures (Stable Diffusion with ControlNets, image to image).

    What has to be where is told by conditions that are drawn from the augmented sample: its depth, masks and boxes, so
    geometry goes before. All cameras and times of a draw have one seed. Put a ``gate`` behind it: nothing else sees
    whether the model kept to its conditions.

    Attributes:
        model: folder that diffusers' ``save_pretrained`` wrote, or a mapping of ``folder`` and ``size``.
        condition: words, one for each ControlNet in their order: depth, segmentation, boxes, edges.
        strength: share of the noise that a picture is taken to, 0 as it is, 1 all anew.
        steps: of the whole way from noise to picture. guidance: by the caption, 1 for none.
        caption: what the pictures are to show; with ``text`` what is put before the sample's own sentence.
        text: name of a stream of sentences, of which the first of each sample is the caption.
        palette: colours of classes, name -> [red, green, blue], as the ControlNet of masks was trained with.
        lidar, gate, style, redraws: see ``MadePictures``.
    """

    model: DiffusionModel
    condition: tuple[str, ...]
    strength: Range = 0.5
    steps: int = 20
    guidance: Range = 7.5
    caption: str = ""
    text: str | None = None
    palette: Mapping[str, Any] | None = None

    limits: ClassVar[dict[str, tuple[float, float]]] = {"strength": (0.0, 1.0), "guidance": (1.0, 50.0)}
    strengths: ClassVar[Strengths] = {
        "strength": Strength(0.0, 1.0, "linear", "declared: its end, all anew", "share of the noise"),
        "guidance": "how closely the caption is followed, not how much changes",
    }

    example: ClassVar[dict[str, Any]] = {
        "model": {"folder": "tiny", "size": [32, 48]}, "condition": ["edges"], "strength": [0.3, 0.8], "steps": 4,
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := sorted(set(self.condition) - set(CONDITIONS)):
            raise ConfigError(f"Diffuse.condition: there is no {unknown[0]!r} (there are {', '.join(CONDITIONS)})")
        if not self.condition:
            raise ConfigError(f"Diffuse.condition: expected one word for each ControlNet, of {', '.join(CONDITIONS)}")
        if type(self.steps) is not int or not 1 <= self.steps <= MOST_STEPS:
            raise ConfigError(f"Diffuse.steps: expected a whole number from 1 to {MOST_STEPS}, got {self.steps!r}")
        if not isinstance(self.palette, Mapping | None):
            raise ConfigError(f"Diffuse.palette: expected a mapping of classes to colours, got {self.palette!r}")
        for name, colour in (self.palette or {}).items():
            three = isinstance(colour, list | tuple) and len(colour) == 3
            if not three or not all(type(c) is int and 0 <= c <= 255 for c in colour):
                raise ConfigError(f"Diffuse.palette: {name}: expected [red, green, blue] from 0 to 255, got {colour!r}")

    def drawn(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The drawn numbers, the seed of all noise, and the caption of the sample.

        Raises:
            DataError: there is no such stream of sentences.
        """
        out = super().drawn(rng, sample, context)
        out |= {"seed": int(rng.integers(2**62)), "palette": {k: list(v) for k, v in (self.palette or {}).items()}}
        if self.text is not None:
            stream = sample.streams.get(self.text)
            if not isinstance(stream, Text) or not len(stream):
                raise DataError(f"Diffuse.text: sample {sample.metas[0].id!r} has no sentences {self.text!r}")
            out["caption"] = " ".join(w for w in (self.caption, str(stream["text"][0])) if w)
        del out["text"]
        return out

    @classmethod
    def made(cls, sample: Sample, name: str, item: int, levels: Array, params: Mapping[str, Any]) -> Array:
        """What the model makes of the picture, held to what the sample shows there."""
        strength, steps = float(params["strength"]), int(params["steps"])
        before: Array = levels.astype(np.float32) / np.float32(255 if levels.dtype == np.uint8 else 1)
        if strength < FEWEST_NOISE or int(steps * strength) < 1:
            return before
        whole = levels if levels.dtype == np.uint8 else np.rint(levels * 255).astype(np.uint8)
        shown = [CONDITIONS[word](sample, name, item, whole, params) for word in params["condition"]]
        model = DiffusionModel.from_record(params["model"])
        words = {
            "caption": params["caption"], "strength": strength, "steps": steps,
            "guidance": float(params["guidance"]), "seed": int(params["seed"]),
        }  # fmt: skip
        return remembered([whole, *shown], [model.recorded(), words], lambda: model.diffused(whole, shown, **words))
