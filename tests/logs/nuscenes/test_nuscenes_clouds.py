"""nuScenes point files, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_aug.errors import DataError
from fusion_aug.logs.nuscenes.clouds import RADAR_FIELDS, decode_lidar, decode_radar, encode_lidar, encode_radar

PATH = Path("cloud")


def radar(n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    vectors = {
        k: torch.from_numpy(rng.normal(size=(n, 3)).astype(np.float32)) for k in ("xyz", "velocity", "velocity_comp")
    }
    for k in ("velocity", "velocity_comp"):
        vectors[k][:, 2] = 0
    flags = torch.from_numpy(rng.integers(0, 100, (n, 10)))
    return {**vectors, "rcs": torch.from_numpy(rng.normal(size=n).astype(np.float32)), "flags": flags}


@settings(max_examples=20, deadline=None)
@given(n=st.integers(0, 40), seed=st.integers(0, 1000))
def test_radar_round_trip(n: int, seed: int) -> None:
    columns = radar(n, seed)
    back = decode_radar(PATH, encode_radar(columns), {})
    for name, value in columns.items():
        assert torch.equal(back[name], value) and back[name].dtype == value.dtype, name


def test_radar_layout_is_that_of_the_devkit() -> None:
    """Read as the official devkit reads it: header lines by number, 43 bytes a point, a byte after the last."""
    raw = encode_radar(radar(3))
    head, body = raw.split(b"DATA binary\n", 1)
    lines = head.decode().splitlines()
    assert lines[0].startswith("#") and lines[1].startswith("VERSION")
    assert lines[2].split()[1:] == [n for n, _ in RADAR_FIELDS]
    sizes, types = [int(s) for s in lines[3].split()[1:]], lines[4].split()[1:]
    assert sizes == [4, 4, 4, 1, 2, 4, 4, 4, 4, 4, 1, 1, 1, 1, 1, 1, 1, 1]
    assert types == list("FFFIIFFFFFIIIIIIII")
    assert lines[6].split() == ["WIDTH", "3"] and lines[7].split() == ["HEIGHT", "1"]
    assert len(body) == 3 * 43 + 1
    x, y, z = struct.unpack("<fff", body[43:55])
    assert np.allclose([x, y, z], radar(3)["xyz"][1].numpy())


def test_no_detection_is_one_point_of_nan() -> None:
    raw = encode_radar(radar(0))
    assert b"WIDTH 1\n" in raw
    assert np.isnan(struct.unpack("<f", raw.split(b"DATA binary\n", 1)[1][:4]))[()]
    assert len(decode_radar(PATH, raw, {})["xyz"]) == 0


@pytest.mark.quick
def test_lidar_round_trip() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(50, 5)).astype("<f4")
    raw[:, 4] = rng.integers(0, 32, 50)
    columns = decode_lidar(PATH, raw.tobytes(), {})
    assert encode_lidar(columns) == raw.tobytes()


def scan(seed: int = 0) -> np.ndarray:
    """Points (2000, 5) of a scanner with 20 beams."""
    rng = np.random.default_rng(seed)
    r, a, beam = rng.uniform(3, 60, 2000), rng.uniform(-np.pi, np.pi, 2000), np.arange(2000) % 20
    up = np.radians(beam * 2.0 - 25)
    xyz = np.stack([r * np.cos(a) * np.cos(up), r * np.sin(a) * np.cos(up), r * np.sin(up)], 1)
    return np.column_stack([xyz, rng.integers(0, 256, 2000), beam]).astype("<f4")


LAYOUTS = {
    "4 numbers": (scan()[:, :4].tobytes(), "looks like . numbers per point"),
    "6 numbers": (np.column_stack([scan(), np.zeros(2000, "<f4")]).tobytes(), "looks like . numbers per point"),
    "float64": (scan().astype("<f8").tobytes(), "looks like float64"),
    "big-endian": (scan().astype(">f4").tobytes(), "looks like big-endian float32"),
    "cut": (scan().tobytes()[:-4], "not a multiple of 20"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_clouds_of_another_layout_are_refused(layout: str) -> None:
    raw, told = LAYOUTS[layout]
    assert len(decode_lidar(PATH, scan().tobytes(), {})["xyz"]) == 2000
    with pytest.raises(DataError, match=f"^cloud: the cloud is .*{told}"):
        decode_lidar(PATH, raw, {})
