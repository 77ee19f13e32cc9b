"""Mismatches: their labels, in records and as tensors, and samples that are put right again."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from generic import assert_same_streams
from samples import make_batch, make_sample
from scipy.spatial.transform import Rotation

import fusion_aug as fa
from calib.trajectory import Trajectory
from fusion_aug.transforms.mix.mismatch_words import changeable, with_word

AFTERWARDS = [fa.RotateScene(yaw_deg=25), fa.MirrorScene(), fa.ResizeCrop(size=(36, 50), scale=1.1)]


def same_rig(a: fa.Sample, b: fa.Sample) -> bool:
    """Whether two samples are reported alike, to the last bit, at every time that is known."""
    if a.rig is b.rig:
        return True
    for name, frame in a.rig.frames.items():
        mine, other = frame.pose, b.rig.frames[name].pose
        pairs = [(mine, other)] if isinstance(mine, torch.Tensor) else [(mine.times, other.times)]
        pairs += [] if isinstance(mine, torch.Tensor) else [(mine.known(), other.known())]
        if not all(torch.equal(p, q) for p, q in pairs):
            return False
    return a.rig.sensors.keys() == b.rig.sensors.keys()


def assert_same(a: fa.Sample, b: fa.Sample) -> None:
    assert_same_streams(a, b)
    assert all((a[n].clock_offset is None) == (b[n].clock_offset is None) for n in a.streams)
    assert same_rig(a, b) and a.history == b.history


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["time", "extrinsics", "word"])
def test_realigned_samples_are_what_they_were(kind: str) -> None:
    for seed in range(4):
        sample = make_sample(gels=False)
        out = fa.Mismatch(kinds=[kind], sensors=["CAM*", "lidar", "radar", "joints", "caption"])(sample, seed=seed)
        assert fa.realign(out).rig is sample.rig
        assert_same(fa.realign(out), sample)


@pytest.mark.parametrize("kind", ["time", "extrinsics", "word"])
def test_what_was_done_afterwards_stays(kind: str) -> None:
    """Mirrors swap sensors, frames, words and the sense of turns in between."""
    wrong = fa.Mismatch(kinds=[kind], sensors=["CAM*", "caption"])
    for seed in range(3):
        sample = make_sample(gels=False)
        out = fa.Compose([wrong, *AFTERWARDS])(sample, seed=seed)
        right = fa.Compose(AFTERWARDS)(sample, seed=seed)
        assert_same(fa.realign(out), right)
        assert_same(fa.realign(out, original=sample), right)


@pytest.mark.quick
def test_times_are_wrong_by_what_the_label_says() -> None:
    sample = make_sample(gels=False)
    out = fa.Mismatch(kinds=["time"], sensors=["CAM_LEFT"], seconds=0.15)(sample, seed=3)
    (label,) = fa.misalignments(out.history)
    assert label.kind == "time" and label.sensor == "CAM_LEFT" and abs(label.seconds) == 0.15
    moved = out["CAM_LEFT"].capture_times - sample["CAM_LEFT"].capture_times
    assert moved.tolist() == [round(label.seconds * 1e9)]
    assert torch.equal(out["CAM_LEFT/mask"].capture_times, out["CAM_LEFT"].capture_times)  # a mask goes with it
    assert torch.equal(out["CAM_LEFT"].true_capture_times, sample["CAM_LEFT"].capture_times)
    assert out["CAM_RIGHT"] is sample["CAM_RIGHT"]
    # the reported place of the camera is that of the vehicle then, though nothing was recorded so far on
    T = out.T_ref("CAM_LEFT")
    there = sample.T_ref("CAM_LEFT")
    assert 0.4 * 6.0 * 0.15 < float((T - there)[:3, 3].norm()) < 2.0 * 6.0 * 0.15  # at 6 m/s, on a curve
    assert torch.equal(out.T_ref("CAM_LEFT", true_rig=True), sample.T_ref("CAM_LEFT", true_rig=True))


@pytest.mark.quick
def test_mountings_are_turned_by_what_the_label_says() -> None:
    sample = make_sample(gels=False)
    out = fa.Mismatch(kinds=["extrinsics"], sensors=["CAM_RIGHT"], degrees=1.25)(sample, seed=1)
    (label,) = fa.misalignments(out.history)
    was, now = (s.rig.frames["CAM_RIGHT"].pose.numpy() for s in (sample, out))
    turn = Rotation.from_matrix(was[:3, :3].T @ now[:3, :3]).as_rotvec(degrees=True)
    assert np.allclose(turn, 1.25 * np.array(label.axis), atol=1e-9) and np.array_equal(was[:3, 3], now[:3, 3])
    assert out.true_rig is sample.rig
    targets = fa.misalignment_targets(out, ["CAM_LEFT", "CAM_RIGHT"])
    assert np.allclose(targets["rotation_deg"][0, 1], turn, atol=1e-6) and targets["misaligned"].tolist() == [True]
    assert not targets["rotation_deg"][0, 0].any() and not targets["seconds"].any()


def test_targets_after_a_mirror_are_measured_there() -> None:
    """A mirrored axis turns the other way, and the sensor is called by its partner's name."""
    sample = make_sample(gels=False)
    wrong = fa.Mismatch(kinds=["extrinsics"], sensors=["CAM_RIGHT"], degrees=2.0, name="wrong")
    before = fa.misalignment_targets(wrong(sample, seed=1), ["CAM_RIGHT"])["rotation_deg"][0, 0]
    out = fa.Compose([wrong, fa.MirrorScene(axis="y")])(sample, seed=1)
    (label,) = fa.misalignments(out.history)
    assert label.sensor == "CAM_LEFT"
    after = fa.misalignment_targets(out, ["CAM_LEFT", "CAM_RIGHT"])["rotation_deg"][0]
    # an axial vector under a mirror of x
    assert torch.allclose(after[0], before * torch.tensor([1.0, -1.0, -1.0]), atol=1e-5) and not after[1].any()


