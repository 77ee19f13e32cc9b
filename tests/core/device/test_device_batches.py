"""Pipelines on a batch that lies on a device, here the mock one: the CPU's values, no way back to the host."""

from __future__ import annotations

import pytest
import torch
from generic import Case, assert_same_streams, build
from samples import make_sample

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.testing import DeviceLog, mock_device

RUN = (  # of the registry, on a batch of a vehicle
    "Banding", "BeamDropout", "BlackCamera", "Brightness", "ChromaticAberration", "ColorTemperature", "Contrast",
    "Crop", "DeadPixels", "DefocusBlur", "Exposure", "FlipImage", "Gamma", "GaussianBlur", "GaussianNoise", "Hue",
    "IntensityGain", "MirrorRobot", "MirrorScene", "Miscalibrate", "MotionBlur", "Overexposure", "Pad",
    "PerspectiveImage", "PointDropout", "Posterize", "Resize", "ResizeCrop", "RotateImage", "RotateScene",
    "Saturation", "ScaleScene", "Sharpness", "Solarize", "TranslateScene", "Vignetting", "WhiteBalance",
    "AutoContrast", "Clahe", "Equalize", "LensDirt", "LensScratches", "ModalityDropout",
    "GelBackground", "GelLights", "TactileNoise",  # which meet nothing there
    "BoxPointDropout", "BoxPointJitter", "ClockOffset", "DopplerFolding", "DropFrames", "DroppedPackets", "GpsJump",
    "ImuSaturation", "IncompleteEcho", "Jitter", "Latency", "LidarCrosstalk", "RadarClutter", "RadarGhosts",
    "RadarInterference", "RadarMissed", "RadarNoise", "RangeCrop", "RangeJitter", "RcsNoise", "ReducedView",
    "ScanMotionBlur", "SensorBias", "ShufflePoints", "TemporalCrop", "TemporalMask", "VoxelSubsample",
    "ForceNoise", "PushDisturbance", "TaxelCrosstalk", "TaxelDropout", "TaxelGain", "TorqueNoise",  # meet nothing there
)  # fmt: skip


VEHICLE = ("lidar", "radar", "boxes", "ego", "imu", "CAM_FRONT", "CAM_LEFT", "CAM_RIGHT")


def batch(count: int = 2, **settings) -> fa.Sample:
    samples = [make_sample(f"s{k}", seed=k, gels=False, **settings) for k in range(count)]
    return fa.collate(samples)


def vehicle(count: int = 2) -> fa.Sample:
    """Cameras, clouds, boxes and readings of a vehicle, without a robot's."""
    whole = batch(count)
    return whole.with_streams({n: whole.streams[n] for n in whole.streams if n.split("/")[0] in VEHICLE})


def five(p: float = 1.0) -> fa.Compose:
    return fa.Compose([
        fa.RotateScene(yaw_deg=[-30, 30], p=p), fa.MirrorScene(axis="y", p=p),
        fa.ResizeCrop(size=(48, 64), scale=[0.6, 0.9], p=p), fa.Brightness(factor=[0.8, 1.0], p=p),
        fa.PointDropout(share=[0.1, 0.5], p=p),
    ])  # fmt: skip


def cost(log: DeviceLog, sample: fa.Sample, pipeline: fa.Transform) -> tuple[int, int, int]:
    there = sample.to(log.device)
    log.clear()
    pipeline(there, seed=3)
    return len(log.launches), len(log.syncs), len(log.copies_in)


@pytest.mark.quick
def test_a_batch_comes_back_as_it_was() -> None:
    sample = batch()
    with mock_device() as log:
        there = sample.to(log.device)
        assert len(log.copies_in) == 1 and not log.syncs and not log.launches
        assert not there["lidar"]["xyz"].is_cpu and there["lidar"].capture_times.is_cpu
        assert_same_streams(sample, there.to("cpu"))


@pytest.mark.quick
@pytest.mark.parametrize("p", [1.0, 0.5])
def test_a_pipeline_gives_the_values_of_the_cpu(p: float) -> None:
    sample, pipeline = vehicle(3), five(p)
    here = pipeline(sample, seed=3).realized()
    with mock_device() as log:
        there = pipeline(sample.to(log.device), seed=3).to("cpu")
    assert_same_streams(here, there, exact=False)
    assert [m.history for m in here.metas] == [m.history for m in there.metas]
    rigs = [{n: s.A for n, s in m.rig.sensors.items() if hasattr(s, "A")} for m in (here.metas[0], there.metas[0])]
    assert all(torch.equal(rigs[0][n], rigs[1][n]) for n in rigs[0])


