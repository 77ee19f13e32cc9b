"""Rows and readings on a device, here the mock one: lost, moved and added ones as on the CPU, by the same draws."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from calib import WrenchSensor
from fusion_aug.core.device.compiled import compiled
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample.to_device import to_device
from fusion_aug.streams.ragged import FIRST_ADDED
from fusion_aug.testing import mock_device

ROBOT = ("joints", "wrench", "TOUCH_LEFT", "TOUCH_RIGHT", "imu")

VEHICLE = ("lidar", "radar", "boxes", "ego", "imu", "wheels")
CASES = {  # of rows and readings: the settings, by name
    "BeamDropout": {"share": 0.5}, "BoxPointDropout": {"share": 0.6, "boxes": 0.7}, "BoxPointJitter": {"sigma": 0.3},
    "DopplerFolding": {"max_doppler": 1.5}, "DroppedPackets": {"share": 0.4}, "GpsJump": {"distance": 5.0},
    "ImuSaturation": {"accel": 0.5, "gyro_deg": 20.0}, "IncompleteEcho": {"share": 0.7, "reflectivity": 0.5},
    "LidarCrosstalk": {"share": 0.3}, "RadarClutter": {"rate": 6.0}, "RadarGhosts": {"share": 0.6},
    "RadarInterference": {"noise_rise": 12.0, "rate": 5.0}, "RadarMissed": {"share": 0.6, "min_rcs": 2.0},
    "RadarNoise": {"range": 1.0, "azimuth": 1.0, "doppler": 1.0}, "RangeCrop": {"low": 5.0, "high": 25.0},
    "RangeJitter": {"sigma": 0.2}, "RcsNoise": {"sigma": 2.0, "bias": 1.0}, "ReducedView": {"view_deg": 120.0},
    "ScanMotionBlur": {"shift": 0.1, "tilt_deg": 1.0}, "SensorBias": {"gyro_noise": 0.01, "accel_walk": 0.1},
    "VoxelSubsample": {"size": 2.0},
}  # fmt: skip


@cache  # tests share it, and none may change it
def batch(names: tuple[str, ...] = VEHICLE, count: int = 3) -> fa.Sample:
    whole = fa.collate([make_sample(f"s{k}", seed=k, boxes=12, points=120, gels=False) for k in range(count)])
    return whole.with_streams({n: whole.streams[n] for n in names})


def assert_as_on_the_cpu(pipeline: fa.Transform, sample: fa.Sample, seed: int = 4) -> fa.Sample:
    """Run both ways; compare values, numbers of rows, times and records, and that nothing came back in between."""
    here = pipeline(sample, seed=seed).realized()
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        out = pipeline(there, seed=seed)
        assert not log.syncs and len(log.copies_in) <= 1
        out = out.to("cpu")
    assert_same_streams(here, out, exact=False)
    for name, stream in here.streams.items():
        assert torch.equal(stream.present, out[name].present), name
        assert torch.equal(stream.arrival_times, out[name].arrival_times), name
        if isinstance(stream, fa.Points):
            assert torch.equal(stream.row_keys, out[name].row_keys), name
    assert [m.history for m in here.metas] == [m.history for m in out.metas]
    return here


@pytest.mark.parametrize("name", CASES)
def test_rows_and_readings_change_as_on_the_cpu(name: str) -> None:
    sample = batch(count=2)
    transform = getattr(fa, name)(**CASES[name], p=0.5)
    pipeline = fa.Compose([fa.RotateScene(yaw_deg=20.0), fa.PointDropout(share=0.2), transform])
    seed = next(s for s in range(20) if gates(pipeline, sample, s) == 1)
    here = assert_as_on_the_cpu(pipeline, sample, seed)
    before = fa.Compose(list(pipeline.transforms)[:2])(sample, seed=seed).realized()
    with pytest.raises(AssertionError):
        assert_same_streams(before, here)


def gates(pipeline: fa.Transform, sample: fa.Sample, seed: int) -> int:
    return sum(m.history[-1].applied for m in pipeline(sample.with_streams({}), seed=seed).metas)


def test_rows_that_were_added_and_lost_go_through_further_transforms() -> None:
    pipeline = fa.Compose([  # p, so that rows of some samples alone are added to
        fa.RadarGhosts(share=0.5, p=0.5), fa.RadarMissed(share=0.3), fa.RadarClutter(rate=4.0), fa.RcsNoise(sigma=1.0),
        fa.MirrorScene(axis="y"), fa.RadarGhosts(share=0.5), fa.PointDropout(share=0.2), fa.RadarNoise(range=1.0),
        fa.LidarCrosstalk(share=0.2), fa.RangeJitter(sigma=0.1), fa.RadarInterference(noise_rise=5.0, rate=3.0),
    ])  # fmt: skip
    assert_as_on_the_cpu(pipeline, batch(count=2))


@pytest.mark.quick
@pytest.mark.parametrize("told", ["no twist", "unknown twist", "second ego"])
def test_radars_know_their_motion_by_what_there_is(told: str) -> None:
    sample = batch(count=2)
    ego = sample["ego"]
    unknown = ego.with_values(velocity=torch.full_like(ego["velocity"], math.nan))
    streams = {n: s for n, s in sample.streams.items() if n != "ego"}
    more = {"no twist": {}, "unknown twist": {"ego": unknown}, "second ego": {"ego": unknown, "ego/2": ego}}[told]
    pipeline = fa.Compose([fa.RadarNoise(azimuth=3.0, doppler=1.0), fa.RadarClutter(rate=5.0)])
    assert_as_on_the_cpu(pipeline, sample.with_streams({**streams, **more}))


@pytest.mark.quick
@pytest.mark.parametrize("left", [(), ("lidar",), ("boxes",)], ids=["none", "points alone", "boxes alone"])
def test_nothing_to_change_is_changed(left: tuple[str, ...]) -> None:
    sample = batch(count=1)
    bare = {
        n: s.select(torch.zeros(s.rows, dtype=torch.bool)) for n, s in sample.streams.items()
        if n in ("lidar", "radar", "boxes") and n not in left
    }  # fmt: skip
    pipeline = fa.Compose([*(getattr(fa, n)(**s) for n, s in CASES.items()), fa.RadarClutter(rate=4.0, name="last")])
    out = assert_as_on_the_cpu(pipeline, sample.with_streams({**sample.streams, **bare}))
    assert out["radar"].rows == int((out["radar"].row_keys >= FIRST_ADDED).sum()) > 0  # what no scan has measured


@pytest.mark.quick
def test_points_are_shuffled_before_any_is_lost() -> None:
    sample = batch(("lidar", "radar"))
    assert_as_on_the_cpu(fa.Compose([fa.ShufflePoints(), fa.PointDropout(share=0.3)]), sample)
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        with pytest.raises(DataError, match="ShufflePoints: points of 'lidar' may have been lost"):
            fa.Compose([fa.PointDropout(share=0.3), fa.ShufflePoints()])(there, seed=1)
        assert not log.launches and not log.syncs and not log.copies_in  # it was planned, and nothing ran


def test_operators_do_not_grow_with_the_batch() -> None:
    chosen = ("BoxPointDropout", "RadarGhosts", "RadarInterference", "RangeCrop", "VoxelSubsample", "LidarCrosstalk")
    pipeline = fa.Compose([getattr(fa, n)(**CASES[n]) for n in chosen])
    found = []
    for count in (1, 2):
        with mock_device() as log:
            there = batch(count=count).to(log.device)
            log.clear()
            pipeline(there, seed=1)
            found.append(len(log.launches))
    assert found[0] == found[1]


@pytest.mark.quick
def test_clouds_of_several_scanners_keep_their_own_origins() -> None:
    sample = batch(("lidar", "ego"), 2)
    cloud = sample["lidar"]
    which = torch.arange(cloud.rows) % 2
    two = fa.Lidar(**{
        **{n: getattr(cloud, n) for n in ("frame", "capture_times", "sample_index", "offsets")},
        "values": {**cloud.values, "origin": which}, "origins": ("lidar", "radar"),
    })  # fmt: skip
    pipeline = fa.Compose([fa.RangeCrop(low=4.0, high=22.0), fa.RangeJitter(sigma=0.3), fa.DroppedPackets(share=0.3)])
    assert_as_on_the_cpu(pipeline, sample.with_streams({**sample.streams, "lidar": two}))


@pytest.mark.quick
@pytest.mark.parametrize("transform", [
    fa.SensorBias(gyro_noise=0.01, force_noise=0.1, torque_walk=0.1), fa.TorqueNoise(sigma=0.3),
    fa.TaxelDropout(share=0.5), fa.TaxelGain(sigma=0.3), fa.TaxelCrosstalk(share=0.2),
], ids=lambda t: type(t).__name__)  # fmt: skip
def test_readings_of_robots(transform: fa.Transform) -> None:
    sample = batch(ROBOT, 2)
    wrench = sample["wrench"]
    gone = torch.arange(len(wrench)) == 3
    lost = wrench.with_values(**{n: torch.where(gone[:, None], 0.0, v) for n, v in wrench.values.items()})
    lost = fa.Wrench(frame=wrench.frame, values=lost.values, capture_times=wrench.capture_times,
                     sample_index=wrench.sample_index, present=~gone)  # fmt: skip
    assert_as_on_the_cpu(transform, sample.with_streams({**sample.streams, "wrench": lost}))


@pytest.mark.quick
def test_scenes_of_robots_and_maps_move() -> None:
    sample = batch((*ROBOT, "map", "tip", "wheels", "waypoints", "skeleton"), 2)
    pipeline = fa.Compose([
        fa.RotateScene(yaw_deg=20.0), fa.MirrorScene(axis="y", p=0.5), fa.ScaleScene(scale=1.2),
        fa.TranslateScene(x=1.0, p=0.5), fa.TorqueNoise(sigma=0.1), fa.MirrorScene(axis="y", name="again", p=0.5),
    ])  # fmt: skip
    here = [assert_as_on_the_cpu(pipeline, sample, seed) for seed in (1, 3)]
    mirrored = {m.history[k].applied for out in here for m in out.metas for k in (1, 5)}
    assert mirrored == {True, False}
    assert any((out["map"]["side"] != sample["map"]["side"]).any() for out in here)


@pytest.mark.parametrize("transform", [fa.ForceNoise(force=0.5), fa.PushDisturbance(peak=5.0)], ids=["noise", "push"])
def test_forces_on_the_hand_need_a_sign_and_no_taxels(transform: fa.Transform) -> None:
    sample = batch(ROBOT, 2)
    bare = sample.with_streams({n: s for n, s in sample.streams.items() if "TOUCH" not in n})
    signed = bare
    for u, meta in enumerate(bare.metas):
        rig = meta.rig.with_sensor("wrench", WrenchSensor(frame=bare["wrench"].frame, of="tool"))
        signed = signed.with_meta(u, rig=rig, true_rig=rig)
    here = assert_as_on_the_cpu(transform, signed)
    assert not torch.equal(here["joints"]["effort"], bare["joints"]["effort"])
    with mock_device() as log:
        for refused, why in ((bare, "with wrench .*of: tool"), (sample, r"\(TOUCH_LEFT, TOUCH_RIGHT\)")):
            with pytest.raises(ConfigError, match=why):
                transform(refused.to(log.device), seed=1)


@pytest.mark.quick
@pytest.mark.parametrize("transform", [
    fa.Latency(delay=0.1, p=0.5), fa.Jitter(sigma=0.01, p=0.5), fa.ClockOffset(offset=0.02, p=0.5),
    fa.DropFrames(share=0.6, p=0.5), fa.TemporalMask(seconds=0.06), fa.TemporalCrop(seconds=0.05, p=0.5),
], ids=lambda t: type(t).__name__)  # fmt: skip
def test_times_and_items(transform: fa.Transform) -> None:
    sample = batch(("lidar", "radar", "CAM_FRONT", "imu", "ego", "joints"))
    here = [transform(sample, seed=s) for s in range(4)]
    seed = next(s for s, out in enumerate(here) if any(out[n] is not sample[n] for n in out.streams))
    assert_as_on_the_cpu(fa.Compose([transform, fa.PointDropout(share=0.1)]), sample, seed)


def edited(sample: fa.Sample) -> fa.Sample:
    """Rows that were lost, columns of a user's own, rows that a user leaves out, and transforms after them."""
    lost = fa.Compose([fa.PointDropout(share=0.3), fa.RadarClutter(rate=3.0)])(sample, seed=1)
    cloud = lost["lidar"].with_values(intensity=lost["lidar"]["intensity"] * 0.5)
    cloud = cloud.select(cloud["intensity"] > 0.1)
    own = {"lidar": cloud, **{n: lost[n].with_values(**{c: lost[n][c] * 2}) for n, c in MINE}}
    return fa.Compose([fa.RotateScene(yaw_deg=9.0), fa.PointDropout(share=0.3), fa.RadarGhosts(share=0.5)])(
        lost.with_streams({**lost.streams, **own}), seed=2
    )


