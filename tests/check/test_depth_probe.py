"""The depth probe: is the fog that pictures and LiDARs show the one that was asked for?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from places import DRIVE

import fusion_aug as fa
from fusion_aug.check.air import FogProbe, fit_extinction, fog_rows, probe_lidar_points, split_points
from fusion_aug.check.measurement import Row
from fusion_aug.cli import main
from fusion_aug.physics.air import extinction_of_mor
from fusion_aug.transforms.weather import camera

MORS = (50.0, 100.0, 200.0, 600.0)


def params_of(mor: float, sample: fa.Sample) -> dict:
    drawn = fa.Fog(mor=mor).sample_params(np.random.default_rng(0), sample, None)  # type: ignore[arg-type]
    return {**drawn, "noise": "0" * 32}


def assert_all_hold(rows: list[Row], measured: int) -> None:
    assert [r for r in rows if r.status == "FAIL"] == []
    assert sum(len(r.values) > 0 for r in rows) >= measured, [(r.measurement, r.status) for r in rows]


@pytest.mark.parametrize("log", ["kitti", "nuscenes"])
def test_fog_on_real_frames_is_the_fog_asked_for(real_data: Path, log: str) -> None:
    sample = fa.open_log(log, str(real_data / log))[0]
    for mor in MORS:
        assert_all_hold(fog_rows(sample, params_of(mor, sample)), 4)


@pytest.mark.parametrize("frame", [0, 7, 14])
def test_fog_on_the_sample_log(frame: int) -> None:
    """Two of its keyframes know the true distance of every pixel."""
    sample = fa.open_log("nuscenes", DRIVE)[frame]
    for mor in MORS:
        rows = fog_rows(sample, params_of(mor, sample))
        assert_all_hold(rows, 4)
        assert any("true depth" in r.measurement and len(r.values) for r in rows) == (frame != 0)


def test_keyframes_of_one_draw_are_fitted_together() -> None:
    log, probe = fa.open_log("nuscenes", DRIVE), FogProbe()
    for k in range(2, 21, 3):
        sample = log[k]  # its distances are completed once
        for mor in (60.0, 300.0):
            probe.add(sample, {**params_of(mor, sample), "noise": f"{k:032x}"})
    rows = probe.table()
    assert_all_hold(rows, 13)
    assert len([r for r in rows if r.measurement == "fog, held-out points: slope off"]) == 2


def test_the_probe_catches_a_fog_that_ignores_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults of published fogs: distance along the axis instead of the ray, one depth for all, another extinction."""
    whole = fa.open_log("nuscenes", DRIVE)[7]
    others = ("CAM_FRONT_", "CAM_BACK_", "FISHEYE")
    sample = whole.with_streams({n: s for n, s in whole.streams.items() if not n.startswith(others)})
    params = params_of(100.0, sample)
    assert_all_hold(fog_rows(sample, params), 4)
    true_veil = camera.apply_airlight
    for fault in ("thinner", "flat", "shifted", "none"):

        def apply_airlight(picture, view, state, airlight, fault=fault):  # type: ignore[no-untyped-def]
            if fault == "none":
                return picture
            if fault == "thinner":
                state = replace(state, air=replace(state.air, fog=state.air.fog * 0.9))
            elif fault == "flat":
                view.__dict__["distance"] = np.full_like(view.distance, 20.0)
            else:
                view.__dict__["distance"] = view.distance + np.float32(3.0)
            return true_veil(picture, view, state, airlight)

        monkeypatch.setattr(camera, "apply_airlight", apply_airlight)
        assert any(r.status == "FAIL" for r in fog_rows(sample, params)), fault


def test_held_out_points_are_not_known_to_the_completion() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[3]
    known, rest = split_points(sample)
    whole = sample["LIDAR_TOP"].realized()
    parts = torch.cat([known["LIDAR_TOP"]["xyz"], rest["LIDAR_TOP"]["xyz"]])
    assert len(parts) == whole.rows and len(rest["LIDAR_TOP"]["xyz"]) == pytest.approx(0.2 * whole.rows, rel=0.1)
    assert sorted(parts.tolist()) == sorted(whole["xyz"].tolist())


def test_air_too_thin_or_points_too_few_are_not_called_good() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[3]
    thin = [r for r in fog_rows(sample, params_of(20000.0, sample)) if "slope" in r.measurement]
    assert [r.status for r in thin] == ["n/a: the air is too thin to measure"]
    few = sample.with_streams({n: sample[n] for n in ("CAM_FRONT", "LIDAR_TOP")})
    reading = probe_lidar_points(few, split_points(few), "CAM_FRONT", params_of(100.0, few))
    some = replace(reading, **{f: getattr(reading, f)[:50] for f in ("distance", "depth", "clean", "wrong")})
    assert np.isnan(fit_extinction([some], extinction_of_mor(100.0))[1])


def test_check_measures_the_weather_of_a_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", "log=nuscenes", f"log.root={DRIVE}", "pipeline=[fog,rain]", "n=2"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.count("fog, ") >= 4 and "slope off" in text
