"""Numbers that change from epoch to epoch."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from generic import Case, assert_same_streams, build
from loading import MadeLog, numbers
from samples import make_sample
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.core.fields import kinds
from fusion_aug.core.schedules import LONGEST
from fusion_aug.run.config import build_pipeline

pytestmark = pytest.mark.quick

RISING = fa.Schedule(0.0, 0.8, 4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", [1, 1, 2.75, 4.5, 6.25, 8, 8]),
        ("cosine", [1, 1, 1 + 7 * (1 - math.sqrt(0.5)) / 2, 4.5, 1 + 7 * (1 + math.sqrt(0.5)) / 2, 8, 8]),
        ("geometric", [1, 1, 8**0.25, 8**0.5, 8**0.75, 8, 8]),
        ("step", [1, 1, 1, 1, 1, 8, 8]),
    ],
)
def test_shapes_go_from_start_to_end_and_stay_there(shape: str, expected: list[float]) -> None:
    schedule = fa.Schedule(1, 8, 4, shape)
    assert [schedule.at(e) for e in (-1, 0, 1, 2, 3, 4, 99)] == pytest.approx(expected)


def test_a_draw_is_that_of_the_number_of_its_epoch() -> None:
    """Of a fixed number, an end of a range, a distribution and a gate."""
    sample = make_sample(gels=False)
    fields: list[tuple[Any, Any]] = [
        (fa.Schedule(0.5, 1.5, 4), 0.75),
        ([0.5, fa.Schedule(0.5, 1.5, 4)], [0.5, 0.75]),
        ({"distribution": "log_uniform", "low": 0.25, "high": fa.Schedule(0.5, 1.5, 4)},
         {"distribution": "log_uniform", "low": 0.25, "high": 0.75}),
        ({"distribution": "normal", "mean": fa.Schedule(0.5, 1.5, 4), "std": 0.1},
         {"distribution": "normal", "mean": 0.75, "std": 0.1}),
    ]  # fmt: skip
    for scheduled, plain in fields:
        a = fa.Brightness(factor=scheduled, p=RISING)(sample, seed=3, epoch=1)
        b = fa.Brightness(factor=plain, p=0.2)(sample, seed=3, epoch=1)
        assert a.history == b.history
    late = fa.Brightness(factor=fa.Schedule(0.5, 1.5, 4))(sample, seed=3, epoch=9)
    assert late.history[-1].params[""]["factor"] == 1.5


def test_a_gate_opens_over_the_epochs() -> None:
    sample, step = make_sample(), fa.PointDropout(share=0.5, p=fa.Schedule(0.0, 1.0, 10))
    ran = [sum(step(sample, seed=s, epoch=e).history[-1].applied for s in range(60)) for e in (0, 5, 10)]
    assert ran[0] == 0 and 15 < ran[1] < 45 and ran[2] == 60
    whole = fa.Compose([step], p=fa.Schedule(1.0, 0.0, 2, "step"))
    assert whole(sample, seed=0, epoch=1).history[-1].path == "PointDropout" and whole(sample, epoch=2) is sample


@pytest.mark.slow
def test_every_range_of_every_transform_takes_one(case: Case) -> None:
    """A transform whose ranges are scheduled is that with their numbers, and plans with all of them."""
    plain = build(case)
    ranges = [n for n, kind in kinds(type(plain)).items() if kind.name == "range" and getattr(plain, n) is not None]

    def scheduled(value: Any) -> Any:
        if isinstance(value, int | float):
            return fa.Schedule(value, value, 3)
        return [scheduled(v) for v in value] if isinstance(value, tuple) else value

    again = build(case, **{n: scheduled(getattr(plain, n)) for n in ranges})
    assert again.at_epoch(2) == plain and again.effects() == plain.effects()
    assert again.over_epochs().effects() == plain.effects()


def test_workers_and_replay_need_no_schedule() -> None:
    log = MadeLog(gels=False)
    pipeline = fa.Compose(
        [fa.RotateScene(yaw_deg=[fa.Schedule(0, -40, 3), fa.Schedule(0, 40, 3)]), fa.Brightness(factor=0.5, p=RISING)]
    )
    alone = [pipeline(log[i], seed=5, epoch=2) for i in range(4)]
    for workers in (0, 2):
        dataset = fa.AugmentedDataset(log, pipeline, seed=5)  # type: ignore[arg-type]
        loader = DataLoader(dataset, collate_fn=fa.collate, num_workers=workers)
        fa.set_epoch(loader, 2)
        assert numbers(list(loader)) == numbers([s.realized() for s in alone])
    again = fa.replay(log[0], fa.history_from_json(json.loads(json.dumps(fa.history_to_json(alone[0].history)))))
    assert_same_streams(again, alone[0])


def test_configurations_hold_them() -> None:
    words = """
        _target_: fusion_aug.pipeline
        transforms:
          dim:
            _target_: fusion_aug.Brightness
            factor: [0.5, {_target_: fusion_aug.Schedule, start: 0.6, end: 1.0, epochs: 5, shape: cosine}]
            p: {_target_: fusion_aug.Schedule, start: 0, end: 1, epochs: 2}
    """
    built = build_pipeline(yaml.safe_load(words))
    expected = fa.Brightness(factor=[0.5, fa.Schedule(0.6, 1.0, 5, "cosine")], p=fa.Schedule(0, 1, 2))
    assert built.transforms == (expected,)
    assert build_pipeline(json.loads(json.dumps(built.to_config()))).transforms == (expected,)


def test_plans_look_at_all_epochs_that_run() -> None:
    """A tilt that comes in a later epoch is refused before the first."""
    pipeline = fa.Compose([fa.RotateScene(pitch_deg=fa.Schedule(0, 5, 4, "step")), fa.FlipImage(p=RISING)])
    assert pipeline.over_epochs(range(1)).transforms[0].effects() == {}
    assert "box_tilt" in pipeline.over_epochs(range(5)).effects()
    assert pipeline.over_epochs(range(3)).transforms[1].p == pytest.approx(0.4)
    assert pipeline.over_epochs().transforms[1].p == 0.8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fa.Schedule(0, 1, 0), "epochs: expected a whole number of epochs from 1"),
        (lambda: fa.Schedule(0, 1, LONGEST + 1), "epochs: expected a whole number"),
        (lambda: fa.Schedule(0, 1, 3, "sine"), "'sine' is not one of linear, cosine, geometric, step"),
        (lambda: fa.Schedule(0, 1, 3, "geometric"), "needs ends of one sign"),
        (lambda: fa.Schedule(float("nan"), 1, 3), "start: expected a number"),
        (lambda: fa.Brightness(factor=fa.Schedule(1, -2, 4)), r"at epoch 2\): -0.5 lies outside the allowed range"),
        (lambda: fa.Brightness(factor=[fa.Schedule(0.5, 2, 3), 1.0]), r"at epoch 2\): the lower end 1.5 lies above"),
        (lambda: fa.Brightness(factor=1.2, p=fa.Schedule(0, 2, 3)), "p: expected a probability from 0 to 1"),
        (lambda: fa.Brightness(factor=1.2, p=[0.1, 0.3]), "p: expected a probability from 0 to 1"),
        (
            lambda: fa.Brightness(factor=1.2, p={"_target_": "fusion_aug.Schedule", "start": 0, "end": 1}),
            "see 'epochs'",
        ),
        (lambda: fa.Compose([], p=fa.Schedule(-1, 1, 3)), "p: expected a probability from 0 to 1"),
    ],
)
def test_wrong_ones_are_refused(make: Any, message: str) -> None:
    with pytest.raises(fa.ConfigError, match=message):
        make()
