"""Teach an arm to move parcels by touch, with and without augmentation, and test it with faults that it never had.

    python examples/train_touch_policy.py                                   # the whole table
    python examples/train_touch_policy.py arms=[plain] seeds=[0] steps=20   # Hydra: anything of train_touch_policy.yaml

A small network imitates scripted demonstrations (``fusion-aug synth arm parcel=random``). It sees joints, wrench and
taxels now and three times before, and the place that it is told; it knows nothing of mass and friction.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import hydra
import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn
from torch.nn import functional as F

import fusion_aug as fa
from fusion_aug.synth.arm.demonstrations import make_demonstrations
from fusion_aug.synth.arm.parcel_world import SIDES, TICK, TICKS, Faults, Outcome, ParcelWorld
from fusion_aug.synth.arm.parcels import draw_parcel, goal_of
from fusion_aug.synth.arm.script import EMPTY, LOW, Steering, hand_at

AGO = (0, 2, 4, 6)  # ticks of 20 ms: the readings that the network sees
TEST, FAULTS = 4000, 7  # seeds of the parcels of the tests, and of their faults
# how large numbers are: x, y, z, turn from the place that was told; x, y, turn from the goal; fingers; share of the way
# from one to the other; wrench; taxels
ZERO = np.array([0, 0, LOW, 0, 0, 0, 0, 0.03, 0.5, -EMPTY, *[0] * 37])
SCALES = np.array([0.02, 0.02, 0.015, 0.1, 0.03, 0.03, 0.1, 0.005, 0.2, 1, 1, 1, 0.1, 0.1, 0.1, *[0.15] * 32])
SPEEDS = np.array([0.1, 0.1, 0.05, 0.5, 0.02])  # and the answers: m/s and rad/s of the hand
TOUCH = len(SCALES) - 32


def seen(position: np.ndarray, wrench: np.ndarray, taxels: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Readings (n, 8), (n, 6), (n, 32) and the told x, y, yaw -> (n, 47) numbers of about 1."""
    hand, (x, y, yaw), goal = hand_at(position), told, goal_of(told[1])
    come, go = hand[:, :4] - [x, y, 0, yaw], (hand[:, :4] - [*goal, 0, 0])[:, [0, 1, 3]]
    way, left = np.linalg.norm(come[:, :2], axis=1, keepdims=True), np.linalg.norm(go[:, :2], axis=1, keepdims=True)
    return (np.concatenate([come, go, hand[:, 4:], way / (way + left), wrench, taxels], 1) - ZERO) / SCALES


def inputs(now: np.ndarray, before: Sequence[np.ndarray], touch: bool) -> torch.Tensor:
    """What is seen now, and how it was otherwise before -> (n, 188); of the taxels before nothing."""
    parts = [now, *(np.concatenate([3 * (b - now)[:, :TOUCH], 0 * b[:, TOUCH:]], 1) for b in before)]
    if not touch:
        parts = [np.concatenate([p[:, :TOUCH], 0 * p[:, TOUCH:]], 1) for p in parts]
    return torch.from_numpy(np.arcsinh(np.concatenate(parts, 1)).astype(np.float32))


