"""Clouds of a batch stay in their files until somebody asks for a point."""

from __future__ import annotations

import pytest
import torch
from generic import assert_same_streams
from places import DRIVE

import fusion_aug as fa
from fusion_aug.streams import LazyColumns
from fusion_aug.streams.held_columns import joined_columns
from fusion_aug.streams.source import Source

pytestmark = pytest.mark.quick


def test_a_batch_of_opened_samples_reads_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    log = fa.open_log("nuscenes", DRIVE)
    samples = [fa.RotateScene(yaw_deg=10.0 * k)(log[k]) for k in range(3)]

    def read(self: Source) -> None:
        raise AssertionError(f"{self.path} was read")

    with monkeypatch.context() as patch:
        patch.setattr(Source, "decoded", read)
        batch = fa.collate(samples)
        turned = fa.TranslateScene(x=1.0)(batch, seed=1).take([2, 0])
        assert isinstance(turned["LIDAR_TOP"].values, LazyColumns)
    alone = [fa.TranslateScene(x=1.0)(samples[k].realized(), seed=1) for k in (2, 0)]
    for k, one in enumerate(alone):
        assert_same_streams(turned.take([k]), one, exact=False)


def test_columns_of_files_are_joined_where_all_still_lie_there() -> None:
    log = fa.open_log("nuscenes", DRIVE)
    first, second = (log[k]["LIDAR_TOP"].values for k in range(2))
    assert isinstance(first, LazyColumns) and any(first.extra_sources), "labels lie in files of their own"
    joined = joined_columns([first, second])
    assert joined is not None
    for name in joined:
        assert torch.equal(joined[name], torch.cat([first[name], second[name]])), name
    assert joined.offsets.tolist() == [*first.offsets.tolist(), *(second.offsets[1:] + first.offsets[-1]).tolist()]
    fewer = LazyColumns(first.sources, first.names[:-1], first.extra_sources)
    assert joined_columns([first, fewer]) is None
    assert joined_columns([first, dict(second)]) is None


@pytest.mark.parametrize("in_memory", [{0}, {1}, {1, 2}])
def test_clouds_in_files_join_those_in_memory(in_memory: set[int]) -> None:
    log = fa.open_log("nuscenes", DRIVE)
    mixed = fa.collate([log[k].realized() if k in in_memory else log[k] for k in range(3)])
    assert_same_streams(mixed, fa.collate([log[k].realized() for k in range(3)]))


def test_a_batch_of_unlabelled_scans_of_a_log_with_labels_has_the_labels_of_nobody() -> None:
    log = fa.open_log("nuscenes", DRIVE)
    sources = [log[k]["LIDAR_TOP"].values.sources for k in range(2)]
    parts = [LazyColumns(s, ("xyz", "label"), [()] * len(s)) for s in sources]
    joined = joined_columns(parts)
    assert joined is not None
    assert torch.equal(joined["label"], torch.full((len(joined["xyz"]),), -1))
