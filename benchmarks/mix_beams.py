"""``MixBeams`` against two gathers of the points that it mixes: all columns of the key scan of both samples.

``python -m benchmarks.mix_beams [--json FILE]``. Samples are in memory: the sample log's keyframes, scans of 128 rings
with 120,000 returns and 40 boxes of which each has returns, and real keyframes where they are.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import fusion_aug as fa
from benchmarks.timing import Figure, measured
from calib import Frame, LidarSensor, Rig
from calib.se3 import rotation_about, se3
from fusion_aug.sample import SampleMeta
from fusion_aug.streams import strings

ROOT = Path(__file__).parent.parent
LIMIT = 3.0
OTHERS = (fa.ImageStream, fa.Boxes2D, fa.Radar, fa.Text)
RINGS, COLUMNS, BOXES = 128, 1024, 40


def lidar_only(sample: fa.Sample) -> fa.Sample:
    """A sample without other sensors, in memory."""
    return sample.with_streams({n: s for n, s in sample.streams.items() if not isinstance(s, OTHERS)}).realized()


def dense_scan(seed: int) -> fa.Sample:
    """A scan of 128 rings on flat ground among boxes, by the first thing that each ray meets."""
    rng = np.random.default_rng(seed)
    elevation, azimuth = np.radians(np.linspace(-22, 12, RINGS)), np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)
    ring, column = (g.ravel() for g in np.meshgrid(np.arange(RINGS), np.arange(COLUMNS), indexing="ij"))
    rays = np.stack([np.cos(elevation[ring]) * np.cos(azimuth[column]),
                     np.cos(elevation[ring]) * np.sin(azimuth[column]), np.sin(elevation[ring])], 1)  # fmt: skip
    far = np.minimum(np.where(rays[:, 2] < -0.02, -1.8 / np.minimum(rays[:, 2], -0.02), 60.0), 60.0)
    angle, distance = rng.uniform(-3, 3, BOXES), rng.uniform(6, 40, BOXES)
    poses = se3(rotation_about("z", torch.from_numpy(rng.uniform(-3, 3, BOXES))), torch.from_numpy(
        np.stack([distance * np.cos(angle), distance * np.sin(angle), np.full(BOXES, -1.0)], 1)))  # fmt: skip
    sizes = np.tile([4.4, 1.9, 1.6], (BOXES, 1))
    for T, size in zip(poses.numpy(), sizes, strict=True):
        start, along = -T[:3, 3] @ T[:3, :3], rays @ T[:3, :3]
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.stack([(s * size / 2 - start) / along for s in (-1, 1)])
        enter, leave = ends.min(0).max(1), ends.max(0).min(1)
        far = np.where((enter < leave) & (enter > 0), np.minimum(far, enter + 1e-3), far)
    kept = rng.random(len(far)) < 120_000 / len(far)
    values = {
        "xyz": torch.from_numpy((rays * far[:, None])[kept].astype(np.float32)),
        "intensity": torch.from_numpy(rng.random(int(kept.sum())).astype(np.float32)),
        "ring": torch.from_numpy(ring[kept]),
        "time_offset": torch.zeros(int(kept.sum())),
    }
    frames = {"world": Frame(axis_convention="world"), "ego": Frame(parent="world", pose=torch.eye(4).double())}
    frames["lidar"] = Frame(parent="ego", pose=torch.eye(4).double())
    rig = Rig(frames, {"lidar": LidarSensor(frame="lidar")})
    time = torch.tensor([10**18])
    names = strings(f"{seed}-{k}" for k in range(BOXES))
    boxes = fa.Boxes3D(frame="ref", capture_times=time, values={
        "pose": poses, "size": torch.from_numpy(sizes), "category": strings(["car"] * BOXES), "instance": names,
    })  # fmt: skip
    meta = SampleMeta(id=f"s{seed}", scene="s", ref=fa.Ref("ego", 10**18), rig=rig, true_rig=rig)
    return fa.Sample(
        metas=(meta,), streams={"lidar": fa.Lidar(frame="lidar", capture_times=time, values=values), "boxes": boxes}
    )


def figure(name: str, sample: fa.Sample, donor: fa.Sample, runs: int) -> Figure:
    """Milliseconds of the whole transform, against two gathers of all points in a random order."""
    mix, resources = fa.MixBeams(), {"donors": fa.Donors([donor])}
    clouds = [s for x in (sample, donor) for s in x.of_type(fa.Lidar).values()]
    orders = [torch.from_numpy(np.sort(np.random.default_rng(1).permutation(c.rows))) for c in clouds]

    def gathers() -> list[torch.Tensor]:
        return [
            v[o] for c, o in zip(clouds, orders, strict=True) for v in c.values.values() if isinstance(v, torch.Tensor)
        ]

    rows = sum(c.rows for c in clouds)
    seeds = iter(range(10**9))
    return measured(
        f"MixBeams, {name}", lambda: mix(sample, seed=next(seeds), resources=resources),
        ("two gathers of its points", gathers), LIMIT, runs, note=f"{rows} returns",
    )  # fmt: skip


def main() -> None:
    """Print the figures as JSON, and write them."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--runs", type=int, default=30)
    words = parser.parse_args()
    log = fa.open_log("nuscenes", ROOT / "datasets" / "drive")
    pairs = {"sample log, 32 rings": (lidar_only(log[0]), lidar_only(log[12]))}
    pairs["128 rings"] = dense_scan(1), dense_scan(2)
    real = Path(os.environ.get("FUSION_AUG_REAL_DATA", ROOT.parent / "shared" / "data"))
    if real.is_dir():
        key = lidar_only(fa.open_log("nuscenes", real / "nuscenes")[0])
        pairs["real nuScenes keyframe"] = key, replace(key, metas=(replace(key.meta, id="other"),))
    found = [figure(name, *pair, words.runs) for name, pair in pairs.items()]
    facts = [
        {
            "name": f.name, "note": f.note, "ms": round(f.milliseconds, 2), "against": f.against,
            "primitive ms": round(f.primitive, 2), "ratio": round(f.ratio, 2), "limit": f.limit,
        }
        for f in found
    ]  # fmt: skip
    words.json.write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
