"""How much worse than a random draw an adversary finds for the detector of ``examples/train_fusion.py``.

``python -m benchmarks.adversaries [--streets DIR] [--samples N] [--seeds 0 1 2] [--train] [--out FILE]``. Networks are
trained with the geometry and photometry presets, one per seed, which also seeds all draws. Then, over keyframes of
streets that they were not trained on, the mean loss without augmentation, of one random draw of ``PIPELINE``, of
``Adversary`` (light of float pictures and calibration exactly, fog and the pose of the scene by differences) and of
``WorstOf`` with as many passes of the network, of which a backward one counts as two. Worst draws are replayed.

With ``--train`` networks are also trained with them, and tested in all conditions of the example.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import fusion_aug as fa

TRAINING, TEST = (0, 1, 2), (6, 7, 8, 9, 10, 11, 12, 13)  # streets
STEPS = 3  # of the adversary
LIGHT_STEPS = 1  # of the one in training
FOG = {"distribution": "log_uniform", "low": 40.0, "high": 500.0}
PIPELINE = fa.Compose(
    {
        "fog": fa.Fog(mor=FOG, refine=False, scope="sample"),
        "turn": fa.RotateScene(yaw_deg=[-20, 20]),
        "shift": fa.TranslateScene(x=[-2, 2], y=[-2, 2]),
        "bright": fa.Brightness(factor=[0.5, 1.5]),
        "soft": fa.Contrast(factor=[0.5, 1.5]),
        "curve": fa.Gamma(gamma=[0.7, 1.5]),
        "aim": fa.Miscalibrate(sensors=["CAM*"], x_deg=[-1, 1], y_deg=[-1, 1], z_deg=[-1, 1]),
    }
)
GRADIENT = {"fog.*": "spsa", "turn.*": "spsa", "shift.*": "spsa", "*": "exact"}
Loss = Callable[[fa.Sample], Tensor]


def load_example() -> Any:
    """The module of the example, a file outside of every package."""
    path = Path(__file__).parents[1] / "examples" / "train_fusion.py"
    spec = importlib.util.spec_from_file_location("train_fusion", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_floats(sample: fa.Sample) -> fa.Sample:
    """The sample with pictures of floats, which carry a gradient."""
    cameras = sample.of_type(fa.Camera)
    floats = {n: replace(s, items=tuple(p.float() / 255 for p in s.pictures)) for n, s in cameras.items()}
    return sample.with_streams({**sample.streams, **floats})


def batch_of(example: Any, samples: Sequence[fa.Sample]) -> dict[str, Any]:
    """What the network takes: levels, whatever the pictures hold."""
    batch = example.dense(samples)
    scale = 255 if batch["images"].is_floating_point() else 1
    return {**batch, "images": batch["images"] * scale}


def loss_with(example: Any, network: nn.Module) -> Loss:
    """The loss of a network in the mode in which it is tested."""

    def loss(sample: fa.Sample) -> Tensor:
        was, batch = network.training, batch_of(example, [sample])
        out: Tensor = example.loss_of(network.eval()(batch), batch)
        network.train(was)
        return out

    return loss


def attack(example: Any, network: nn.Module, samples: Sequence[fa.Sample], seed: int) -> dict[str, dict[str, float]]:
    """The figures of every way, by its name; see ``figures``."""
    loss = loss_with(example, network)
    adversary = fa.Adversary(PIPELINE, loss, steps=STEPS, gradient=GRADIENT)
    ways = {"no augmentation": fa.Compose([]), "one draw": PIPELINE, "adversary": adversary}
    found = {name: figures(way, loss, samples, seed) for name, way in ways.items()}
    as_many = fa.WorstOf(PIPELINE, int(found["adversary"]["most passes"]), loss)
    return {**found, "worst of as many": figures(as_many, loss, samples, seed)}


def figures(way: fa.Transform, loss: Loss, samples: Sequence[fa.Sample], seed: int) -> dict[str, float]:
    """Mean loss after a transform, passes of the network and processor seconds a sample."""
    losses, passes, start = [], [], time.process_time()
    for sample in samples:
        out = way(sample, seed=seed)
        with torch.no_grad():
            losses.append(float(loss(out)))
        said = out.history[-1].params.get("", {}) if out.history else {}
        passes.append(said.get("passes", len(said.get("losses", ()))))
        check_replay(sample, out)
    seconds = (time.process_time() - start) / len(samples)
    return {"loss": statistics.mean(losses), "passes": statistics.mean(passes), "most passes": max(passes),
            "seconds": seconds}  # fmt: skip


def check_replay(sample: fa.Sample, out: fa.Sample) -> None:
    """Raise unless a replay of the history, which knows no loss, gives the same pictures and points."""
    again = fa.replay(sample, out.history)
    for name, stream in out.of_type(fa.Camera).items():
        assert all(torch.equal(a, b) for a, b in zip(stream.pictures, again[name].pictures, strict=True)), name  # type: ignore[attr-defined]
    for name, stream in out.of_type(fa.Points).items():
        assert torch.equal(stream.realized()["xyz"], again[name].realized()["xyz"]), name


def train_with(
    example: Any, samples: Sequence[fa.Sample], pipeline_of: Callable[[Loss], fa.Transform], seed: int, steps: int
) -> Any:
    """A network trained as the example trains one, by a pipeline that may look at its loss."""
    torch.manual_seed(seed)
    network = example.Detector().train()
    pipeline = pipeline_of(loss_with(example, network))
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.2)
    step, epoch = 0, 0
    while step < steps:
        for part in torch.randperm(len(samples)).split(example.BATCH)[: steps - step]:
            batch = batch_of(example, [pipeline(samples[int(i)], seed=seed, epoch=epoch) for i in part])
            loss = example.loss_of(network(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            step += 1
        epoch += 1
    return network.eval()


def arms() -> dict[str, Callable[[Loss], fa.Transform]]:
    """How networks are trained, by name: half of the samples with a draw of ``PIPELINE``, one way or another."""
    usual = [fa.preset("geometry"), fa.preset("photometric")]
    passes = 1 + 2 + LIGHT_STEPS * 2
    return {
        "geometry + photometry": lambda loss: fa.Compose(usual),
        "+ one draw": lambda loss: fa.Compose([*usual, fa.RandomApply(dict(PIPELINE.children()), name="draw")]),
        "+ worst of as many": lambda loss: fa.Compose([*usual, fa.WorstOf(PIPELINE, passes, loss, p=0.5)]),
        "+ adversary": lambda loss: fa.Compose(
            [*usual, fa.Adversary(PIPELINE, loss, steps=LIGHT_STEPS, gradient=GRADIENT, p=0.5)]
        ),
    }


def main() -> None:
    """Print the tables, and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--streets", type=Path, help="folder that streets are made in, or lie in already")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=120, help="of training")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    example = load_example()
    with tempfile.TemporaryDirectory() as fresh:
        folder = words.streets or Path(fresh)
        training = [s for n in TRAINING for s in example.street(n, folder)[::2]]
        test = [s for n in TEST for s in example.street(n, folder)]
        found: dict[str, Any] = {"attacks": {}, "training": {}}
        samples = [in_floats(s) for s in test[:: max(1, len(test) // words.samples)]][: words.samples]
        usual = arms()["geometry + photometry"]
        for seed in words.seeds:
            network = train_with(example, training, usual, seed, words.steps)
            for name, row in attack(example, network, samples, seed).items():
                found["attacks"].setdefault(name, []).append(row)
                print(f"seed {seed}  {name:18s} " + "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
        for name, rows in found["attacks"].items():
            print(f"mean    {name:18s} loss {statistics.mean(r['loss'] for r in rows):.3f}", flush=True)
        if words.train:
            report_training(example, training, test, words, found["training"])
    if words.out:
        words.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def report_training(
    example: Any, training: Sequence[fa.Sample], test: Sequence[fa.Sample], words: Any, found: dict[str, Any]
) -> None:
    """Train networks of every arm and test them in every condition; AP by arm, condition and seed."""
    floats, sets = [in_floats(s) for s in training], example.test_sets(test)
    for name, pipeline_of in arms().items():
        for seed in words.seeds:
            start = time.process_time()
            network = train_with(example, floats, pipeline_of, seed, words.steps)
            print(f"{name:22s} seed {seed}  {time.process_time() - start:.0f} s", flush=True)
            for condition, batches in sets.items():
                found.setdefault(name, {}).setdefault(condition, []).append(example.evaluate(network, batches))
        means = {c: statistics.mean(scores) for c, scores in found[name].items()}
        print(f"{name:22s} " + "  ".join(f"{c} {m:.1f}" for c, m in means.items()), flush=True)


if __name__ == "__main__":
    main()
