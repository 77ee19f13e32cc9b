"""RandAugment and TrivialAugment: what is chosen, how strongly, and that all of it is keyed, recorded and replayed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from generic import assert_same_streams
from samples import T0, make_sample

import fusion_aug as fa
from fusion_aug.run.config import build_pipeline
from fusion_aug.run.scope import geometry_only
from fusion_aug.streams.families import Weather


def operations() -> dict[str, fa.Transform]:
    return {
        "yaw": fa.RotateScene(yaw_deg=[-9, 9]),
        "mirror": fa.MirrorScene(),
        "light": fa.Brightness(factor=[0.5, 1.0], cameras=None),
        "points": fa.PointDropout(share=0.5),
        "ranges": fa.RangeJitter(sigma=0.1),
        "fog": fa.Fog(),
        "dust": fa.Dust(),
    }


def dry() -> dict[str, fa.Transform]:
    return {n: t for n, t in operations().items() if not isinstance(t, fa.Weather)}


def small(sample_id: str = "s0", **more: Any) -> fa.Sample:
    return make_sample(sample_id, size=(24, 32), points=60, gels=False, **more)


def chosen(sample: fa.Sample, index: int = 0) -> list[str]:
    return [r.path for r in sample.metas[index].history if r.applied]


def test_n_operations_run_in_the_listed_order() -> None:
    names, augment = [*operations()], fa.RandAugment(operations(), 3, 0.2)
    sample, counts = small(), Counter[str]()
    for k in range(100):
        paths = [names[i] for i in augment.choose(Recorder(), sample, 0, f"{k}")]
        assert len(paths) == 3 and paths == sorted(paths, key=names.index)
        assert {"fog", "dust"} - {*paths}
        counts.update(paths)
    assert {*counts} == {*names}
    assert len(chosen(augment(sample, seed=1))) == 3


@pytest.mark.quick
def test_no_two_of_a_group_come_together() -> None:
    weathers = {"fog": fa.Fog(), "rain": fa.Rain(), "night": fa.Night(), "light": fa.Gamma(gamma=2)}
    augment = fa.RandAugment(weathers, 2, 0.5)
    keys, sample = [f"s{i}" for i in range(200)], small()
    picks = [augment.choose(Recorder(), sample, 0, k) for k in keys]
    assert all(len(p) == 2 and 3 in p for p in picks) and {p[0] for p in picks} == {0, 1, 2}
    with pytest.raises(
        fa.ConfigError, match=r"RandAugment.n: expected a whole number from 0 to 2, which can run together"
    ):
        fa.RandAugment(weathers, 3)


class Recorder:
    """What chooses by a path alone."""

    def __init__(self) -> None:
        from fusion_aug.core.random import Keys

        self.keys = Keys(5)

    def draw_owner(self, sample: fa.Sample, index: int, transform: fa.Transform) -> str:
        return sample.id


def test_magnitudes_are_drawn_for_each_operation() -> None:
    parts = dry()
    augment, drawn = fa.RandAugment(parts, 4, [0.1, 0.9]), []
    for seed in range(8):
        for record in augment(small(), seed=seed).history:
            params = record.params.get("", next(iter(record.params.values())))
            drawn += [params["share"] / 0.9] if record.path == "points" else []
            drawn += [params["sigma"] / 0.2] if record.path == "ranges" else []
    assert len(drawn) > 6 and all(0.1 <= m <= 0.9 for m in drawn) and len({*drawn}) == len(drawn)
    exact = fa.RandAugment({"points": fa.PointDropout(share=0.5)}, 1, 0.3)(small())
    assert exact.history[0].params["lidar"]["share"] == pytest.approx(0.27)


@pytest.mark.quick
def test_magnitude_0_is_the_identity() -> None:
    before = small()
    after = fa.RandAugment(operations(), 4, 0)(before, seed=2)
    assert chosen(after) == [] and len(after.history) == 4
    assert all(after.streams[n] is s for n, s in before.streams.items())


def test_a_batch_is_as_its_samples_and_each_is_replayed() -> None:
    parts = {n: t for n, t in operations().items() if n != "dust"}
    augment = fa.Compose({"policy": fa.RandAugment(parts, 2, [0.2, 0.8], p=0.8)})
    batch = fa.merge([small(f"s{k}") for k in range(5)])
    together = augment(batch, seed=3)
    assert len({tuple(chosen(together, i)) for i in range(5)}) > 2
    for i in range(5):
        before = batch.take([i])
        alone = augment(before, seed=3)
        assert together.metas[i].history == alone.metas[0].history
        assert all(p.startswith("policy/") for p in chosen(alone))
        assert_same_streams(together.take([i]), alone, exact=False)
        assert_same_streams(fa.replay(before, alone.history), alone)


def test_geometry_alone_is_chosen_as_in_the_whole() -> None:
    """``fusion-aug check`` measures the geometry of a pipeline without the rest of it."""
    parts = dry()
    whole, sample = fa.Compose({"policy": fa.RandAugment(parts, 2, [0.1, 0.9])}), small()
    geometry, seen = geometry_only(whole), set()
    for seed in range(6):
        expected = [r for r in whole(sample, seed=seed).history if r.path in ("policy/yaw", "policy/mirror")]
        assert [r for r in geometry(sample, seed=seed).history if r.applied] == expected
        seen.add(len(expected))
    assert len(seen) > 1


def test_a_scene_may_share_what_is_chosen() -> None:
    parts = dry()
    augment = fa.RandAugment(parts, 2, [0.1, 0.9], scope="scene")
    one, other = (augment(small(f"s{k}", time=T0 + k * 500_000_000), seed=1) for k in range(2))
    elsewhere = [chosen(augment(small("s0", scene=f"other{k}"), seed=1)) for k in range(6)]
    assert chosen(one) == chosen(other) and any(e != chosen(one) for e in elsewhere)


@pytest.mark.quick
def test_weights_of_transforms_and_families() -> None:
    augment = fa.RandAugment(operations(), 1, weights={"Scene": 1, "PointOp": 2, "fog": 3, "dust": 0, "light": 0})
    assert dict(zip(augment.names, augment.shares, strict=True)) == {
        "yaw": 0.5, "mirror": 0.5, "light": 0, "points": 1, "ranges": 1, "fog": 3, "dust": 0,
    }  # fmt: skip
    sample, counts = small(), Counter[str]()
    for k in range(600):
        counts.update(augment.names[i] for i in augment.choose(Recorder(), sample, 0, f"{k}"))
    assert {*counts} == {"yaw", "mirror", "points", "ranges", "fog"}
    assert 250 < counts["fog"] < 350 and 30 < counts["yaw"] < 75


def test_trivial_augment_takes_one_at_any_magnitude() -> None:
    augment, shares = fa.TrivialAugment({"points": fa.PointDropout(share=0.5)}), []
    for seed in range(30):
        (record,) = augment(small(), seed=seed).history
        shares.append(record.params["lidar"]["share"] / 0.9)
    assert min(shares) < 0.15 and max(shares) > 0.85
    assert build_pipeline(augment.to_config()).transforms[0] == augment
    with pytest.raises(fa.ConfigError, match="TrivialAugment: unknown parameter 'n'"):
        fa.TrivialAugment(operations(), n=2)


def test_a_space_is_taken_apart_with_its_dimensions() -> None:
    inside = fa.OneOf({"fog": fa.Fog(), "night": fa.Night()}, p=0.1)
    whole = fa.Space.of(fa.Compose({"yaw": fa.RotateScene(yaw_deg=[-9, 9]), "air": inside}))
    augment = fa.RandAugment(whole, 1, 0.5)
    assert augment.names == ("yaw", "air_fog", "air_night") and augment.dimensions is None
    some = fa.RandAugment(whole.only(["air/fog.mor"]), 1, 0.5)
    assert some.dimensions == ("air_fog.mor",) and some.space.operations == ("air_fog",)
    assert some.space.operation("yaw", 0.5) == fa.RotateScene(yaw_deg=[-9, 9])
    for made in (augment, some, fa.RandAugment(operations(), 2, fa.Schedule(0.1, 0.5, 10), weights={"Weather": 2})):
        again = build_pipeline({"_target_": "fusion_aug.pipeline", "transforms": {"a": made.to_config()}})
        assert again.transforms[0] == made and again.transforms[0].space == made.space


@pytest.mark.quick
def test_a_schedule_raises_the_magnitude_by_the_epoch() -> None:
    augment = fa.RandAugment({"points": fa.PointDropout(share=0.5)}, 1, fa.Schedule(0.0, 1.0, 4))
    shares = [augment(small(), epoch=e).history[0] for e in (0, 2, 9)]
    assert [r.applied for r in shares] == [False, True, True]
    assert [r.params["lidar"]["share"] for r in shares[1:]] == pytest.approx([0.45, 0.9])
    assert augment.at_epoch(2) == fa.RandAugment({"points": fa.PointDropout(share=0.5)}, 1, 0.5)


@pytest.mark.quick
def test_effects_are_those_of_all_that_can_be_chosen() -> None:
    tilted = {"tilt": fa.RotateScene(roll_deg=[-2, 2]), "points": fa.PointDropout(share=0.5)}
    assert "box_tilt" in fa.RandAugment(tilted, 1).effects()
    assert "box_tilt" not in fa.RandAugment(tilted, 1, weights={"tilt": 0}).effects()
    assert fa.RandAugment(tilted, 0).effects() == {} == fa.RandAugment(tilted, 1, p=0.0).effects()


def test_loaders_give_the_same_for_any_number_of_workers() -> None:
    samples = [small(f"s{k}") for k in range(4)]
    parts = dry()
    data = fa.AugmentedDataset(samples, fa.RandAugment(parts, 2, [0.1, 0.9]), seed=4)
    alone = [data[k] for k in range(4)]
    loader = torch.utils.data.DataLoader(
        data, batch_size=2, collate_fn=fa.collate, num_workers=1, timeout=60, multiprocessing_context="fork"
    )
    together = [batch.take([i]) for batch in loader for i in range(2)]
    for a, b in zip(alone, together, strict=True):
        assert a.history == b.metas[0].history


def test_the_preset_holds_driving_transforms_of_all_sensors() -> None:
    whole = fa.preset("randaugment", magnitude=0.3, n=2)
    (augment,) = whole.transforms
    assert isinstance(augment, fa.RandAugment) and (augment.n, augment.magnitude) == (2, 0.3)
    assert not any(type(t).needs_naming for t in augment.transforms)
    assert sum(isinstance(t, Weather) for t in augment.transforms) >= 5
    assert {*augment.space.operations} | {"mirror"} == {*augment.names}


@pytest.mark.quick
def test_wrong_words_are_refused() -> None:
    for options, said in (
        ({"n": 9}, "RandAugment.n: expected a whole number from 0 to 6, which can run together, got 9"),
        ({"n": True}, "RandAugment.n: expected a whole number"),
        ({"magnitude": 1.5}, "RandAugment.magnitude: 1.5 lies outside"),
        ({"magnitude": "all"}, "RandAugment.magnitude: expected a number"),
        ({"weights": {"Fogg": 1}}, "RandAugment.weights: 'Fogg' is no transform or family here"),
        ({"weights": {"fog": -1}}, "RandAugment.weights.fog: expected a number of at least 0"),
        ({"weights": [1, 2]}, "RandAugment.weights: expected a mapping"),
        ({"dimensions": ["fog.share"]}, "RandAugment.dimensions: 'fog.share' is no field with a strength"),
        ({"strength": 2}, "RandAugment: unknown parameter 'strength'"),
    ):
        with pytest.raises(fa.ConfigError, match=said):
            fa.RandAugment(operations(), **options)  # type: ignore[arg-type]
    twins = {"a_b": fa.Fog(), "a": fa.Compose({"b": fa.Fog()})}
    with pytest.raises(fa.ConfigError, match="two of them would be named 'a_b'"):
        fa.RandAugment(twins)


def test_a_pipeline_or_a_single_transform_will_do() -> None:
    fog = fa.Fog(mor=[50, 500])
    assert fa.RandAugment(fa.Compose({"fog": fog, "hue": fa.Hue(angle_deg=[0, 20])})).names == ("fog", "hue")
    assert fa.RandAugment(fog, n=1, magnitude=0.5).names == ("Fog",)
    assert fa.Space.of(fog).at(torch.tensor(0.5).numpy()[()]).to_config() == fa.Space.of(fog).at(0.5).to_config()
    with pytest.raises(fa.ConfigError, match="there is none"):
        fa.RandAugment([])
