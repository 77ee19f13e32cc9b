"""Sensor transforms on one reading at a time give the bits that they give on a recorded episode."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from arm_log import open_arm

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.sim.recorder import with_readings
from fusion_aug.sim.stepper import Stepper
from fusion_aug.streams import ImageStream, Stream
from fusion_aug.streams.columns import take_rows
from fusion_aug.streams.families import Photometric

HELD = 120_000_000  # ns of the recording
SIGNALS = ("joint_states", "wrench", "imu", "taxel_left", "taxel_right")
PICTURES = ("front", "wrist", "tactile_left", "tactile_right")
PACKAGES = ("robot", "touch", "faults", "temporal", "modality", "camera")
# what cannot be told reading by reading, and a word of why
REFUSED = {
    "EgoMotionBlur": "motion", "ForceNoise": "pads", "FrozenCamera": "other pictures", "MirrorRobot": "scene",
    "PushDisturbance": "end", "RateChange": "looks ahead", "RollingShutter": "looks ahead", "SpeedWarp": "looks ahead",
    "TemporalCrop": "episode", "TemporalMask": "end", "TimeWarp": "looks ahead", "ViewpointNoise": "mode",
}  # fmt: skip


OF_THE_ARM: dict[str, dict[str, Any]] = {  # whose sensors have other names than those of the examples
    "ClockOffset": {"sensors": ("*",)}, "Latency": {"sensors": ("*",)}, "ModalityDropout": {"share": 0.8},
}  # fmt: skip
WITHOUT_DATA = {"GpsJump"}  # what changes nothing that the arm has


@cache
def whole() -> fa.Sample:
    return open_arm("mcap")


@cache
def recording(dtype: torch.dtype = torch.float64) -> fa.Sample:
    """The begin of the arm's recording, whose readings arrive at once."""
    sample, streams = whole(), {}
    for name in (*SIGNALS, *PICTURES):
        stream = sample[name]
        near = (stream.capture_times - sample.ref.time < HELD).nonzero()[:, 0]
        some = replace(stream.take_items(near).realized(), receive_times=None)
        streams[name] = some.with_values(**{c: v.to(dtype) for c, v in some.values.items()})
    return sample.with_streams(streams)


def template(sample: fa.Sample) -> fa.Sample:
    """The first reading of every stream."""
    return sample.with_streams({n: s.take_items(torch.tensor([0])) for n, s in sample.streams.items()})


def periods(sample: fa.Sample) -> dict[str, int]:
    return {n: int(s.capture_times.diff()[0]) for n, s in sample.streams.items()}


def values(stream: Stream, item: int) -> dict[str, np.ndarray]:
    """Columns of one item, as NumPy."""
    if isinstance(stream, ImageStream):
        return {"image": stream.image(item).numpy()}
    return {c: np.asarray(v) for c, v in take_rows(stream.values, torch.tensor([item])).items()}


def one(columns: dict[str, np.ndarray], picture: bool) -> dict[str, np.ndarray]:
    return columns if picture else {c: v[0] for c, v in columns.items()}


def compare(pipeline: fa.Transform, sample: fa.Sample, seed: int = 3) -> None:
    """Assert that every reading of a sample comes out of the Stepper as out of the ordinary path."""
    after = pipeline(sample, seed=seed)
    stepper = Stepper(pipeline, template(sample), periods=periods(sample), seed=seed)
    assert fa.history_to_json(stepper.history) == fa.history_to_json(after.metas[0].history)
    for name, stream in sample.streams.items():
        changed, taken = after[name], 0
        untouched = changed is stream and type(pipeline) is not fa.Compose
        for item, time in enumerate(stream.capture_times.tolist()[: 1 if untouched else None]):
            given = one(values(stream, item), isinstance(stream, ImageStream))
            before = {c: v.copy() for c, v in given.items()}
            read = stepper.read(name, time, given)
            assert all(np.array_equal(before[c], given[c], equal_nan=True) for c in given)  # input stays
            if read is None:
                continue
            expected = one(values(changed, taken), isinstance(stream, ImageStream))
            assert set(read) == set(expected)
            for column, value in expected.items():
                assert read[column].dtype == value.dtype
                assert read[column].tobytes() == value.tobytes(), (name, column, item)
            told = stepper.stamps(name, time)
            assert told == (int(changed.capture_times[taken]), int(changed.arrival_times[taken]))
            taken += 1
        assert untouched or taken == len(changed)


def sensor_transforms() -> list[str]:
    fa.Compose  # noqa: B018  (loads the transforms)
    return [n for n, c in own_transforms().items() if c.__module__.split(".")[2] in PACKAGES]


