"""What a ``Gate`` finds: pictures that moved, turned, wave or are mirrored, boxes that are gone, things that are new.

``python -m benchmarks.gate [--cache out/gate] [--json FILE]``. Styles are transforms of ours that keep geometry, at
704 x 396. Each is calibrated on one made street and judged on others, on the sample log and on the real nuScenes
keyframe. Faults are planted in the made pictures: shifts of 2 and 3 pixels, turns of 1.5 degrees, waves of 3 pixels,
mirrors; objects of at least 24 pixels painted over; objects of other pictures pasted in. Night stands apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.cli import main as fusion_aug
from fusion_aug.transforms.generative.gate_figures import LEAST_SIDE
from fusion_aug.transforms.generative.shown_objects import boxes_in

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "nuscenes"
STREETS = {"calibration": (101,), "judged": (102, 103)}  # seeds
FRAMES = 8
SIZE = (704, 396)
DAY: dict[str, Any] = {
    "warm": {"model": "warm"},
    "dusk": {
        "pictures": {"mean": [0.4] * 3, "covariance": [[0.05, 0.04, 0.04], [0.04, 0.05, 0.04], [0.04, 0.04, 0.05]]},
        "like": {"mean": [0.25, 0.2, 0.26], "covariance": [[0.03, 0.02, 0.02], [0.02, 0.02, 0.01], [0.02, 0.01, 0.02]]},
    },
    "fog": {"mor": [60, 200], "refine": False},
    "rain": {"rain_rate": [5, 25], "refine": False},
}  # fmt: skip
MADE = {"warm": fa.Stylize, "dusk": fa.MatchColour, "fog": fa.Fog, "rain": fa.Rain, "night": fa.Night}
STYLES = {**DAY, "night": {"illuminance": [1.0, 10.0], "refine": False}}
LINEAR = cv2.INTER_LINEAR


def moved(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A picture through an affine map."""
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], flags=LINEAR, borderMode=cv2.BORDER_REFLECT)


def shifted(picture: np.ndarray, rng: np.random.Generator, by: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return moved(picture, np.array([[1, 0, by * np.cos(angle)], [0, 1, by * np.sin(angle)]]))


def turned(picture: np.ndarray, rng: np.random.Generator, degrees: float) -> np.ndarray:
    middle = ((picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2)
    return moved(picture, cv2.getRotationMatrix2D(middle, degrees * rng.choice([-1, 1]), 1))


def waved(picture: np.ndarray, rng: np.random.Generator, by: float) -> np.ndarray:
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in picture.shape[1::-1]))
    a, b = rng.uniform(0, 2 * np.pi, 2)
    long = rng.uniform(100, 250)
    dx, dy = (by * np.sin(2 * np.pi * at / long + start) for at, start in ((y, a), (x, b)))
    return cv2.remap(
        picture, (x + dx).astype(np.float32), (y + dy).astype(np.float32), LINEAR, borderMode=cv2.BORDER_REFLECT
    )


FAULTS = {
    "shifted by 2 px": lambda p, rng: shifted(p, rng, 2.0), "shifted by 3 px": lambda p, rng: shifted(p, rng, 3.0),
    "turned by 1.5 deg": lambda p, rng: turned(p, rng, 1.5), "waves of 3 px": lambda p, rng: waved(p, rng, 3.0),
    "mirrored": lambda p, rng: np.ascontiguousarray(p[:, ::-1]),
}  # fmt: skip


def large(box: np.ndarray) -> bool:
    return min(box[2] - box[0], box[3] - box[1]) >= LEAST_SIDE and min(box[:2]) >= 0


