"""Faults that were found once, each with the smallest case that shows it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import T0, make_sample

import fusion_aug as fa
from calib import BrownConrady
from calib.rig_file import save_rig
from calib.se3 import transform_points
from fusion_aug.cli import main
from fusion_aug.logs.folder.reader import read_sample
from fusion_aug.logs.folder.writer import write_sample
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.transforms.image.image_plane import resize_map


@pytest.mark.parametrize(
    "transform",
    [fa.Pad(right=10, bottom=6), fa.Crop(size=(32, 40), x=0.0, y=0.0), fa.ResizeCrop(size=(60, 80), x=0.0, y=0.0)],
)
def test_maps_that_only_change_the_canvas(transform: fa.Transform) -> None:
    sample = make_sample()
    for chain in (transform, fa.Compose([fa.FlipImage(), transform]), fa.Compose([transform, fa.FlipImage()])):
        out = chain(sample)
        size = out.rig.camera("CAM_FRONT").size
        assert size != (48, 64)
        for name in ("CAM_FRONT", "CAM_FRONT/depth"):
            assert out[name].images.shape[1:3] == size  # type: ignore[attr-defined]
        back = fa.invert(out["CAM_FRONT/depth"].realized(), out.history, name="CAM_FRONT/depth")
        assert back.images.shape == (1, 48, 64)  # type: ignore[attr-defined]


def test_fields_that_differ_in_a_batch_are_refused_not_mixed() -> None:
    a, b = make_sample("a"), make_sample("b")
    lost = replace(b["CAM_RIGHT/flat"], camera="CAM_FRONT")
    with pytest.raises(fa.DataError, match=r"Boxes2D\.camera"):
        fa.collate([a, b.with_streams({**b.streams, "CAM_RIGHT/flat": lost})])
    boxes = b.boxes()
    fewer = boxes.with_values()
    fewer = replace(fewer, values={k: v for k, v in boxes.values.items() if k != "angular_velocity"})
    with pytest.raises(fa.DataError, match="angular_velocity"):
        fa.collate([a, b.with_streams({**b.streams, "boxes": fewer})])


def test_records_are_kept_where_only_some_samples_have_them() -> None:
    a, b = make_sample("a"), make_sample("b")
    b = b.with_streams({**b.streams, "lidar": replace(b["lidar"], records=("x", "y"))})
    batch = fa.collate([a, b])
    assert batch["lidar"].records == ("", "", "x", "y") and batch.take([1])["lidar"].records == ("x", "y")


def test_a_batch_whose_rigs_have_other_partners_is_mirrored() -> None:
    a, b = make_sample("a"), make_sample("b")
    rig = replace(b.rig, sensors={n: replace(s, mirror_of=None) if "CAM" in n else s for n, s in b.rig.sensors.items()})
    b = b.with_meta(0, rig=rig, true_rig=rig)
    out = fa.MirrorScene()(fa.collate([a, b]))
    for i, one in enumerate((a, b)):
        alone = fa.MirrorScene()(one)
        mine = out.take([i])
        assert set(mine.streams) == set(alone.streams)
        for name in alone.of_type(fa.Camera):
            assert torch.equal(alone[name].images, mine[name].images)  # type: ignore[attr-defined]


def test_an_untouched_lazy_cloud_with_sweeps_in_the_folder_format(street: Path, tmp_path: Path) -> None:
    sample = fa.open_log("nuscenes", street)[1]
    assert len(sample["LIDAR_TOP"]) == 2
    write_sample(sample, "a", tmp_path / "a")
    back = read_sample(tmp_path / "a", "a")
    assert torch.equal(back["LIDAR_TOP"]["xyz"], sample["LIDAR_TOP"]["xyz"])


def test_partners_with_other_canvases_come_back() -> None:
    sample = make_sample()
    sample = fa.Pad(right=36)(sample)
    rig = make_sample().rig
    mixed = sample.rig.with_sensor("CAM_LEFT", rig.sensors["CAM_LEFT"])
    sample = sample.with_meta(0, rig=mixed, true_rig=mixed, history=())
    left = make_sample()
    sample = sample.with_streams(
        {**sample.streams, "CAM_LEFT": left["CAM_LEFT"], "CAM_LEFT/mask": left["CAM_LEFT/mask"]}
    )
    out = fa.MirrorScene()(sample)
    back = fa.invert(out["CAM_LEFT/flat"], out.history, name="CAM_LEFT/flat")
    assert torch.allclose(back["corners"], sample["CAM_RIGHT/flat"]["corners"])
    mask = fa.invert(out["CAM_RIGHT/mask"].realized(), out.history, name="CAM_RIGHT/mask")
    assert torch.equal(mask.images, left["CAM_LEFT/mask"].images)  # type: ignore[attr-defined]


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_a_miscalibrated_kitti_camera_reads_back(real_data: Path, tmp_path: Path, axis: str) -> None:
    log = fa.open_log("kitti", real_data / "kitti")
    out = fa.Miscalibrate(sensors=["image_2"], **{f"{axis}_deg": 1.0})(log[0])
    log.writer(tmp_path).stage(out, log[0], out.id, tmp_path)
    back = fa.open_log("kitti", tmp_path)[0]
    a, b = out.project("velodyne", "image_2"), back.project("velodyne", "image_2")
    assert float((a[0] - b[0])[a[1]].abs().max()) < 1e-6


@pytest.mark.parametrize("name", ["nuscenes", "kitti"])
def test_a_distorted_camera_is_refused(street: Path, real_data: Path, tmp_path: Path, capsys, name: str) -> None:  # type: ignore[no-untyped-def]
    root, camera = (street, "CAM_FRONT") if name == "nuscenes" else (real_data / "kitti", "image_2")
    rig = fa.open_log(name, root)[0].rig
    old = rig.sensors[camera]
    model = BrownConrady(K=old.model.K, size=old.model.size, distortion=torch.tensor([-0.3, 0.1, 0, 0]))  # type: ignore[attr-defined]
    from calib import Rig

    frames = {f: rig.frames[f] for f in ("world", "ego", "velodyne", "camera", "rectified", camera) if f in rig.frames}
    save_rig(Rig(frames, {camera: replace(old, model=model)}), tmp_path / "rig.yaml")  # type: ignore[call-arg]
    words = ["run", f"log={name}", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]
    if name == "kitti":
        assert main([*words, f"log.rig={tmp_path / 'rig.yaml'}"]) == 2
        assert camera in capsys.readouterr().err
    writer = fa.open_log(name, root).writer(tmp_path / "out")
    sample = fa.open_log(name, root)[0]
    bent = sample.with_meta(0, rig=sample.rig.with_sensor(camera, replace(old, model=model)))  # type: ignore[call-arg]
    assert [p.effect for p in writer.can_express(fa.Compose([]), bent)] == ["distortion"]
    assert writer.can_express(fa.Compose([]), sample) == []


def test_twist_after_a_shift_of_the_reference_frame() -> None:
    """The reported velocity is that of the new origin, by differences of the poses."""
    sample = make_sample()
    out = fa.Compose([fa.RotateScene(yaw_deg=25), fa.TranslateScene(x=10.0, y=-4.0, z=1.0), fa.ScaleScene(scale=1.2)])(
        sample
    )
    track = out["ego"]
    t, poses = track.capture_times, track["pose"]
    middle = len(t) // 2
    near = int((t - t[middle]).abs().argsort()[1])
    i, j = sorted((middle, near))
    v = (poses[j, :3, 3] - poses[i, :3, 3]) / (float(t[j] - t[i]) * 1e-9)
    assert torch.allclose(poses[middle, :3, :3].T @ v, track["velocity"][middle], atol=0.02)
    back = fa.invert(track, out.history, name="ego")
    assert torch.allclose(back["velocity"], sample["ego"]["velocity"], atol=1e-9)


def test_a_reported_error_does_not_change_the_accelerometer() -> None:
    sample, scale = make_sample(), fa.ScaleScene(scale=1.5)
    miscalibrated = fa.Compose([fa.Miscalibrate(sensors=["imu"], x_deg=10.0), scale])(sample)
    assert torch.equal(scale(sample)["imu"]["accel"], miscalibrated["imu"]["accel"])


def test_one_mirror_plane_for_a_scene_whatever_each_sample_draws() -> None:
    chain = fa.Compose(
        [
            fa.RotateScene(yaw_deg=[-45, 45]),
            fa.MirrorScene(scope="scene"),
            fa.ScaleScene(scale=[0.8, 1.2], scope="scene"),
        ]
    )
    post = torch.tensor([[30.0, 12.0, 1.0]], dtype=torch.float64)
    places = []
    for name, time in (("a", T0), ("b", T0 + 500_000_000)):
        sample = make_sample(name, time=time)
        pose = torch.eye(4, dtype=torch.float64)[None].clone()
        pose[:, :3, 3] = transform_points(torch.linalg.inv(sample.rig.T("world", "ego", time)), post)
        boxes = fa.Boxes3D(
            frame="ref", capture_times=torch.tensor([time]), values={"pose": pose, "size": torch.ones(1, 3).double()}
        )
        out = chain(sample.with_streams({"boxes": boxes}).with_meta(0, clock="boxes"), seed=3)
        places.append(transform_points(out.rig.T("world", "ego", time), out.boxes()["pose"][:, :3, 3]))
    assert torch.allclose(*places, atol=1e-9)


def test_an_axis_that_does_not_shrink_keeps_its_detail() -> None:
    stripes = torch.from_numpy(np.tile(np.repeat([0, 255], 2)[:, None], (32, 512)).astype(np.uint8))
    out = warp(stripes, ImageMap.homography(resize_map(0.25, 1.0), (128, 128)))
    assert torch.equal(out[:, 64], stripes[:, 0])


def test_names_do_not_collide() -> None:
    turn = fa.RotateScene(yaw_deg=[-45, 45])
    chain = fa.Compose([replace(turn, name="A#2"), replace(turn, name="A"), replace(turn, name="A")])
    assert len(set(chain.names)) == 3
    with pytest.raises(fa.ConfigError, match="a/b"):
        fa.Compose({"a/b": turn})


def test_a_sensor_on_a_cameras_frame_swaps_with_it() -> None:
    from calib import LidarSensor

    sample = make_sample()
    rig = sample.rig.with_sensor("L2", LidarSensor(frame="CAM_LEFT"))
    flash = replace(sample["lidar"], frame="CAM_LEFT")
    sample = sample.with_streams({**sample.streams, "L2": flash}).with_meta(0, rig=rig, true_rig=rig)
    out = fa.MirrorScene()(sample)
    assert out["L2"].frame == out.rig.sensors["L2"].frame == "CAM_RIGHT"


def test_strange_stream_names_stay_in_their_folder(tmp_path: Path) -> None:
    sample = make_sample()
    for name in ("..", ".", ""):
        with pytest.raises(fa.DataError, match="cannot be called"):
            write_sample(sample.with_streams({name: sample["imu"]}), "a", tmp_path / "a")


def test_masks_that_cannot_hold_the_fill_are_refused() -> None:
    with pytest.raises(fa.DataError, match="int8"):
        fa.SegmentationMask(frame="c", capture_times=torch.tensor([0]), items=(torch.zeros(3, 3, dtype=torch.int8),))