@pytest.mark.quick
def test_words_are_changed_to_others_of_their_kind() -> None:
    assert changeable("Turn LEFT at the Red car", [("left", "right"), ("red", "blue")]) == [
        (1, ["RIGHT"]),
        (4, ["Blue"]),
    ]
    assert with_word("Turn left, then right.", 1, "right") == "Turn right, then right."
    sample = make_sample(gels=False)
    out = fa.Mismatch(kinds=["word"], words=[["car", "bus"]])(sample, seed=0)
    (label,) = fa.misalignments(out.history)
    assert (label.was, label.now) == ("car", "bus")
    assert out["caption"]["text"].tolist() == ["Turn left at the bus on the right"]
    assert fa.misalignment_targets(out, ["lidar"])["word_changed"].tolist() == [True]


def test_batches_have_the_labels_of_their_samples() -> None:
    batch = make_batch(4)
    wrong = fa.Mismatch(kinds=["time", "extrinsics", "word"], sensors=["CAM*", "lidar", "caption"])
    out = wrong(batch, seed=5)
    sensors = ["CAM_FRONT", "CAM_LEFT", "CAM_RIGHT", "lidar"]
    targets = fa.misalignment_targets(out, sensors)
    for u in range(4):
        alone = fa.misalignment_targets(wrong(batch.take([u]), seed=5), sensors)
        for name in ("seconds", "rotation_deg", "foreign", "word_changed", "misaligned"):
            assert torch.equal(targets[name][u : u + 1], alone[name]), name
        (label,) = fa.misalignments(out.metas[u].history)
        if label.kind in ("time", "extrinsics") and label.sensor in sensors:
            at = sensors.index(label.sensor)
            assert math.isclose(float(targets["seconds"][u, at]), label.seconds, rel_tol=1e-6)
            assert math.isclose(float(targets["rotation_deg"][u, at].norm()), label.degrees, rel_tol=1e-5)
    dense = fa.to_dense(out.take([0]), cameras=["CAM_FRONT"])
    assert dense["ids"] == [batch.metas[0].id]