def cases() -> list[tuple[str, torch.dtype]]:
    """Each with its recorded type of numbers, and those of signals with float32, too."""
    names = [n for n in sensor_transforms() if of_the_robot(n)]
    signals = [n for n in names if not issubclass(own_transforms()[n], Photometric)]
    return [(n, torch.float64) for n in names] + [(n, torch.float32) for n in signals]


def of_the_robot(name: str) -> bool:
    """Whether the arm's recording has anything for it."""
    kind = own_transforms()[name].__module__.split(".")[-1]
    return kind not in ("scanners", "radars", "scan")


def walk(name: str, dtype: torch.dtype) -> None:
    """Compare a transform's example on the arm's recording, or find it on the list of what is refused."""
    cls = own_transforms()[name]
    more = {"cameras": ("front", "wrist")} if issubclass(cls, Photometric) else OF_THE_ARM.get(name, {})
    transform = cls(**{**cls.example, **more})
    sample = recording(dtype)
    try:
        Stepper(transform, template(sample), periods=periods(sample), seed=3)
    except fa.ConfigError as error:
        assert name in REFUSED and name in str(error) and REFUSED[name] in str(error), error
    else:
        assert name not in REFUSED
        compare(transform, sample)
        after = transform(sample, seed=3)
        assert (name in WITHOUT_DATA) == all(after[n] is s for n, s in sample.streams.items())


@pytest.mark.parametrize(("name", "dtype"), cases())
def test_walk(name: str, dtype: torch.dtype) -> None:
    walk(name, dtype)


def noisy() -> fa.Compose:
    """Many of them in a row, with containers and gates."""
    return fa.Compose([
        fa.KinematicNoise(joint_deg=[-0.3, 0.3], joint=[-0.001, 0.001], hand_eye=[-0.002, 0.002]),
        fa.SensorBias(gyro_noise=1e-3, gyro_walk=1e-2, accel_noise=1e-2, accel_walk=0.1),
        fa.SensorBias(force_noise=0.01, force_walk=0.1),
        fa.RandomApply([fa.TorqueNoise(sigma=[0.1, 0.3])], p=0.5),
        fa.OneOf([fa.TaxelGain(sigma=0.1), fa.TaxelDropout(share=0.2)]),
        fa.TaxelCrosstalk(share=0.2),
        fa.ImuSaturation(accel=9.0),
        fa.ClockOffset(offset=0.01, sensors=["imu", "wrench"]),
        fa.SensorBias(gyro_noise=1e-3, torque_noise=0.1, name="again"),
        fa.Latency(delay=[0.0, 0.1]),
        fa.Jitter(sigma=0.02),
        fa.Jitter(sigma=0.02),
    ])  # fmt: skip


def only(sample: fa.Sample, *names: str) -> fa.Sample:
    return sample.with_streams({n: sample[n] for n in names})


@pytest.mark.parametrize("seed", range(2))
def test_a_pipeline_of_many(seed: int) -> None:
    """Two thousand readings, so that noise goes over several blocks."""
    sample = whole()
    streams = {n: replace(sample[n], receive_times=None) for n in SIGNALS}
    rows = torch.arange(600)
    streams["joint_states"], streams["wrench"] = (streams[n].take_items(rows) for n in ("joint_states", "wrench"))
    compare(noisy(), sample.with_streams(streams), seed)


def test_rows_may_be_left_out_and_come_again() -> None:
    """Noise belongs to stamps: a reading has its own whatever was read before."""
    sample = only(whole(), "wrench")
    pipeline = fa.SensorBias(force_noise=0.01, force_walk=0.1)
    after, stepper = pipeline(sample, seed=1), Stepper(pipeline, template(sample), periods=2_000_000, seed=1)
    for item in (1500, 3, 700, 701, 0):
        columns = one(values(sample["wrench"], item), False)
        read = stepper.read("wrench", int(sample["wrench"].capture_times[item]), columns)
        assert read is not None
        assert read["force"].tobytes() == after["wrench"]["force"][item].numpy().tobytes()


