"""A sunny street turned overcast, against the same street rendered without the sun.

``python -m benchmarks.overcast [--cache DIR] [--frames N]``. Streets are rendered at 704x396, six cameras a keyframe,
by sun and overcast; distances are completed from LiDAR and picture. Printed, pooled over all pictures: the median
contrast across true shadow edges on asphalt (log of light, 3 pixels on either side), the mean colour error (CIE 1976
Lab) and both against doing nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

import fusion_aug as fa
from fusion_aug.ops.color import light_of
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.streams import Depth
from fusion_aug.synth.drive import T0, Size, make_log
from fusion_aug.synth.town import make_town
from fusion_aug.synth.world import KINDS, Scenery
from fusion_aug.transforms.weather.place import T_world

Array = np.ndarray
SEEDS, SIZE = (0, 1, 2), Size((396, 704), 1090, 92)
ASIDE = 3  # pixels from a shadow's edge to where its contrast is read
SEEN = 0.1  # log of light; fainter edges of shadows, such as those far off in the haze, are none


def pairs(cache: Path, frames: int) -> Iterator[tuple[int, fa.Sample, fa.Sample]]:
    """Seed, sunny sample without its true depth, and overcast sample, of every keyframe."""
    for seed in SEEDS:
        logs = []
        for light in ("sun", "overcast"):
            folder = cache / f"pair_{seed}_{light}"
            if not folder.is_dir():
                make_log(folder, frames=frames, seed=seed, size=SIZE, extras=False, light=light)
            logs.append(fa.open_log("nuscenes", folder))
        for i in range(frames):
            sunny = logs[0][i]
            known = {n: s for n, s in sunny.streams.items() if not isinstance(s, Depth)}
            yield seed, sunny.with_streams(known), logs[1][i]


def shadow_edges(sample: fa.Sample, camera: str, seed: int) -> Iterator[tuple[Array, Array]]:
    """Pixels (n, 2) as rows and columns in the sun and in the shadow on either side of true shadow edges on asphalt."""
    stream, sensor = sample[camera], sample.rig.camera(camera)
    stamp = int(stream.capture_times[0])
    T = T_world(sample, 0, camera, stamp)
    world = Scenery(make_town(seed)).at((stamp - T0 * 1000) * 1e-9)
    rays = sensor.unproject(pixel_grid(sensor.size).reshape(-1, 2)).numpy() @ T[:3, :3].T
    hits = world.cast(T[:3, 3][None], rays)
    road = (world.kinds(hits) == KINDS.index("road")).reshape(sensor.size)
    lit = np.zeros(len(rays), bool)
    lit[road.ravel()] = world.lit(type(hits)(*(getattr(hits, f)[road.ravel()] for f in hits.__dataclass_fields__)))
    lit = lit.reshape(sensor.size)
    for axis in (0, 1):
        a, b = (np.roll(lit, s, axis) for s in (ASIDE, -ASIDE))
        inner_a, inner_b = (np.roll(lit, s, axis) for s in (1, -1))
        # one edge between even sides
        edge = (a != b) & (inner_a == a) & (inner_b == b)
        for s in range(-ASIDE, ASIDE + 1):
            edge &= np.roll(road, s, axis)
        edge[:ASIDE] = edge[-ASIDE:] = edge[:, :ASIDE] = edge[:, -ASIDE:] = False
        at = np.argwhere(edge)
        way = np.where(a[edge], -ASIDE, ASIDE)[:, None] * np.eye(2, dtype=int)[axis]
        yield at + way, at - way


def contrasts(picture: Array, edges: list[tuple[Array, Array]]) -> Array:
    """Log of light in the sun over that in the shadow, of every edge."""
    light = np.log(np.maximum(light_of(picture).mean(2), 1e-3))
    return np.concatenate([light[tuple(a.T)] - light[tuple(b.T)] for a, b in edges])


def colour_error(picture: Array, true: Array) -> Array:
    """Difference (H, W) in CIE 1976 Lab."""
    a, b = (cv2.cvtColor(p.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for p in (picture, true))
    return np.linalg.norm(a - b, axis=2)


def measure(cache: Path, frames: int = 2, weather: fa.Weather | None = None) -> dict[str, float]:
    """The figures, pooled over all pictures; ``weather`` is what turns them overcast."""
    weather = weather or fa.Weather(overcast=1.0)
    before, after, error, error_before = [], [], [], []
    for seed, sunny, true in pairs(cache, frames):
        ours = weather(sunny, seed=0)
        for camera in sunny.of_type(fa.Camera):
            s, u, o = (x[camera].image(0).numpy() for x in (sunny, ours, true))  # type: ignore[attr-defined]
            edges = list(shadow_edges(sunny, camera, seed))
            before.append(contrasts(s, edges))
            after.append(contrasts(u, edges))
            error_before.append(colour_error(s, o).mean())
            error.append(colour_error(u, o).mean())
    old, new = np.concatenate(before), np.concatenate(after)
    shown = old > SEEN
    contrast = float(np.median(old[shown])), float(np.median(np.abs(new[shown])))
    colour = float(np.mean(error_before)), float(np.mean(error))
    return {
        "pictures": len(error), "edges": int(shown.sum()),
        "contrast_before": round(contrast[0], 3), "contrast_after": round(contrast[1], 3),
        "contrast_left_%": round(100 * contrast[1] / contrast[0], 1),
        "colour_error_before": round(colour[0], 2), "colour_error_after": round(colour[1], 2),
        "colour_error_less_%": round(100 * (1 - colour[1] / colour[0]), 1),
    }  # fmt: skip


def main() -> None:
    """Print the figures as a JSON object."""
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--frames", type=int, default=2)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        print(json.dumps(measure(words.cache or Path(fresh), words.frames)), flush=True)


if __name__ == "__main__":
    main()