def test_a_sensor_that_shows_another_sample() -> None:
    mine, other = (make_sample(f"s{i}", seed=i, gels=False) for i in range(2))
    donors = {"donors": fa.Donors([mine, other])}
    out = fa.Compose([fa.MismatchScene(sensors=["CAM_LEFT"]), fa.FlipImage()])(mine, seed=2, resources=donors)
    (label,) = fa.misalignments(out.history)
    assert (label.kind, label.sensor, label.donor) == ("scene", "CAM_LEFT", "s1")
    plain = fa.MismatchScene(sensors=["CAM_LEFT"])(mine, seed=2, resources=donors)
    for name in ("CAM_LEFT", "CAM_LEFT/mask"):
        assert torch.equal(plain[name].image(0), other[name].image(0))
        assert torch.equal(plain[name].capture_times, mine[name].capture_times)
    assert all(plain[n] is mine[n] for n in mine.streams if not n.startswith("CAM_LEFT"))
    assert fa.misalignment_targets(out, ["CAM_RIGHT", "CAM_LEFT"])["foreign"].tolist() == [[False, True]]
    with pytest.raises(fa.DataError, match="original="):
        fa.realign(out)
    assert_same(fa.realign(out, original=mine), fa.FlipImage()(mine, seed=2))
    with pytest.raises(fa.DataError, match="'s1', and the sample is 's0'"):
        fa.realign(out, original=other)


@pytest.mark.quick
def test_refusals() -> None:
    sample = make_sample(gels=False)
    for wrong in ({"kinds": ["scene"]}, {"kinds": []}, {"words": [["one"]]}, {"words": "left"}):
        with pytest.raises(fa.ConfigError, match=r"Mismatch\.(kinds|words)"):
            fa.Mismatch(**wrong)
    with pytest.raises(fa.DataError, match="names no sensor"):
        fa.Mismatch(sensors=["SONAR"])(sample)
    with pytest.raises(fa.DataError, match="no sentence"):
        fa.Mismatch(kinds=["word"], words=[["up", "down"]])(sample)
    # a label must be all that is wrong
    twice = fa.Compose(
        [fa.Miscalibrate(sensors=["CAM_LEFT"], x_deg=1.0), fa.Mismatch(kinds=["extrinsics"], sensors=["CAM_LEFT"])]
    )
    with pytest.raises(fa.DataError, match="wrong already"):
        twice(sample)
    late = fa.Compose([fa.Mismatch(kinds=["time"], sensors=["lidar"]), fa.ClockOffset(offset=0.02, sensors=["lidar"])])
    with pytest.raises(fa.DataError, match="changed after"):
        fa.realign(late(sample, seed=1))
    turned = fa.Compose(
        [fa.Mismatch(kinds=["extrinsics"], sensors=["CAM_LEFT"]), fa.Miscalibrate(sensors=["CAM_LEFT"], x_deg=1.0)]
    )
    with pytest.raises(fa.DataError, match="changed after"):
        fa.realign(turned(sample, seed=1))
    with pytest.raises(fa.DataError, match="SONAR"):
        fa.misalignment_targets(sample, ["SONAR"])


@pytest.mark.quick
def test_motion_goes_on_beyond_what_was_recorded() -> None:
    """On a straight road at a steady speed the reported place is exactly that of the vehicle at the reported time."""
    sample = make_sample(gels=False)
    pose = sample.rig.frames["ego"].pose
    step = torch.eye(4, dtype=torch.float64).repeat(len(pose.times), 1, 1)
    step[:, 0, 3] = (pose.times - pose.times[0]).double() * 1e-9 * 20.0
    rig = sample.rig.with_pose("ego", Trajectory(pose.times, step))
    sample = sample.with_meta(0, rig=rig, true_rig=rig)
    out = fa.Mismatch(kinds=["time"], sensors=["CAM_FRONT"], seconds=0.5)(sample, seed=0)
    (label,) = fa.misalignments(out.history)
    gone = (out.T_ref("CAM_FRONT") - sample.T_ref("CAM_FRONT"))[:3, 3]
    assert torch.allclose(gone, torch.tensor([20.0 * label.seconds, 0.0, 0.0], dtype=torch.float64), atol=1e-9)
