"""Running over a log, and reading what was drawn from its manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fusion_aug.run.config import compose_config
from fusion_aug.run.execute import execute
from fusion_aug.run.job import Job


def run(out: Path, *overrides: str, **options) -> Path:
    config = compose_config("run", [*overrides, f"out={out}"])
    execute(Job({**config, **options}))
    return out


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()][1:]


def drawn_motion(line: dict) -> np.ndarray:
    """H of the reference frame from the drawn numbers alone."""
    H = np.eye(4)
    for record in line["history"]:
        p = record["params"].get("", {})
        step = np.eye(4)
        if not record["applied"]:
            continue
        if record["name"] == "fusion_aug.RotateScene":
            a = np.radians(p["yaw_deg"])
            step[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
        elif record["name"] == "fusion_aug.MirrorScene":
            step["xyz".index(p["axis"]), "xyz".index(p["axis"])] = -1
        elif record["name"] == "fusion_aug.ScaleScene":
            step[:3, :3] *= p["scale"]
        elif record["name"] == "fusion_aug.TranslateScene":
            step[:3, 3] = [p["x"], p["y"], p["z"]]
        H = step @ H
    return H


def is_mirrored(line: dict) -> bool:
    return any(r["name"] == "fusion_aug.MirrorScene" and r["applied"] for r in line["history"])
