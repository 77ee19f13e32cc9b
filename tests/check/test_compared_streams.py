"""Rules by which two streams are compared: frames, steps, columns and fields."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from own_streams import T0, compared, own_sample

import fusion_aug as fa
from calib import Frame, Rig
from calib.se3 import rotation_about, se3
from calib.trajectory import Trajectory
from fusion_aug.check.comparisons import COMPARISONS, by_value, register_comparison, turns
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Signal, strings


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
    stream = replace(sample["mag"], values={**sample["mag"].values, "notes": (1, 2, 3, 4)})
    rows = compared(*(sample.with_streams({"mag": stream}),) * 2, "mag")
    assert rows["notes"].status.startswith("not compared: ") and rows["field"].status == "PASS"


def test_a_second_comparison_of_a_kind_is_refused() -> None:
    with pytest.raises(fa.ConfigError, match=r"comparison 'polar' .* is refused"):
        register_comparison("polar", by_value, "m", 1.0)
    with pytest.raises(fa.ConfigError, match=r"comparison 'Radar\.rcs' .* is refused"):
        register_comparison((fa.Radar, "rcs"), by_value, "m", 1.0)
