"""The density filter: ranges end where a frozen model's loss is too high."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from searches import space, strengths

import fusion_aug as fa
from fusion_aug.core.compose import named_leaves
from fusion_aug.policy.search.narrowing import cut, narrowed
from fusion_aug.run.config import build_pipeline

pytestmark = pytest.mark.quick
MOST = next(d.strength.sides[0] for d in space().dimensions if d.field == "share")  # share of points at magnitude 1


def loss(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
    """Doubled where two thirds of the most points are missing, or at any turn; brightness and grain do nothing."""
    assert epochs == 0 and checkpoint.before is None
    now = {n: v for (n, v), t in zip(strengths(pipeline).items(), pipeline.transforms, strict=True) if t.p > 0}
    return {"loss": 0.5 * (1 + now.get("points", 0.0) / (MOST * 2 / 3) + 3 * (now.get("turn", 0) > 0))}


def test_ranges_end_where_the_loss_doubles(tmp_path: Path) -> None:
    found = fa.search_policy(loss, space(), "density", out=tmp_path / "s", factor=2.0)
    # of the points magnitude 0.6 is kept and 0.8 is not; of the turns none is
    assert found.facts["largest"] == {
        "bright.factor": 1.0,
        "turn.yaw_deg": 0.0,
        "points.share": 0.6,
        "grain.sigma": 1.0,
    }
    assert [d.name for d in found.space.dimensions] == ["bright.factor", "points.share", "grain.sigma"]
    leaves = dict(named_leaves(found.pipeline))
    assert leaves["turn"].p == 0 and leaves["bright"].factor == (0.5, 1.5)  # type: ignore[attr-defined]
    assert leaves["points"].share == pytest.approx((0.0, min(0.5, 0.6 * MOST)))  # type: ignore[attr-defined]
    points = found.space.dimensions[1]
    assert points.value(1.0) == pytest.approx(0.6 * MOST) and points.value(0.5) == pytest.approx(0.3 * MOST)
    assert len(found.trials) == 1 + 5 * 4


def test_one_level_too_high_ends_the_range_also_where_a_higher_one_is_not(tmp_path: Path) -> None:
    losses = iter([1.0] + [1.5, 2.5, 1.0, 1.0, 1.0] + [1.0] * 15)
    found = fa.search_policy(lambda *_: {"loss": next(losses)}, space(), "density", out=tmp_path / "s")
    assert found.facts["largest"]["bright.factor"] == 0.2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trials": 9}, "trials: the engine density makes one for the clean data and one for every level"),
        ({"score": "mean"}, "score: the engine density takes the objective's 'loss' alone"),
        ({"factor": 1}, "factor: expected a number above 1"),
        ({"levels": [0, 1]}, "levels: 0 is the clean data"),
        ({"objective": lambda *_: {"loss": 0.0}}, "objective: the loss of the clean data is 0"),
        ({"objective": lambda *_: {"good": 1.0}}, "score: the objective gives no 'loss'"),
    ],
)
def test_what_the_filter_refuses(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(fa.ConfigError, match=said.replace("'", ".")):
        fa.search_policy(**({"objective": loss, "space": space(), "engine": "density", "out": tmp_path / "s"} | given))


def test_ranges_of_every_form_are_cut() -> None:
    brightness, share = (d for d in space().dimensions if d.field in ("factor", "share"))
    low, high = (side**0.5 for side in brightness.strength.sides)  # at magnitude 0.5 of a scale of logarithms from 1
    assert cut([0.4, 2.5], brightness, 0.5) == [pytest.approx(low), pytest.approx(high)]
    assert cut(0.9, brightness, 0.5) == 0.9 and cut(9.0, brightness, 0.5) == pytest.approx(high)
    assert cut({"distribution": "choice", "values": [0.1, 1.0]}, brightness, 0.5)["values"] == [1.0]
    assert cut({"distribution": "choice", "values": [0.1]}, brightness, 0.5)["values"] == [pytest.approx(low)]
    normal = cut({"distribution": "normal", "mean": 1.0, "std": 1.0, "low": 0.2}, brightness, 0.5)
    assert (normal["low"], normal["high"]) == (pytest.approx(low), pytest.approx(high))
    assert cut({"distribution": "normal", "mean": 0.2, "std": 1.0}, share, 0.5)["high"] == pytest.approx(MOST / 2)
    spread = cut({"distribution": "log_uniform", "low": 0.1, "high": 10.0}, brightness, 0.5)
    assert (spread["low"], spread["high"]) == (pytest.approx(low), pytest.approx(high))
    assert cut([0.6, 0.8], share, 0.5) == [pytest.approx(MOST / 2)] * 2
    rising = cut([0.0, fa.Schedule(0.1, 0.9, 10)], share, 0.5)
    assert rising[1] == fa.Schedule(0.1, MOST / 2, 10)
    assert cut([0.4, 2.5], brightness, 0.0) == 1.0 and cut([0.4, 2.5], brightness, 1.0) == [0.4, 2.5]


def test_fog_is_cut_from_below() -> None:
    """The range of a visibility ends at its lower end; where the fog is neutral it has none."""
    foggy = fa.Space.of(fa.Compose({"fog": fa.Fog(mor=[50, 500])}))
    half = narrowed(foggy, {"fog.mor": 0.5})
    assert dict(named_leaves(half.pipeline))["fog"].mor == pytest.approx((100.0, 500.0))  # type: ignore[attr-defined]
    assert half.dimensions[0].value(1.0) == pytest.approx(100.0) and half.dimensions[0].value(0.5) == pytest.approx(200)
    with pytest.raises(fa.ConfigError, match="no range is left"):
        narrowed(foggy, {"fog.mor": 0.0})
    with pytest.raises(fa.ConfigError, match=r"'fog\.more' is no dimension"):
        narrowed(foggy, {"fog.more": 0.5})


def test_a_narrowed_space_stays_narrow_in_configurations() -> None:
    """Of itself, and of RandAugment over it, which takes the names apart from their containers."""
    whole = fa.Space.of(
        fa.Compose({"air": fa.Compose({"fog": fa.Fog(mor=[50, 500])}), "drop": fa.PointDropout(share=0.3)})
    )
    half = narrowed(whole, {"air/fog.mor": 0.5})
    again = fa.Space.from_config(half.to_config(), build_pipeline)
    assert again.dimensions == half.dimensions and again.pipeline.to_config() == half.pipeline.to_config()
    random = build_pipeline({"_target_": "fusion_aug.pipeline", "transforms": {"r": fa.RandAugment(half).to_config()}})
    operation = random.transforms[0].space.operation("air_fog", 1.0)  # type: ignore[attr-defined]
    assert operation.mor == pytest.approx(100.0)
    twice = narrowed(half, {"air/fog.mor": 0.5})
    assert twice.dimensions[0].largest == 0.25 and twice.dimensions[0].high == pytest.approx(200.0)
