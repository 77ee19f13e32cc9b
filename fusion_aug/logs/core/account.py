"""The account of a log: every file below its root and every field of its tables, grouped, and what becomes of each.

One scan of names, without reading a file. What no part of the format knows is ``not understood``; a run leaves it out,
but for fields of tables whose rows the writer copies whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fusion_aug.errors import USER_ERRORS, MissingPackage
from fusion_aug.logs.core.contents import FIELD, KEPT, LEFT_OUT, REFUSED, Fields, Part, contents_of
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.sidecar import FOLDER as SIDECAR_FOLDER
from fusion_aug.logs.core.sidecar import ids_in_manifest
from fusion_aug.logs.core.writer import Writer
from fusion_aug.safe.guard import guarded

MOST_NAMES = 24  # of fields in one group
MOST_FILES, MOST_FIELDS = 20, 200  # groups of what is not understood
UNKNOWN_FILES = (
    "not understood: nothing reads these files, so a run leaves them out; copy what holds after the pipeline"
)
UNDECLARED = "not understood: the format does not say which files it holds (Format.contents)"
UNKNOWN_FIELDS = {
    LEFT_OUT: "not understood: nothing reads these fields, and a run leaves them out",
    KEPT: "not understood: rows are copied whole, so a run keeps these fields; see that they hold after the pipeline",
}
UNREADABLE = "not understood: tables that cannot be read, so that nothing is known of their fields"
NO_PLACE = "; the format of the output has no place for it"
UNFOLLOWED = (
    "not understood: links that lead out of the log, to nothing or in a circle; name folders outside in "
    "log.follow_links, and remove the others"
)


@dataclass(frozen=True)
class Group:
    """Files, or fields of tables, of which the same becomes.

    Attributes:
        name: pattern of the part, or of what no part knows; of a field ``TABLES:FIELD``.
        fate: one of ``FATES``.
        about: what it is, and what to do about what is left out.
        count: how many files, or tables with the field, that belong to the selected samples or to all.
        others: how many that belong to other samples.
        example: path of the first from the root.
        understood: whether a part of the format knows it.
        names: of fields that a part with a wildcard takes, up to ``MOST_NAMES``.
    """

    name: str
    fate: str
    about: str
    count: int
    others: int
    example: str
    understood: bool
    names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The group as the manifest holds it."""
        more: dict[str, Any] = {"others": self.others} if self.others else {}
        if not self.understood:
            more |= {"example": self.example, "understood": False}
        if self.names:
            more |= {"fields": list(self.names)}
        return {"name": self.name, "fate": self.fate, "about": self.about, "count": self.count, **more}


@dataclass(frozen=True)
class Account:
    """What lies below the root of a log.

    Attributes:
        files: groups of files. fields: groups of fields of tables.
        rows: of tables, that no sample leads to; a group for each table that has such, ``example`` is the first.
    """

    files: tuple[Group, ...]
    fields: tuple[Group, ...]
    rows: tuple[Group, ...] = ()

    @property
    def _groups(self) -> tuple[Group, ...]:
        return (*self.files, *self.fields, *self.rows)

    @property
    def not_understood(self) -> list[Group]:
        """Files and fields that no part of the format knows, and rows that no sample leads to."""
        return [g for g in self._groups if not g.understood]

    @property
    def left_out(self) -> list[Group]:
        """Files and fields that are understood, and that a run leaves out."""
        return [g for g in self._groups if g.understood and g.fate == LEFT_OUT]

    def to_json(self) -> dict[str, Any]:
        """The account as the manifest holds it; it names no folder outside the log."""
        rows = {"rows": [g.to_json() for g in self.rows]} if self.rows else {}
        return {"files": [g.to_json() for g in self.files], "fields": [g.to_json() for g in self.fields], **rows}


class _Place(NamedTuple):
    """Where something lies that is not understood: its folder, the ending of its name, and what is said of it."""

    folder: str
    ending: str
    about: str


