"""Boxes of info files: rectangles in pictures, official point counts, unknown velocities, classes, none at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_infos import (
    BOXES,
    CROP,
    HEIGHT,
    MIRROR,
    TURN,
    WIDTH,
    cloud,
    read_content,
    read_row,
    rows,
    words,
    write_small,
)  # fmt: skip
from written import run

import fusion_aug as fa
from fusion_aug.cli import main

RECTANGLES = [[10.0, 5.0, 30.0, 25.0], [60.0, 40.0, 78.0, 58.0]]
DROP = "+pipeline.transforms.t={_target_:fusion_aug.PointDropout,share:0.5}"


def with_rectangles(row: dict) -> None:
    for instance, bbox in zip(row["instances"], RECTANGLES, strict=True):
        instance["bbox"] = bbox


def rectangles(out: Path) -> list[list[float]]:
    return [i["bbox"] for i in read_row(out)["instances"]]


@pytest.mark.quick
def test_rectangles_follow_the_picture(tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", change=rows(with_rectangles))
    out = run(tmp_path / "crop", *words(root, CROP))
    K0, K1 = (np.array(read_row(r)["images"]["CAM_FRONT"]["cam2img"]) for r in (root, out))
    A = K1 @ np.linalg.inv(K0)
    left, top, right, bottom = RECTANGLES[0]
    corners = (A @ np.array([[left, right], [top, bottom], [1, 1]]))[:2]
    assert np.allclose(rectangles(out)[0], corners.T.ravel(), atol=1e-9)
    assert rectangles(out)[1] == [0.0, 0.0, 0.0, 0.0], "it left the picture; its box in space did not"
    assert main(["check", str(out)]) == 0
    mirrored = rectangles(run(tmp_path / "mirror", *words(root, MIRROR)))
    assert np.allclose(mirrored, [[WIDTH - 1 - r, t, WIDTH - 1 - x, b] for x, t, r, b in RECTANGLES])
    assert rectangles(run(tmp_path / "turn", *words(root, TURN))) == RECTANGLES


def test_size_of_the_picture_follows(tmp_path: Path) -> None:
    halved = "+pipeline.transforms.t={_target_:fusion_aug.Resize,size:[30,40]}"
    image = read_row(run(tmp_path / "out", *words(write_small(tmp_path / "log"), halved)))["images"]["CAM_FRONT"]
    assert (image["height"], image["width"]) == (HEIGHT // 2, WIDTH // 2)


def test_rectangles_of_several_cameras(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``camera_id`` they follow their camera, through a mirror too; without, they are refused where it matters."""
    cameras = ["CAM_SIDE_LEFT", "CAM_SIDE_RIGHT"]
    root = write_small(tmp_path / "log", cameras=cameras, change=rows(with_rectangles))
    assert main(["run", *words(root, CROP), f"out={tmp_path / 'no'}"]) == 2
    assert "log.leave_out=[instances.bbox]" in capsys.readouterr().err
    assert rectangles(run(tmp_path / "turn", *words(root, TURN))) == RECTANGLES
    assert (
        "bbox"
        not in read_row(run(tmp_path / "without", *words(root, CROP, "log.leave_out=instances.bbox")))["instances"][0]
    )

    def numbered(row: dict) -> None:
        with_rectangles(row)
        row["instances"][0]["camera_id"], row["instances"][1]["camera_id"] = 1, 0

    root = write_small(tmp_path / "numbered", cameras=cameras, change=rows(numbered))
    out = run(tmp_path / "mirror", *words(root, MIRROR))
    found = read_row(out)["instances"]
    assert [i["camera_id"] for i in found] == [0, 1] and list(read_row(out)["images"]) == cameras
    assert found[0]["bbox"] == [WIDTH - 1 - 30.0, 5.0, WIDTH - 1 - 10.0, 25.0]
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize("unset", [[0.0, 0.0, 0.0, 0.0], [-1, -1, -1, -1], [5.0, 5.0, 5.0, 9.0]])
def test_placeholders_are_no_rectangles(unset: list[float], tmp_path: Path) -> None:
    def put(row: dict) -> None:
        for instance in row["instances"]:
            instance["bbox"] = unset

    root = write_small(tmp_path / "log", cameras=["a", "b"], change=rows(put))
    assert rectangles(run(tmp_path / "out", *words(root, CROP))) == [unset, unset]


