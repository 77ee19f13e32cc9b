"""Files of SQLite that others made: read as they lie there, and no value larger than the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from calib.regular_files import check_regular
from fusion_aug.errors import USER_ERRORS, DataError

MOST_BYTES, LEAST_BYTES = 2**30, 2**16  # of a value: as the file is large, between these


@contextmanager
def open_tables(path: Path, stored: Collection[str]) -> Iterator[tuple[sqlite3.Connection, dict[str, list[str]]]]:
    """A file, opened so that nothing is written into it or beside it, and the names of its tables with their columns.

    Args:
        path: of it. stored: tables whose columns must be stored as they are: one that is worked out when it is read may
            be as large as it wants.

    Raises:
        DataError: it is damaged, was not closed, or a table is a view or works its columns out.
    """
    try:
        check_regular(path)
        _refuse_unclosed(path)
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as base:
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(LEAST_BYTES, min(path.stat().st_size, MOST_BYTES)))
            base.execute("PRAGMA trusted_schema = OFF")
            yield base, _columns(base, path, stored)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except USER_ERRORS:
        raise
    except (sqlite3.Error, OverflowError, ValueError) as error:
        raise DataError(f"{path}: is not a readable file of SQLite ({error})") from None


def _refuse_unclosed(path: Path) -> None:
    for word in ("wal", "journal"):
        beside = Path(f"{path}-{word}")
        if beside.exists() and beside.stat().st_size:
            raise DataError(
                f"{path}: was not closed: {beside.name} beside it holds a part of it; let SQLite put it in: "
                f"sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)'"
            )


def _columns(base: Any, path: Path, stored: Collection[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    found = base.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
    for name, kind in found.fetchall():
        if name.startswith("sqlite_"):
            continue
        out[name] = []
        if name in stored:
            if kind != "table":
                raise DataError(f"{path}: {name}: is a view, not a table")
            for _, column, _, _, _, _, hidden in base.execute(f"PRAGMA table_xinfo({name})"):
                if hidden:
                    raise DataError(f"{path}: {name}.{column}: is worked out when it is read, not stored")
                out[name].append(column)
    return out
