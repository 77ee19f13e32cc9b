"""Running over a log, and reading what was drawn from its manifest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from oracle import motion

from fusion_aug.run.config import compose_config
from fusion_aug.run.execute import execute
from fusion_aug.run.job import Job
from fusion_aug.sample.history import history_from_json


def run(out: Path, *overrides: str, **options) -> Path:
    config = compose_config("run", [*overrides, f"out={out}"])
    execute(Job({**config, **options}))
    return out


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()][1:]


def drawn_motion(line: dict) -> np.ndarray:
    """H of the reference frame from the drawn numbers alone."""
    return motion(history_from_json(line["history"]))


def is_mirrored(line: dict) -> bool:
    return any(r["name"] == "fusion_aug.MirrorScene" and r["applied"] for r in line["history"])
