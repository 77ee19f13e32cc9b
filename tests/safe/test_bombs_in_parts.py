"""Files of which a small part stands for much: dictionaries, blocks, chunks, scans, and lists of other files."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import cv2
import h5py
import lz4.frame
import numpy as np
import pyarrow as pa
import pytest
import small_logs
from places import ARM
from pyarrow import feather, parquet

import fusion_aug as fa
from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2.feather import read_arrow, read_table
from fusion_aug.logs.core.files import decoded_picture
from fusion_aug.logs.lerobot.tables import read_table as read_parquet
from fusion_aug.logs.lerobot.video import frame_at
from fusion_aug.safe.chunks import check_chunks

LONG = pa.array(["x" * 2**20])


@pytest.mark.parametrize("shape", ["flat", "list"])
def test_one_long_text_in_every_row(shape: str, tmp_path: Path) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 600, pa.int32()), LONG)
    if shape == "list":
        column = pa.ListArray.from_arrays(pa.array(range(601), pa.int32()), column)
    table = pa.table({"category": column})
    feather.write_feather(table, tmp_path / "x.feather", compression="zstd")
    with pytest.raises(DataError, match=r"x\.feather: declares"):
        read_arrow(None, tmp_path / "x.feather")
    parquet.write_table(table, tmp_path / "x.parquet", compression="zstd", dictionary_pagesize_limit=2**30)
    with pytest.raises(DataError, match=r"x\.parquet: declares"):
        read_parquet(tmp_path / "x.parquet")


def test_one_long_text_among_many_short(tmp_path: Path) -> None:
    feather.write_feather(pa.table({"category": ["x" * 2**20, *["x"] * 600]}), tmp_path / "x.feather")
    with pytest.raises(DataError, match=r"x\.feather: category: declares"):
        read_table(None, tmp_path / "x.feather", ("category",))


def test_honest_dictionaries(tmp_path: Path) -> None:
    texts = ["car", "truck", None] * 3000
    table = pa.table({"category": pa.array(texts).dictionary_encode(), "more": [[t] for t in texts]})
    parquet.write_table(table, tmp_path / "x.parquet")
    assert read_parquet(tmp_path / "x.parquet")["more"].to_pylist() == table["more"].to_pylist()
    feather.write_feather(table, tmp_path / "x.feather")
    assert read_arrow(None, tmp_path / "x.feather")["category"].to_pylist() == texts


@pytest.mark.quick
def test_blocks_of_lz4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a chunk declares does not count where its blocks may hold more."""
    monkeypatch.setattr("fusion_aug.safe.chunks.MOST_BYTES", 2**24)
    packer = lz4.frame.LZ4FrameCompressor(block_size=lz4.frame.BLOCKSIZE_MAX4MB)
    parts = [packer.begin(), *(packer.compress(bytes(2**24)) for _ in range(2)), packer.flush()]
    content, path = b"".join(parts), tmp_path / "x.mcap"
    head = struct.pack("<QQQII", 0, 1, 1000, 0, 3) + b"lz4" + struct.pack("<Q", len(content))
    path.write_bytes(bytes(9) + head + content)
    with path.open("rb") as stream, pytest.raises(DataError, match="declares"):
        check_chunks(path, stream, [SimpleNamespace(chunk_start_offset=0)])
    small = lz4.frame.compress(bytes(2**20))
    head = struct.pack("<QQQII", 0, 1, 2**20, 0, 3) + b"lz4" + struct.pack("<Q", len(small))
    path.write_bytes(bytes(9) + head + small)
    with path.open("rb") as stream:
        check_chunks(path, stream, [SimpleNamespace(chunk_start_offset=0)])


@pytest.mark.parametrize(
    ("name", "shape", "chunks"),
    [("actions", (10**9, 7), (1000, 7)), ("rewards", (10**9,), (1000,)), ("obs/gripper", (12, 10**8), (1, 10**8))],
)
def test_hdf5_that_stores_nothing(name: str, shape: tuple[int, ...], chunks: tuple[int, ...], tmp_path: Path) -> None:
    path = small_logs.robomimic(tmp_path / "log", demos=1) / "demos.hdf5"
    with h5py.File(path, "r+") as file:
        del file[f"data/demo_0/{name}"]
        file["data/demo_0"].create_dataset(name, shape, "f8", chunks=chunks)
    with pytest.raises(DataError, match=r"demos\.hdf5: .*(declares|rows, expected)"):
        fa.open_log("robomimic", path.parent)[0]


@pytest.mark.quick
def test_a_chunk_that_is_larger_than_its_picture() -> None:
    raw = cv2.imencode(".png", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    assert decoded_picture(raw, cv2.IMREAD_COLOR, "x.png") is not None
    at = raw.index(b"IDAT") - 4
    assert decoded_picture(raw[:at] + b"\xf0" + raw[at + 1 :], cv2.IMREAD_COLOR, "x.png") is None


@pytest.mark.quick
def test_pictures_that_are_drawn_again_and_again() -> None:
    raw = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    picture = decoded_picture(raw, cv2.IMREAD_COLOR, "x.jpg")
    assert picture is not None and picture.shape == (16, 16, 3)
    scan = raw.rindex(b"\xff\xda")
    with pytest.raises(DataError, match=r"x\.jpg: is a JPEG of \d+ scans"):
        decoded_picture(raw[:-2] + raw[scan:-2] * 200 + raw[-2:], cv2.IMREAD_COLOR, "x.jpg")
    with pytest.raises(DataError, match="neither a PNG nor a JPEG"):
        decoded_picture(b"II*\0\x08\0\0\0" + bytes(64), cv2.IMREAD_COLOR, "x.tif")


def test_a_list_of_files_is_no_video(tmp_path: Path) -> None:
    shutil.copy(next((ARM / "lerobot").rglob("*.mp4")), tmp_path / "other.mp4")
    assert frame_at(tmp_path / "other.mp4", 0.0).ndim == 3
    (tmp_path / "x.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(DataError, match=r"x\.mp4: is not a readable video"):
        frame_at(tmp_path / "x.mp4", 0.0)
