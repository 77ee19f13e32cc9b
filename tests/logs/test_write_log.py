"""``write_log`` and ``make_sample``: any samples as a log, streaming, whole or not at all."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from places import DRIVE
from samples import T0, make_sample

import fusion_aug as fa
from calib import CalibrationError, CameraSensor, Frame, LidarSensor, Pinhole, Rig, Trajectory
from calib.se3 import se3

pytestmark = pytest.mark.quick


def small(name: str) -> fa.Sample:
    return make_sample(name, size=(24, 32), points=60, gels=False)


def test_samples_of_any_log_and_of_a_pipeline(tmp_path: Path) -> None:
    source = fa.open_log("nuscenes", DRIVE)
    turned = (fa.RotateScene(yaw_deg=10)(source[i]) for i in (3, 4))
    log = fa.write_log(turned, tmp_path / "log")
    assert [s.id for s in log] == list(source.ids[3:5]) and log[0].history == (), "a source of its own"
    for again, index in zip(log, (3, 4), strict=True):
        before = fa.RotateScene(yaw_deg=10)(source[index])
        assert torch.equal(again.boxes()["pose"], before.boxes()["pose"])
        assert torch.allclose(again.points("LIDAR_TOP")["xyz"], before.points("LIDAR_TOP")["xyz"], atol=1e-4)
        picture = again["CAM_FRONT"].sources[0]  # type: ignore[attr-defined]
        assert picture.bytes() == source[index]["CAM_FRONT"].sources[0].bytes()  # type: ignore[attr-defined]


def test_one_sample_is_in_memory_at_a_time(tmp_path: Path) -> None:
    alive: list[weakref.ref] = []
    most = 0

    def made() -> Iterator[fa.Sample]:
        nonlocal most
        for i in range(4):
            sample = small(f"s{i}")
            alive.append(weakref.ref(sample))
            yield sample
            del sample
            gc.collect()
            most = max(most, sum(r() is not None for r in alive))

    fa.write_log(made(), tmp_path / "log")
    assert most <= 1


def test_a_batch_counts_as_its_samples(tmp_path: Path) -> None:
    log = fa.write_log([fa.collate([small("a/1"), small("a/2")]), small("b")], tmp_path / "log")
    assert log.ids == ["a/1", "a/2", "b"]
    assert torch.equal(log[1]["lidar"]["xyz"], small("a/2")["lidar"]["xyz"])


def test_nothing_is_left_of_what_cannot_be_written_whole(tmp_path: Path) -> None:
    def breaking() -> Iterator[fa.Sample]:
        yield small("a")
        raise RuntimeError("the disc of the source is gone")

    with pytest.raises(RuntimeError):
        fa.write_log(breaking(), tmp_path / "log")
    with pytest.raises(fa.DataError, match="two samples are called 'a'"):
        fa.write_log([small("a"), small("a")], tmp_path / "log")
    with pytest.raises(fa.DataError, match="no samples"):
        fa.write_log([], tmp_path / "log")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "log").mkdir()
    assert fa.write_log([small("a")], tmp_path / "log").ids == ["a"], "an empty folder will do"
    with pytest.raises(fa.DataError, match="is not empty"):
        fa.write_log([small("a")], tmp_path / "log")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(fa.DataError, match="is not empty"):
        fa.write_log([small("a")], tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def drive() -> Rig:
    times = torch.arange(0, 100) * 100_000_000 + T0
    poses = se3(translation=torch.stack([torch.arange(100.0), torch.zeros(100), torch.zeros(100)], 1))
    frames = {"world": Frame(axis_convention="world"), "car": Frame(parent="world", pose=Trajectory(times, poses))}
    frames |= {"cam": Frame(parent="car", axis_convention="camera"), "top": Frame(parent="car")}
    lens = Pinhole.from_focal(50, 50, 16, 12, (24, 32))
    return Rig(frames, {"cam": CameraSensor(frame="cam", model=lens), "top": LidarSensor(frame="top")})


def parts(time: int = T0 + 1_234_000_000) -> dict[str, fa.Stream]:
    picture = torch.zeros(24, 32, 3, dtype=torch.uint8)
    return {
        "cam": fa.Camera(frame="cam", capture_times=[time + 5], items=(picture,)),  # type: ignore[arg-type]
        "top": fa.Lidar(frame="top", capture_times=[time], values={"xyz": torch.zeros(3, 3)}),  # type: ignore[arg-type]
        "boxes": fa.boxes_from([[5, 0, 1, 4, 2, 1.5, 0.3]], names=["car"], time=time),
    }


def test_a_sample_keeps_the_poses_around_it() -> None:
    time = T0 + 1_234_000_000
    sample = fa.make_sample("s", ("car", time), drive(), parts(), scene="drive", start=T0 + 50_000_000)
    track = sample.rig.frames["car"].pose
    assert ((track.times - T0) // 100_000_000).tolist() == [12, 13]  # type: ignore[union-attr]
    assert torch.allclose(sample.rig.T("world", "car", time), drive().T("world", "car", time))
    assert sample.meta.anchor[0, 3] == 0.5 and sample.meta.scene == "drive" and sample.meta.clock == "top"
    assert fa.make_sample("s", ("car", time), drive(), parts()).meta.anchor[0, 3] == pytest.approx(12.34)


def changed(**streams: fa.Stream) -> dict[str, fa.Stream]:
    return {**parts(), **streams}


BAD = {
    "no frame 'roof'": changed(top=replace(parts()["top"], frame="roof")),
    "no sensor of that name": changed(left=parts()["cam"]),
    "picture is 8x6, its calibration is for 32x24": changed(
        cam=replace(parts()["cam"], items=(torch.zeros(6, 8, 3, dtype=torch.uint8),))
    ),
    "capture_times: must be sorted": changed(
        top=replace(parts()["top"], capture_times=torch.tensor([T0 + 2, T0 + 1]), sample_index=None, present=None,
                    offsets=torch.tensor([0, 1, 3]))
    ),
    "intensity: 2 rows, expected 3": changed(
        top=replace(parts()["top"], values={"xyz": torch.zeros(3, 3), "intensity": torch.zeros(2)})
    ),
    r"xyz: rows of shape \(4,\), expected \(3,\)": changed(
        top=replace(parts()["top"], values={"xyz": torch.zeros(3, 4)})
    ),
    r"intensity: rows of shape \(1,\), expected \(\)": changed(
        top=replace(parts()["top"], values={"xyz": torch.zeros(3, 3), "intensity": torch.zeros(3, 1)})
    ),
    "xyz: torch.int64 would be rounded": changed(
        top=replace(parts()["top"], values={"xyz": torch.zeros(3, 3, dtype=torch.int64)})
    ),
    "extra: one number, expected 3 rows": changed(
        top=replace(parts()["top"], values={"xyz": torch.zeros(3, 3), "extra": torch.tensor(1.0)})
    ),
    "has no column xyz": changed(top=replace(parts()["top"], values={"places": torch.zeros(3, 3)})),
    "has no column size": changed(
        boxes=replace(parts()["boxes"], values={"pose": torch.eye(4, dtype=torch.float64)[None]})
    ),
    r"offsets: expected 2 int64 for 1 items, got \(3,\)": changed(
        top=replace(parts()["top"], offsets=torch.tensor([0, 1, 3]))
    ),
    r"offsets: must rise from 0, got \[1, 3\]": changed(top=replace(parts()["top"], offsets=torch.tensor([1, 3]))),
    "a CameraSensor, expected a LidarSensor": changed(cam=replace(parts()["top"], frame="top")),
    "frame: 'top', but its sensor is in 'cam'": changed(cam=replace(parts()["cam"], frame="top")),
    "'roof': the rig has no sensor of that name": changed(roof=parts()["top"]),
}  # fmt: skip


@pytest.mark.parametrize("message", BAD)
def test_parts_that_do_not_belong_together_are_refused_by_name(message: str) -> None:
    with pytest.raises(fa.DataError, match=f"sample 's': stream .*{message}"):
        fa.make_sample("s", ("car", T0 + 1_234_000_000), drive(), BAD[message])


def test_references_and_ids_that_mean_nothing_are_refused() -> None:
    with pytest.raises(fa.DataError, match="ref: the rig has no frame 'bus'"):
        fa.make_sample("s", ("bus", T0), drive(), parts())
    with pytest.raises(CalibrationError, match=r"stream 'cam': .*outside the known poses"):
        fa.make_sample("s", ("car", T0), drive(), parts(T0 + 20_000_000_000))
    with pytest.raises(CalibrationError, match=r"stream 'boxes': .*time 0 ns lies outside the known poses"):
        fa.make_sample("s", ("car", T0), drive(), changed(boxes=fa.boxes_from([[5, 0, 1, 4, 2, 1.5, 0]])))
    for name in ("", "a//b", "../a", "a\0b", "a\\b", "a" * 201, 7):
        with pytest.raises(fa.DataError, match="an id is one name"):
            fa.make_sample(name, ("car", T0), drive(), parts(T0))


def test_a_picture_in_a_file_has_the_size_of_its_calibration(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    path.write_bytes(cv2.imencode(".png", np.zeros((6, 8, 3), np.uint8))[1].tobytes())
    time = T0 + 1_234_000_000
    wrong = replace(parts()["cam"], items=(fa.Source(path, "image"),))
    sample = fa.make_sample("s", ("car", time), drive(), changed(cam=wrong))
    with pytest.raises(fa.DataError, match=r"small.png: image size is 8x6, but its camera is calibrated for 32x24"):
        fa.write_log([sample], tmp_path / "log")
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    "row", [[5, 0, 1, 0, 2, 1.5, 0.3], [5, 0, 1, 4, -2, 1.5, 0.3], [5, 0, float("nan"), 4, 2, 1, 0]]
)
@pytest.mark.parametrize("format", ["folder", "nuscenes"])
def test_boxes_that_no_reader_takes_are_not_written(row: list[float], format: str, tmp_path: Path) -> None:
    time = T0 + 1_234_000_000
    boxes = fa.boxes_from([[5, 0, 1, 4, 2, 1.5, 0.3], row], names=["car", "car"], time=time)
    sample = fa.make_sample("s", ("car", time), drive(), changed(boxes=boxes))
    with pytest.raises(fa.DataError, match=r"sample 's': boxes: box 1 has the size .*leave such boxes out"):
        fa.write_log([sample], tmp_path / "log", format=format)
    assert not (tmp_path / "log").exists()


def test_boxes_without_a_size_are_refused_however_they_come(tmp_path: Path) -> None:
    sample = small("s")
    bare = sample.boxes().take_items(torch.tensor([0]))
    bare = replace(bare, values={"pose": bare["pose"]})
    with pytest.raises(fa.DataError, match=r"boxes in space .*: have no column size"):
        fa.write_log([sample.with_streams({**sample.streams, "boxes": bare})], tmp_path / "log")


def test_numpy_arrays_and_lists_are_written_as_they_are(tmp_path: Path) -> None:
    """Also the offsets of sweeps, as ``np.cumsum`` gives them: they were left out of the file."""
    time, rng = T0 + 1_234_000_000, np.random.default_rng(3)
    xyz, power = rng.normal(size=(6, 3)).astype(">f4"), rng.integers(0, 255, 12)[::2]
    swept = fa.Lidar(
        frame="top", capture_times=np.array([time - 9, time]), offsets=np.cumsum([0, 2, 4]),
        values={"xyz": xyz, "intensity": power, "ring": [1, 2, 3, 4, 5, 6]}, records=["a", "b"],
    )  # fmt: skip
    pixels = rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)[:, ::-1]
    camera = fa.Camera(frame="cam", capture_times=[time], items=[pixels])
    streams = changed(top=swept, cam=camera)
    log = fa.write_log([fa.make_sample("s", ("car", time), drive(), streams)], tmp_path / "log")
    again = log[0]["top"]
    assert again.offsets.tolist() == [0, 2, 6] and again.records == ("a", "b")  # type: ignore[attr-defined]
    assert np.array_equal(again["xyz"].numpy(), xyz) and np.array_equal(again["intensity"].numpy(), power)
    assert again["ring"].tolist() == [1, 2, 3, 4, 5, 6]
    assert np.array_equal(log[0]["cam"].images[0].numpy(), pixels)  # type: ignore[attr-defined]


def test_places_and_arguments_that_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for samples, place, options, error, message in (
        ([small("a")], "file/log", {}, fa.DataError, "log: cannot be made"),
        ([small("a")], "log", {"link": "soft"}, fa.ConfigError, "expected copy or hard, got 'soft'"),
        (["a"], "log", {}, fa.DataError, "expected samples, as make_sample makes them, got a str"),
        ([small("a"), small("a/sample.json/b")], "log", {}, fa.DataError, "'a/sample.json/b'.* or below its file"),
    ):
        with pytest.raises(error, match=message):
            fa.write_log(samples, tmp_path / place, **options)  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert fa.write_log(small("a"), tmp_path / "one").ids == ["a"], "one sample is a log too"
    (tmp_path / "disc").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disc" / "log")
    assert fa.write_log([small("a")], tmp_path / "link").ids == ["a"] and (tmp_path / "disc/log/log.json").is_file()


def test_a_field_that_cannot_be_written_stops_the_log(tmp_path: Path) -> None:
    sample = small("a")
    odd = replace(sample["lidar"], child={"of": "nothing"})
    with pytest.raises(fa.DataError, match="child: a dict cannot be written"):
        fa.write_log([sample.with_streams({**sample.streams, "lidar": odd})], tmp_path / "log")


def test_sensors_under_other_names(tmp_path: Path) -> None:
    """Streams, partners and what belongs to a camera go along; geometry stays."""
    sample = make_sample("s", size=(24, 32), gels=False)
    other = fa.rename_sensors(sample, {"lidar": "LIDAR_TOP", "CAM_LEFT": "L", "CAM_RIGHT": "R", "CAM_FRONT": "F"})
    assert {"LIDAR_TOP", "L/mask", "R/flat", "F/depth"} <= set(other.streams) and other.meta.clock == "LIDAR_TOP"
    assert other.rig.sensors["L"].mirror_of == "R" and other["F/depth"].camera == "F"  # type: ignore[attr-defined]
    before, after = sample.project("lidar", "CAM_LEFT"), other.project("LIDAR_TOP", "L")
    assert torch.equal(before[1], after[1]) and torch.equal(before[0][before[1]], after[0][after[1]])
    mirrored = fa.MirrorScene()(other)
    assert torch.equal(mirrored["R"].images, fa.MirrorScene()(sample)["CAM_RIGHT"].images)  # type: ignore[attr-defined]
    assert list(fa.write_log([other], tmp_path / "log")[0].streams) == list(other.streams)
    for wrong, message in (({"velodyne": "X"}, "no sensor 'velodyne'"), ({"lidar": "radar"}, "one name")):
        with pytest.raises(fa.DataError, match=message):
            fa.rename_sensors(sample, wrong)
    with pytest.raises(fa.DataError, match="has a history"):
        fa.rename_sensors(mirrored, {"L": "CAM"})


def test_arguments_in_the_order_of_open_log_are_refused(tmp_path: Path) -> None:
    for wrong in (("folder", tmp_path / "out", [make_sample()]), ("folder", tmp_path / "out")):
        with pytest.raises(fa.ConfigError, match=r"expected samples, a folder and a format, as in write_log\(log"):
            fa.write_log(*wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
