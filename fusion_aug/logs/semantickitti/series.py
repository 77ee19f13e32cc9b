"""Tables of a sequence with a row for every scan: ``poses.txt`` and ``times.txt``.

The published API gives the k-th scan the k-th row. Of a folder that lacks some of the scans its rows are those of the
numbers that scans are called by.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from calib.se3 import invert
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_text

POSE_NUMBERS = 12
NO_ROTATION = 1e-3  # by which the numbers of a printed rotation may be off
PLAIN = re.compile(r"(-?)(\d{1,10})\.(\d{1,9})")  # seconds to whole nanoseconds
NS = 1_000_000_000
MAX_SECONDS = 4e9  # what int64 nanoseconds hold, with room for a warp
PERIOD = NS // 10  # of the benchmark's scans, where a sequence has no times
MAX_GAP = PERIOD * 5 // 2  # ns: scans further apart than this are no neighbours whose poses tell a speed


class Rows(NamedTuple):
    """Rows of the scans of a sequence.

    Attributes:
        path: of the table. values: (n, width) float64. lines: n, as they are written. places: n, of the lines, from 0.
        whole: whether these are all rows of the file.
    """

    path: Path
    values: Tensor
    lines: list[str]
    places: list[int]
    whole: bool

    def where(self, wrong: Tensor) -> str:
        """File and line of the first of the rows (n,) bool that are wrong, for messages."""
        return f"{self.path}: line {self.places[int(wrong.nonzero()[0, 0])] + 1}"


def read_rows(path: Path, width: int, scans: Sequence[str]) -> Rows:
    """Read the rows that belong to some scans.

    Args:
        path: of the table. width: numbers in a row. scans: names of all scans of the sequence, which are numbers, in
            order.

    Raises:
        DataError: a row is not so many numbers, or a scan has none.
    """
    lines = read_text(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    places = rows_of_scans(len(lines), scans, path)
    values = [_numbers(lines[place], width, f"{path}: line {place + 1}") for place in places]
    whole = places == list(range(len(lines)))
    numbers = torch.tensor(values, dtype=torch.float64).reshape(-1, width)
    return Rows(path, numbers, [lines[p] for p in places], places, whole)


def rows_of_scans(count: int, scans: Sequence[str], path: Path) -> list[int]:
    """Numbers (from 0) of the rows of scans: their places where there are as many rows, else their numbers.

    Raises:
        DataError: there are too few rows.
    """
    if count == len(scans):
        return list(range(count))
    missing = next((scan for scan in scans if int(scan) >= count), None)
    if missing is not None:
        raise DataError(
            f"{path}: holds {count} rows for {len(scans)} scans, and none for scan {missing}; it needs a row for every "
            f"scan of velodyne/, or for every number up to that of the last one"
        )
    return [int(scan) for scan in scans]


def _numbers(line: str, width: int, where: str) -> list[float]:
    words = line.split()
    try:
        numbers = [float(word) for word in words] if len(words) == width else []
    except ValueError:
        numbers = []
    if not numbers:
        raise DataError(f"{where}: expected {width} number{'s' * (width > 1)}, got {line.strip()[:60]!r}")
    return numbers


def poses_of(rows: Rows) -> Tensor:
    """Poses (n, 4, 4) of rows, with the rotations nearest to their printed ones.

    Raises:
        DataError: a row holds NaN, or no rotation.
    """
    matrices = rows.values.reshape(-1, 3, 4)
    wrong = ~torch.isfinite(matrices).all(2).all(1)
    if bool(wrong.any()):
        raise DataError(f"{rows.where(wrong)}: holds NaN or infinity")
    u, _, vt = torch.linalg.svd(matrices[:, :, :3])
    rotations = u @ vt
    off = (rotations - matrices[:, :, :3]).abs().amax((1, 2))
    wrong = (off > NO_ROTATION) | (torch.linalg.det(rotations) < 0)
    if bool(wrong.any()):
        raise DataError(f"{rows.where(wrong)}: the first three columns are no rotation")
    poses = torch.eye(4, dtype=torch.float64).repeat(len(matrices), 1, 1)
    poses[:, :3, :3], poses[:, :3, 3] = rotations, matrices[:, :, 3]
    return poses


def stamps_of(rows: Rows) -> Tensor:
    """Times (n,) int64 ns of rows of seconds.

    Raises:
        DataError: they do not increase, or are no times.
    """
    wrong = ~(rows.values[:, 0].abs() < MAX_SECONDS)  # also NaN
    if bool(wrong.any()):
        raise DataError(f"{rows.where(wrong)}: {float(rows.values[wrong, 0][0])} is no time in seconds")
    stamps = torch.tensor([_nanoseconds(line.strip()) for line in rows.lines], dtype=torch.int64)
    back = torch.zeros(len(stamps), dtype=torch.bool)
    back[1:] = stamps[1:] <= stamps[:-1]
    if bool(back.any()):
        raise DataError(f"{rows.where(back)}: times must increase from scan to scan")
    return stamps


def _nanoseconds(text: str) -> int:
    plain = PLAIN.fullmatch(text)
    if plain is None:
        return round(float(text) * NS)
    sign, whole, part = plain.groups()  # exact, also of times since 1970
    return (-1 if sign else 1) * (int(whole) * NS + int(part.ljust(9, "0")))


def stamps_by_number(scans: Sequence[str]) -> Tensor:
    """Times (n,) int64 ns of scans without any: 0.1 s times their numbers, as the benchmark was recorded."""
    return torch.tensor([int(scan) * PERIOD for scan in scans], dtype=torch.int64)


def near(stamps: Tensor, place: int) -> slice:
    """The scan at a place and those before and after it, where they are neighbours in time.

    Args:
        stamps: (n,) int64 ns, increasing. place: of the scan.
    """
    first = place - int(place > 0 and int(stamps[place] - stamps[place - 1]) <= MAX_GAP)
    is_last = place + 1 == len(stamps) or int(stamps[place + 1] - stamps[place]) > MAX_GAP
    return slice(first, place + 1 + (not is_last))


def pose_line(T_world_velodyne: Tensor, T_camera_velodyne: Tensor) -> str:
    """Row of ``poses.txt``: the pose (3, 4) of the first camera, 17 significant digits.

    Args:
        T_world_velodyne: (4, 4). T_camera_velodyne: (4, 4), Tr of the same folder.
    """
    pose = T_camera_velodyne @ T_world_velodyne @ invert(T_camera_velodyne)
    return " ".join(f"{v:.16e}" for v in pose[:3].flatten().tolist())


def time_line(stamp: int) -> str:
    """Row of ``times.txt``: seconds, exact to the nanosecond."""
    sign, stamp = "-" * (stamp < 0), abs(stamp)
    return f"{sign}{stamp // NS}.{stamp % NS:09d}"
