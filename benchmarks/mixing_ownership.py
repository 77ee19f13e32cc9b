"""``python -m benchmarks.mixing_ownership [--seams N] [--pairs N] [--json FILE]``: whose point, and whose pixel.

The pictures of a receiver are black and those of its donor white, and every point knows whose it is. So a LiDAR point
that a camera sees and the pixel beside it either agree or they do not. Measured on the real nuScenes keyframe as its
own donor, and on pairs of keyframes of ``datasets/drive``. Beside ``SwapSector`` stand what others do: points by the
LiDAR's azimuth and pictures cut at the column of that azimuth, and points by the LiDAR's azimuth and whole cameras.
Also measured: how far a donor's point lies in the written calibration from where it lies in its own picture, boxes
that are cut, and points in boxes that are of the other sample.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.errors import FusionAugError
from fusion_aug.physics.visibility import hidden_points
from fusion_aug.streams import strings

HERE = Path(__file__).resolve().parents[1]
REAL = Path(os.environ.get("FUSION_AUG_REAL_DATA", HERE.parent / "shared" / "data"))
WHOSE = "status"  # the column that says whose a point is: 0 of the receiver, 1 of the donor
LIDAR = "LIDAR_TOP"
Array = np.ndarray


def marked(sample: fa.Sample, whose: int) -> fa.Sample:
    """A sample with pictures of one level, points with a mark, boxes with a category, and nothing else of interest."""
    streams: dict[str, fa.Stream] = {"ego": sample["ego"]}
    for name, stream in sample.of_type(fa.Camera).items():
        size = sample.rig.camera(stream.instance(name)).size
        flat = torch.full((*size, 3), 255 * whose, dtype=torch.uint8)
        streams[name] = replace(stream, items=(flat,) * len(stream), pending=(None,) * len(stream))
    cloud = sample[LIDAR].loaded()
    streams[LIDAR] = cloud.with_values(**{WHOSE: torch.full((cloud.rows,), whose, dtype=torch.int64)})
    boxes = sample["boxes"]
    streams["boxes"] = boxes.with_values(category=strings([str(whose)] * boxes.rows))
    return sample.with_streams(streams).with_meta(0, id=f"{sample.id}{whose}")


def key_scan(sample: fa.Sample) -> tuple[Array, Array, Array]:
    """Of the LiDAR's scan at the keyframe: places (n, 3) in the reference frame, marks (n,) and the LiDAR's place."""
    item = sample.key_item(LIDAR)
    cloud = sample[LIDAR].take_items(torch.tensor([item]))
    T = sample.meta.T_ref(sample[LIDAR].frame, int(sample[LIDAR].capture_times[item])).numpy()
    places = cloud["xyz"].numpy().astype(np.float64) @ T[:3, :3].T + T[:3, 3]
    return places, cloud[WHOSE].numpy() > 0, T[:3, 3]


def seen(sample: fa.Sample, camera: str) -> tuple[Array, Array]:
    """Pixels (n, 2) of the points that a camera sees, and their rows (n,), by the calibration of the sample."""
    T = sample.meta.T_ref(sample[camera].frame, int(sample[camera].capture_times[0])).inverse().numpy()
    xyz, _, lidar = key_scan(sample)
    local, scanner = xyz @ T[:3, :3].T + T[:3, 3], T[:3, :3] @ lidar + T[:3, 3]
    pixels, inside = sample.rig.camera(sample[camera].instance(camera)).project(torch.from_numpy(local))
    rows = np.flatnonzero(inside.numpy())
    rows = rows[~hidden_points(local[rows], [(local, scanner)])]
    return pixels.numpy()[rows], rows


def ownership(out: fa.Sample) -> Counter[str]:
    """How many points cameras see, and how many of them in a pixel of the other sample."""
    found: Counter[str] = Counter()
    whose = key_scan(out)[1]
    for name, stream in out.of_type(fa.Camera).items():
        pixels, rows = seen(out, name)
        u, v = np.round(pixels).astype(int).T
        picture = stream.image(0)[..., 0].numpy() > 127
        theirs = picture[v.clip(0, len(picture) - 1), u.clip(0, picture.shape[1] - 1)]
        found["seen"] += len(rows)
        found["other"] += int((theirs != whose[rows]).sum())
    return found


def by_columns(sample: fa.Sample, width: float, first: float) -> Iterator[tuple[str, int, int]]:
    """What others do with the same angles: ways, points that are seen, and those in a pixel of the other sample."""
    places, _, lidar = key_scan(sample)

    def inside(xy: Array) -> Array:
        return (np.arctan2(xy[..., 1], xy[..., 0]) - first) % (2 * np.pi) < width

    whose = inside(places - lidar)
    for name, stream in sample.of_type(fa.Camera).items():
        R = sample.meta.T_ref(stream.frame, int(stream.capture_times[0])).numpy()[:3, :3]
        sensor = sample.rig.camera(stream.instance(name))
        pixels, rows = seen(sample, name)
        middle = np.column_stack([np.round(pixels[:, 0]), np.full(len(pixels), (sensor.size[0] - 1) / 2)])
        columns = inside(sensor.unproject(torch.from_numpy(middle)).numpy() @ R.T)
        yield "column cuts", len(rows), int((columns != whose[rows]).sum())
        yield "whole cameras", len(rows), int((inside(R[:, 2]) != whose[rows]).sum())


def box_faults(out: fa.Sample) -> Counter[str]:
    """Boxes, those that a seam cuts, and points in them that are of the other sample."""
    (xyz, whose, _), boxes = key_scan(out), out["boxes"]
    found: Counter[str] = Counter(boxes=boxes.rows)
    for pose, size, category in zip(boxes["pose"], boxes["size"], boxes["category"], strict=True):
        local = (xyz - pose[:3, 3].numpy()) @ pose[:3, :3].numpy()
        within = (np.abs(local) <= size.numpy() / 2).all(1)
        strange = int((whose[within] != (category == "1")).sum())
        found["points"] += int(within.sum())
        found["strange points"] += strange
        found["boxes with strange points"] += strange > 0
    return found


def moved(out: fa.Sample, donor: fa.Sample) -> list[float]:
    """How far the donor's points lie in the written calibration from where they lie in the donor's picture, pixels."""
    gaps: list[float] = []
    places, whose, _ = key_scan(out)
    xyz = places[whose]
    for name, stream in out.of_type(fa.Camera).items():
        pixels = []
        for which in (out, donor):
            T = which.meta.T_ref(stream.frame, int(which[name].capture_times[0])).inverse().numpy()
            sensor = which.rig.camera(stream.instance(name))
            pixels.append(sensor.project(torch.from_numpy(xyz @ T[:3, :3].T + T[:3, 3])))
        (here, a), (there, b) = pixels
        u, v = here[a & b].round().long().unbind(1)
        picture = stream.image(0)
        theirs = picture[v.clamp(0, len(picture) - 1), u.clamp(0, picture.shape[1] - 1), 0] > 127
        far = np.linalg.norm(xyz[(a & b).numpy()] - which_centre(out, name), axis=1) >= 10.0
        gaps += (here[a & b] - there[a & b]).norm(dim=1)[theirs & torch.from_numpy(far)].tolist()
    return gaps


def which_centre(sample: fa.Sample, camera: str) -> Array:
    """Centre (3,) of a camera in the reference frame."""
    return sample.meta.T_ref(sample[camera].frame, int(sample[camera].capture_times[0]))[:3, 3].numpy()


def measure(pairs: Iterator[tuple[fa.Sample, fa.Sample, int]], wanted: int, **settings: Any) -> dict[str, Any]:
    """Pool figures over pairs of samples and seeds, until so many fit; those that do not are counted."""
    pooled: Counter[str] = Counter()
    gaps: list[float] = []
    for sample, donor, seed in pairs:
        if pooled["mixed"] >= wanted:
            break
        a, b = marked(sample, 0), marked(donor, 1)
        try:
            out = fa.SwapSector(captions="drop", **settings)(a, seed=seed, resources={"donors": fa.Donors([b])})
        except FusionAugError as error:
            why = str(error).split(", ", 1)[-1]
            pooled["refused: " + " ".join(w for w in why.split() if not w[0].isdigit() and "'" not in w)[:60]] += 1
            continue
        pooled["mixed"] += 1
        pooled += ownership(out) + box_faults(out)
        gaps += moved(out, b)
        (first, last), *_ = out.history[0].params[""]["seams"]
        angles = float(first["azimuth"]), float((last["azimuth"] - first["azimuth"]) % (2 * np.pi))
        for way, points, other in by_columns(a, angles[1], angles[0]):
            pooled[f"{way}: seen"] += points
            pooled[f"{way}: other"] += other
    none = dict.fromkeys(("strange points", "boxes with strange points"), 0)  # a Counter drops what it adds up to 0
    told: dict[str, Any] = dict(sorted((none | pooled).items()))
    for way in ("", "column cuts: ", "whole cameras: "):
        told[f"{way}share of points in a pixel of the other, percent"] = round(
            100 * pooled[f"{way}other"] / max(1, pooled[f"{way}seen"]), 4
        )
    told["donor's points beyond 10 m in the written calibration, pixels, largest"] = round(max(gaps, default=0.0), 3)
    return told


def real_keyframe() -> Iterator[tuple[fa.Sample, fa.Sample, int]]:
    """The keyframe as its own donor."""
    sample = fa.open_log("nuscenes", REAL / "nuscenes")[0]
    for seed in itertools.count():
        yield sample, sample, seed


def drive_pairs() -> Iterator[tuple[fa.Sample, fa.Sample, int]]:
    """Pairs of keyframes of the sample log, drawn by number."""
    log = list(fa.open_log("nuscenes", HERE / "datasets" / "drive"))
    rng = np.random.Generator(np.random.Philox(key=23))
    for seed in itertools.count():
        a, b = rng.permutation(len(log))[:2].tolist()
        yield log[a], log[b], seed


def speed(runs: int = 9) -> dict[str, float]:
    """Milliseconds of ``SwapSector`` on the real keyframe, of its cut pictures, and of decoding the six, medians."""
    log = fa.open_log("nuscenes", REAL / "nuscenes")
    times: list[list[float]] = []
    for seed in range(runs):
        sample, donors, asked = log[0], fa.Donors(log), log[0]
        for one in (sample, donors.get(sample.id).sample):
            for name in one.of_type(fa.Camera):
                one[name].image(0)
        stamps = [time.process_time()]
        out = fa.SwapSector()(sample, seed=seed, resources={"donors": donors})
        stamps.append(time.process_time())
        for name in out.history[0].params[""]["cut"]:
            out[name].image(0)
        stamps.append(time.process_time())
        for name in asked.of_type(fa.Camera):
            asked[name].image(0)
        stamps.append(time.process_time())
        times.append([1e3 * (b - a) for a, b in itertools.pairwise(stamps)])
    mixing, cutting, decoding = np.median(times, axis=0).round(1).tolist()
    return {
        "SwapSector, ms": mixing,
        "its cut pictures, ms": cutting,
        "decoding six pictures, ms": decoding,
        "ratio": round((mixing + cutting) / decoding, 2),
    }


def main() -> None:
    """Measure, print and, where asked, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seams", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=100, help="that fit")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    if args.seams:
        found["real keyframe, its own donor"] = measure(real_keyframe(), args.seams)
    if args.pairs:
        found["pairs of datasets/drive, without the fisheye"] = measure(
            drive_pairs(), args.pairs, sensors=("CAM_*", "LIDAR_TOP", "RADAR_*")
        )
    found["time on the processor"] = speed()
    print(json.dumps(found, indent=2))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
