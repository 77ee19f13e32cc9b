"""The examples run: 20 steps of each, on little data."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path
from types import ModuleType

import hydra
import pytest
import torch
from places import REPOSITORY

import fusion_aug as fa
from fusion_aug.policy.search import Checkpoint
from fusion_aug.synth.drive import Size, make_log

SMALL = Size((48, 84), 120, 80, 1, lean=True)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """``examples/train_fusion.py``, with two keyframes a step."""
    spec = importlib.util.spec_from_file_location("train_fusion", REPOSITORY / "examples" / "train_fusion.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BATCH = 2  # type: ignore[attr-defined]
    return module


@pytest.fixture(scope="module")
def keyframes(tmp_path_factory: pytest.TempPathFactory) -> list[fa.Sample]:
    log = make_log(tmp_path_factory.mktemp("example") / "street", frames=2, every=1.0, size=SMALL)
    return [sample.realized() for sample in fa.open_log("nuscenes", log)]


@pytest.fixture
def twenty_steps(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(example.SETTINGS, "steps", 20)


@pytest.mark.usefixtures("twenty_steps")
def test_twenty_steps_learn_two_keyframes(example: ModuleType, keyframes: list[fa.Sample]) -> None:
    """The loss falls far, and what nothing was found of before is found."""
    batches = [example.dense(keyframes)]
    scores, losses = [], []
    for last in (1, 20):
        network = example.train(keyframes, fa.Compose([]), 0, last)
        with torch.no_grad():
            losses.append(float(example.loss_of(network.train()(batches[0]), batches[0])))
        scores.append(example.evaluate(network, batches))
    assert losses[1] < 0.25 * losses[0] and scores[1] > scores[0] + 20


@pytest.mark.usefixtures("twenty_steps")
def test_a_training_that_goes_on_is_the_same(
    example: ModuleType, keyframes: list[fa.Sample], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a search asks for it: one step an epoch, stopped after one and gone on, by files."""
    monkeypatch.setattr(example, "keyframes", lambda part: [k for k in keyframes for _ in range(2)])
    monkeypatch.setattr(example, "tests", lambda part: {"clean": [example.dense(keyframes)]})
    pipeline = fa.Compose([fa.RotateScene(yaw_deg=[-45, 45]), fa.Brightness(factor=[0.7, 1.3])])
    files = [tmp_path / name for name in ("half", "whole", "straight")]
    example.objective(pipeline, 3, 1, Checkpoint(None, files[0]))
    scores = example.objective(pipeline, 3, 1, Checkpoint(files[0], files[1], epoch=1))
    assert scores == example.objective(pipeline, 3, 2, Checkpoint(None, files[2]))
    parted, straight = (torch.load(f, weights_only=True)["network"] for f in files[1:])
    assert all(torch.equal(parted[name], straight[name]) for name in straight)


@pytest.mark.quick
def test_average_precision(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: right, too far, of a place that is taken, out of reach, of another class."""
    truth = torch.tensor([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 50.0, 0.0], [5.0, 5.0, 1.0], [0.0, 0.0, -1.0]])
    found = [
        torch.tensor([[0.5, 0.0, 0, 0.9], [0.0, 0.9, 0, 0.8], [10.0, 0.9, 0, 0.7], [0, 50.0, 0, 0.6], [5, 5, 1, 0.5]]),
        torch.tensor([[0.0, 0.0, 0.0, 0.95]]),
    ]
    keyframes = [
        {"boxes": t[None, :, :2], "labels": t[None, :, 2].long(), "found": f[None]}
        for t, f in zip((truth, truth[:0]), found, strict=True)
    ]
    monkeypatch.setattr(example, "detections", lambda network, batch: batch["found"])
    # cars by score: wrong, as of another keyframe, right, wrong, right: precisions 0, 1/2, 1/3, 1/2; two objects
    assert example.evaluate(None, keyframes) == pytest.approx((100 * (0.5 + 0.5) / 2 + 100) / 2)
    assert example.evaluate(None, keyframes[1:]) == 0.0
    near = example.average_precision(torch.tensor([[0.5, 0, 1], [0.9, 0, 2]]), torch.tensor([[1.0, 0.0]]))
    assert near == pytest.approx(100.0)


def test_the_network_looks_where_augmented_matrices_point(example: ModuleType, keyframes: list[fa.Sample]) -> None:
    """Turned by a right angle about the vehicle, the lifted map turns with the cells."""
    torch.manual_seed(0)
    lift = example.Lift(4).eval()
    maps = []
    for turned in (keyframes[1], fa.RotateScene(yaw_deg=90.0)(keyframes[1])):
        batch = example.dense([turned])
        with torch.no_grad():
            maps.append(lift(batch["images"], batch["image_mask"], batch["lidar2img"])[0])
    assert float(maps[0].std()) > 0.003
    assert torch.allclose(torch.rot90(maps[0], 1, (1, 2)), maps[1], atol=1e-4)


def test_every_arm_and_test_of_the_settings_runs(example: ModuleType, keyframes: list[fa.Sample]) -> None:
    settings = example.SETTINGS
    assert set(settings.arms) <= set(settings.trainings)
    seeds = [set(streets) for streets in settings.streets.values()]
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(seeds, 2))
    network = example.Detector().eval()
    with hydra.initialize(version_base=None, config_path=None):  # as under hydra.main
        asked = {**settings.tests, **{n: t.pipeline for n, t in settings.trainings.items()}}
        pipelines = {name: example.built(config) for name, config in asked.items()}
    for name, pipeline in pipelines.items():
        logit, _ = network(example.dense([pipeline(keyframes[0], seed=0)]))
        assert logit.shape == (1, 2, 64, 64) and bool(torch.isfinite(logit).all()), name
    results = {"plain": {0: {"clean": 70.0}, 1: {"clean": 72.0}}, "full": {0: {"clean": 80.0}, 1: {"clean": 84.0}}}
    assert example.table(results).splitlines()[2] == "| clean | 71.0 (70.0 to 72.0) | 82.0 (80.0 to 84.0) |"


@pytest.mark.quick
def test_the_document_shows_what_was_measured(example: ModuleType) -> None:
    measured = json.loads((REPOSITORY / "examples" / "results-fusion.json").read_text(encoding="utf-8"))
    assert example.table(measured["results"]) in (REPOSITORY / "docs" / "example_fusion.md").read_text(encoding="utf-8")
