"""Touch in logs of robots: streams of sensors that the rig declares as gels or pads of taxels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from calib import CameraSensor, Rig, TactileSensor, TaxelSensor
from fusion_aug.errors import DataError
from fusion_aug.logs.core.taxel_rows import with_taxel_rows
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Depth, HeightMap, ImageStream, Points, Stream, TactileImage, Taxels
from fusion_aug.streams.source import Source

COMPANION_ENDINGS = ("/depth", "/height")  # endings of streams that belong to the picture of a camera or a gel


def camera_of(name: str, streams: Collection[str]) -> str:
    """Return the camera of a stream of pictures: ``wrist/depth`` belongs to ``wrist`` if there is such a stream."""
    head = next((name.removesuffix(e) for e in COMPANION_ENDINGS if name.endswith(e)), name)
    return head if head in streams else name


def with_touch_streams(
    streams: Mapping[str, Stream], rig: Rig, where: str, file: str = "log.rig"
) -> tuple[dict[str, Stream], Rig]:
    """Return the streams with those of touch in their own classes, and the rig without cameras that are gels.

    Pictures of a sensor of kind ``tactile`` are of its gel, one-channel pictures (``NAME/height``, or under its own
    name) the depth of the press in metres. Numbers of a sensor of kind ``taxels`` are forces on its elements; those of
    several sensors with ``rows`` are parted.

    Args:
        streams, rig: of a sample. where: its file, and file: that of the user's sensors, for messages.

    Raises:
        DataError: a picture has another size than its gel, or the rig gives no poses of the taxels or too few or many.
        ConfigError: rows of taxels do not fit their message.
    """
    out: dict[str, Stream] = {}
    sensors = dict(rig.sensors)
    streams = with_taxel_rows(streams, sensors, file)
    for name, stream in streams.items():
        sensor = rig.sensors.get(camera_of(name, streams))
        if isinstance(sensor, TactileSensor) and isinstance(stream, ImageStream):
            out[name] = to_gel_stream(stream, camera_of(name, streams), sensor, f"{where}: stream {name!r}")
            if name in sensors and isinstance(sensors[name], CameraSensor):
                del sensors[name]
        elif isinstance(sensor, TaxelSensor) and "value" in stream.values:
            out[name] = to_taxels(stream, name, sensor, where)
        else:
            out[name] = _with_sensor_frame(stream, name, rig)
    return out, rig if len(sensors) == len(rig.sensors) else Rig(rig.frames, sensors)


def with_touch_sensors_of_rig(sample: Sample) -> Sample:
    """Return a sample whose gels and taxels are those of its rig, after a sidecar has changed the rig."""
    rig, streams = sample.rig, dict(sample.streams)
    for name, stream in sample.streams.items():
        sensor = rig.sensors.get(name)
        if isinstance(stream, TactileImage) and isinstance(sensor, TactileSensor):
            streams[name] = to_gel_stream(Camera(**_stream_fields(stream, Camera)), name, sensor, f"stream {name!r}")
        elif isinstance(stream, Taxels) and isinstance(sensor, TaxelSensor) and sensor.poses is not None:
            poses = sensor.poses.expand(len(stream), *sensor.poses.shape)
            streams[name] = replace(stream, poses=poses)
    return sample.with_streams(streams)


def with_first_gel(stream: Stream) -> Stream:
    """The stream as logs of robots hold it, whose rig has one gel and one background of each sensor.

    Where they change from picture to picture, those of the first one are kept.
    """
    if not isinstance(stream, TactileImage):
        return stream
    held = {f: getattr(stream, f) for f in ("gels", "backgrounds")}
    first: dict[str, Any] = {f: (v[0],) * len(v) for f, v in held.items() if any(entry is not v[0] for entry in v)}
    return replace(stream, **first) if first else stream


def _stream_fields(stream: Stream, kind: type[Stream]) -> dict[str, Any]:
    return {f.name: getattr(stream, f.name) for f in fields(kind)}


def _with_sensor_frame(stream: Stream, name: str, rig: Rig) -> Stream:
    """Return the stream in the frame of its sensor, which a rig file may set apart from the log's own frame.

    A cloud that the log gives in the world stays there: the sensor's frame says where its scanner stands.
    """
    sensor, own = rig.sensors.get(stream.instance(name)), rig.frames.get(stream.frame)
    in_world = isinstance(stream, Points) and own is not None and own.axis_convention == "world"
    return stream if sensor is None or in_world or sensor.frame == stream.frame else replace(stream, frame=sensor.frame)


def to_gel_stream(stream: ImageStream, gel: str, sensor: TactileSensor, where: str) -> ImageStream:
    """Convert pictures or depth of a camera to pictures or heights (metres) of a gel."""
    stream_fields = _stream_fields(stream, ImageStream) | {"frame": sensor.frame}
    size = tuple(stream.image(0).shape[:2])
    if size != tuple(sensor.size):
        raise DataError(f"{where}: is {size[1]}x{size[0]}, but sensors.{gel}.size is {tuple(sensor.size)}")
    if isinstance(stream, Depth):
        items = tuple(replace(i, options={**i.options, "heights": True}) if isinstance(i, Source) else i
                      for i in stream.items)  # fmt: skip
        return HeightMap(**stream_fields | {"camera": gel, "items": items})
    if not isinstance(stream, Camera):
        return stream
    known: dict[str, Any] = {"gels": sensor.gel, "backgrounds": sensor.background}
    known = {k: v for k, v in known.items() if v is not None}
    return TactileImage(**stream_fields | {"camera": ""}, mm_per_pixel=sensor.mm_per_pixel, **known)


def to_taxels(stream: Stream, name: str, sensor: TaxelSensor, where: str) -> Taxels:
    """Convert numbers (n, T) to forces, N, of the sensor's elements."""
    value: Tensor = stream.values["value"]
    if sensor.poses is None or value.ndim != 2 or value.shape[1] != len(sensor.poses):
        count = "none" if sensor.poses is None else len(sensor.poses)
        raise DataError(
            f"{where}: stream {name!r}: has shape {tuple(value.shape)}, "
            f"but sensors.{name}.poses gives the poses of {count}"
        )
    stream_fields = _stream_fields(stream, Stream) | {
        "frame": sensor.frame,
        "values": {"force": value.to(torch.float64)},
    }
    return Taxels(**stream_fields, poses=sensor.poses)
