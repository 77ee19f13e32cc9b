"""Returns that come from no object do not have the class of one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import Frame, RadarSensor, Rig
from fusion_aug.streams.lazy_columns import LazyColumns
from fusion_aug.streams.source import Source, decoder
from fusion_aug.streams.targets import on_nothing, target_columns


class Named(fa.Lidar):
    """A cloud with columns of its own."""

    columns = (
        *fa.Lidar.columns, fa.label("material"), fa.categorical("part"), fa.categorical("beam", of_target=False),
        fa.polar("flow", of_target=True),
    )  # fmt: skip


def cloud(kind: type[fa.Points] = Named, **more: object) -> fa.Points:
    values = {
        "xyz": torch.rand(4, 3) + 3, "ring": torch.arange(4), "label": torch.arange(10, 14),
        "instance": torch.arange(20, 24), "material": np.array(["tin", "tin", "wood", "wood"]),
        "part": torch.arange(4).to(torch.uint8), "beam": torch.arange(4), "flow": torch.ones(4, 3),
    }  # fmt: skip
    known = {n: v for n, v in values.items() if n in kind.column_table()}
    return kind(frame="lidar", capture_times=torch.tensor([0]), values=known, **more)


def test_what_a_point_lies_on_is_taken_from_returns_of_the_air() -> None:
    stream = cloud(air_label=7)
    out = on_nothing(stream, stream.values, torch.tensor([True, False, False, True]))
    assert set(out) == {"label", "instance", "material", "part", "flow"} == set(target_columns(stream))
    assert out["label"].tolist() == [7, 11, 12, 7] and out["instance"].tolist() == [0, 21, 22, 0]
    assert out["material"].tolist() == ["", "tin", "wood", ""]
    assert out["part"].tolist() == [255, 1, 2, 255] and out["part"].dtype == torch.uint8
    assert torch.isnan(out["flow"][[0, 3]]).all() and (out["flow"][1:3] == 1).all()
    assert stream["label"].tolist() == [10, 11, 12, 13]  # the input is untouched


def test_without_a_class_of_its_own_a_return_from_the_air_is_unlabelled() -> None:
    assert on_nothing(cloud(), cloud().values, torch.tensor([1]))["label"].tolist() == [10, -1, 12, 13]


@decoder("counted_for_a_test")
def counted(path: object, raw: bytes, options: dict[str, int]) -> dict[str, torch.Tensor]:
    n = options["rows"]
    return {"label": torch.arange(n)} if options["labels"] else {"xyz": torch.zeros(n, 3)}


def test_items_without_a_file_of_labels_are_unlabelled(tmp_path) -> None:
    path = tmp_path / "cloud.bin"
    path.write_bytes(b"")
    clouds = [Source(path, "counted_for_a_test", options={"rows": n, "labels": False}) for n in (3, 2)]
    labels = [Source(path, "counted_for_a_test", options={"rows": 3, "labels": True}), None]
    stream = fa.Lidar(
        frame="lidar", capture_times=torch.tensor([0, 1]), values=LazyColumns(clouds, ["xyz", "label"], labels)
    )
    assert stream["label"].tolist() == [0, 1, 2, -1, -1]
    assert stream.take_items(torch.tensor([1]))["label"].tolist() == [-1, -1]


RADARS = {
    "RadarGhosts": fa.RadarGhosts(share=1.0, path=2.0), "RadarClutter": fa.RadarClutter(rate=20.0),
    "RadarInterference": fa.RadarInterference(rate=20.0, noise_rise=0.0), "Rain": fa.Rain(rain_rate=80.0),
}  # fmt: skip


class Sorted(fa.Radar):
    """Detections with a class."""


@pytest.mark.parametrize("name", RADARS)
def test_detections_that_are_added_are_no_objects(name: str) -> None:
    """Every one is taken apart by its number: those of before keep theirs, ghosts too have none."""
    ways = torch.randn(40, 3)
    xyz = 30 * ways / ways.norm(dim=1, keepdim=True)
    values = {
        "xyz": xyz, "velocity": torch.zeros(40, 3), "velocity_comp": torch.zeros(40, 3), "rcs": torch.full((40,), 30.0),
        "label": torch.arange(40) + 100,
    }  # fmt: skip
    radar = Sorted(frame="radar", capture_times=torch.tensor([0]), values=values, air_label=5)
    rig = Rig(
        {"base": Frame(), "radar": Frame(parent="base", pose=torch.eye(4, dtype=torch.float64))},
        {"radar": RadarSensor(frame="radar")},
    )
    sample = fa.make_sample("one", ref=("base", 0), rig=rig, streams={"radar": radar})
    out = RADARS[name](sample, seed=3)["radar"]
    assert set(out.values) == set(values)
    real = out["label"] != 5
    at = out["label"][real] - 100
    assert len(at.unique()) == len(at) and torch.allclose(out["xyz"][real], xyz[at], atol=1e-5)
    moved = torch.cdist(out["xyz"][~real].double(), xyz.double()).min(1).values
    assert len(moved) > 5 and bool((moved > 1e-3).all())