def inside(points: np.ndarray, box: np.ndarray) -> int:
    c, s = np.cos(box[6]), np.sin(box[6])
    local = (points[:, :3].astype(float) - box[:3]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return int((np.abs(local) <= box[3:6] / 2).all(1).sum())


@pytest.mark.parametrize("v2", [True, False])
def test_official_counts(v2: bool, tmp_path: Path) -> None:
    """They stay under a motion; after a drop they lose what left the box: official - (ours before - ours after)."""
    root = write_small(tmp_path / "log", v2=v2)

    def told(folder: Path) -> list[int]:
        row = read_row(folder)
        return [i["num_lidar_pts"] for i in row["instances"]] if v2 else row["num_lidar_pts"].tolist()

    assert told(run(tmp_path / "turn", *words(root, TURN))) == [70, 71]
    out = run(tmp_path / "drop", *words(root, DROP))
    left = np.fromfile(out / "samples/LIDAR_TOP/0000.bin", "<f4").reshape(-1, 5)
    lost = [inside(cloud(), b) - inside(left, b) for b in BOXES]
    assert min(lost) > 0 and told(out) == [70 - lost[0], 71 - lost[1]]
    assert main(["check", str(out)]) == 0


def test_a_box_without_a_count_gets_none_and_flags_follow_counts(tmp_path: Path) -> None:
    def change(row: dict) -> None:
        del row["instances"][0]["num_lidar_pts"]
        row["instances"][1] |= {"num_lidar_pts": 0, "bbox_3d_isvalid": False, "num_radar_pts": 0}

    root = write_small(tmp_path / "log", change=rows(change))
    first, second = read_row(run(tmp_path / "out", *words(root, TURN)))["instances"]
    assert "num_lidar_pts" not in first and (second["num_lidar_pts"], second["bbox_3d_isvalid"]) == (0, False)


@pytest.mark.parametrize("v2", [True, False])
def test_unknown_velocities_stay_unknown(v2: bool, tmp_path: Path) -> None:
    def change(row: dict) -> None:
        if v2:
            row["instances"][0]["velocity"] = [float("nan")] * 2
        else:
            row["gt_velocity"][0] = np.nan

    row = read_row(run(tmp_path / "out", *words(write_small(tmp_path / "log", v2=v2, change=rows(change)), TURN)))
    velocity = np.array([i["velocity"] for i in row["instances"]]) if v2 else row["gt_velocity"]
    assert np.isnan(velocity[0]).all() and np.allclose(velocity[1], [-0.5, 1.0])


@pytest.mark.parametrize("v2", [True, False])
def test_empty_clouds_and_no_boxes_go_round(v2: bool, tmp_path: Path) -> None:
    def none(row: dict) -> None:
        if v2:
            row["instances"] = []
        else:
            row |= {k: row[k][:0] for k in ("gt_boxes", "gt_names", "gt_velocity", "num_lidar_pts", "valid_flag")}

    root = write_small(tmp_path / "log", v2=v2, points=cloud()[:0], change=rows(none))
    out = run(tmp_path / "out", *words(root, TURN))
    assert main(["check", str(out)]) == 0
    sample = fa.open_log("mmdet3d", out)[0]
    assert (sample["lidar"].realized().rows, sample.boxes().rows) == (0, 0)


@pytest.mark.parametrize("v2", [True, False])
def test_classes_that_are_left_or_renamed(v2: bool, tmp_path: Path) -> None:
    root = write_small(tmp_path / "log", v2=v2)
    row = read_row(run(tmp_path / "one", *words(root, TURN, "log.classes=[bus]")))
    assert len(row["instances"] if v2 else row["gt_boxes"]) == 1
    assert main(["check", str(tmp_path / "one")]) == 0
    made = run(tmp_path / "new", *words(root, TURN, "log.classes={vehicle:[bus,car]}"))
    row = read_row(made)
    if v2:
        assert [i["bbox_label_3d"] for i in row["instances"]] == [2, 2]
        assert read_content(made)["metainfo"]["categories"] == {"car": 0, "bus": 1, "vehicle": 2}
    else:
        assert row["gt_names"].tolist() == ["vehicle", "vehicle"]
    assert list(fa.open_log("mmdet3d", made)[0].boxes()["category"]) == ["vehicle", "vehicle"]


@pytest.mark.parametrize("v2", [True, False])
def test_boxes_that_cannot_be(v2: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of size NaN or 0 is refused by name, or left out with all that belongs to it, and the rest stays in place."""

    def bad(row: dict) -> None:
        if v2:
            row["instances"][0]["bbox_3d"][4] = 0.0
            row["gt_agent_fut_trajs"] = np.array([[[1.0, 0.0]], [[2.0, 0.0]]])
            with_rectangles(row)
        else:
            row["gt_boxes"][0][4] = np.nan
            row["gt_inds"] = [7, 8]

    root = write_small(tmp_path / "log", v2=v2, change=rows(bad))
    assert main(["run", *words(root, TURN), f"out={tmp_path / 'no'}"]) == 2
    assert "small_infos.pkl: sample t0: box 0: size" in capsys.readouterr().err
    out = run(tmp_path / "out", *words(root, TURN, "log.bad_boxes=leave_out"))
    row = read_row(out)
    if v2:
        (left,) = row["instances"]
        assert (left["num_lidar_pts"], left["bbox"]) == (71, RECTANGLES[1])
        assert np.allclose(row["gt_agent_fut_trajs"], [[[0.0, 2.0]]])
    else:
        assert (row["gt_names"].tolist(), row["num_lidar_pts"].tolist(), row["gt_inds"]) == (["bus"], [71], [8])
    assert main(["check", str(out)]) == 0


def test_boxes_of_nine_numbers_keep_them(tmp_path: Path) -> None:
    def nine(row: dict) -> None:
        row["gt_boxes"] = np.c_[row["gt_boxes"], [[2.0, 0.0], [np.nan, np.nan]]]
        del row["gt_velocity"]

    out = run(tmp_path / "out", *words(write_small(tmp_path / "log", v2=False, change=rows(nine)), TURN))
    boxes = read_row(out)["gt_boxes"]
    assert boxes.shape == (2, 9) and np.allclose(boxes[0, 7:], [0.0, 2.0]) and np.isnan(boxes[1, 7:]).all()
    eight = rows(lambda row: row.update(gt_boxes=np.c_[row["gt_boxes"], [1.0, 1.0]]))
    with pytest.raises(fa.DataError, match="gt_boxes: expected 7 numbers"):
        fa.open_log("mmdet3d", write_small(tmp_path / "eight", v2=False, change=eight))[0]
