"""``log.classes`` for points: new numbers, names, and what stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.logs.core.classes import Classes
from fusion_aug.logs.core.point_labels import LabelLayout, label_layout
from fusion_aug.streams import LazyColumns
from fusion_aug.streams.source import Source, decoder

NAMES = ("noise", "", "car", "truck", "bus", "road")
LOW16 = label_layout(LabelLayout("test_low16", "<u4", 2**16, 2**16, 1, 2**16))


@pytest.mark.parametrize(
    "asked, table, names",
    [
        ({"car": ["car", "bus"]}, {2: 2, 4: 2}, ("", "", "car")),  # its own number
        ({"vehicle": ["bus", "truck"]}, {3: 3, 4: 3}, ("", "", "", "vehicle")),  # the smallest
        ({"car": "truck", "auto": "car"}, {3: 2, 2: 0}, ("auto", "", "car")),  # 2 is taken: the first that is free
        ({"truck": "car", "auto": ["truck", "bus"]}, {2: 3, 3: 0, 4: 0}, ("auto", "", "", "truck")),
        (["*"], {0: 0, 2: 2, 3: 3, 4: 4, 5: 5}, NAMES),
        (["rider"], {}, ()),
    ],
)
def test_numbers_of_new_classes(asked: object, table: dict[int, int], names: tuple[str, ...]) -> None:
    assert Classes(asked).numbers_of(NAMES) == (table, names)


def with_labels(**fields: object) -> fa.Sample:
    sample = make_sample(points=60)
    number = torch.arange(sample["lidar"].rows)
    cloud = sample["lidar"].with_values(label=number % 6, instance=number + 1)
    return sample.with_streams({**sample.streams, "lidar": replace(cloud, **fields)})


def test_points_stay_and_keep_their_instances() -> None:
    sample = with_labels(label_names=NAMES, air_label=0)
    new = Classes({"noise": "noise", "vehicle": ["car", "truck", "bus"]})(sample)["lidar"]
    old = sample["lidar"]["label"].numpy()
    expected = np.select([old == 0, np.isin(old, [2, 3, 4])], [0, 2], -1)
    assert np.array_equal(new["label"], expected)
    assert torch.equal(new["instance"], sample["lidar"]["instance"])
    assert new.label_names == ("noise", "", "vehicle") and new.air_label == 0
    assert Classes(["car"])(sample)["lidar"].air_label == -1
    assert torch.equal(sample["lidar"]["label"], torch.arange(len(old)) % 6), "the input is untouched"


def test_classes_without_names_stay_as_they_are() -> None:
    sample = with_labels()
    assert Classes(["car"])(sample)["lidar"] is sample["lidar"]


@decoder("test_plain_points")
def _points(path: Path, raw: bytes, options: dict) -> dict:
    return {"xyz": torch.zeros(options["rows"], 3)}


def test_files_are_renumbered_when_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.label"
    label, instance = np.arange(6, dtype=np.uint32), np.arange(6, dtype=np.uint32) + 40
    (label | instance << 16).astype("<u4").tofile(path)
    cloud = Source(path, "test_plain_points", options={"rows": 6})
    values = LazyColumns([cloud], ("xyz", "label", "instance"), [LOW16.source(path)])
    lidar = fa.Lidar(frame="lidar", capture_times=torch.tensor([0]), values=values, label_names=NAMES, air_label=0)
    sample = make_sample()
    sample = sample.with_streams({**sample.streams, "lidar": lidar})
    once = Classes({"vehicle": ["car", "truck"], "road": "road"})(sample)
    twice = Classes({"thing": "vehicle"})(once)
    sources = [s for extra in twice["lidar"].values.extra_sources for s in extra]
    assert not any(s.is_decoded for s in (cloud, *sources))
    assert once["lidar"]["label"].tolist() == [-1, -1, 2, 2, -1, 5]
    assert twice["lidar"]["label"].tolist() == [-1, -1, 2, 2, -1, -1]
    assert twice["lidar"]["instance"].tolist() == instance.tolist() and twice["lidar"].label_names == ("", "", "thing")


def test_what_a_layout_cannot_hold_is_refused_with_a_remedy() -> None:
    tiny = LabelLayout("tiny", "|u1", 10, 20, 20, 1)
    good = {"label": torch.tensor([0, 9]), "instance": torch.tensor([0, 19])}
    assert tiny.encode(good, "cloud").tolist() == [0, 199]
    with pytest.raises(
        fa.DataError, match=r"cloud: label: 1 points are unlabelled .* log\.unlabelled=0.*log\.air_label"
    ):
        tiny.encode({**good, "label": torch.tensor([-1, 3])}, "cloud")
    assert tiny.encode({**good, "label": torch.tensor([-1, 3])}, "cloud", unlabelled=4).tolist() == [80, 79]
    with pytest.raises(fa.DataError, match=r"label: tiny holds numbers from 0 to 9, got 10; .*log\.classes"):
        tiny.encode({**good, "label": torch.tensor([10, 3])}, "cloud")
    with pytest.raises(fa.DataError, match=r"instance: tiny holds numbers from 0 to 19, got 20; write output=folder"):
        tiny.encode({**good, "instance": torch.tensor([20, 3])}, "cloud")
    large = LabelLayout("large", "|u1", 20, 20, 20, 1)
    with pytest.raises(fa.DataError, match="label: large holds numbers up to 255, got 399"):
        large.encode({"label": torch.tensor([19]), "instance": torch.tensor([19])}, "cloud")