def test_force_noise_of_a_wrench_alone() -> None:
    """Without efforts and pads that would follow, it is noise like any other."""
    sample = only(recording(), "wrench", "imu")
    compare(fa.Compose([fa.ClockOffset(offset=0.01), fa.ForceNoise(force=0.5, torque=0.05)]), sample)
    with pytest.raises(fa.ConfigError, match=r"ForceNoise.*'taxel_left'.*in the world"):
        Stepper(fa.ForceNoise(), template(only(recording(), "wrench", "taxel_left")), periods=2_000_000)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_efforts_follow_a_force_on_the_hand(dtype: torch.dtype) -> None:
    """By the Jacobian at the true readings, whatever is reported of them; a wrench at other stamps is refused."""
    sample = only(recording(dtype), "joint_states", "wrench")
    rig = with_readings(sample.rig, sample.streams)  # as float32 has them
    sample = sample.with_meta(0, rig=rig, true_rig=rig)
    steps = [fa.KinematicNoise(joint_deg=1.0), fa.ForceNoise(force=0.5, torque=0.05), fa.TorqueNoise(sigma=0.1)]
    compare(fa.Compose(steps), sample)
    first = template(sample)
    late = first["wrench"].capture_times + 1_000_000
    moved = first.with_streams({**first.streams, "wrench": replace(first["wrench"], capture_times=late)})
    with pytest.raises(fa.ConfigError, match=r"ForceNoise.*'joint_states'.*not read at its stamps"):
        Stepper(fa.ForceNoise(), moved, periods=2_000_000)


def test_other_seeds_and_samples_draw_otherwise() -> None:
    sample = template(only(recording(), "imu"))
    pipeline, drawn = fa.SensorBias(accel_noise=0.1), []
    other = sample.with_meta(0, id="another")
    for seed, one_of in ((0, sample), (1, sample), (0, other)):
        stepper = Stepper(pipeline, one_of, periods=4_000_000, seed=seed)
        zeros = {c: torch.zeros(v.shape[1:]).numpy() for c, v in sample["imu"].values.items()}
        read = stepper.read("imu", int(sample["imu"].capture_times[0]), zeros)
        assert read is not None
        drawn.append(read["accel"].tobytes())
    assert len(set(drawn)) == 3


def test_a_dropped_sensor_reads_zeros() -> None:
    sample = only(recording(), "imu", "wrench", "front")
    dropout = fa.ModalityDropout(share=1.0, sensors=["imu", "front"])
    compare(fa.Compose([dropout, fa.SensorBias(gyro_noise=0.1)]), sample)


@pytest.mark.quick
def test_wrong_input_is_refused() -> None:
    """One sentence each, which names stream, field and remedy."""
    sample = only(recording(), "imu")
    first, stepper = template(sample), Stepper(fa.SensorBias(), template(sample), periods=4_000_000)
    start = int(first["imu"].capture_times[0])
    good = one(values(sample["imu"], 0), False)
    for match, name, time, columns in (
        ("no stream 'wheel'", "wheel", start, good),
        ("not a whole number of periods", "imu", start + 1, good),
        ("not a whole number of periods", "imu", start - 4_000_000, good),
        (r"'imu': expected .*gyro \(3,\).*got gyro", "imu", start, {"gyro": good["gyro"]}),
    ):
        with pytest.raises(fa.DataError, match=match):
            stepper.read(name, time, columns)
    with pytest.raises(fa.DataError, match="one reading"):
        Stepper(fa.SensorBias(), sample, periods=4_000_000)
    with pytest.raises(fa.DataError, match="period"):
        Stepper(fa.SensorBias(), first, periods={})
    with pytest.raises(fa.ConfigError, match=r"later/TimeWarp.*looks ahead"):
        Stepper(fa.Compose({"later": fa.RandomApply([fa.TimeWarp()], p=0.0)}), first, periods=4_000_000)
    with pytest.raises(fa.ConfigError, match="timesteps"):
        Stepper(fa.ImuSaturation(scope="timestep"), first, periods=4_000_000)
    for wrong, word in (({"span": 0.1}, "span"), ({"mode": "remove"}, "mode")):
        with pytest.raises(fa.ConfigError, match=f"ModalityDropout.*{word}: "):
            Stepper(fa.ModalityDropout(**wrong), first, periods=4_000_000)
    Stepper(fa.DropFrames(), first, periods=4_000_000)  # has nothing to do with it
    Stepper(fa.RateChange(sensors=["front"]), first, periods=4_000_000)


@pytest.mark.quick
def test_the_reported_rig_is_that_of_the_recorded_episode() -> None:
    """Mountings with their errors; the true rig stays."""
    sample = recording()
    noise = fa.KinematicNoise(hand_eye=[-0.01, 0.01], joint_deg=1.0)
    stepper, after = Stepper(noise, template(sample), periods=periods(sample), seed=2), noise(sample, seed=2)
    time = int(sample["imu"].capture_times[0])
    assert torch.equal(stepper.rig.T("hand", "imu", time), after.rig.T("hand", "imu", time))
    assert not torch.equal(stepper.rig.T("hand", "imu", time), sample.rig.T("hand", "imu", time))
    assert torch.equal(stepper.true_rig.T("hand", "imu", time), sample.rig.T("hand", "imu", time))
