"""Dense tensors of batches of any log, and boxes of a network back in the scene of the log."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from calib import LidarSensor
from fusion_aug.train.interop import camera_matrices, point_table

SIZE = (32, 40)
MOVED = fa.Compose([fa.RotateScene(yaw_deg=40), fa.MirrorScene(), fa.ScaleScene(scale=1.1), fa.TranslateScene(x=2)])


@pytest.fixture(scope="module")
def batch() -> fa.Sample:
    made = [make_sample(f"s{i}", seed=i, size=SIZE, points=100 + 50 * i, boxes=3 + i, gels=False) for i in range(3)]
    return MOVED(fa.collate(made), seed=2)


@pytest.mark.quick
def test_pictures_and_matrices_in_a_fixed_order(batch: fa.Sample) -> None:
    dense = fa.to_dense(batch, cameras=["WRIST", "CAM_FRONT"], dtype=torch.float64)
    assert dense["ids"] == ["s0", "s1", "s2"] and dense["cameras"] == ("WRIST", "CAM_FRONT")
    assert dense["images"].shape == (3, 2, *SIZE, 3) and dense["images"].dtype == torch.uint8
    for u in range(3):
        one = batch.take([u])
        for c, name in enumerate(dense["cameras"]):
            assert torch.equal(dense["images"][u, c], one[name].image(one.key_item(name)))  # type: ignore[attr-defined]
            for key, matrix in camera_matrices(one, name).items():
                assert np.array_equal(dense[key][u, c].numpy(), matrix)
    first = fa.to_dense(batch, cameras=["CAM_FRONT"], channels_first=True)["images"]
    assert torch.equal(first.movedim(-3, -1), dense["images"][:, 1:]) and first.shape == (3, 1, 3, *SIZE)
    assert fa.to_dense(batch)["cameras"] == ("CAM_FRONT", "WRIST"), "distorted lenses fit no matrix"


def test_what_is_absent_is_masked(batch: fa.Sample) -> None:
    samples = [batch.take([u]) for u in range(3)]
    gone = samples[1].with_streams({n: s for n, s in samples[1].streams.items() if n not in ("CAM_FRONT", "boxes")})
    dropped = fa.ModalityDropout(share=1.0, keep=["lidar", "radar", "WRIST"], at_least=1)(samples[2], seed=1)
    dense = fa.to_dense(fa.collate([samples[0], gone, dropped]))
    assert dense["image_mask"].tolist() == [[True, True], [False, True], [False, True]]
    assert not dense["images"][1, 0].any() and torch.equal(dense["lidar2img"][1, 0], torch.eye(4))
    assert dense["box_mask"].sum(1).tolist() == [3, 0, 5] and not dense["boxes"][1].any()
    assert dense["present"].tolist() == [[True] * 4, [False, True, True, True], [False, True, True, True]]
    nothing = fa.ModalityDropout(share=1.0, at_least=0)(samples[0], seed=1)
    removed = fa.ModalityDropout(share=1.0, at_least=0, mode="remove", keep=["radar"])(samples[1], seed=1)
    both = fa.to_dense(fa.collate([nothing, removed]), cameras=["CAM_FRONT"], lidars=["lidar"], radars=["radar"])
    assert both["present"].tolist() == [[False] * 3, [False, False, True]]
    alone = fa.to_dense(gone, cameras=["CAM_FRONT"], classes=["car"])
    assert alone["images"].shape == (1, 1, 0, 0, 3) and alone["boxes"].shape == (1, 0, 9)
    assert alone["labels"].shape == (1, 0)


@pytest.mark.quick
def test_points_of_all_sweeps_with_their_age(batch: fa.Sample) -> None:
    dense = fa.to_dense(batch)
    assert len(batch["lidar"]) == 6, "sweeps are items too"
    for u in range(3):
        table = point_table(batch.take([u]), "lidar")
        own = dense["points"][u][dense["point_mask"][u]]
        assert np.array_equal(own.numpy(), table) and set(np.round(table[:, 4], 2)) == {0.0, np.float32(0.05)}
    assert not dense["points"][~dense["point_mask"]].any()
    packed = fa.to_dense(batch, packed=True)
    assert packed["point_offsets"].tolist() == [0, *dense["point_mask"].sum(1).cumsum(0).tolist()]
    assert torch.equal(packed["points"], dense["points"][dense["point_mask"]])
    keyframes = fa.to_dense(batch, sweeps=False)
    assert keyframes["point_mask"].sum(1).tolist() == [50, 75, 100] or not keyframes["points"][..., 4].any()
    assert (keyframes["points"][..., 4] == 0).all()


def test_radar_detections_and_velocities_that_nobody_knows(batch: fa.Sample) -> None:
    one = batch.take([0])
    dense = fa.to_dense(one, dtype=torch.float64)
    cloud = one.points("radar", frame="ref")
    assert torch.allclose(dense["radar_points"][0, :, :3], cloud["xyz"].double())
    assert torch.allclose(dense["radar_points"][0, :, 3:5], cloud["velocity_comp"][:, :2].double())
    assert bool(dense["radar_velocity_known"].all())
    silent = replace(one["radar"], values={k: v for k, v in one["radar"].realized().values.items() if k == "xyz"},
                     pending=None)  # fmt: skip
    boxes = one.boxes().with_values(velocity=torch.full_like(one.boxes()["velocity"], float("nan")))
    dense = fa.to_dense(one.with_streams({**one.streams, "radar": silent, "boxes": boxes}))
    assert not dense["radar_velocity_known"].any() and not dense["velocity_known"].any()
    assert all(bool(torch.isfinite(v).all()) for v in dense.values() if isinstance(v, torch.Tensor))


def test_labels_of_a_class_map() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[4]
    names = sample.boxes()["category"].tolist()
    dense = fa.to_dense(sample, cameras=[], classes={"person": "human.*", "vehicle": ["vehicle.car", "vehicle.truck"]})
    assert dense["labels"][0].tolist() == [0 if n.startswith("human") else 1 for n in names]
    dense = fa.to_dense(sample, cameras=[], classes=["vehicle.car"])
    assert dense["labels"][0].tolist() == [0 if n == "vehicle.car" else -1 for n in names]
    assert dense["names"] == [names] and "labels" not in fa.to_dense(sample, cameras=[])


@pytest.mark.quick
def test_what_differs_is_named_with_the_remedy(batch: fa.Sample) -> None:
    other = make_sample("big", size=(48, 64), gels=False)
    with pytest.raises(
        fa.DataError,
        match=r"one size .*'CAM_FRONT' of sample 's0' is 40x32, 'CAM_FRONT' of sample 'big' is 64x48.*ResizeCrop",
    ):
        fa.to_dense(fa.collate([batch, other]), cameras=["CAM_FRONT"])
    light = [p.float() / 255 for p in other["CAM_FRONT"].items]  # type: ignore[attr-defined]
    floats = other.with_streams({"CAM_FRONT": replace(other["CAM_FRONT"], items=tuple(light))})
    with pytest.raises(fa.DataError, match=r"one type .*torch.uint8.*torch.float32"):
        fa.to_dense(fa.collate([make_sample("a", size=(48, 64), gels=False), floats]), cameras=["CAM_FRONT"])
    with pytest.raises(fa.DataError, match="no sample of the batch has a sensor 'CAM_TOP'"):
        fa.to_dense(batch, cameras=["CAM_TOP"])
    with pytest.raises(fa.DataError, match="fits no 4x4 matrix"):
        fa.to_dense(batch, cameras=["CAM_LEFT"])


@pytest.mark.quick
def test_boxes_of_a_table_are_those_that_made_it(batch: fa.Sample) -> None:
    """Exact for upright boxes, in float64; velocities, names and scores go along."""
    table = torch.tensor(
        [[5.0, -3.0, 0.7, 4.4, 1.9, 1.6, 2.5, 3.0, -1.0], [9.0, 2.0, 1.0, 0.6, 0.7, 1.8, -3.1, 0.0, 0.5]]
    )
    table = table.double()
    boxes = fa.boxes_from(table, labels=[1, -1], classes=["car", "bus"], scores=[0.9, 0.4], time=7)
    assert boxes["category"].tolist() == ["bus", ""] and boxes["score"].tolist() == [0.9, 0.4]
    sample = batch.take([0])
    whole = sample.with_streams({"boxes": replace(boxes, capture_times=torch.tensor([sample.ref.time]))})
    again = fa.to_dense(whole, cameras=[], dtype=torch.float64)
    assert torch.allclose(again["boxes"][0], table, atol=1e-15, rtol=0)
    assert again["velocity_known"].tolist() == [[True, True]]
    low = fa.to_mmdet3d(sample.with_streams({**sample.streams, "boxes": whole["boxes"]}), cameras=[])["gt_bboxes_3d"]
    assert torch.allclose(fa.boxes_from(low, bottom=True)["pose"], boxes["pose"], atol=1e-6)
    assert bool(fa.boxes_from(table[:, :7])["velocity"].isnan().all()) and fa.boxes_from([]).rows == 0


def test_predictions_return_to_the_scene_of_the_log() -> None:
    source = make_sample("s", boxes=6, gels=False)
    flat = torch.cat([source.boxes()["pose"][:, :3, 3], source.boxes()["size"], torch.rand(6, 3).double()], 1)
    original = fa.boxes_from(flat, names=["car"] * 6, time=source.ref.time)
    out = MOVED(source.with_streams({**source.streams, "boxes": original}), seed=4)
    seen = fa.to_dense(out, cameras=[], classes=["car"], dtype=torch.float64)
    predicted = fa.boxes_from(seen["boxes"][0], labels=seen["labels"][0], classes=["car"], scores=torch.ones(6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = fa.invert(predicted, out.history)
    assert torch.allclose(back["pose"], original["pose"], atol=1e-12)
    assert torch.allclose(back["size"], original["size"], atol=1e-12)
    assert torch.allclose(back["velocity"], original["velocity"], atol=1e-12)
    assert back["category"].tolist() == ["car"] * 6 and back["score"].tolist() == [1.0] * 6


@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        (torch.zeros(2, 8), {}, r"expected a table \(m, 7\) or \(m, 9\)"),
        (torch.zeros(1, 2, 9), {}, r"expected a table"),
        (torch.zeros(2, 9), {"labels": [0, 3], "classes": ["car"]}, "label 3 is no class of 1"),
        (torch.zeros(2, 9), {"labels": [0], "classes": ["car"]}, "1 labels for 2 boxes"),
        (torch.zeros(2, 7), {"names": ["car"]}, "1 entries of category for 2 boxes"),
    ],
)
def test_tables_that_are_none_are_refused(table: torch.Tensor, more: dict, message: str) -> None:
    with pytest.raises(fa.ConfigError, match=message):
        fa.boxes_from(table, **more)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"classes": "car"}, r"expected a list of names, got the text 'car'; give \['car'\]"),
        ({"cameras": "CAM_FRONT"}, r"cameras: expected a list of names, got the text 'CAM_FRONT'"),
        ({"lidars": ["radar"]}, "lidars: 'radar' is a Radar, expected a Lidar"),
        ({"cameras": ["lidar"]}, "cameras: 'lidar' is a Lidar, expected a Camera"),
        ({"dtype": torch.int32}, "dtype: expected a floating one, got torch.int32"),
    ],
)
def test_what_would_be_understood_otherwise_is_refused(batch: fa.Sample, asked: dict, message: str) -> None:
    with pytest.raises((fa.ConfigError, fa.DataError), match=message):
        fa.to_dense(batch, **asked)
    with pytest.raises(fa.ConfigError, match="expected a batch, as collate makes it, or a sample, got a list"):
        fa.to_dense([batch])  # type: ignore[arg-type]
    for labels, classes in (([0.5], ["car"]), ([0], "car")):
        with pytest.raises(fa.ConfigError, match=r"expected whole numbers, got 0.5|got the text 'car'"):
            fa.boxes_from([[0.0] * 7], labels=labels, classes=classes)  # type: ignore[arg-type]


@pytest.mark.quick
def test_returns_without_a_place_and_samples_without_clouds() -> None:
    sample = make_sample("s", size=SIZE, gels=False)
    xyz = sample["lidar"]["xyz"].clone()
    xyz[[0, 5]] = float("nan")
    holed = sample.with_streams({**sample.streams, "lidar": sample["lidar"].with_values(xyz=xyz)})
    dense = fa.to_dense(holed)
    assert int(dense["point_mask"].sum()) == len(xyz) - 2 and bool(torch.isfinite(dense["points"]).all())
    blind = sample.with_streams({n: s for n, s in sample.streams.items() if n not in ("lidar", "radar")})
    for packed in (False, True):
        dense = fa.to_dense(blind, packed=packed)
        assert dense["points"].shape[-1] == 5 and dense["radar_points"].shape[-1] == 7
        assert dense["points"].numel() == dense["radar_points"].numel() == dense["radar_velocity_known"].numel() == 0


@pytest.mark.slow
def test_one_step_on_a_written_nuscenes_log(tmp_path: Path) -> None:
    """A plain PyTorch model over a loader, on a folder log and on the nuScenes log that was written from it."""
    made = [make_sample(f"s{i}", seed=i, scene=f"s{i}", size=SIZE, gels=False) for i in range(2)]
    for i, sample in enumerate(made):
        streams = {n: s for n, s in sample.streams.items() if n.split("/")[0] not in ("CAM_LEFT", "CAM_RIGHT")}
        rig = sample.rig.with_sensor("lidar", LidarSensor(frame="lidar", intensity_scale=1.0))
        made[i] = sample.with_streams(streams).with_meta(0, rig=rig, true_rig=rig)
    logs = [fa.write_log(made, tmp_path / "folder"), fa.write_log(made, tmp_path / "nusc", format="nuscenes")]
    losses = []
    for log in logs:
        torch.manual_seed(0)
        loader = torch.utils.data.DataLoader(fa.AugmentedDataset(log, MOVED), batch_size=2, collate_fn=fa.collate)
        batch = next(iter(loader))
        dense = fa.to_dense(batch, cameras=["CAM_FRONT"], lidars=["lidar"], classes=["car"])
        model = torch.nn.Linear(5, 9)
        points = dense["points"] / torch.tensor([1, 1, 1, {"folder": 1.0, "nuscenes": 255.0}[log.format.name], 1])
        found = model(points.sum(1) / dense["point_mask"].sum(1, keepdim=True))
        target = (dense["boxes"] * dense["box_mask"][..., None]).sum(1) / dense["box_mask"].sum(1, keepdim=True)
        loss = torch.nn.functional.mse_loss(found[:, :7], target[:, :7])
        loss.backward()
        losses.append(float(loss))
        assert model.weight.grad is not None and bool(model.weight.grad.abs().sum() > 0)
        back = fa.invert(fa.boxes_from(found.detach()[:1], time=batch.metas[0].ref.time), batch.metas[0].history)
        assert back.rows == 1 and bool(torch.isfinite(back["pose"]).all())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3), "the same data in both formats"
