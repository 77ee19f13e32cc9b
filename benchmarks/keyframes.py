"""``python -m benchmarks.keyframes [--data DIR] [--draws N] [--json FILE]``: a keyframe, from its files to tensors.

A nuScenes keyframe (six JPEGs of 1600x900, a LiDAR sweep, boxes) goes through geometry and photometry, in one process
and one thread. What stands beside it is the decoding of its six JPEGs by OpenCV, in turn with every draw; what counts
are the seconds that the processor gave. ``popular`` is a loop of the same steps written plainly with Pillow,
albumentations (where it is installed) and NumPy.

Batches: so many keyframes in one batch against as many alone; ``nothing`` are ten transforms that change nothing.
``calls`` are the functions of Python that a keyframe calls.

``two workers`` is what a keyframe takes of the processor through a ``DataLoader`` with two workers, in all processes
together, against the same loader without workers: the seconds of a long epoch less those of a short one, by the
keyframes that it has more, so that starting and ending workers does not count.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

import fusion_aug as fa
from benchmarks.loading import processor_seconds
from benchmarks.timing import calls, interleaved_ms, process_ms

CANVAS, SCALES, SHRUNK = (256, 704), [0.38, 0.55], 0.48
FAR = 51.2  # metres
SHORT, LONG, BATCH = 8, 40, 4  # keyframes of epochs with workers, and of their batches
JITTER = [0.8, 1.2]
LIMITS = {
    "opening": 0.08, "keyframe": 2.0, "keyframe, shrunk": 1.5, "without ResizeCrop": 2.5, "at full size": 4.0,
    "batch of 4": 1.1, "batch of 16": 1.1, "batch of 4, p 0.5": 1.1, "batch of 16, p 0.5": 1.1,
    "nothing, batch of 4": 1.2, "two workers": 1.15,
}  # fmt: skip


def pipeline(image: fa.Transform | None, p: float = 1.0) -> fa.Compose:
    """Geometry of the scene and of the pictures, light, and a range crop."""
    scene = [
        fa.RotateScene(yaw_deg=[-22.5, 22.5], p=p), fa.ScaleScene(scale=[0.95, 1.05], p=p),
        fa.TranslateScene(x=[-0.5, 0.5], y=[-0.5, 0.5], p=p), fa.MirrorScene(axis="y", p=0.5),
    ]  # fmt: skip
    light = [fa.Brightness(factor=JITTER, p=p), fa.Contrast(factor=JITTER, p=p), fa.Saturation(factor=JITTER, p=p)]
    return fa.Compose([*scene, *([image] if image else []), *light, fa.RangeCrop(high=FAR, p=p)])


def tensors(sample: fa.Sample) -> int:
    """Ask for all that a network is fed with; returns the bytes."""
    size = 0
    for stream in sample.streams.values():
        parts = stream.pictures if isinstance(stream, fa.Camera) else stream.values.values()
        size += sum(int(v.nbytes) for v in parts if isinstance(v, torch.Tensor))
    return size


class Keyframe:
    """The keyframe of a log.

    Args:
        data: folder of real sensor data with ``nuscenes`` in it.
    """

    def __init__(self, data: Path):
        self.log = fa.open_log("nuscenes", data / "nuscenes")
        self.id = self.log.ids[0]
        cameras = self.log[0].of_type(fa.Camera).values()
        self.files = [c.items[0].path for c in cameras]

    def open(self) -> fa.Sample:
        """Read its records."""
        return self.log.read(self.id)

    def decode(self) -> list[np.ndarray]:
        """Decode the six pictures in full."""
        return [cv2.imdecode(np.fromfile(f, np.uint8), cv2.IMREAD_COLOR) for f in self.files]

    def draw(self, chain: fa.Compose, number: int) -> float:
        """A draw, from files to tensors; returns the scale of its pictures."""
        out = chain(self.open(), seed=7, epoch=number)
        tensors(out)
        resized = [r.params[""]["scale"] for r in out.history if r.name.endswith("ResizeCrop")]
        return float(resized[0]) if resized else 1.0


def draws(frame: Keyframe, chain: fa.Compose, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ratio to decoding (count,) and scale (count,) of draws in turn with the decoding."""
    ratios, scales = [], []
    frame.draw(chain, count)
    for k in range(count):
        bare, start = process_ms(frame.decode), time.process_time()
        scales.append(frame.draw(chain, k))
        ratios.append(1e3 * (time.process_time() - start) / bare)
    return np.array(ratios), np.array(scales)


