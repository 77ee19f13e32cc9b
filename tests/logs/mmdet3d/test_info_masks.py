"""Labels of points that info files name: read, written back, kept in order; by NumPy and pickle alone."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_infos import TURN, cloud, write_small
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import DataError
from fusion_aug.logs.core.account import account_of

N = len(cloud())
CLASS = np.arange(N) % 50 + 1
INSTANCE = np.arange(N) // 50
DROP = "+pipeline.transforms.d={_target_:fusion_aug.PointDropout,share:0.5}"
# kind -> path in the info, field, what a file holds
KINDS = {
    "bytes": ("lidarseg/v1.0/a_lidarseg.bin", "semantic", lambda c, i: c.astype(np.uint8)),
    "uint32": ("sequences/00/labels/a.label", "semantic", lambda c, i: (c + (i << 16)).astype("<u4")),
    "int64": ("semantic/a.bin", "semantic", lambda c, i: c.astype("<i8")),
    "panoptic": ("panoptic/v1.0/a_panoptic.npz", "panoptic", lambda c, i: (c * 1000 + i).astype(np.uint16)),
}


def make(root: Path, kind: str) -> Path:
    name, field, numbers = KINDS[kind]
    (root / name).parent.mkdir(parents=True)
    values = numbers(CLASS, INSTANCE)
    if name.endswith(".npz"):
        np.savez(root / name, data=values)
    else:
        values.tofile(root / name)

    def change(data: dict[str, Any]) -> None:
        for row in data["data_list"]:
            row[f"pts_{field}_mask_path"] = f"data/set/{name}"

    write_small(root, change=change)
    return root


def read(root: Path, row: dict[str, Any], kind: str) -> np.ndarray:
    """Numbers of a file that a row names, read by its path without the two folders that the data set had."""
    named = row[f"pts_{KINDS[kind][1]}_mask_path"]
    assert named.startswith("data/set/")
    path = root / named.removeprefix("data/set/")
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return archive["data"]
    return np.fromfile(path, {"bytes": np.uint8, "uint32": "<u4", "int64": "<i8"}[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_labels_stay_with_their_points(kind: str, tmp_path: Path) -> None:
    root = make(tmp_path / "in", kind)
    sample = fa.open_log("mmdet3d", root)[0]
    assert sample["lidar"]["label"].tolist() == CLASS.tolist()
    if kind in ("uint32", "panoptic"):
        assert sample["lidar"]["instance"].tolist() == INSTANCE.tolist()
    out = run(tmp_path / "out", "log=mmdet3d", f"log.root={root}", "pipeline=identity", TURN, DROP, "copies=2")
    rows = pickle.loads(next(out.glob("*.pkl")).read_bytes())["data_list"]
    assert len(rows) == 2
    before = cloud()
    for row in rows:
        points = np.fromfile(next(out.rglob(Path(row["lidar_points"]["lidar_path"]).name)), "<f4").reshape(-1, 5)
        found = read(out, row, kind)
        assert 0 < len(found) == len(points) < N
        # z and intensity tell which point it is, as a turn about z changes neither
        at = np.abs(before[:, None, 2:4] - points[None, :, 2:4]).max(2).argmin(0)
        assert np.abs(before[at, 2] - points[:, 2]).max() < 1e-4
        assert np.array_equal(found, KINDS[kind][2](CLASS[at], INSTANCE[at]))
    assert main(["check", str(out)]) == 0
    assert account_of(fa.open_log("mmdet3d", out)).not_understood == []


def test_untouched_labels_are_copied_and_others_left_out(tmp_path: Path) -> None:
    root = make(tmp_path / "in", "bytes")
    name = KINDS["bytes"][0]
    out = run(tmp_path / "out", "log=mmdet3d", f"log.root={root}", "pipeline=identity")
    assert (out / name).read_bytes() == (root / name).read_bytes()
    words = ("log=mmdet3d", f"log.root={root}", "pipeline=identity", "log.leave_out=[pts_semantic_mask_path]")
    less = run(tmp_path / "less", *words)
    row = pickle.loads(next(less.glob("*.pkl")).read_bytes())["data_list"][0]
    assert "pts_semantic_mask_path" not in row and not (less / name).exists()
    (root / name).unlink()  # many info files name labels that nobody downloaded
    assert "label" not in fa.open_log("mmdet3d", root)[0]["lidar"].values
    gone = run(tmp_path / "gone", "log=mmdet3d", f"log.root={root}", "pipeline=identity")
    assert "pts_semantic_mask_path" not in pickle.loads(next(gone.glob("*.pkl")).read_bytes())["data_list"][0]


def test_labels_of_another_cloud_are_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "in", "bytes")
    (root / KINDS["bytes"][0]).write_bytes(bytes(N + 1))
    with pytest.raises(DataError, match=rf"its {N + 1} bytes are no labels of the {N} points .*log\.leave_out=\["):
        fa.open_log("mmdet3d", root)[0]


def test_points_from_the_air_need_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(tmp_path / "in", "bytes")
    noise = "+pipeline.transforms.c={_target_:fusion_aug.LidarCrosstalk,share:0.5}"
    words = ["run", "log=mmdet3d", f"log.root={root}", "pipeline=identity", noise]
    assert main([*words, f"out={tmp_path / 'refused'}"]) != 0
    assert "log.unlabelled=0" in capsys.readouterr().err
    assert main([*words, "log.unlabelled=0", f"out={tmp_path / 'out'}"]) == 0
    found = np.fromfile(tmp_path / "out" / KINDS["bytes"][0], np.uint8)
    assert 0 < (found == 0).sum() < N and np.array_equal(found[found > 0], CLASS[found > 0])
    assert main(["check", str(tmp_path / "out")]) == 0
