"""KITTI trees as people keep them: what lies in them, what calibration files look like, what is written back."""

from __future__ import annotations

from pathlib import Path

import cv2
import kitti_trees as trees
import numpy as np
import pytest
from written import manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of
from fusion_aug.logs.core.contents import part_of
from fusion_aug.logs.kitti.contents import CONTENTS

YAW = ("pipeline=geometry", "pipeline.zoom=1.0", "pipeline.mirror=0.0")
CALIB = "training/calib/000000.txt"


def turned(tmp_path: Path, root: Path, *words: str) -> Path:
    """The output of a turn, which check holds to be right."""
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", *YAW, *words)
    assert main(["check", str(out)]) == 0
    return out


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".PNG", ".JPG"])
@pytest.mark.parametrize("pipeline", [YAW, ("pipeline=photometric",)])
def test_pictures_of_every_spelling(tmp_path: Path, suffix: str, pipeline: tuple[str, ...]) -> None:
    root = trees.write_tree(tmp_path / "tree", suffix=suffix, pictures=("image_2",))
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", *pipeline)
    path = out / f"training/image_2/000000{suffix}"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    raw = path.read_bytes()
    assert raw[:4] == b"\x89PNG" if suffix == ".PNG" else raw[:2] == b"\xff\xd8"
    assert cv2.imread(str(path)).shape == (trees.HEIGHT, trees.WIDTH, 3)
    assert main(["check", str(out)]) == 0