def painted_over(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    mask = np.zeros(picture.shape[:2], np.uint8)
    left, top, right, bottom = (round(float(v)) for v in box)
    mask[max(0, top - 3) : bottom + 4, max(0, left - 3) : right + 4] = 255
    return cv2.inpaint(picture, mask, 5, cv2.INPAINT_TELEA)


class Shown:
    """A picture of a camera as it was and as a style makes it, with its boxes."""

    def __init__(self, before: np.ndarray, after: np.ndarray, boxes: np.ndarray):
        self.before, self.after, self.boxes = before, after, boxes


def shown(sample: fa.Sample, style: str, seed: int) -> Iterator[Shown]:
    """All pinhole pictures of a sample."""
    made = MADE[style](**STYLES[style])(sample, seed=seed)
    for name, stream in sample.of_type(fa.Camera).items():
        if not name.startswith("FISHEYE"):
            yield Shown(stream.image(0).numpy(), made[name].image(0).numpy(), boxes_in(sample, name, 0))  # type: ignore[attr-defined]


def street(seed: int, cache: Path) -> list[fa.Sample]:
    folder = cache / f"street{seed}"
    if not (folder / "v1.0-mini").is_dir():
        words = [f"frames={FRAMES}", "every=1.0", "extras=false", f"seed={seed}", f"out={folder}"]
        assert fusion_aug(["synth", "drive", *words]) == 0
    return list(fa.open_log("nuscenes", folder))


def real() -> list[fa.Sample]:
    """The real keyframe at the size of the others."""
    if not REAL.is_dir():
        return []
    log = fa.open_log("nuscenes", REAL)
    return [fa.Resize(size=SIZE[::-1])(log[0])]


def judged(gate: fa.Gate, style: str, samples: list[fa.Sample], found: dict[str, list[bool]]) -> None:
    """Note of every picture whether the gate refuses it, and of every fault planted in it whether it is found."""
    objects: list[np.ndarray] = []
    for number, sample in enumerate(samples):
        rng = np.random.default_rng([7, number])
        for one in shown(sample, style, number):

            def refused(picture: np.ndarray, boxes: np.ndarray, one: Shown = one) -> bool:
                return gate.judged(one.before, picture, boxes, style).word == "failed"

            found.setdefault("good", []).append(refused(one.after, one.boxes))
            names = (
                list(FAULTS) if number % 2 else ["shifted by 2 px", "turned by 1.5 deg", "waves of 3 px", "mirrored"]
            )
            for name in names:
                found.setdefault(name, []).append(refused(FAULTS[name](one.after, rng), one.boxes))
            whole = [b for b in one.boxes if large(b)]
            for box in whole[:2]:
                found.setdefault("box removed", []).append(refused(painted_over(one.after, box), one.boxes))
            if objects:
                thing = objects[int(rng.integers(len(objects)))]
                found.setdefault("object invented", []).append(refused(pasted(one, thing, rng), one.boxes))
            objects += [one.before[round(b[1]) : round(b[3]), round(b[0]) : round(b[2])].copy() for b in whole]


def pasted(one: Shown, thing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A thing of another picture somewhere in the lower two thirds, as bright as the style makes things."""
    out, gain = one.after.copy(), one.after.mean() / max(1.0, one.before.mean())
    scale = max(LEAST_SIDE / min(thing.shape[:2]), min(1.0, 90 / max(thing.shape[:2])))
    thing = cv2.resize(thing, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else LINEAR)[
        :200, :400
    ]
    h, w = thing.shape[:2]
    top, left = int(rng.integers(out.shape[0] // 3, out.shape[0] - h)), int(rng.integers(0, out.shape[1] - w))
    out[top : top + h, left : left + w] = np.clip(thing * gain, 0, 255)
    return out


def main() -> None:
    """Print and write the table."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("out/gate"))
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    words = parser.parse_args()
    calibration, others = ([s for seed in seeds for s in street(seed, words.cache)] for seeds in STREETS.values())
    others += list(fa.open_log("nuscenes", ROOT / "datasets" / "drive"))[::2] + real()
    table: dict[str, Any] = {}
    for style in STYLES:
        good = [one for i, s in enumerate(calibration) for one in shown(s, style, i)]
        gate = fa.Gate.calibrated([(one.before, one.after, one.boxes) for one in good], style)
        found: dict[str, list[bool]] = {}
        judged(gate, style, others, found)
        table[style] = {
            "calibrated on": len(good),
            **{k: [round(100 * float(np.mean(v)), 1), len(v)] for k, v in found.items()},
        }
        print(style, table[style], flush=True)
    names = list(dict.fromkeys(n for style in DAY for n in table[style] if n != "calibrated on"))
    sums = {
        n: np.sum([np.array([r * c / 100, c]) for r, c in (table[s][n] for s in DAY if n in table[s])], 0)
        for n in names
    }
    table["by day"] = {n: [round(100 * hit / count, 1), int(count)] for n, (hit, count) in sums.items()}
    print("by day", table["by day"])
    words.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
