"""Written trees of SemanticKITTI, read by the published rules with NumPy alone."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from refusals import fails
from semantickitti_tree import (
    HEIGHT,
    PERIOD,
    WIDTH,
    Array,
    by_class,
    read_calibration,
    read_poses,
    read_scan,
    read_times,
    square,
    write_sequence,
    write_tree,
)
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of

NAME = "semantickitti"
SCANS, AIR = ("000000", "000001", "000002"), 1


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("semantickitti") / "log")


def write(root: Path, out: Path, *more: str) -> Path:
    return run(out, f"log={NAME}", f"log.root={root}", *more)


def step(name: str, target: str, **fields: object) -> str:
    inner = ", ".join([f"_target_: fusion_aug.{target}", *(f"{k}: {v}" for k, v in fields.items())])
    return f"+pipeline.transforms.{name}={{{inner}}}"


def lines_of(out: Path, copy: str = "") -> dict[str, dict]:
    """Scan of sequence 00 -> line of the manifest."""
    lines = {line["id"]: line for line in manifest(out)}
    return {scan: lines[f"00/{scan}{copy}"] for scan in SCANS}


def moved(points: Array, H: Array) -> Array:
    return points[:, :3].astype(float) @ H[:3, :3].T + H[:3, 3]


def similarity(a: Array, b: Array) -> Array:
    """W (4, 4) of b = W a, by least squares."""
    solved = np.linalg.lstsq(np.column_stack([a, np.ones(len(a))]), b, rcond=None)[0]
    return square(solved.T)


def test_what_nothing_changes_is_the_same_bytes(root: Path, tmp_path: Path) -> None:
    out = write(root, tmp_path / "out", "pipeline=identity")
    compared = filecmp.dircmp(root, out, ignore=["manifest.jsonl", "run.json", "run.csv"])
    for folder in [compared, *compared.subdirs.values(), *compared.subdirs["sequences"].subdirs.values()]:
        assert not folder.left_only and not folder.right_only and not folder.diff_files
    for path in root.rglob("*.*"):
        assert path.read_bytes() == (out / path.relative_to(root)).read_bytes()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_geometry_moves_points_and_leaves_classes_and_instances(root: Path, tmp_path: Path, seed: int) -> None:
    out = write(root, tmp_path / "out", "pipeline=geometry", f"seed={seed}")
    old, new = root / "sequences/00", out / "sequences/00"
    poses, lines = (read_poses(old), read_poses(new)), lines_of(out)
    maps = []
    for k, scan in enumerate(SCANS):
        H = drawn_motion(lines[scan])
        before, after = read_scan(old, scan), read_scan(new, scan)
        assert np.abs(moved(before[0], H) - after[0][:, :3]).max() < 1e-4
        assert np.array_equal(before[0][:, 3], after[0][:, 3])
        assert np.array_equal(before[1], after[1]) and np.array_equal(before[2], after[2])
        maps.append(similarity(moved(before[0], poses[0][k]), moved(after[0], poses[1][k])))
    for W in maps[1:]:
        assert np.abs(W - maps[0]).max() < 1e-3, "what stands still in the world stands still"
    W, scale = maps[0][:3, :3], np.cbrt(abs(np.linalg.det(maps[0][:3, :3])))
    assert is_mirrored(lines["000000"]) == (np.linalg.det(W) < 0)
    if np.linalg.det(W) > 0:
        assert np.abs(W - scale * np.eye(3)).max() < 1e-4, "a rigid motion moves nothing in the world"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pixels_stay_where_they_are(root: Path, tmp_path: Path, seed: int) -> None:
    """By P Tr, with the flip of a mirrored picture; P keeps its intrinsics, and Tr is a rigid motion."""
    out = write(root, tmp_path / "out", "pipeline=geometry", "~pipeline.transforms.zoom", f"seed={seed}")
    old, new = read_calibration(root / "sequences/00"), read_calibration(out / "sequences/00")
    line, rotation = lines_of(out)["000001"], new["Tr"][:3, :3]
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-6 and np.linalg.det(rotation) > 0
    before, after = (read_scan(r / "sequences/00", "000001")[0] for r in (root, out))
    for camera in ("P2", "P3"):
        a, b = project(before, old, camera), project(after, new, camera)
        wanted = np.column_stack([WIDTH - 1 - a[:, 0], a[:, 1]]) if is_mirrored(line) else a[:, :2]
        seen = (a[:, 2] > 1) & (np.abs(a[:, 0]) < 3 * WIDTH)
        assert seen.sum() > 50 and np.abs(wanted - b[:, :2])[seen].max() < 1e-2
        K = old[camera][:3, :3].copy()
        K[0, 2] = WIDTH - 1 - K[0, 2] if is_mirrored(line) else K[0, 2]
        assert np.abs(np.abs(new[camera][:3, :3]) - K).max() < 1e-6
    pictures = [cv2.imread(str(r / "sequences/00/image_2/000001.png")) for r in (root, out)]
    assert np.array_equal(pictures[0][:, ::-1] if is_mirrored(line) else pictures[0], pictures[1])


def project(points: Array, rows: dict[str, Array], camera: str) -> Array:
    """Pixels and depths (n, 3) by P Tr."""
    seen = np.column_stack([points[:, :3], np.ones(len(points))]) @ (rows[camera] @ rows["Tr"])[:3].T
    return np.column_stack([seen[:, :2] / seen[:, 2:], seen[:, 2]])


def test_a_cut_picture_is_in_P(root: Path, tmp_path: Path) -> None:
    cut = step("cut", "Crop", size=f"[{HEIGHT - 20}, {WIDTH - 40}]", x=0.0, y=1.0)
    out = write(root, tmp_path / "out", "pipeline=identity", cut)
    old, new = read_calibration(root / "sequences/00"), read_calibration(out / "sequences/00")
    shift = np.array([[1.0, 0, 0, 0], [0, 1, -20, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert all(np.abs(shift @ old[f"P{i}"] - new[f"P{i}"]).max() < 1e-6 for i in range(4))
    text = [(r / "sequences/00/calib.txt").read_text().splitlines() for r in (root, out)]
    assert text[0][4] == text[1][4], "Tr keeps its text"
    for name in ("poses.txt", "times.txt", "labels/000001.label", "velodyne/000001.bin"):
        assert (root / "sequences/00" / name).read_bytes() == (out / "sequences/00" / name).read_bytes()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_driving_and_fog_every_kept_point_has_its_class(root: Path, tmp_path: Path, seed: int) -> None:
    """Counts by class are equal but for recorded losses, and what comes from the air is an outlier of no instance."""
    dense = ("pipeline=[driving,fog]", "pipeline.mor=40")
    out = write(root, tmp_path / "out", *dense, f"seed={seed}", "log.select='00'")
    lines = lines_of(out)
    from_air = 0
    for scan in SCANS:
        H = drawn_motion(lines[scan])
        before, after = (read_scan(r / "sequences/00", scan) for r in (root, out))
        account = lines[scan]["account"]["velodyne"]
        lost = sum(account.get("lost", {}).values())
        assert len(after[0]) == len(before[0]) - lost and "added" not in account
        old, new = moved(before[0], H), after[0][:, :3]
        found = rows_on_rays(old - H[:3, 3], new - H[:3, 3])  # from where the scanner went
        stayed = np.linalg.norm(old[found] - new, axis=1) < 0.2
        assert stayed.sum() > 100
        assert np.array_equal(before[1][found][stayed], after[1][stayed])
        assert np.array_equal(before[2][found][stayed], after[2][stayed])
        assert set(after[1][~stayed].tolist()) <= {AIR} and not after[2][~stayed].any()
        counts = by_class(before[1]), by_class(after[1])
        gone = {c: counts[0][c] - counts[1][c] for c in counts[0]}
        assert all(n >= 0 for c, n in gone.items() if c != AIR) and sum(gone.values()) == lost
        from_air += int((~stayed).sum())
    assert from_air > 10, "the fog is dense enough to be seen"


def rows_on_rays(old: Array, new: Array) -> Array:
    """For every new point (m, 3) the row of the old one (n, 3) in the same direction; weather keeps directions."""
    rays = [p / np.linalg.norm(p, axis=1, keepdims=True) for p in (old, new)]
    return np.argmax(rays[1] @ rays[0].T, axis=1)


def test_a_mirror_keeps_classes_by_instance(root: Path, tmp_path: Path) -> None:
    out = write(root, tmp_path / "out", "pipeline=identity", step("mirror", "MirrorScene"))
    for scan in SCANS:
        before, after = (read_scan(r / "sequences/00", scan) for r in (root, out))
        assert np.array_equal(before[0][:, :3] * [1, -1, 1], after[0][:, :3])
        pairs = [set(zip(r[1].tolist(), r[2].tolist(), strict=True)) for r in (before, after)]
        assert pairs[0] == pairs[1] and (252, 65535) in pairs[0]
        files = [(r / f"sequences/00/labels/{scan}.label").read_bytes() for r in (root, out)]
        assert files[0] == files[1]
    poses = [read_poses(r / "sequences/00") for r in (root, out)]
    steps = [np.linalg.inv(p[0]) @ p[1] for p in poses]
    S = np.diag([1.0, -1, 1, 1])
    assert np.abs(S @ steps[0] @ S - steps[1]).max() < 1e-5, "a left turn is a right turn"


def test_a_change_of_speed_is_in_the_times(root: Path, tmp_path: Path) -> None:
    out = write(root, tmp_path / "out", "pipeline=identity", step("fast", "SpeedWarp", speed=2.0))
    old, new = (read_times(r / "sequences/00") for r in (root, out))
    assert np.abs(np.diff(new) - np.diff(old) / 2).max() < 1e-8 and new[0] == old[0]
    assert (out / "sequences/00/poses.txt").read_bytes() == (root / "sequences/00/poses.txt").read_bytes()
    assert np.abs(np.diff(read_times(out / "sequences/11")) - 0.05).max() < 1e-8, "there were none"
    ego = fa.open_log(NAME, out)[1]["ego"]
    assert abs(float(ego["velocity"][0, 0]) - 2 * 1.1 / PERIOD) < 0.12


def test_copies_are_sequences_of_their_own(root: Path, tmp_path: Path) -> None:
    out = write(root, tmp_path / "out", "pipeline=geometry", "copies=2", "seed=4")
    assert sorted(p.name for p in (out / "sequences").iterdir()) == ["00", "00__1", "11", "11__1"]
    assert len(read_poses(out / "sequences/00__1")) == len(read_times(out / "sequences/00__1")) == 3
    log = fa.open_log(NAME, out)
    assert {line["id"] for line in manifest(out)} == set(log.ids) and "00/000002__1" in log.ids
    assert log.scene_of("00/000002__1") == "00__1"
    assert list(fa.open_log(NAME, out, select="00__1").ids) == [f"00/{scan}__1" for scan in SCANS]
    for copy in ("", "__1"):
        H = drawn_motion(lines_of(out, copy)["000001"])
        before, after = read_scan(root / "sequences/00", "000001"), read_scan(out / f"sequences/00{copy}", "000001")
        assert np.abs(moved(before[0], H) - after[0][:, :3]).max() < 1e-4
    assert not account_of(log).not_understood
    again = write(out, tmp_path / "again", "pipeline=identity", "copies=2", "log.select='00__1'")
    assert sorted(p.name for p in (again / "sequences").iterdir()) == ["00__1", "00__1__1"]
    assert main(["check", str(out)]) == 0 and main(["check", str(again)]) == 0


def test_a_part_of_a_sequence_has_rows_for_its_scans(root: Path, tmp_path: Path) -> None:
    words = [f"log={NAME}", f"log.root={root}", "log.select=['00/000000','00/000002']"]
    out = run(tmp_path / "out", *words, "pipeline=identity", step("turn", "RotateScene", yaw_deg=30))
    assert [p.name for p in sorted((out / "sequences/00/velodyne").iterdir())] == ["000000.bin", "000002.bin"]
    old, new = (read_poses(r / "sequences/00") for r in (root, out))
    H = drawn_motion(manifest(out)[0])
    assert np.abs(new - old[[0, 2]] @ np.linalg.inv(H)).max() < 1e-6
    text = [(r / "sequences/00/times.txt").read_text().splitlines() for r in (root, out)]
    assert text[1] == [text[0][0], text[0][2]]
    assert main(["check", str(out)]) == 0


def test_calibrations_that_differ_within_a_sequence_are_refused(root: Path, tmp_path: Path) -> None:
    log = fa.open_log(NAME, root, select="00")
    writer = log.writer(tmp_path / "out")
    turned = [fa.Compose([fa.RotateScene(yaw_deg=5.0 + k)])(sample, seed=0) for k, sample in enumerate(log[:2])]
    rows = [writer.stage(new, old, old.id, tmp_path / "out") for new, old in zip(turned, log[:2], strict=True)]
    with pytest.raises(fa.DataError, match="scans 000000 and 000001 would need calibrations of their own"):
        writer.finish(rows, [(i, i) for i in log.ids[:2]])


def test_what_the_format_has_no_place_for_is_in_the_sidecar(root: Path, tmp_path: Path) -> None:
    """Also beside labels, which are a file more of the same cloud."""
    fog = step("fog", "Fog", mor=40.0, report="true")
    out = write(root, tmp_path / "out", "pipeline=identity", fog, "log.select='00'")
    for scan in SCANS:
        cloud = fa.open_log(NAME, out).read(f"00/{scan}")["velodyne"]
        _, label, instance = read_scan(out / "sequences/00", scan)
        assert np.array_equal(cloud["label"].numpy(), label) and np.array_equal(cloud["instance"].numpy(), instance)
        scattered = cloud["status"].numpy() == 1
        assert scattered.any() and set(label[scattered].tolist()) == {AIR}


def test_points_without_a_class_are_written_as_unlabeled(root: Path, tmp_path: Path) -> None:
    log = fa.open_log(NAME, root)
    cloud = log[0]["velodyne"]
    label = cloud["label"].clone()
    label[:5] = -1
    sample = log[0].with_streams({**log[0].streams, "velodyne": cloud.with_values(label=label)})
    for number, options in ((0, {}), (99, {"unlabelled": 99})):
        writer = fa.open_log(NAME, root, **options).writer(tmp_path / f"out_{number}")
        rows = [writer.stage(sample, log[0], "00/000000", writer.out)]
        writer.finish(rows, [("00/000000", "00/000000")])
        written = read_scan(writer.out / "sequences/00", "000000")[1]
        assert (written[:5] == number).all() and np.array_equal(written[5:], label.numpy()[5:])
        assert np.array_equal(writer.as_read_back(sample, log[0])["velodyne"]["label"].numpy(), written)


CLASSES = {
    "log.classes=[car]": {10: (10,)},
    "log.classes={vehicle: [car,moving-car],person: [person]}": {10: (10, 252), 30: (30,)},
}


@pytest.mark.parametrize("pipeline", ["identity", "geometry"])
@pytest.mark.parametrize("words", CLASSES)
def test_classes_of_ones_own_keep_instances(root: Path, tmp_path: Path, words: str, pipeline: str) -> None:
    out = write(root, tmp_path / "out", f"pipeline={pipeline}", words)
    for scan in SCANS:
        before, after = (read_scan(r / "sequences/00", scan) for r in (root, out))
        wanted = np.zeros_like(before[1])
        for number, old in CLASSES[words].items():
            wanted[np.isin(before[1], old)] = number
        assert np.array_equal(after[1], wanted) and np.array_equal(after[2], before[2])
    assert main(["check", str(out)]) == 0


def test_a_class_in_the_place_of_unlabeled_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", f"log={NAME}", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]
    fails(capsys, [*words, "log.classes={car: [truck], x: [car]}"], "log.classes: points of 'x'", "number 0")
    assert not (tmp_path / "out").exists()


def test_more_scans_than_labels_stop_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_sequence(tmp_path / "log/sequences/00", cameras=())
    path = folder / "labels/000002.label"
    path.write_bytes(path.read_bytes()[:-4])
    words = ["run", f"log={NAME}", f"log.root={tmp_path / 'log'}", "pipeline=identity", f"out={tmp_path / 'out'}"]
    fails(capsys, words, "labels/000002.label: holds 599 labels", "600 points of 000002.bin")


def test_a_dataset_folder_is_mirrored_in_the_output(tmp_path: Path) -> None:
    write_sequence(tmp_path / "log/dataset/sequences/08", cameras=())
    out = write(tmp_path / "log", tmp_path / "out", "pipeline=identity", step("turn", "RotateScene", yaw_deg=30))
    assert len(read_poses(out / "dataset/sequences/08")) == 3
    assert main(["check", str(out)]) == 0
    shutil.rmtree(tmp_path / "log/dataset/sequences/08/labels")
    assert fa.open_log(NAME, out)[0]["velodyne"]["label"].shape == (600,)