MINE = (("radar", "rcs"), ("boxes", "size"), ("imu", "gyro"))


@pytest.mark.quick
def test_columns_that_a_user_changes_there_stay_there_with_marks_and_numbers() -> None:
    sample = batch(count=2)
    lost, here = fa.PointDropout(share=0.5)(sample, seed=1), edited(sample).realized()
    with mock_device() as log:
        there = sample.to(log.device)
        out = edited(there)
        assert (
            not log.syncs
            and not out["lidar"]["xyz"].is_cpu
            and there["lidar"].values.block.names == tuple(sample["lidar"].values)
        )
        out, numbers = out.to("cpu"), lost.to(log.device)["lidar"].row_keys.cpu()
        for wrong in (sample["lidar"]["ring"], there["lidar"]["ring"][:7]):
            with pytest.raises(DataError, match="column 'ring': expected 480 rows on"):
                there["lidar"].with_values(ring=wrong)
        with pytest.raises(DataError, match="matches: the values of 'lidar' lie on a device"):
            fa.matches(there, there).points("lidar")
        with pytest.raises(DataError, match="some samples lie on a device and some do not"):
            fa.collate([there.take([0]), sample.take([1])])
        with pytest.raises(DataError, match=r"came to a device apart, .* are not joined there"):
            fa.collate([sample.take([k]).to(log.device) for k in (0, 1)])
    assert_same_streams(here, out, exact=False)
    assert all(torch.equal(here[n].row_keys, out[n].row_keys) for n in ("lidar", "radar"))
    assert torch.equal(numbers, lost["lidar"].row_keys)


