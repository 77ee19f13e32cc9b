"""A listing of a store on disk: names, sizes and tags, looked up without being in memory."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from fusion_aug.errors import DataError
from fusion_aug.logs.remote.store import Object

# names are compared byte by byte, so that their order is the same everywhere
_TABLES = """
create table objects (name blob primary key, size integer, tag text) without rowid;
create table facts (digest text);
"""


class Catalogue:
    """What was below an address when it was listed.

    Args:
        path: of its file, an SQLite database, which is never changed once it is there.
    """

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def write(cls, path: Path, objects: Iterable[Object]) -> Catalogue:
        """Write a catalogue; a file that is there already is replaced.

        Raises:
            DataError: two objects cannot both be files of one folder; see ``checked``.
        """
        path.unlink(missing_ok=True)
        total = hashlib.blake2b(digest_size=16)
        with contextlib.closing(sqlite3.connect(path)) as base:
            base.executescript(_TABLES)
            base.executemany(
                "insert into objects values (?, ?, ?)", ((o.name.encode(), o.size, o.tag) for o in objects)
            )
            for row in base.execute("select name, size, tag from objects order by name"):
                total.update(repr(row).encode())
            base.execute("insert into facts values (?)", (total.hexdigest(),))
            base.commit()
        return cls(path)

    def digest(self) -> str:
        """Of all names, sizes and tags; "" where there is no catalogue, or a damaged one."""
        try:
            with self._opened() as base:
                return str(base.execute("select digest from facts").fetchone()[0])
        except (sqlite3.Error, TypeError):
            return ""

    def find(self, name: str) -> Object | None:
        """The object of a name; None where there is none."""
        with self._opened() as base:
            row = base.execute("select size, tag from objects where name = ?", (name.encode(),)).fetchone()
        return None if row is None else Object(name, *row)

    def __iter__(self) -> Iterator[Object]:
        """All objects, by name."""
        with self._opened() as base:
            for name, size, tag in base.execute("select name, size, tag from objects order by name"):
                yield Object(name.decode(), size, tag)

    def changes(self, before: Catalogue) -> Iterator[tuple[Object | None, Object | None]]:
        """Objects that are new, gone or others than before, as (before, now), by name."""
        ours, theirs = iter(self), iter(before)
        new, old = next(ours, None), next(theirs, None)
        while new is not None or old is not None:
            if old is None or (new is not None and new.name.encode() < old.name.encode()):
                yield None, new
                new = next(ours, None)
            elif new is None or old.name.encode() < new.name.encode():
                yield old, None
                old = next(theirs, None)
            else:
                if old != new:
                    yield old, new
                new, old = next(ours, None), next(theirs, None)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # read only, and also where the folder cannot be written: nothing changes the file
        with contextlib.closing(sqlite3.connect(f"{self.path.as_uri()}?immutable=1", uri=True)) as base:
            yield base


def checked(objects: Iterable[Object], url: str) -> Iterator[Object]:
    """The objects, as long as all of them can be files below one folder.

    Raises:
        DataError: a name leads out of the folder or is none of a file.
    """
    for found in objects:
        odd = any(part in ("", ".", "..") or len(part.encode()) > 255 for part in found.name.split("/"))
        if odd or "\\" in found.name or "\0" in found.name:
            raise DataError(f"{url}: the object {found.name!r} has a name that no file can have here; leave it out")
        yield found
