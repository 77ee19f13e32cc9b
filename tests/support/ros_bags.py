"""Recordings of ROS 2 in MCAP, made and read with rosbags and mcap, without the product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

T0, MS = 1_700_000_000_000_000_000, 1_000_000
Sent = tuple[str, int, Any]  # topic, log time (ns), message


def store() -> Any:
    """Types of ROS 2 Humble, of its own."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_HUMBLE)


def make(kind: str, **fields: Any) -> Any:
    """A message; ``kind`` is like ``sensor_msgs/Imu``. Fields that are not given are zero or empty."""
    group, name = kind.split("/")
    types = store()
    full = f"{group}/msg/{name}"
    values = {n: fields.pop(n) if n in fields else _zero(types, form) for n, form in types.fielddefs[full][1]}
    assert not fields, fields
    return types.types[full](**values)


def _zero(types: Any, form: Any) -> Any:
    node, about = int(form[0]), form[1]
    if node == 2:  # another message
        group, _, name = about.split("/")
        return make(f"{group}/{name}")
    if node == 1:
        return {"string": "", "bool": False}.get(about[0], 0.0 if about[0].startswith("float") else 0)
    inner, count = about[0], about[1]
    if int(inner[0]) == 1 and inner[1][0] != "string":
        return np.zeros(count if node == 3 else 0, np.dtype(inner[1][0]) if inner[1][0] != "octet" else np.uint8)
    return [_zero(types, inner) for _ in range(count if node == 3 else 0)]


def time(ns: int) -> Any:
    """builtin_interfaces/Time."""
    return make("builtin_interfaces/Time", sec=ns // 10**9, nanosec=ns % 10**9)


def header(ns: int, frame: str = "") -> Any:
    """A header with a stamp in ns."""
    return make("std_msgs/Header", stamp=time(ns), frame_id=frame)


def vector(*xyz: float) -> Any:
    """geometry_msgs/Vector3."""
    x, y, z = map(float, xyz)
    return make("geometry_msgs/Vector3", x=x, y=y, z=z)


def tf(ns: int, parent: str, child: str, *xyz: float) -> Any:
    """One transform without a rotation."""
    turn = make("geometry_msgs/Quaternion", w=1.0)
    pose = make("geometry_msgs/Transform", translation=vector(*(xyz or (0, 0, 0))), rotation=turn)
    one = make("geometry_msgs/TransformStamped", header=header(ns, parent), child_frame_id=child, transform=pose)
    return make("tf2_msgs/TFMessage", transforms=[one])


def imu(ns: int, frame: str = "base_link") -> Any:
    """An inertial unit that stands."""
    return make("sensor_msgs/Imu", header=header(ns, frame), linear_acceleration=vector(0, 0, 9.81))


def image(ns: int, array: np.ndarray[Any, Any], encoding: str, frame: str = "cam") -> Any:
    """sensor_msgs/Image."""
    data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
    height, width = array.shape[:2]
    return make("sensor_msgs/Image", header=header(ns, frame), height=height, width=width, encoding=encoding,
                step=array.nbytes // height, data=data)  # fmt: skip


def write_bag(folder: Path, sent: Iterable[Sent], version: int = 9, latched: Sequence[str] = (),
              custom: Mapping[str, str] = {}, empty: Mapping[str, str] = {}) -> Path:  # fmt: skip
    """Write a recording; ``latched`` topics were offered transient local, ``empty`` ones (with types) hold nothing."""
    from rosbags import interfaces
    from rosbags.rosbag2 import StoragePlugin, Writer

    none = interfaces.QosTime(0, 0)
    quality = interfaces.Qos(
        interfaces.QosHistory.KEEP_LAST, 1, interfaces.QosReliability.RELIABLE,
        interfaces.QosDurability.TRANSIENT_LOCAL, none, none, interfaces.QosLiveliness.AUTOMATIC, none, False,
    )  # fmt: skip
    types = store()
    with Writer(folder, version=version, storage_plugin=StoragePlugin.MCAP) as writer:  # type: ignore[arg-type]
        for key, value in custom.items():
            writer.set_custom_data(key, value)
        known: dict[str, Any] = {}

        def connection(topic: str, kind: str) -> Any:
            if topic not in known:
                offered = [quality] if topic in latched else []
                known[topic] = writer.add_connection(topic, kind, typestore=types, offered_qos_profiles=offered)
            return known[topic]

        for topic, kind in empty.items():
            connection(topic, kind)
        for topic, ns, message in sent:
            kind = message.__msgtype__
            writer.write(connection(topic, kind), ns, types.serialize_cdr(message, kind))
    return folder


def raw_bag(root: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Topic -> (log time, bytes) of all MCAP files below a folder, by log time."""
    from mcap.reader import make_reader

    out: dict[str, list[tuple[int, bytes]]] = {}
    for path in sorted(root.rglob("*.mcap")):
        with path.open("rb") as file:
            for _, channel, raw in make_reader(file).iter_messages():
                out.setdefault(channel.topic, []).append((raw.log_time, raw.data))
    return out


def read_bag(root: Path) -> dict[str, list[tuple[int, Any]]]:
    """Topic -> (log time, message) of all recordings below a folder, read by rosbags."""
    from rosbags.rosbag2 import Reader

    types, out = store(), {}
    for path in sorted(root.rglob("metadata.yaml")):
        with Reader(path.parent) as reader:
            for connection, ns, data in reader.messages():
                message = types.deserialize_cdr(data, connection.msgtype)
                out.setdefault(connection.topic, []).append((ns, message))
    return out


def stamp(message: Any) -> int:
    """Header stamp, ns."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)
