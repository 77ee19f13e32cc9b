"""Noise hangs on the row alone: what else is in a recording, a cloud or a batch changes no number of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms

READINGS = {  # settings, the stream, and the columns that change
    "TorqueNoise": ({"sigma": 0.3}, "joints", ("effort",)),
    "ForceNoise": ({"force": 0.5, "torque": 0.1}, "wrench", ("force", "torque")),
    "SensorBias": ({"gyro_noise": 0.1, "gyro_walk": 0, "accel_noise": 0.1, "accel_walk": 0}, "imu", ("gyro", "accel")),
}  # fmt: skip
CLOUDS = {
    "PointDropout": ({"share": 0.4}, "lidar"),
    "RangeJitter": ({"sigma": 0.1}, "lidar"),
    "BeamDropout": ({"share": 0.4}, "lidar"),
    "DroppedPackets": ({"share": 0.4, "packet_deg": 10.0}, "lidar"),
    "LidarCrosstalk": ({"share": 0.4}, "lidar"),
    "IncompleteEcho": ({"share": 0.5, "reflectivity": 5.0}, "lidar"),
    "BoxPointDropout": ({"share": 0.5}, "lidar"),
    "BoxPointJitter": ({"sigma": 0.1}, "lidar"),
    "RcsNoise": ({"sigma": 3.0}, "radar"),
    "RadarNoise": ({"range": 1.0, "azimuth": 1.0, "doppler": 1.0}, "radar"),
    "RadarMissed": ({"share": 0.4}, "radar"),
}


def changed(name: str, settings: dict[str, Any], sample: fa.Sample) -> fa.Sample:
    return own_transforms()[name](**settings)(sample, seed=4).realized()


def with_stream(sample: fa.Sample, name: str, stream: fa.Stream) -> fa.Sample:
    return sample.with_streams({**sample.streams, name: stream})


@pytest.mark.quick
@pytest.mark.parametrize("name", READINGS)
def test_a_window_has_the_noise_of_the_whole_recording(name: str) -> None:
    settings, stream, columns = READINGS[name]
    sample = make_sample()
    window = with_stream(sample, stream, sample[stream].take_items(torch.arange(2, len(sample[stream]))))
    whole, part = changed(name, settings, sample)[stream], changed(name, settings, window)[stream]
    for column in columns:
        assert torch.equal(whole[column][2:], part[column]), column
        assert float((part[column] - window[stream][column]).abs().min()) > 0, column


@pytest.mark.parametrize("name", CLOUDS)
def test_rows_behind_a_point_change_nothing_of_it(name: str) -> None:
    settings, stream = CLOUDS[name]
    sample = make_sample()
    cloud = sample[stream].realized()
    last = len(cloud) - 1
    half = cloud.item_slice(last).start + int(cloud.counts[last]) // 2
    head = cloud.select(torch.arange(cloud.rows) < half)  # the last item ends earlier
    whole = changed(name, settings, with_stream(sample, stream, cloud))[stream]
    part = changed(name, settings, with_stream(sample, stream, head))[stream]
    assert part.rows < whole.rows and torch.equal(whole.counts[:last], part.counts[:last])
    for column, values in part.values.items():
        if isinstance(values, torch.Tensor):
            assert torch.equal(values, whole.values[column][: part.rows]), column


def test_samples_of_a_batch_have_noise_of_their_own() -> None:
    batch = make_batch(3)
    for name, settings in (("GaussianNoise", {"sigma": 0.1}), ("Exposure", {"stops": -1.0})):
        out = changed(name, {**settings, "cameras": ["CAM*"]}, batch)["CAM_FRONT"]
        pairs = zip(out.pictures, batch["CAM_FRONT"].pictures, strict=True)
        grain = [(after.double() - before.double()).ravel() for after, before in pairs]
        assert not torch.equal(grain[0], grain[1])
        alone = changed(name, {**settings, "cameras": ["CAM*"]}, batch.take([2]))["CAM_FRONT"]
        assert torch.equal(alone.pictures[0], out.pictures[2])
