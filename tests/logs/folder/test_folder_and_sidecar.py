"""Our own folder format holds everything; sidecars hold what a format has no place for."""

from __future__ import annotations

import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from calib import CalibrationError
from fusion_aug.cli import main
from fusion_aug.logs.core.npz import read_npz
from fusion_aug.logs.folder.reader import FolderLog, read_sample
from fusion_aug.logs.folder.writer import FolderWriter, write_sample


def write_log(root: Path, samples: list[fa.Sample]) -> FolderLog:
    root.mkdir(parents=True, exist_ok=True)
    writer = FolderWriter(None, root)
    for sample in samples:
        writer.stage(sample, sample, sample.id, root)
    writer.finish([{}] * len(samples), [(s.id, s.id) for s in samples])
    return fa.open_log("folder", root)  # type: ignore[return-value]


def assert_equal(a: fa.Sample, b: fa.Sample) -> None:
    assert list(a.streams) == list(b.streams)
    assert a.ref == b.ref and a.meta.scene == b.meta.scene and torch.equal(a.meta.anchor, b.meta.anchor)
    for name, stream in a.streams.items():
        x, y = stream.realized(), b[name].realized()
        assert type(x) is type(y)
        assert torch.equal(x.capture_times, y.capture_times) and x.frame == y.frame
        for column, value in x.values.items():
            other = y.values[column]
            same = np.array_equal(value, other) if isinstance(value, np.ndarray) else torch.equal(value, other)
            assert same, (name, column)
        for p, q in zip(getattr(x, "items", ()), getattr(y, "items", ()), strict=True):
            assert p.dtype == q.dtype and torch.equal(p, q), name
    for name, frame in a.rig.frames.items():
        pose, other = frame.pose, b.rig.frames[name].pose
        if isinstance(pose, torch.Tensor):
            assert torch.equal(pose, other)  # type: ignore[arg-type]
        else:
            assert torch.equal(pose.known(), other.known()) and torch.equal(pose.times, other.times)  # type: ignore[union-attr]


@pytest.mark.quick
def test_every_stream_and_calibration_comes_back_exactly(tmp_path: Path) -> None:
    chain = fa.Compose(
        [fa.RotateScene(yaw_deg=20), fa.MirrorScene(), fa.PerspectiveImage(strength=0.05), fa.Miscalibrate(x_deg=1)]
    )
    for i, sample in enumerate([make_sample("a/b"), chain(make_sample("x"), seed=1)]):
        write_sample(sample, sample.id, tmp_path / str(i))
        back = read_sample(tmp_path / str(i), sample.id)
        assert_equal(sample.realized(), back)
        assert (back.true_rig is back.rig) == (sample.true_rig is sample.rig)
        assert back.history == (), "a written sample is a source of its own"


@pytest.mark.slow
def test_the_main_job_on_our_own_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = [make_sample(f"s{i}", scene=f"scene{i // 2}", seed=i, size=(96, 128), gels=False) for i in range(4)]
    write_log(tmp_path / "log", samples)
    words = [
        "run",
        "log=folder",
        f"log.root={tmp_path / 'log'}",
        "pipeline=driving",
        f"out={tmp_path / 'out'}",
        "workers=1",
    ]
    assert main(words) == 0
    assert main(["check", str(tmp_path / "out")]) == 0
    assert "flat" in capsys.readouterr().out
    out = fa.open_log("folder", tmp_path / "out")
    assert len(out) == 4 and len(out[0].streams) == len(samples[0].streams)
    assert main(["check", "log=folder", f"log.root={tmp_path / 'log'}", "pipeline=geometry"]) == 0
    assert [s.id for s in fa.open_log("folder", tmp_path / "log", select="s[12]")] == ["s1", "s2"]


