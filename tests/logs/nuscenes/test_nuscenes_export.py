"""output=nuscenes of logs of other formats, opened by the rules of the devkit, against the samples themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_logs
import torch
from devkit_rules import DevkitLog
from samples import make_sample
from written import drawn_motion, manifest, run

import fusion_aug as fa
from calib import LidarSensor, Pinhole
from fusion_aug.cli import main
from fusion_aug.logs.nuscenes.clouds import decode_radar


@pytest.fixture(scope="module")
def folder(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made log as a folder log: sweeps, radars, a fisheye camera, depth, an inertial unit."""
    root = tmp_path_factory.mktemp("folder") / "log"
    fa.write_log(fa.open_log("nuscenes", street), root)
    return root


@pytest.fixture(scope="module")
def exported(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("log=folder", f"log.root={folder}", "output=nuscenes", "pipeline=identity")
    return run(tmp_path_factory.mktemp("nuscenes") / "out", *words)


def test_boxes_clouds_calibration_and_sweeps_are_those_of_the_log(folder: Path, exported: Path) -> None:
    log, devkit = fa.open_log("folder", folder), DevkitLog(exported)
    samples = devkit.samples()
    assert [s["timestamp"] for s in samples] == [s.ref.time // 1000 for s in log]
    for ours, theirs in zip(log, samples, strict=True):
        rig, keys = ours.rig, devkit.keyframes(theirs)
        assert len(keys) == 10 and not {"FISHEYE_FRONT", "imu"} & set(keys)
        for name, row in keys.items():
            stream = ours[name]
            time = int(stream.capture_times[ours.key_item(name)])
            world_ego, ego_sensor, K = devkit.poses(row)
            assert row["timestamp"] * 1000 == time and (exported / row["filename"]).is_file()
            assert np.allclose(world_ego, rig.T("world", "ego", time), atol=1e-9)
            assert np.allclose(ego_sensor, rig.T("ego", stream.frame, time), atol=1e-9)
            if K is not None:
                assert np.allclose(K, rig.camera(name).model.K, atol=1e-9)
                assert (row["height"], row["width"]) == rig.camera(name).size
                assert (exported / row["filename"]).read_bytes() == stream.sources[0].bytes()  # type: ignore[attr-defined]
        compare_sweeps(ours, devkit.sweeps(keys["LIDAR_TOP"], 2))
        poses = ours.boxes()["pose"]
        found = devkit.boxes(theirs, keys["LIDAR_TOP"])
        local = rig.T("LIDAR_TOP", "ego", ours.ref.time) @ poses
        assert np.allclose([T for T, _, _ in found], local, atol=1e-6)
        assert np.allclose([size for _, size, _ in found], ours.boxes()["size"], atol=1e-9)
        assert [name for _, _, name in found] == ours.boxes()["category"].tolist()


def compare_sweeps(sample: fa.Sample, found: list[tuple[np.ndarray, float]]) -> None:
    """Keyframe and the sweep before it, motion of the vehicle taken out, in the LiDAR's frame at the keyframe."""
    cloud = sample.points("LIDAR_TOP", frame="ref")
    T = sample.rig.T("LIDAR_TOP", "ego", sample.ref.time).numpy()
    for item, (points, age) in zip(reversed(range(len(cloud))), found, strict=False):
        expected = cloud["xyz"][cloud.item_slice(item)].numpy() @ T[:3, :3].T + T[:3, 3]
        assert np.abs(points - expected).max() < 1e-4
        assert abs(age - (sample.ref.time - int(cloud.capture_times[item])) * 1e-9) < 1e-6


@pytest.mark.slow
def test_a_pipeline_with_copies_is_checked_and_replayed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "log=folder", f"log.root={folder}", "output=nuscenes", "pipeline=geometry", "limit=3", "copies=2"]
    out = tmp_path / "out"
    assert main([*words, "keep_original=true", f"out={out}"]) == 0
    said = capsys.readouterr().out
    assert "nuscenes keeps calibration and tracks per scene" in said and "no place for FISHEYE_FRONT" in said
    assert main(["check", str(out)]) == 0, capsys.readouterr().out
    devkit = DevkitLog(out)
    assert len(devkit.t["scene"]) == 3 and len(devkit.samples()) == 9
    line = manifest(out)[-1]
    H = drawn_motion(line)
    token = next(k for k, v in json.loads((out / "fusion_aug/ids.json").read_text()).items() if v == line["id"])
    sample, source = devkit.t["sample"][token], fa.open_log("folder", folder).read(line["source"])
    found = devkit.boxes(sample, devkit.keyframes(sample)["LIDAR_TOP"])
    mounted = source.rig.T("ego", "LIDAR_TOP").numpy()
    centres = np.array([mounted @ T[:, 3] for T, _, _ in found])[:, :3]
    assert np.allclose(centres, (source.boxes()["pose"][:, :3, 3].numpy() @ H[:3, :3].T + H[:3, 3]), atol=1e-5)
    assert main(["show", str(out), f"out={tmp_path / 'a.png'}"]) == 0 and (tmp_path / "a.png").is_file()


def test_the_sidecar_holds_what_the_tables_do_not(folder: Path, exported: Path) -> None:
    before, after = (
        sorted(fa.open_log(*a), key=lambda s: s.ref.time)[1] for a in (("folder", folder), ("nuscenes", exported))
    )
    assert set(after.streams) == set(before.streams)
    X = torch.tensor([[9.0, 1.0, 0.5], [7.0, -2.0, 1.0]], dtype=torch.float64)
    for a, b in zip(before.project_ref(X, "FISHEYE_FRONT"), after.project_ref(X, "FISHEYE_FRONT"), strict=True):
        assert torch.allclose(a.double(), b.double(), atol=1e-9)
    assert torch.equal(before["imu"]["accel"], after["imu"]["accel"])
    assert torch.equal(before["LIDAR_TOP"]["time_offset"], after["LIDAR_TOP"]["time_offset"])


def plain(sample: fa.Sample, *without: str) -> fa.Sample:
    """Without distorted cameras and what belongs to them, intensities of 0 to 1."""
    names = ("CAM_LEFT", "CAM_RIGHT", *without)
    streams = {n: s for n, s in sample.streams.items() if n.split("/")[0] not in names}
    rig = sample.rig.with_sensor("lidar", LidarSensor(frame="lidar", intensity_scale=1.0))
    return sample.with_streams(streams).with_meta(0, rig=rig, true_rig=rig)


@pytest.mark.quick
def test_samples_of_ones_own_with_skew_sweeps_and_radar(tmp_path: Path) -> None:
    ours = plain(make_sample())
    log = fa.write_log([ours], tmp_path / "out", format="nuscenes")
    devkit = DevkitLog(tmp_path / "out")
    (sample,) = devkit.samples()
    keys = devkit.keyframes(sample)
    assert set(keys) == {"CAM_FRONT", "lidar", "radar"}, (
        "a wrist camera moves against the vehicle, a fisheye has no place"
    )
    assert np.allclose(devkit.poses(keys["CAM_FRONT"])[2], ours.rig.camera("CAM_FRONT").model.K)
    cloud = devkit.cloud(keys["lidar"])
    item = ours["lidar"].item_slice(1)  # type: ignore[attr-defined]
    assert np.array_equal(cloud[:, 3], np.round(ours["lidar"]["intensity"][item].numpy().astype(float) * 255))
    assert np.array_equal(cloud[:, 4], ours["lidar"]["ring"][item].numpy())
    radar = decode_radar(Path("radar"), (tmp_path / "out" / keys["radar"]["filename"]).read_bytes(), {})
    assert torch.equal(radar["velocity_comp"][:, :2], ours["radar"]["velocity_comp"][:, :2])
    counted = [a["num_lidar_pts"] for a in devkit.t["sample_annotation"].values()]
    assert sum(counted) > 50 and log[0].boxes().rows == 5
    assert fa.write_log([ours], tmp_path / "again", format="nuscenes").ids == log.ids, "tokens are digests"


def test_what_is_not_known_is_marked(tmp_path: Path) -> None:
    ours = plain(make_sample())
    lidar = {k: v for k, v in ours["lidar"].values.items() if k != "ring"}
    radar = {k: v for k, v in ours["radar"].values.items() if k in ("xyz", "rcs")}
    boxes = {k: v for k, v in ours.boxes().values.items() if k in ("pose", "size", "category")}
    parts = {"lidar": lidar, "radar": radar, "boxes": boxes}
    bare = ours.with_streams({**ours.streams, **{n: replace(ours[n], values=v) for n, v in parts.items()}})
    fa.write_log([bare], tmp_path / "out", format="nuscenes")
    devkit = DevkitLog(tmp_path / "out")
    keys = devkit.keyframes(devkit.samples()[0])
    assert (devkit.cloud(keys["lidar"])[:, 4] == -1).all()
    found = decode_radar(Path("radar"), (tmp_path / "out" / keys["radar"]["filename"]).read_bytes(), {})
    assert (found["flags"][:, 0] == 4).all() and not found["velocity"].any(), "dynamic property unknown"
    assert len(devkit.t["instance"]) == 5, "without tracks every box is an object of its own"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: plain(s, "none").with_streams(s.streams),
            "camera CAM_LEFT: the format's camera matrix holds no lens",
        ),
        (lambda s: fa.PerspectiveImage(strength=0.2)(plain(s)), "camera CAM_FRONT: a perspective"),
        (lambda s: with_rig(s, "lidar", LidarSensor(frame="lidar")), "scale of its intensities is not known"),
        (lambda s: without(s, "boxes", "category"), "boxes: have no category"),
        (lambda s: plain(s).with_streams({"imu": s["imu"]}), "needs a camera, a LiDAR or a radar that is fixed"),
    ],
)
def test_what_nuscenes_cannot_hold_is_refused_and_nothing_is_written(change, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((fa.ConfigError, fa.DataError), match=message):
        fa.write_log([change(make_sample())], tmp_path / "out", format="nuscenes")
    assert list(tmp_path.iterdir()) == []


def with_rig(sample: fa.Sample, name: str, sensor: LidarSensor) -> fa.Sample:
    rig = plain(sample).rig.with_sensor(name, sensor)
    return plain(sample).with_meta(0, rig=rig, true_rig=rig)


def without(sample: fa.Sample, stream: str, column: str) -> fa.Sample:
    kept = {k: v for k, v in sample[stream].values.items() if k != column}
    return plain(sample).with_streams({**plain(sample).streams, stream: replace(sample[stream], values=kept)})


def test_a_lens_without_distortion_is_a_plain_one(tmp_path: Path) -> None:
    sample = plain(make_sample())
    camera = make_sample().rig.camera("CAM_LEFT")
    still = replace(camera, model=replace(camera.model, distortion=torch.zeros_like(camera.model.distortion)))
    rig = sample.rig.with_sensor("CAM_LEFT", still)
    more = sample.with_streams({**sample.streams, "CAM_LEFT": make_sample()["CAM_LEFT"]}).with_meta(
        0, rig=rig, true_rig=rig
    )
    log = fa.write_log([more], tmp_path / "out", format="nuscenes")
    assert log[0].rig.camera("CAM_LEFT").model.lens == Pinhole.lens


def test_sweeps_within_one_microsecond_keep_a_file_each(tmp_path: Path) -> None:
    ours = plain(make_sample())
    three = ours["lidar"].take_items(torch.tensor([0, 1, 1]))
    close = replace(three, capture_times=ours.ref.time - torch.tensor([50_000_100, 50_000_095, 0]))
    log = fa.write_log([ours.with_streams({**ours.streams, "lidar": close})], tmp_path / "out", format="nuscenes")
    assert torch.equal(log[0]["lidar"]["xyz"], close["xyz"]) and len(close) == 3
    assert len(list((tmp_path / "out/sweeps/lidar").iterdir())) == 2


def test_other_formats_are_written_from_their_own_logs_only(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "log=folder", f"log.root={folder}", f"out={tmp_path / 'out'}", "pipeline=identity"]
    assert main([*words, "output=kitti"]) == 2
    assert "'kitti' is written from logs of its own only; samples of any log are written as folder, " in (
        " ".join(capsys.readouterr().err.split())
    )
    assert main([*words, "output=tape"]) == 2
    assert "'tape' is no format" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_a_log_lacks_stops_a_run_before_its_first_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fa.write_log([with_rig(make_sample(), "lidar", LidarSensor(frame="lidar"))], tmp_path / "log")
    words = ["run", "log=folder", f"log.root={tmp_path / 'log'}", "output=nuscenes", "pipeline=identity"]
    capsys.readouterr()
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0, "the scale is found from the clouds of a log"
    bare = without(make_sample(), "boxes", "category")
    fa.write_log([bare], tmp_path / "bare")
    words[2] = f"log.root={tmp_path / 'bare'}"
    assert main([*words, f"out={tmp_path / 'none'}"]) == 2
    assert "boxes: have no category" in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kitti", "argoverse2", "mmdet3d"])
def test_logs_of_other_formats(kind: str, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With and without poses in the world, two scanners in one cloud, sweeps; checked by figures and counted files."""
    root = (
        small_logs.mmdet3d(tmp_path / "log", street)
        if kind == "mmdet3d"
        else getattr(small_logs, kind)(tmp_path / "log")
    )
    words = ["run", f"log={kind}", f"log.root={root}", "output=nuscenes", "pipeline=geometry", "limit=2", "copies=2"]
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0
    said = capsys.readouterr().out
    assert ("it stands still at the world's origin" in said) == (kind == "kitti")
    assert main(["check", str(tmp_path / "out")]) == 0, capsys.readouterr().out
    devkit, source = DevkitLog(tmp_path / "out"), fa.open_log(kind, root)
    found = {json.loads((tmp_path / "out/fusion_aug/ids.json").read_text())[s["token"]]: s for s in devkit.samples()}
    for line in manifest(tmp_path / "out"):
        sample, before = found[line["id"]], source.read(line["source"])
        lidar = next(n for n, s in before.streams.items() if isinstance(s, fa.Lidar))
        boxes = devkit.boxes(sample, devkit.keyframes(sample)[lidar])
        H, mount = drawn_motion(line), before.T_ref(lidar).numpy()
        centres = np.array([mount @ T[:, 3] for T, _, _ in boxes])[:, :3]
        expected = before.boxes()["pose"][:, :3, 3].numpy() @ H[:3, :3].T + H[:3, 3]
        assert np.abs(centres - expected).max() < 1e-4, "in the nominal frame of the LiDAR, turned with the scene"
