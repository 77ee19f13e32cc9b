"""Tactile pictures: their lights, their background, their noise, and where the gel is touched."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import GelModel, JointPose, Rig, TactileSensor
from calib.changed import changed
from calib.se3 import invert, rotation_about, se3
from fusion_aug.errors import DataError
from fusion_aug.families import Touch
from fusion_aug.physics.gel import places
from fusion_aug.physics.gel_inverse import Move
from fusion_aug.random import noise
from fusion_aug.ranges import Range, draw
from fusion_aug.registry import Call, Context, handles
from fusion_aug.sample import Sample
from fusion_aug.streams import HeightMap, TactileImage
from fusion_aug.transforms.base import Rows, Transform
from fusion_aug.transforms.mount import remounted
from fusion_aug.transforms.touch import gel_of, pressed_elsewhere

BACKGROUNDS = "gel_backgrounds"  # resource: name -> (H, W, 3) uint8


@dataclass(frozen=True, kw_only=True)
class TactileTransform(Transform, Touch, abstract=True):
    """A change of tactile pictures that leaves the slopes of the gel as they are told."""

    scope: str = "sensor"

    scopes: ClassVar[tuple[str, ...]] = ("log", "rig", "sensor")
    waives: ClassVar[dict[str, str]] = {
        "invertible": "clipped and rounded levels are lost",
        "differentiable": "it has no geometric parameter",
    }

    @classmethod
    def apply(cls, sample: Sample, rows: Rows, context: Context) -> Sample:
        """Change the pictures, and tell of the gels as they are now."""
        out = cls.visit(sample, rows, context)
        for name, stream in out.of_type(TactileImage).items():
            if stream is sample[name]:
                continue
            for u, unit in enumerate(out.units):
                mine = (stream.sample_index == u).nonzero()[:, 0]
                if len(mine):
                    rig = told_gel(unit.rig, name, stream, int(mine[0]))
                    truth = rig if unit.truth is unit.rig else told_gel(unit.truth, name, stream, int(mine[0]))
                    out = out.with_unit(u, rig=rig, truth=truth)
        return out


def told_gel(rig: Rig, name: str, stream: TactileImage, item: int) -> Rig:
    """The rig with the gel of one of a sensor's pictures."""
    sensor = rig.sensors.get(name)
    if not isinstance(sensor, TactileSensor) or not stream.gels or not stream.backgrounds:
        return rig
    gel, ground = stream.gels[item], stream.backgrounds[item]
    if gel is sensor.gel and ground is sensor.background:
        return rig
    return Rig(rig.frames, {**rig.sensors, name: changed(sensor, gel=gel, background=ground)})


@dataclass(frozen=True, kw_only=True)
class GelLights(TactileTransform):
    """Lights of another strength: the difference to the background times a ``gain`` for each of R, G and B.

    Beyond 10 % the slopes are told wrongly.
    """

    gain: Range = (0.9, 1.1)

    calibration: ClassVar[str] = "lights"

    limits: ClassVar[dict[str, tuple[float, float]]] = {"gain": (0.0, 10.0)}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """A gain per channel."""
        return {"gain": [draw(self.gain, rng) for _ in range(3)]}


@handles(GelLights, TactileImage)
def light_gel(stream: TactileImage, call: Call) -> TactileImage:
    """Change the difference, and the lights of the gel with it."""
    pictures, gels = list(stream.pictures), list(stream.gels)
    lit: dict[tuple[int, int], GelModel] = {}  # one model for all pictures of one gel and one draw
    for i, params in enumerate(call.params):
        if bool(stream.present[i]):
            model, ground, _ = gel_of(stream, i, call.name)
            gain = torch.tensor(params["gain"], dtype=torch.float64)
            pictures[i] = _levels(ground + gain.float() * (pictures[i].float() - ground))
            key = (id(model), id(params))
            gels[i] = lit[key] = lit.get(key) or replace(model, lights=model.lights * gain)
    return replace(stream, items=tuple(pictures), pending=(), gels=tuple(gels))


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

    calibration: ClassVar[str] = "background"

    limits: ClassVar[dict[str, tuple[float, float]]] = dict.fromkeys(("level", "tilt", "drift"), (-255.0, 255.0))

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
        return {**drawn, "swap": name, "hash": digest(known[name])}


