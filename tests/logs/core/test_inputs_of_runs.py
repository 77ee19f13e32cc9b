"""What a run reads is noted: names, sizes and dates of files of the selected samples, and where two notes differ."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import small_logs
from places import ARM

import fusion_aug as fa
from fusion_aug.logs.core.inputs import first_change, input_lines


def lines(root: Path, format: str = "kitti", **options: object) -> list[str]:
    return list(input_lines(fa.open_log(format, root, **options)))


@pytest.mark.quick
def test_every_file_that_is_read_is_noted(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log")
    noted = {line.split(" ", 2)[2] for line in lines(root)}
    assert noted == {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    one = {line.split(" ", 2)[2] for line in lines(root, select="training/000001")}
    assert one == {n for n in noted if "000001" in n}


@pytest.mark.quick
@pytest.mark.parametrize("folder", ["calib", "velodyne", "image_2", "label_2"])
def test_what_became_of_a_file_is_named(tmp_path: Path, folder: str) -> None:
    root = small_logs.kitti(tmp_path / "log")
    before = lines(root)
    assert first_change(before, lines(root)) is None
    path = next((root / "training" / folder).glob("000001.*"))
    name, raw = path.relative_to(root).as_posix(), path.read_bytes()
    os.utime(path, ns=(1, 1))
    assert first_change(before, lines(root)) == f"{name} was changed"
    path.unlink()
    after = lines(root)
    assert first_change(before, after) == f"{name} is gone"
    assert first_change(after, before) == f"{name} is new"
    path.write_bytes(raw + b" ")
    assert first_change(before, lines(root)) == f"{name} was changed"


def test_what_nothing_reads_may_come_and_go(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log")
    before = lines(root)
    (root / "training" / "notes of a colleague.ods").write_text("x")
    assert first_change(before, lines(root)) is None


def test_files_of_options_are_noted_and_those_that_they_name(tmp_path: Path) -> None:
    """A rig file, the robot's description that it names, and a file of joints."""
    rig, urdf = tmp_path / "rig.yaml", tmp_path / "arm.urdf"
    rig.write_text((ARM / "mcap_rig.yaml").read_text())
    urdf.write_text((ARM / "arm.urdf").read_text())
    for path in ARM.glob("tactile_*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    root = small_logs.arm(tmp_path / "log", "mcap")
    before = lines(root, "mcap", rig=str(rig))
    for path in (rig, urdf):
        facts = path.stat()
        os.utime(path, ns=(1, 1))
        assert first_change(before, lines(root, "mcap", rig=str(rig))) == f"{path} was changed"
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert first_change(before, lines(root, "mcap", rig=str(rig))) is None
