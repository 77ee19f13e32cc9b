"""What the runs and shards that worked on an output tell of their work, kept for ``run.json``.

Each has a file of its own in ``OUT/.work/told``, since shards work at the same time and on other machines.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json, write_json
from fusion_aug.logs.core.writer import WORK

FOLDER = f"{WORK}/told"
_NAME = re.compile(r"(all|\d{1,9}-of-\d{1,9})\.json")
_NUMBER = re.compile(r"\d{1,15}")


class Told:
    """What a run or a shard of it tells; what its interrupted predecessors told is still there.

    Args:
        out: folder of the output. shard: as ``shard=3/64``, or None. notes: sentences to print.

    Raises:
        DataError: the file of a predecessor is damaged.
    """

    def __init__(self, out: Path, shard: str | None, notes: list[str]):
        self.path = out / FOLDER / f"{'all' if shard is None else str(shard).replace('/', '-of-')}.json"
        before, self.retried = _read(self.path) if self.path.is_file() else ([], Counter[int]())
        self.notes = list(dict.fromkeys([*before, *notes]))
        self._saved: Any = _plain(before, self.retried)

    def save(self) -> bool:
        """Write what is told; whether there is anything new."""
        plain = _plain(self.notes, self.retried)
        if plain == self._saved:
            return False
        write_json(plain, self.path)
        self._saved = plain
        return True


def all_told(out: Path) -> tuple[list[str], Counter[int]]:
    """Sentences of all runs and shards of an output, and how often each sample, by its number, was tried again.

    Raises:
        DataError: a file is damaged.
    """
    notes: list[str] = []
    retried: Counter[int] = Counter()
    for path in sorted((out / FOLDER).glob("*.json")):
        more, times = _read(path)
        notes += more
        retried += times
    return list(dict.fromkeys(notes)), retried


def is_told(name: str) -> bool:
    """Whether a file of the folder ``FOLDER`` has a name of ours."""
    return _NAME.fullmatch(name) is not None


def _plain(notes: list[str], retried: Counter[int]) -> dict[str, Any]:
    return {"notes": list(notes), "retried": {str(n): times for n, times in sorted(retried.items())}}


def _read(path: Path) -> tuple[list[str], Counter[int]]:
    found = read_json(path)
    found = found if isinstance(found, dict) else {}
    notes, retried = found.get("notes"), found.get("retried")
    if not (
        isinstance(notes, list)
        and all(isinstance(n, str) for n in notes)
        and isinstance(retried, dict)
        and all(_NUMBER.fullmatch(n) and type(times) is int for n, times in retried.items())
    ):
        raise DataError(f"{path}: is not what a run tells of itself; remove it, and give the command again")
    return notes, Counter({int(n): times for n, times in retried.items()})
