"""Whether more is stronger: Spearman's correlation between magnitude and loss, for every strength of every transform.

``python -m benchmarks.strength [--only NAME ...] [--out FILE]``. Each field alone takes 20 magnitudes, the same 10
seeds at each, on a keyframe of the sample street (one camera of 132x234, LiDAR, radars) and on the recording of the
arm. The loss is that of ``fusion_aug/policy/probe.py``, of the kind of data that loses most. ``of means`` correlates
the mean of the 10 draws, which is what a magnitude promises; ``of draws`` all 200. Fields that the probe does not see,
such as those of a scene's motion, and where pixels move, are not measured: their number grows with the magnitude.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import spearmanr

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.core.strength import Strength
from fusion_aug.policy.probe import losses
from fusion_aug.policy.space import Dimension, Space
from fusion_aug.streams.families import ImagePlane, Kinematic, Mount, Photometric, Scene, Temporal

ROOT = Path(__file__).parents[1]
LEVELS, DRAWS, LEAST = 20, 10, 0.95
GEOMETRY = (Scene, ImagePlane, Mount, Temporal, Kinematic, fa.TactileShift)
KINDS = (fa.Camera, fa.Depth, fa.SegmentationMask)


class Found(NamedTuple):
    """What was found of a field: the kind of data, correlation of means and of draws, and the mean loss at 1."""

    name: str
    kind: str
    of_means: float
    of_draws: float
    at_1: float


def samples() -> list[fa.Sample]:
    """The two samples, decoded."""
    whole = fa.open_log("nuscenes", ROOT / "datasets" / "drive")[3]
    keep = {n: s for n, s in whole.streams.items() if not isinstance(s, (*KINDS, fa.Imu)) or n == "CAM_FRONT"}
    smaller = fa.Compose([fa.Resize(size=(132, 234)), fa.VoxelSubsample(size=1.0)])
    street = smaller(whole.with_streams(keep)).realized()
    arm = ROOT / "datasets" / "arm"
    whole = fa.open_log("mcap", arm / "mcap", rig=str(arm / "mcap_rig.yaml"))[0]
    keep = {n: s for n, s in whole.streams.items() if not isinstance(s, KINDS)}
    return [street, whole.with_streams(keep).realized()]


def spaces(only: list[str]) -> Iterator[tuple[str, Space]]:
    """Every field with a strength, alone in its space, the others neutral; of special cases only what they declare."""
    for name, kind in own_transforms().items():
        if only and name not in only:
            continue
        own = vars(kind).get("strengths", {})
        for field in (n for n, s in own.items() if isinstance(s, Strength)):
            neutral = {n: s.neutral for n, s in own.items() if isinstance(s, Strength)}
            more: dict[str, Any] = {"cameras": None} if issubclass(kind, Photometric) else {}
            more |= {"sensors": ["*"]} if name == "Miscalibrate" else {}
            more |= {"refine": False} if issubclass(kind, fa.Weather) else {}
            leaf = kind(**{**more, **neutral})
            limits = kind.limits.get(field, Dimension.limits)
            yield f"{name}.{field}", Space(fa.Compose({"one": leaf}), (Dimension("one", field, own[field], limits),))


def measured(name: str, space: Space, over: list[fa.Sample]) -> Found:
    """Correlations of one field."""
    if isinstance(space.pipeline.transforms[0], GEOMETRY):
        return Found(name, "its number", float("nan"), float("nan"), float("nan"))
    levels = np.linspace(0, 1, LEVELS)
    found: dict[str, np.ndarray] = {}
    for i, level in enumerate(levels):
        step = space.at(float(level))
        for draw in range(DRAWS):
            for sample in over:
                try:
                    one = losses(sample, step(sample, seed=draw))
                except fa.FusionAugError:
                    continue
                for kind, loss in one.items():
                    found.setdefault(kind, np.zeros((LEVELS, DRAWS)))[i, draw] = loss
    kind = max(found, key=lambda k: found[k].mean(), default="")
    if not kind or found[kind].max() == 0:
        return Found(name, "no loss", float("nan"), float("nan"), 0.0)
    values = found[kind]
    means = spearmanr(levels, values.mean(1)).statistic
    draws = spearmanr(np.repeat(levels, DRAWS), values.ravel()).statistic
    return Found(name, kind, float(means), float(draws), float(values[-1].mean()))


def main() -> None:
    """Print a line for every field, those below 0.95 at the end, and write them beside those of earlier runs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of transforms; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "strength.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    over = samples()
    known = {r["name"]: r for r in json.loads(options.out.read_text())} if options.out.exists() else {}
    print(f"{'field':34}{'kind':12}{'of means':>9}{'of draws':>9}{'at 1':>7}")
    for name, space in spaces(options.only):
        street = isinstance(space.pipeline.transforms[0], fa.Weather | Photometric)
        row = measured(name, space, over[:1] if street else over)
        print(f"{row.name:34}{row.kind:12}{row.of_means:9.3f}{row.of_draws:9.3f}{row.at_1:7.2f}", flush=True)
        known[name] = {k: None if v != v else v for k, v in row._asdict().items()}
        options.out.write_text(json.dumps([known[n] for n in sorted(known)], indent=1) + "\n", encoding="utf-8")
    weak = [n for n, r in known.items() if r["of_means"] is not None and r["of_means"] < LEAST]
    print(f"below {LEAST}: {', '.join(weak) or 'none'}")


if __name__ == "__main__":
    main()
