"""Info files of any name, and files where people keep them: folders of Waymo, cameras of any name, flat clouds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from small_infos import MIRROR, TURN, cloud, read_content, read_row, rows, words, write_small
from written import run

import fusion_aug as fa
from fusion_aug.cli import main

WAYMO = {"lidar": "velodyne", "CAM_FRONT": "image_0", "CAM_FRONT_LEFT": "image_1", "CAM_FRONT_RIGHT": "image_2"}


@pytest.mark.parametrize(
    "name, given", [("train", None), ("my train, 1", "my train, 1.pkl"), ("ann/x", "ann/x"), ("ann/x", "[ann/x.pkl]")]
)
def test_an_info_file_of_any_name(name: str, given: str | None, tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", name=name)
    out = run(tmp_path / "out", *words(root, TURN, *([f"log.infos={given}"] if given else [])))
    assert [p.relative_to(out).as_posix() for p in out.rglob("*.pkl")] == [f"{name}.pkl"]
    assert main(["check", str(out)]) == 0
    assert len(fa.open_log("mmdet3d", out, infos=[f"{name}.pkl"])) == 1


def test_named_in_full_or_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_small(tmp_path / "log", name="train")
    write_small(root, name="other_infos")
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in (str(root / "train.pkl"), "~/log/train.pkl", "train"):
        assert fa.open_log("mmdet3d", root, infos=given).ids == ["train/t0"]
    assert len(fa.open_log("mmdet3d", root, infos=["train", "other_infos"]).all_ids) == 2
    out = run(tmp_path / "out", *words(root, TURN, "log.infos=~/log/train.pkl"))
    assert str(tmp_path) not in (out / "manifest.jsonl").read_text()
    assert main(["check", str(out)]) == 0


def test_only_the_files_of_selected_samples_are_written(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", name="a")
    write_small(root, name="b")
    out = run(tmp_path / "out", *words(root, TURN, "log.infos=[a,b]", "log.select=b"))
    assert [p.name for p in out.glob("*.pkl")] == ["b.pkl"] and main(["check", str(out)]) == 0


def test_an_info_file_that_is_not_there(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log")
    for given in ("nope.pkl", "../elsewhere.pkl"):
        with pytest.raises(fa.ConfigError, match=r"log\.infos: there is no .* below"):
            fa.open_log("mmdet3d", root, infos=given)
    (root / "small_infos.pkl").unlink()
    with pytest.raises(fa.DataError, match=r"name it with log\.infos=FILE"):
        fa.open_log("mmdet3d", root)


@pytest.mark.parametrize("split", ["training", "testing"])
def test_folders_of_waymo(split: str, tmp_path: Path) -> None:
    """All cameras have files of one name; a mirror swaps left and right, each in the folder of its new name."""
    cameras = list(WAYMO)[1:]
    root = write_small(tmp_path / "log", cameras=cameras, folders={c: f"{split}/{f}" for c, f in WAYMO.items()})
    out = run(tmp_path / "out", *words(root, MIRROR, "copies=2"))
    assert main(["check", str(out)]) == 0
    for new, old in ((0, 0), (1, 2), (2, 1)):
        before, after = (cv2.imread(str(r / f"{split}/image_{k}/0000.png")) for r, k in ((root, old), (out, new)))
        assert np.array_equal(before[:, ::-1], after), (new, old)
    assert (out / f"{split}/velodyne/0000__1.bin").is_file()


def test_cameras_of_any_name_by_their_order(tmp_path: Path) -> None:
    folders = {"lidar": "training/velodyne", "zed_left": "training/image_0", "zed_right": "training/image_1"}
    root = write_small(tmp_path / "log", cameras=["zed_left", "zed_right"], folders=folders)
    sample = fa.open_log("mmdet3d", root)[0]
    for k, name in enumerate(("zed_left", "zed_right")):
        picture = cv2.imread(str(root / f"training/image_{k}/0000.png"))[:, :, ::-1]
        assert np.array_equal(sample[name].image(0).numpy(), picture)
    assert sample.rig.camera("zed_left").mirror_of == "zed_right"
    assert main(["run", *words(root), "pipeline=viewpoint", "pipeline.offset=0", f"out={tmp_path / 'o'}"]) == 0


@pytest.mark.parametrize("points", [900, 903, 1000])
def test_old_infos_with_clouds_of_four_numbers(points: int, tmp_path: Path) -> None:
    """No field gives the width; where the size fits 4 and 5, the numbers themselves tell."""
    table = cloud(points, 4)
    root = write_small(tmp_path / "log", v2=False, points=table)
    out = run(tmp_path / "out", *words(root, TURN))
    moved = np.fromfile(out / "samples/LIDAR_TOP/0000.bin", "<f4").reshape(-1, 4)
    assert np.allclose(moved, np.c_[-table[:, 1], table[:, 0], table[:, 2:]], atol=1e-5)
    assert main(["check", str(out)]) == 0


def test_declared_columns(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log")
    sample = fa.open_log("mmdet3d", root, columns=["x", "y", "z", "intensity", "ring"])[0]
    assert {"ring", "intensity"} <= set(sample["lidar"].realized().values)
    with pytest.raises(fa.ConfigError, match=r"log\.columns: 4 columns, but num_pts_feats of the info file is 5"):
        fa.open_log("mmdet3d", root, columns=["x", "y", "z", "intensity"])[0]
    with pytest.raises(fa.ConfigError, match=r"log\.columns: clouds of info files are of LiDARs"):
        fa.open_log("mmdet3d", root, columns=["x", "y", "z", "rcs", "v_r"])


def test_a_camera_without_a_mounting_is_an_error_and_cam2ego_is_enough(tmp_path: Path) -> None:
    def without(*names: str):  # type: ignore[no-untyped-def]
        return rows(lambda row: [row["images"]["CAM_FRONT"].pop(n) for n in names])

    a = fa.open_log("mmdet3d", write_small(tmp_path / "a", change=without("lidar2cam")))[0]
    b = fa.open_log("mmdet3d", write_small(tmp_path / "b"))[0]
    assert np.allclose(a.T_ref("CAM_FRONT"), b.T_ref("CAM_FRONT"), atol=1e-12)
    with pytest.raises(fa.DataError, match=r"images\.CAM_FRONT: has neither lidar2cam nor cam2ego"):
        fa.open_log("mmdet3d", write_small(tmp_path / "c", change=without("lidar2cam", "cam2ego")))[0]


def test_a_copy_has_names_of_its_own(tmp_path: Path) -> None:
    """What links samples, by which models of several frames find them, leads to samples of the same copy."""

    def linked(content: dict) -> None:
        first, second = content["data_list"]
        first |= {"next": "t1", "prev": "", "scene_token": "s"}
        second |= {"next": "", "prev": "t0", "scene_token": "s"}

    out = run(tmp_path / "out", *words(write_small(tmp_path / "log", samples=2, change=linked), TURN, "copies=2"))
    found = [(r["token"], r["prev"], r["next"], r["scene_token"]) for r in read_content(out)["data_list"]]
    assert found == [("t0", "", "t1", "s"), ("t1", "t0", "", "s"), ("t0__1", "", "t1__1", "s__1"),
                     ("t1__1", "t0__1", "", "s__1")]  # fmt: skip


def test_stamps_keep_their_unit(tmp_path: Path) -> None:
    """Infos of Waymo give microseconds."""

    def micro(row: dict) -> None:
        row["timestamp"] = int(row["timestamp"] * 1e6)
        row["images"]["CAM_FRONT"]["timestamp"] = row["timestamp"] + 5

    root = write_small(tmp_path / "log", change=rows(micro))
    row = read_row(run(tmp_path / "out", *words(root, TURN)))
    assert row["images"]["CAM_FRONT"]["timestamp"] == row["timestamp"] + 5
