"""Readings that were not sent: nothing is made of them, and nothing is added to them."""

from __future__ import annotations

import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from calib import Frame, Rig
from fusion_aug.sample import SampleMeta
from fusion_aug.streams import Signal

GONE = fa.TemporalMask(seconds=0.04, sensors=["joints"], scope="sample")


@pytest.mark.parametrize(
    "transform",
    [fa.RateChange(rate=170.0, sensors=["joints"], scope="sample"), fa.SpeedWarp(speed=0.8), fa.TimeWarp()],
    ids=lambda t: type(t).__name__,
)
def test_what_was_not_sent_is_not_read_between(transform: fa.Transform) -> None:
    sample = make_sample()
    whole, left = transform(sample, seed=1)["joints"], transform(GONE(sample, seed=3), seed=1)["joints"]
    assert 0 < int((~left.present).sum()) < len(left)
    for column in ("position", "velocity"):
        a, b = whole[column], left[column]
        assert not bool(b[~left.present].any())
        rough = float(sample["joints"][column].diff(dim=0).abs().max())  # a spline without what lies in the gap
        assert float((a - b)[left.present].abs().max()) < 0.3 * rough, column
    assert torch.equal(whole.capture_times, left.capture_times)


@pytest.mark.parametrize(
    "transform",
    [
        fa.SensorBias(gyro_noise=0.1, accel_noise=0.1, force_noise=0.1), fa.ForceNoise(force=1.0),
        fa.PushDisturbance(), fa.TorqueNoise(sigma=1.0), fa.KinematicNoise(joint_deg=1.0),
        fa.KinematicNoise(joint_deg=1.0, mode="truth"),
    ],
    ids=lambda t: f"{type(t).__name__}-{getattr(t, 'mode', '')}",
)  # fmt: skip
def test_noise_makes_no_readings(transform: fa.Transform) -> None:
    sample = make_sample(gels=False)
    dropped = ["imu", "wrench", "joints"]
    gone = fa.ModalityDropout(share=1.0, sensors=dropped, at_least=0)(sample)
    out = transform(gone, seed=2)
    for name in dropped:
        assert not bool(out[name].present.any())
        assert not any(bool(v.any()) for v in out[name].values.values()), name


def test_a_rate_needs_no_laws_of_speed() -> None:
    """An inertial unit without a world, and a stream without items."""
    imu = fa.Imu(frame="imu", capture_times=torch.arange(9) * 10_000_000,
                 values={"gyro": torch.ones(9, 3), "accel": torch.arange(27).reshape(9, 3).double()})  # fmt: skip
    sample = make_sample()
    none = sample["wheels"].take_items(torch.zeros(0, dtype=torch.int64))
    rig = Rig({"imu": Frame()}, {})
    bare = fa.Sample(
        metas=(SampleMeta(id="a", scene="a", ref=fa.Ref("imu", 0), rig=rig, true_rig=rig),),
        streams={"imu": imu, "none": none},
    )
    out = fa.RateChange(rate=200.0, scope="sample")(bare)
    assert len(out["imu"]) == 17 and float(out["imu"]["accel"][1, 0]) == 1.5
    assert len(out["none"]) == 0


def test_keyframes_stay() -> None:
    """A sweep at the reference time, and one 50 ms before."""
    sample = make_sample()
    for rate in (2.0, 3.0, 7.0, 10.0, 40.0):
        out = fa.RateChange(rate=rate, scope="sample")(sample)["lidar"]
        assert sample.ref.time in out.arrival_times.tolist() and int(out.capture_times[-1]) == sample.ref.time, rate
    for seed in range(10):
        assert int(fa.DropFrames(share=1.0)(sample, seed=seed)["lidar"].capture_times) == sample.ref.time


def test_changes_per_step_add_up() -> None:
    times = torch.tensor([0, 1, 2, 3, 20, 21, 22]) * 100_000_000
    change = torch.ones(7, 3).double()
    change[3] = 17
    sample = make_sample(time=0)

    def through(transform: fa.Transform, value: torch.Tensor, stamps: torch.Tensor) -> torch.Tensor:
        action = fa.Action(frame="ego", capture_times=stamps, values={"delta_position": value})
        return transform(sample.with_streams({"action": action}))["action"]["delta_position"]

    assert torch.equal(through(fa.SpeedWarp(speed=1.0), change, times), change), "steps of different lengths"
    even = torch.arange(20) * 50_000_000
    for rate in (0.5, 1.0, 1.1, 2.0, 20.0):
        resampled = through(fa.RateChange(rate=rate, scope="sample"), torch.ones(20, 3).double(), even)
        assert torch.allclose(resampled.sum(0), torch.full((3,), 20.0).double()), rate
    whole = through(fa.SpeedWarp(speed=1.3), torch.ones(20, 3, dtype=torch.int64), even)
    assert int(whole.sum()) in (57, 60) and set(whole.unique().tolist()) <= {1, 2}


def test_marks_are_not_lost() -> None:
    """One reward in the middle and the end of the episode, at any speed."""
    event = torch.zeros(60, dtype=torch.int64)
    event[[31, 59]] = 1
    sample = make_sample(time=0)
    sample = sample.with_streams(
        {"done": Signal(frame="ego", capture_times=torch.arange(60) * 50_000_000, values={"event": event})}
    )
    for speed in (0.55, 0.8, 1.0, 1.1, 1.37, 1.9):
        events = fa.SpeedWarp(speed=speed)(sample)["done"]["event"]
        assert events.tolist()[-1] == 1 and int(events.sum()) == 2, speed


def test_unsorted_readings_are_named() -> None:
    sample = make_sample()
    imu = sample["imu"].take_items(torch.tensor([0, 2, 1, 3, 4]))
    with pytest.raises(fa.errors.DataError, match="'imu': times: item 2 is earlier than the one before"):
        fa.SpeedWarp(speed=0.9)(sample.with_streams({"imu": imu}))


def test_repeated_readings_are_accepted() -> None:
    """As a late sensor in a format of one rate: the first two frames hold one capture."""
    sample = make_sample()
    joints = sample["joints"].take_items(torch.tensor([0, 0, *range(1, 37)]))
    out = fa.SpeedWarp(speed=0.9)(sample.with_streams({**sample.streams, "joints": joints}))["joints"]
    assert torch.isfinite(out["position"]).all() and torch.isfinite(out["velocity"]).all()


def test_crosstalk_has_a_reach() -> None:
    sample = make_sample()
    pad = next(n for n, s in sample.streams.items() if isinstance(s, fa.Taxels))
    stream = sample[pad]
    force = torch.zeros_like(stream["force"])
    force[:, 0] = 1.0
    sample = sample.with_streams({**sample.streams, pad: stream.with_values(force=force)})
    place = stream.poses[0, :, :3, 3].double()
    pitch = float(torch.cdist(place, place).fill_diagonal_(9).min())
    for reach, passed in ((pitch, 0.2), (pitch / 20, 0.0)):
        forces = fa.TaxelCrosstalk(share=0.2, reach=reach)(sample)[pad]["force"]
        assert torch.allclose(forces.sum(1), torch.ones(len(forces)).to(forces), atol=1e-6), "the sum stays"
        assert float(forces[0, 1:].sum()) == pytest.approx(passed, abs=0.15 if passed else 1e-6)
