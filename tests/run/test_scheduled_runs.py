"""Runs whose copies are epochs of a schedule."""

from __future__ import annotations

import json
from pathlib import Path

import kitti_trees as trees
import pytest

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.run.config import compose_config
from fusion_aug.run.execute import execute
from fusion_aug.run.job import Job

RISE = "{_target_: fusion_aug.Schedule, start: 0.0, end: 3.0, epochs: 2}"


def job(folder: Path, transform: str, *more: str) -> Job:
    """A job of one scheduled transform on a small KITTI log."""
    presets = folder / "conf/pipeline"
    presets.mkdir(parents=True, exist_ok=True)
    (presets / "rising.yaml").write_text(f"_target_: fusion_aug.pipeline\ntransforms:\n  step: {transform}\n")
    root = folder / "tree"
    if not root.exists():
        trees.write_tree(root, labels=[trees.NO_LABEL])
    words = ["log=kitti", f"log.root={root}", f"out={folder / 'out'}", "pipeline=rising", *more]
    return Job(compose_config("run", words, str(folder / "conf")))


def test_copies_take_the_numbers_of_their_epochs(tmp_path: Path) -> None:
    execute(job(tmp_path, f"{{_target_: fusion_aug.TranslateScene, x: {RISE}}}", "copies=3"))
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()[1:]]
    drawn = [record["params"][""]["x"] for line in lines for record in line["history"]]
    assert drawn == [0.0, 1.5, 3.0]
    assert main(["check", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(("copies", "refused"), [(1, False), (2, True)])
def test_what_a_later_epoch_brings_is_refused_before_the_first(tmp_path: Path, copies: int, refused: bool) -> None:
    tilted = job(tmp_path, f"{{_target_: fusion_aug.RotateScene, pitch_deg: {RISE}}}", f"copies={copies}")
    if refused:
        with pytest.raises(fa.FusionAugError, match="pitch_deg"):
            execute(tilted)
    else:
        execute(tilted)
    assert (tmp_path / "out/manifest.jsonl").exists() != refused
