"""MixUp: pixels by weight, pulses by lot, labels with weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from beams import OTHER, OWN, key_scan, mixed_cells, street_pair
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample.ego import rig_twist
from fusion_aug.transforms.mix.beam_scans import scan_pairs

LIDAR = "LIDAR_TOP"


def two() -> tuple[fa.Sample, fa.Sample]:
    """Samples of one rig whose ground has no intensity to compare; the second one's boxes are called otherwise."""
    sample, donor = (make_sample(f"s{k}", seed=k, gels=False, boxes=3 + k) for k in range(2))
    return sample, donor


def blend(sample: fa.Sample, donor: fa.Sample, seed: int = 1, **fields: float) -> tuple[fa.Sample, float]:
    out = fa.MixUp(**fields)(sample, seed=seed, resources={"donors": fa.Donors([donor])})
    return out, float(out.history[0].params[""]["weight"])


@pytest.mark.quick
def test_pictures_are_the_mean_by_weight() -> None:
    sample, donor = two()
    out, weight = blend(sample, donor, alpha=1.0)
    assert 0.05 < weight < 0.95
    for name in ("CAM_FRONT", "CAM_LEFT", "CAM_RIGHT", "FISHEYE"):
        a, b, c = (np.asarray(s[name].image(0)).astype(float) for s in (sample, donor, out))
        assert np.abs(weight * a + (1 - weight) * b - c).max() <= 0.51, name
        assert out[name].image(0).dtype == torch.uint8 and np.abs(a - c).max() > 5
    assert not out.of_type(fa.Depth) and not out.of_type(fa.SegmentationMask) and not out.of_type(fa.MapElements)
    told = out.history[0].params[""]["left_out"]
    assert told["CAM_FRONT/depth"] == "a pixel cannot hold two" and "map" in told
    assert torch.equal(out["joints"]["position"], sample["joints"]["position"]), "a mean is the state of neither"
    floats = [s.with_streams({**s.streams, "CAM_LEFT": replace(s["CAM_LEFT"], items=(s["CAM_LEFT"].image(0) / 255,))})
              for s in (sample, donor)]  # fmt: skip
    half, weight = blend(*floats, alpha=1.0)
    a, b, c = (s["CAM_LEFT"].image(0) for s in (*floats, half))
    assert torch.allclose(c, weight * a + (1 - weight) * b, atol=1e-6)


def test_pulses_are_drawn_cell_by_cell() -> None:
    sample, donor = street_pair()
    columns = next(scan_pairs(sample, donor)).columns
    for seed in range(3):
        out, weight = blend(sample, donor, seed, alpha=2.0)
        scan = key_scan(out, LIDAR)
        assert mixed_cells(scan, columns) == 0
        assert abs((scan["mark"] == OWN).mean() - weight) < 0.03
        for mark, source in ((OWN, sample), (OTHER, donor)):
            rows = {tuple(np.round(x, 4)) for x in key_scan(source, LIDAR)["xyz"].tolist()}
            found = [tuple(np.round(x, 4)) for x in scan["xyz"][scan["mark"] == mark].tolist()]
            assert sum(x in rows for x in found) >= 0.995 * len(found), "where they were measured"
        # neighbouring cells are drawn apart from one another
        ring = scan["ring"] == np.bincount(scan["ring"]).argmax()
        azimuth = np.arctan2(scan["xyz"][ring, 1], scan["xyz"][ring, 0])
        marks = scan["mark"][ring][np.argsort(azimuth)]
        changes = (marks[1:] != marks[:-1]).mean()
        assert abs(changes - 2 * weight * (1 - weight)) < 0.1


@pytest.mark.quick
def test_detections_of_radars_are_as_the_receiver_measures_them() -> None:
    sample, donor = two()
    out, _ = blend(sample, donor, seed=4, alpha=1.0)
    radar, sources = out["radar"], (sample["radar"], donor["radar"])
    found = [[bool((torch.cdist(x[None], s["xyz"]) < 1e-3).any()) for x in radar["xyz"]] for s in sources]
    assert all(a != b for a, b in zip(*found, strict=True)) and radar.rows >= 1
    ray = radar["xyz"].double() / radar["xyz"].double().norm(dim=1, keepdim=True)
    gap = ((radar["velocity_comp"] - radar["velocity"]).double() * ray).sum(1)
    own = rig_twist(sample.rig, "radar", int(radar.capture_times[0]))[0]  # type: ignore[index]
    theirs = torch.tensor(found[1])
    assert torch.allclose(gap[theirs], (ray @ own)[theirs], atol=1e-4), "raw Doppler has the receiver's motion"


