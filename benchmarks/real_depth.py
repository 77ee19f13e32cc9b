"""Completed depth of real frames, where no truth is known: do steps lie on edges, and do LiDAR points prove them?

``python -m benchmarks.real_depth [--data DIR] [--before REVISION] [--probe LOG]``. A nuScenes keyframe with six cameras
and a KITTI frame. Five folds: each keeps a fifth of the cloud's points out of the completion.

* ``loose``: share of steps of transmission (more than 0.10 between neighbours) without an edge of the picture (Canny
  20/50 after a blur of sigma 1.2) within 2 px; all points known. ``steps`` is their number.
* ``sharp``: of pairs of points at most 12 px apart and less than 3 px in height whose transmission differs by more than
  0.25, at least one of them held out, the share where one step between neighbour pixels on the line between them holds
  more than half of the difference.
* ``called_sky``: share of held-out points in the sky. ``lost_sky``: the largest patch of sky without a way to the top
  edge, share of all sky.

Another revision's completion is measured beside it. The probe is the one of ``check``, over keyframes of a log.
"""

from __future__ import annotations

import argparse
import inspect
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

import fusion_aug as fa
from benchmarks.depth_edges import NEAR, steps, transmission, within
from fusion_aug.check.air import FogProbe
from fusion_aug.core.registry import Context
from fusion_aug.physics.completion import SKY_DISTANCE, Completion, complete_distances
from fusion_aug.sample.depth import completion_inputs, lidars_of, projected
from fusion_aug.streams import Camera, Depth, Points, Stream

Array = np.ndarray
Complete = Callable[..., Completion]
FOLDS, STEP, PROVEN = 5, 0.10, 0.25  # steps of transmission at MOR 80
APART, LEVEL = 12.0, 3.0  # pixels
PROBE_MOR = 80.0


def frames(data: Path) -> Iterator[tuple[str, fa.Sample]]:
    """The real keyframes, by their format."""
    for kind in ("nuscenes", "kitti"):
        yield kind, fa.open_log(kind, data / kind)[0]


def folds(sample: fa.Sample) -> Iterator[tuple[fa.Sample, fa.Sample]]:
    """The sample with four fifths of every cloud's points, and with the rest, five times."""
    for fold in range(FOLDS):
        known: dict[str, Stream] = {}
        rest: dict[str, Stream] = {}
        for name, stream in sample.streams.items():
            if isinstance(stream, Points):
                cloud = stream.realized()
                out = torch.from_numpy(np.random.default_rng(0).permutation(cloud.rows) % FOLDS == fold)
                known[name], rest[name] = cloud.select(~out), cloud.select(out)
            elif not isinstance(stream, Depth):
                known[name] = rest[name] = stream
        yield sample.with_streams(known), sample.with_streams(rest)


def points(sample: fa.Sample, camera: str) -> tuple[Array, Array]:
    """Pixels (n, 2) and distances (n,) of the points of a keyframe's LiDARs in a camera."""
    found = [projected(sample, n, camera, 0) for n in lidars_of(sample, 0)]
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def loose_steps(picture: Array, distance: Array) -> Counter[str]:
    """Steps of transmission, and those far from edges of the picture."""
    grey = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), 1.2), cv2.COLOR_RGB2GRAY)
    edges = within(cv2.Canny(grey, 20, 50) > 0, NEAR)
    found = steps(transmission(distance), STEP)
    return Counter(steps=int(found.sum()), loose=int((found & ~edges).sum()))


def proven_pairs(known: tuple[Array, Array], held: tuple[Array, Array], distance: Array) -> Counter[str]:
    """Pairs of points on either side of a step, and those between which the completed depth has one."""
    pixels, far = (np.concatenate([a, b]) for a, b in zip(known, held, strict=True))
    pairs = cKDTree(pixels).query_pairs(APART, output_type="ndarray") if len(pixels) else np.zeros((0, 2), int)
    t = transmission(far)
    a, b = pairs.T
    proof = np.abs(t[a] - t[b])
    use = (proof > PROVEN) & (np.abs(pixels[a, 1] - pixels[b, 1]) < LEVEL) & (b >= len(known[0]))
    a, b, proof = a[use], b[use], proof[use]
    share = np.linspace(0, 1, int(APART) + 2)[:, None, None]  # no pixel of the line is left out
    u, v = np.moveaxis((pixels[a] * (1 - share) + pixels[b] * share).round().astype(int), -1, 0)
    along = transmission(distance)[v.clip(0, distance.shape[0] - 1), u.clip(0, distance.shape[1] - 1)]
    sharp = np.abs(np.diff(along, axis=0)).max(0, initial=0.0) > proof / 2
    return Counter(pairs=len(a), sharp=int(sharp.sum()))


