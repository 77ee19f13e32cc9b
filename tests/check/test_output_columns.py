"""``check OUT`` compares every stream by class and column, also one's own, and says what it does not compare."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import Frame, GelModel, Rig
from calib.se3 import rotation_about, se3
from calib.trajectory import Trajectory
from fusion_aug.check import Row, combine
from fusion_aug.check.comparisons import COMPARISONS, by_value, register_comparison, turns
from fusion_aug.check.output import rows_left_out
from fusion_aug.check.stream_comparison import StreamPair, compare_stream
from fusion_aug.cli import main
from fusion_aug.logs.core.files import write_image
from fusion_aug.logs.core.store import read_npz, write_npz
from fusion_aug.logs.core.touch import with_first_gel
from fusion_aug.logs.folder.writer import FolderWriter
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Ragged, Signal, Stream, rectangle_corners, strings
from fusion_aug.streams.columns import (
    Column,
    axial,
    categorical,
    corners,
    joint,
    label,
    length,
    polar,
    pose,
    position,
    scalar,
    specific_force,
    time_offset,
)  # fmt: skip
from fusion_aug.streams.families import ImagePlane, Mount, Weather
from fusion_aug.streams.source import Coding, Source

T0 = 1_700_000_000_000_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Magnetometer(Stream):
    """A sensor that the package knows nothing of: field (n, 3), temperature (n,), status (n,) text."""

    unit_name: str = "uT"

    columns: ClassVar[tuple[Column, ...]] = (axial("field"), scalar("temperature"), label("status"))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class Beacons(Ragged):
    """Rows of every typed kind."""

    offset: torch.Tensor = field(default_factory=lambda: torch.zeros(3))

    columns: ClassVar[tuple[Column, ...]] = (
        position("place"), pose("body"), polar("drift", rate=True), polar("push", scaled=False), specific_force("felt"),
        length("range"), joint("angle"), time_offset("late"), corners("outline"), categorical("code"), label("name"),
    )  # fmt: skip
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class Spectrometer(Stream):
    """A class with a kind of column that nobody has said how to compare."""

    columns: ClassVar[tuple[Column, ...]] = (Column("bins", "spectrum"), scalar("gain"))


UNITS = {
    "place": "m", "body": "m", "body (rotation)": "rad", "drift": "m/s", "push": "N", "felt": "m/s^2", "range": "m",
    "angle": "rad", "late": "s", "outline": "px", "code": "entries", "name": "entries",
}  # fmt: skip


def own_sample() -> Sample:
    """A vehicle with a magnetometer, beacons and a spectrometer, none of which the package knows."""
    rng = np.random.default_rng(3)
    frames = {
        "world": Frame(axis_convention="world"),
        "ego": Frame(parent="world", pose=se3(rotation_about("z", 0.3), [4.0, 2.0, 0.0])),
        "mag": Frame(parent="ego", pose=se3(rotation_about("x", 0.2), [0.5, 0.1, 0.3])),
    }
    times = T0 + torch.arange(4) * 10_000_000

    def numbers(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    rectangles = numbers(5, 4).abs() * 40
    rows: dict[str, Any] = {
        "place": numbers(5, 3).float(), "body": se3(rotation_about("y", numbers(5)), numbers(5, 3)),
        "drift": numbers(5, 3), "push": numbers(5, 3), "felt": numbers(5, 3), "range": numbers(5).abs(),
        "angle": numbers(5, 2), "late": numbers(5), "outline": rectangle_corners(rectangles),
        "code": torch.arange(5), "name": strings("abcde"),
    }  # fmt: skip
    field_values = {"field": numbers(4, 3), "temperature": numbers(4), "status": strings(["ok"] * 4)}
    rig = Rig(frames)
    meta = SampleMeta(id="s0", scene="s0", ref=Ref("ego", T0), rig=rig, true_rig=rig)
    streams: dict[str, Stream] = {
        "mag": Magnetometer(frame="mag", capture_times=times, values=field_values),
        "beacons": Beacons(frame="mag", capture_times=times[:2], values=rows, offsets=torch.tensor([0, 2, 5])),
        "spectrum": Spectrometer(
            frame="mag", capture_times=times, values={"bins": numbers(4, 8), "gain": numbers(4)}
        ),
    }  # fmt: skip
    return Sample(metas=(meta,), streams=streams)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample in a folder log, after a run that changes nothing."""
    root, sample = tmp_path_factory.mktemp("own"), own_sample()
    writer = FolderWriter(None, root / "log")
    writer.stage(sample, sample, sample.id, root / "log")
    writer.finish([{}], [(sample.id, sample.id)])
    words = ["log=folder", f"log.root={root / 'log'}", "pipeline=identity"]
    assert main(["run", *words, f"out={root / 'out'}"]) == 0
    return root / "out"


