"""Labels of points in folder logs, shards and sidecars come back exactly, with the names of their classes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_logs
import torch
from samples import make_sample
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import DataError

NAMES = ("", "car", "", "snow flake")


def labelled(sample: fa.Sample, name: str = "lidar") -> fa.Sample:
    number = torch.arange(sample[name].rows)
    cloud = sample[name].with_values(label=number % 4 - 1, instance=number * 10**9)
    return sample.with_streams({**sample.streams, name: replace(cloud, air_label=3, label_names=NAMES)})


def assert_labels(found: fa.Points, expected: fa.Points) -> None:
    for column in ("label", "instance"):
        assert found[column].dtype == torch.int64 and torch.equal(found[column], expected[column]), column
    assert found.air_label == 3 and found.label_names == NAMES


@pytest.mark.parametrize("kind", ["folder", "webdataset"])
def test_labels_round_trip_and_follow_a_run(kind: str, tmp_path: Path) -> None:
    sample = labelled(make_sample("a", gels=False))
    root = tmp_path / "log"
    fa.write_log([sample], root, format=kind)
    assert_labels(fa.open_log(kind, root)[0]["lidar"], sample["lidar"])
    drop = "+pipeline.transforms.drop={_target_: fusion_aug.PointDropout, share: 0.5}"
    out = run(tmp_path / "out", f"log={kind}", f"log.root={root}", "pipeline=identity", drop)
    found, before = fa.open_log(kind, out)[0]["lidar"], sample["lidar"]
    at = found["instance"] // 10**9
    assert 0 < found.rows < before.rows and torch.equal(found["label"], before["label"][at])
    assert torch.equal(found["intensity"], before["intensity"][at])
    assert main(["check", str(out)]) == 0


def test_a_folder_log_as_numpy_sees_it(tmp_path: Path) -> None:
    sample = labelled(make_sample("a", gels=False))
    fa.write_log([sample], tmp_path / "log", format="folder")
    folder = tmp_path / "log/samples/a/streams/lidar"
    with np.load(folder / "arrays.npz") as arrays:
        assert np.array_equal(arrays["values/label"], sample["lidar"]["label"])
    header = json.loads((folder / "stream.json").read_text())["fields"]
    assert header["air_label"] == 3 and header["label_names"] == list(NAMES)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A KITTI log with labels of points, for which the format has no place."""
    root = small_logs.kitti(tmp_path / "kitti", frames=1)
    log = fa.open_log("kitti", root)
    out = tmp_path / "with_labels"
    writer = log.writer(out)
    sample = log[0]
    writer.stage(labelled(sample, "velodyne"), sample, sample.id, out)
    writer.finish([{}], [(sample.id, sample.id)])
    return out


def test_sidecars_keep_names_of_classes(other: Path, tmp_path: Path) -> None:
    cloud = fa.open_log("kitti", other)[0]["velodyne"]
    number = torch.arange(cloud.rows)
    assert torch.equal(cloud["label"], number % 4 - 1) and cloud.label_names == NAMES and cloud.air_label == 3
    words = ("log=kitti", f"log.root={other}", "pipeline=geometry", "log.classes={auto: car, DontCare: DontCare}")
    out = run(tmp_path / "out", *words)
    found = fa.open_log("kitti", out)[0]["velodyne"]
    at = found["instance"] // 10**9
    assert torch.equal(found["label"], torch.where(cloud["label"] == 1, 1, -1)[at])
    assert found.label_names == ("", "auto") and main(["check", str(out)]) == 0


def test_a_damaged_sidecar_is_told(other: Path) -> None:
    (path,) = other.glob("fusion_aug/samples/**/columns/velodyne.json")
    path.write_text(json.dumps({"air_label": "a", "label_names": []}))
    with pytest.raises(DataError, match=r"velodyne\.json: expected air_label, a whole number"):
        fa.open_log("kitti", other)[0]
