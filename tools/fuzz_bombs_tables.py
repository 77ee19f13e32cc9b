"""Tables, messages and HDF5 files of ``fuzz.py`` that stand for far more than they are, or name other files."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fuzz_hand import Hand, first

CASES: dict[str, Hand] = {}


# --- Feather and Parquet ----------------------------------------------------------------------------------------------
def _columns(names: list[str], what: str) -> Any:
    """A table whose columns are all of one kind of bomb."""
    import numpy as np
    import pyarrow as pa

    many, few = 2**27, 4000
    text = pa.array(["x" * 2**20])
    kinds: dict[str, Callable[[], Any]] = {
        "zeros": lambda: pa.array(np.zeros(2**26)),
        "empty cells": lambda: pa.nulls(many),
        "a dictionary of one long text": lambda: pa.DictionaryArray.from_arrays(pa.array([0] * few, pa.int32()), text),
        "one long text and many short": lambda: pa.array(["x" * 2**20, *["x"] * few]),
        "lists of nothing": lambda: pa.array([[]] * few, pa.list_(pa.list_(pa.float64()))),
        "lists of empty cells": lambda: pa.FixedSizeListArray.from_arrays(pa.nulls(2**28, pa.null()), 2**16),
        "runs": lambda: pa.RunEndEncodedArray.from_arrays(pa.array([2**30], pa.int32()), pa.array([1.0])),
    }
    column = kinds[what]()
    return pa.table(dict.fromkeys(names, column))


def _feather(root: Path, outside: Path, what: str, pattern: str) -> None:
    from pyarrow import feather

    for path in root.rglob(pattern):
        names = feather.read_table(path).column_names
        table = _columns(names[:3] if what in ("zeros", "empty cells", "runs") else names, what)
        feather.write_feather(table, path, compression="zstd", chunksize=2**28)


def _parquet(root: Path, outside: Path, what: str, pattern: str) -> None:
    from pyarrow import parquet

    for path in root.rglob(pattern):
        names = parquet.read_schema(path).names
        table = _columns(names[:3] if what in ("zeros", "empty cells") else names, what)
        parquet.write_table(table, path, compression="zstd", dictionary_pagesize_limit=2**30)


TABLES = ("zeros", "empty cells", "a dictionary of one long text", "one long text and many short", "lists of nothing")
for _what in (*TABLES, "lists of empty cells", "runs"):
    for _pattern in ("annotations.feather", "*.feather"):
        CASES[f"argoverse2/{_pattern}: {_what}"] = Hand("argoverse2", partial(_feather, what=_what, pattern=_pattern))
for _what in TABLES:
    for _pattern in ("tasks.parquet", "*.parquet"):
        CASES[f"lerobot/{_pattern}: {_what}"] = Hand("lerobot", partial(_parquet, what=_what, pattern=_pattern))


# --- messages ---------------------------------------------------------------------------------------------------------
def _messages(root: Path, outside: Path, change: Callable[[Any, Any], bytes | None], packed: str = "zstd") -> None:
    """The recording again, with other bytes of some messages.

    Args:
        change: function of topic's schema and the message's bytes; None leaves them. packed: of chunks.
    """
    from mcap.reader import make_reader
    from mcap.writer import CompressionType, Writer

    path = first(root, "*.mcap")
    source, target = io.BytesIO(path.read_bytes()), io.BytesIO()
    writer, channels = Writer(target, chunk_size=2**16, compression=CompressionType[packed.upper()]), {}
    writer.start(profile="ros2")
    for schema, channel, message in make_reader(source).iter_messages():
        if channel.topic not in channels:
            kind = writer.register_schema(schema.name, schema.encoding, schema.data)
            channels[channel.topic] = writer.register_channel(channel.topic, "cdr", kind, channel.metadata)
        data = change(schema.name, message.data)
        writer.add_message(
            channels[channel.topic], message.log_time, message.data if data is None else data, message.publish_time
        )
    writer.finish()
    path.write_bytes(target.getvalue())


def _wide_pictures(schema: str, data: bytes) -> bytes | None:
    """A compressed picture of 30,000 x 30,000 pixels in place of every one."""
    from fuzz_bombs_binary import png

    if not schema.endswith("CompressedImage"):
        return None
    from fusion_aug.logs.mcap.file import decode, encode

    message = decode(data, schema, "", "fuzz")
    import numpy as np

    message.data = np.frombuffer(png(30_000, 30_000, 16, color=6), np.uint8)
    return encode(message, schema)


def _long_arrays(schema: str, data: bytes) -> bytes | None:
    """Counts of 2^31 in place of the first number of the body of every message of joints."""
    if not schema.endswith("JointState"):
        return None
    at = data.index(b"\0\0\0", 12) if b"\0\0\0" in data[12:] else 12
    return data[:at] + struct.pack("<I", 2**31 - 1) + data[at + 4 :]


CASES["mcap: pictures of 30,000 x 30,000"] = Hand("mcap", partial(_messages, change=_wide_pictures))
CASES["mcap: arrays of 2^31 entries"] = Hand("mcap", partial(_messages, change=_long_arrays))


def _chunks(root: Path, outside: Path, packed: str, unpacked: int, told: int | None, sized: bool) -> None:
    """Chunks of zeros, which are unknown records of no length, and so without end.

    Args:
        packed: compression. unpacked: bytes that they hold. told: bytes that they declare; None is the truth.
        sized: whether the packed bytes say their size themselves.
    """
    import lz4.frame
    import zstandard

    if packed == "zstd":
        compressor = zstandard.ZstdCompressor(write_content_size=sized).compressobj(size=unpacked if sized else -1)
    else:
        compressor = lz4.frame.LZ4FrameCompressor(block_size=lz4.frame.BLOCKSIZE_MAX4MB)
    parts = [compressor.begin(unpacked if sized else 0)] if packed == "lz4" else []
    parts += [compressor.compress(bytes(2**24)) for _ in range(unpacked // 2**24)] + [compressor.flush()]
    content = b"".join(parts)
    path = first(root, "*.mcap")
    raw = bytearray(path.read_bytes())
    from mcap.reader import make_reader

    summary = make_reader(io.BytesIO(bytes(raw))).get_summary()
    assert summary is not None
    index = summary.chunk_indexes[0]
    head = bytes(raw[index.chunk_start_offset + 9 :][:16])  # its times
    body = head + struct.pack("<QII", unpacked if told is None else told, 0, len(packed)) + packed.encode()
    body += struct.pack("<Q", len(content)) + content
    new = len(raw)  # it is put behind the file, and its index leads there
    place = raw.index(struct.pack("<QQ", index.chunk_start_offset, index.chunk_length))
    record = b"\x06" + struct.pack("<Q", len(body)) + body
    raw[place : place + 16] = struct.pack("<QQ", new, len(record))
    tail = raw[-37:]  # footer and magic stay the last
    path.write_bytes(bytes(raw) + record + bytes(tail))


for _packed in ("zstd", "lz4"):
    for _told, _word in ((None, "declared"), (1000, "declared as 1,000")):
        for _sized in (True, False):
            _name = f"mcap: 3 GiB in a chunk of {_packed}, {_word}, {'with' if _sized else 'without'} a size of its own"
            CASES[_name] = Hand("mcap", partial(_chunks, packed=_packed, unpacked=3 * 2**30, told=_told, sized=_sized))


# --- HDF5 -------------------------------------------------------------------------------------------------------------
def _hdf5(root: Path, outside: Path, change: Callable[[Any, Path], None]) -> None:
    import h5py

    with h5py.File(root / "demos.hdf5", "r+") as file:
        change(file, outside)


def _other_file(outside: Path) -> str:
    return str(outside / "secret.json")


def _soft_to_external(file: Any, outside: Path) -> None:
    import h5py

    file["hidden"] = h5py.ExternalLink(_other_file(outside), "/data")
    del file["data"]
    file["data"] = h5py.SoftLink("/hidden")


def _external(file: Any, outside: Path) -> None:
    import h5py

    file["data/demo_0/obs/more"] = h5py.ExternalLink(_other_file(outside), "/data")


def _storage(file: Any, outside: Path) -> None:
    del file["data/demo_0/actions"]
    file["data/demo_0"].create_dataset("actions", (4, 7), "f4", external=[(_other_file(outside), 0, 112)])


def _virtual(file: Any, outside: Path) -> None:
    import h5py

    layout = h5py.VirtualLayout((6, 7), "f8")
    layout[:] = h5py.VirtualSource(_other_file(outside), "actions", (6, 7))
    del file["data/demo_0/actions"]
    file.create_virtual_dataset("data/demo_0/actions", layout)


def _replaced(file: Any, outside: Path, name: str, shape: tuple[int, ...], kind: str, **more: Any) -> None:
    del file[f"data/demo_0/{name}"]
    data = file["data/demo_0"].create_dataset(name, shape, kind, **more)
    if more.get("compression"):
        data[0] = 1


def _circle(file: Any, outside: Path) -> None:
    file["data/demo_0/obs/again"] = file["data"]


def _soft_circle(file: Any, outside: Path) -> None:
    import h5py

    file["data/demo_0/obs/again"] = h5py.SoftLink("/data/demo_0/obs/again")


def _many_groups(file: Any, outside: Path) -> None:
    for k in range(20_000):
        file["data/demo_0/obs"].create_group(f"g{k}")


def _references(file: Any, outside: Path) -> None:
    import h5py

    del file["data/demo_0/actions"]
    file["data/demo_0"].create_dataset("actions", (6,), h5py.ref_dtype)[:] = file["data"].ref


HUGE, WIDE = (10**9, 7), (6, 10**9)
FILES: dict[str, Callable[[Any, Path], None]] = {
    "a soft link to an external one": _soft_to_external,
    "an external link": _external,
    "external storage": _storage,
    "a virtual dataset": _virtual,
    "10^9 actions without data": partial(_replaced, name="actions", shape=HUGE, kind="f8", chunks=(1000, 7)),
    "actions of 10^9 numbers": partial(_replaced, name="actions", shape=WIDE, kind="f4", chunks=(1, 10**6)),
    "10^9 rewards without data": partial(_replaced, name="rewards", shape=(10**9,), kind="f8", chunks=(1000,)),
    "a packed chunk of 2 GiB": partial(
        _replaced, name="obs/front_image", shape=(6, 26_000, 26_000, 3), kind="u1", chunks=(1, 26_000, 26_000, 3)
    ),
    "pictures of 10^9 pixels": partial(
        _replaced, name="obs/front_image", shape=(6, 30_000, 30_000, 3), kind="u1", chunks=(1, 100, 100, 3)
    ),
    "no dimensions": partial(_replaced, name="actions", shape=(), kind="f8"),
    "texts without end": partial(_replaced, name="actions", shape=(6,), kind="S1000000", chunks=(6,)),
    "references": _references,
    "a group within itself": _circle,
    "a soft link to itself": _soft_circle,
}
for _name, _change in FILES.items():
    CASES[f"robomimic: {_name}"] = Hand("robomimic", partial(_hdf5, change=_change))
CASES["robomimic: 20,000 groups"] = Hand("robomimic", partial(_hdf5, change=_many_groups), may_be_read=True)