def lessons(sample: fa.Sample, touch: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """An episode as inputs and answers (n, 5), a row for every command; what had arrived by then counts."""
    command, place = sample["action"], sample["place"]
    told = np.array([*place["position"][0, :2].tolist(), float(place["rpy"][0, 2])])
    held = {}
    for name in ("state", "wrench", *(f"taxel_{s}" for s in SIDES)):
        stream = sample[name]
        rows = torch.searchsorted(stream.arrival_times, command.capture_times + 1000, right=True) - 1
        held[name] = torch.cat(list(stream.values.values()), 1)[rows.clamp(min=0)].double().numpy()
    position, hand = held["state"], hand_at(command["joint_position"].double().numpy())
    all_seen = seen(position, held["wrench"], np.concatenate([held[f"taxel_{s}"] for s in SIDES], 1), told)
    before = [all_seen[np.maximum(np.arange(len(all_seen)) - ago, 0)] for ago in AGO[1:]]
    answers = np.diff(hand, axis=0, prepend=hand[:1])[1:] / TICK / SPEEDS
    return inputs(all_seen, before, touch)[1:], torch.from_numpy(answers.astype(np.float32))


class Policy:
    """A network that moves the arm, in one episode after another."""

    def __init__(self, width: int, touch: bool):
        sizes = [len(AGO) * len(SCALES), width, width, len(SPEEDS)]
        self.network = nn.Sequential(
            nn.Linear(*sizes[:2]), nn.ReLU(), nn.Linear(*sizes[1:3]), nn.ReLU(), nn.Linear(*sizes[2:])
        )
        self.touch = touch
        self.begin()

    def begin(self) -> None:
        """Forget the last episode."""
        self.past, self.steering = list[np.ndarray](), Steering()

    def __call__(self, read: Mapping[str, np.ndarray], told: Sequence[float]) -> np.ndarray:
        """Targets (8,) of the joints."""
        position, taxels = read["position"], np.concatenate([read[f"taxel_{s}"] for s in SIDES])
        self.past.append(seen(position[None], read["wrench"][None], taxels[None], np.array(told)))
        before = [self.past[max(0, len(self.past) - 1 - ago)] for ago in AGO[1:]]
        with torch.no_grad():
            speed = self.network(inputs(self.past[-1], before, self.touch))[0].numpy() * SPEEDS
        return self.steering(position, speed)


def train(log: Sequence[fa.Sample], pipeline: fa.Transform, touch: bool, seed: int, config: DictConfig) -> Policy:
    """Imitate the demonstrations, drawn anew after every ``redraw`` steps."""
    torch.manual_seed(seed)
    policy = Policy(config.width, touch)
    dataset = fa.AugmentedDataset(log, pipeline, seed=seed, convert=lambda sample: lessons(sample, touch))
    optimizer = torch.optim.AdamW(policy.network.parameters(), config.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, max(config.steps, 2))
    for step in range(config.steps):
        if step % config.redraw == 0:
            dataset.set_epoch(step // config.redraw)
            drawn = [dataset[i] for i in range(len(dataset))]
            seen_all, answers = (torch.cat([d[k] for d in drawn]) for k in (0, 1))
        rows = torch.randint(len(seen_all), (config.batch,))
        loss = F.smooth_l1_loss(policy.network(seen_all[rows]), answers[rows], beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return policy


def faults(number: int, latency: float = 0.0, bias_deg: float = 0.0, dead: float = 0.0) -> Faults:
    """The faults of an episode: the same for every arm."""
    rng = np.random.default_rng([FAULTS, number])
    signs, alive = rng.choice([-1, 1], 6), rng.random((2, 16)) >= dead
    return Faults(latency, np.radians(bias_deg) * signs if bias_deg else None, alive if dead else None)


def attempt(policy: Policy, number: int, world: Mapping[str, float]) -> Outcome:
    """Move one parcel that no demonstration has."""
    parcel = draw_parcel(TEST, number)
    policy.begin()
    episode = ParcelWorld(parcel, faults(number, **world))
    for _ in range(TICKS):
        if episode.over():
            break
        episode.step(policy(episode.observe(), parcel.told))
    return episode.outcome()


def wilson(good: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share, %."""
    share, more = good / of, z * z / of
    middle, half = share + more / 2, z * math.sqrt(share * (1 - share) / of + more / of / 4)
    return 100 * (middle - half) / (1 + more), 100 * (middle + half) / (1 + more)


@hydra.main(version_base=None, config_path=".", config_name="train_touch_policy")
def main(config: DictConfig) -> None:
    """Train every arm with every seed, and print how often it succeeds in every world."""
    torch.set_num_threads(1)
    root = Path(config.log)
    if not root.exists():
        make_demonstrations(root, config.demonstrations, seed=1)
    opened = fa.open_log("lerobot", root / "lerobot", rig=root / "rig.yaml")
    log = [sample.realized() for sample in opened]
    pipelines = {"plain": fa.Compose([]), "augmented": instantiate(config.pipeline, _convert_="all")}
    results: dict[str, dict[str, list[int]]] = {}
    print(f"{'':16}" + "".join(f"{w:>32}" for w in config.worlds), flush=True)
    for arm in config.arms:
        goods: dict[str, list[int]] = {w: [] for w in config.worlds}
        begin = time.process_time()
        for seed in config.seeds:
            policy = train(log, pipelines.get(arm, pipelines["augmented"]), arm != "no taxels", seed, config)
            for world, shift in config.worlds.items():
                goods[world].append(sum(attempt(policy, k, shift).success for k in range(config.episodes)))
        results[arm], cells = goods, []
        for good in goods.values():
            shares = [100 * g / config.episodes for g in good]
            low, high = wilson(sum(good), config.episodes * len(good))
            cells.append(f"{statistics.mean(shares):.0f} ({min(shares):.0f}-{max(shares):.0f}) [{low:.0f}, {high:.0f}]")
        print(f"{arm:16}" + "".join(f"{c:>32}" for c in cells) + f"  {time.process_time() - begin:.0f} s", flush=True)
    print("successes, %: mean (worst and best seed) [Wilson's 95 % interval of all episodes]; seconds of the processor")
    if config.json:
        text = json.dumps({"episodes": config.episodes, "successes": results})
        Path(config.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
