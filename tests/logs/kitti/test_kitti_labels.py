"""Label files after an augmentation: placeholders, made-up rectangles, angles of view, and boxes that come and go."""

from __future__ import annotations

from pathlib import Path

import kitti_trees as trees
import numpy as np
import pytest
import torch
from written import drawn_motion, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.streams import strings
from fusion_aug.streams.columns import take_rows

YAW = (
    "pipeline=geometry",
    "pipeline.zoom=1.0",
    "pipeline.mirror=0.0",
    "pipeline.shift=0.0",
    "pipeline.scene_scale=1.0",
)
MIRROR = (*YAW[:2], "pipeline.mirror=1.0", *YAW[3:], "pipeline.yaw_deg=0.0")
BOX = "1.80 0.60 0.80 -3.00 1.70 12.00 1.57"
UNSET = "-1 -1 -1 -1000 -1000 -1000 -10"


def lines_after(tmp_path: Path, labels: list[str], *words: str, **tree: object) -> list[list[str]]:
    root = trees.write_tree(tmp_path / "tree", labels=labels, **tree)  # type: ignore[arg-type]
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", *words)
    assert main(["check", str(out)]) == 0
    return trees.read_labels(out)


RECTANGLES = ("0 0 0 0", "0.00 0.00 50.00 50.00", "-1 -1 -1 -1", "5 5 5 5", "0 0 4000 3000")


@pytest.mark.parametrize("place", ["-3.00 1.70 12.00", "-1.00 1.70 -15.00"])
@pytest.mark.parametrize("words", [YAW, MIRROR, ("pipeline=geometry", "pipeline.zoom=1.2")])
def test_rectangles_that_nobody_measured_lose_no_box(tmp_path: Path, place: str, words: tuple[str, ...]) -> None:
    """Before the camera as behind it, where the pipeline turns as where it mirrors or zooms."""
    lines = [f"Pedestrian 0 0 -10 {rectangle} 1.80 0.60 0.80 {place} 1.57" for rectangle in RECTANGLES]
    found = lines_after(tmp_path, lines, *words, pictures=())
    assert [line[3] for line in found] == ["-10"] * len(lines)
    for before, after in zip(lines, found, strict=True):
        if place.endswith("-15.00") or before.split()[4:8] in (["0"] * 4, ["-1"] * 4, ["5"] * 4):
            assert after[:8] == before.split()[:8]


def test_thin_rectangles_that_stay_in_the_picture_lose_no_box(tmp_path: Path) -> None:
    """A person far away is narrower than what is left of an object that leaves."""
    lines = [
        f"Pedestrian 0 0 -10 150.00 40.00 151.20 44.00 {UNSET}",
        f"Pedestrian 0 0 -10 318.20 40.00 319.00 44.00 {UNSET}",
        trees.label((0.5, 1.5, 31.0), 2.4, trees.calibration()),
    ]
    for name, words, left in (("mirrored", MIRROR, 3), ("zoomed", (*YAW[1:], "pipeline.zoom=1.6"), 2)):
        found = lines_after(tmp_path / name, lines, "pipeline=geometry", *words, "pipeline.yaw_deg=0.0")
        assert len(found) == left and all(float(w[6]) > float(w[4]) for w in found)


def test_boxes_that_cannot_be_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = trees.calibration()
    bad = [trees.label((1.0, 1.6, 14.0), 0.7, rows).split() for _ in range(4)]
    bad[0][12], bad[1][14], bad[2][8], bad[3][13] = "nan", "nan", "0", "inf"
    lines = [*(" ".join(words) for words in bad), trees.label((0.5, 1.5, 31.0), 2.4, rows), trees.NO_LABEL]
    found = lines_after(tmp_path, lines, *YAW, "log.bad_boxes=leave_out")
    assert [line[0] for line in found] == ["Car", "DontCare"]
    lost = manifest(tmp_path / "out")[0]["account"]
    assert lost["boxes"]["items"] == [1, 1] and lost["boxes"]["rows"] == [5, 1]
    assert sum(lost["boxes"]["lost"].values()) == 4 == sum(lost["boxes_2d"]["lost"].values())


def test_rectangles_that_stay_behind_are_counted(tmp_path: Path) -> None:
    lines = [f"Pedestrian 0 0 -10 {r} {BOX}" for r in ("0.00 0.00 50.00 50.00", "0 0 0 0", "300 5 310 9")]
    lines_after(tmp_path, lines, *MIRROR)
    assert manifest(tmp_path / "out")[0]["residual"]["rectangles_left_behind"] == 2


