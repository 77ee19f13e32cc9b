"""WorstOf: the draw of the highest loss stays, and nothing else is different."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generic import assert_same_streams
from loading import MadeLog, numbers
from samples import make_sample
from steps import step_words
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.core.compose import named_leaves
from fusion_aug.core.random import Keys
from fusion_aug.policy.scoring import darkness, highest
from fusion_aug.run.config import build_pipeline
from fusion_aug.sample.manifest import read_manifest
from fusion_aug.train.window_items import drawn_warps

INNER = fa.Compose(
    [
        fa.RotateScene(yaw_deg=[-30, 30]),
        fa.Brightness(factor=[0.3, 1.5]),
        fa.ResizeCrop(scale=[0.7, 1.0]),
        fa.MirrorScene(p=0.5),
    ]
)
AROUND = fa.Compose(
    {"before": fa.RotateScene(yaw_deg=[-5, 5]), "worst": fa.WorstOf(INNER, 4, darkness),
     "after": fa.RotateScene(yaw_deg=[-5, 5])}
)  # fmt: skip


def nearness(sample: fa.Sample) -> float:
    """Minus the mean distance of the cloud's points."""
    return -float(sample.points("lidar")["xyz"].norm(dim=1).nanmean())


def travelled(history: tuple[fa.Record, ...]) -> tuple[fa.Record, ...]:
    return fa.history_from_json(json.loads(json.dumps(fa.history_to_json(history))))


@pytest.mark.quick
def test_the_candidate_of_the_highest_loss_stays() -> None:
    """Against every candidate drawn by itself, by its path."""
    sample = make_sample(gels=False)
    out = fa.WorstOf(fa.Brightness(factor=[0.2, 1.8]), 5, darkness)(sample, seed=3)
    factors = [0.2 + 1.6 * Keys(3).generator("s0", f"WorstOf/{i}/Brightness", "params").random() for i in range(5)]
    worst = int(np.argmin(factors))
    leaf, own = out.history
    assert (leaf.path, own.path, own.name) == (f"WorstOf/{worst}/Brightness", "WorstOf", "fusion_aug.WorstOf")
    assert leaf.params[""]["factor"] == pytest.approx(min(factors), rel=1e-12) and own.params[""]["index"] == worst
    assert own.params[""]["losses"][worst] == pytest.approx(darkness(out), rel=1e-12)
    assert np.argsort(own.params[""]["losses"]).tolist() == np.argsort(factors)[::-1].tolist()


@pytest.mark.quick
def test_more_candidates_keep_those_there_were() -> None:
    sample = make_sample(gels=False)
    few, many = (fa.WorstOf(INNER, k, darkness)(sample, seed=5).history[-1].params[""]["losses"] for k in (2, 6))
    assert many[:2] == few and len(set(many)) == 6


def test_a_replay_needs_no_loss_and_is_bit_exact() -> None:
    """Also of motions that are pending before it, and of those inside and after."""
    out = AROUND(make_sample(gels=False), seed=3)
    assert [r.path.split("/")[0] for r in out.history] == ["before", *["worst"] * 5, "after"]
    again = fa.replay(make_sample(gels=False), travelled(out.history))
    assert_same_streams(out, again)
    assert fa.history_to_json(out.history) == fa.history_to_json(again.history)
    assert torch.equal(out.rig.T("ego", "CAM_FRONT"), again.rig.T("ego", "CAM_FRONT"))


def test_an_inversion_passes_it_by() -> None:
    sample = make_sample(gels=False)
    back = fa.invert(AROUND(sample, seed=3).boxes(), AROUND(sample, seed=3).history)
    assert torch.allclose(back["pose"], sample.boxes()["pose"], atol=1e-9)


@pytest.mark.parametrize("p", [1.0, 0.5])
def test_a_batch_equals_the_loop(p: float) -> None:
    pipeline = fa.Compose([fa.RotateScene(yaw_deg=[-5, 5]), fa.WorstOf(INNER, 3, darkness, p=p), fa.Gamma(gamma=1.2)])
    samples = [make_sample(n, gels=False, seed=i) for i, n in enumerate("abcd")]
    batch = pipeline(fa.collate(samples), seed=8)
    alone = [pipeline(s, seed=8) for s in samples]
    assert [[r.to_json() for r in m.history] for m in batch.metas] == [[r.to_json() for r in s.history] for s in alone]
    decided = ["fusion_aug.WorstOf" in [r.name for r in s.history] for s in alone]
    assert all(decided) if p == 1 else {*decided} == {True, False}
    for u, s in enumerate(alone):
        assert_same_streams(batch.take([u]), s, exact=False)


