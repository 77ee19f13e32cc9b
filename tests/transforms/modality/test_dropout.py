"""Sensors and whole modalities that are dropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError
from fusion_aug.transforms.modality.dropout import SENSORS

CAMERAS = ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT", "FISHEYE")


def picture(sample: fa.Sample, name: str = "CAM_FRONT") -> torch.Tensor:
    return sample[name].image(0)  # type: ignore[attr-defined]


def test_dropped_sensors_are_masked_with_all_that_belongs_to_them() -> None:
    sample = make_sample()
    out = fa.ModalityDropout(share=1.0, keep=["CAM_LEFT", "imu"], at_least=0)(sample, seed=1)
    for name, stream in sample.streams.items():
        dropped = out[name]
        if name.startswith("CAM_LEFT") or name == "imu" or not isinstance(stream, SENSORS):
            assert dropped is stream, name
        else:
            assert not bool(dropped.present.any()), name
            if hasattr(dropped, "items") and dropped.items:  # type: ignore[attr-defined]
                assert not bool(dropped.items[0].any()), name  # type: ignore[attr-defined]
    assert out["lidar"].rows == 0 and len(out["lidar"]) == len(sample["lidar"])  # type: ignore[attr-defined]


def test_removed_sensors_are_gone_and_batches_still_join() -> None:
    dropout = fa.ModalityDropout(share=0.5, mode="remove")
    outs = [dropout(make_sample(f"s{i}", seed=i), seed=5) for i in range(6)]
    assert len({tuple(o.streams) for o in outs}) > 1
    batch = fa.collate(outs)
    assert len(batch.metas) == 6
    for i, one in enumerate(outs):
        assert set(batch.take([i]).streams) == set(one.streams)


def test_dropouts_have_the_given_share_and_length() -> None:
    sample = make_sample()
    dropped = [
        set(fa.ModalityDropout(share=0.4, at_least=0)(sample, seed=s).history[0].params[""]["dropped"])
        for s in range(200)
    ]
    names = {s.instance(n) for n, s in sample.streams.items() if isinstance(s, SENSORS)}
    assert names >= {"lidar", "radar", "imu", "wheels", "joints", "wrench", "TOUCH_LEFT", *CAMERAS}
    assert np.mean([len(s) for s in dropped]) / len(names) == pytest.approx(0.4, abs=0.05)
    for seed in range(20):
        out = fa.ModalityDropout(share=1.0, at_least=3)(sample, seed=seed)
        assert len(names - set(out.history[0].params[""]["dropped"])) == 3
    span = fa.ModalityDropout(share=1.0, at_least=0, span=0.006)(sample, seed=3)
    gone = (~span["imu"].present).nonzero()[:, 0]
    times = sample["imu"].capture_times[gone]
    assert len(times) == 0 or int(times[-1] - times[0]) <= 6_000_000


def dropped_by(sample: fa.Sample, seed: int = 1, **fields: object) -> set[str]:
    return set(fa.ModalityDropout(**fields)(sample, seed=seed).history[0].params[""]["dropped"])  # type: ignore[arg-type]


def test_sensors_that_are_kept_count_as_left() -> None:
    sample = make_sample()
    names = {s.instance(n) for n, s in sample.streams.items() if isinstance(s, SENSORS)}
    assert dropped_by(sample, share=1.0, keep=sorted(names - {"lidar"})) == {"lidar"}
    assert dropped_by(sample, share=1.0, sensors=["lidar", "radar"]) == {"lidar", "radar"}
    assert len(names - dropped_by(sample, share=1.0, keep=["imu"], at_least=2)) == 2
    # what had sent nothing before is not left
    alone = fa.ModalityDropout(share=1.0, keep=["lidar"])(sample, seed=1)
    assert "lidar" not in dropped_by(alone, share=1.0)


def test_whole_modalities_are_dropped() -> None:
    sample = make_sample()
    cameras = {*CAMERAS, "FISHEYE", "WRIST"}
    gels = {"GEL_LEFT", "GEL_RIGHT", "TOUCH_LEFT", "TOUCH_RIGHT"}
    kinds = [cameras, gels, {"lidar"}, {"radar"}, {"imu"}, {"wheels"}, {"joints"}, {"wrench"}]
    drawn = [dropped_by(sample, seed=s, share=0.5, by="modality", at_least=0) for s in range(60)]
    assert set().union(*drawn) == set().union(*kinds)
    for names in drawn:
        assert all(names >= kind or not names & kind for kind in kinds), "a modality falls as a whole"
    assert np.mean([cameras <= names for names in drawn]) == pytest.approx(0.5, abs=0.2)
    left = [set().union(*kinds) - dropped_by(sample, seed=s, share=1.0, by="modality") for s in range(5)]
    assert all(rest in kinds for rest in left), "at_least=1 leaves one modality"
    kept = dropped_by(sample, share=1.0, by="modality", keep=["CAM_FRONT"])
    assert kept == set().union(*kinds) - {"CAM_FRONT"}, "one camera is left of the cameras, which is enough"


def test_wrong_modes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"ModalityDropout\.mode: 'hide'"):
        fa.ModalityDropout(mode="hide")
    with pytest.raises(ConfigError, match=r"ModalityDropout\.by: 'kind'"):
        fa.ModalityDropout(by="kind")
    with pytest.raises(ConfigError, match="at_least"):
        fa.ModalityDropout(at_least=-1)


def test_dropped_sensors_stay_dropped() -> None:
    quiet = fa.ModalityDropout(share=1.0, at_least=0)
    more = [fa.Fog(mor=50.0), fa.Rain(rain_rate=30.0), fa.GaussianNoise(sigma=0.2), fa.RadarClutter(rate=20.0),
            fa.RadarInterference(rate=20.0), fa.DeadPixels(stuck=5000.0)]  # fmt: skip
    out = fa.Compose([quiet, *more])(make_sample(gels=False), seed=1)
    assert all(not bool(picture(out, c).any()) for c in CAMERAS)
    assert out["radar"].rows == 0 and out["lidar"].rows == 0  # type: ignore[attr-defined]


def test_formats_of_every_sensor_refuse_a_dropped_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "log=nuscenes", f"log.root={DRIVE}", "limit=1", "pipeline=identity",
             "+pipeline.transforms.quiet={_target_:fusion_aug.ModalityDropout,share:0.5}"]  # fmt: skip
    assert main([*words, f"out={tmp_path / 'a'}"]) == 2
    assert "a sensor without data has no place in the format" in capsys.readouterr().err
    assert main([*words, f"out={tmp_path / 'b'}", "output=folder"]) == 0
