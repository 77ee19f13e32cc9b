"""Batches on a device that are unlike most: mixed types, streams without rows, values in part elsewhere, copies."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from calib import Frame, RadarSensor, Rig
from calib.se3 import rotation_about, se3
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.streams import strings
from fusion_aug.streams.dropped import with_dropped
from fusion_aug.testing import mock_device

pytestmark = pytest.mark.quick


def batch(*names: str, count: int = 2, **settings) -> fa.Sample:
    samples = [make_sample(f"s{k}", seed=k, gels=False, points=60, **settings) for k in range(count)]
    whole = fa.collate(samples)
    return whole.with_streams({n: whole.streams[n] for n in names or whole.streams})


def as_on_the_cpu(sample: fa.Sample, pipeline: fa.Transform, seed: int = 1) -> fa.Sample:
    here = pipeline(sample, seed=seed).realized()
    with mock_device() as log:
        there = pipeline(sample.to(log.device), seed=seed)
        assert not log.syncs
        tight, out = there.compact().to("cpu"), there.to("cpu")
    for back in (out, tight):
        assert_same_streams(here, back, exact=False)
    return here


@pytest.mark.parametrize("device", ["ipu", "nonsense", None], ids=str)
def test_a_device_that_is_not_there_is_refused_in_a_sentence(device: object) -> None:
    with pytest.raises(ConfigError, match=rf"batch\.to: torch has no device {device!r} here \(.+\); 'cpu' is always"):
        batch("imu").to(device)  # type: ignore[arg-type]


def test_from_a_device_without_values_nothing_comes_back() -> None:
    there = batch("imu", "CAM_FRONT").to("meta")  # shapes alone, with which devices are not mixed either
    assert there["imu"].capture_times.is_cpu and there["imu"]["gyro"].device.type == "meta"
    for name in there.streams:
        with pytest.raises(DataError, match="'meta' holds no values that could be brought back"):
            there.with_streams({name: there[name]}).to("cpu")


def test_a_batch_is_copied_on_its_device() -> None:
    sample = batch("lidar", "CAM_FRONT", "CAM_LEFT", "boxes")
    with mock_device() as log:
        there = fa.PointDropout(share=0.3)(sample.to(log.device), seed=1)
        log.clear()
        twins = there.clone(), copy.deepcopy(there)
        assert not log.syncs and not log.copies_in
        for twin in twins:
            assert twin["CAM_FRONT"].items[0].block is twin["CAM_LEFT"].items[0].block
            assert twin["CAM_FRONT"].items[0].block is not there["CAM_FRONT"].items[0].block
            moved = fa.MirrorScene(axis="y")(twin, seed=1).to("cpu")
            assert_same_streams(fa.MirrorScene(axis="y")(there.to("cpu"), seed=1), moved, exact=False)
        for ask in (twins[0].pin_memory, lambda: twins[0].project("lidar", "CAM_FRONT")):
            with pytest.raises(DataError, match=r"lie on a device; bring them back first with batch\.to\('cpu'\)"):
                ask()


def test_pictures_of_several_types_in_one_stream_keep_theirs() -> None:
    sample = batch("CAM_FRONT")
    own = sample["CAM_FRONT"]
    mixed = replace(own, items=(own.items[0].float() / 255, own.items[1]))
    pipeline = fa.Compose([fa.Brightness(factor=0.8), fa.Resize(size=(30, 50)), fa.Gamma(gamma=1.2)])
    out = as_on_the_cpu(sample.with_streams({"CAM_FRONT": mixed}), pipeline)["CAM_FRONT"]
    assert out.image(0).dtype == torch.float32 and float(out.image(0).max()) <= 1 and out.image(1).dtype == torch.uint8


def test_boxes_and_points_in_pictures_may_be_none() -> None:
    sample = batch("CAM_RIGHT", "CAM_RIGHT/flat", "CAM_FRONT", boxes=0)
    front = {"frame": "CAM_FRONT", "camera": "CAM_FRONT", "capture_times": sample["CAM_FRONT"].capture_times,
             "sample_index": sample["CAM_FRONT"].sample_index}  # fmt: skip
    none = {"pixel": torch.zeros(0, 2), "name": strings([])}
    points = fa.Keypoints2D(**front, values=none, offsets=torch.zeros(3, dtype=torch.int64))
    sample = sample.with_streams({**sample.streams, "CAM_FRONT/points": points})
    pipeline = fa.Compose([fa.MirrorScene(axis="y"), fa.ResizeCrop(size=(30, 40), scale=0.8)])
    assert as_on_the_cpu(sample, pipeline)["CAM_LEFT/flat"].rows == 0
    turned = sample.with_streams({n: sample.streams[n] for n in ("CAM_FRONT", "CAM_FRONT/points")})
    as_on_the_cpu(turned, fa.Viewpoint(y_deg=3.0))


@pytest.mark.parametrize("kind", [torch.uint16, torch.uint32], ids=str)
def test_columns_of_types_that_torch_only_moves(kind: torch.dtype) -> None:
    sample = batch("lidar", "radar", "ego")
    cloud, radar = sample["lidar"], sample["radar"]
    own = {
        "lidar": cloud.with_values(ring=cloud["ring"].to(kind)),
        "radar": radar.with_values(flags=radar["flags"].to(kind)),
    }
    drops = [fa.PointDropout(share=0.3), fa.BeamDropout(share=0.2), fa.RadarGhosts(share=0.5), fa.RadarClutter(rate=3)]
    out = as_on_the_cpu(sample.with_streams({**sample.streams, **own}), fa.Compose([fa.ShufflePoints(), *drops]))
    assert out["lidar"]["ring"].dtype == out["radar"]["flags"].dtype == kind and 0 < out["lidar"].rows < cloud.rows


def test_masks_of_16_bits_are_mapped_in_part() -> None:
    sample = batch("CAM_LEFT", "CAM_LEFT/mask")
    own = sample["CAM_LEFT/mask"]
    deep = replace(own, items=tuple(p.to(torch.uint16) * 3000 for p in own.items))
    mapped = fa.Compose([fa.Resize(size=(30, 40), p=0.5), fa.MirrorScene(axis="y", p=0.5)])
    seed = next(s for s in range(20) if [m.history[0].applied for m in mapped(sample, seed=s).metas] == [True, False])
    as_on_the_cpu(sample.with_streams({"CAM_LEFT/mask": deep, "CAM_LEFT": sample["CAM_LEFT"]}), mapped, seed)


def test_tables_of_pictures_that_came_to_one_size_there() -> None:
    sizes = [(48, 64), (40, 56)]
    samples = [make_sample(f"s{k}", seed=k, size=size, gels=False) for k, size in enumerate(sizes)]
    whole = fa.collate([s.with_streams({n: s.streams[n] for n in ("CAM_FRONT", "CAM_LEFT")}) for s in samples])
    pipeline = fa.Compose([fa.ResizeCrop(size=(32, 40), scale=0.8), fa.ModalityDropout(share=0.4)])
    here = fa.to_dense(pipeline(whole, seed=2))
    assert not here["image_mask"].all() and here["image_mask"].any()
    with mock_device() as log:
        there = fa.to_dense(pipeline(whole.to(log.device), seed=2))
        assert not log.syncs
        images, mask = there["images"].cpu(), there["image_mask"].cpu()
    assert torch.equal(mask, here["image_mask"]) and images.shape == here["images"].shape
    apart = (images.int() - here["images"].int()).abs()
    assert int(apart.max()) <= 1 and not images[~mask].any()


def test_what_lies_elsewhere_is_not_left_out_in_silence() -> None:
    sample = batch("CAM_FRONT", "CAM_FRONT/depth", "ego", "lidar")
    blur, shadow = fa.EgoMotionBlur(exposure=0.1), fa.Shadow(**fa.Shadow.example)
    with mock_device() as log:
        there = sample.to(log.device)
        for left, transform, message in (
            ("ego", blur, "EgoMotionBlur: the ego pose 'ego' lies on the host"),
            ("lidar", shadow, "Shadow: clouds that tell where the ground is do not lie together"),
        ):
            with pytest.raises(DataError, match=message):
                transform(there.with_streams({**there.streams, left: sample[left]}), seed=1)


def alone(sample: fa.Sample) -> fa.Sample:
    """Samples of a vehicle that knows no world, so that an ego pose alone can tell how it moves."""
    for u, meta in enumerate(sample.metas):
        frames = {n: f for n, f in meta.rig.frames.items() if n in ("lidar", "CAM_FRONT")}
        sensors = {n: s for n, s in meta.rig.sensors.items() if n in ("lidar", "CAM_FRONT")}
        rig = Rig({"ego": Frame(), **frames}, sensors)
        sample = sample.with_meta(u, rig=rig, true_rig=rig)
    return sample


def test_a_motion_that_nobody_knows_does_not_pass_for_none() -> None:
    sample, blur = alone(batch("CAM_FRONT", "CAM_FRONT/depth", "ego")), fa.EgoMotionBlur(exposure=0.1)
    blurred = as_on_the_cpu(sample, blur)
    assert not torch.equal(blurred["CAM_FRONT"].image(0), sample["CAM_FRONT"].image(0))
    unknown = sample["ego"].with_values(velocity=torch.full_like(sample["ego"]["velocity"], math.nan))
    lost = sample.with_streams({**sample.streams, "ego": unknown})
    with pytest.raises(DataError, match="the motion of the camera is unknown"):
        blur(lost, seed=1).realized()
    with mock_device() as log, pytest.raises(DataError, match="the motion of the camera is unknown"):
        blur(lost.to(log.device), seed=1)


@pytest.mark.parametrize("transform", [
    fa.RotateScene, fa.PointDropout, fa.RadarNoise, fa.GaussianBlur, fa.Latency, fa.Fog, fa.Viewpoint,
], ids=lambda t: t.__name__)  # fmt: skip
def test_a_gradient_of_a_parameter_is_refused_before_anything_runs(transform: type[fa.Transform]) -> None:
    sample = batch("lidar", "radar", "CAM_FRONT")
    drawn = next(iter(transform(**transform.example)(sample, seed=1).metas[0].history[-1].params.values()))
    name = next(n for n, v in drawn.items() if isinstance(v, float))
    asked = {**drawn, name: torch.tensor(drawn[name], dtype=torch.float64, requires_grad=True)}
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        message = f"{transform.__name__}: a gradient is asked of {name}, .* detach it, or run this before"
        with pytest.raises(DataError, match=message):
            transform.apply_params(there, asked)
        assert not log.launches and not log.syncs and not log.copies_in


def test_a_gradient_of_what_is_reported_goes_on() -> None:
    sample, told = batch("CAM_FRONT"), fa.Miscalibrate(sensors=["CAM_*"])
    drawn = next(iter(told(sample, seed=1).metas[0].history[-1].params.values()))
    with mock_device() as log:
        asked = {**drawn, "x_deg": torch.tensor(1.0, dtype=torch.float64, requires_grad=True)}
        out = fa.Miscalibrate.apply_params(sample.to(log.device), asked)
    assert out.metas[0].rig.frames["CAM_FRONT"].pose.requires_grad


def with_two_radars(sample: fa.Sample) -> fa.Sample:
    """A radar on either side, with the same detections; the right one has lost all of them."""
    streams = {"lidar": sample["lidar"], "ego": sample["ego"]}
    for side, other, y in (("LEFT", "RIGHT", 0.8), ("RIGHT", "LEFT", -0.8)):
        name = f"RADAR_{side}"
        for u, meta in enumerate(sample.metas):
            frames = {**meta.rig.frames, name: Frame(parent="ego", pose=se3(rotation_about("z", y / 2), [3.0, y, 0.5]))}
            rig = Rig(frames, {**meta.rig.sensors, name: RadarSensor(frame=name, mirror_of=f"RADAR_{other}")})
            sample = sample.with_meta(u, rig=rig, true_rig=rig)
        streams[name] = replace(sample["radar"], frame=name)
    none = torch.ones(len(sample["radar"]), dtype=torch.bool)
    return sample.with_streams({**streams, "RADAR_RIGHT": with_dropped(streams["RADAR_RIGHT"], none)})


@pytest.mark.parametrize("transform", [
    fa.RadarGhosts(share=0.5), fa.RadarClutter(rate=4.0), fa.RadarInterference(noise_rise=3.0, rate=4.0),
], ids=lambda t: type(t).__name__)  # fmt: skip
def test_streams_that_a_transform_left_alone_swap_names_with_those_that_it_changed(transform: fa.Transform) -> None:
    sample = with_two_radars(batch())
    pipeline = fa.Compose([transform, fa.MirrorScene(axis="y", p=0.5), fa.PointDropout(share=0.2)])
    seed = next(s for s in range(20) if [m.history[1].applied for m in pipeline(sample, seed=s).metas] == [True, False])
    out = as_on_the_cpu(sample, pipeline, seed)
    assert bool(out["RADAR_LEFT"].rows) and bool(out["RADAR_RIGHT"].rows)