def checked(out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main(["check", str(out)])
    return code, capsys.readouterr().out.splitlines()


def test_an_untouched_output_holds_and_names_every_column(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = checked(written, capsys)
    assert code == 0 and not any("FAIL" in line for line in lines)
    for name, stream in own_sample().streams.items():
        for column in stream.values:
            assert any(line.startswith(column) and name in line for line in lines), (name, column)
    bins = next(line for line in lines if line.startswith("bins"))
    assert "not compared: " in bins and "PASS" not in bins
    assert lines[-1].endswith(" figures hold, 1 not compared")


def test_units_are_those_of_the_columns(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split("  ") for line in checked(written, capsys)[1]]
    rows = {cells[0]: [c.strip() for c in cells if c.strip()] for cells in lines if "beacons" in "".join(cells)}
    assert {name: rows[name][5] for name in UNITS} == UNITS


# --- planted differences ---------------------------------------------------------------------------------------------
Arrays = dict[str, np.ndarray]


def one_value(a: Arrays) -> None:
    a["values/field"][2, 1] += 1e-4


def one_label(a: Arrays) -> None:
    a["values/status"][1] = "no"


def one_stamp(a: Arrays) -> None:
    a["fields/capture_times"][3] += 2_000


def one_nan(a: Arrays) -> None:
    a["values/temperature"][0] = np.nan


def one_item_missing(a: Arrays) -> None:
    a |= {k: v[:-1] for k, v in a.items()}


def column_missing(a: Arrays) -> None:
    del a["values/temperature"]


def column_unexpected(a: Arrays) -> None:
    a["values/humidity"] = np.zeros(4)


def other_shape(a: Arrays) -> None:
    a["values/field"] = a["values/field"][:, :2]


def one_row_missing(a: Arrays) -> None:
    a |= {k: v[:-1] for k, v in a.items() if k.startswith("values/")}
    a["fields/offsets"] = np.array([0, 2, 4])


def row_of_another_item(a: Arrays) -> None:
    a["fields/offsets"] = np.array([0, 3, 5])


def body_turned(a: Arrays) -> None:
    a["values/body"][4] = a["values/body"][4] @ se3(rotation_about("z", 1e-3)).numpy()


def not_received(a: Arrays) -> None:
    a["fields/present"][0] = False


def change_row(a: Arrays, column: str) -> None:
    a[f"values/{column}"].reshape(5, -1)[3, 0] = 7


def own_field(a: Arrays) -> None:
    a["fields/offset"][1] = 0.5


PLANTS: dict[str, tuple[str, Callable[[Arrays], None], str]] = {
    "one value": ("mag", one_value, "field"),
    "one label": ("mag", one_label, "status"),
    "one stamp": ("mag", one_stamp, "stamps"),
    "NaN for a number": ("mag", one_nan, "temperature"),
    "one item missing": ("mag", one_item_missing, "items (4 expected, 3 found)"),
    "one column missing": ("mag", column_missing, "temperature (missing column)"),
    "a column too many": ("mag", column_unexpected, "humidity (unexpected column)"),
    "another shape": ("mag", other_shape, "field ((4, 3) expected, (4, 2) found)"),
    "not received": ("mag", not_received, "items present"),
    "one row missing": ("beacons", one_row_missing, "rows (5 expected, 4 found)"),
    "a row of another item": ("beacons", row_of_another_item, "rows"),
    "a rotation": ("beacons", body_turned, "body (rotation)"),
    "a field of the class": ("beacons", own_field, "offset"),
} | {
    f"{column} of one row": ("beacons", partial(change_row, column=column), column)
    for column in ("place", "body", "drift", "push", "felt", "range", "angle", "late", "outline", "code")
}


def planted(written: Path, out: Path) -> Path:
    shutil.copytree(written, out)
    return out / "samples" / "s0" / "streams"


def assert_fails(lines: list[str], stream: str, what: str) -> None:
    failed = [line for line in lines if "FAIL" in line]
    assert any(line.startswith(what) and f" {stream} " in line for line in failed), failed
    # and nothing else but the digest of the files
    assert {n for n in ("mag", "beacons", "spectrum") if any(f" {n} " in line for line in failed)} == {stream}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_difference_fails(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    stream, plant, what = PLANTS[name]
    path = planted(written, tmp_path / "out") / stream / "arrays.npz"
    arrays = {k: v.copy() for k, v in read_npz(path).items()}
    plant(arrays)
    write_npz(arrays, path)
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1
    assert_fails(lines, stream, what)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [("class", "Signal", "class (Magnetometer expected, Signal found)"), ("frame", "ego", "frame (mag expected"),
     ("unit_name", "mT", "unit_name (uT expected, mT found)")],
)  # fmt: skip
def test_another_class_or_fact_fails(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str, what: str
) -> None:
    path = planted(written, tmp_path / "out") / "mag" / "stream.json"
    header = json.loads(path.read_text())
    if key == "class":
        header["class"] = value
        del header["fields"]["unit_name"]
    else:
        header["fields"][key] = value
    path.write_text(json.dumps(header))
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1
    assert_fails(lines, "mag", what)


def test_missing_unexpected_and_unreadable_streams_fail(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    streams = planted(written, tmp_path / "out")
    (streams / "mag").rename(streams / "other")
    code, lines = checked(tmp_path / "out", capsys)
    failed = [line for line in lines if "FAIL" in line]
    assert code == 1
    assert any(line.startswith("missing stream ") and " mag " in line for line in failed)
    assert any(line.startswith("unexpected stream ") and " other " in line for line in failed)
    (streams / "beacons" / "arrays.npz").write_bytes(b"no arrays")
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1 and any(line.startswith("unreadable") and "FAIL" in line for line in lines)


# --- one frame -------------------------------------------------------------------------------------------------------
def moved_mount(sample: Sample, T: torch.Tensor) -> Sample:
    """The same scene with the sensor's frame elsewhere and its values told in the new frame."""
    stream = sample["beacons"]
    back = torch.linalg.inv(T)
    values = dict(stream.values)
    values["place"] = (values["place"].double() @ back[:3, :3].T + back[:3, 3]).float()
    for name in ("drift", "push", "felt"):
        values[name] = values[name] @ back[:3, :3].T
    values["body"] = back @ values["body"]
    rig = sample.rig.with_pose("mag", sample.rig.frames["mag"].pose @ T)
    return sample.with_streams({"beacons": replace(stream, values=values)}).with_meta(0, rig=rig, true_rig=rig)


def compared(expected: Sample, found: Sample, name: str, **more: Any) -> dict[str, Row]:
    return {r.measurement: r for r in combine(list(compare_stream(StreamPair(name, expected, found, **more))))}


def test_values_told_in_another_frame_are_the_same_and_a_moved_frame_is_not() -> None:
    sample = own_sample()
    moved = moved_mount(sample, se3(rotation_about("z", 0.7), [1.0, -2.0, 0.5]))
    assert {r.status for r in compared(sample, moved, "beacons").values()} == {"PASS"}
    only_rig = sample.with_meta(0, rig=moved.rig, true_rig=moved.rig)
    rows = compared(sample, only_rig, "beacons")
    failed = {n for n, r in rows.items() if r.status == "FAIL"}
    assert failed == {"place", "body", "body (rotation)", "drift", "push", "felt"}
    # a stream without such columns shows where its frame is by that alone
    signal = Signal(frame="mag", capture_times=torch.tensor([T0]), values={"value": torch.ones(1)})
    a, b = (s.with_streams({"x": signal}) for s in (sample, only_rig))
    assert {r.status for r in compared(a, a, "x").values()} == {"PASS"}
    rows = compared(a, b, "x")
    assert {n for n, r in rows.items() if r.status == "FAIL"} == {"place of the frame", "place of the frame (rotation)"}


def driving_sample(known: list[int], shift: float = 0.0) -> Sample:
    """The vehicle on a curve, its poses known at some moments (ms); an IMU lies between them, a cloud on one."""
    moments = torch.tensor(known) * 1_000_000 + T0
    turn = (moments - T0) * 1e-9 * 8.0
    places = torch.stack([torch.sin(turn) + shift * (turn > 0), 1 - torch.cos(turn), 0 * turn], 1)
    track = Trajectory.from_unsorted(moments, se3(rotation_about("z", turn), places))
    mount = Frame(parent="ego", pose=se3(rotation_about("x", 0.2), [0.5, 0.1, 0.3]))
    rig = Rig({"world": Frame(axis_convention="world"), "ego": Frame(parent="world", pose=track), "imu": mount})
    imu = fa.Imu(
        frame="imu", capture_times=T0 + torch.tensor([3, 7, 12]) * 1_000_000,
        values={"gyro": torch.ones(3, 3), "accel": torch.eye(3)},
    )  # fmt: skip
    cloud = fa.Lidar(frame="imu", capture_times=moments[-1:], values={"xyz": torch.tensor([[30.0, 1.0, 0.0]])})
    meta = SampleMeta(id="s", scene="s", ref=Ref("ego", T0), rig=rig, true_rig=rig)
    return Sample(metas=(meta,), streams={"imu": imu, "cloud": cloud})


def test_fewer_known_poses_between_which_nothing_is_told_are_no_difference() -> None:
    """Formats hold poses of the vehicle at their records only, and readings lie between them."""
    expected, found = driving_sample([0, 5, 10, 20]), driving_sample([0, 20])
    far = expected.rig.T_at_times("world", "imu", expected["imu"].capture_times)
    assert not torch.allclose(far, found.rig.T_at_times("world", "imu", expected["imu"].capture_times), atol=1e-6)
    for name in ("imu", "cloud"):
        assert {r.status for r in compared(expected, found, name).values()} == {"PASS"}
    # a cloud lies at a known moment, so it shows a pose that is another
    rows = compared(expected, driving_sample([0, 20], shift=0.01), "cloud")
    assert rows["points (xyz)"].status == "FAIL"


def test_a_frame_that_is_nowhere_leaves_the_values_as_they_are() -> None:
    sample = own_sample()
    lost = Rig({**sample.rig.frames, "mag": Frame(parent=None), "far": Frame()})
    both = sample.with_meta(0, rig=lost, true_rig=lost)
    assert {r.status for r in compared(both, both, "beacons").values()} == {"PASS"}
    rows = compared(sample, own_sample().with_meta(0, rig=Rig({"ego": Frame()}), true_rig=Rig({"ego": Frame()})), "mag")
    assert any(n.startswith("place of the frame") and r.status == "FAIL" for n, r in rows.items())


# --- rules -----------------------------------------------------------------------------------------------------------
def test_steps_of_the_files_widen_a_limit_by_half_a_step() -> None:
    sample = own_sample()
    stream = sample["mag"]
    off = sample.with_streams({"mag": stream.with_values(temperature=stream["temperature"] + 0.4)})
    assert compared(sample, off, "mag")["temperature"].status == "FAIL"
    assert compared(sample, off, "mag", steps={"temperature": 1.0})["temperature"].status == "PASS"
    assert compared(sample, off, "mag", steps={"temperature": 0.5})["temperature"].status == "FAIL"


def test_what_a_reader_works_out_is_not_compared() -> None:
    sample = own_sample()
    row = compared(sample, sample, "mag", derived=("field",))["field"]
    assert row.status.startswith("not compared: no file holds it")


def test_names_of_a_copy_may_carry_its_suffix() -> None:
    sample = own_sample()
    stream = sample["mag"]
    named = sample.with_streams({"mag": stream.with_values(status=strings(["ok__1"] * 4))})
    assert compared(sample, named, "mag", suffix="__1")["status"].status == "PASS"
    assert compared(sample, named, "mag")["status"].status == "FAIL"
    assert compared(sample, named, "mag", suffix="__2")["status"].status == "FAIL"


def test_float32_on_disk_is_no_difference_and_more_is() -> None:
    value = torch.tensor([1.0 / 3.0, 1e6 / 3.0, -2e-7], dtype=torch.float64)
    assert by_value(value, value.float()).max() < 1e-12
    assert by_value(value, value * (1 + 1e-6)).max() > 0.1
    odd = torch.tensor([float("nan"), float("inf"), 1.0])
    assert by_value(odd, odd).tolist() == [0, 0, 0]
    assert by_value(odd, odd.flip(0)).tolist() == [float("inf"), 0, float("inf")]


@pytest.mark.parametrize("angle", [1e-9, 1e-4, 1.0, 3.1])
def test_angles_between_rotations(angle: float) -> None:
    pose_a, axis = se3(rotation_about("x", 0.4)), se3(rotation_about("y", angle))
    assert turns(pose_a, pose_a @ axis)[0] == pytest.approx(angle, rel=1e-3, abs=1e-7)


@dataclass(frozen=True)
class Calibration:
    """What a field of a stream may hold, and nobody can compare."""

    number: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale(Signal):
    """A stream with a field of a type of one's own."""

    calibration: Calibration | None = None


def scales(number: float) -> Sample:
    stream = Scale(frame="ego", capture_times=torch.tensor([T0]), calibration=Calibration(number))
    return own_sample().with_streams({"scale": stream})


def test_a_field_nobody_can_compare_is_not_compared_until_somebody_says_how() -> None:
    row = compared(scales(1.0), scales(2.0), "scale")["calibration"]
    assert row.status.startswith("not compared: ") and "Calibration" in row.status

    def calibrations(expected: Calibration, found: Calibration) -> np.ndarray:
        return np.array([abs(expected.number - found.number)])

    register_comparison(Calibration, calibrations, "1", 0.1)
    try:
        register_comparison(Calibration, calibrations, "1", 0.1)  # the same again is no conflict
        assert compared(scales(1.0), scales(1.0), "scale")["calibration"].status == "PASS"
        assert compared(scales(1.0), scales(2.0), "scale")["calibration"].status == "FAIL"
    finally:
        del COMPARISONS[Calibration, ""]
    gone = scales(1.0).with_streams({"scale": replace(scales(1.0)["scale"], calibration=None)})
    assert "FAIL" in {r.status for r in compared(scales(1.0), gone, "scale").values()}


def test_a_column_that_is_no_array_is_not_compared() -> None:
    sample = own_sample()
    stream = replace(sample["mag"], values={**sample["mag"].values, "notes": [1, 2, 3, 4]})
    rows = compared(*(sample.with_streams({"mag": stream}),) * 2, "mag")
    assert rows["notes"].status.startswith("not compared: ") and rows["field"].status == "PASS"


def test_a_second_comparison_of_a_kind_is_refused() -> None:
    with pytest.raises(fa.ConfigError, match=r"comparison 'polar' .* is refused"):
        register_comparison("polar", by_value, "m", 1.0)
    with pytest.raises(fa.ConfigError, match=r"comparison 'Radar\.rcs' .* is refused"):
        register_comparison((fa.Radar, "rcs"), by_value, "m", 1.0)


# --- pictures --------------------------------------------------------------------------------------------------------
def with_picture(stream: Stream) -> Sample:
    sample = own_sample()
    rig = Rig({**sample.rig.frames, "eye": Frame(parent="ego", axis_convention="camera")})
    return sample.with_streams({"eye": stream}).with_meta(0, rig=rig, true_rig=rig)


def pictures(kind: type[fa.Stream], item: Any, **more: Any) -> Sample:
    return with_picture(kind(frame="eye", capture_times=torch.tensor([T0]), items=(item,), **more))


def noise_picture() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize(("ending", "limit"), [(".png", 0.0), (".jpg", 4.0)])
def test_pictures_are_compared_as_their_files_are_coded(tmp_path: Path, ending: str, limit: float) -> None:
    picture, path = noise_picture(), tmp_path / f"picture{ending}"
    write_image(picture, path)
    expected, found = pictures(fa.Camera, picture), pictures(fa.Camera, Source(path, "image"))
    row = next(r for n, r in compared(expected, found, "eye").items() if n.startswith("picture"))
    assert row.status == "PASS" and row.limit == limit and row.unit == "levels"
    other = picture.clone()
    other[3, 4, 0] += 1  # wraps at 255, so that it is another level in any case
    changed = pictures(fa.Camera, other if limit == 0 else picture.flip(1))
    row = next(r for n, r in compared(changed, found, "eye").items() if n.startswith("picture"))
    assert row.status == "FAIL"


class Millimetres(Source):
    """Depth in whole millimetres."""

    coding = Coding(step=1e-3)
    value = torch.full((4, 5), 2.0)


def test_depth_ids_and_own_pictures_are_compared_by_what_they_are(tmp_path: Path) -> None:
    file = Millimetres(tmp_path / "depth", "depth")

    def depth_row(metres: float, item: Any) -> Row:
        return compared(pictures(fa.Depth, torch.full((4, 5), metres)), pictures(fa.Depth, item), "eye")["depth"]

    assert depth_row(2.0004, file).status == "PASS" and depth_row(2.0006, file).status == "FAIL"
    assert depth_row(2.0004, torch.full((4, 5), 2.0)).status == "FAIL"
    assert depth_row(float("inf"), torch.full((4, 5), float("inf"))).status == "PASS"
    ids = torch.arange(20, dtype=torch.uint8).reshape(4, 5)
    off = ids.clone()
    off[0, 0] = 9
    for kind, title in ((fa.SegmentationMask, "pixels that differ"), (fa.HeightMap, "heights")):
        a, b = (pictures(kind, v.float() if kind is fa.HeightMap else v) for v in (ids, off))
        assert compared(a, a, "eye")[title].status == "PASS" and compared(a, b, "eye")[title].status == "FAIL"
    small = pictures(fa.Depth, torch.full((4, 4), 2.0))
    assert compared(pictures(fa.Depth, torch.full((4, 5), 2.0)), small, "eye")["depth"].status == "FAIL"


def test_gels_and_backgrounds_of_every_picture() -> None:
    grounds = tuple(torch.full((8, 8, 3), level, dtype=torch.uint8) for level in (10, 11, 12))
    gel = GelModel(lights=torch.ones(10, 3))

    def touch(grounds: tuple[torch.Tensor, ...], gel: GelModel) -> fa.TactileImage:
        items = (noise_picture()[:8, :8],) * 3
        times = T0 + torch.arange(3)
        return fa.TactileImage(
            frame="eye", capture_times=times, items=items, mm_per_pixel=0.1, backgrounds=grounds, gels=(gel,) * 3
        )

    sample = with_picture(touch(grounds, gel))
    assert {r.status for r in compared(sample, sample, "eye").values()} == {"PASS"}
    last = with_picture(touch((*grounds[:2], grounds[0]), replace(gel, noise=2.0)))
    failed = {n for n, r in compared(sample, last, "eye").items() if r.status == "FAIL"}
    assert failed == {"backgrounds", "gels"}
    # logs of robots hold those of the first picture
    kept = with_picture(with_first_gel(sample["eye"]))
    rows = rows_left_out(sample, kept, FolderWriter(None, Path()))
    assert [r.measurement for r in rows] == ["backgrounds"] and rows[0].status.startswith("not compared: ")
    assert with_first_gel(kept["eye"]) is kept["eye"]


# --- what formats cannot hold ----------------------------------------------------------------------------------------
def test_what_a_format_has_no_place_for_is_a_row() -> None:
    sample = own_sample()
    mag = sample["mag"]
    quiet = replace(mag, present=torch.zeros(4, dtype=torch.bool), clock_offset=torch.ones(4, dtype=torch.int64))
    made = sample.with_streams({**sample.streams, "mag": quiet, "gone": quiet, "lost": mag})
    kept = sample.with_streams({**sample.streams, "beacons": sample["beacons"].select(torch.arange(5) < 3)})
    left_out = rows_left_out(made, kept, FolderWriter(None, Path()))
    rows = {(r.sensor, r.measurement): r for r in left_out}
    assert rows["lost", "stream"].status == "not compared: the format has no place for it"
    assert rows["gone", "stream"].status.startswith("not compared: no item of it was received")
    assert rows["mag", "items present"].status.startswith("not compared: ")
    assert rows["mag", "clock offset"].status.startswith("not compared: ")
    assert rows["beacons", "rows left out by the format"].values.tolist() == [2.0]
    assert len(rows) == 5


def test_a_sensor_that_a_lossy_output_cannot_mark_as_dropped(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = "+pipeline.transforms.drop={_target_:fusion_aug.ModalityDropout,sensors:[CAM_BACK],share:1.0,at_least:0}"
    words = ["log=nuscenes", f"log.root={street}", "pipeline=identity", drop, "lossy=true", "limit=1"]
    assert main(["run", *words, f"out={tmp_path / 'out'}"]) == 0
    code, lines = checked(tmp_path / "out", capsys)
    line = next(x for x in lines if x.startswith("items present"))
    assert code == 0 and " CAM_BACK " in line and "not compared: a sensor without data has no place" in line


# --- in a format of others -------------------------------------------------------------------------------------------
def table(out: Path, name: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = out / "v1.0-mini" / f"{name}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def dim_a_return(out: Path) -> None:
    path = next((out / "samples" / "LIDAR_TOP").iterdir())
    cloud = np.fromfile(path, "<f4").reshape(-1, 5)
    cloud[7, 3] += 1
    cloud.tofile(path)


def another_beam(out: Path) -> None:
    path = next((out / "samples" / "LIDAR_TOP").iterdir())
    cloud = np.fromfile(path, "<f4").reshape(-1, 5)
    cloud[7, 4] += 1
    cloud.tofile(path)


def lose_a_box(out: Path) -> None:
    table(out, "sample_annotation", lambda rows: rows.pop())


def another_category(out: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["category_token"] = next(
            r["category_token"] for r in rows if r["category_token"] != rows[0]["category_token"]
        )

    table(out, "instance", change)


def another_visibility(out: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["visibility_token"] = "1" if rows[0]["visibility_token"] != "1" else "4"

    table(out, "sample_annotation", change)


@pytest.fixture(scope="module")
def street_out(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("street_out") / "out"
    assert main(["run", "log=nuscenes", f"log.root={street}", "pipeline=geometry", "limit=1", f"out={out}"]) == 0
    return out


@pytest.mark.parametrize(
    ("plant", "stream", "what"),
    [(dim_a_return, "LIDAR_TOP", "intensity"), (another_beam, "LIDAR_TOP", "ring"), (lose_a_box, "boxes", "rows ("),
     (another_category, "boxes", "category"), (another_visibility, "boxes", "visible")],
)  # fmt: skip
def test_planted_differences_in_nuscenes(
    street_out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], plant: Any, stream: str, what: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(street_out, out)
    code, lines = checked(out, capsys)
    assert code == 0 and any(line.startswith("velocity") and " boxes " in line for line in lines)
    plant(out)
    code, lines = checked(out, capsys)
    failed = [line for line in lines if "FAIL" in line]
    assert code == 1 and any(line.startswith(what) and f" {stream} " in line for line in failed), failed


def test_kitti_labels_are_those_of_the_file(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boxes that leave the picture are left out by the format, and the others are compared one by one."""
    crop = "+pipeline.transforms.crop={_target_:fusion_aug.Crop,size:[375,600],x:0.0,y:0.0}"
    words = ["log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=identity", crop]
    assert main(["run", *words, f"out={tmp_path / 'out'}"]) == 0
    code, lines = checked(tmp_path / "out", capsys)
    left_out = [line for line in lines if line.startswith("rows left out by the format")]
    assert code == 0 and {line.split()[6] for line in left_out} == {"boxes", "boxes_2d"}
    assert any(line.startswith("occluded ") and "PASS" in line for line in lines)
    path = tmp_path / "out" / "training" / "label_2" / "000008.txt"
    text = path.read_text()
    path.write_text(text.replace("Car", "Van", 1))
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1 and any(line.startswith("category") and " boxes " in line and "FAIL" in line for line in lines)
    path.write_text("".join(text.splitlines(keepends=True)[1:]))
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1 and any(line.startswith("rows (") and " boxes " in line and "FAIL" in line for line in lines)
