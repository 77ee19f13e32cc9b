"""``Stylize``: pictures through an image-to-image network of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.sample import Sample
from fusion_aug.transforms.generative.made_pictures import MadePictures, remembered
from fusion_aug.transforms.generative.shown_objects import distances
from fusion_aug.transforms.generative.style_network import StyleNetwork

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Stylize(MadePictures):
    """Pictures as a network of the user's own makes them: image-to-image, such as day to night or made to real.

    All cameras, and all pictures of a scene, get the same latent vector, so that they agree. Geometry must stay: a
    network that moves things makes every label wrong, which a ``Gate`` finds.

    Attributes:
        model: ``FILE.onnx``, or a mapping (docs/generative.md); ``warm`` is a matrix of colours for trying it out.
        strength: share of the network's picture, the rest being the picture as it was.
        lidar, gate, style, redraws: see ``MadePictures``.
    """

    model: StyleNetwork
    strength: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"strength": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {
        "strength": Strength(0.0, 1.0, "linear", "declared: its end, the network's picture alone", "share")
    }
    example: ClassVar[dict[str, Any]] = {"model": "warm", "strength": [0.3, 1.0]}

    def drawn(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The drawn share, and the latent vector where the network takes one."""
        out = super().drawn(rng, sample, context)
        latent = self.model.opened()[1].latent
        out["latent"] = [] if latent is None else rng.standard_normal(latent[1]).astype(np.float32).tolist()
        return out

    @classmethod
    def made(cls, sample: Sample, name: str, item: int, levels: Array, params: Mapping[str, Any]) -> Array:
        """The picture and the network's of it, by ``strength``."""
        before = levels.astype(np.float32) / np.float32(255 if levels.dtype == np.uint8 else 1)
        if float(params["strength"]) == 0:
            return before
        network = StyleNetwork.from_record(params["model"])
        assert network is not None
        nearness, latent = network.opened()[1].nearness, params["latent"]
        distance = distances(sample, name, item, params, "Stylize") if nearness else None
        known = [network.recorded(), latent]
        made = remembered([levels, distance], known, lambda: network.translated(levels, latent, distance))
        out: Array = before + np.float32(params["strength"]) * (made - before)
        return out
