"""Tactile pictures: lights, background and noise. A shift of the contact is in ``shift``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import GelModel, Rig, TactileSensor
from calib.replacing import replace_unchecked
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.ops.color import grain_of
from fusion_aug.ops.hashed import row_key
from fusion_aug.physics.gel import pixel_coordinates
from fusion_aug.sample import Sample
from fusion_aug.streams import TactileImage
from fusion_aug.streams.families import Touch
from fusion_aug.transforms.touch.gels import gel_of

BACKGROUNDS = "gel_backgrounds"  # resource: name -> (H, W, 3) uint8


@dataclass(frozen=True, kw_only=True)
class TactileTransform(Transform, Touch, abstract=True):
    """A change of tactile pictures that keeps the slopes that they show."""

    scope: str = "sensor"

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "clipped and rounded levels are lost",
        "differentiable": "it has no geometric parameter",
    }

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Change the pictures, and set the gels of the rigs to theirs."""
        out = cls.visit(sample, parameters, context)
        for name, stream in out.of_type(TactileImage).items():
            if stream is sample[name]:
                continue
            for u, meta in enumerate(out.metas):
                mine = (stream.sample_index == u).nonzero()[:, 0]
                if len(mine):
                    rig = with_gel(meta.rig, name, stream, int(mine[0]))
                    true_rig = rig if meta.true_rig is meta.rig else with_gel(meta.true_rig, name, stream, int(mine[0]))
                    out = out.with_meta(u, rig=rig, true_rig=true_rig)
        return out


def with_gel(rig: Rig, name: str, stream: TactileImage, item: int) -> Rig:
    """The rig with the gel of one of a sensor's pictures."""
    sensor = rig.sensors.get(name)
    if not isinstance(sensor, TactileSensor) or not stream.gels or not stream.backgrounds:
        return rig
    gel, ground = stream.gels[item], stream.backgrounds[item]
    if gel is sensor.gel and ground is sensor.background:
        return rig
    return Rig(rig.frames, {**rig.sensors, name: replace_unchecked(sensor, gel=gel, background=ground)})


@dataclass(frozen=True, kw_only=True)
class GelLights(TactileTransform):
    """Lights of another strength: the difference to the background times a ``gain`` for each of R, G and B.

    Gains beyond 10 % distort the slopes that follow from a picture.
    """

    gain: Range = (0.9, 1.1)

    changes_calibration: ClassVar[str] = "lights"

    limits: ClassVar[dict[str, tuple[float, float]]] = {"gain": (0.0, 10.0)}
    strengths: ClassVar[Strengths] = {
        "gain": Strength(1.0, (0.5, 2.0), "log", "declared: half and twice the light; the probe's loss is not reached")
    }
    example: ClassVar[dict[str, Any]] = {"gain": [0.9, 1.1]}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """A gain per channel."""
        return {"gain": [draw(self.gain, rng) for _ in range(3)]}


@handles(GelLights, TactileImage)
def light_gel(stream: TactileImage, call: Call) -> TactileImage:
    """Change the difference, and the lights of the gel with it."""
    pictures = list(stream.pictures)
    for i, params in enumerate(call.params):
        if bool(stream.present[i]):
            ground, gain = gel_of(stream, i, call.name)[1], torch.tensor(params["gain"])
            pictures[i] = _levels(ground + gain * (pictures[i].float() - ground))
    return replace(stream, items=tuple(pictures), pending=(), gels=lit_gels(stream, call))


def lit_gels(stream: TactileImage, call: Call) -> tuple[GelModel, ...]:
    """The gels of all pictures under their new lights."""
    gels = list(stream.gels)
    lit: dict[tuple[int, int], GelModel] = {}  # one model for all pictures of one gel and one draw
    for i, params in call.asked:
        if bool(stream.present[i]):
            model = gel_of(stream, i, call.name)[0]
            gain, key = torch.tensor(params["gain"], dtype=torch.float64), (id(model), id(params))
            gels[i] = lit[key] = lit.get(key) or replace(model, lights=model.lights * gain)
    return tuple(gels)


