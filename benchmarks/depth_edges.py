"""Completed depth against the synthetic world's own: sky, transmission, depth edges, thin things.

``python -m benchmarks.depth_edges [--cache DIR] [--pictures N] [--size 1600x900]``. Three streets, ten keyframes, six
cameras, 32 beams, rendered at 1600x900 and at 704x396; all counts are pooled over the pictures. The completion has the
LiDAR and the picture alone. What was rendered stays in the cache: another run takes the completion's time only.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

import fusion_aug as fa
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.physics.air import extinction_of_mor
from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.completion import SKY_DISTANCE, Completion, complete_distances
from fusion_aug.sample.depth import completion_inputs
from fusion_aug.streams import Depth
from fusion_aug.synth.drive import Size, make_log
from fusion_aug.synth.vehicle import CAMERAS
from fusion_aug.synth.world import KINDS
from fusion_aug.transforms.weather.state import FOG_TINT

Array = np.ndarray
STREETS = {0: 4, 1: 3, 2: 3}  # seed -> keyframes
SIZES = {f"{w}x{h}": Size((h, w), 1090, 92) for h, w in ((900, 1600), (396, 704))}
MOR, THIN_MOR = 80.0, 60.0  # metres: of transmission and edges, and of the levels of thin things
STEP, NEAR = 0.15, 2  # of transmission; pixels
LEAST_SKY, LEVELS, AIR = 0.01, 20.0, 0.78 * 255.0
THIN = ("sign", "pole", "person")


class Scene(NamedTuple):
    """One picture: keyword arguments of ``complete_distances``, true range (H, W) in metres, classes (H, W)."""

    name: str
    inputs: dict[str, Any]
    true: Array
    classes: Array


def scenes(cache: Path, size: str) -> Iterator[Scene]:
    """Every picture of the streets at a size; rendered where the cache does not hold them."""
    for seed, frames in STREETS.items():
        street = cache / f"street_{size}_{seed}"
        if not street.is_dir():
            make_log(street, frames=frames, seed=seed, size=SIZES[size], depth="all", extras=False)
        log = fa.open_log("nuscenes", street)
        for frame in range(frames):
            files = sorted(street.glob(f"scene_{frame}_*.npz"))
            for path in files if len(files) == len(CAMERAS) else _kept(log[frame], street / f"scene_{frame}"):
                with np.load(path) as held:
                    found = {k: held[k] for k in held}
                true, classes = found.pop("true"), found.pop("classes")
                found["size"] = true.shape
                found["directions"] = CellDirections(*(found.pop(n) for n in CellDirections._fields))
                yield Scene(f"{size}/{seed}/{path.stem}", found, true, classes)


def _kept(sample: fa.Sample, stem: Path) -> list[Path]:
    """Write what a measurement needs of every camera of a keyframe; the files."""
    truth = {s.camera: s for s in sample.of_type(Depth).values()}
    blind = sample.with_streams({n: s for n, s in sample.streams.items() if not isinstance(s, Depth)})
    out = []
    for name, depth in sorted(truth.items()):
        sensor = sample.rig.camera(name)
        along = sensor.unproject(pixel_grid(sensor.size))[..., 2].numpy()
        true = (depth.image(0).numpy() / along).astype(np.float32)
        classes = sample[f"{name}/classes"].image(0).numpy()  # type: ignore[attr-defined]
        out.append(stem.with_name(f"{stem.name}_{name}.npz"))
        inputs = completion_inputs(blind, name, 0)
        np.savez(out[-1], true=true, classes=classes, **inputs.pop("directions")._asdict(), **inputs)
    return out


def transmission(distance: Array, mor: float = MOR) -> Array:
    """Share of light (H, W) that crosses a uniform fog of a visibility; nothing comes from the sky."""
    t: Array = np.exp(-extinction_of_mor(mor) * distance.astype(np.float64))
    return np.where(distance >= 0.5 * SKY_DISTANCE, 0.0, t)


def steps(t: Array, least: float = STEP) -> Array:
    """(H, W) bool: whether the transmission differs by more than ``least`` from the next pixel's, right or below."""
    out = np.zeros(t.shape, bool)
    out[:, :-1] |= np.abs(np.diff(t, axis=1)) > least
    out[:-1] |= np.abs(np.diff(t, axis=0)) > least
    return out


def within(mask: Array, reach: int) -> Array:
    """(H, W) bool: whether a pixel of a mask lies within some pixels of each pixel."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def counts(scene: Scene, found: Completion) -> Counter[str]:
    """What is pooled, of one picture."""
    out: Counter[str] = Counter()
    sky, called = scene.classes == KINDS.index("sky"), found.distance >= 0.5 * SKY_DISTANCE
    if sky.mean() >= LEAST_SKY:
        out.update({"sky_and": int((sky & called).sum()), "sky_or": int((sky | called).sum())})
    t, seen = transmission(scene.true), transmission(found.distance)
    out.update(pixels=t.size, off=int((np.abs(t - seen) > STEP).sum()))
    true_edges, edges = steps(t), steps(seen)
    out.update(edges=int(edges.sum()), right=int((edges & within(true_edges, NEAR)).sum()))
    out.update(true_edges=int(true_edges.sum()), met=int((true_edges & within(edges, NEAR)).sum()))
    contrast = np.abs(scene.inputs["picture"] - AIR * np.asarray(FOG_TINT)).mean(2)
    error = np.abs(transmission(scene.true, THIN_MOR) - transmission(found.distance, THIN_MOR)) * contrast
    for kind in THIN:
        mine = scene.classes == KINDS.index(kind)
        out.update({kind: int(mine.sum()), f"{kind}_off": int((mine & (error > LEVELS)).sum())})
    return out


def figures(total: Counter[str]) -> dict[str, float]:
    """The figures of pooled counts."""
    share = {
        "sky_iou": ("sky_and", "sky_or"), "transmission_off": ("off", "pixels"), "precision": ("right", "edges"),
        "recall": ("met", "true_edges"), **{f"{k}_off": (f"{k}_off", k) for k in THIN},
    }  # fmt: skip
    return {name: round(total[a] / max(total[b], 1), 4) for name, (a, b) in share.items()}


def measure(
    cache: Path, size: str, pictures: int | None = None, complete: Callable[..., Completion] = complete_distances
) -> dict[str, float]:
    """All figures at a size.

    Args:
        cache: folder of rendered inputs. size: one of ``SIZES``.
        pictures: how many are measured, evenly chosen; None for all.
        complete: what is measured, called as ``complete_distances`` is.
    """
    every = sum(STREETS.values()) * len(CAMERAS)
    chosen = set(np.linspace(0, every - 1, min(pictures or every, every)).round().astype(int).tolist())
    total: Counter[str] = Counter()
    spent = 0.0
    for number, scene in enumerate(scenes(cache, size)):
        if number in chosen:
            start = time.process_time()
            found = complete(**scene.inputs)
            spent += time.process_time() - start
            total += counts(scene, found)
    return figures(total) | {"pictures": len(chosen), "seconds_each": round(spent / len(chosen), 3)}


def main() -> None:
    """Print the figures of every size, one JSON object a line."""
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--size", choices=SIZES, action="append")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        for size in words.size or SIZES:
            print(json.dumps({"size": size, **measure(words.cache or Path(fresh), size, words.pictures)}), flush=True)


if __name__ == "__main__":
    main()
