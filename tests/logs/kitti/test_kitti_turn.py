"""A moved scene in KITTI's files, as the training code that reads them sees it."""

from __future__ import annotations

from pathlib import Path

import kitti_trees as trees
import numpy as np
import pytest
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.run.config import compose_config
from fusion_aug.run.execute import execute
from fusion_aug.run.job import Job

Array = np.ndarray
SEEDS = [pytest.param(0, marks=pytest.mark.quick), 1, 2]
CALIB = "training/calib/000000.txt"
NO_ZOOM = ("pipeline=geometry", "pipeline.zoom=1.0")
MIRROR = ("pipeline=geometry", "pipeline.zoom=1.0", "pipeline.mirror=1.0")


def augmented(tmp_path: Path, *words: str, seed: int = 0, **tree: object) -> tuple[Path, Path, dict]:  # type: ignore[type-arg]
    """A made tree, its output, and the line of the manifest."""
    root = trees.write_tree(tmp_path / "tree", **tree)  # type: ignore[arg-type]
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", f"seed={seed}", *words)
    return root, out, manifest(out)[0]


def both(root: Path, out: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    return trees.read_rows(root / CALIB), trees.read_rows(out / CALIB)


@pytest.mark.parametrize("seed", SEEDS)
def test_headings_of_detectors_follow_the_drawn_motion(tmp_path: Path, seed: int) -> None:
    root, out, line = augmented(tmp_path, *NO_ZOOM, seed=seed)
    H = drawn_motion(line)
    scale = abs(np.linalg.det(H[:3, :3])) ** (1 / 3)
    before, after = trees.boxes_of_loaders(root), trees.boxes_of_loaders(out)
    ahead = np.stack([np.cos(before[:, 6]), np.sin(before[:, 6]), np.zeros(len(before))], 1) @ H[:3, :3].T
    expected = np.arctan2(ahead[:, 1], ahead[:, 0])
    off = np.degrees(np.abs((after[:, 6] - expected + np.pi) % (2 * np.pi) - np.pi))
    assert len(before) == len(after) == 3 and np.median(off) < 0.05 and off.max() < 0.2
    centres = before[:, :3] @ H[:3, :3].T + H[:3, 3]
    # the top of a box that leans by 0.85 degrees is off by 1.5 cm
    assert np.abs(centres - after[:, :3]).max() < 0.02
    assert np.allclose(before[:, 3:6] * scale, after[:, 3:6], atol=1e-5)


@pytest.mark.parametrize("turn", ["projection", "extrinsics"])
@pytest.mark.parametrize("seed", [*SEEDS, 3])
def test_points_stay_on_their_pixels_in_both_cameras(tmp_path: Path, seed: int, turn: str) -> None:
    root, out, line = augmented(tmp_path, *NO_ZOOM, f"log.turn={turn}", seed=seed)
    before, after = both(root, out)
    for camera in ("P2", "P3"):
        (old, near), (new, depth) = (
            trees.project(trees.read_cloud(tree), rows, camera) for tree, rows in ((root, before), (out, after))
        )
        ahead = near > 1
        if is_mirrored(line):
            old[:, 0] = trees.WIDTH - 1 - old[:, 0]
        seen = ahead & (np.abs(old) < 1000).all(1)
        assert seen.sum() > 100 and np.abs(old - new)[seen].max() < 1e-3  # coordinates are float32
        assert (depth[ahead] > 0).all()


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_projection_is_the_stated_formula(tmp_path: Path, mirror: float) -> None:
    """P' = F P (L H L^-1)^-1 up to scale, of the numbers in the files; R0 and Tr as they are."""
    words = ("pipeline=geometry", "pipeline.zoom=1.0", f"pipeline.mirror={mirror}")
    root, out, line = augmented(tmp_path, *words, seed=5)
    before, after = both(root, out)
    L, H = trees.chain(before), drawn_motion(line)
    F = np.array([[-1.0, 0, trees.WIDTH - 1], [0, 1, 0], [0, 0, 1]]) if mirror else np.eye(3)
    points = trees.ring_cloud(2000, seed=1)
    moved = points[:, :3] @ H[:3, :3].T + H[:3, 3]
    for i in range(4):
        P = F @ before[f"P{i}"] @ np.linalg.inv(L @ H @ np.linalg.inv(L))
        assert np.allclose(
            after[f"P{i}"] / np.linalg.norm(after[f"P{i}"][2, :3]), P / np.linalg.norm(P[2, :3]), atol=1e-10
        )
        pixels, depth = trees.project(moved, {**before, "P": P}, "P")
        found, _ = trees.project(moved, after, f"P{i}")
        assert np.abs(pixels - found)[depth > 2].max() < 1e-9
    old, new = ((tree / CALIB).read_text().splitlines() for tree in (root, out))
    assert old[4:6] == new[4:6], "R0_rect and Tr_velo_to_cam are as in the source"
    assert [row.split(":")[0] for row in new] == [row.split(":")[0] for row in old]


@pytest.mark.parametrize("seed", SEEDS)
def test_points_that_loaders_keep(tmp_path: Path, seed: int) -> None:
    """A full turn of points: mmdetection3d's reduction, and OpenPCDet without its filter on a cropped tree."""
    root, out, _ = augmented(tmp_path, *NO_ZOOM, "log.crop_to_view=true", seed=seed)
    whole = run(tmp_path / "whole", "log=kitti", f"log.root={root}", f"seed={seed}", *NO_ZOOM)
    rows = trees.rows_by_line(out / CALIB)
    points, cropped = trees.read_cloud(whole), trees.read_cloud(out)
    seen = trees.in_view(points, rows)
    kept = trees.kept_by_mmdetection3d(points, rows)
    assert 200 < seen.sum() < len(points) / 4
    assert (kept & seen).sum() >= 0.995 * seen.sum() and not (kept & ~seen).any()
    assert trees.in_view(cropped, rows).all() and len(cropped) >= 0.995 * seen.sum()
    lost = manifest(out)[0]["account"]["velodyne"]["lost"]
    assert lost == {"out of view of image_2 (log.crop_to_view)": len(points) - len(cropped)}
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_extrinsics_serve_readers_of_intrinsics_and_baseline(tmp_path: Path, seed: int) -> None:
    words = ("pipeline=geometry", "pipeline.zoom=1.0", "pipeline.scene_scale=1.0", "pipeline.mirror=0.0")
    root, out, _ = augmented(tmp_path, *words, "log.turn=extrinsics", seed=seed)
    before, after = both(root, out)
    for name in ("P0", "P1", "P2", "P3"):
        assert np.array_equal(before[name], after[name])
    points, rows = trees.read_cloud(out), trees.rows_by_line(out / CALIB)
    seen = trees.in_view(points, rows)
    kept = trees.kept_by_openpcdet(points, rows)
    assert (kept & seen).sum() >= 0.995 * seen.sum() > 200
    assert np.abs(rows["R0_rect"] @ rows["R0_rect"].T - np.eye(3)).max() < 1e-5


def test_a_mirror_makes_image_2_the_right_hand_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.write_tree(tmp_path / "tree")
    for turn in ("projection", "extrinsics"):
        out = tmp_path / turn
        words = [*MIRROR, "pipeline.yaw_deg=0", "pipeline.shift=0", "pipeline.scene_scale=1.0", f"log.turn={turn}"]
        assert main(["run", "log=kitti", f"log.root={root}", f"out={out}", *words]) == 0
        told = capsys.readouterr().out
        assert "right-hand" in told and f"log.turn={turn}" in told
        rows = trees.read_rows(out / CALIB)
        centres = [-np.linalg.solve(rows[n][:, :3], rows[n][:, 3]) for n in ("P2", "P3")]
        # image_3 lies to the right of image_2 in the source, along the camera's x axis
        right = np.linalg.inv(rows["P2"][:, :3])[:, 0]
        assert (centres[1] - centres[0]) @ right < -0.5 * np.linalg.norm(right)
        assert main(["check", str(out)]) == 0
        capsys.readouterr()
    assert main(["run", "log=kitti", f"log.root={root}", f"out={tmp_path / 'dark'}", "pipeline=photometric"]) == 0
    assert "log.turn" not in capsys.readouterr().out


@pytest.mark.parametrize("turn", ["projection", "extrinsics"])
def test_our_reader_takes_the_output_for_the_same_rig(tmp_path: Path, turn: str) -> None:
    root, out, _ = augmented(tmp_path, *MIRROR, f"log.turn={turn}", seed=3)
    log = fa.open_log("kitti", out, turn=turn)
    found = log[0]
    for name in ("image_2", "image_3"):
        camera = found.rig.camera(name)
        assert camera.A.allclose(camera.A.new_tensor(np.eye(3))), "a turn is a pose, no map of pixels"
        # the source's numbers are no exact rotations, and the rig's are; K takes the difference
        source = fa.open_log("kitti", root)[0].rig.camera(name).mirrored()
        assert float((camera.model.K - source.model.K).abs().max()) < 1e-2
    again = run(tmp_path / "again", "log=kitti", f"log.root={out}", "seed=9", f"log.turn={turn}", *NO_ZOOM)
    assert main(["check", str(out)]) == 0 and main(["check", str(again)]) == 0
    pixels = [trees.project(trees.read_cloud(t), trees.read_rows(t / CALIB), "P2")[0] for t in (out, again)]
    depth = trees.project(trees.read_cloud(out), trees.read_rows(out / CALIB), "P2")[1]
    near = (depth > 1) & (np.abs(pixels[0]) < 1000).all(1)
    if is_mirrored(manifest(again)[0]):
        pixels[0][:, 0] = trees.WIDTH - 1 - pixels[0][:, 0]
    assert np.abs(pixels[0] - pixels[1])[near].max() < 0.05


def test_tilt_that_labels_cannot_hold_is_recorded(tmp_path: Path) -> None:
    words = ("pipeline=geometry", "pipeline.zoom=1.0", "pipeline.yaw_deg=180", "pipeline.mirror=0.0")
    _, out, line = augmented(tmp_path, *words)
    L = trees.chain(trees.read_rows(out / CALIB))
    lean = np.degrees(np.arccos((L[:3, :3] @ [0, 0, -1.0])[1]))
    assert abs(line["residual"]["box_tilt_deg"] - 2 * lean) < 0.02
    assert main(["check", str(out)]) == 0
    with pytest.raises(fa.FusionAugError, match="pitch_deg"):
        config = tmp_path / "conf/pipeline"
        config.mkdir(parents=True)
        step = "{_target_: fusion_aug.RotateScene, pitch_deg: 3.0}"
        (config / "tilt.yaml").write_text(f"_target_: fusion_aug.pipeline\ntransforms:\n  tilt: {step}\n")
        root = tmp_path / "tree"
        words = ["log=kitti", f"log.root={root}", f"out={tmp_path / 'no'}", "pipeline=tilt"]
        execute(Job(compose_config("run", words, str(tmp_path / "conf"))))


def test_cameras_that_look_down_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = trees.calibration()
    rows["Tr_velo_to_cam"] = trees.turn(0, 10.0) @ rows["Tr_velo_to_cam"]
    root = trees.write_tree(tmp_path / "down", rows=rows, labels=[trees.NO_LABEL])
    for turn, told in (("projection", True), ("extrinsics", False)):
        words = ["pipeline=geometry", f"log.turn={turn}", f"out={tmp_path / turn}"]
        assert main(["run", "log=kitti", f"log.root={root}", *words]) == 0
        assert ("degrees off the LiDAR's z axis" in capsys.readouterr().out) == told


PLANE = {
    "flip": [fa.FlipImage()],
    "rotate": [fa.RotateImage(angle_deg=10.0)],
    "perspective": [fa.PerspectiveImage(strength=0.05)],
    "all": [fa.FlipImage(), fa.RotateImage(angle_deg=10.0), fa.PerspectiveImage(strength=0.05)],
    "viewpoint": [fa.Viewpoint(y_deg=5.0)],
    "reported": [fa.Miscalibrate(x_deg=1.0)],
    "front to back": [fa.MirrorScene(axis="x")],
}
MOVES = [fa.RotateScene(yaw_deg=33.0), fa.MirrorScene(), fa.TranslateScene(x=0.5, z=0.2), fa.ScaleScene(scale=1.1)]


@pytest.mark.parametrize("moves", [[], MOVES], ids=["still", "moved"])
@pytest.mark.parametrize("turn", ["projection", "extrinsics"])
@pytest.mark.parametrize("name", PLANE)
def test_what_is_written_is_read_back(tmp_path: Path, name: str, turn: str, moves: list[fa.Transform]) -> None:
    log = fa.open_log("kitti", trees.write_tree(tmp_path / "tree"), turn=turn)
    source = log[0]
    sample = fa.Compose([*moves, *PLANE[name]])(source, seed=1)
    writer = log.writer(tmp_path / "out")
    writer.stage(sample, source, source.id, tmp_path / "out")
    expected, found = writer.as_read_back(sample, source), fa.open_log("kitti", tmp_path / "out", turn=turn)[0]
    for camera in ("image_2", "image_3"):
        (a, seen), (b, again) = expected.project("velodyne", camera), found.project("velodyne", camera)
        assert bool(seen.any()) and float((a - b)[seen].abs().max()) < 1e-3 and float((seen != again).sum()) < 3
    assert float((expected.boxes()["pose"] - found.boxes()["pose"]).abs().max()) < 1e-5


@pytest.mark.parametrize(("option", "value"), [("turn", "tr"), ("crop_to_view", "yes")])
def test_wrong_options_are_named(tmp_path: Path, option: str, value: str) -> None:
    root = trees.write_tree(tmp_path / "tree")
    with pytest.raises(fa.FusionAugError, match=f"log.{option}"):
        fa.open_log("kitti", root, **{option: value})
