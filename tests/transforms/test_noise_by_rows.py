"""Noise hangs on the row alone: what else is in a recording, a cloud or a batch changes no number of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from samples import make_batch, make_sample

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.transforms.radar.family import FIRST_ADDED

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


def by_source(cloud: fa.Points) -> dict[tuple[int, int], int]:
    """(item, number in the source) -> row."""
    numbers = [(i, int(n)) for i in range(len(cloud)) for n in cloud.noise_rows(i)]
    return {pair: row for row, pair in enumerate(numbers)}


@pytest.mark.parametrize("name", CLOUDS)
def test_points_that_are_lost_change_nothing_of_the_others(name: str) -> None:
    settings, stream = CLOUDS[name]
    sample = make_sample()
    cloud = sample[stream].realized()
    fewer = cloud.select(torch.arange(cloud.rows) % 3 != 1)
    whole = changed(name, settings, with_stream(sample, stream, cloud))[stream]
    part = changed(name, settings, with_stream(sample, stream, fewer))[stream]
    before, rows_of_whole, rows_of_part = by_source(fewer), by_source(whole), by_source(part)
    assert rows_of_part.keys() == rows_of_whole.keys() & before.keys()
    assert 0 < part.rows < whole.rows
    order = [rows_of_whole[pair] for pair in rows_of_part]
    for column, values in part.values.items():
        if isinstance(values, torch.Tensor):
            assert torch.equal(values, whole.values[column][order]), column


def test_numbers_of_points_go_with_them() -> None:
    """Through selections, batches, an order of another kind and detections that are added."""
    batch = make_batch(2)
    cloud = batch["lidar"].realized()
    kept = cloud.select(torch.arange(cloud.rows) % 2 == 1)
    assert kept.noise_rows(0)[:3].tolist() == [1, 3, 5]
    later = kept.take_items(torch.tensor([len(kept) - 1]))
    assert torch.equal(later.noise_rows(0), kept.noise_rows(len(kept) - 1))
    joined = type(kept).concat([cloud.take_items(torch.tensor([0])), later], [torch.tensor([0]), torch.tensor([1])])
    assert joined.noise_rows(0).tolist() == list(range(int(cloud.counts[0])))
    assert torch.equal(joined.noise_rows(1), later.noise_rows(0))
    mixed = changed("ShufflePoints", {}, with_stream(batch, "lidar", kept))["lidar"]
    assert mixed.noise_rows(0).tolist() != kept.noise_rows(0).tolist()
    assert sorted(mixed.noise_rows(0).tolist()) == kept.noise_rows(0).tolist()
    ghosts = changed("RadarGhosts", {"share": 1.0, "path": 0.5}, batch)["radar"]
    first, old = ghosts.noise_rows(0).tolist(), int(batch["radar"].counts[0])
    assert first[:old] == list(range(old)) and len(set(first)) == len(first) > old
    assert min(first[old:]) >= FIRST_ADDED, "numbers that a detection had which was lost before"


def test_samples_of_a_batch_have_noise_of_their_own() -> None:
    batch = make_batch(3)
    for name, settings in (("GaussianNoise", {"sigma": 0.1}), ("Exposure", {"stops": -1.0})):
        out = changed(name, {**settings, "cameras": ["CAM*"]}, batch)["CAM_FRONT"]
        pairs = zip(out.pictures, batch["CAM_FRONT"].pictures, strict=True)
        grain = [(after.double() - before.double()).ravel() for after, before in pairs]
        assert not torch.equal(grain[0], grain[1])
        alone = changed(name, {**settings, "cameras": ["CAM*"]}, batch.take([2]))["CAM_FRONT"]
        assert torch.equal(alone.pictures[0], out.pictures[2])


def test_another_order_of_the_points_changes_no_noise() -> None:
    sample = make_sample()
    whole = changed("RangeJitter", {"sigma": 0.1}, sample)["lidar"]
    mixed = changed("RangeJitter", {"sigma": 0.1}, changed("ShufflePoints", {}, sample))["lidar"]
    rows_of_whole = by_source(whole)
    assert torch.equal(mixed["xyz"], whole["xyz"][[rows_of_whole[pair] for pair in by_source(mixed)]])
    assert not torch.equal(mixed["xyz"], whole["xyz"])
