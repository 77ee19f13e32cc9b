"""Clocks that are off and data that come late: what is true stays true, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from samples import T0, make_sample

import fusion_aug as fa
from calib import Frame, Rig, Trajectory
from calib.replacing import replace_unchecked
from fusion_aug.physics.timewarp import Warp
from fusion_aug.transforms.temporal.speed import warp_rig


@pytest.mark.parametrize("name", ["CAM_LEFT", "lidar", "joints", "imu"])
def test_a_clock_stays_off_by_as_much_at_another_speed(name: str) -> None:
    sample = make_sample()
    off = fa.ClockOffset(offset=0.002, sensors=[name], scope="sample")(sample)
    plain, warped = (fa.SpeedWarp(speed=2.0)(s) for s in (sample, off))
    assert torch.equal(warped[name].true_capture_times, plain[name].capture_times)
    assert torch.equal(warped[name].capture_times, plain[name].capture_times + 2_000_000)
    assert torch.equal(warped.T_ref(name, 0, true_rig=True), plain.T_ref(name, 0))
    for column, value in plain[name].realized().values.items():
        assert torch.equal(warped[name][column], value), column


@pytest.mark.parametrize("name", ["CAM_LEFT", "lidar", "joints", "wrench"])
def test_data_come_late_by_as_much_at_another_speed(name: str) -> None:
    late = fa.Latency(delay=0.1, scope="sample")(make_sample())
    out = fa.SpeedWarp(speed=0.5)(late)[name]
    assert torch.equal(out.arrival_times, out.capture_times + 100_000_000)


@pytest.mark.parametrize(
    "transform",
    [
        fa.SpeedWarp(speed=0.8), fa.TimeWarp(), fa.RateChange(rate=100.0), fa.ScaleScene(scale=1.2), fa.ForceNoise(),
        fa.PushDisturbance(), fa.KinematicNoise(joint_deg=0.5, mode="truth"), fa.RollingShutter(readout=0.01),
    ],
    ids=lambda t: type(t).__name__,
)  # fmt: skip
def test_the_true_rig_is_read_at_true_capture_times(transform: fa.Transform) -> None:
    """Half a second off, far outside the known poses: true values do not depend on the reported ones."""
    sample = make_sample(gels=False)
    off = fa.ClockOffset(offset=0.5, scope="sample")(sample)
    a, b = transform(sample, seed=3).realized(), transform(off, seed=3).realized()
    for name in ("imu", "joints", "CAM_FRONT"):
        assert torch.equal(b[name].true_capture_times, a[name].true_capture_times), name
    if not isinstance(transform, fa.ForceNoise | fa.PushDisturbance):  # their draws depend on the reported times
        for name in ("imu", "joints", "wrench"):
            for column, value in a[name].values.items():
                assert torch.allclose(b[name][column], value, atol=1e-12), (name, column)
    if isinstance(transform, fa.RollingShutter):
        assert torch.equal(b["CAM_FRONT"].image(0), a["CAM_FRONT"].image(0))  # type: ignore[attr-defined]


def test_reported_links_follow_readings_with_a_wrong_clock() -> None:
    sample = make_sample()
    off = fa.ClockOffset(offset=0.003, sensors=["joints"], scope="sample")(sample)
    at = off["joints"].capture_times[3:9]
    assert torch.equal(off.rig.T_at_times("ego", "hand", at), sample.rig.T_at_times("ego", "hand", at - 3_000_000))
    assert off.true_rig is sample.true_rig
    twice = fa.ClockOffset(offset=0.003, sensors=["joints"], scope="sample")(off)
    assert torch.equal(twice.rig.T_at_times("ego", "hand", at), sample.rig.T_at_times("ego", "hand", at - 6_000_000))


def test_jitter_leaves_other_sensors_and_keeps_a_picture_and_its_depth_together() -> None:
    sample = make_sample()
    stamps = sample["imu"].capture_times + torch.tensor([0, 5, -3, 0, 0, 0, 0, 0, 0]) * 1_000_000
    sample = sample.with_streams({**sample.streams, "imu": replace(sample["imu"], receive_times=stamps)})
    out = fa.Jitter(sigma=0.01, sensors=["CAM_FRONT"])(sample, seed=1)
    assert out["imu"] is sample["imu"]
    late = [out[n].arrival_times - out[n].capture_times for n in ("CAM_FRONT", "CAM_FRONT/depth")]
    assert torch.equal(*late) and int(late[0]) > 0


def test_predictions_are_inverted_without_stamps() -> None:
    sample = make_sample()
    steps = [fa.Latency(), fa.Jitter(), fa.ClockOffset(), fa.DropFrames(share=0.1), fa.TemporalMask(seconds=0.001)]
    out = fa.Compose([*steps, fa.FlipImage(axis="x")])(sample, seed=2)
    with pytest.warns(fa.InexactInverse):
        back = fa.invert(out["CAM_LEFT/mask"].realized(), out.history, name="CAM_LEFT/mask")
    assert torch.equal(back.image(0), sample["CAM_LEFT/mask"].image(0))  # type: ignore[attr-defined]


def test_exposure_and_readout_scale_with_the_speed() -> None:
    sample = make_sample()
    roll = {"cameras": ["CAM_FRONT"], "scope": "sample"}
    a = fa.SpeedWarp(speed=2.0)(fa.RollingShutter(readout=0.03, **roll)(sample))
    b = fa.RollingShutter(readout=0.015, **roll)(fa.SpeedWarp(speed=2.0)(sample))
    assert a.rig.camera("CAM_FRONT").readout == pytest.approx(b.rig.camera("CAM_FRONT").readout)
    off = (a["CAM_FRONT"].image(0).int() - b["CAM_FRONT"].image(0).int()).abs()  # type: ignore[attr-defined]
    assert int(off.max()) <= 1
    exposed = replace_unchecked(sample.rig.camera("CAM_LEFT"), exposure=0.02)
    rig = Rig(sample.rig.frames, {**sample.rig.sensors, "CAM_LEFT": exposed})
    out = fa.SpeedWarp(speed=0.5)(sample.with_meta(0, rig=rig, true_rig=rig))
    assert out.rig.camera("CAM_LEFT").exposure == pytest.approx(0.04)


@pytest.mark.parametrize("rate", [2, 10])
def test_poses_far_apart_follow_a_speed_that_swells(rate: int) -> None:
    """15 m/s in a straight line, reported ``rate`` times a second: its position does not depend on the rate."""
    times = T0 + torch.arange(3 * rate + 1) * (10**9 // rate)
    poses = torch.eye(4).double().repeat(len(times), 1, 1)
    poses[:, 0, 3] = 15.0 * (times - T0) * 1e-9
    warp = Warp(T0, 1.0, [(0.45, 1 / 1.5, 0.3)])
    rig = warp_rig(Rig({"world": Frame(), "ego": Frame(parent="world", pose=Trajectory(times, poses))}, {}), warp)
    end = int(warp.new(times[-1:])[0])
    at = torch.arange(T0, end, 33_000_000)
    x = rig.T_at_times("world", "ego", at)[:, 0, 3]
    assert float((x - 15.0 * (warp.old(at) - T0) * 1e-9).abs().max()) < 0.002  # metres: 0.1 ms
