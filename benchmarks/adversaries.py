"""How much worse than a random draw an adversary finds for the detector of ``examples/train_fusion.py``.

``python -m benchmarks.adversaries [--parts attacks training] [--samples N] [--seeds 0 1 2] [--steps N] [--folder DIR]
[--out FILE]``. The part ``attacks``: networks are trained as the example's arm ``geometry``, one per seed, which also
seeds all draws. Then, over keyframes of its test streets, the mean loss without augmentation, of one random draw of
``PIPELINE``, of ``Adversary`` (light of float pictures and calibration exactly, fog and the pose of the scene by
differences) and of ``WorstOf`` with as many passes of the network, of which a backward one counts as two. Every outcome
is replayed, without the loss, and compared.

The part ``training``: networks are trained with half of the samples drawn in these ways, the worst of them for the
network as it is then, and tested in all conditions of the example.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import fusion_aug as fa

EXAMPLE = Path(__file__).parents[1] / "examples" / "train_fusion.py"
STEPS, STEPS_IN_TRAINING = 3, 1  # of the adversary
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
Found = dict[str, list[dict[str, float]]]  # by way or arm: figures of each seed


def load_example() -> tuple[Any, list[nn.Module]]:
    """The example as a module whose networks also take float pictures, and the list of the networks that it makes."""
    spec = importlib.util.spec_from_file_location("train_fusion", EXAMPLE)
    assert spec is not None and spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    dense, detector, made = example.dense, example.Detector, []

    def in_levels(samples: Sequence[fa.Sample]) -> dict[str, Any]:
        batch = dense(samples)
        return {**batch, "images": batch["images"] * (255 if batch["images"].is_floating_point() else 1)}

    def watched() -> nn.Module:
        made.append(detector())
        return made[-1]

    example.dense, example.Detector = in_levels, watched
    return example, made


def in_floats(sample: fa.Sample) -> fa.Sample:
    """The sample with pictures of floats, which carry a gradient."""
    cameras = sample.of_type(fa.Camera)
    floats = {n: replace(s, items=tuple(p.float() / 255 for p in s.pictures)) for n, s in cameras.items()}
    return sample.with_streams({**sample.streams, **floats})


def loss_with(example: Any, network: Callable[[], nn.Module]) -> Loss:
    """The loss of a network, in the mode in which it is tested."""

    def loss(sample: fa.Sample) -> Tensor:
        now, batch = network(), example.dense([sample])
        training = now.training
        out: Tensor = example.loss_of(now.eval()(batch), batch)
        now.train(training)
        return out

    return loss


def attack(example: Any, network: nn.Module, samples: Sequence[fa.Sample], seed: int) -> dict[str, dict[str, float]]:
    """The figures of every way, by its name; see ``figures``."""
    loss = loss_with(example, lambda: network)
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


def arms(usual: fa.Transform, loss: Loss) -> dict[str, fa.Transform]:
    """How networks are trained, by name; what is added comes first, as fog then finds the distances that it knows."""
    passes = 1 + 2 + STEPS_IN_TRAINING * 2
    adversary = fa.Adversary(PIPELINE, loss, steps=STEPS_IN_TRAINING, gradient=GRADIENT, p=0.5)
    first: dict[str, fa.Transform] = {
        "geometry + light": fa.Compose([]),
        "+ one draw": fa.RandomApply(dict(PIPELINE.children()), p=0.5),
        "+ worst of as many": fa.WorstOf(PIPELINE, passes, loss, p=0.5),
        "+ adversary": adversary,
    }
    return {name: fa.Compose({"added": one, "usual": usual}) for name, one in first.items()}


def report_attacks(example: Any, usual: fa.Transform, words: argparse.Namespace) -> Iterator[Found]:
    """Figures of every way, after each seed."""
    test = example.keyframes("test")
    samples = [in_floats(s) for s in test[:: max(1, len(test) // words.samples)]][: words.samples]
    found: Found = {}
    for seed in words.seeds:
        network = example.train(example.keyframes("training")[::2], usual, seed)
        for name, row in attack(example, network, samples, seed).items():
            found.setdefault(name, []).append(row)
            print(f"seed {seed}  {name:18s} " + "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
        yield found
    for name, rows in found.items():
        print(f"mean    {name:18s} loss {statistics.mean(r['loss'] for r in rows):.3f}", flush=True)


def report_training(
    example: Any, made: list[nn.Module], usual: fa.Transform, words: argparse.Namespace
) -> Iterator[Found]:
    """AP of every arm and condition, after each seed."""
    floats, sets = [in_floats(s) for s in example.keyframes("training")[::2]], example.tests("test")
    found: Found = {}
    for seed in words.seeds:
        for name, pipeline in arms(usual, loss_with(example, lambda: made[-1])).items():
            start = time.process_time()
            network = example.train(floats, pipeline, seed)
            scores = {condition: example.evaluate(network, batches) for condition, batches in sets.items()}
            found.setdefault(name, []).append({**scores, "seconds": time.process_time() - start})
            print(
                f"{name:20s} seed {seed}  " + "  ".join(f"{c} {s:.1f}" for c, s in found[name][-1].items()), flush=True
            )
        yield found
    for name, rows in found.items():
        means = {condition: statistics.mean(row[condition] for row in rows) for condition in rows[0]}
        print(f"mean  {name:20s} " + "  ".join(f"{c} {m:.1f}" for c, m in means.items()), flush=True)


def main() -> None:
    """Print the tables, and write them as JSON after every seed, beside the other part that is there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=120, help="of every training")
    parser.add_argument("--parts", nargs="+", choices=["attacks", "training"], default=["attacks"])
    parser.add_argument("--folder", help="of the streets, in place of the example's")
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    example, made = load_example()
    example.SETTINGS.steps = words.steps
    if words.folder:
        example.SETTINGS.folder = str(Path(words.folder).absolute())
    usual = example.built(example.SETTINGS.geometry_and_light)
    reports = {
        "attacks": report_attacks(example, usual, words),
        "training": report_training(example, made, usual, words),
    }
    for name in words.parts:
        for found in reports[name]:
            if words.out:
                others = json.loads(words.out.read_text(encoding="utf-8")) if words.out.exists() else {}
                words.out.write_text(json.dumps({**others, name: found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
