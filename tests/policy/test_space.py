"""Spaces: magnitudes of a pipeline's numbers, 0 is the identity, and more is stronger."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cases import CASES
from generic import Case, assert_same_streams, build, only
from samples import make_sample
from scipy.stats import spearmanr

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.core.strength import Strength
from fusion_aug.policy.probe import REFERENCE, losses
from fusion_aug.policy.space import dimensions_of
from fusion_aug.run.config import build_pipeline


def pipeline() -> fa.Compose:
    weather = fa.OneOf({"fog": fa.Fog(), "night": fa.Night()})
    light = fa.Brightness(factor=[0.5, 1.0], cameras=None, p=0.5)
    return fa.Compose(
        {"yaw": fa.RotateScene(yaw_deg=[-9, 9]), "mirror": fa.MirrorScene(), "light": light, "air": weather}
    )


NAMES = ["yaw.yaw_deg", "light.factor", "air/fog.mor", "air/night.illuminance"]


@pytest.mark.quick
def test_dimensions_are_the_fields_that_a_pipeline_moves() -> None:
    space = fa.Space.of(pipeline())
    assert [d.name for d in space.dimensions] == NAMES
    assert space.operations == ("yaw", "light", "air/fog", "air/night")
    every = {d.name for d in fa.Space.of(pipeline(), every=True).dimensions}
    assert {*NAMES, "yaw.roll_deg", "air/fog.rain_rate"} < every and "air/fog.wind_deg" not in every
    fog = space.dimensions[2]
    assert (fog.low, fog.high, fog.scale) == (None, 50.0, "inverse")
    assert fog.value(0) is None and fog.value(0.5) == pytest.approx(100) and fog.value(1) == 50
    assert fog.value(1e-9) == 1e6  # the field's limit
    assert space.dimensions[0].value(0.5) == {"distribution": "choice", "values": [-90.0, 90.0]}


@pytest.mark.quick
def test_at_sets_the_dimensions_and_nothing_else() -> None:
    space = fa.Space.of(pipeline())
    at = space.at({"light.factor": 1.0, "air/fog.mor": 0.5})
    assert at.names == ("yaw", "mirror", "light", "air")
    yaw, mirror, light, air = at.transforms
    assert yaw.p == 0 and mirror.p == 1 and light.p == 0.5 and isinstance(air, fa.OneOf)
    assert [t.p for t in air.transforms] == [1, 0] and air.transforms[0].mor == pytest.approx(100)
    assert light.factor["values"] == list(space.dimensions[1].strength.sides)
    vector = space.vector({"yaw.yaw_deg": 0.2})
    assert vector == (0.2, 0.0, 0.0, 0.0) and space.at(vector) == space.at({"yaw.yaw_deg": 0.2})
    assert space.at(0.3) == space.at([0.3] * 4)


@pytest.mark.quick
def test_at_0_nothing_is_applied_not_even_what_has_no_dimension() -> None:
    before = make_sample(size=(24, 32), points=60, gels=False)
    after = fa.Space.of(pipeline()).at(0)(before)
    assert not any(r.applied for r in after.history) and len(after.history) == 4
    assert all(after.streams[n] is s for n, s in before.streams.items())


def has_strength(case: Case) -> bool:
    return bool(dimensions_of(own_transforms()[case[0]](**case[1]), "", every=True))


@only(has_strength)
def test_magnitude_0_is_the_identity(case: Case) -> None:
    """Of every setting of every transform, with its other fields as they are."""
    before, space = make_sample(size=(24, 32), points=60), fa.Space.of(fa.Compose({"one": build(case)}), every=True)
    after = space.operation("one", 0)(before)
    assert all(after.streams[n] is s for n, s in before.streams.items()) and after.metas[0].rig == before.metas[0].rig
    assert [r.applied for r in after.history] == [False]


@pytest.mark.quick
def test_a_space_of_some_dimensions() -> None:
    space = fa.Space.of(pipeline()).only(["air/fog.mor"])
    assert space.operations == ("air/fog",)
    yaw = space.at(0.5).transforms[0]
    assert yaw == fa.RotateScene(yaw_deg=[-9, 9])  # as in the pipeline


@pytest.mark.quick
def test_a_space_comes_back_from_its_configuration() -> None:
    space = fa.Space.of(pipeline(), every=True).only([*NAMES, "yaw.roll_deg"])
    again = fa.Space.from_config(space.to_config(), build_pipeline)
    assert again.dimensions == space.dimensions and again.at(0.4) == space.at(0.4)
    config = space.at(0.4).to_config()
    assert build_pipeline(config) == space.at(0.4)
    with pytest.raises(fa.ConfigError, match="expected a mapping with pipeline and dimensions"):
        fa.Space.from_config({"pipeline": {}}, build_pipeline)


@pytest.mark.quick
def test_wrong_words_and_magnitudes_are_refused() -> None:
    space = fa.Space.of(pipeline())
    for wrong, said in (
        (1.5, "yaw.yaw_deg: expected a magnitude from 0 to 1, got 1.5"),
        (math.nan, "expected a magnitude from 0 to 1, got nan"),
        ({"fog.mor": 0.1}, "'fog.mor' is no dimension of the space .it has yaw.yaw_deg, "),
        ([0.1, 0.2], "2 magnitudes are given for 4 dimensions"),
    ):
        with pytest.raises(fa.ConfigError, match=said):
            space.at(wrong)  # type: ignore[arg-type]
    with pytest.raises(fa.ConfigError, match=r"there is no 'fog' in the pipeline .it has yaw, mirror, light, air/fog"):
        space.operation("fog", 0.3)
    with pytest.raises(fa.ConfigError, match="no number of the pipeline has a strength"):
        fa.Space.of(fa.MirrorScene())
    with pytest.raises(fa.ConfigError, match="'Fogg' is no transform of this package"):
        fa.Space.fitting(make_sample(gels=False), also=["Fogg"])


# what stands for its kind of data; all of them are measured by benchmarks/strength.py
STEADY: dict[str, tuple[fa.Transform, str]] = {
    "noise": (fa.GaussianNoise(sigma=0.1, cameras=None), "pictures"),
    "gamma": (fa.Gamma(gamma=2, cameras=None), "pictures"),
    "points": (fa.PointDropout(share=0.5), "clouds"),
    "taxels": (fa.TaxelGain(), "taxels"),
    "forces": (fa.ForceNoise(), "wrenches"),
    "fog": (fa.Fog(refine=False), "clouds"),
}


SEEN = {
    "pictures": ("CAM_FRONT",),
    "clouds": ("lidar", "boxes", "ego"),
    "taxels": ("TOUCH_LEFT", "TOUCH_RIGHT"),
    "wrenches": ("wrench",),
}


@pytest.mark.parametrize("name", STEADY)
def test_more_is_stronger(name: str) -> None:
    """Spearman's correlation between magnitude and what the probe finds, the mean of three draws, is at least 0.95."""
    leaf, kind = STEADY[name]
    whole = make_sample(size=(24, 32), points=200, gels=False)
    sample, space = whole.with_streams({n: whole[n] for n in whole.streams if n in SEEN[kind]}), fa.Space.of(leaf)
    levels = [float(m) for m in np.linspace(0, 1, 9)]
    found = [[losses(sample, space.at(m)(sample, seed=k))[kind] for k in range(3)] for m in levels]
    means = np.mean(found, 1)
    assert means[0] == 0 and means[-1] > REFERENCE[kind] / 4
    assert spearmanr(levels, means).statistic >= 0.95