def test_what_nuscenes_has_no_place_for_goes_to_the_sidecar(street: Path, tmp_path: Path) -> None:
    """Depth, IMU and a fisheye camera: merged by our reader, moved with the rest, ignored by the tables."""
    source = fa.open_log("nuscenes", street)
    sample = source[0]
    donor = make_sample(time=sample.ref.time, size=(60, 80))
    fisheye = replace(donor["FISHEYE"], frame="FISHEYE", capture_times=torch.tensor([sample.ref.time]))
    depth = fa.Depth(
        frame="CAM_FRONT",
        camera="CAM_FRONT",
        capture_times=sample["CAM_FRONT"].capture_times,
        items=(torch.full((180, 320), 7.0),),
    )
    imu = fa.Imu(
        frame="IMU",
        capture_times=torch.tensor([sample.ref.time]),
        values={"gyro": torch.ones(1, 3).double(), "accel": torch.ones(1, 3).double()},
    )
    rig = replace(
        sample.rig,
        frames={**sample.rig.frames, "FISHEYE": donor.rig.frames["FISHEYE"], "IMU": donor.rig.frames["imu"]},
        sensors={**sample.rig.sensors, "FISHEYE": donor.rig.sensors["FISHEYE"]},
    )
    rich = sample.with_streams({**sample.streams, "FISHEYE": fisheye, "CAM_FRONT/depth": depth, "imu": imu})
    rich = rich.with_meta(0, rig=rig, true_rig=rig)
    out = fa.Compose([fa.MirrorScene(), fa.ScaleScene(scale=2.0)])(rich)
    writer = source.writer(tmp_path)
    rows = writer.stage(out, rich, rich.id, tmp_path)
    writer.finish([rows], [(rich.id, rich.id)])
    channels = {r["channel"] for r in json.loads((tmp_path / "v1.0-mini/sensor.json").read_text())}
    assert "FISHEYE" not in channels
    assert {
        r["filename"].split("/")[1] for r in json.loads((tmp_path / "v1.0-mini/sample_data.json").read_text())
    } <= channels
    back = fa.open_log("nuscenes", tmp_path)[0]
    assert set(back.streams) == set(out.streams)
    assert torch.equal(back["CAM_FRONT/depth"].images, torch.full((1, 180, 320), 14.0))
    assert torch.equal(back["FISHEYE"].images, donor["FISHEYE"].images.flip(2))
    assert torch.allclose(back["imu"]["gyro"], out["imu"]["gyro"])
    X = torch.tensor([[6.0, 1.0, 0.5], [9.0, 3.0, 1.0]], dtype=torch.float64)
    a, b = out.project_ref(X, "FISHEYE"), back.project_ref(X, "FISHEYE")
    assert torch.allclose(a[0], b[0], atol=1e-9) and torch.equal(a[1], b[1])


def test_kitti_sidecar(real_data: Path, tmp_path: Path) -> None:
    source = fa.open_log("kitti", real_data / "kitti")
    sample = source[0]
    note = fa.Text(
        frame="ref", capture_times=torch.zeros(1, dtype=torch.int64), values={"text": np.array(["a car on the left"])}
    )
    rich = sample.with_streams({**sample.streams, "caption": note})
    source.writer(tmp_path).stage(fa.MirrorScene()(rich), rich, rich.id, tmp_path)
    assert fa.open_log("kitti", tmp_path)[0]["caption"]["text"][0] == "a car on the right"


def test_hostile_folders(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [make_sample("s0")])
    folder = tmp_path / "log/samples/s0"
    index = tmp_path / "log/log.json"
    index.write_text(json.dumps({"version": 2, "samples": ["../../secret"]}))
    with pytest.raises(fa.DataError, match="leaves the log's folder"):
        fa.open_log("folder", tmp_path / "log")[0]
    index.write_text(json.dumps({"version": 99, "samples": []}))
    with pytest.raises(fa.DataError, match="version"):
        fa.open_log("folder", tmp_path / "log").ids  # noqa: B018
    header = folder / "streams/boxes/stream.json"
    good = header.read_text()
    for change, part in (
        ({"class": "os.system"}, "unknown kind of stream"),
        ({"fields": {"evil": 1}}, "no field 'evil'"),
        ({"fields": 3}, "expected a mapping"),
    ):
        header.write_text(json.dumps({**json.loads(good), **change}))
        with pytest.raises(fa.DataError, match=part):
            log.read("s0")
    header.write_text(good)
    camera = folder / "streams/CAM_FRONT/stream.json"
    data = json.loads(camera.read_text())
    camera.write_text(json.dumps({**data, "pictures": ["../../../../etc/passwd"]}))
    with pytest.raises(fa.DataError, match="leaves the log's folder"):
        log.read("s0")
    camera.write_text(json.dumps(data))
    rig = json.loads((folder / "sample.json").read_text())
    rig["rig"]["frames"]["lidar"]["rotation"][0][0] = 7.0
    (folder / "sample.json").write_text(json.dumps(rig))
    with pytest.raises(CalibrationError, match=r"sample.json: rig: frames.lidar"):
        log.read("s0")


