"""Touch in logs of robots: what a rig says is a gel or a pad of taxels becomes that kind of stream."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from calib import CameraSensor, Rig, TactileSensor, TaxelSensor
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Depth, HeightMap, ImageStream, Stream, TactileImage, Taxels

BESIDE = ("/depth", "/height")  # endings of what belongs to a camera's or a gel's picture


def camera_of(name: str, streams: Collection[str]) -> str:
    """The camera of a stream of pictures: ``wrist/depth`` belongs to ``wrist`` where that is there."""
    head = next((name.removesuffix(e) for e in BESIDE if name.endswith(e)), name)
    return head if head in streams else name


def with_touch(streams: Mapping[str, Stream], rig: Rig, where: str) -> tuple[dict[str, Stream], Rig]:
    """Streams with those of touch told apart, and the rig without cameras that are none.

    Pictures of a sensor of kind ``tactile`` are of its gel, one-channel pictures (``NAME/height``, or under its own
    name) the depth of the press in metres. Numbers of a sensor of kind ``taxels`` are forces on its elements.

    Args:
        streams, rig: of a sample. where: its file, for messages.

    Raises:
        DataError: the rig does not say where the taxels are, or of another number of them.
    """
    out: dict[str, Stream] = {}
    sensors = dict(rig.sensors)
    for name, stream in streams.items():
        sensor = rig.sensors.get(camera_of(name, streams))
        if isinstance(sensor, TactileSensor) and isinstance(stream, ImageStream):
            out[name] = of_gel(stream, camera_of(name, streams), sensor, f"{where}: stream {name!r}")
            if name in sensors and isinstance(sensors[name], CameraSensor):
                del sensors[name]
        elif isinstance(sensor, TaxelSensor) and "value" in stream.values:
            out[name] = of_taxels(stream, name, sensor, where)
        else:
            out[name] = _placed(stream, name, rig)
    return out, rig if len(sensors) == len(rig.sensors) else Rig(rig.frames, sensors)


def as_told(sample: Sample) -> Sample:
    """A sample whose gels and taxels are those of its rig, after a sidecar has changed the rig."""
    rig, streams = sample.rig, dict(sample.streams)
    for name, stream in sample.streams.items():
        sensor = rig.sensors.get(name)
        if isinstance(stream, TactileImage) and isinstance(sensor, TactileSensor):
            streams[name] = of_gel(Camera(**_about(stream, Camera)), name, sensor, f"stream {name!r}")
        elif isinstance(stream, Taxels) and isinstance(sensor, TaxelSensor) and sensor.poses is not None:
            poses = sensor.poses.expand(len(stream), *sensor.poses.shape)
            streams[name] = replace(stream, poses=poses)
    return sample.with_streams(streams)


def _about(stream: Stream, kind: type[Stream]) -> dict[str, Any]:
    return {f.name: getattr(stream, f.name) for f in fields(kind)}


def _placed(stream: Stream, name: str, rig: Rig) -> Stream:
    """A rig file may say that a sensor stands at another frame than the log's name for it."""
    sensor = rig.sensors.get(stream.instance(name))
    return stream if sensor is None or sensor.frame == stream.frame else replace(stream, frame=sensor.frame)


def of_gel(stream: ImageStream, gel: str, sensor: TactileSensor, where: str) -> ImageStream:
    """Pictures or heights of a gel."""
    about = _about(stream, ImageStream) | {"frame": sensor.frame}
    size = tuple(stream.image(0).shape[:2])
    if size != tuple(sensor.size):
        raise DataError(f"{where}: is {size[1]}x{size[0]}, but sensors.{gel}.size says {tuple(sensor.size)}")
    if isinstance(stream, Depth):
        return HeightMap(**about | {"camera": gel})
    if not isinstance(stream, Camera):
        return stream
    known: dict[str, Any] = {"gels": sensor.gel, "backgrounds": sensor.background}
    known = {k: v for k, v in known.items() if v is not None}
    return TactileImage(**about | {"camera": ""}, mm_per_pixel=sensor.mm_per_pixel, **known)


def of_taxels(stream: Stream, name: str, sensor: TaxelSensor, where: str) -> Taxels:
    """Numbers (n, T) as forces of the sensor's elements."""
    value: Tensor = stream.values["value"]
    if sensor.poses is None or value.ndim != 2 or value.shape[1] != len(sensor.poses):
        count = "none" if sensor.poses is None else len(sensor.poses)
        raise DataError(
            f"{where}: stream {name!r}: has shape {tuple(value.shape)}, "
            f"but sensors.{name}.poses gives places of {count}"
        )
    about = _about(stream, Stream) | {"frame": sensor.frame, "values": {"force": value.to(torch.float64)}}
    return Taxels(**about, poses=sensor.poses)