@handles(GelBackground, TactileImage)
def change_background(stream: TactileImage, call: Call) -> TactileImage:
    """The difference to the background goes onto another one."""
    pictures, grounds = list(stream.pictures), list(stream.backgrounds)
    for i, params in enumerate(call.params):
        if not bool(stream.present[i]):
            continue
        own = gel_of(stream, i, call.name)[1]
        unit = call.sample.units[int(stream.sample_index[i])]
        begin = unit.ref.time if unit.start is None else unit.start
        since = (int(stream.times[i]) - begin) * 1e-9 / 60
        new = _background(params, own, since, call.context)
        pictures[i] = _levels(pictures[i].float() - own + new)
        grounds[i] = new
    return replace(stream, items=tuple(pictures), pending=(), backgrounds=tuple(grounds))


def _background(params: Mapping[str, Any], own: Tensor, minutes: float, context: Context) -> Tensor:
    new = own
    if params["swap"] is not None:
        known = context.resource(BACKGROUNDS, "GelBackground.swap")
        if params["swap"] not in known or digest(known[params["swap"]]) != params["hash"]:
            raise DataError(
                f"GelBackground: the background {params['swap']!r} is missing or is another one than before"
            )
        new = torch.as_tensor(known[params["swap"]])
        if new.shape != own.shape or new.dtype != torch.uint8:
            raise DataError(f"GelBackground: the background {params['swap']!r} is not {tuple(own.shape)} uint8")
    x, y = (torch.from_numpy(v)[..., None] for v in places(*own.shape[:2]))
    level, drift = torch.tensor(params["level"]), torch.tensor(params["drift"])
    right, down = torch.tensor(params["tilt"])
    return _levels(new + level + minutes * drift + x * right + y * down)


def digest(picture: Any) -> str:
    """Hash of a picture, 32 hex digits."""
    return hashlib.blake2b(np.ascontiguousarray(torch.as_tensor(picture).numpy()).tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True, kw_only=True)
class TactileNoise(TactileTransform):
    """White noise of ``sigma`` levels of 255."""

    sigma: Range = (0.0, 3.0)

    dense_noise: ClassVar[bool] = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 255.0)}


@handles(TactileNoise, TactileImage)
def noisy_gel(stream: TactileImage, call: Call) -> TactileImage:
    """Add the noise, picture by picture."""
    pictures = list(stream.pictures)
    for i, params in enumerate(call.params):
        if bool(stream.present[i]):
            rng = noise(params["noise"], call.name, int(stream.times[i]))
            drawn = rng.standard_normal(tuple(pictures[i].shape), dtype=np.float32) * np.float32(params["sigma"])
            pictures[i] = _levels(pictures[i].float() + torch.from_numpy(drawn))
    return replace(stream, items=tuple(pictures), pending=())


