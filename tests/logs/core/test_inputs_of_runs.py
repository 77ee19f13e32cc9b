"""What a run reads is noted: names, sizes and dates of files of the selected samples, and where two notes differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import small_logs
from places import ARM

import fusion_aug as fa
from fusion_aug.logs.core.inputs import difference, input_lines


def lines(root: Path, format: str = "kitti", **options: object) -> list[str]:
    return list(input_lines(fa.open_log(format, root, **options)))


def change(before: list[str], now: list[str]) -> str | None:
    return difference(before, now).change


@pytest.mark.quick
def test_every_file_that_is_read_is_noted(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log")
    noted = {line.split(" ", 3)[3] for line in lines(root)}
    assert noted == {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    one = {line.split(" ", 3)[3] for line in lines(root, select="training/000001", intensity_scale=1)}
    clouds = {f"training/velodyne/{i:06d}.bin" for i in range(2)}  # of all frames, which show the scale
    assert one == {n for n in noted if "000001" in n} | clouds


@pytest.mark.parametrize("name", ["training/velodyne/000000.bin", "training/image_2/000000.png"])
def test_files_of_others_that_are_read_are_noted(tmp_path: Path, name: str) -> None:
    """Clouds that show the scale of the intensities, and the first picture: frames without one have its size."""
    root = small_logs.kitti(tmp_path / "log", 4)
    for folder in ("image_2", "image_3"):
        (root / f"training/{folder}/000002.png").unlink()
    before = lines(root, select="training/000002")
    os.utime(root / name, ns=(1, 1))
    assert change(before, lines(root, select="training/000002")) == f"{name} was changed"
    os.utime(root / "training/image_2/000003.png", ns=(1, 1))  # which is not the first
    os.utime(root / "training/label_2/000000.txt", ns=(1, 1))
    assert change(before, lines(root, select="training/000002")) == f"{name} was changed"


def test_pictures_of_others_that_are_not_read_may_change(tmp_path: Path) -> None:
    """All selected frames have their own."""
    root = small_logs.kitti(tmp_path / "log", 3)
    before = lines(root, select="training/000002")
    for path in root.glob("training/image_*/00000[01].png"):
        path.write_bytes(b"x")
    assert change(before, lines(root, select="training/000002")) is None


def test_clouds_of_others_are_noted_in_our_own_formats(tmp_path: Path) -> None:
    """Whose clouds are no files of their own."""
    source = fa.open_log("kitti", small_logs.kitti(tmp_path / "source", 3))
    own = fa.write_log(list(source), tmp_path / "own", "folder").root
    (own / "manifest.jsonl").unlink(missing_ok=True)  # which has the scales
    noted = {line.split(" ", 3)[3] for line in lines(own, "folder", select="training/000001")}
    arrays = {f"samples/training/{i:06d}/streams/velodyne/arrays.npz" for i in range(3)}
    assert arrays <= noted and "samples/training/000000/sample.json" not in noted
    assert "samples/training/000001/sample.json" in noted


@pytest.mark.quick
@pytest.mark.parametrize("folder", ["calib", "velodyne", "image_2", "label_2"])
def test_what_became_of_a_file_is_named(tmp_path: Path, folder: str) -> None:
    root = small_logs.kitti(tmp_path / "log")
    before = lines(root)
    assert change(before, lines(root)) is None
    path = next((root / "training" / folder).glob("000001.*"))
    name, raw = path.relative_to(root).as_posix(), path.read_bytes()
    os.utime(path, ns=(1, 1))
    assert change(before, lines(root)) == f"{name} was changed"
    path.unlink()
    after = lines(root)
    assert change(before, after) == f"{name} is gone"
    assert change(after, before) == f"{name} is new"
    path.write_bytes(raw + b" ")
    assert change(before, lines(root)) == f"{name} was changed"


@pytest.mark.quick
def test_what_nothing_reads_may_come_and_go(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log")
    before = lines(root)
    for name in ("training/notes of a colleague.ods", "training/.DS_Store", "README.md"):
        (root / name).write_text("x")
    assert difference(before, lines(root)) == (None, 0, "")


@pytest.mark.quick
def test_files_with_their_old_date_are_told(tmp_path: Path) -> None:
    """Copies, links and other rights change the ctime alone, and so does who writes and restores the date."""
    root = small_logs.kitti(tmp_path / "log")
    before = lines(root)
    first, second = (root / "training/calib" / f"00000{i}.txt" for i in range(2))
    facts = first.stat()
    first.write_bytes(first.read_bytes()[::-1])
    os.utime(first, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    second.chmod(0o600)
    assert difference(before, lines(root)) == (None, 2, "training/calib/000000.txt")


def test_files_of_options_are_known_by_their_bytes(tmp_path: Path) -> None:
    """A rig file, and the robot's description and the pictures of gels that it names."""
    rig, urdf = tmp_path / "rig.yaml", tmp_path / "arm.urdf"
    rig.write_text((ARM / "mcap_rig.yaml").read_text())
    urdf.write_text((ARM / "arm.urdf").read_text())
    gels = [tmp_path / path.name for path in ARM.glob("tactile_*.png")]
    for path in gels:
        path.write_bytes((ARM / path.name).read_bytes())
    root = small_logs.arm(tmp_path / "log", "mcap")
    before = lines(root, "mcap", rig=str(rig))
    assert len(gels) == 2
    for path, old, new in (
        (rig, b"0.83", b"0.82"),
        (urdf, b"<robot", b" robot"),
        *((g, b"IEND", b"ieND") for g in gels),
    ):
        whole, facts = path.read_bytes(), path.stat()
        os.utime(path, ns=(1, 1))
        assert difference(before, lines(root, "mcap", rig=str(rig))) == (None, 0, "")
        log = fa.open_log("mcap", root, rig=str(rig))
        path.write_bytes(whole.replace(old, new, 1))
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        assert change(before, list(input_lines(log))) == f"{path} was changed"
        path.write_bytes(whole)
