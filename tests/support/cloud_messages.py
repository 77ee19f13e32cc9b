"""PointCloud2 messages of structured arrays of NumPy, and streams of them, without a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bags import T0, header, ros

from calib import Frame, LidarSensor, Rig
from calib.se3 import rotation_from_rotvec, se3
from fusion_aug.logs.mcap.cloud_layout import packed_rows
from fusion_aug.logs.mcap.clouds import cloud, write_cloud
from fusion_aug.logs.mcap.file import encode
from fusion_aug.logs.mcap.messages import ReceivedMessage
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Lidar
from fusion_aug.streams.source import Source

KIND = "sensor_msgs/msg/PointCloud2"
CODES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
RNG = np.random.default_rng(19)


def table(n: int = 60, kind: str = "<f4", offset: Sequence[float] = (0, 0, 0), **columns: Any) -> np.ndarray:
    """Points around a scanner with further fields: name=(dtype, numbers)."""
    out = np.zeros(n, [*((a, kind) for a in "xyz"), *((f, k) for f, (k, _) in columns.items())])
    xyz = RNG.uniform(2, 20, (n, 3)) * np.where(RNG.random((n, 3)) < 0.5, -1, 1) + offset
    for k, a in enumerate("xyz"):
        out[a] = xyz[:, k]
    for f, (_, numbers) in columns.items():
        out[f] = numbers
    return out


def message(rows: np.ndarray, height: int = 1, padding: int = 0, time: int = T0, **changes: Any) -> Any:
    """A PointCloud2 of a structured array; rows end with bytes that are no points."""
    places: Any = rows.dtype.fields
    field = ros("sensor_msgs/PointField")
    fields = [
        field(name=n, offset=places[n][1], datatype=CODES[places[n][0].base.str[1:]],
              count=int(np.prod(places[n][0].shape, dtype=int)))
        for n in rows.dtype.names or ()
    ]  # fmt: skip
    width, step = len(rows) // height, rows.dtype.itemsize
    data = b"".join(r.tobytes() + b"\xaa" * padding for r in rows.reshape(height, width)) if len(rows) else b""
    big = any(places[n][0].base.str[0] == ">" for n in rows.dtype.names or ())
    found = ros("sensor_msgs/PointCloud2")(
        header=header(time, "lidar"), height=height, width=width, fields=fields, is_bigendian=big, point_step=step,
        row_step=step * width + padding, data=np.frombuffer(data, np.uint8), is_dense=True,
    )  # fmt: skip
    return replace(found, **changes)


class Held(Source):
    """A message in memory, as the file would hold it."""

    def bytes(self) -> bytes:
        return self.options["raw"]


def stream_of(*found: Any, period: int = 0, **told: str) -> Lidar:
    options = {"topic": "/points", "type": KIND, "definition": "", "fields": told}
    received = [
        ReceivedMessage(
            None,
            Held(Path("a.mcap"), "ros_cloud", options={**options, "raw": encode(m, KIND)}),
            "lidar",
            T0 + i * period,
            T0 + i * period,
            i,
        )
        for i, m in enumerate(found)
    ]
    fields = {"frame": "lidar", "capture_times": T0 + period * torch.arange(len(found))}
    return cloud(received, fields, "a.mcap: topic /points")  # type: ignore[return-value]


def sample_of(stream: Lidar, T: Any = None) -> Sample:
    """A cloud of a LiDAR that is mounted on a vehicle."""
    pose = se3(rotation_from_rotvec(torch.tensor([0.0, 0.0, 0.2])), [1.0, 0.0, 1.5]) if T is None else T
    rig = Rig({"base": Frame(), "lidar": Frame(parent="base", pose=pose)}, {"points": LidarSensor(frame="lidar")})
    meta = SampleMeta(id="a", scene="a", ref=Ref("base", T0), rig=rig, true_rig=rig)
    return Sample(metas=(meta,), streams={"points": stream})


def after(transform: Any, rows: np.ndarray, template: Any = None, **told: str) -> np.ndarray:
    """The points of a message after a transform, read by NumPy."""
    template = message(rows) if template is None else template
    found = transform(sample_of(stream_of(template, **told)), seed=1)["points"]
    return packed_rows(write_cloud(found, template, 0), "test")
