"""Streams made of NumPy arrays and lists hold tensors, tuples and text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion_aug as fa

pytestmark = pytest.mark.quick


def lidar(**given: object) -> fa.Lidar:
    return fa.Lidar(**({"frame": "a", "capture_times": [1], "values": {"xyz": torch.zeros(3, 3)}} | given))  # type: ignore[arg-type]


def test_arrays_become_tensors_in_the_memory_that_they_have() -> None:
    xyz = np.arange(9, dtype=np.float32).reshape(3, 3)
    stream = lidar(values={"xyz": xyz, "name": ["a", "b", "c"]}, present=[True], receive_times=np.array([5]))
    assert stream["xyz"].data_ptr() == xyz.ctypes.data
    assert stream["name"].tolist() == ["a", "b", "c"] and stream["name"].dtype.kind == "U"
    assert stream.present.dtype == torch.bool and stream.receive_times.tolist() == [5]  # type: ignore[union-attr]
    xyz.flags.writeable = False
    assert lidar(values={"xyz": xyz})["xyz"].data_ptr() != xyz.ctypes.data, "nothing may write into it"


def test_an_empty_list_of_times_is_one() -> None:
    assert len(fa.Camera(frame="a", capture_times=[], items=[])) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"values": {"xyz": [[1.0], [1.0, 2.0]]}}, "Lidar: xyz: rows of different lengths"),
        ({"values": {"xyz": np.array([object()])}}, "Lidar: xyz: expected numbers or text, got an array of object"),
        ({"capture_times": [1.5]}, "capture_times: must be int64 nanoseconds, got torch.float64"),
    ],
)
def test_what_is_no_number_is_refused(given: dict, message: str) -> None:
    with pytest.raises(fa.DataError, match=message):
        lidar(**given)