@dataclass(frozen=True, kw_only=True)
class GelBackground(TactileTransform):
    """Another picture without contact: levels that are off, that drift, or the background of another gel.

    Attributes:
        level: what every channel is off by, levels of 255.
        tilt: by how much more at the right than in the middle, and at the bottom, levels, per channel.
        drift: what every channel grows by, levels per minute. Files of logs hold the background of the first picture.
        swap: take one of the resource ``gel_backgrounds`` (name -> (H, W, 3) uint8) instead of the gel's own.
    """

    level: Range = (-4.0, 4.0)
    tilt: Range = (-3.0, 3.0)
    drift: Range = (-2.0, 2.0)
    swap: bool = False

    changes_calibration: ClassVar[str] = "background"

    limits: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(("level", "tilt", "drift"), (-255.0, 255.0))
    strengths: ClassVar[Strengths] = {
        "level": Strength(0.0, (-80.0, 80.0), "linear", "probe", "levels"),
        "tilt": Strength(0.0, (-73.0, 73.0), "linear", "probe", "levels"),
        "drift": Strength(
            0.0,
            (-80.0, 80.0),
            "linear",
            "declared: as much as level in a minute; the probe hardly sees it",
            "levels/min",
        ),
    }
    example: ClassVar[dict[str, Any]] = {"level": [-4.0, 4.0], "drift": [-2.0, 2.0]}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Numbers per channel, and name and hash of the other background."""
        drawn: dict[str, Any] = {k: [draw(getattr(self, k), rng) for _ in range(3)] for k in ("level", "drift")}
        drawn["tilt"] = [[draw(self.tilt, rng) for _ in range(3)] for _ in range(2)]
        if not self.swap:
            return {**drawn, "swap": None, "hash": None}
        known = context.resource(BACKGROUNDS, "GelBackground.swap")
        names = sorted(known)
        if not names:
            raise DataError(f"GelBackground.swap: the resource {BACKGROUNDS!r} is empty")
        name = names[int(rng.integers(len(names)))]
        return {**drawn, "swap": name, "hash": picture_hash(known[name])}


@handles(GelBackground, TactileImage)
def change_background(stream: TactileImage, call: Call) -> TactileImage:
    """The difference to the background goes onto another one."""
    pictures, grounds = list(stream.pictures), new_backgrounds(stream, call)
    for i, ground in grounds.items():
        pictures[i] = _levels(pictures[i].float() - stream.backgrounds[i] + ground)
    grounds_now = tuple(grounds.get(i, own) for i, own in enumerate(stream.backgrounds))
    return replace(stream, items=tuple(pictures), pending=(), backgrounds=grounds_now)


def new_backgrounds(stream: TactileImage, call: Call) -> dict[int, Tensor]:
    """The pictures (H, W, 3) uint8 without contact that the gels get, by item."""
    grounds = {}
    for i, params in call.asked:
        if bool(stream.present[i]):
            own = gel_of(stream, i, call.name)[1]
            meta = call.sample.metas[int(stream.sample_index[i])]
            begin = meta.ref.time if meta.start is None else meta.start
            since = (int(stream.capture_times[i]) - begin) * 1e-9 / 60
            grounds[i] = _background(params, own, since, call.context)
    return grounds


def _background(params: Mapping[str, Any], own: Tensor, minutes: float, context: Context) -> Tensor:
    new = own
    if params["swap"] is not None:
        known = context.resource(BACKGROUNDS, "GelBackground.swap")
        if params["swap"] not in known or picture_hash(known[params["swap"]]) != params["hash"]:
            raise DataError(
                f"GelBackground: the background {params['swap']!r} is missing or is another one than before"
            )
        new = torch.as_tensor(known[params["swap"]])
        if new.shape != own.shape or new.dtype != torch.uint8:
            raise DataError(f"GelBackground: the background {params['swap']!r} is not {tuple(own.shape)} uint8")
    x, y = (torch.tensor(v)[..., None] for v in pixel_coordinates(*own.shape[:2]))
    level, drift = torch.tensor(params["level"]), torch.tensor(params["drift"])
    right, down = torch.tensor(params["tilt"])
    return _levels(new + level + minutes * drift + x * right + y * down)


def picture_hash(picture: Any) -> str:
    """blake2b digest of a picture, 32 hex digits."""
    return hashlib.blake2b(np.ascontiguousarray(torch.as_tensor(picture).numpy()).tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True, kw_only=True)
class TactileNoise(TactileTransform):
    """White noise of ``sigma`` levels of 255."""

    sigma: Range = (0.0, 3.0)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise: ClassVar[bool] = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 255.0)}
    strengths: ClassVar[Strengths] = {"sigma": Strength(0.0, 6.9, "linear", "probe", "levels")}
    example: ClassVar[dict[str, Any]] = {"sigma": [0.0, 3.0]}


@handles(TactileNoise, TactileImage)
def add_gel_noise(stream: TactileImage, call: Call) -> TactileImage:
    """Add the noise, picture by picture."""
    pictures = list(stream.pictures)
    for i, params in enumerate(call.params):
        if bool(stream.present[i]):
            key = row_key(params["noise"], call.name, int(stream.capture_times[i]))
            pictures[i] = _levels(pictures[i].float() + grain_of(pictures[i], key) * params["sigma"])
    return replace(stream, items=tuple(pictures), pending=())


def _levels(picture: Tensor) -> Tensor:
    return picture.round().clamp(0, 255).to(torch.uint8)