def test_two_pictures_of_one_frame_are_refused(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree", pictures=("image_2",))
    (root / "training/image_2/000000.jpg").write_bytes(b"")
    with pytest.raises(fa.DataError, match="belongs to the same frame"):
        fa.open_log("kitti", root).all_ids  # noqa: B018


@pytest.mark.parametrize("left", [("P2",), ("P1", "P2"), ("P2", "P3")])
def test_cameras_that_have_no_row(tmp_path: Path, left: tuple[str, ...]) -> None:
    rows = {n: m for n, m in trees.calibration().items() if not n.startswith("P") or n in left}
    root = trees.write_tree(tmp_path / "tree", rows=rows, pictures=("image_2",))
    found = trees.read_rows(turned(tmp_path, root) / CALIB)
    assert [n for n in found if n.startswith("P")] == list(left)


@pytest.mark.parametrize("words", [(), ("pipeline.mirror=1.0",)])
def test_a_lidar_tree_without_any_camera(tmp_path: Path, words: tuple[str, ...]) -> None:
    rows = {n: np.zeros((3, 4)) if n.startswith("P") else m for n, m in trees.calibration().items()}
    lines = ["Car 0 0 -10 0 0 50 50 1.5 1.6 3.9 -3 1.6 14 0.7", "Van 0 0 0.5 0 0 0 0 1.5 1.6 3.9 3 1.6 -14 0.7"]
    root = trees.write_tree(tmp_path / "tree", rows=rows, labels=lines, pictures=())
    out = turned(tmp_path, root, *words)
    found = trees.read_labels(out)
    assert [line[:3] + line[4:8] for line in found] == [w[:3] + w[4:8] for w in (line.split() for line in lines)]
    assert found[0][3] == "-10"
    alpha = (np.pi - 0.5) if words else 0.5
    assert abs((float(found[1][3]) - alpha + np.pi) % (2 * np.pi) - np.pi) < 1e-5
    assert len(trees.boxes_of_loaders(out)) == 2


def test_a_picture_without_a_row_is_named(tmp_path: Path) -> None:
    rows = {n: m for n, m in trees.calibration().items() if n != "P3"}
    with pytest.raises(fa.DataError, match="row P3 is missing or not set"):
        fa.open_log("kitti", trees.write_tree(tmp_path / "tree", rows=rows))[0]


def test_rows_that_are_not_set_stay_as_they_are(tmp_path: Path) -> None:
    rows = {**trees.calibration(), "P0": np.zeros((3, 4)), "P1": np.zeros(0), "Tr_imu_to_velo": np.zeros(0)}
    rows["Tr_cam_to_road"] = np.arange(12.0)
    root = trees.write_tree(tmp_path / "tree", rows=rows)
    old, new = ((tree / CALIB).read_text().splitlines() for tree in (root, turned(tmp_path, root)))
    for i in (0, 1, 4, 5, 6, 7):  # R0 and Tr too
        assert old[i] == new[i]
    assert old[2] != new[2]


def test_names_of_the_tracking_benchmark_and_a_byte_order_mark(tmp_path: Path) -> None:
    names = {"R0_rect": "R_rect", "Tr_velo_to_cam": "Tr_velo_cam", "Tr_imu_to_velo": "Tr_imu_velo"}
    rows = trees.calibration()
    root = trees.write_tree(tmp_path / "tree")
    path = root / CALIB
    text = path.read_text()
    for ours, theirs in names.items():
        text = text.replace(f"{ours}:", theirs)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    plain = trees.write_tree(tmp_path / "plain")
    found, usual = (fa.open_log("kitti", tree)[0].rig for tree in (root, plain))
    assert found.T("velodyne", "image_2").equal(usual.T("velodyne", "image_2")) and "imu" in found.frames
    out = turned(tmp_path, root)
    written = (out / CALIB).read_text().splitlines()
    assert [line.split()[0] for line in written] == ["P0:", "P1:", "P2:", "P3:", *names.values()]
    assert trees.rows_by_line(out / CALIB)["R0_rect"] == pytest.approx(rows["R0_rect"])


def test_rows_are_written_in_the_order_that_loaders_count(tmp_path: Path) -> None:
    rows = trees.calibration()
    mixed = {n: rows[n] for n in ("Tr_imu_to_velo", "R0_rect", "P3", "P2", "Tr_velo_to_cam", "P1", "P0")}
    root = trees.write_tree(tmp_path / "tree", rows=mixed)
    out = turned(tmp_path, root)
    assert [line.split(":")[0] for line in (out / CALIB).read_text().splitlines()] == list(rows)


def test_comments_of_calibration_files_stay(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree")
    (root / CALIB).write_text("# car 7\n\n" + (root / CALIB).read_text() + "# checked: 2024\n# by hand\n")
    lines = (turned(tmp_path, root) / CALIB).read_text().splitlines()
    assert lines[-3:] == ["# car 7", "# checked: 2024", "# by hand"] and lines[0].startswith("P0:")


def test_a_tree_of_four_cameras_with_rows_of_their_own(tmp_path: Path) -> None:
    """As conversions of Waymo have it: image_0 to image_2, Tr_velo_to_cam_0 and so on, label_all."""
    rows = trees.calibration()
    own = {f"Tr_velo_to_cam_{i}": rows["Tr_velo_to_cam"].copy() for i in range(3)}
    for i, yaw in ((1, 45.0), (2, -45.0)):
        own[f"Tr_velo_to_cam_{i}"][:, :3] = trees.turn(1, yaw) @ own[f"Tr_velo_to_cam_{i}"][:, :3]
    calibration = {**{n: rows[n] for n in ("P0", "P1", "P2")}, "R0_rect": rows["R0_rect"], **own}
    root = trees.write_tree(tmp_path / "tree", rows=calibration, pictures=("image_0", "image_1", "image_2"))
    (root / "training/label_2").rename(root / "training/label_all")
    for i in range(5):  # the lines of one camera each
        (root / f"training/label_{i}").mkdir()
        (root / f"training/label_{i}/000000.txt").write_text(f"{trees.NO_LABEL}\n")
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", *YAW, "seed=3")
    assert main(["check", str(out)]) == 0
    assert len((out / "training/label_all/000000.txt").read_text().splitlines()) == 4
    before, after = (trees.read_rows(tree / CALIB) for tree in (root, out))
    for i in range(3):
        views = [{**r, "Tr_velo_to_cam": r[f"Tr_velo_to_cam_{i}"]} for r in (before, after)]
        (old, depth), (new, _) = (
            trees.project(trees.read_cloud(t), v, f"P{i}") for t, v in zip((root, out), views, strict=True)
        )
        seen = (depth > 1) & (np.abs(old) < 1000).all(1)
        assert seen.sum() > 100 and np.abs(old - new)[seen].max() < 1e-3


@pytest.mark.parametrize("points", [0, 1, 3])
def test_small_clouds_go_round(tmp_path: Path, points: int) -> None:
    root = trees.write_tree(tmp_path / "tree", cloud=trees.ring_cloud(points), labels=[])
    out = turned(tmp_path, root)
    assert trees.read_cloud(out).shape == (points, 4) and trees.read_labels(out) == []
    again = run(tmp_path / "again", "log=kitti", f"log.root={out}", *YAW)
    assert trees.read_cloud(again).shape == (points, 4) and main(["check", str(again)]) == 0


def test_the_account_names_caches_and_what_nobody_knows(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree")
    caches = ["kitti_infos_train.pkl", "kitti_dbinfos_train.pkl", "gt_database/0_Car.bin", "mine.pkl"]
    caches += ["training/velodyne_reduced/000000.bin", "training/prev_2/000000_01.png"]
    unknown = ["training/semantics/000000.png", "notes.docx", "training/label_2/classes.names"]
    for name in (*caches, *unknown):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / CALIB).write_text((root / CALIB).read_text() + "Tr_mine: 1 2 3\n")
    account = account_of(fa.open_log("kitti", root))
    assert {g.example for g in account.not_understood} == {*unknown, f"{CALIB}:Tr_mine"}
    assert sum(g.count for g in account.left_out) == len(caches)
    out = turned(tmp_path, root)
    assert not [p for p in out.rglob("*") if p.suffix == ".pkl" or "reduced" in str(p) or "gt_database" in str(p)]
    assert "Tr_mine: 1 2 3" in (out / CALIB).read_text()


def test_files_that_belong_to_no_frame_are_told(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree", pictures=("image_2",))
    labels = (root / "training/label_2/000000.txt").read_text()
    for name in ("label_2/000007.txt", "label_0/000000.txt", "planes/000009.txt"):
        (root / "training" / name).parent.mkdir(exist_ok=True)
        (root / "training" / name).write_text(labels)
    (root / "training/image_2/._000000.png").write_bytes(b"x")
    log = fa.open_log("kitti", root)
    assert log.all_ids == ["training/000000"]
    account = account_of(log)
    assert {g.example.removeprefix("training/") for g in account.left_out} == {
        "label_2/000007.txt", "label_0/000000.txt", "planes/000009.txt", "image_2/._000000.png",
    }  # fmt: skip
    assert not account.not_understood and main(["check", str(turned(tmp_path, root))]) == 0


def test_every_file_of_a_tree_and_every_field_has_a_part(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree")
    log = fa.open_log("kitti", root)
    files = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    fields = [f"{path}:{name}" for path, read in log.fields().items() for name in (read() if callable(read) else read)]
    assert len(files) == 5 and len(fields) == 7 + 15
    for name in (*files, *fields, "training/planes/000000.txt", "ImageSets/train.txt"):
        assert part_of(name, CONTENTS) is not None, name
    log = fa.open_log("kitti", root, select="training/000000")
    assert log.is_selected_file("training/image_2/000000.png") and log.is_selected_file("ImageSets/train.txt")


def test_files_of_other_frames_are_told_apart(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree")
    for path in list((root / "training").rglob("000000.*")):
        path.with_name(f"000001{path.suffix}").write_bytes(path.read_bytes())
    log = fa.open_log("kitti", root, select="000001")
    assert [log.is_selected_file(f"training/velodyne/00000{i}.bin") for i in range(2)] == [False, True]
    assert log.is_selected_file("training/velodyne/what.bin")
    out = turned(tmp_path, root, "log.select=000001")
    assert [line["id"] for line in manifest(out)] == ["training/000001"]
