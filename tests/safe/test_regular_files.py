"""Odd things in place of files: one sentence each, at once; and what cannot be read is not what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_logs
from mutations import ODD_FILES

import fusion_aug as fa
from calib.regular_files import is_there, open_regular, read_regular
from calib.rig_file import read_rig_file
from calib.urdf import load_urdf
from fusion_aug.errors import USER_ERRORS
from fusion_aug.logs.core.files import read_json

pytestmark = pytest.mark.quick
ODD = sorted(set(ODD_FILES) - {"nothing"})


@pytest.mark.parametrize("kind", [k for k in ODD if k != "link outside"])
def test_a_reader_of_one_file_refuses_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    ODD_FILES[kind](path, tmp_path)
    assert is_there(path)
    with pytest.raises(OSError, match=r"."):
        open_regular(path)
    for read in (read_json, read_rig_file, load_urdf):
        with pytest.raises(USER_ERRORS, match=r"x\.json") as told:
            read(path)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    "name", ["velodyne/000000.bin", "image_2/000000.png", "label_2/000000.txt", "calib/000000.txt"]
)
def test_no_part_of_a_sample_is_left_out_in_silence(kind: str, name: str, tmp_path: Path) -> None:
    path = small_logs.kitti(tmp_path / "log", frames=1) / "training" / name
    path.unlink()
    ODD_FILES[kind](path, tmp_path)
    with pytest.raises(USER_ERRORS, match=path.name.replace(".", r"\.")):
        for stream in fa.open_log("kitti", tmp_path / "log")[0].streams.values():
            [s.value for s in getattr(stream, "sources", None) or () if s is not None]


def test_a_size_is_checked_before_reading(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert read_regular(tmp_path / "x", 3) == b"abc"
    with pytest.raises(OSError, match="larger than the 2 bytes"):
        read_regular(tmp_path / "x", 2)
