"""Files of logs: pictures in and out, copies, safe paths."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.gel import png_size
from calib.regular_files import check_regular, open_regular, read_regular, read_regular_text, status
from fusion_aug.errors import DataError
from fusion_aug.logs.core.jpeg import START as JPEG_START
from fusion_aug.logs.core.jpeg import is_plain, jpeg_size
from fusion_aug.logs.core.new_files import new_path, write_new_bytes, write_new_text
from fusion_aug.logs.core.tree import Tree
from fusion_aug.ops.color import levels_of
from fusion_aug.streams.source import Source, decoder

MAX_PIXELS = 2**26  # 8192 x 8192
PNG_START, SCAN = b"\x89PNG", b"\xff\xda"
# flags of OpenCV that are added to those of a decoding at full size, by how many times smaller a picture is decoded
REDUCED = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4}
MAX_SCANS = 100  # of a JPEG, each of which goes over all of the picture; an encoder makes about ten
HEADER_BYTES = 2**20  # large metadata may come before the size of a JPEG
MAX_JSON_BYTES = 4 * 2**30
JPEG_QUALITY = 95


def image_size(path: Path | str, raw: bytes | None = None) -> tuple[int, int]:
    """(height, width) from the header of a PNG or JPEG file, without decoding it.

    Args:
        path: the file, or where the bytes are from, for messages. raw: its bytes; None reads the file.

    Raises:
        DataError: the file is neither, is damaged, or claims more pixels than allowed.
    """
    if raw is None:
        try:
            with open_regular(path) as file:
                raw = file.read(HEADER_BYTES)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    size = png_size(raw) or jpeg_size(raw)
    if size is None:
        raise DataError(f"{path}: is neither a PNG nor a JPEG image, or its header is damaged")
    if size[0] * size[1] > MAX_PIXELS or min(size) == 0:
        raise DataError(f"{path}: image size {size[1]}x{size[0]} is out of bounds")
    return size


@decoder("image", reduces=True)
def decode_image(path: Path, raw: bytes, options: dict[str, Any]) -> Tensor:
    """RGB picture (H, W, 3) uint8; of a 16-bit PNG uint16 with its levels.

    ``options["size"]`` is the size that the calibration expects; ``options["reduced"]`` how many times smaller it is
    asked for.
    """
    _check_size(image_size(path, raw), options, path)
    end = b"IEND" if raw[:4] == b"\x89PNG" else b"\xff\xd9"
    whole = end in raw.rstrip(b"\0")[-4096:]
    # calibration belongs to the stored pixels: they are not turned by an EXIF tag
    how = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    by = options.get("reduced", 1)
    if by > 1 and is_plain(raw):
        how |= REDUCED[by]
    picture = decoded_picture(raw, how, path) if whole else None
    if picture is None:
        raise DataError(f"{path}: the image is damaged or truncated")
    return torch.from_numpy(picture)


def decoded_picture(raw: bytes, how: int, where: Path | str) -> np.ndarray | None:
    """Decode a PNG or a JPEG with OpenCV, after its head was looked at; None where it is damaged.

    Args:
        raw: the bytes. how: flags of ``cv2.imdecode``. where: they are from, for messages.

    Raises:
        DataError: it is of another kind, claims more pixels than allowed, or would be drawn over and over again.
    """
    image_size(where, raw)
    scans = raw.count(SCAN) if raw[:2] == JPEG_START else 0
    if scans > MAX_SCANS:
        raise DataError(f"{where}: is a JPEG of {scans} scans; more than {MAX_SCANS} are not read")
    if raw[:4] == PNG_START and not _chunks_fit(raw):
        return None
    picture: np.ndarray | None = cv2.imdecode(np.frombuffer(raw, np.uint8), how)
    return picture


def _chunks_fit(raw: bytes) -> bool:
    """Whether the chunks of a PNG lie in it, up to its end: OpenCV takes the memory that one declares, up to 4 GiB."""
    at = 8
    while at + 12 <= len(raw):
        (length,), name = struct.unpack_from(">I", raw, at), raw[at + 4 : at + 8]
        at += 12 + length
        if name == b"IEND":
            return at <= len(raw)
    return False


def write_image(picture: Tensor, path: Path, quality: int = JPEG_QUALITY) -> None:
    """Write an RGB picture, uint8 or float32 in [0, 1], as PNG (lossless) or JPEG; uint16 as PNG of 16 bits.

    Raises:
        DataError: 16 bits would have to go into a JPEG.
    """
    deep = picture.dtype == torch.uint16 and path.suffix.lower() == ".png"
    levels = picture.cpu().contiguous() if deep else levels_of(picture, str(path))
    bgr = cv2.cvtColor(levels.numpy(), cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix.lower() in (".jpg", ".jpeg") else []
    done, data = cv2.imencode(path.suffix, bgr, options)
    if not done:
        raise DataError(f"{path}: the picture could not be encoded")
    write_new_bytes(path, data.tobytes())


def millimetres(depth: np.ndarray) -> np.ndarray:
    """Convert depth in metres to 16-bit millimetres; 0 where it is unknown or infinite."""
    levels: np.ndarray = (np.where(np.isfinite(depth), depth, 0) * 1000).round().clip(0, 65535).astype(np.uint16)
    return levels


def write_picture(stream: Any, item: int, path: Path, link: str) -> None:
    """Write one picture of a stream: a copy of its source file where it is untouched, else encoded again."""
    source = stream.sources[item]
    if source is not None and source.suffix == path.suffix and (source.is_whole or "suffix" in source.options):
        check_size(source)
        copy_file(source, path, link)
    else:
        write_image(stream.image(item), path)


def check_size(source: Source) -> None:
    """Raise if a picture is not of the size that the calibration expects, from its header alone.

    Raises:
        DataError: the sizes differ.
    """
    raw = None if source.is_whole else source.bytes()
    _check_size(image_size(source.path, raw), source.options, source.path)


def _check_size(size: tuple[int, int], options: dict[str, Any], path: Path) -> None:
    expected = options.get("size")
    if expected is not None and tuple(expected) != size:
        turned = ", which looks turned by 90 degrees; EXIF tags are not applied" if expected[::-1] == size else ""
        raise DataError(
            f"{path}: image size is {size[1]}x{size[0]}, but its camera is calibrated for "
            f"{expected[1]}x{expected[0]}{turned}"
        )


def copy_file(source: Source, path: Path, link: str = "copy") -> None:
    """Copy a source file byte by byte, or link it with ``link="hard"`` where the file system allows it.

    Raises:
        DataError: it is missing, or no regular file.
    """
    try:
        check_regular(source.path)
    except OSError as error:
        raise DataError(f"{source.path}: cannot be read ({error.strerror})") from None
    new_path(path)  # a run that was killed may have left a hard link of the source here
    if not source.is_whole:
        write_new_bytes(path, source.bytes())
        return
    if link == "hard":
        try:
            os.link(os.path.realpath(source.path), path)  # of a link its file, not the link
            return
        except OSError:
            pass  # another file system: copy
    shutil.copyfile(source.path, path)


def inside(root: Path, relative: str, where: str) -> Path:
    """Return the path below a folder of a name that a file contains; no link leads out of it (see ``Log.path_in``).

    Raises:
        DataError: the name is absolute or leads out of the root.
    """
    return Tree(root).path(relative, where)


def user_path(name: str | Path) -> Path:
    """A path as a user gives it: ``~`` in front is the home folder, where there is one."""
    return Path(os.path.expanduser(name))  # noqa: PTH111  (Path's own stops at a file that is called ~name)


def read_text(path: Path) -> str:
    """A text file, without the byte order mark that it may begin with.

    Raises:
        DataError: it is missing, or not UTF-8.
    """
    try:
        return read_regular_text(path, "utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not a text file") from None


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DataError: it is missing, too large, or not JSON.
    """
    try:
        if status(path).st_size > MAX_JSON_BYTES:
            raise DataError(f"{path}: is larger than {MAX_JSON_BYTES >> 30} GiB")
        return json.loads(read_regular(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not valid JSON ({error})") from None


def write_json(data: Any, path: Path) -> None:
    """Write JSON so that a crash leaves either the old file or the new one."""
    part = path.with_name(path.name + ".part")
    write_new_text(part, json.dumps(data, indent=0, ensure_ascii=False, allow_nan=True) + "\n")
    part.replace(path)
