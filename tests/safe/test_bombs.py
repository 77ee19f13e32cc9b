"""Files that stand for far more than they are: refused in one sentence, soon, and before memory is taken."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import feather, parquet

from calib import CalibrationError, rig_from_dict
from calib.rig_file import read_rig_file
from calib.urdf import robot_from_urdf
from calib.yaml_text import load_yaml
from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2.feather import read_arrow
from fusion_aug.logs.core.files import image_size
from fusion_aug.logs.core.npz import read_npz, write_npz
from fusion_aug.logs.lerobot.tables import read_table
from fusion_aug.safe.chunks import check_chunks


@pytest.fixture(autouse=True)
def _soon() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < 20


# --- arrays, tables, messages, pictures -------------------------------------------------------------------------------
def test_arrays(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", head.getvalue() + bytes(64))
    with pytest.raises(DataError, match=r"x\.npz: a: declares"):
        read_npz(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as member:
        for _ in range(700):
            member.write(bytes(2**20))
    with pytest.raises(DataError, match=r"x\.npz: 734003200 bytes of arrays"):
        read_npz(path)
    write_npz({"a": np.zeros((1000, 1000))}, path)
    assert read_npz(path)["a"].shape == (1000, 1000), "zeros are honest"


@pytest.mark.parametrize("what", ["packed", "empty cells"])
def test_tables(what: str, tmp_path: Path) -> None:
    table = pa.table({"a": np.zeros(50_000_000, np.float64) if what == "packed" else pa.nulls(2**27)})
    feather.write_feather(table, tmp_path / "x.feather", compression="zstd", chunksize=2**27)
    with pytest.raises(DataError, match=r"x\.feather: declares"):
        read_arrow(None, tmp_path / "x.feather")
    parquet.write_table(table, tmp_path / "x.parquet", compression="zstd")
    with pytest.raises(DataError, match=r"x\.parquet: declares"):
        read_table(tmp_path / "x.parquet")


@pytest.mark.quick
@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_honest_tables(compression: str, tmp_path: Path) -> None:
    text = pa.array(["x", "yy"] * 500)
    table = pa.table({"a": np.arange(1000.0), "s": text, "d": text.dictionary_encode(), "l": [[1, 2]] * 1000})
    feather.write_feather(table, tmp_path / "x.feather", compression=compression, chunksize=300)
    assert read_arrow(None, tmp_path / "x.feather").equals(table)


@pytest.mark.quick
def test_chunks_of_messages(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    for unpacked, packed in ((2**40, 100), (100, 2**40)):
        head = struct.pack("<QQQII", 0, 1, unpacked, 0, 3) + b"lz4" + struct.pack("<Q", packed)
        path.write_bytes(bytes(5) + bytes(9) + head + bytes(100))
        with path.open("rb") as stream, pytest.raises(DataError, match=r"x\.mcap: chunk at byte 5: declares"):
            check_chunks(path, stream, [SimpleNamespace(chunk_start_offset=5)])


@pytest.mark.quick
def test_pictures(tmp_path: Path) -> None:
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    raw = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    (tmp_path / "x.png").write_bytes(raw)
    with pytest.raises(DataError, match=r"x\.png: image size 30000x30000 is out of bounds"):
        image_size(tmp_path / "x.png")


# --- descriptions -----------------------------------------------------------------------------------------------------
ALIASES = "a: &a [1, 2]\n" + "".join(
    f"{new}: &{new} [{', '.join(9 * [f'*{old}'])}]\n" for old, new in pairwise("abcdefghijklm")
)


@pytest.mark.quick
@pytest.mark.parametrize("text", [ALIASES, "[" * 600, "{a: " * 600, "- " * 100_000 + "1", "[" * 1_000_000])
def test_yaml(text: str, tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError, match=r"stands for more than|is nested more than"):
        load_yaml(text)
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(CalibrationError, match=r"x\.yaml: is not valid YAML"):
        read_rig_file(tmp_path / "x.yaml")


@pytest.mark.quick
def test_aliases_and_nesting_that_are_honest() -> None:
    assert load_yaml("a: &a {x: 1e-3}\nb: [*a, {<<: *a, y: 2}]\n")["b"][1] == {"x": 1e-3, "y": 2}
    assert load_yaml("[" * 30 + "]" * 30) is not None


@pytest.mark.parametrize("chain", [True, False])
def test_ten_thousand_frames(chain: bool) -> None:
    pose = {"translation": [0.0, 0.0, 0.1], "rotation": [1.0, 0.0, 0.0, 0.0]}
    frames = {"f0": {}} | {f"f{i}": {"parent": f"f{i - 1 if chain else 0}", **pose} for i in range(1, 10_000)}
    if chain:
        with pytest.raises(CalibrationError, match="more than 1000 ancestors"):
            rig_from_dict({"frames": frames}, "rig")
    else:
        assert len(rig_from_dict({"frames": frames}, "rig").frames) == 10_000


def robot(joints: int, mimic: bool = False) -> str:
    links = "".join(f'<link name="l{i}"/>' for i in range(joints + 1))
    for i in range(joints):
        follows = f'<mimic joint="j{i + 1}"/>' if mimic and i < joints - 1 else ""
        links += (
            f'<joint name="j{i}" type="revolute"><parent link="l{i}"/><child link="l{i + 1}"/>'
            f'<axis xyz="0 0 1"/>{follows}</joint>'
        )
    return f'<robot name="r">{links}</robot>'


@pytest.mark.quick
def test_robots() -> None:
    assert len(robot_from_urdf(robot(900)).edges) == 900
    with pytest.raises(CalibrationError, match="more than 1,000 links"):
        robot_from_urdf(robot(5000))
    with pytest.raises(CalibrationError, match="follows more than 32 others"):
        robot_from_urdf(robot(900, mimic=True))
    with pytest.raises(CalibrationError, match="is not valid XML"):
        robot_from_urdf("<robot>" * 100_000)
