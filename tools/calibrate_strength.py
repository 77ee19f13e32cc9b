"""Find what ``full`` of a strength must be for the loss that severity 5 of the suite has, as the probe measures it.

Prints the loss of every preset of the suite by kind of data, their medians, which are the reference, and for every
strength of basis ``probe`` the value that has the loss of the reference on the sample logs. Kinds without a preset
(readings, gels, taxels) take the median of the other medians. The numbers are then written into the classes by hand, to
two digits. The statistic is in ``fusion_aug/policy/probe.py``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.core.strength import Strength
from fusion_aug.policy.probe import REFERENCE, losses
from fusion_aug.streams.families import Photometric

ROOT = Path(__file__).parents[1]
CAMERAS = ("CAM_FRONT", "CAM_BACK_LEFT", "FISHEYE_FRONT")  # of the sample log, to save time
KEYFRAMES, SEEDS = (3, 12), (0, 1)
LEAST = 0.05  # a preset that takes less of a kind of data is not meant for it
STEPS, MOST = 6, 64.0  # of the bisection, and how many times the present strength it goes up and down


def samples() -> list[fa.Sample]:
    """Two keyframes of the street, with three of its cameras, and the recording of the arm without its cameras.

    The few readings of the street's inertial unit in one keyframe have no spread to compare with.
    """
    log = fa.open_log("nuscenes", ROOT / "datasets" / "drive")
    found = []
    for k in KEYFRAMES:
        sample = log[k]
        keep = {n: s for n, s in sample.streams.items() if not isinstance(s, fa.Camera | fa.Imu) or n in CAMERAS}
        found.append(sample.with_streams(keep).realized())
    arm = ROOT / "datasets" / "arm"
    sample = fa.open_log("mcap", arm / "mcap", rig=str(arm / "mcap_rig.yaml"))[0]
    keep = {n: s for n, s in sample.streams.items() if not isinstance(s, fa.Camera | fa.Depth)}
    return [*found, sample.with_streams(keep).realized()]


def mean_losses(transform: fa.Transform, over: list[fa.Sample]) -> dict[str, float]:
    """Mean losses over samples and seeds, by kind of data; samples that it refuses are left out."""
    found: dict[str, list[float]] = {}
    refused: fa.FusionAugError | None = None
    for sample in over:
        for seed in SEEDS:
            try:
                one = losses(sample, transform(sample, seed=seed))
            except fa.FusionAugError as error:
                refused = error
                continue
            for kind, loss in one.items():
                found.setdefault(kind, []).append(loss)
    if not found and refused:
        raise refused
    return {k: float(np.mean(v)) for k, v in found.items()}


def suite_losses(over: list[fa.Sample]) -> dict[str, dict[str, float]]:
    """Losses of every preset of the suite at severity 5."""
    names = sorted(p.stem for p in (ROOT / "configs" / "pipeline" / "suite").glob("*.yaml"))
    return {n: mean_losses(fa.preset(f"suite/{n}", severity=5), over) for n in names}


def reference_of(suite: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The median loss of the presets that do something to a kind of data."""
    kinds = sorted({k for found in suite.values() for k in found})
    of_kind = {k: [f[k] for f in suite.values() if f.get(k, 0) > LEAST] for k in kinds}
    medians = {k: statistics.median(v) for k, v in of_kind.items() if len(v) >= 2}
    return dict.fromkeys(kinds, statistics.median(medians.values())) | medians


def probe_fields() -> Iterator[tuple[str, Any, str, Strength]]:
    """Every strength of basis ``probe``, of the class that declares it."""
    for name, cls in own_transforms().items():
        for field, strength in vars(cls).get("strengths", {}).items():
            if isinstance(strength, Strength) and strength.basis == "probe":
                yield name, cls, field, strength


def along(strength: Strength, side: float, magnitude: float) -> float:
    """The value at a magnitude, also beyond 1."""
    start = strength.neutral if strength.near is None else strength.near
    if strength.scale == "linear":
        return start + (side - start) * magnitude
    if strength.scale == "log":
        return start * (side / start) ** magnitude
    return 1 / (1 / start + (1 / side - 1 / start) * magnitude)


def at_magnitude(cls: Any, field: str, magnitude: float) -> list[fa.Transform]:
    """The transform with one field at a magnitude and the others neutral, one for each side."""
    strengths = {n: s for n, s in cls.strengths.items() if isinstance(s, Strength)}
    low, high = cls.limits.get(field, (-np.inf, np.inf))
    neutral = {n: s.neutral for n, s in strengths.items()}
    shared = {"cameras": None} if issubclass(cls, Photometric) else {}
    own = strengths[field]
    values = [float(np.clip(along(own, side, magnitude), low, high)) for side in own.sides]
    return [cls(**{**shared, **neutral, field: value}) for value in values]


def relative_loss(
    cls: Any, field: str, magnitude: float, over: list[fa.Sample], reference: Mapping[str, float]
) -> float:
    """The largest loss of any kind of data, against that of the reference."""
    found: list[float] = []
    for transform in at_magnitude(cls, field, magnitude):
        shares = [loss / reference[kind] for kind, loss in mean_losses(transform, over).items()]
        found.append(max(shares, default=0.0))
    return float(np.mean(found))


def calibrated(cls: Any, field: str, over: list[fa.Sample], reference: Mapping[str, float]) -> tuple[float, float]:
    """Magnitude, in present strengths, at which a field has the loss of the reference, and that loss against it."""

    def enough(magnitude: float) -> float:
        return relative_loss(cls, field, magnitude, over, reference)

    high, top = 1.0, enough(1.0)
    while top < 1 and high < MOST:
        high, top = 2 * high, enough(2 * high)
    if top < 1:
        return high, top
    while high > 1 / MOST and (below := enough(high / 2)) >= 1:
        high, top = high / 2, below
    low = high / 2
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) >= 1 else (middle, high)
    return high, enough(high)


def main() -> None:
    """Print the reference, and what every ``full`` should be."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--suite", action="store_true", help="measure the reference anew; else that of the probe is taken"
    )
    parser.add_argument("--only", nargs="*", default=(), help="names of transforms; all by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    over, reference = samples(), dict(REFERENCE)
    if options.suite:
        suite = suite_losses(over)
        for name, found in suite.items():
            print(f"{name:24}" + "  ".join(f"{k} {v:.3f}" for k, v in found.items() if v > LEAST), flush=True)
        print("reference", {k: round(v, 3) for k, v in reference_of(suite).items()}, flush=True)
    for name, cls, field, strength in probe_fields():
        if options.only and name not in options.only:
            continue
        street = over[: len(KEYFRAMES)]
        magnitude, reached = calibrated(cls, field, street if issubclass(cls, Photometric) else over, reference)
        limits = cls.limits.get(field, (-np.inf, np.inf))
        values = [f"{np.clip(along(strength, side, magnitude), *limits):.4g}" for side in strength.sides]
        now = [f"{v:.4g}" for v in strength.sides]
        print(
            f"{name}.{field:14} now {', '.join(now):18} found {', '.join(values):18} at {reached:.2f} of it", flush=True
        )


if __name__ == "__main__":
    main()
