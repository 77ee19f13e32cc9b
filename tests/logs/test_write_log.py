"""``write_log`` and ``make_sample``: any samples as a log, streaming, whole or not at all."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
    for name in ("", "a//b", "../a"):
        with pytest.raises(fa.DataError, match="an id is one name"):
            fa.make_sample(name, ("car", T0), drive(), parts(T0))


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
