"""Scenes of robots on a device, here the mock one: vectors in every form, key points, planar scans and gels."""

from __future__ import annotations

import pytest
import torch
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from calib.rotation_forms import WIDTHS, form_from_rotation
from calib.se3 import rotation_about
from fusion_aug.errors import ConfigError, UnhandledStream
from fusion_aug.streams.dropped import with_dropped
from fusion_aug.streams.vectors import CHANGES
from fusion_aug.testing import mock_device

MOVES = [
    fa.RotateScene(yaw_deg=25.0, pitch_deg=3.0), fa.MirrorScene(axis="y", p=0.5), fa.ScaleScene(scale=1.3, p=0.5),
    fa.TranslateScene(x=0.5),
]  # fmt: skip
MIXED = 3  # a seed by which the mirror meets one of two samples


def as_on_the_cpu(sample: fa.Sample, pipeline: fa.Transform, seed: int = MIXED) -> fa.Sample:
    """Run both ways; compare values, and that nothing came back in between. Gives what the CPU made."""
    here = pipeline(sample, seed=seed).realized()
    with mock_device() as log:
        there = sample.to(log.device)
        log.clear()
        out = pipeline(there, seed=seed)
        assert not log.syncs and len(log.copies_in) <= 1
        out = out.to("cpu")
    assert_same_streams(here, out, exact=False)
    assert [m.history for m in here.metas] == [m.history for m in out.metas]
    return here


def robots(gels: bool = False) -> fa.Sample:
    return fa.collate([make_sample(f"s{k}", seed=k, gels=gels) for k in range(2)])


@pytest.mark.quick
def test_everything_of_a_robot_moves() -> None:
    sample = robots()
    pipeline = fa.Compose([*MOVES, fa.MirrorRobot(p=0.5)])
    here = as_on_the_cpu(sample, pipeline)
    mirrored = [[r.applied for r in m.history if "Mirror" in r.path] for m in here.metas]
    assert any(any(m) for m in mirrored) and not all(all(m) for m in mirrored)
    for name, column in (("action", "delta_position"), ("WRIST/points", "pixel")):
        assert not torch.allclose(here[name][column], sample[name][column], atol=1e-3)
    assert list(here["WRIST/points"]["name"]) != list(sample["WRIST/points"]["name"])


def of_a_hand(form: str, dtype: torch.dtype) -> fa.Sample:
    """Commands of a hand in a form of rotations, whole turns among them, in the frame of the robots' own commands."""
    sample = robots()
    own = sample["action"]
    turns = torch.linspace(-7, 7, len(own), dtype=torch.float64)
    R = rotation_about("z", turns) @ rotation_about("y", 0.3 * turns) @ rotation_about("x", turns - 1)
    like = torch.ones(len(own), WIDTHS[form], dtype=torch.float64)
    numbers = form_from_rotation(form, R, like).to(dtype)
    change, places = CHANGES[form], own["delta_position"].to(dtype)
    values = {"position": places, form: numbers, change: numbers.flip(0), f"tool_{change}": numbers}
    told = {"capture_times": own.capture_times, "sample_index": own.sample_index}
    return sample.with_streams({"action": fa.Action(frame=own.frame, child=own.child, values=values, **told)})


@pytest.mark.parametrize("form", WIDTHS)
def test_rotations_move_in_every_form(form: str) -> None:
    sample = of_a_hand(form, torch.float64)
    here = as_on_the_cpu(sample, fa.Compose(MOVES))
    assert not torch.allclose(here["action"][form], sample["action"][form], atol=1e-2)
    as_on_the_cpu(of_a_hand(form, torch.float32), fa.MirrorScene(axis="y"))


@pytest.mark.parametrize("time_increment", [0.0, 1e-4])
def test_planar_scans_turn_and_are_mirrored(time_increment: float) -> None:
    scans, g = [], torch.Generator().manual_seed(1)
    for sample, rays in zip((robots().take([k]) for k in range(2)), (7, 9), strict=True):
        columns = {"angle_min": -1.0, "angle_max": 1.0, "angle_increment": 2 / (rays - 1), "range_min": 0.1,
                   "range_max": 30.0, "scan_time": 0.1, "time_increment": time_increment}  # fmt: skip
        values = {n: torch.tensor([v], dtype=torch.float64) for n, v in columns.items()}
        values |= {"rays": torch.tensor([rays]), "range": torch.rand(1, rays, generator=g) * 20}
        time = sample.metas[0].ref.time
        scan = fa.PlanarScan(frame="ref", capture_times=torch.tensor([time]), values=values)
        scans.append(sample.with_streams({"scan": scan}))
    sample = fa.collate(scans)
    here = as_on_the_cpu(sample, fa.Compose([fa.RotateScene(yaw_deg=25.0), *MOVES[1:3]]))["scan"]
    assert not torch.allclose(here["angle_min"], sample["scan"]["angle_min"], atol=1e-3)


@pytest.mark.quick
def test_gels_lie_still_but_are_not_mirrored_on_a_device() -> None:
    whole = robots(gels=True)
    sample = whole.with_streams({n: whole.streams[n] for n in ("GEL_LEFT", "GEL_RIGHT", "GEL_LEFT/height")})
    here = as_on_the_cpu(sample, fa.Compose([MOVES[0], fa.ScaleScene(scale=1.3)]))
    assert torch.allclose(here["GEL_LEFT"].mm_per_pixel, sample["GEL_LEFT"].mm_per_pixel * 1.3)
    as_on_the_cpu(sample.with_streams({"GEL_LEFT/height": sample["GEL_LEFT/height"]}), MOVES[1])  # metres, one channel
    with mock_device() as log, pytest.raises(ConfigError, match=r"no rule for MirrorScene \(GEL_LEFT, GEL_RIGHT\)"):
        MOVES[1](sample.to(log.device), seed=MIXED)


@pytest.mark.quick
def test_numbers_that_are_no_known_rotation_are_refused_on_a_device_too() -> None:
    sample = robots()
    own = sample["action"]
    wrong = fa.Action(frame=own.frame, child=own.child, values={"value": own["delta_position"]}, misplaced=("euler",),
                      capture_times=own.capture_times, sample_index=own.sample_index)  # fmt: skip
    with mock_device() as log, pytest.raises(UnhandledStream, match="euler are called as places or rotations"):
        MOVES[0](sample.with_streams({"action": wrong}).to(log.device), seed=1)


def test_pads_with_lost_readings_change_sides() -> None:
    sample = robots()
    left, lost = sample["TOUCH_LEFT"], torch.zeros(len(sample["TOUCH_LEFT"]), dtype=torch.bool)
    lost[3:6] = True
    given = sample.with_streams({**sample.streams, "TOUCH_LEFT": with_dropped(left, lost)})
    pipeline = fa.Compose([fa.TaxelGain(sigma=0.2), fa.MirrorScene(axis="y", p=0.5), fa.RotateScene(yaw_deg=5.0)])
    seed = next(s for s in range(20) if [m.history[1].applied for m in pipeline(sample, seed=s).metas] == [True, False])
    out = as_on_the_cpu(given, pipeline, seed)
    assert not out["TOUCH_RIGHT"].present.all() and out["TOUCH_LEFT"].present.all()