@pytest.mark.quick
def test_values_of_single_precision_are_as_good() -> None:
    sample = batch(("lidar", "boxes", "imu", "ego"), 2)
    single = {n: sample["boxes"][n].float() for n in ("pose", "size", "velocity")}
    ego = sample["ego"].with_values(pose=sample["ego"]["pose"].float())
    own = {**sample.streams, "boxes": sample["boxes"].with_values(**single), "ego": ego}
    pipeline = fa.Compose([fa.BoxPointDropout(share=0.5), fa.GpsJump(distance=5.0)])
    out = assert_as_on_the_cpu(pipeline, sample.with_streams(own))["ego"]
    assert out["pose"].dtype == torch.float32 and not torch.allclose(out["pose"], ego["pose"], atol=1.0)


@pytest.mark.slow
def test_points_in_boxes_are_found_when_compiled() -> None:
    sample, pipeline = batch(("lidar", "boxes"), 2), fa.BoxPointDropout(share=0.6)
    there = sample.with_streams(to_device(sample.streams, torch.device("cpu")))
    assert_same_streams(pipeline(sample, seed=3), compiled(pipeline, backend="eager")(there, seed=3).to("cpu"))


@pytest.mark.quick
def test_the_taker_of_beams_stays_refused() -> None:
    with mock_device() as log, pytest.raises(ConfigError, match=r"no rule for RingResample \(lidar\)"):
        fa.RingResample(beams=16)(batch().to(log.device), seed=1)