@pytest.mark.quick
def test_pictures_of_several_sizes_lie_apart_and_come_back() -> None:
    sizes = [(48, 64), (40, 56), (48, 64)]
    names = ("CAM_FRONT", "CAM_LEFT", "CAM_FRONT/depth")
    samples = [make_sample(f"s{k}", seed=k, size=size, gels=False) for k, size in enumerate(sizes)]
    whole = fa.collate([s.with_streams({n: s.streams[n] for n in names}) for s in samples])
    pipeline = fa.Compose([fa.Brightness(factor=0.8), fa.ResizeCrop(size=(32, 40), scale=0.7)])
    with mock_device() as log:
        assert_same_streams(whole, whole.to(log.device).to("cpu"))
        out = pipeline(whole.to(log.device), seed=2).to("cpu")
    assert_same_streams(pipeline(whole, seed=2).realized(), out, exact=False)


def test_operators_do_not_grow_with_the_batch() -> None:
    with mock_device() as log:
        costs = [cost(log, vehicle(count), five()) for count in (1, 2, 4)]
    assert costs[0] == costs[1] == costs[2]
    assert costs[0][0] <= 250 and costs[0][1:] == (0, 1)


def test_rows_that_were_dropped_are_marked_and_go_on_the_way_back() -> None:
    sample, drop = vehicle(), fa.PointDropout(share=0.5)
    with mock_device() as log:
        there = drop(sample.to(log.device), seed=1)
        assert len(there["lidar"]["xyz"]) == sample["lidar"].rows  # nothing has a size that depends on values
        assert 0 < int((~there["lidar"]["valid"]).sum()) < sample["lidar"].rows
        again = drop(there, seed=2).to("cpu")
    both = drop(drop(sample, seed=1), seed=2)
    assert_same_streams(both, again)
    assert torch.equal(both["lidar"].row_keys, again["lidar"].row_keys)


def test_what_has_no_rule_is_refused_before_anything_runs() -> None:
    pipeline = fa.Compose([fa.RotateScene(yaw_deg=5.0), fa.JpegCompression(quality=50), fa.SpeedWarp(speed=1.2)])
    with mock_device() as log:
        there = vehicle().to(log.device)
        log.clear()
        with pytest.raises(ConfigError, match=r"for JpegCompression \(CAM_FRONT, .*; SpeedWarp .*AugmentedDataset"):
            pipeline(there, seed=0)
        assert not log.launches and not log.syncs and not log.copies_in


def test_every_transform_gives_the_values_of_the_cpu_or_refuses(case: Case) -> None:
    transform, whole = build(case), batch()  # with joints, which one is aligned with
    sample = whole.with_streams({n: s for n, s in whole.streams.items() if n.split("/")[0] in (*VEHICLE, "joints")})
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        try:
            out = transform(there, seed=4)
        except ConfigError as refused:
            assert case[0] not in RUN and f"no rule for {case[0]}" in str(refused)
            assert not log.launches and not log.syncs and not log.copies_in
        else:
            assert case[0] in RUN
            assert not log.syncs
            assert_same_streams(transform(sample, seed=4).realized(), out.to("cpu"), exact=False)


def test_a_gradient_goes_along() -> None:
    sample = vehicle()
    front = sample["CAM_FRONT"]
    levels = [(p.float() / 255).requires_grad_() for p in front.pictures]
    told = {"capture_times": front.capture_times, "sample_index": front.sample_index}
    given = sample.with_streams({"CAM_FRONT": fa.Camera(frame=front.frame, items=tuple(levels), **told)})
    with mock_device() as log:
        out = fa.Brightness(factor=0.5)(given.to(log.device), seed=1)
        out["CAM_FRONT"].image(0).sum().backward()
    assert torch.equal(levels[0].grad.cpu(), torch.full_like(levels[0], 0.5)) and not levels[1].grad.any()


@pytest.mark.quick
def test_what_lies_on_a_device_is_not_inverted_in_part() -> None:
    with mock_device() as log:
        out = fa.RotateScene(yaw_deg=20.0)(vehicle().to(log.device), seed=1)
        with pytest.raises(DataError, match=r"bring them back first with batch\.to\('cpu'\)"):
            fa.invert(out["boxes"], out.metas[0].history)


@pytest.mark.quick
def test_pictures_stay_together_and_go_through_a_second_pipeline() -> None:
    sample, pipeline = vehicle(), five()
    with mock_device() as log:
        once = pipeline(sample.to(log.device), seed=3).realized()
        log.clear()
        twice = fa.Brightness(factor=0.9)(once, seed=1)
        assert len(log.copies_in) == 1 and not log.syncs
        twice = twice.to("cpu")
    assert_same_streams(fa.Brightness(factor=0.9)(pipeline(sample, seed=3), seed=1), twice, exact=False)
