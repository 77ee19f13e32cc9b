"""Arrays of Zarr 2 in a folder or a zip, none of which takes more memory than it says, or runs code.

The package zarr reads them. What it would trust is looked at before: metadata, the codec (some unpickle), the size that
a packed chunk declares, and where a file lies.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import check_regular, is_there, read_regular
from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.safe.arrow import check_declared
from fusion_aug.safe.picture_sizes import jpeg2000_size, jpegxl_size

NEED = "Zarr logs need the package zarr: pip install '.[zarr]'"
PICTURE_CODECS = {"imagecodecs_jpegxl": jpegxl_size, "imagecodecs_jpeg2k": jpeg2000_size}
CODECS = ("blosc", "lz4", "zlib", *PICTURE_CODECS)
METADATA = ".zarray"
MAX_METADATA, MAX_AXES = 2**20, 8


@dataclass(frozen=True)
class ArrayFacts:
    """What the metadata of an array say.

    Attributes:
        name: path in the store. shape, chunks: sizes. dtype: of its numbers. codec: name of it; "" for none.
        problem: why it is not read; empty where it can be.
    """

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    codec: str
    problem: str = ""

    @property
    def chunk_bytes(self) -> int:
        """Bytes of an unpacked chunk."""
        return prod(self.chunks) * self.dtype.itemsize


class Store:
    """A store of Zarr 2.

    Args:
        path: folder, or zip. links: folders that links in it may lead to.

    Raises:
        DataError: it cannot be read, or its zip unpacks to more than a file of its size holds.
    """

    def __init__(self, path: Path, links: tuple[str, ...] = ()):
        self.path = path
        self.allowed = [p.resolve() for p in (path, *map(Path, links))]
        self.zip: zipfile.ZipFile | None = None
        if not path.is_dir():
            check_regular(path)
            try:
                self.zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
                raise DataError(f"{path}: is not a readable zip ({error})") from None
            check_declared(sum(i.file_size for i in self.zip.infolist()), path.stat().st_size, path)

    def names(self, folder: str) -> list[str]:
        """Names that lie in a folder of the store, sorted."""
        if self.zip is not None:
            inside = (n.removeprefix(f"{folder}/") for n in self.zip.namelist() if n.startswith(f"{folder}/"))
            return sorted({n.partition("/")[0] for n in inside} - {""})
        below = self.path / folder
        return sorted(p.name for p in below.iterdir()) if below.is_dir() and self.holds(below) else []

    def holds(self, path: Path) -> bool:
        """Whether a file lies in the store, or where links may lead."""
        real = path.resolve()
        return any(real.is_relative_to(folder) for folder in self.allowed)

    def look_at(self, key: str) -> None:
        """Raise if a file of the store is none, or lies elsewhere.

        Raises:
            DataError: it does.
        """
        path = self.path / key
        if self.zip is not None or not is_there(path):
            return
        if not self.holds(path):
            raise DataError(f"{path}: lies outside the log; name the folder in log.follow_links to have it read")
        try:
            check_regular(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None

    def text(self, key: str) -> bytes | None:
        """Bytes of a file of metadata; None where there is none."""
        where = f"{self.path}/{key}"
        try:
            if self.zip is not None:
                if key not in self.zip.namelist():
                    return None
                if self.zip.getinfo(key).file_size > MAX_METADATA:
                    raise DataError(f"{where}: is larger than {MAX_METADATA >> 20} MiB")
                return self.zip.read(key)
            self.look_at(key)
            return read_regular(self.path / key, MAX_METADATA) if is_there(self.path / key) else None
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{where}: cannot be read ({error})") from None

    def facts(self, name: str) -> ArrayFacts | None:
        """What the metadata of an array say; None where there is none of that name.

        Raises:
            DataError: they are damaged, or out of bounds.
        """
        raw, where = self.text(f"{name}/{METADATA}"), f"{self.path}/{name}/{METADATA}"
        if raw is None:
            return None
        try:
            found = json.loads(raw)
            shape, chunks = (tuple(found[n]) for n in ("shape", "chunks"))
            kind = found["dtype"]
            codec = (found.get("compressor") or {}).get("id", "")
            plain = not found.get("filters") and found.get("zarr_format") == 2
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(f"{where}: is not the metadata of an array of Zarr 2 ({error})") from None
        sizes = (*shape, *chunks)
        if len(shape) != len(chunks) or len(shape) > MAX_AXES or not all(type(n) is int for n in sizes):
            raise DataError(f"{where}: shape and chunks: expected as many whole numbers, got {sizes!r:.100}")
        if min(sizes, default=0) < 0 or min(chunks, default=1) < 1 or max(sizes, default=0) > 2**40:
            raise DataError(f"{where}: shape and chunks: {sizes!r:.100} are out of bounds")
        problem = "" if plain else "is packed with filters"
        try:
            dtype = np.dtype(kind) if isinstance(kind, str) else np.dtype(object)
        except TypeError:
            dtype = np.dtype(object)
        if dtype.kind not in "biuf":
            problem = f"holds no numbers ({kind!r:.40})"
        elif codec and codec not in CODECS:
            problem = f"is packed with the codec {codec!r}, which is not read (of codecs {', '.join(CODECS)} are)"
        elif codec in PICTURE_CODECS and not codecs_are_there():
            problem = f"is packed with the codec {codec!r}, which is not installed: pip install '.[umi]'"
        return ArrayFacts(name, shape, chunks, dtype, str(codec), problem)

    def stored_bytes(self, name: str) -> int:
        """Bytes of the chunks of an array."""
        if self.zip is not None:
            return sum(i.compress_size for i in self.zip.infolist() if i.filename.startswith(f"{name}/"))
        return sum(p.stat().st_size for p in (self.path / name).iterdir() if p.is_file())


def check_chunk(raw: bytes, facts: ArrayFacts, where: str) -> None:
    """Raise if a packed chunk would take more memory than the chunks of its array have.

    Raises:
        DataError: it would, or is damaged.
    """
    if facts.codec in PICTURE_CODECS:
        size = PICTURE_CODECS[facts.codec](raw)
        if size is None or size != facts.chunks[-3:-1]:
            raise DataError(f"{where}: a picture of {facts.chunks[-3:-1]} was expected, got {size or 'none'}")
        return
    if facts.codec == "zlib":
        unpacking = zlib.decompressobj()
        try:
            unpacking.decompress(raw, facts.chunk_bytes + 1)
        except zlib.error as error:
            raise DataError(f"{where}: is damaged ({error})") from None
        declared = facts.chunk_bytes + bool(unpacking.unconsumed_tail)
    else:
        at = {"blosc": 4, "lz4": 0}.get(facts.codec)
        if at is not None and len(raw) < at + 4:
            raise DataError(f"{where}: is cut off")
        declared = len(raw) if at is None else struct.unpack_from("<I", raw, at)[0]
    if declared != facts.chunk_bytes:
        raise DataError(f"{where}: a chunk of {facts.chunk_bytes:,} bytes was expected, and it declares {declared:,}")


@lru_cache(maxsize=1)
def codecs_are_there() -> bool:
    """Whether the codecs of pictures can be had; they are registered then."""
    try:
        from imagecodecs.numcodecs import register_codecs
    except ImportError:
        return False
    for name in PICTURE_CODECS:
        register_codecs(name, verbose=False)
    return True


@lru_cache(maxsize=64)
def _opened(path: Path, version: tuple[int, int], name: str, links: tuple[str, ...]) -> tuple[Any, ArrayFacts, int]:
    """An array of the package, its facts, and the bytes that are stored of it."""
    store = Store(path, links)
    facts = store.facts(name)
    if facts is None or facts.problem:
        raise DataError(f"{path}/{name}: {facts.problem if facts else 'is missing'}")
    known = facts
    try:
        import zarr
        from zarr.storage import LocalStore, WrapperStore, ZipStore
    except ImportError:
        raise MissingPackage(NEED) from None

    class Checked(WrapperStore[Any]):
        """The store of the package, whose files are looked at before they are handed on."""

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            store.look_at(key)
            found = await super().get(key, prototype, byte_range)
            if found is not None and key.startswith(f"{name}/") and not key.rpartition("/")[2].startswith("."):
                check_chunk(found.to_bytes(), known, f"{path}/{key}")
            return found

    under = LocalStore(path, read_only=True) if path.is_dir() else ZipStore(path, mode="r", read_only=True)
    return zarr.open_array(Checked(under), path=name, mode="r", zarr_format=2), facts, store.stored_bytes(name)


def _version(path: Path, name: str) -> tuple[int, int]:
    """What changes where the metadata of an array, or the zip that they lie in, are others."""
    metadata = path / name / METADATA
    found = metadata.lstat() if path.is_dir() and is_there(metadata) else path.stat()
    return found.st_mtime_ns, found.st_ino


def read_array(path: Path, name: str, rows: slice, links: tuple[str, ...] = ()) -> np.ndarray:
    """Rows of an array of a store.

    Args:
        path: of the store. name: of the array in it. rows: of its first axis. links: see ``Store``.

    Raises:
        DataError: it is missing, damaged, or far larger than what is stored. MissingPackage: zarr is not there.
    """
    where = f"{path}/{name}"
    array, facts, stored = _opened(path, _version(path, name), name, links)
    start, stop, _ = rows.indices(facts.shape[0])
    declared = (max(stop - start, 0) * prod(facts.shape[1:])) * facts.dtype.itemsize
    # missing chunks read as zeros, so what is not stored may be declared
    check_declared(max(declared, facts.chunk_bytes), stored, where)
    try:
        return np.asarray(array[rows])
    except DataError:
        raise
    except Exception as error:  # the libraries' many
        raise DataError(f"{where}: is damaged ({' '.join(str(error).split())[:200]})") from None