@dataclass(frozen=True, kw_only=True)
class TactileShift(TactileTransform):
    """The gel is touched elsewhere: as if the sensor were mounted with a shift and a turn in the plane of its gel.

    The press moves in the height map, its picture is rendered anew under the gel's own lights, and the sensor's frame
    moves in its parent, so that what is touched stays where it is in the world.

    Attributes:
        x, y: how far the press moves in the picture, to the right and down, metres.
        angle_deg: how far it turns about the middle, from x to y, degrees.
    """

    x: Range = (-0.001, 0.001)
    y: Range = (-0.001, 0.001)
    angle_deg: Range = (-10.0, 10.0)

    calibration: ClassVar[str] = "extrinsics"
    limits: ClassVar[dict[str, tuple[float, float]]] = {"x": (-0.1, 0.1), "y": (-0.1, 0.1)}

    @classmethod
    def apply(cls, sample: Sample, rows: Rows, context: Context) -> Sample:
        """Move presses, and sensors the other way."""
        out = cls.visit(sample, rows, context)
        for u, unit in enumerate(sample.units):
            errors = {}
            for name, stream in sample.of_type(TactileImage).items():
                sensor = unit.rig.sensors.get(name)
                if isinstance(sensor, TactileSensor) and bool((stream.sample_index == u).any()):
                    errors[own_frame(unit.rig, sensor, name)] = invert(shift_of(rows.of(u, name)))
            truth = unit.truth
            rig = remounted(unit.rig, errors)
            out = out.with_unit(u, rig=rig, truth=rig if truth is unit.rig else remounted(truth, errors))
        return out


def own_frame(rig: Rig, sensor: TactileSensor, name: str) -> str:
    """The frame of a sensor, which is none of a link.

    Raises:
        DataError: it has no frame of its own.
    """
    frame = rig.frames[sensor.frame]
    if frame.parent is None or isinstance(frame.pose, JointPose):
        raise DataError(f"TactileShift: sensors.{name}.frame: {sensor.frame!r} is a link; give it its own frame")
    return sensor.frame


def shift_of(params: Mapping[str, Any]) -> Tensor:
    """M (4, 4): where a point of the gel's plane goes, metres."""
    return se3(rotation_about("z", math.radians(params["angle_deg"])), [params["x"], params["y"], 0.0])


def over_gel(params: Mapping[str, Any], size: tuple[int, int], mm_per_pixel: float) -> Move:
    """The shift as a map of arrays (H, W, ...) over the gel."""
    (height, width), M = size, shift_of(params).numpy()
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    turn = M[:2, :2]
    affine = np.column_stack([turn, centre - turn @ centre + M[:2, 3] * 1000 / mm_per_pixel])

    def move(array: np.ndarray) -> np.ndarray:
        # a press that reaches the rim goes on beyond it; noise does not become streaks
        border = cv2.BORDER_REPLICATE if array.ndim == 2 else cv2.BORDER_REFLECT_101
        moved: np.ndarray = cv2.warpAffine(array, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
        return moved

    return move


@handles(TactileShift, TactileImage)
def shift_press(stream: TactileImage, call: Call) -> TactileImage:
    """Render the moved press anew."""
    pictures = list(stream.items)
    for i, params in enumerate(call.params):
        if bool(stream.present[i]):
            gel = gel_of(stream, i, call.name)
            move = over_gel(params, (gel[1].shape[0], gel[1].shape[1]), gel[2])
            pictures[i] = pressed_elsewhere(stream, i, call.name, call.sample, move, gel)
    return replace(stream, items=tuple(pictures), pending=())


@handles(TactileShift, HeightMap)
def shift_heights(stream: HeightMap, call: Call) -> HeightMap:
    """The same for what was recorded of the surface."""
    pictures = list(stream.pictures)
    for i, params in enumerate(call.params):
        mm = _mm_per_pixel(stream, call, i)
        height, width = pictures[i].shape
        pictures[i] = torch.from_numpy(over_gel(params, (int(height), int(width)), mm)(pictures[i].numpy()))
    return replace(stream, items=tuple(pictures), pending=())


def _mm_per_pixel(stream: HeightMap, call: Call, item: int) -> float:
    seen = call.sample.streams.get(stream.camera)
    if not isinstance(seen, TactileImage):
        raise DataError(f"TactileShift: stream {call.name!r}: there is no tactile picture {stream.camera!r} beside it")
    mine = (seen.sample_index == stream.sample_index[item]).nonzero()[:, 0]
    return float(seen.mm_per_pixel[int(mine[0])])


def _levels(picture: Tensor) -> Tensor:
    return picture.round().clamp(0, 255).to(torch.uint8)