class _Tally:
    """Counts of one group while names are read."""

    def __init__(self, fate: str, about: str, understood: bool):
        self.fate, self.about, self.understood = fate, about, understood
        self.count, self.others, self.example, self.names = 0, 0, "", set[str]()

    def add(self, example: str, selected: bool, name: str = "") -> None:
        if selected:
            self.count += 1
        else:
            self.others += 1
        if not self.example or example < self.example:
            self.example = example
        if name:
            self.names.add(name)

    def group(self, name: str) -> Group:
        more = [f"and {len(self.names) - MOST_NAMES} more"] if len(self.names) > MOST_NAMES else []
        names = (*sorted(self.names)[:MOST_NAMES], *more)
        return Group(name, self.fate, self.about, self.count, self.others, self.example, self.understood, names)


def account_of(log: Log, writer: type[Writer] | None = None) -> Account:
    """Scan the names below the root of a log, its fields and its rows without a sample, and say what becomes of each.

    Args:
        log: of any format. writer: that will write it; that of its own format by default.

    Raises:
        MissingPackage: a table needs a package that is not installed.
    """
    own = writer is None or writer is log.format.writer
    unreached = (
        Group(table, LEFT_OUT, rows.about, rows.number, 0, f"{table}{FIELD}{rows.first}", not rows.has_data)
        for table, rows in log.unreached().items()
    )
    return Account(tuple(_files(log, own)), tuple(_fields(log, writer or log.format.writer)), tuple(unreached))


def _files(log: Log, own: bool) -> Iterable[Group]:
    is_selected = selection(log)
    known: dict[str, _Tally] = {}
    unknown: dict[_Place, _Tally] = {}
    for entry in log.tree.files():
        path = log.tree.name_of(entry)
        part = None if entry.refusal is not None else log.part_of(path)
        if part is not None:
            tally = known.get(part.pattern) or known.setdefault(
                part.pattern, _Tally(*_told(part, own or not _is_beside(part)), True)
            )
        else:
            about = UNFOLLOWED if entry.refusal is not None else UNKNOWN_FILES if log.format.contents else UNDECLARED
            folder, _, name = path.rpartition("/")
            tally = unknown.setdefault(_Place(folder, _ending(name), about), _Tally(LEFT_OUT, about, False))
        tally.add(path, is_selected(path))
    yield from _in_order(known, contents_of(log.format.contents).files)
    yield from _joined(unknown, MOST_FILES)


def _is_beside(part: Part) -> bool:
    """Whether a file is none of samples, which are all that a run writes in another format."""
    return part.fate in (KEPT, REFUSED) or not part.in_samples


def _told(part: Part, has_place: bool) -> tuple[str, str]:
    """Fate of a part and what is said of it."""
    if has_place or part.fate == LEFT_OUT:
        return part.fate, part.about
    return LEFT_OUT, f"{part.about}{NO_PLACE}"


def _fields(log: Log, writer: type[Writer]) -> Iterable[Group]:
    own = writer is log.format.writer
    contents, is_selected = contents_of(log.format.contents), selection(log)
    whole = contents_of(tuple(Part(pattern, KEPT, "") for pattern in writer.copied_whole))
    known: dict[str, _Tally] = {}
    unknown: dict[_Place, _Tally] = {}
    for table, names in sorted(log.fields().items()):
        file = log.part_of(table)
        if not own and file is not None and _is_beside(file):
            continue  # left out as a whole
        selected, kept = is_selected(table), KEPT if whole.file(table) else LEFT_OUT
        found = _read(names, table)
        if found is None:
            folder, _, base = table.rpartition("/")
            place = _Place(folder, _ending(base), UNREADABLE)
            unknown.setdefault(place, _Tally(LEFT_OUT, UNREADABLE, False)).add(table, selected)
        for name in sorted(map(str, found or ())):
            part = log.field_part(table, name)
            if part is not None:
                tally = known.setdefault(part.pattern, _Tally(*_told(part, own or part.in_samples), True))
            else:
                folder, _, base = table.rpartition("/")
                place = _Place(folder, f"{_ending(base)}{FIELD}{name}", UNKNOWN_FIELDS[kept])
                tally = unknown.setdefault(place, _Tally(kept, UNKNOWN_FIELDS[kept], False))
            wild = part is not None and "*" in part.pattern.partition(FIELD)[2]
            tally.add(f"{table}{FIELD}{name}", selected, name if wild else "")
    yield from _in_order(known, contents.fields)
    yield from _joined(unknown, MOST_FIELDS)