def popular(frame: Keyframe) -> Callable[[], object]:
    """The same steps, written plainly: matrices by hand, pictures by Pillow, light by albumentations or NumPy."""
    from PIL import Image

    sample = frame.open()
    cloud = next(iter(sample.of_type(fa.Lidar).values())).values.sources[0].path
    boxes = sample.boxes()["pose"].numpy()
    rng = np.random.default_rng(0)
    try:
        import albumentations as A

        jitter: Callable[..., Any] = A.ColorJitter(brightness=JITTER, contrast=JITTER, saturation=JITTER, hue=0, p=1)
    except ImportError:
        jitter = _jitter

    def work() -> object:
        yaw, scale = rng.uniform(-0.4, 0.4), rng.uniform(0.95, 1.05)
        H = np.eye(4)
        H[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        H[:3, :3] *= scale
        H[:2, 3] = rng.uniform(-0.5, 0.5, 2)
        mirrored = rng.random() < 0.5
        if mirrored:
            H = np.diag([1.0, -1, 1, 1]) @ H
        pictures, shrink = [], rng.uniform(*SCALES)
        for file in frame.files:
            picture = Image.open(file)
            size = (int(picture.width * shrink), int(picture.height * shrink))
            left, top = (size[0] - CANVAS[1]) // 2, size[1] - CANVAS[0]
            picture = picture.resize(size).crop((left, top, left + CANVAS[1], top + CANVAS[0]))
            if mirrored:
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            pictures.append(jitter(image=np.asarray(picture))["image"])
        points = np.fromfile(cloud, np.float32).reshape(-1, 5)
        points[:, :3] = points[:, :3] @ H[:3, :3].T.astype(np.float32) + H[:3, 3].astype(np.float32)
        points = points[np.linalg.norm(points[:, :2], axis=1) < FAR]
        back = np.diag([1.0, -1 if mirrored else 1, 1, 1])  # boxes stay right-handed
        return torch.from_numpy(np.stack(pictures)), torch.from_numpy(points), H @ boxes @ back

    return work


def _jitter(image: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    levels = image.astype(np.float32) * rng.uniform(*JITTER)
    levels = (levels - levels.mean()) * rng.uniform(*JITTER) + levels.mean()
    grey = levels.mean(-1, keepdims=True)
    return {"image": (grey + (levels - grey) * rng.uniform(*JITTER)).clip(0, 255).astype(np.uint8)}


def batches(frame: Keyframe, runs: int) -> dict[str, float]:
    """Ratio of one batch to as many keyframes alone, pictures and clouds in memory."""
    out = {}
    once = fa.Compose([fa.ResizeCrop(size=(64, 176), scale=0.11)])(frame.open()).realized()
    nothing = fa.Compose({f"t{i}": fa.RotateScene(yaw_deg=0.0) for i in range(10)})
    cases = [(4, 1.0), (16, 1.0), (4, 0.5), (16, 0.5)]
    works = [(f"batch of {n}" + (f", p {p:g}" if p < 1 else ""), n, pipeline(None, p)) for n, p in cases]
    for name, n, chain in [*works, ("nothing, batch of 4", 4, nothing)]:
        alone = [once.with_meta(0, id=f"{once.id}-{k}") for k in range(n)]
        batch = fa.collate(alone)
        one, many = interleaved_ms([partial(_each, alone, chain), partial(_each, [batch], chain)], runs)
        out[name] = many / one
    return out


def _each(samples: Sequence[fa.Sample], chain: fa.Compose) -> None:
    for sample in samples:
        tensors(chain(sample, seed=1))


class Again:
    """A keyframe so many times, with ids of its own, opened each time."""

    def __init__(self, frame: Keyframe, count: int):
        self.frame, self.count = frame, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> fa.Sample:
        return self.frame.open().with_meta(0, id=f"{self.frame.id}-{index}")


def epoch_seconds(frame: Keyframe, chain: fa.Compose, count: int, workers: int) -> float:
    """Seconds of the processor, in all processes, of an epoch of so many keyframes."""
    again: Any = Again(frame, count)
    data = fa.AugmentedDataset(again, chain, seed=7)
    start = processor_seconds()
    for batch in DataLoader(data, batch_size=BATCH, collate_fn=fa.collate, num_workers=workers):
        tensors(batch)
    gc.collect()  # workers count when they have ended
    return processor_seconds() - start


def two_workers(frame: Keyframe, chain: fa.Compose, rounds: int) -> float:
    """Median ratio of a keyframe with two workers to one without, in turn."""
    ratios = []
    for _ in range(rounds):
        more = [epoch_seconds(frame, chain, LONG, w) - epoch_seconds(frame, chain, SHORT, w) for w in (2, 0)]
        ratios.append(more[0] / more[1])
    return float(np.median(ratios))


def measure(data: Path, count: int) -> dict[str, float]:
    """All figures; those of ``LIMITS`` are ratios to the decoding, or of a batch to as many samples alone."""
    frame = Keyframe(data)
    resized = pipeline(fa.ResizeCrop(size=CANVAS, scale=SCALES, x=[0.0, 1.0], y=1.0))
    ratios, scales = draws(frame, resized, count)
    small = scales <= SHRUNK
    opening, bare, plain = interleaved_ms([frame.open, frame.decode, popular(frame)], count)
    return {
        "decoding, ms": bare,
        "opening": opening / bare,
        "keyframe": float(np.median(ratios)),
        "keyframe, mean": float(ratios.mean()),
        "keyframe, 90 %": float(np.quantile(ratios, 0.9)),
        "share of shrunk draws": float(small.mean()),
        "keyframe, shrunk": float(np.median(ratios[small])),
        "popular": plain / bare,
        "without ResizeCrop": float(np.median(draws(frame, pipeline(None), count)[0])),
        "at full size": float(np.median(draws(frame, pipeline(fa.RotateImage(angle_deg=[-5, 5])), count)[0])),
        **batches(frame, max(3, count // 6)),
        "two workers": two_workers(frame, resized, max(3, count // 2)),
        "calls": calls(lambda: frame.draw(resized, 0)),
        "calls to open": calls(frame.open),
    }


def main(words: Sequence[str]) -> int:
    """Measure and print; 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keyframes", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found = measure(options.data, options.draws)
    for name, value in found.items():
        limit = f"at most {LIMITS[name]}" if name in LIMITS else ""
        print(f"{name:<24} {value:<8.3g} {limit}{' NO' if name in LIMITS and not value <= LIMITS[name] else ''}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(found[n] <= most for n, most in LIMITS.items()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