@pytest.mark.quick
def test_labels_of_both_have_weights() -> None:
    sample, donor = two()
    out, weight = blend(sample, donor, alpha=1.0)
    n = sample["boxes"].rows
    assert torch.equal(out["boxes"]["pose"], torch.cat([sample["boxes"]["pose"], donor["boxes"]["pose"]]))
    expected = torch.tensor([weight] * n + [1 - weight] * donor["boxes"].rows)
    assert torch.allclose(out["boxes"]["weight"], expected) and len(set(out["boxes"]["instance"])) == len(expected)
    flat = out["CAM_RIGHT/flat"]
    assert torch.allclose(flat["weight"], expected) and torch.equal(
        flat["corners"][n:], donor["CAM_RIGHT/flat"]["corners"]
    )
    links = [list(s["instance"][n:]) for s in (flat, out["boxes"])]
    assert links[0] == links[1], "a flat box and its box in space are still one object"
    assert list(out["caption"]["text"]) == [*sample["caption"]["text"], *donor["caption"]["text"]]
    assert torch.allclose(out["caption"]["weight"], torch.tensor([weight, 1 - weight]))
    moved = {str(i) for i in out["waypoints"]["instance"]} - {"ego"}
    assert moved == set(out["boxes"]["instance"])
    assert torch.equal(sample["boxes"]["pose"], make_sample("s0", seed=0, gels=False, boxes=3)["boxes"]["pose"])


@pytest.mark.quick
def test_weights_in_batches_and_after_another_mix() -> None:
    sample, donor = two()
    out, _ = blend(sample, donor, alpha=1.0)
    batch = fa.collate([out, donor])
    dense = fa.to_dense(batch, cameras=["CAM_FRONT"], dtype=torch.float64)
    n = out["boxes"].rows
    assert torch.allclose(dense["box_weights"][0, :n], out["boxes"]["weight"].double())
    assert dense["box_weights"][1].tolist() == [1.0] * donor["boxes"].rows + [0.0] * (n - donor["boxes"].rows)
    assert "box_weights" not in fa.to_dense(donor, cameras=["CAM_FRONT"])
    twice = fa.Compose([fa.MixUp(alpha=1.0, name="a"), fa.MixUp(alpha=1.0, name="b")])
    again = twice(sample, seed=2, resources={"donors": fa.Donors([donor])})
    first, second = (float(r.params[""]["weight"]) for r in again.history)
    weights = again["boxes"]["weight"][: sample["boxes"].rows]
    assert torch.allclose(weights, torch.tensor(first * second))
    assert_same_streams(again, fa.replay(sample, again.history, resources={"donors": fa.Donors([donor])}))


@pytest.mark.quick
def test_lambda_is_of_a_beta_distribution() -> None:
    sample, donor = (s.with_streams({"boxes": s["boxes"]}) for s in two())
    drawn = [blend(sample, donor, seed, alpha=0.4)[1] for seed in range(200)]
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)) = 0.1389
    assert abs(np.mean(drawn) - 0.5) < 0.11 and abs(np.var(drawn) - 0.1389) < 0.04


@pytest.mark.quick
def test_what_does_not_fit_is_refused_or_left_out() -> None:
    sample, donor = two()
    silent = donor.with_streams({n: s for n, s in donor.streams.items() if n != "caption"})
    with pytest.raises(DataError, match="it has no 'caption' of that kind"):
        blend(sample, silent)
    late = donor["CAM_LEFT"]
    shifted = {**donor.streams, "CAM_LEFT": replace(late, capture_times=late.capture_times + 20_000_000)}
    out, _ = blend(sample, donor.with_streams(shifted))
    assert (
        "CAM_LEFT" not in out.streams and out.history[0].params[""]["left_out"]["CAM_LEFT"] == "no partner within 5 ms"
    )
    with pytest.raises(ConfigError, match=r"MixUp\.alpha"):
        fa.MixUp(alpha=0.0)


def test_formats_without_weights_refuse(real_data: Path, tmp_path: Path) -> None:
    log = fa.open_log("kitti", real_data / "kitti")
    found = log.writer(tmp_path / "out").can_express(fa.MixUp(), log[0])
    assert [(p.effect, p.reason) for p in found if "weights" in p.reason] == [
        ("weights", "its labels hold no weights, without which all of them would count fully")
    ]
    assert not log.writer(tmp_path / "out").can_express(fa.MixBeams(cameras="drop"), log[0])
