"""Gains and losses by transforms, against counts of rows before and after taken by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.engine import run
from fusion_aug.core.tally import count_difference
from fusion_aug.sample import merge
from fusion_aug.sample.meta import Change
from fusion_aug.streams import LazyColumns
from fusion_aug.streams.source import Source, decoder, row_counter

pytestmark = pytest.mark.quick
CLOUDS = ("lidar", "radar")


def rows(sample: fa.Sample) -> dict[str, int]:
    return {n: sample[n].rows for n in CLOUDS}


def test_each_transform_of_nested_containers_counts_under_its_own_path() -> None:
    """A pipeline that ends earlier draws the same, so that its rows are what was there before the next transform."""
    sample, yaw, far = make_sample(), fa.RotateScene(yaw_deg=30.0), fa.RangeCrop(high=25.0)
    one, near = fa.OneOf({"thin": fa.PointDropout(share=0.4)}), fa.RangeCrop(high=15.0)
    ends = {
        "far": {"yaw": yaw, "far": far},
        "inner/one/thin": {"yaw": yaw, "far": far, "inner": fa.Compose({"one": one})},
        "inner/near": {"yaw": yaw, "far": far, "inner": fa.Compose({"one": one, "near": near})},
    }
    by_hand, before = [], rows(sample)
    for path, transforms in ends.items():
        after = rows(run(fa.Compose(transforms), sample))
        by_hand += [(path, n, before[n] - after[n]) for n in CLOUDS if before[n] != after[n]]
        before = after
    changes = run(fa.Compose(ends["inner/near"]), sample, count=True).meta.changes
    assert [(c.path, c.stream, c.rows_lost) for c in changes] == by_hand
    assert {path for path, _, _ in by_hand} == set(ends)
    assert all(c.items_lost == c.items_added == c.rows_added == 0 for c in changes)


def test_nothing_is_counted_unless_it_is_asked_for() -> None:
    assert run(fa.RangeCrop(high=15.0), make_sample()).meta.changes == ()


def test_a_batch_counts_for_every_sample_what_it_counts_alone() -> None:
    """Also where a gate lets only some of them through, and where one sample is there twice."""
    samples = [make_sample(name, seed=k) for k, name in enumerate(("a", "b", "a", "c", "d"))]
    pipeline = fa.Compose({"thin": fa.PointDropout(share=0.5, p=0.5), "crop": fa.RangeCrop(high=20.0)})
    batch = run(pipeline, merge(samples), seed=5, count=True)
    alone = [run(pipeline, s, seed=5, count=True) for s in samples]
    assert [m.changes for m in batch.metas] == [s.meta.changes for s in alone]
    assert 0 < sum(any(c.path == "thin" for c in m.changes) for m in batch.metas) < 5


def test_items_that_are_dropped_or_taken_out_count() -> None:
    sample = make_sample()
    imu = sample["imu"]
    gone = replace(imu, present=torch.tensor([True, False, False, *[True] * 6]))
    assert count_difference(imu, gone) == (2, 0, 0, 0)
    assert count_difference(gone, imu) == (0, 2, 0, 0)
    assert count_difference(imu, imu.take_items(torch.arange(4))) == (5, 0, 0, 0)
    assert count_difference(imu, None) == (9, 0, 0, 0)
    lidar = sample["lidar"]
    first, second = lidar.counts.tolist()
    assert count_difference(None, lidar) == (0, 2, 0, first + second)
    # one sweep loses rows and the other gains some: both are said
    keep = torch.arange(lidar.rows) >= 10
    fewer = lidar.select(keep)
    longer = {name: torch.cat([v, v[:7]]) for name, v in lidar.realized_items()[1].items()}
    more = fewer.repacked([fewer.realized_items()[0], longer])
    assert count_difference(lidar, more) == (0, 0, 10, 7)


@pytest.fixture
def cloud_files(tmp_path: Path, own_names: None) -> list[Path]:
    """Files of 3 and 5 points, whose decoder notes what it decodes."""
    paths = []
    for k, count in enumerate((3, 5)):
        paths.append(tmp_path / f"{k}.bin")
        paths[-1].write_bytes(bytes(12 * count))

    @decoder("test_cloud")
    def decode(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, torch.Tensor]:
        options["decoded"].append(path.name)
        return {"xyz": torch.zeros(len(raw) // 12, 3)}

    return paths


def lazy(paths: list[Path], decoded: list[str]) -> fa.Stream:
    sources = [Source(p, "test_cloud", options={"decoded": decoded}) for p in paths]
    return fa.Lidar(frame="lidar", capture_times=torch.arange(2), values=LazyColumns(sources, ["xyz"]))


def test_clouds_in_files_are_counted_by_their_size_or_one_by_one_and_forgotten(cloud_files: list[Path]) -> None:
    decoded: list[str] = []
    cloud = lazy(cloud_files, decoded)
    moved = cloud.moved(torch.eye(4, dtype=torch.float64).expand(2, 4, 4))
    assert count_difference(cloud, moved) is None and not decoded
    assert cloud.values.row_counts() is None and not decoded
    assert count_difference(cloud, None) == (2, 0, 8, 0) and decoded == ["0.bin", "1.bin"]
    assert not any("value" in s.__dict__ for s in cloud.values.sources)
    row_counter("test_cloud")(lambda path, size, options: size // 12)
    decoded.clear()
    assert cloud.values.row_counts().tolist() == [3, 5]
    assert count_difference(cloud, cloud.take_items(torch.tensor([1]))) == (1, 0, 3, 0) and not decoded


def test_a_stream_that_a_transform_adds_or_takes_away_counts(own_names: None) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Swap(fa.Transform):
        """Takes the radar away and gives it another name."""

        @classmethod
        def apply(cls, sample: fa.Sample, parameters: Any, context: Any) -> fa.Sample:
            streams = dict(sample.streams)
            streams["other"] = streams.pop("radar")
            return sample.with_streams(streams)

    sample = make_sample()
    count = sample["radar"].rows
    changes = run(fa.Compose({"swap": Swap()}), sample, count=True).meta.changes
    assert changes == (Change("swap", "radar", 1, 0, count, 0), Change("swap", "other", 0, 1, 0, count))
