"""Fog and dust on a batch that lies on a device, with depth beside every camera: the CPU's values, or a refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from calib import LidarSensor
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.testing import mock_device

CAMERAS = ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT")
KEPT = ("lidar", "radar", "boxes", "ego", "imu", "wheels", *CAMERAS)


def street(seed: int, size: tuple[int, int] = (48, 64), **settings) -> fa.Sample:
    """A sample whose cameras all have depth: a road, a wall, and the sky; along the axis of the pinhole camera."""
    sample = make_sample(f"s{seed}", seed=seed, scene=f"scene{seed}", size=size, gels=False, **settings)
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    road = 2.0 * size[0] / np.maximum(rows - 0.45 * size[0], 0.5)
    depth = np.where(columns < size[1] * rng.uniform(0.2, 0.6), np.minimum(road, 12.0), road)
    depth = np.where((rows < size[0] // 4) & (columns > size[1] // 2), np.inf, depth).astype(np.float32)
    streams = {n: s for n, s in sample.streams.items() if n.split("/")[0] in KEPT and not isinstance(s, fa.Depth)}
    for name in CAMERAS:
        told = {"capture_times": sample[name].capture_times, "camera": name, "frame": name}
        measure = "z" if name == "CAM_FRONT" else "range"
        streams[f"{name}/depth"] = fa.Depth(**told, items=(torch.from_numpy(depth.copy()),), measure=measure)
    boxes = sample["boxes"]
    streams["boxes"] = boxes.with_values(visible=torch.ones(boxes.rows, dtype=torch.float64))
    return sample.with_streams(streams)


def streets(count: int = 2, **settings) -> fa.Sample:
    return fa.collate([street(k, **settings) for k in range(count)])


def same_on_device(sample: fa.Sample, pipeline: fa.Transform, seed: int = 3) -> fa.Sample:
    """The result on the CPU, after the same came from the device without a way back."""
    here = pipeline(sample, seed=seed).realized()
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        out = pipeline(there, seed=seed)
        assert not log.syncs and len(log.copies_in) == 1
        home = out.to("cpu")
    for name in [n for n in sample.streams if n.endswith("/depth")]:  # which is infinite in the sky
        assert all(torch.equal(a, b) for a, b in zip(here[name].pictures, home[name].pictures, strict=True))
    finite = [s.with_streams({n: s[n] for n in s.streams if n[-6:] != "/depth"}) for s in (here, home)]
    assert_same_streams(*finite, exact=False)
    assert [m.history for m in here.metas] == [m.history for m in home.metas]
    assert all(torch.equal(here[n].row_keys, home[n].row_keys) for n in ("lidar", "radar"))
    return here


@pytest.mark.quick
def test_fog_gives_the_values_of_the_cpu() -> None:
    sample = streets(2)
    here = same_on_device(sample, fa.Fog(mor=[5, 15], report=True), seed=5)
    assert here["lidar"].rows < sample["lidar"].rows and 1 in here["lidar"]["status"].tolist()
    assert bool((here["boxes"]["visible"] < 1).any())


def test_samples_that_a_gate_leaves_out_stay_as_they_are() -> None:
    sample = streets(2)
    here = same_on_device(sample, fa.Fog(mor=[20, 60], report=True, p=0.5), seed=5)
    pairs = zip(here["CAM_LEFT"].pictures, sample["CAM_LEFT"].pictures, strict=True)
    assert sorted(torch.equal(a, b) for a, b in pairs) == [False, True]


def test_fog_after_maps_and_losses_gives_the_values_of_the_cpu() -> None:
    pipeline = fa.Compose([
        fa.RotateScene(yaw_deg=[-30, 30]), fa.MirrorScene(axis="y", p=0.5), fa.PointDropout(share=0.4),
        fa.ResizeCrop(size=(44, 60), scale=[0.7, 0.8]), fa.Brightness(factor=0.9), fa.Fog(mor=[10, 30]),
        fa.IntensityGain(gain=0.7),
    ])  # fmt: skip
    same_on_device(streets(), pipeline)


@pytest.mark.parametrize(
    "weather",
    [fa.Dust(dust_mor=40.0, overcast=0.0), fa.Fog(mor=9000.0)],
    ids=["dust without clouds", "haze before the sky"],
)
def test_other_even_air_gives_the_values_of_the_cpu(weather: fa.Weather) -> None:
    same_on_device(streets(1), weather)


@pytest.mark.parametrize("echo", ["last", "strongest"])
def test_a_scanner_with_figures_of_its_own_that_stands_elsewhere(echo: str) -> None:
    sample = street(2)
    cloud, meta = sample["lidar"], sample.metas[0]
    scanner = LidarSensor(
        frame="imu", intensity_scale=255.0, intensity_levels=255, echo=echo, near_floor=0.0005, min_range=1.5, white=0.5
    )
    rig = meta.rig.with_sensor("lidar", scanner)
    levels = (cloud["intensity"] * 255).to(torch.uint8)
    streams = {n: s for n, s in sample.streams.items() if not isinstance(s, fa.Camera | fa.Depth)}
    streams["lidar"] = cloud.with_values(intensity=levels, label=torch.full((cloud.rows,), 7))
    given = replace(sample, metas=(replace(meta, rig=rig, true_rig=rig),), streams=streams)
    here = same_on_device(given, fa.Fog(mor=12.0))
    assert here["lidar"]["intensity"].dtype == torch.uint8 and here["lidar"].rows < cloud.rows
    if echo == "strongest":
        assert (here["lidar"]["label"] != 7).any()  # of returns from the air


def test_pictures_that_several_others_are_nearest_to() -> None:
    """Two pictures of one camera beside one of the others: the light of each is told from a group of its own."""
    sample = street(1)
    front, depth = sample["CAM_FRONT"], sample["CAM_FRONT/depth"]
    times = torch.cat([front.capture_times, front.capture_times + 30_000_000])
    other = front.pictures[0].flip(0)
    index = torch.zeros(2, dtype=torch.int64)
    told = {"capture_times": times, "sample_index": index, "frame": "CAM_FRONT"}
    clip = sample.with_streams({
        **sample.streams, "CAM_FRONT": fa.Camera(**told, items=(front.pictures[0], other)),
        "CAM_FRONT/depth": fa.Depth(**told, camera="CAM_FRONT", items=(depth.pictures[0], depth.pictures[0])),
    })  # fmt: skip
    same_on_device(clip, fa.Fog(mor=50.0))


def test_operators_do_not_grow_with_the_batch() -> None:
    with mock_device() as log:
        costs = []
        for count, p in ((1, 1.0), (2, 0.5)):
            there = streets(count).to(log.device)
            log.clear()
            fa.Fog(mor=[50, 60], p=p)(there, seed=5)
            costs.append(len(log.launches))
    assert costs[0] == costs[1] <= 390


def test_pictures_of_a_size_that_no_fog_is_drawn_for_cost_nothing() -> None:
    pipeline = fa.Compose([fa.ResizeCrop(size=(44, 60), scale=0.8, p=0.5), fa.Fog(mor=50.0, p=0.5)])
    whole, costs = streets(2), []
    sample = whole.with_streams({n: whole[n] for n in whole.streams if n == "ego" or n.split("/")[0] in CAMERAS})
    with mock_device() as log:
        there = sample.to(log.device)
        for seed, foggy in ((3, [True, True]), (13, [False, True])):  # a picture of each size
            log.clear()
            out = pipeline(there, seed=seed)
            assert [meta.history[-1].applied for meta in out.metas] == foggy
            assert len({tuple(p.block.shape) for p in out["CAM_LEFT"].items}) == 2
            costs.append(len(log.launches))
    assert costs[1] < costs[0] - 200


@pytest.mark.quick
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rain_rate": [0, 5]}, "rain_rate .*set rain_rate to 0"),
        ({"patchiness": 0.2}, "patchiness"),
        ({"illuminance": 10.0}, "illuminance .*set illuminance to null"),
        ({"lens_drops": [0, 9]}, "lens_drops"),
        ({"water_film": 0.3}, "water_film"),
        ({"auto_gain": True}, "auto_gain .*set it to false"),
    ],
)
def test_other_weather_is_refused_by_the_name_of_its_parameter(settings: dict, told: str) -> None:
    with mock_device() as log:
        there = streets().to(log.device)
        log.clear()
        with pytest.raises(ConfigError, match=f"no rule for Fog with {told}"):
            fa.Compose([fa.RotateScene(yaw_deg=5.0), fa.Fog(mor=50.0, **settings)])(there)
        assert not log.launches and not log.syncs and not log.copies_in


@pytest.mark.quick
def test_cameras_without_usable_depth_are_refused_by_name() -> None:
    whole = streets()
    with_gaps = whole["CAM_LEFT/depth"].pictures[0].clone()
    with_gaps[3, 4] = torch.nan
    left, right = whole["CAM_LEFT/depth"], whole["CAM_RIGHT/depth"]
    told = {"capture_times": left.capture_times, "sample_index": left.sample_index, "frame": left.frame}
    without = whole.with_streams({n: s for n, s in whole.streams.items() if n != "CAM_LEFT/depth"})
    gaps = fa.Depth(**told, camera="CAM_LEFT", items=(with_gaps, left.pictures[1]), measure="range")
    bent = fa.Depth(
        **told | {"capture_times": right.capture_times, "frame": right.frame}, camera="CAM_RIGHT", items=right.items
    )
    cases = [
        (without, "without depth of CAM_LEFT .*give a Depth stream beside it"),
        (whole.with_streams({**whole.streams, "CAM_LEFT/depth": gaps}), "CAM_LEFT/depth.*pixels without a measurement"),
        (whole.with_streams({**whole.streams, "CAM_RIGHT/depth": bent}), "CAM_RIGHT, whose lens .*measure='range'"),
    ]
    for sample, message in cases:
        with mock_device() as log:
            there = sample.to(log.device)
            log.clear()
            with pytest.raises(ConfigError, match=f"no rule for Fog .*{message}"):
                fa.Fog(mor=50.0)(there)
            assert not log.launches and not log.syncs and not log.copies_in


def test_depth_of_less_than_half_of_a_picture_is_refused() -> None:
    pipeline = fa.Compose([fa.Pad(top=40, bottom=40, left=20, right=20), fa.Fog(mor=50.0)])
    with mock_device() as log:
        there = streets().to(log.device)
        log.clear()
        with pytest.raises(DataError, match="depth for less than half of its pixels"):
            pipeline(there)
        assert not log.launches
