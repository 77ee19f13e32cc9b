"""Completed depth of real frames, where no truth is known: do steps lie on edges, and do LiDAR points prove them?

``python -m benchmarks.real_depth [--data DIR] [--before REVISION] [--probe LOG]``. A nuScenes keyframe with six cameras
and a KITTI frame. Five folds: each keeps a fifth of the cloud's points out of the completion.

* ``loose``: share of steps of transmission (more than 0.10 between neighbours) without an edge of the picture (Canny
  20/50 after a blur of sigma 1.2) within 2 px; all points known. ``steps`` is their number.
* ``sharp``: of pairs of points at most 12 px apart and less than 3 px in height whose transmission differs by more than
  0.25, at least one of them held out, the share where one step between neighbour pixels on the line between them holds
  more than half of the difference. Where a scanner sees over things, the far point of a pair is hidden from the camera
  by what the near one lies on, and there is no step between them to be seen.
* ``sharp_seen``: the same of the pairs both of whose points the camera sees, by Katz, Tal and Basri 2007 ("Direct
  visibility of point sets"), radius 10^3.5 times the farthest point: on made streets with a scanner beside the camera
  99 % of the pairs that it lets through are seen, and it lets a third of them through.
* ``called_sky``: share of held-out points in the sky. ``lost_sky``: the largest patch of sky without a way to the top
  edge, share of all sky.

The code of another revision is run beside it, in a folder of its own. The probe is the one of ``check``, over keyframes
of a log.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.spatial import ConvexHull, cKDTree

import fusion_aug as fa
from benchmarks.depth_edges import NEAR, steps, transmission, within
from benchmarks.real_distances import distances, folds, frames
from fusion_aug.check.air import FogProbe
from fusion_aug.core.registry import Context
from fusion_aug.sample.depth import SKY_DISTANCE, lidars_of, projected
from fusion_aug.streams import Camera

Array = np.ndarray
STEP, PROVEN = 0.10, 0.25  # steps of transmission at MOR 80
APART, LEVEL = 12.0, 3.0  # pixels
KATZ = 3.5  # logarithm of the radius of inversion over the farthest point's distance
PROBE_MOR = 80.0


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


def katz_visible(xyz: Array) -> Array:
    """Which points (n, 3) an eye at the origin sees (Katz, Tal and Basri 2007)."""
    away = np.linalg.norm(xyz, axis=1, keepdims=True)
    flipped = xyz + 2 * (10**KATZ * away.max() - away) * xyz / away
    seen = np.zeros(len(xyz) + 1, bool)
    seen[ConvexHull(np.concatenate([flipped, np.zeros((1, 3))])).vertices] = True
    return seen[:-1]


def proven_pairs(known: tuple[Array, Array], held: tuple[Array, Array], rays: Array, distance: Array) -> Counter[str]:
    """Pairs of points on either side of a step, and those between which the completed depth has one.

    Args:
        known, held: pixels (n, 2) and distances (n,). rays: (n, 3) unit vectors of both together.
        distance: (H, W) completed.
    """
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
    visible = katz_visible(rays * far[:, None]) if len(a) else np.zeros(len(far), bool)
    seen = visible[a] & visible[b]
    return Counter(pairs=len(a), sharp=int(sharp.sum()), seen=int(seen.sum()), sharp_seen=int((sharp & seen).sum()))


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


def measure(kind: str, sample: fa.Sample, found: Mapping[str, Array]) -> dict[str, Any]:
    """The figures of a keyframe, pooled over its cameras and the folds.

    Args:
        found: of ``distances``.
    """
    total: Counter[str] = Counter()
    lost = 0.0
    for name in sample.of_type(Camera):
        whole, sensor = found[f"{kind} {name} all"], sample.rig.camera(name)
        picture = sample[name].image(0).numpy()  # type: ignore[attr-defined]
        total += loose_steps(picture, whole)
        patch, sky = largest_lost_patch(whole)
        lost = max(lost, patch / max(sky, 1))
        total += Counter(sky=sky, pixels=whole.size)
        for fold, (known, rest) in enumerate(folds(sample)):
            distance, there, held = found[f"{kind} {name} {fold}"], points(known, name), points(rest, name)
            rays = sensor.unproject(torch.from_numpy(np.concatenate([there[0], held[0]]))).numpy()
            total += proven_pairs(there, held, rays, distance) + called_sky(held, distance)
    parts = {
        "loose": ("loose", "steps"), "sharp": ("sharp", "pairs"), "sharp_seen": ("sharp_seen", "seen"),
        "called_sky": ("called_sky", "held"), "sky": ("sky", "pixels"),
    }  # fmt: skip
    shares = {n: round(total[a] / max(total[b], 1), 5) for n, (a, b) in parts.items()}
    numbers = {n: total[n] for n in ("steps", "pairs", "seen", "held")}
    seconds = round(float(found[f"{kind} seconds"]), 2)
    return {"frame": kind, **shares, "lost_sky": round(lost, 5), "seconds": seconds, "n": numbers}


def distances_at(revision: str, data: Path) -> dict[str, Array]:
    """What the code of a revision of the repository finds."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", revision, "calib", "fusion_aug"], check=True, capture_output=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tree:
            tree.extractall(folder, filter="data")
        own = Path(__file__).with_name("real_distances.py")
        script, out = shutil.copy(own, folder), Path(folder) / "out.npz"
        environment = {**os.environ, "PYTHONPATH": folder}
        words = [sys.executable, str(script), str(data.resolve()), str(out)]
        subprocess.run(words, check=True, cwd=folder, env=environment)
        with np.load(out) as found:
            return {name: found[name] for name in found}


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
    ways = {"now": dict(distances(words.data))}
    if words.before:
        ways[words.before] = distances_at(words.before, words.data)
    for kind, sample in frames(words.data):
        for name, found in ways.items():
            print(json.dumps({"completion": name, **measure(kind, sample, found)}), flush=True)
    for row in probe(words.probe) if words.probe else ():
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
