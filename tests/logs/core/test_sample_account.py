"""The account of a run against counts of its files: before less what was lost and more what was added is after."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs

from fusion_aug.cli import main
from fusion_aug.logs.core.sample_account import stream_account, total_account
from fusion_aug.sample.meta import Change

CONFIG = """_target_: fusion_aug.pipeline
transforms:
  near: {_target_: fusion_aug.RangeCrop, high: 25.0}
  zoom: {_target_: fusion_aug.ResizeCrop, scale: 2.5}
  some: {_target_: fusion_aug.OneOf, transforms: {thin: {_target_: fusion_aug.PointDropout, share: 0.5}}}
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A KITTI tree and what a run with two copies made of it."""
    folder = tmp_path_factory.mktemp("trees")
    root, out = small_logs.kitti(folder / "kitti"), folder / "out"
    (folder / "conf" / "pipeline").mkdir(parents=True)
    (folder / "conf" / "pipeline" / "mine.yaml").write_text(CONFIG)
    conf = ["--config-dir", str(folder / "conf"), "pipeline=mine"]
    assert main(["run", "log=kitti", f"log.root={root}", *conf, "copies=2", f"out={out}"]) == 0
    return root, out


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (out / "manifest.jsonl").read_text().splitlines()]


def cloud(root: Path, sample_id: str) -> np.ndarray:
    part, name = sample_id.split("/")
    return np.fromfile(root / part / "velodyne" / f"{name}.bin", "<f4").reshape(-1, 4)


def labels(root: Path, sample_id: str) -> list[str]:
    part, name = sample_id.split("/")
    return (root / part / "label_2" / f"{name}.txt").read_text().splitlines()


@pytest.mark.quick
def test_figures_are_those_of_the_files(trees: tuple[Path, Path]) -> None:
    root, out = trees
    rows = lines(out)[1:]
    assert len(rows) == 4
    for row in rows:
        account, before = row["account"], cloud(root, row["source"])
        near = int((np.linalg.norm(before[:, :3].astype(np.float64), axis=1) <= 25).sum())
        points = account["velodyne"]
        assert points["rows"] == [len(before), len(cloud(out, row["id"]))] and points["items"] == [1, 1]
        assert points["lost"] == {"near": len(before) - near, "some/thin": near - points["rows"][1]}
        own, written = (labels(r, i) for r, i in ((root, row["source"]), (out, row["id"])))
        lost = len(own) - len(written)
        assert account["boxes_2d"]["rows"] == [len(own), len(written)] and lost > 0
        assert account["boxes_2d"]["lost"] == {"left the picture": lost}
        assert account["image_2"] == account["image_3"] == {"items": [1, 1]}


@pytest.mark.quick
def test_the_first_line_holds_the_sums(trees: tuple[Path, Path]) -> None:
    head, *rows = lines(trees[1])
    account = head["account"]
    assert account["samples"] == {"asked": 4, "written": 4, "skipped": 0}
    for name, total in account["streams"].items():
        assert total["items"] == [sum(r["account"][name]["items"][k] for r in rows) for k in (0, 1)]
        for kind in ("lost", "added"):
            sums: Counter[str] = sum((Counter(r["account"][name].get(kind, {})) for r in rows), Counter())
            assert total.get(kind, {}) == dict(sums)
    assert next(g["count"] for g in account["files"] if g["name"] == "training/velodyne/*.bin") == 2


def test_a_run_ends_with_the_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = small_logs.kitti(tmp_path / "kitti", frames=1), tmp_path / "out"
    (root / "training" / "thermal").mkdir()
    (root / "training" / "thermal" / "000000.raw").write_bytes(b"x")
    crop = "+pipeline.transforms.near={_target_: fusion_aug.RangeCrop, high: 20.0}"
    words = ["log=kitti", f"log.root={root}", "pipeline=identity", crop, f"out={out}"]
    assert main(["run", *words]) == 0
    told = capsys.readouterr().out
    before, after = (len(cloud(r, "training/000000")) for r in (root, out))
    assert before > after and f"{before:,} -> {after:,}" in told and "near: out of range" in told
    assert "training/thermal/000000.raw" in told and "not understood" in told
    assert main(["run", *words]) == 0  # it is finished already
    assert main(["check", str(out)]) == 0


def test_an_old_manifest_without_an_account_is_read(trees: tuple[Path, Path], tmp_path: Path) -> None:
    from fusion_aug.sample.manifest import read_manifest

    old = [{k: v for k, v in row.items() if k != "account"} for row in lines(trees[1])]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    assert [e.history for e in read_manifest(tmp_path).entries] == [e.history for e in read_manifest(trees[1]).entries]


@pytest.mark.quick
def test_rows_that_nobody_has_counted_are_not_made_up() -> None:
    account = stream_account(None, None, [Change("step", "x", 2, 1, 0, 0)])
    assert account == {"items": [0, 0], "lost": {"step": 2}, "added": {"step": 1}}
    counted = {"x": {"items": [1, 1], "rows": [5, 3], "lost": {"a": 2}}}
    uncounted = {"x": {"items": [2, 2], "uncounted": 2}}
    assert total_account([counted, uncounted, counted]) == {
        "x": {"items": [4, 4], "rows": [10, 6], "lost": {"a": 4}, "uncounted": 2}
    }
