"""Recordings of cameras made with rosbags alone, and what our writer makes of them without a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mcap.reader import make_reader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

import fusion_aug as fa
from fusion_aug.logs.mcap.writer import McapWriter

STORE = get_typestore(Stores.ROS2_HUMBLE)
T0 = 1_700_000_000_000_000_000
K = [[40.0, 0, 15.5], [0, 42.0, 11.5], [0, 0, 1]]
Message = tuple[str, int, Any]


def make(kind: str, **fields: Any) -> Any:
    group, name = kind.split("/")
    return STORE.types[f"{group}/msg/{name}"](**fields)


def register(definition: str, kind: str) -> None:
    """Add a type that ROS 2 itself does not have."""
    if kind not in STORE.types:
        STORE.register(get_types_from_msg(definition, kind))


def header(time: int, frame: str) -> Any:
    stamp = make("builtin_interfaces/Time", sec=time // 10**9, nanosec=time % 10**9)
    return make("std_msgs/Header", stamp=stamp, frame_id=frame)


def image(array: np.ndarray, encoding: str, time: int = T0, frame: str = "cam", **more: Any) -> Any:
    array = np.ascontiguousarray(array)
    fields = {
        "height": array.shape[0], "width": array.shape[1], "step": array.nbytes // array.shape[0], "is_bigendian": 0,
        "data": np.frombuffer(array.tobytes(), np.uint8), **more,
    }  # fmt: skip
    return make("sensor_msgs/Image", header=header(time, frame), encoding=encoding, **fields)


def compressed(data: bytes, text: str, time: int = T0, frame: str = "cam") -> Any:
    content = np.frombuffer(data, np.uint8)
    return make("sensor_msgs/CompressedImage", header=header(time, frame), format=text, data=content)


def info(
    size: tuple[int, int] = (24, 32), model: str = "plumb_bob", d: Sequence[float] = (0,) * 5, k: Any = K,
    p: Any = None, r: Any = None, time: int = T0, frame: str = "cam", binning: int = 0,
    roi: tuple[int, ...] = (0, 0, 0, 0),
) -> Any:  # fmt: skip
    k = np.asarray(k, float)
    p = np.column_stack([k, np.zeros(3)]) if p is None else np.asarray(p, float)
    x, y, height, width = roi
    region = make("sensor_msgs/RegionOfInterest", x_offset=x, y_offset=y, height=height, width=width, do_rectify=False)
    return make(
        "sensor_msgs/CameraInfo", header=header(time, frame), height=size[0], width=size[1], distortion_model=model,
        d=np.asarray(d, float), k=k.ravel(), r=(np.eye(3) if r is None else np.asarray(r, float)).ravel(),
        p=p.ravel(), binning_x=binning, binning_y=binning, roi=region,
    )  # fmt: skip


def picture(height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """A smooth picture (H, W, 3) of all levels."""
    v, u = np.mgrid[0:height, 0:width]
    waves = [np.sin(u / (3 + c) + seed) + np.cos(v / (4 + c)) for c in range(3)]
    return np.clip(np.stack(waves, 2) * 60 + 128, 0, 255).astype(np.uint8)


def tf(parent: str, child: str, x: float = 0.0, y: float = 0.0) -> Any:
    """A camera that looks along x of its parent."""
    shift = make("geometry_msgs/Vector3", x=x, y=y, z=0.0)
    turn = make("geometry_msgs/Quaternion", x=-0.5, y=0.5, z=-0.5, w=0.5)
    pose = make("geometry_msgs/Transform", translation=shift, rotation=turn)
    one = make("geometry_msgs/TransformStamped", header=header(T0, parent), child_frame_id=child, transform=pose)
    return make("tf2_msgs/TFMessage", transforms=[one])


def bag(folder: Path, messages: Sequence[Message]) -> Path:
    """Write a recording."""
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        known: dict[str, Any] = {}
        for topic, time, message in sorted(messages, key=lambda m: m[1]):
            if topic not in known:
                known[topic] = writer.add_connection(topic, message.__msgtype__, typestore=STORE)
            writer.write(known[topic], time, STORE.serialize_cdr(message, message.__msgtype__))
    return folder


def read_bag(folder: Path) -> dict[str, list[Any]]:
    """Topic -> messages of all files below a folder."""
    out: dict[str, list[Any]] = {}
    for path in sorted(folder.rglob("*.mcap")):
        with path.open("rb") as file:
            for schema, channel, raw in make_reader(file).iter_messages():
                out.setdefault(channel.topic, []).append(STORE.deserialize_cdr(raw.data, schema.name))
    return out


def changed(log: Any, out: Path, *transforms: fa.Transform, seed: int = 1) -> dict[str, list[Any]]:
    """The messages that the first sample of a log becomes; every transform is asked first whether it can be written."""
    source = log[0]
    writer = McapWriter(log, out)
    for transform in transforms:
        assert not writer.can_express(transform, source)
    made = fa.Compose(list(transforms))(source, seed=seed) if transforms else source
    writer.stage(made, source, source.id, out)
    return read_bag(out)