def test_placeholders_and_further_fields_stay(tmp_path: Path) -> None:
    rows = trees.calibration()
    lines = [
        trees.label((-3.0, 1.6, 14.0), 0.7, rows, extra=" 0.87 12"),
        f"Cyclist -1 -1 -10 150.00 40.00 160.00 60.00 {UNSET} 0.5",
        "Van 0.00 2 -10 150.00 40.00 160.00 60.00 -1 -1 -1 0 0 0 -10",
        "Truck 0 0 0 150.00 40.00 160.00 60.00 0 0 0 0 0 0 0",
        trees.NO_LABEL,
    ]
    found = lines_after(tmp_path, lines, *YAW)
    assert [line[0] for line in found] == ["Car", "Cyclist", "Van", "Truck", "DontCare"]
    assert found[1:] == [line.split() for line in lines[1:]]
    assert found[0][15:] == ["0.87", "12"] and found[0][8:11] == lines[0].split()[8:11]
    sample = fa.open_log("kitti", tmp_path / "tree")[0]
    assert sample.boxes()["category"].tolist() == ["Car"] and sample["boxes_2d"].rows == 5


def test_a_mirror_moves_rectangles_of_lines_without_a_box(tmp_path: Path) -> None:
    found = lines_after(tmp_path, [f"Cyclist 0.25 -1 -10 150.00 40.00 160.00 60.00 {UNSET}", trees.NO_LABEL], *MIRROR)
    assert [float(v) for v in found[0][4:8]] == [319 - 160, 40, 319 - 150, 60]
    assert found[0][1:4] == ["0.25", "-1", "-10"] and found[0][8:] == UNSET.split()
    assert [float(v) for v in found[1][4:8]] == [319 - 40, 10, 319 - 20, 20]


@pytest.mark.parametrize("turn", ["projection", "extrinsics"])
def test_alpha_is_that_of_the_real_view(tmp_path: Path, turn: str) -> None:
    """As labelled, though not what x and z of the label give: it stays under a turn, and is pi - alpha in a mirror."""
    rows = trees.calibration()
    lines = [trees.label(place, ry, rows) for place, ry in trees.PLACES]
    labelled = [f"{float(line.split()[3]) + 0.05:.2f}" for line in lines]
    lines = [
        " ".join([*line.split()[:3], alpha, *line.split()[4:]]) for line, alpha in zip(lines, labelled, strict=True)
    ]
    turned = lines_after(tmp_path / "turned", lines, *YAW, f"log.turn={turn}")
    assert [line[3] for line in turned] == labelled
    mirrored = lines_after(tmp_path / "mirrored", lines, *MIRROR, f"log.turn={turn}")
    for line, alpha in zip(mirrored, labelled, strict=True):
        off = float(line[3]) - (np.pi - float(alpha))
        assert abs((off + np.pi) % (2 * np.pi) - np.pi) < 1e-4
    assert [line[4:8] for line in turned] == [line.split()[4:8] for line in lines]


