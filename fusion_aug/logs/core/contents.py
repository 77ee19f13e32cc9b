"""What a format holds: for every kind of file and every field of its tables, what a run makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import NamedTuple

KEPT, CHANGED, REFUSED, LEFT_OUT = FATES = ("kept", "changed", "refused", "left out")
Fields = Collection[str] | Callable[[], Collection[str]]  # names of the fields of a table, or what reads them
FIELD = ":"  # between the pattern of a file and that of a field of its table


class Part(NamedTuple):
    """A kind of file below a log's root, or of fields of its tables.

    Attributes:
        pattern: of paths from the root, ``training/image_[23]/*.png``, or of the fields of a table,
            ``v1.0-*/sample_data.json:timestamp``. ``*`` ends at a slash, ``**`` does not, and ``**/`` are any folders,
            also none.
        fate: what a run makes of it: ``kept`` as it is; ``changed`` where the pipeline changes what it says;
            ``refused``: a pipeline that would make it wrong is refused; ``left out``.
        about: what it is, and of what is left out why, and what to do about it.
        in_samples: whether samples hold it, so that a run which writes another format has it, too.
    """

    pattern: str
    fate: str
    about: str
    in_samples: bool = True

    @property
    def is_read(self) -> bool:
        """Whether anything may read such files; others may come and go during a run."""
        return self.about not in (FOR_PEOPLE, OF_THE_SYSTEM)


class Unreached(NamedTuple):
    """Rows of a table that no sample leads to, so that a run leaves them out.

    Attributes:
        number: how many they are. first: name of the first.
        has_data: whether they should be of samples, as records and boxes; others are named by such rows, as poses.
    """

    number: int
    first: str
    has_data: bool

    @property
    def about(self) -> str:
        """What is said of them."""
        return UNREACHED if self.has_data else UNNAMED


UNREACHED = (
    "not understood: no sample leads to these rows of tables, so a run leaves them out; see whether a field that "
    "should name them names something else"
)
UNNAMED = "rows of tables that nothing of a sample names"
SIDECAR = "sidecar: what the format has no place for"
OF_ANOTHER_RUN = "of the run that wrote this log; a run writes its own"
FOR_PEOPLE = "text for people; copy it where it still holds"
OF_THE_SYSTEM = "made by a file browser; nothing reads it"
# what every log may hold besides the files of its format
COMMON_PARTS = (
    Part("fusion_aug/ids.json", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/rig.json", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/rig_changes.json", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/capture_times.json", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/columns/*.npz", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/columns/*.json", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/streams/*/stream.json", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/streams/*/arrays.npz", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/streams/*/[0-9]*.png", CHANGED, SIDECAR),
    Part("fusion_aug/samples/**/streams/*/[0-9]*.jp*g", CHANGED, SIDECAR),
    Part("manifest.jsonl", LEFT_OUT, OF_ANOTHER_RUN),
    Part("run.json", LEFT_OUT, OF_ANOTHER_RUN),
    Part("run.csv", LEFT_OUT, OF_ANOTHER_RUN),
    Part("report.html", LEFT_OUT, OF_ANOTHER_RUN),
    Part(".work/**", LEFT_OUT, "of a run that was not finished"),
    Part("**/README*", LEFT_OUT, FOR_PEOPLE),
    Part("**/LICENSE*", LEFT_OUT, FOR_PEOPLE),
    Part("**/.DS_Store", LEFT_OUT, OF_THE_SYSTEM),
    Part("**/Thumbs.db", LEFT_OUT, OF_THE_SYSTEM),
)


class Contents:
    """The parts of a format, and those that every log may hold; the first that matches counts.

    Args:
        parts: of the format, the special before the general.
    """

    def __init__(self, parts: Sequence[Part]):
        self.files = [p for p in (*parts, *COMMON_PARTS) if FIELD not in p.pattern]
        self.fields = [p for p in parts if FIELD in p.pattern]
        # one expression with a group for each part: a log may hold millions of files
        self._file = _any_of([_expression(p.pattern) for p in self.files])
        halves = [p.pattern.partition(FIELD) for p in self.fields]
        self._field = _any_of([f"{_expression(path)}\0{_expression(name)}" for path, _, name in halves])

    def file(self, path: str) -> Part | None:
        """Return the part of a path from the root, with slashes; None if it is not understood."""
        found = self._file.fullmatch(path)
        return None if found is None else self.files[int(str(found.lastgroup)[1:])]

    def field(self, table: str, name: str) -> Part | None:
        """Return the part of a field of the table at a path; None if it is not understood."""
        found = self._field.fullmatch(f"{table}\0{name}")
        return None if found is None else self.fields[int(str(found.lastgroup)[1:])]


@cache
def contents_of(parts: tuple[Part, ...]) -> Contents:
    """Return the contents of a format, made once."""
    return Contents(parts)


def part_of(path: str, parts: Iterable[Part]) -> Part | None:
    """Return the first part whose pattern a path or a field matches; None if it is not understood.

    Args:
        path: a path from the root, with slashes, or ``PATH:FIELD``.
        parts: of a format, the special before the general.
    """
    contents = contents_of(tuple(parts))
    table, is_field, name = path.partition(FIELD)
    return contents.field(table, name) if is_field else contents.file(path)


def _any_of(expressions: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<p{i}>{e})" for i, e in enumerate(expressions)) or r"(?!)", re.DOTALL)


def _expression(pattern: str) -> str:
    words = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/\0]*", "?": "[^/\0]"}
    return "".join(special.get(w) or (w if w.startswith("[") else re.escape(w)) for w in words)
