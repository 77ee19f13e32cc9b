"""Classes of points in fields of PointCloud2: what a field cannot hold is refused, not wrapped."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.errors import DataError
from fusion_aug.streams.targets import on_nothing

pytest.importorskip("rosbags")
from bags import ros

from fusion_aug.logs.mcap.clouds import packed_rows, write_cloud

CODES = {"f4": 7, "u1": 2, "u4": 6}


def message(count: int, label: str) -> object:
    kind = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("label", f"<{label}")])
    rows = np.zeros(count, kind)
    rows["x"], rows["label"] = np.arange(count) + 1, np.arange(count)
    field = ros("sensor_msgs/PointField")
    fields = [
        field(name=n, offset=kind.fields[n][1], datatype=CODES[kind[n].str[1:]], count=1) for n in kind.names
    ]  # fmt: skip
    header = ros("std_msgs/Header")(stamp=ros("builtin_interfaces/Time")(sec=1, nanosec=0), frame_id="lidar")
    return ros("sensor_msgs/PointCloud2")(
        header=header, height=1, width=count, fields=fields, is_bigendian=False, point_step=kind.itemsize,
        row_step=kind.itemsize * count, data=np.frombuffer(rows.tobytes(), np.uint8), is_dense=True,
    )  # fmt: skip


def foggy(count: int, air: int, dtype: torch.dtype = torch.int64) -> fa.Lidar:
    values = {"xyz": torch.ones(count, 3), "label": torch.arange(count).to(dtype)}
    stream = fa.Lidar(frame="lidar", capture_times=torch.tensor([10**9]), values=values, air_label=air)
    return stream.with_values(**on_nothing(stream, stream.values, torch.arange(count) < 2))


@pytest.mark.parametrize("label", ["u1", "u4"])
def test_a_class_that_the_field_cannot_hold_is_refused(label: str) -> None:
    with pytest.raises(DataError, match=r"label: 2 points have the number -1, which uint\d+ cannot hold.*air_label"):
        write_cloud(foggy(5, -1), message(5, label), 0)
    written = packed_rows(write_cloud(foggy(5, 9), message(5, label), 0), "test")
    assert written["label"].tolist() == [9, 9, 2, 3, 4] and written.dtype["label"] == np.dtype(f"<{label}")


def test_classes_in_floating_point_get_that_of_the_air() -> None:
    written = packed_rows(write_cloud(foggy(4, 9, torch.float32), message(4, "f4"), 0), "test")
    assert written["label"].tolist() == [9.0, 9.0, 2.0, 3.0]
    assert foggy(4, -1, torch.float32)["label"].tolist() == [-1.0, -1.0, 2.0, 3.0]
