"""Bytes of PointCloud2: rows, fill, times of points, and messages that are damaged or meant to do harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.errors import DataError

pytest.importorskip("rosbags")
from bags import T0, ros
from cloud_messages import KIND, after, message, sample_of, stream_of, table

from fusion_aug.logs.mcap.cloud_layout import cloud_problem, packed_rows
from fusion_aug.logs.mcap.clouds import decode_cloud, write_cloud
from fusion_aug.logs.mcap.file import encode

MIRROR = fa.MirrorScene(axis="y", p=1.0)


def written(transform: Any, template: Any) -> Any:
    return write_cloud(transform(sample_of(stream_of(template)), seed=1)["points"], template, 0)


# --- rows ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("height", "padding", "step"), [(6, 16, None), (6, 0, 0), (1, 0, 0), (1, 24, None), (6, 0, 3)])
def test_rows_are_read_by_their_step_and_stay_rows(height: int, padding: int, step: int | None) -> None:
    """``row_step`` with bytes that are no points, and not set at all by drivers of rows without any."""
    rows = table(60, ring=("<u2", np.arange(60)))
    template = message(rows, height, padding)
    template = template if step is None else replace(template, row_step=step)
    assert np.array_equal(stream_of(template)["xyz"].numpy(), np.stack([rows[a] for a in "xyz"], 1))
    out = written(MIRROR, template)
    assert (out.height, out.width, out.row_step) == (height, 60 // height, template.row_step)
    found = packed_rows(out, "test")
    assert np.array_equal(found["ring"], rows["ring"]) and np.array_equal(found["y"], -rows["y"])
    fewer = written(fa.PointDropout(share=0.4), template)
    assert fewer.height == 1 and fewer.width < 60 and fewer.row_step == fewer.width * 14 == len(fewer.data)
    assert np.isin(packed_rows(fewer, "test")["ring"], rows["ring"]).all()


def test_new_fields_go_behind_the_others() -> None:
    rows, template = table(12), message(table(12), 3, 8)
    stream = stream_of(template).with_values(intensity=torch.full((12,), 7.0), status=torch.arange(12))
    out = write_cloud(stream, template, 0)
    assert [f.name for f in out.fields] == ["x", "y", "z", "intensity", "status"]
    found = packed_rows(out, "test")
    assert (found["intensity"] == 7).all() and found["status"].tolist() == list(range(12))
    assert (out.height, out.width, out.point_step, len(out.data)) == (3, 4, 17, 204) and len(rows) == 12
    again = stream_of(out)
    assert again["status"].tolist() == list(range(12)) and torch.equal(again["xyz"], stream["xyz"])


def test_dense_is_what_the_source_says_until_coordinates_get_lost() -> None:
    rows = table(8)
    rows["x"][3] = np.nan
    for told in (True, False):
        assert written(MIRROR, replace(message(rows), is_dense=told)).is_dense is told
    lost = stream_of(message(rows))
    xyz = lost["xyz"].clone()
    xyz[5] = float("inf")
    assert not write_cloud(lost.with_values(xyz=xyz), message(rows), 0).is_dense


def test_whole_numbers_are_rounded_and_clipped() -> None:
    rows = table(3, intensity=("u1", [10, 200, 255]), vel_x=("<i2", 7), vel_y=("<i2", 9))
    stream = stream_of(message(rows))
    stream = stream.with_values(intensity=torch.tensor([10.6, 300.0, float("nan")]))
    found = packed_rows(write_cloud(stream, message(rows), 0), "test")
    assert found["intensity"].tolist() == [11, 255, 0]
    assert after(MIRROR, rows)["vel_y"].tolist() == [-9] * 3


def test_fill_by_name_and_repeated_fields() -> None:
    """PCL fills gaps with fields called ``_``, as many as it needs."""
    rows, field = table(5, intensity=("<f4", 2)), ros("sensor_msgs/PointField")
    template = message(rows)
    fill = field(name="_", offset=12, datatype=2, count=4)
    template.fields = [*template.fields[:3], fill, fill, template.fields[3]]
    assert cloud_problem(template, "/points") is None
    out = written(MIRROR, template)
    assert [f.name for f in out.fields] == ["x", "y", "z", "_", "_", "intensity"]
    template.fields = [*template.fields, field(name="y", offset=8, datatype=7, count=1)]
    assert "two are called 'y'" in cloud_problem(template, "/points")[0]  # type: ignore[index]


# --- times -----------------------------------------------------------------------------------------------------------
SECONDS = np.linspace(0, 0.0999, 1200)
CLOCKS = {
    "velodyne": ("time", "<f4", SECONDS),
    "ouster": ("t", "<u4", np.round(SECONDS * 1e9)),
    "microseconds": ("t", "<u4", np.round(SECONDS * 1e6)),
    "by name": ("offset_us", "<u4", np.round(SECONDS * 1e6)),
    "hesai": ("timestamp", "<f8", T0 * 1e-9 + SECONDS),
    "livox": ("timestamp", "<f8", float(T0) + SECONDS * 1e9),
    "absolute microseconds": ("timestamp", "<f8", T0 * 1e-3 + SECONDS * 1e6),
    "negative": ("time", "<f4", SECONDS - 0.0999),
    "relative milliseconds": ("time", "<f8", SECONDS * 1e3),
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_times_of_points_are_read_moved_and_written(clock: str) -> None:
    name, kind, numbers = CLOCKS[clock]
    rows = table(1200, **{name: (kind, numbers)})
    told = {"offset_us": "time_us"} if name == "offset_us" else {}
    stream = stream_of(message(rows), **told)
    right = SECONDS - 0.0999 if clock == "negative" else SECONDS
    assert np.abs(stream["time_offset"].numpy() - right).max() < (2e-6 if kind != "<f8" else 1e-6)
    assert np.array_equal(after(MIRROR, rows, **told)[name], rows[name])  # bit by bit
    fewer = after(fa.PointDropout(share=0.5), rows, **told)[name]
    assert 100 < len(fewer) < 1100
    assert np.abs(rows[name][:, None].astype(float) - fewer).min(0).max() < 1e-12
    moved = fa.SpeedWarp(speed=2.0)(sample_of(stream), seed=1)["points"]
    moved = replace(moved, capture_times=moved.capture_times + 1000)  # re-based to its new stamp
    found = packed_rows(write_cloud(moved, message(rows), 0), "test")[name].astype(float)
    unit = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[stream.meanings[0].split(" of ")[0].rpartition("_")[2]]
    start = (T0 + 1000) * 1e-9 / unit if abs(rows[name].astype(float)).max() * unit > 1e6 else 0.0
    assert np.abs((found - start) * unit - right / 2).max() < 2e-6


def test_microseconds_of_few_points_show_by_the_time_to_the_next_cloud() -> None:
    rows = [table(50, t=("<u4", np.linspace(0, 99_000, 50).astype(int))) for _ in range(3)]
    stream = stream_of(*(message(r, time=T0 + k * 10**8) for k, r in enumerate(rows)), period=10**8)
    assert stream.meanings == ("time_offset: time_us of t",)
    assert float(stream["time_offset"].max()) == pytest.approx(0.099)
    few = stream_of(*(message(r[:3], time=T0 + k * 10**8) for k, r in enumerate(rows)), period=10**8)
    assert few.meanings == stream.meanings


def test_a_second_clock_is_a_time_too() -> None:
    rows = table(30, t=("<u4", np.arange(30) * 1000_000), timestamp=("<f8", T0 * 1e-9 + np.arange(30) * 1e-3))
    found = after(fa.SpeedWarp(speed=2.0), rows)
    assert found["t"][-1] == 14_500_000 and abs(found["timestamp"][-1] - T0 * 1e-9 - 0.0145) < 1e-6


def test_a_time_that_its_field_cannot_hold_is_refused() -> None:
    rows = table(30, t=("<u4", np.arange(30) * 100_000_000))
    with pytest.raises(DataError, match=r"times of points.*uint32 cannot hold"):
        after(fa.SpeedWarp(speed=0.5), rows)


# --- what cannot be read ---------------------------------------------------------------------------------------------
def test_messages_that_are_no_points() -> None:
    good, field = message(table(10, intensity=("<f4", 1))), ros("sensor_msgs/PointField")
    bad = {
        "x, y, z are missing": replace(good, fields=good.fields[1:]),
        "datatype 9": replace(good, fields=[*good.fields, field(name="w", offset=0, datatype=9, count=1)]),
        "reaches beyond": replace(good, fields=[*good.fields, field(name="w", offset=2, datatype=7, count=2**32 - 1)]),
        "offset": replace(good, fields=[*good.fields, field(name="w", offset=2**32 - 1, datatype=7, count=1)]),
        "too few": replace(good, width=2**32 - 1, height=2**32 - 1),
        "too few for 1 x 11": replace(good, width=11),
        "bytes for a point": replace(good, point_step=2**32 - 1),
        "unit is not": message(table(4, "<i4")),
        "unit": message(table(4, "<u2")),
        "are missing (it has none)": replace(good, fields=[]),
        "beyond point_step, 0": replace(good, point_step=0),
    }  # fmt: skip
    for words, template in bad.items():
        reason, remedy = cloud_problem(template, "/points")  # type: ignore[misc]
        assert (words in reason or words == "offset") and "log.exclude=[/points]" in remedy, (words, reason)
        with pytest.raises(DataError, match=r"a.mcap: topic /points: "):
            stream_of(template)
    assert cloud_problem(good, "/points") is None


def test_clouds_without_points() -> None:
    """Also with a width but no height; the times of the topic are those of the first cloud that has points."""
    none = message(table(0, timestamp=("<f8", 0.0)))
    stream = stream_of(none, replace(none, height=0, width=7), message(table(4, timestamp=("<f8", T0 * 1e-9 + 0.01))))
    assert stream.counts.tolist() == [0, 0, 4] and float(stream["time_offset"].min()) == pytest.approx(0.01, abs=1e-6)
    for template in (none, replace(none, height=0, width=7)):
        out = written(MIRROR, template)
        assert (out.height, out.width, len(out.data)) == (template.height, template.width, 0)
    full = message(table(4, timestamp=("<f8", T0 * 1e-9)))
    empty = write_cloud(stream_of(full).select(torch.zeros(4, dtype=torch.bool)), full, 0)
    assert empty.height * empty.width == 0 and len(empty.data) == 0 and stream_of(empty).counts.tolist() == [0]


def test_a_later_cloud_with_other_fields_stops_its_sample() -> None:
    stream = stream_of(message(table(4, ring=("<u2", 1), q=("<f4", 0))), message(table(4, ring=("<u2", 1))))
    with pytest.raises(DataError, match=r"topic /points: a message: fields: 'q' is missing in one"):
        stream["xyz"]


def test_random_bytes_never_do_worse_than_a_sentence() -> None:
    rng, good = np.random.default_rng(3), encode(message(table(20, t=("<u4", 5), vx=("<f4", 1))), KIND)
    options = {"topic": "/points", "type": KIND, "definition": ""}
    for _ in range(300):
        raw = bytearray(good)
        for place in rng.integers(0, 260, rng.integers(1, 4)):
            raw[place] = rng.integers(0, 256)
        try:
            decode_cloud(Path("a.mcap"), bytes(raw), options)
        except DataError as error:
            assert "a.mcap: topic /points" in str(error)
