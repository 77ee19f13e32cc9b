"""What of logs and writers meets files, and so is guarded: whatever goes wrong there is told in one sentence."""

from __future__ import annotations

from typing import Any

from fusion_aug.safe.guard import guard_members

READS = (
    "__init__", "all_ids", "ids", "names_of", "scene_of", "read", "finished", "inputs", "fingerprint", "fields",
    "part_of", "field_part", "is_selected_file", "clouds", "intensity_scales", "writer",
)  # fmt: skip


def guard_log(cls: type) -> None:
    """Guard what a class of logs itself defines of ``READS``, see ``guard_members``."""
    guard_members(cls, READS, _place)


WRITES = ("stage", "finish", "as_read_back")


def guard_writer(cls: type) -> None:
    """Guard what a class of writers itself defines of ``WRITES``, see ``guard_members``."""
    guard_members(cls, WRITES, _written, writes=True)


def _written(writer: Any, sample: Any, *args: Any) -> str:
    """What a method of a writer writes, for messages: the output, and the sample if it is told one."""
    out = str(getattr(writer, "out", type(writer).__name__))
    return f"{out}: sample {sample.id!r}" if hasattr(sample, "id") else out


def _place(log: Any, *args: Any) -> str:
    """What a method of a log reads, for messages: the root, and the sample if it is told one."""
    if "root" not in vars(log):
        return str(args[0] if args else type(log).__name__)
    return f"{log.root}: sample {args[0]!r}" if args and isinstance(args[0], str) else str(log.root)
