"""What of logs and writers meets files, and so is guarded: whatever goes wrong there is told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any

from fusion_aug.errors import USER_ERRORS, DataError
from fusion_aug.safe.guard import guard_members, print_traceback

READS = (
    "__init__", "all_ids", "ids", "names_of", "scene_of", "read", "finished", "inputs", "fingerprint", "fields",
    "unreached", "part_of", "field_part", "is_selected_file", "clouds", "intensity_scales", "files_beside", "writer",
    "boxes_and_ego",
)  # fmt: skip


def guard_log(cls: type) -> None:
    """Guard what a class of logs itself defines of ``READS``, see ``guard_members``."""
    guard_members(cls, READS, _place)


WRITES = ("stage", "finish", "as_read_back")
# what is raised where a value is not of the kind that it should be
WRONG_VALUES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


def guard_writer(cls: type) -> None:
    """Guard what a class of writers itself defines of ``WRITES``, see ``guard_members``."""
    finish = cls.__dict__.get("finish")
    if isinstance(finish, FunctionType):
        cls.finish = _naming_rows(finish)  # type: ignore[attr-defined]
    guard_members(cls, WRITES, _written, writes=True)


def place_of_rows(rows: Any) -> str:
    """Where the row is from that ``Writer.finish`` read last, for messages."""
    return str(getattr(rows, "where", "rows"))


def _naming_rows(finish: Callable[..., None]) -> Callable[..., None]:
    """``Writer.finish``, where rows that are damaged are told by the marker that holds them.

    Rows of which nobody knows where they are from were made by this process.
    """

    @wraps(finish)
    def call(writer: Any, rows: Any, ids: Any) -> None:
        try:
            finish(writer, rows, ids)
        except USER_ERRORS:
            raise
        except WRONG_VALUES as error:
            if not hasattr(rows, "where"):
                raise
            print_traceback()
            what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise DataError(
                f"{rows.where}: do not fit the input or the other samples ({what}); remove it, and the sample is made "
                f"again"
            ) from None

    return call


def _written(writer: Any, sample: Any, *args: Any) -> str:
    """What a method of a writer writes, for messages: the output, and the sample if it is told one."""
    out = str(getattr(writer, "out", type(writer).__name__))
    return f"{out}: sample {sample.id!r}" if hasattr(sample, "id") else out


def _place(log: Any, *args: Any) -> str:
    """What a method of a log reads, for messages: the root, and the sample if it is told one."""
    if "root" not in vars(log):
        return str(args[0] if args else type(log).__name__)
    return f"{log.root}: sample {args[0]!r}" if args and isinstance(args[0], str) else str(log.root)