def _read(names: Fields, table: str) -> Collection[str] | None:
    """Names of the fields of a table; None where it cannot be read: its samples say why, unless they can do without."""
    if not callable(names):
        return names
    try:
        found: Collection[str] = guarded(names, lambda: table)()
        return found
    except MissingPackage:
        raise
    except USER_ERRORS:
        return None


def _in_order(known: dict[str, _Tally], parts: Sequence[Part]) -> Iterable[Group]:
    """Groups in the order of the format's parts; a log may know more of itself, which comes last."""
    order = {p.pattern: i for i, p in enumerate(parts)}
    yield from (known[name].group(name) for name in sorted(known, key=lambda n: order.get(n, len(order))))


def selection(log: Log) -> Callable[[str], bool]:
    """Return a function that tells whether a file belongs to the selected samples, or to all."""
    if log.options.select is None:
        return lambda path: True
    named = ids_in_manifest(log.tree)
    chosen = {named.get(i, i) for i in log.ids}
    others = {named.get(i, i) for i in log.all_ids} - chosen
    start = f"{SIDECAR_FOLDER}/samples/"

    def is_selected(path: str) -> bool:
        if not path.startswith(start):
            return log.is_selected_file(path)
        parts = path[len(start) :].split("/")
        return not any("/".join(parts[:n]) in others for n in range(1, len(parts)))

    return is_selected


def _ending(name: str) -> str:
    """``*.png`` of a name with an ending, else ``*``."""
    stem, dot, ending = name.rpartition(".")
    return f"*.{ending}" if dot and stem and not ending.isdigit() else "*"


def _joined(unknown: Mapping[_Place, _Tally], most: int) -> Iterable[Group]:
    """What is not understood by folder and ending, as coarsely as is needed for no more than ``most`` groups.

    Folders of one depth and last name are joined first, then endings, then all below a folder of the root.
    """
    views: tuple[Callable[[_Place], tuple[Any, ...]], ...] = (
        lambda p: p,
        lambda p: (p.folder.count("/"), p.folder.rpartition("/")[2], p.ending, p.about),
        lambda p: (p.folder.count("/"), p.folder.rpartition("/")[2], p.about),
        lambda p: (p.folder.partition("/")[0], p.about),
        lambda p: (p.about,),
    )
    for view in views:
        sets: dict[tuple[Any, ...], list[_Place]] = {}
        for place in sorted(unknown):
            sets.setdefault(view(place), []).append(place)
        if len(sets) <= most:
            break
    for members in sets.values():
        total = _Tally(unknown[members[0]].fate, members[0].about, False)
        total.count = sum(unknown[m].count for m in members)
        total.others = sum(unknown[m].others for m in members)
        total.example = min(unknown[m].example for m in members)
        yield total.group(total.example if total.count + total.others == 1 else _common(members))


def _common(places: Sequence[_Place]) -> str:
    """One pattern for files: ``*`` where the names of folders differ, ``**`` where their depths do."""
    folders = [p.folder.split("/") if p.folder else [] for p in places]
    endings = {p.ending for p in places}
    if len({len(f) for f in folders}) > 1:
        tops = {f[0] if f else "" for f in folders}
        return f"{tops.pop()}/**" if len(tops) == 1 else "**"
    levels = ["*" if len(set(level)) > 1 else level[0] for level in zip(*folders, strict=True)]
    return "/".join([*levels, endings.pop() if len(endings) == 1 else "*"])