class Bomb:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("exploded"),))


def test_pickles_and_bombs_in_arrays_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", x=np.array([Bomb()], dtype=object))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Bomb()))
    with zipfile.ZipFile(tmp_path / "c.npz", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("x.npy", b"\0" * 10)
        z.infolist()[0].file_size = 2**40
    for name in "abc":
        with pytest.raises(fa.DataError, match=f"{name}.npz"):
            read_npz(tmp_path / f"{name}.npz")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("values/intensity", np.zeros(3, np.float32), "intensity: 3 rows, expected"),
        ("values/intensity", np.float32(3), "intensity: 0 rows, expected"),
        ("fields/offsets", np.array([0, 3, 2]), "offsets: expected 2 int64 for 1 items, got"),
        ("fields/offsets", np.array([5, 2]), "offsets: must rise from 0, got"),
        ("fields/offsets", np.array([0.0, 2.0]), "offsets: expected 2 int64 for 1 items, got"),
    ],
)
def test_rows_that_are_not_those_of_the_items_are_refused(
    name: str, array: np.ndarray, message: str, tmp_path: Path
) -> None:
    sample = make_sample("s", size=(24, 32), gels=False)
    write_log(tmp_path / "log", [sample.with_streams({"lidar": sample["lidar"].take_items(torch.tensor([0]))})])
    path = tmp_path / "log/samples/s/streams/lidar/arrays.npz"
    with np.load(path) as held:
        arrays = dict(held)
    np.savez(path, **(arrays | {name: array}))
    with pytest.raises(fa.DataError, match=rf"stream.json: {message}"):
        fa.open_log("folder", tmp_path / "log")[0]


def test_miscalibration_is_written_as_reported(street: Path, tmp_path: Path) -> None:
    source = fa.open_log("nuscenes", street)
    sample = source[0]
    out = fa.Miscalibrate(sensors=["CAM_FRONT"], y_deg=1.0)(sample)
    writer = source.writer(tmp_path)
    writer.finish([writer.stage(out, sample, sample.id, tmp_path)], [(sample.id, sample.id)])
    back = fa.open_log("nuscenes", tmp_path)[0]
    assert torch.allclose(back.rig.T("ego", "CAM_FRONT"), out.rig.T("ego", "CAM_FRONT"), atol=1e-9)
    assert not torch.allclose(back.rig.T("ego", "CAM_FRONT"), sample.rig.T("ego", "CAM_FRONT"), atol=1e-4)
    assert torch.equal(back["CAM_FRONT"].images, sample["CAM_FRONT"].images)


def test_a_rig_file_adds_to_a_log(street: Path, tmp_path: Path) -> None:
    (tmp_path / "rig.yaml").write_text(
        "frames:\n  EXTRA: {parent: ego, translation: [1, 0, 2], rotation: [1, 0, 0, 0]}\n"
        "sensors:\n  EXTRA: {kind: imu, frame: EXTRA, gyro_noise: 0.01}\n"
    )
    sample = fa.open_log("nuscenes", street, rig=str(tmp_path / "rig.yaml"))[0]
    assert sample.rig.T("ego", "EXTRA")[:3, 3].tolist() == [1.0, 0.0, 2.0]
    assert sample.rig.sensors["EXTRA"].gyro_noise == 0.01  # type: ignore[attr-defined]
    assert "LIDAR_TOP" in sample.rig.sensors
    (tmp_path / "rig.yaml").write_text("frames:\n  EXTRA: {parent: attic}\n")
    with pytest.raises(CalibrationError, match=r"rig.yaml: frames.EXTRA.parent"):
        fa.open_log("nuscenes", street, rig=str(tmp_path / "rig.yaml"))[0]