def called_sky(held: tuple[Array, Array], distance: Array) -> Counter[str]:
    """Held-out points, and those where the completed depth says sky."""
    u, v = held[0].round().astype(int).T
    there = distance[v.clip(0, distance.shape[0] - 1), u.clip(0, distance.shape[1] - 1)] >= 0.5 * SKY_DISTANCE
    return Counter(held=len(u), called_sky=int(there.sum()))


def largest_lost_patch(distance: Array) -> tuple[int, int]:
    """Pixels of the largest patch of sky without a way to the top edge, and of all sky."""
    sky = (distance >= 0.5 * SKY_DISTANCE).astype(np.uint8)
    _, label, stats, _ = cv2.connectedComponentsWithStats(sky, connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[np.unique(label[0])] = area[0] = 0
    return int(area.max()), int(sky.sum())


def measure(kind: str, sample: fa.Sample, complete: Complete) -> dict[str, Any]:
    """The figures of a keyframe, pooled over its cameras and the folds."""
    total: Counter[str] = Counter()
    lost, spent = 0.0, 0.0
    for name in sample.of_type(Camera):
        start = time.process_time()
        inputs = completion_inputs(sample, name, 0)
        found = complete(**inputs).distance
        spent += time.process_time() - start
        total += loose_steps(inputs["picture"], found)
        patch, sky = largest_lost_patch(found)
        lost = max(lost, patch / max(sky, 1))
        total += Counter(sky=sky, pixels=found.size)
        for known, rest in folds(sample):
            found = complete(**completion_inputs(known, name, 0)).distance
            held = points(rest, name)
            total += proven_pairs(points(known, name), held, found) + called_sky(held, found)
    parts = {
        "loose": ("loose", "steps"), "sharp": ("sharp", "pairs"), "called_sky": ("called_sky", "held"),
        "sky": ("sky", "pixels"),
    }  # fmt: skip
    shares = {n: round(total[a] / max(total[b], 1), 5) for n, (a, b) in parts.items()}
    numbers = {n: total[n] for n in ("steps", "pairs", "held")}
    return {"frame": kind, **shares, "lost_sky": round(lost, 5), "seconds": round(spent, 2), "n": numbers}


def completion_of(revision: str) -> Complete:
    """``complete_distances`` as it was at a revision of the repository; it gets the arguments that it knew."""
    path = "fusion_aug/physics/completion.py"
    text = subprocess.run(["git", "show", f"{revision}:{path}"], check=True, capture_output=True, text=True).stdout
    module = ModuleType("completion_before")
    exec(compile(text, f"{revision}:{path}", "exec"), module.__dict__)
    known = inspect.signature(module.complete_distances).parameters
    return lambda **words: module.complete_distances(**{n: w for n, w in words.items() if n in known})


def probe(log: Path) -> Iterator[dict[str, Any]]:
    """The depth probe on every keyframe alone, and on all together."""
    weather = fa.Fog(mor=PROBE_MOR)
    pooled = FogProbe()
    for sample in fa.open_log("nuscenes", log):
        single = FogProbe()
        drawn = weather.sample_params(np.random.default_rng(0), sample, Context({}))
        for one in (single, pooled):
            one.add(sample, {**drawn, "noise": "0" * 32})
        yield {"keyframe": sample.id, **_rows(single)}
    yield {"keyframe": "all", **_rows(pooled)}


def _rows(found: FogProbe) -> dict[str, Any]:
    rows = [r for r in found.table() if "held-out" in r.measurement]
    return {r.measurement.split(": ")[1]: r.values.round(3).tolist() or r.reason for r in rows}


def main() -> None:
    """Print the figures, one JSON object a line."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--before", metavar="REVISION")
    parser.add_argument("--probe", type=Path, metavar="LOG")
    words = parser.parse_args()
    ways = {"now": complete_distances} | ({words.before: completion_of(words.before)} if words.before else {})
    for kind, sample in frames(words.data):
        for name, complete in ways.items():
            print(json.dumps({"completion": name, **measure(kind, sample, complete)}), flush=True)
    for row in probe(words.probe) if words.probe else ():
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