def test_rectangles_lie_on_the_projection_of_their_boxes(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree")
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", "pipeline=geometry", "pipeline.zoom=1.0", "seed=4")
    sample = fa.open_log("kitti", out)[0]
    for row, corners in enumerate(sample.boxes().corners()):
        pixels, _ = sample.project_ref(corners, "image_2")
        seen = torch.cat([pixels.amin(0), pixels.amax(0)])
        assert float((sample["boxes_2d"].rectangles()[row] - seen).abs().max()) < 3.0  # type: ignore[attr-defined]


def test_boxes_that_left_the_picture_are_told(tmp_path: Path) -> None:
    root = trees.write_tree(tmp_path / "tree")
    config = tmp_path / "conf/pipeline"
    config.mkdir(parents=True)
    step = "{_target_: fusion_aug.Crop, size: [96, 100], x: 0.0}"
    (config / "cut.yaml").write_text(f"_target_: fusion_aug.pipeline\ntransforms:\n  cut: {step}\n")
    words = ["run", "log=kitti", f"log.root={root}", f"out={tmp_path / 'out'}", "pipeline=cut"]
    assert main([*words, "--config-dir", str(tmp_path / "conf")]) == 0
    account = manifest(tmp_path / "out")[0]["account"]
    before, after = account["boxes"]["rows"]
    assert after < before == 3 and account["boxes"]["lost"] == {"left the picture": before - after}
    assert len(trees.read_labels(tmp_path / "out")) == account["boxes_2d"]["rows"][1]
    assert main(["check", str(tmp_path / "out")]) == 0


def test_a_box_that_was_added_gets_a_line(tmp_path: Path) -> None:
    log = fa.open_log("kitti", trees.write_tree(tmp_path / "tree"))
    source = log[0]
    boxes = source.boxes()
    twice = take_rows(boxes.values, torch.tensor([0, 1, 2, 0]))
    twice["instance"] = strings([*boxes["instance"], "pasted"])
    twice["pose"] = twice["pose"].clone()
    twice["pose"][3, 0, 3] += 4.0
    more = boxes.__class__(frame=boxes.frame, capture_times=boxes.capture_times, values=twice)
    sample = source.with_streams({**source.streams, "boxes": more})
    writer = log.writer(tmp_path / "out")
    writer.stage(sample, source, source.id, tmp_path / "out")
    back, expected = fa.open_log("kitti", tmp_path / "out")[0], writer.as_read_back(sample, source)
    assert back.boxes().rows == 4 and back["boxes_2d"].rows == 5
    assert torch.allclose(back.boxes()["pose"], expected.boxes()["pose"], atol=1e-5)
    assert torch.allclose(back["boxes_2d"]["corners"], expected["boxes_2d"]["corners"], atol=1e-5)


@pytest.mark.parametrize("turn", ["projection", "extrinsics"])
@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_planes_follow_the_scene(tmp_path: Path, turn: str, mirror: float) -> None:
    root = trees.write_tree(tmp_path / "tree")
    plane = np.array([-0.02, -0.9997, 0.015, 1.68])
    folder = root / "training/planes"
    folder.mkdir()
    text = "# Plane\nWidth 4\nHeight 1\n" + " ".join(f"{v:e}" for v in plane) + "\n"
    (folder / "000000.txt").write_text(text)
    words = ["log=kitti", f"log.root={root}", "pipeline=geometry", f"pipeline.mirror={mirror}", f"log.turn={turn}"]
    out = run(tmp_path / "out", *words)
    H = drawn_motion(manifest(out)[0])
    old, new = (trees.chain(trees.read_rows(tree / "training/calib/000000.txt")) for tree in (root, out))
    lines = (out / "training/planes/000000.txt").read_text().splitlines()
    found = np.array(lines[3].split(), float)
    # points of the plane, through the LiDAR's frame, lie on the written one
    rng = np.random.default_rng(0)
    points = rng.uniform(-20, 20, (50, 3))
    points[:, 1] = -(points[:, [0, 2]] @ plane[[0, 2]] + plane[3]) / plane[1]
    in_lidar = np.linalg.inv(old) @ np.column_stack([points, np.ones(50)]).T
    moved = new @ H @ in_lidar
    assert lines[:3] == text.splitlines()[:3] and np.abs(found @ moved).max() < 1e-3
    assert abs(np.linalg.norm(found[:3]) - np.linalg.norm(plane[:3])) < 1e-5
    same = run(tmp_path / "same", "log=kitti", f"log.root={root}", "pipeline=photometric")
    assert (same / "training/planes/000000.txt").read_text() == text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"Car 0 0 0 0 0 0 0 {BOX} 1 2 3", "line 1: expected 15 to 17 fields"),
        ("Car 0 0 0 0 nan 0 0 1.5 1.6 3.9 0 1 2 3", "line 1: top: is NaN"),
        ("Car 0 0 0 0 0 0 0 1.5 nan 3.9 0 1 2 3", "line 1: size: 3.9 x nan x 1.5 m"),
        ("Car 0 0 0 0 0 0 0 1.5 0 3.9 0 1 2 3", "line 1: size: 3.9 x 0 x 1.5 m"),
        ("Car 0 0 0 0 0 0 0 1.5 -1.6 3.9 0 1 2 3", "line 1: size: 3.9 x -1.6 x 1.5 m"),
        ("Car 0 0 0 0 0 0 0 1.5 wide 3.9 0 1 2 3", "line 1: a field is not a number"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, line: str, told: str) -> None:
    root = trees.write_tree(tmp_path / "tree", labels=[line])
    with pytest.raises(fa.DataError, match=r"000000\.txt") as error:
        fa.open_log("kitti", root)[0]
    assert told in str(error.value)
