"""Lists of demonstrations as splits of a LeRobotDataset, read with JSON and pyarrow alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import small_logs

from fusion_aug.cli import main

pq, h5py = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("h5py")


def masked(root: Path, demos: int, masks: Mapping[str, Sequence[int]]) -> Path:
    small_logs.robomimic(root, demos=demos, frames=4)
    with h5py.File(root / "demos.hdf5", "a") as file:
        for name, members in masks.items():
            file[f"mask/{name}"] = np.array([f"demo_{k}".encode() for k in members])
    return root


def run(root: Path, out: Path, *words: str) -> int:
    return main(["run", "log=robomimic", f"log.root={root}", "output=lerobot", "output.version=v2.1", f"out={out}",
                 "output.video=false", "pipeline=identity", *words])  # fmt: skip


def demos_of(root: Path, out: Path) -> dict[str, list[int]]:
    """Split -> numbers of the demonstrations whose actions its episodes hold."""
    with h5py.File(root / "demos.hdf5") as file:
        known = {k: file[f"data/{k}/actions"][:].astype(np.float32) for k in file["data"]}
    splits = json.loads((out / "meta/info.json").read_text())["splits"]
    found = {}
    for name, span in splits.items():
        start, stop = map(int, span.split(":"))
        tables = (pq.read_table(out / f"data/chunk-000/episode_{k:06d}.parquet") for k in range(start, stop))
        rows = [np.array(t["action"].to_pylist(), np.float32) for t in tables]
        found[name] = sorted(int(k[5:]) for k, a in known.items() for r in rows if np.array_equal(a, r))
    return found


@pytest.mark.parametrize("masks", [
    {"train": [0], "valid": [1]},
    {"train": [0, 2, 4], "valid": [1, 3]},
    {"train": [0, 1, 3], "valid": [2, 4], "half": [1, 3, 2], "half_train": [1, 3], "half_valid": [2]},
])  # fmt: skip
def test_splits_hold_the_demonstrations_of_the_masks(tmp_path: Path, masks: dict[str, list[int]]) -> None:
    root = masked(tmp_path / "log", 5, masks)
    assert run(root, tmp_path / "out") == 0
    assert demos_of(root, tmp_path / "out") == {name: sorted(members) for name, members in masks.items()}


def test_copies_are_in_the_split_of_their_source(tmp_path: Path) -> None:
    root = masked(tmp_path / "log", 3, {"train": [0, 2], "valid": [1]})
    assert run(root, tmp_path / "out", "copies=2") == 0
    assert demos_of(root, tmp_path / "out") == {"train": [0, 0, 2, 2], "valid": [1, 1]}


def test_without_masks_all_is_for_training(tmp_path: Path) -> None:
    root = masked(tmp_path / "log", 2, {})
    assert run(root, tmp_path / "out") == 0
    assert demos_of(root, tmp_path / "out") == {"train": [0, 1]}


def test_lists_that_no_order_makes_ranges_of_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = masked(tmp_path / "log", 3, {"a": [0, 1], "b": [1, 2], "c": [0, 2]})
    assert run(root, tmp_path / "out") != 0
    told = " ".join("".join(capsys.readouterr()).split())
    assert "no order makes ranges of all of a, b, c" in told and not (tmp_path / "out/meta").exists()
    assert run(root, tmp_path / "one", "log.select=[demo_0, demo_1]") == 0
