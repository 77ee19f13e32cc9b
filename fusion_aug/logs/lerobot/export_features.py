"""Features of a sample of another log: what they are called, and which of them are pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from calib import TactileSensor
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.episodes import EVENT_FEATURES
from fusion_aug.logs.core.touch import COMPANION_ENDINGS
from fusion_aug.logs.lerobot.contents import INDEX
from fusion_aug.logs.lerobot.export_options import ExportOptions
from fusion_aug.sample import Sample
from fusion_aug.streams import Action, Camera, Depth, HeightMap, ImageStream, Signal, Stream, TactileImage
from fusion_aug.streams.source import Source

STATE, ACTION, EFFORT, IMAGES, OBSERVED = (
    "observation.state", "action", "observation.effort", "observation.images.", "observation.",
)  # fmt: skip
EVENTS = {"reward": "next.reward", "rewards": "next.reward", "done": "next.done", "dones": "next.done"}
VIDEO, IMAGE, DEPTH, HEIGHT = "video", "image", "depth", "height"


@dataclass(frozen=True)
class Pictures:
    """Pictures of the output.

    Attributes:
        stream: where they are from. kind: ``video``, ``image``, ``depth`` (16 bits, mm) or ``height`` (float32, m).
        size: (height, width) in the source.
    """

    stream: str
    kind: str
    size: tuple[int, int]


def feature_name(name: str, stream: Stream) -> str:
    """Name of the feature of a stream that has one of its own; LeRobot forbids slashes in it.

    What it calls ``observation.`` goes into policies, so commands and events are called otherwise.
    """
    clean = re.sub(r"[^\w.-]", "_", name.strip("/"))
    if clean in EVENT_FEATURES or clean.startswith((OBSERVED, f"{ACTION}.")):
        return clean
    if isinstance(stream, Camera | Depth):
        return f"{IMAGES}{clean}"
    if isinstance(stream, Action) or "action" in clean:
        return f"{ACTION}.{clean}"
    is_event = isinstance(stream, Signal) and set(stream.values) == {"event"} and clean not in INDEX
    return EVENTS.get(clean, clean) if is_event else f"{OBSERVED}{clean}"


def found(sample: Sample, name: str, option: str, among: Iterable[str] | None = None) -> str:
    """The stream that an option names, with or without slashes around its name.

    Raises:
        ConfigError: there is none.
    """
    known = list(sample.streams if among is None else among)
    for candidate in (name, name.strip("/")):
        if candidate in known:
            return candidate
    raise ConfigError(f"output.{option}: there is no stream {name!r} (there are {', '.join(known)})")


def pictures_of(sample: Sample, options: ExportOptions) -> dict[str, Pictures]:
    """Features that are pictures.

    Raises:
        ConfigError: ``output.cameras`` names what is no camera, or two are called alike.
    """
    cameras = {n: "" for n, s in sample.streams.items() if isinstance(s, Camera) and len(s)}
    if options.cameras is not None:
        cameras = {found(sample, n, "cameras", cameras): f for n, f in options.cameras.items()}
    out: dict[str, Pictures] = {}
    for name, given in cameras.items():
        feature = given or feature_name(name, sample[name])
        if feature in out:
            raise ConfigError(f"output.cameras: {name} and {out[feature].stream} are both called {feature}")
        out[feature] = Pictures(name, VIDEO if options.video else IMAGE, _size(sample[name]))
        depth = sample.streams.get(f"{name}/depth")
        if isinstance(depth, Depth) and is_of_16_bits(depth):
            out[f"{feature}.depth"] = Pictures(f"{name}/depth", DEPTH, _size(depth))
    for name, stream in sample.of_type(TactileImage).items():
        if len(stream) and isinstance(sample.rig.sensors.get(name), TactileSensor):
            feature = feature_name(name, stream)
            out[feature] = Pictures(name, IMAGE, _size(stream))
            height = sample.streams.get(f"{name}/height")
            if isinstance(height, HeightMap) and len(height):
                out[f"{feature}.height"] = Pictures(f"{name}/height", HEIGHT, _size(height))
    for name, stream in sample.of_type(Depth).items():
        alone = not name.endswith(COMPANION_ENDINGS) and stream.instance(name) == name
        if alone and is_of_16_bits(stream):
            out[feature_name(name, sample[name])] = Pictures(name, DEPTH, _size(stream))
    return out


def _size(stream: Stream) -> tuple[int, int]:
    assert isinstance(stream, ImageStream)
    height, width = stream.image(0).shape[:2]
    return int(height), int(width)


def is_of_16_bits(stream: Depth) -> bool:
    """Whether depth is along the axis, in whole millimetres, and 0 where nothing was measured, as a 16-bit picture."""
    first = stream.items[0] if len(stream) else None
    return isinstance(first, Source) and first.coding.step == 1e-3 and (stream.measure, stream.unknown) == ("z", "zero")
