"""``python -m benchmarks.windows``: batches of windows of an episode, against whole episodes that are cut afterwards.

The log is the sample set of the arm (one episode of 46 frames, two videos and their depth). *Naive* is what one would
write without ``observe`` and ``chunk``: augment the episode, then take the items. Both make the same batches; the
figure is seconds of processor time for 3 batches of 16 on one thread, and their ratio.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import torch

import fusion_aug as fa
from fusion_aug.core.engine import run

ARM = Path(__file__).resolve().parents[1] / "datasets" / "arm"
BATCHES, SIZE, SEED = 3, 16, 7
LEAST = 8.0  # times as fast as the naive way; 46 frames against 2 of them


def pipeline() -> fa.Transform:
    """A photometric pipeline of the two cameras."""
    cameras = ("front", "wrist")
    return fa.Compose([
        fa.Brightness(factor=[0.7, 1.3], cameras=cameras), fa.GaussianNoise(sigma=[0.0, 0.03], cameras=cameras),
        fa.ResizeCrop(size=(96, 128), scale=[0.8, 1.0]),
    ])  # fmt: skip


def opened() -> Any:
    """The sample set, without what belongs to its gels."""
    return fa.open_log("lerobot", ARM / "lerobot", rig=str(ARM / "lerobot_rig.yaml"), exclude=["*tactile*"])


def windows(batches: int = BATCHES, size: int = SIZE) -> list[fa.Sample]:
    """Batches by ``observe`` and ``chunk``."""
    data = fa.AugmentedDataset(opened(), pipeline(), SEED, observe=[-0.1, 0], chunk=0.5)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).tolist()
    return [fa.collate([data[order[(b * size + i) % len(order)]] for i in range(size)]) for b in range(batches)]


def naive(batches: int = BATCHES, size: int = SIZE) -> list[fa.Sample]:
    """The same batches from whole episodes."""
    log = opened()
    count = len(fa.AugmentedDataset(log, pipeline(), SEED, observe=[-0.1, 0], chunk=0.5))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    return [fa.collate([_cut(log[0], order[(b * size + i) % count] + 1) for i in range(size)]) for b in range(batches)]


def _cut(sample: fa.Sample, k: int) -> fa.Sample:
    sample = sample.with_meta(0, id=f"{sample.id}@{k}")
    out = run(pipeline(), sample, seed=SEED).realized()
    last = {n: (s.capture_times <= sample["action"].capture_times[k]).sum() - 1 for n, s in out.streams.items()}
    index = {
        n: torch.arange(k, k + 5) if isinstance(s, fa.Action) else (last[n] + torch.tensor([-1, 0])).clamp(min=0)
        for n, s in out.streams.items()
    }
    return out.with_streams({n: s.take_items(index[n]) for n, s in out.streams.items()})


def seconds(work: Callable[[], object]) -> float:
    """Seconds of processor time of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    """Measure, print, and fail where windows are no faster."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    windows(1, 1)  # what is loaded once
    fast, slow = seconds(windows), seconds(naive)
    print(f"{BATCHES} batches of {SIZE}: windows {fast:.2f} s, whole episodes {slow:.2f} s, {slow / fast:.0f} times")
    return 0 if slow / fast >= LEAST else 1


if __name__ == "__main__":
    raise SystemExit(main())
