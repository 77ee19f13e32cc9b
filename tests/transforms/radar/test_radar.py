"""Radar detections: figures against their definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from calib import RadarSensor
from fusion_aug.core.registry import TRANSFORMS
from fusion_aug.names import full_name
from fusion_aug.streams import strings
from fusion_aug.transforms.radar.family import FIRST_ADDED, RadarTransform

SENSOR = RadarSensor(
    frame="radar", range_resolution=0.5, azimuth_resolution=0.03, doppler_resolution=0.2, max_range=100.0
)


@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    """Many detections of a radar that drives at (8, 1) m/s past static and moving objects."""
    rng, n = np.random.default_rng(0), 4000
    sample = make_sample()
    azimuth, distance = rng.uniform(-1, 1, n), rng.uniform(5, 90, n)
    ray = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)], 1)
    speed = rng.uniform(-10, 10, n)
    values = {
        "xyz": ray * distance[:, None],
        "velocity_comp": ray * speed[:, None],
        "velocity": ray * (speed - ray @ [8.0, 1.0, 0.0])[:, None],
        "rcs": rng.uniform(-10, 20, n),
    }
    columns = {k: torch.from_numpy(v).float() for k, v in values.items()}
    flags = torch.zeros((n, 10), dtype=torch.int64)
    radar = replace(sample["radar"], values={**columns, "flags": flags}, offsets=torch.tensor([0, n]))
    rig = sample.rig.with_sensor("radar", SENSOR)
    # without an ego pose, its own motion follows from what detections were compensated by
    streams = {n: s for n, s in sample.streams.items() if n != "ego"} | {"radar": radar}
    return sample.with_streams(streams).with_meta(0, rig=rig, true_rig=rig)


def polar(radar: fa.Stream) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    xyz = radar["xyz"].double()
    ray = xyz / xyz.norm(dim=1, keepdim=True)
    along = [(radar[c].double() * ray).sum(1) for c in ("velocity", "velocity_comp")]
    return torch.atan2(xyz[:, 1], xyz[:, 0]), xyz.norm(dim=1), *along


def test_noise_is_a_multiple_of_the_resolution(sample: fa.Sample) -> None:
    out = fa.RadarNoise(range=2.0, azimuth=0.5, doppler=1.5)(sample, seed=1)["radar"]
    (a0, r0, v0, _), (a1, r1, v1, c1) = polar(sample["radar"]), polar(out)
    assert float((r1 - r0).std()) == pytest.approx(2.0 * 0.5, rel=0.05)
    assert float((a1 - a0).std()) == pytest.approx(0.5 * 0.03, rel=0.05)
    assert float((v1 - v0).std()) == pytest.approx(1.5 * 0.2, rel=0.05)
    ray = out["xyz"].double() / r1[:, None]
    own = ray @ torch.tensor([8.0, 1.0, 0.0], dtype=torch.float64)
    assert torch.allclose(c1, v1 + own, atol=1e-3), "the ego motion is taken off for the ray that was measured"
    across = out["velocity"].double() - polar(out)[2][:, None] * out["xyz"].double() / r1[:, None]
    assert float(across.norm(dim=1).max()) < 1e-4, "velocities stay along the ray"
    assert len(sample["lidar"]["xyz"]) and fa.RadarNoise(range=1.0)(sample)["lidar"] is sample["lidar"]


def test_cross_sections(sample: fa.Sample) -> None:
    out = fa.RcsNoise(sigma=2.0, bias=-3.0)(sample, seed=1)["radar"]
    change = out["rcs"] - sample["radar"]["rcs"]
    assert float(change.mean()) == pytest.approx(-3.0, abs=0.1) and float(change.std()) == pytest.approx(2.0, rel=0.05)


def test_missed(sample: fa.Sample) -> None:
    kept = len(fa.RadarMissed(share=0.3)(sample, seed=1)["radar"]["xyz"]) / 4000
    assert kept == pytest.approx(0.7, abs=0.03)
    out = fa.RadarMissed(min_rcs=0.0, at=50.0)(sample)["radar"]
    floor = 40 * torch.log10(out["xyz"].norm(dim=1) / 50.0)
    assert bool((out["rcs"] >= floor - 1e-4).all()) and 100 < len(out["rcs"]) < 4000
    near, far = (fa.RadarMissed(min_rcs=0.0, at=a)(sample)["radar"] for a in (20.0, 80.0))
    assert len(near["rcs"]) < len(far["rcs"]), "a threshold met at 20 m loses more than one at 80 m"


def test_ghosts(sample: fa.Sample) -> None:
    out = fa.RadarGhosts(share=0.2, path=6.0, spread_deg=0.0, loss=10.0)(sample, seed=2)["radar"]
    added = out["xyz"][4000:]
    assert 600 < len(added) < 1000 and torch.equal(out["xyz"][:4000], sample["radar"]["xyz"])
    distance = added.norm(dim=1)
    origin = added * ((distance - 6.0) / distance)[:, None]
    gap, source = torch.cdist(origin.double(), sample["radar"]["xyz"].double()).min(1)
    assert float(gap.max()) < 1e-3 and float(distance.max()) <= SENSOR.max_range
    assert torch.allclose(out["rcs"][4000:], sample["radar"]["rcs"][source] - 10.0, atol=1e-4)
    assert torch.allclose(polar(out)[2][4000:], polar(sample["radar"])[2][source], atol=1e-4)


def test_clutter(sample: fa.Sample) -> None:
    counts = []
    for seed in range(200):
        out = fa.RadarClutter(rate=20.0, view_deg=45.0, doppler=1.0)(sample, seed=seed)["radar"]
        counts.append(len(out["xyz"]) - 4000)
        azimuth, distance, raw, comp = (x[4000:] for x in polar(out))
        assert float(azimuth.abs().max()) <= np.radians(45) + 1e-6 and float(distance.max()) <= 100.0
        assert float(comp.abs().max()) <= 1.0 + 1e-4
        ray = out["xyz"][4000:].double() / distance[:, None]
        own = torch.tensor([8.0, 1.0, 0.0], dtype=torch.float64)
        assert torch.allclose(raw, comp - ray @ own, atol=1e-3), "clutter moves against the radar as all else does"
        assert (
            out["flags"][4000:, 2].tolist() == [1] * counts[-1] and out["flags"][4000:, 3].tolist() == [3] * counts[-1]
        )
    assert np.mean(counts) == pytest.approx(20.0, abs=1.0) and np.var(counts) == pytest.approx(20.0, rel=0.35)


def test_folding(sample: fa.Sample) -> None:
    out = fa.DopplerFolding(max_doppler=5.0)(sample)["radar"]
    before, after = polar(sample["radar"]), polar(out)
    assert float(after[2].abs().max()) <= 5.0 + 1e-4
    turns = (before[2] - after[2]) / 10.0
    assert float((turns - turns.round()).abs().max()) < 1e-4 and bool((turns.round() != 0).any())
    assert torch.allclose(before[3] - after[3], before[2] - after[2], atol=1e-4)
    assert torch.equal(fa.DopplerFolding()(sample)["radar"]["velocity"], sample["radar"]["velocity"]), "70 m/s hold all"


def test_an_ego_pose_gives_the_radars_motion() -> None:
    """Two detections are too few to infer it: the twist of the vehicle at the radar's place is taken."""
    sample = make_sample(boxes=2)
    out = fa.RadarClutter(rate=50.0, doppler=0.0)(sample, seed=1)["radar"]
    time = int(out.capture_times[0])
    ego = sample["ego"]
    k = int((ego.capture_times - time).abs().argmin())
    T = sample.rig.T("ego", "radar", time)
    own = T[:3, :3].T @ (ego["velocity"][k] + torch.linalg.cross(ego["angular_velocity"][k], T[:3, 3]))
    ray = out["xyz"][2:].double() / out["xyz"][2:].double().norm(dim=1, keepdim=True)
    assert len(ray) > 20 and torch.allclose((out["velocity"][2:].double() * ray).sum(1), -(ray @ own), atol=1e-4)