def test_fitting_takes_what_does_something_and_says_why_not() -> None:
    whole = make_sample(size=(24, 32), points=60, gels=False)
    sample = whole.with_streams({n: whole[n] for n in ("lidar", "boxes", "ego")})
    space = fa.Space.fitting(sample)
    assert {"Fog", "PointDropout", "RotateScene", "BeamDropout"} <= {*space.operations}
    gone = space.left_out
    assert gone["Brightness"] == "it changes nothing of the sample" and "Fog" in gone["Weather"]
    assert gone["MirrorScene"] == "no number of it has a strength" and "pose becomes wrong" in gone["GpsJump"]
    assert {*space.operations} | {*gone} == {*own_transforms()}
    assert "GpsJump" in fa.Space.fitting(sample, also=["GpsJump"]).operations


def test_what_needs_naming_changes_calibration_or_labels() -> None:
    named = {n for n, t in own_transforms().items() if t.needs_naming}
    assert {"Miscalibrate", "ClockOffset", "GpsJump", "KinematicNoise", "FrozenCamera"} <= named
    assert all(own_transforms()[n].excludes == "weather" for n in ("Fog", "Night", "Weather", "WetRoad"))


def test_every_strength_is_of_a_field_that_can_be_given() -> None:
    for name, kind in own_transforms().items():
        fields: dict[str, Any] = {n: s.sides[0] for n, s in kind.strengths.items() if isinstance(s, Strength)}
        given = {k: v for k, v in CASES[name][0].items() if k not in fields}
        for field, value in fields.items():
            others = {n: s.neutral for n, s in kind.strengths.items() if isinstance(s, Strength)}
            assert getattr(kind(**{**given, **others, field: value}), field) == value


def test_the_same_sample_comes_out_twice() -> None:
    sample, space = make_sample(size=(24, 32), points=60, gels=False), fa.Space.of(pipeline())
    assert_same_streams(space.at(0.4)(sample, seed=3), space.at(0.4)(sample, seed=3))


@pytest.mark.parametrize(
    "inside",
    [
        lambda: fa.WorstOf({"b": fa.Brightness(factor=[0.5, 1.5])}, 2, lambda sample: 0.0),
        lambda: fa.Adversary({"b": fa.Brightness(factor=[0.5, 1.5])}, lambda sample: 0.0),
        lambda: fa.RandAugment({"b": fa.Brightness(factor=[0.5, 1.5])}, n=1),
    ],
)
def test_what_sets_magnitudes_itself_is_refused(inside) -> None:
    """Else a search would compare pipelines that do not differ."""
    chosen = fa.Compose({"hue": fa.Hue(angle_deg=[0, 20]), "inner": fa.OneOf({"own": inside()})})
    with pytest.raises(fa.ConfigError, match=r"inner/own: magnitudes cannot be set inside"):
        fa.Space.of(chosen)
    with pytest.raises(fa.ConfigError, match=r"inner/own: magnitudes cannot be set inside"):
        fa.RandAugment(chosen)
