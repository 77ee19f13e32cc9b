"""The density filter on ranges of which it is known before whether they destroy labels.

``python -m benchmarks.density_filter [--cache DIR] [--steps 250]``. Two detectors of examples/train_fusion.py are
trained without augmentation on made streets, one that sees the LiDAR alone and one that sees the cameras alone, so that
what takes a sensor's content away takes the labels away. Of each, ten ranges whose end destroys the content and ten
that hardly touch it are planted as dimensions of one space. The filter (``engine=density``, twice the clean loss) is
asked on a street that was not trained on. Printed and written: the highest loss on every range over the clean one, what
was kept, and the ROC over all thresholds; the threshold is the engine's default, fixed before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import fusion_aug as fa
from examples.train_fusion import BATCH, Detector, dense, loss_of, street
from fusion_aug.policy.search import Density, search_policy
from fusion_aug.policy.space import Dimension, Space, dimensions_of

FACTOR = Density.options()["factor"]
TRAINED, ASKED = range(20, 25), 30  # seeds of streets
LEVELS = (0.5, 1.0)
Plant = tuple[fa.Transform, str, Any]  # transform, its field, and the field at magnitude 1
LIDAR = "LIDAR*"


def lidar_plants() -> dict[str, Plant]:
    """What is done to LiDAR scans; names begin with what they are."""
    off, point = fa.Miscalibrate(sensors=[LIDAR], z_deg=[-1, 1]), fa.Miscalibrate(sensors=[LIDAR], x=[-0.1, 0.1])
    return {
        "destroys 99.5 % of the points": (fa.PointDropout(share=0.5), "share", 0.995),
        "destroys ranges, 10 m": (fa.RangeJitter(sigma=0.1), "sigma", 10.0),
        "destroys all beams but one of 32": (fa.BeamDropout(share=0.5), "share", 0.97),
        "destroys what is smaller than 12 m": (fa.VoxelSubsample(size=1.0), "size", 12.0),
        "destroys all but 6 degrees": (fa.ReducedView(view_deg=90, centre_deg=20), "view_deg", 6.0),
        "destroys the mounting, 60 degrees": (off, "z_deg", (-60.0, 60.0)),
        "destroys the mounting, 8 m": (point, "x", (-8.0, 8.0)),
        "destroys the view, MOR 5 m": (fa.Fog(mor=50), "mor", 5.0),
        "destroys all packets": (fa.DroppedPackets(share=0.2, packet_deg=10.0), "share", 1.0),
        "destroys points of objects": (fa.BoxPointDropout(share=0.5, boxes=1.0), "share", 1.0),
        "harmless 5 % of the points": (fa.PointDropout(share=0.5), "share", 0.05),
        "harmless ranges, 1 cm": (fa.RangeJitter(sigma=0.1), "sigma", 0.01),
        "harmless one beam of 32": (fa.BeamDropout(share=0.5), "share", 0.03),
        "harmless cells of 5 cm": (fa.VoxelSubsample(size=1.0), "size", 0.05),
        "harmless all but 10 degrees behind": (fa.ReducedView(view_deg=90, centre_deg=0), "view_deg", 350.0),
        "harmless the mounting, 0.05 degrees": (off, "z_deg", (-0.05, 0.05)),
        "harmless the mounting, 2 cm": (point, "x", (-0.02, 0.02)),
        "harmless haze, MOR 5 km": (fa.Fog(mor=500), "mor", 5000.0),
        "harmless 2 % of the packets": (fa.DroppedPackets(share=0.2, packet_deg=10.0), "share", 0.02),
        "harmless turns of the scene, 3 degrees": (fa.RotateScene(yaw_deg=[-5, 5]), "yaw_deg", (-3.0, 3.0)),
    }


def camera_plants() -> dict[str, Plant]:
    """What is done to pictures of 168 x 96."""
    off = fa.Miscalibrate(sensors=["CAM*"], y_deg=[-1, 1])
    return {
        "destroys by noise, sigma 1": (fa.GaussianNoise(sigma=0.1), "sigma", 1.0),
        "destroys by blur, 40 px": (fa.GaussianBlur(sigma=1.0), "sigma", 40.0),
        "destroys the light, 1/500": (fa.Brightness(factor=0.5), "factor", 0.002),
        "destroys the contrast, 1/50": (fa.Contrast(factor=0.5), "factor", 0.02),
        "destroys by light, 10 stops": (fa.Overexposure(stops=1.0), "stops", 10.0),
        "destroys the focus, 40 px": (fa.DefocusBlur(radius=1.0), "radius", 40.0),
        "destroys by motion, 150 px": (fa.MotionBlur(length=3.0), "length", 150.0),
        "destroys the pictures": (fa.BlackCamera(each=0.5), "each", 1.0),
        "destroys the mounting, 50 degrees": (off, "y_deg", (-50.0, 50.0)),
        "destroys the view, MOR 5 m": (fa.Fog(mor=50), "mor", 5.0),
        "harmless noise, sigma 0.005": (fa.GaussianNoise(sigma=0.1), "sigma", 0.005),
        "harmless blur, 0.3 px": (fa.GaussianBlur(sigma=1.0), "sigma", 0.3),
        "harmless light, 5 %": (fa.Brightness(factor=[0.9, 1.1]), "factor", (0.95, 1.05)),
        "harmless contrast, 5 %": (fa.Contrast(factor=[0.9, 1.1]), "factor", (0.95, 1.05)),
        "harmless exposure, 0.1 stops": (fa.Exposure(stops=[-1, 1]), "stops", (-0.1, 0.1)),
        "harmless colours, 3 degrees": (fa.Hue(angle_deg=[-9, 9]), "angle_deg", (-3.0, 3.0)),
        "harmless saturation, 10 %": (fa.Saturation(factor=[0.8, 1.2]), "factor", (0.9, 1.1)),
        "harmless compression": (fa.JpegCompression(quality=90), "quality", 95.0),
        "harmless the mounting, 0.05 degrees": (off, "y_deg", (-0.05, 0.05)),
        "harmless haze, MOR 5 km": (fa.Fog(mor=500), "mor", 5000.0),
    }


def space_of(plants: Mapping[str, Plant]) -> Space:
    """A space with one dimension for every plant, which ends where it says."""
    names = {what: f"r{i:02d}" for i, what in enumerate(plants)}
    pipeline = fa.Compose({names[what]: transform for what, (transform, _, _) in plants.items()})
    dimensions: list[Dimension] = []
    for what, (transform, field, full) in plants.items():
        (mine,) = (d for d in dimensions_of(transform, names[what], every=True) if d.field == field)
        dimensions.append(replace(mine, strength=replace(mine.strength, full=full)))
    return Space(pipeline, tuple(dimensions))


def seen_by(sensor: str, batch: dict[str, Any]) -> dict[str, Any]:
    """A batch with the data of one kind of sensor alone: lidar or cameras."""
    gone = {"lidar": ("image_mask", "radar_mask"), "cameras": ("point_mask", "radar_mask")}[sensor]
    return batch | {name: torch.zeros_like(batch[name]) for name in gone}


def trained(sensor: str, samples: Sequence[fa.Sample], steps: int) -> Detector:
    """A detector of one kind of sensor, trained without augmentation."""
    torch.manual_seed(0)
    network, draws = Detector().train(), np.random.default_rng(0)
    parts = [seen_by(sensor, dense(samples[i : i + BATCH])) for i in range(0, len(samples), BATCH)]
    optimizer = torch.optim.AdamW(network.parameters(), 4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.2)
    for _ in range(steps):
        batch = parts[int(draws.integers(len(parts)))]
        loss = loss_of(network(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def filtered(sensor: str, plants: Mapping[str, Plant], network: Detector, samples: Sequence[fa.Sample]) -> list[Any]:
    """Of every planted range: what it is, the highest loss on it over the clean one, and up to where it is kept."""

    @torch.no_grad()
    def objective(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
        batch = seen_by(sensor, dense([pipeline(s, seed=seed) for s in samples]))
        return {"loss": float(loss_of(network(batch), batch))}

    with tempfile.TemporaryDirectory() as out:
        found = search_policy(objective, space_of(plants), "density", out=out, levels=list(LEVELS))
    losses = [t.value("loss") for t in found.trials]
    print(f"{sensor}: clean loss {losses[0]:.3f}", flush=True)
    ratios = np.array(losses[1:]).reshape(len(plants), len(LEVELS)).max(1) / losses[0]
    return [
        (sensor, what, round(float(ratio), 3), kept)
        for what, ratio, kept in zip(plants, ratios, found.facts["largest"].values(), strict=True)
    ]


def roc(rows: Sequence[Any]) -> list[tuple[float, float, float]]:
    """Threshold, share of the destroying that is kept, share of the harmless that is kept, at every threshold."""
    ratios = {kind: np.array([r[2] for r in rows if r[1].startswith(kind)]) for kind in ("destroys", "harmless")}
    marks = sorted({1.0, FACTOR, *(r[2] for r in rows)})
    return [(m, *(float((ratios[k] <= m).mean()) for k in ("destroys", "harmless"))) for m in marks]


def main() -> None:
    """Print the table and the ROC, and write them beside."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("out/streets"))
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    words = parser.parse_args()
    words.cache.mkdir(parents=True, exist_ok=True)
    samples = [s for seed in TRAINED for s in street(seed, words.cache)]
    asked, rows = street(ASKED, words.cache), []
    for sensor, plants in (("lidar", lidar_plants()), ("cameras", camera_plants())):
        rows += filtered(sensor, plants, trained(sensor, samples, words.steps), asked)
    print("\n| sensor | range | highest loss / clean | kept up to |\n|---|---|---:|---:|")
    for sensor, what, ratio, kept in rows:
        print(f"| {sensor} | {what} | {ratio:.2f} | {kept:g} |")
    curve = roc(rows)
    kept_whole = {k: sum(r[3] == 1 for r in rows if r[1].startswith(k)) for k in ("destroys", "harmless")}
    below, above = (sorted(r[2] for r in rows if r[1].startswith(k)) for k in ("harmless", "destroys"))
    area = float(np.mean([[(d > h) + 0.5 * (d == h) for h in below] for d in above]))
    print(f"\nkept whole at {FACTOR:g} x clean: {kept_whole['destroys']} of {len(above)} that destroy, "
          f"{kept_whole['harmless']} of {len(below)} harmless; area under the ROC {area:.3f}")  # fmt: skip
    facts = {"factor": FACTOR, "kept whole": kept_whole, "area": round(area, 4), "roc": curve, "ranges": rows}
    words.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