def test_the_same_bytes_with_workers() -> None:
    log: Any = MadeLog("s", gels=False)
    data = fa.AugmentedDataset(log, fa.WorstOf(INNER, 2, darkness), seed=5)
    plain, parallel = (
        numbers(list(DataLoader(data, batch_size=2, collate_fn=fa.collate, num_workers=n))) for n in (0, 2)
    )
    assert plain == parallel


def test_never_is_the_identity() -> None:
    sample = make_sample(gels=False)
    assert fa.WorstOf(INNER, 3, darkness, p=0.0)(sample, seed=1) is sample


@pytest.mark.quick
def test_equal_losses_go_to_the_first() -> None:
    """To a millionth of them; which has the highest last bit does not matter."""
    assert highest([0.5, 0.5 + 4e-7, 0.2]) == 0 and highest([0.5, 0.5 + 6e-7]) == 1
    assert highest([-2.0, -1.0, -1.0 + 9e-7]) == 1 and highest([0.0, 0.0]) == 0
    losses = iter([1.0, 1.0 + 8e-7, 1.0 + 1.6e-6])  # the second equals the third, the highest, but not the first
    out = fa.WorstOf(fa.Brightness(factor=[0.2, 1.8]), 3, lambda s: next(losses))(make_sample(gels=False), seed=3)
    assert out.history[-1].params[""]["index"] == 1 and out.history[0].path == "WorstOf/1/Brightness"
    again = fa.replay(make_sample(gels=False), out.history)
    assert torch.equal(out["CAM_FRONT"].image(0), again["CAM_FRONT"].image(0))


def test_scope_scene_draws_alike_for_a_scene() -> None:
    inner = [fa.RotateScene(yaw_deg=[-30, 30], scope="scene")]
    outs = [fa.WorstOf(inner, 3, nearness)(make_sample(i, gels=False), seed=2) for i in ("a", "b")]
    assert outs[0].history == outs[1].history


def test_a_configuration_builds_it_back() -> None:
    config = AROUND.to_config()
    assert config["transforms"]["worst"]["loss"] == "fusion_aug.policy.scoring:darkness"
    again = build_pipeline(config)
    assert again.to_config() == config
    sample = make_sample(gels=False)
    assert again(sample, seed=3).history == AROUND(sample, seed=3).history
    places = dict(named_leaves(again))
    assert {r.path for r in again(sample, seed=3).history if r.name != "fusion_aug.WorstOf"} <= set(places)


def test_a_resource_may_be_the_loss() -> None:
    sample, pipeline = make_sample(gels=False), fa.WorstOf(INNER, 2, "critic")
    by_name = pipeline(sample, seed=1, resources={"critic": darkness})
    assert by_name.history == fa.WorstOf(INNER, 2, darkness)(sample, seed=1).history
    assert pipeline.to_config()["loss"] == "critic"
    with pytest.raises(fa.ConfigError, match=r"sample s0: WorstOf.*needs the resource 'critic'"):
        pipeline(sample, seed=1)
    with pytest.raises(fa.ConfigError, match="the resource 'critic' is no function of a sample, but 3"):
        pipeline(sample, seed=1, resources={"critic": 3})


@pytest.mark.quick
@pytest.mark.parametrize("loss", ["os:system", "nowhere:loss", "fusion_aug.policy.scoring:torch", None, 3, ""])
def test_what_is_no_loss_is_refused(loss: object) -> None:
    before = set(sys.modules)
    with pytest.raises(fa.ConfigError, match=r"^WorstOf\.loss: "):
        fa.WorstOf(INNER, 2, loss)  # type: ignore[arg-type]
    assert set(sys.modules) == before, "nothing is imported because a configuration names it"


@pytest.mark.quick
@pytest.mark.parametrize("k", [0, -1, 2.0, True, "3", 10_000])
def test_what_is_no_number_of_candidates_is_refused(k: object) -> None:
    with pytest.raises(fa.ConfigError, match=r"^WorstOf\.k: expected a whole number from 1 to 1000"):
        fa.WorstOf(INNER, k, darkness)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda s: float("nan"), "candidate 0: the loss is nan"),
        (lambda s: torch.tensor(float("inf")), "candidate 0: the loss is inf"),
        (lambda s: torch.zeros(3), r"expected a number or a 0-dim tensor as the loss, got a tensor of shape \(3,\)"),
        (lambda s: "high", "as the loss, got str 'high'"),
        (lambda s: True, "as the loss, got bool True"),
        (lambda s: None, "as the loss, got NoneType None"),
        (lambda s: s["nothing"], "the sample has no stream 'nothing'"),
        (lambda s: 1 / 0, "candidate 0: loss: ZeroDivisionError"),
    ],
)
def test_what_a_loss_may_not_give(loss: Any, said: str) -> None:
    with pytest.raises(fa.FusionAugError, match=said):
        fa.WorstOf(INNER, 2, loss)(make_sample(gels=False), seed=1)