def test_radars_with_few_columns() -> None:
    """No RCS, no velocities, no flags, one NaN: every transform changes what it can."""
    sample = make_sample(boxes=5)
    radar = sample["radar"]
    xyz = radar["xyz"].clone()
    xyz[1] = float("nan")
    bare = replace(radar, values={"xyz": xyz})
    sample = sample.with_streams({**sample.streams, "radar": bare})
    for transform in (
        fa.RcsNoise(sigma=1.0), fa.RadarNoise(range=1.0, azimuth=1.0, doppler=1.0), fa.RadarMissed(min_rcs=0.0),
        fa.RadarGhosts(share=1.0), fa.RadarClutter(rate=9.0), fa.DopplerFolding(max_doppler=1.0),
        fa.Viewpoint(sensors=["radar"], x=1.0),
    ):  # fmt: skip
        assert set(transform(sample, seed=1)["radar"].values) == {"xyz"}


def test_a_change_of_ones_own_need_not_know_our_columns(sample: fa.Sample) -> None:
    """What it returns column by column are detections that no source holds."""

    class Nearest(RadarTransform):
        @classmethod
        def change(cls, detections: Any, params: Any, scan: Any) -> Any:
            return {n: detections[n][:10] for n in ("xyz", "velocity", "velocity_comp", "rcs", "flags")}

    try:
        out = Nearest()(sample)["radar"]
    finally:
        TRANSFORMS.pop(full_name(Nearest))  # a toy: it must not show up in the discovery
    assert out.rows == 10 and int(out.noise_rows(0).min()) >= FIRST_ADDED


@pytest.mark.quick
@pytest.mark.parametrize("transform", [
    fa.RadarGhosts(share=0.5), fa.RadarClutter(rate=8.0), fa.RadarInterference(noise_rise=0.0, rate=8.0),
], ids=lambda t: type(t).__name__)  # fmt: skip
def test_added_detections_have_texts_too(sample: fa.Sample, transform: fa.Transform) -> None:
    radar = sample["radar"]
    named = radar.with_values(track=strings(f"t{k}" for k in range(radar.rows)))
    out = transform(sample.with_streams({**sample.streams, "radar": named}), seed=1)["radar"]
    added, texts = out.row_keys >= FIRST_ADDED, out["track"]
    assert bool(added.any()) and list(texts[~added.numpy()]) == [f"t{k}" for k in out.row_keys[~added].tolist()]
    copied = isinstance(transform, fa.RadarGhosts)  # a ghost tells what it is made from
    assert all(bool(t) == copied for t in texts[added.numpy()])