def test_a_loss_without_a_name_makes_no_configuration() -> None:
    with pytest.raises(fa.ConfigError, match=r"^WorstOf\.loss: .*has no name in a module"):
        fa.WorstOf(INNER, 2, lambda s: 1.0).to_config()
    assert fa.WorstOf(INNER, 2, nearness).to_config()["loss"] == f"{__name__}:nearness"


def test_numbers_and_tensors_are_losses() -> None:
    sample = make_sample(gels=False)
    kinds = (float, np.float32, torch.tensor, np.array)
    chosen = {fa.WorstOf(INNER, 3, lambda s, k=k: k(darkness(s)))(sample, seed=1).history[0].path for k in kinds}
    assert len(chosen) == 1


def test_windows_of_episodes_cannot_ask_for_a_warp_that_a_loss_decides() -> None:
    """They are cut by the warps of time before anything is computed; other candidates they do not look at."""
    sample, settings = make_sample(gels=False), {"seed": 1, "epoch": 0, "resources": None}
    warped = fa.Compose([fa.WorstOf([fa.SpeedWarp(speed=[0.9, 1.1])], 2, darkness)])
    with pytest.raises(fa.ConfigError, match=r"WorstOf: windows of episodes are cut before .* so SpeedWarp cannot be"):
        drawn_warps(warped, sample, **settings)  # type: ignore[arg-type]
    asked: list[fa.Sample] = []
    around = fa.Compose([fa.SpeedWarp(speed=1.1), fa.WorstOf(INNER, 2, lambda s: asked.append(s) or 1.0)])
    assert len(drawn_warps(around, sample, **settings)) == 1 and not asked  # type: ignore[arg-type]


def words_of(street: Path, out: Path, inside: dict) -> list[str]:
    step = {"_target_": "fusion_aug.WorstOf", "k": 3, "loss": "own_losses:dark", "transforms": {"one": inside}}
    given = ["log=nuscenes", f"log.root={street}", "limit=1", "seed=3", f"out={out}", "plugins=[own_losses]"]
    return ["run", *given, *step_words({"worst": step})]


def test_a_run_writes_and_replays_it(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """By the command line, with a loss of a plugin of the user's own, which the replay does not need.

    Where a format keeps calibration per scene, what is decided for each keyframe cannot be geometry.
    """
    plugin = "def dark(sample):\n    return -float(sample['CAM_FRONT'].image(0).double().mean())\n"
    (tmp_path / "own_losses.py").write_text(plugin)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    light = {"_target_": "fusion_aug.Brightness", "factor": [0.3, 1.0]}
    assert main(words_of(street, tmp_path / "out", light)) == 0
    (entry,) = read_manifest(tmp_path / "out").entries
    said = entry.history[-1].params[""]
    assert [r.path for r in entry.history] == [f"worst/{said['index']}/one", "worst"]
    assert said["index"] == int(np.argmax(said["losses"])) and len(said["losses"]) == 3
    turn = {"_target_": "fusion_aug.RotateScene", "yaw_deg": [-20, 20]}
    assert main(words_of(street, tmp_path / "turned", turn)) == 2
    assert "worst: WorstOf decides for each keyframe, but the format keeps calibration" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "own_losses")
    again = fa.replay(fa.open_log("nuscenes", street)[0], entry.history)["CAM_FRONT"].image(0)
    assert -float(again.double().mean()) == pytest.approx(max(said["losses"]), rel=1e-12)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [fa.WorstOf, fa.Adversary])
def test_a_loss_that_works_in_place_changes_nothing(kind) -> None:
    def destroys(sample: fa.Sample) -> float:
        for stream in sample.streams.values():
            for part in (*stream.values.values(), *getattr(stream, "items", ())):
                if isinstance(part, torch.Tensor):
                    part.numpy()[...] = 0
        return 0.0

    sample = make_sample(gels=False).realized()
    whole = fa.Compose(
        [fa.RotateScene(yaw_deg=[-20, 20]), kind({"b": fa.Brightness(factor=[0.5, 1.5])}, loss=destroys)]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fa.ZeroGradient)
        out = whole(sample, seed=3)
    assert_same_streams(sample, make_sample(gels=False).realized())
    assert_same_streams(out, fa.replay(make_sample(gels=False), out.history))
