"""The account as tables: streams of a run before and after, and what became of files and fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from calib.errors import in_one_line
from fusion_aug.logs.core.account import Account, Group
from fusion_aug.logs.core.contents import FIELD, LEFT_OUT, REFUSED
from fusion_aug.logs.core.label_counts import LABELS
from fusion_aug.logs.core.sample_account import StreamAccount


def stream_table(streams: Mapping[str, StreamAccount], words: Mapping[str, str] | None = None) -> Table:
    """Items and rows of every stream before and after, and the reason of every loss and gain.

    Args:
        streams: the account of a run. words: path of a transform -> why things are lost by it.
    """
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "items", "points or boxes", "lost", "gained"):
        table.add_column(name, justify="left" if name in ("stream", "lost", "gained") else "right")
    for name, own in streams.items():
        rows = change(own["rows"]) if "rows" in own else "copied, not counted" if "uncounted" in own else ""
        lost = [*reasons(own.get("lost"), words), *reasons(own.get("items_lost"), words, " items")]
        added = [*reasons(own.get("added")), *reasons(own.get("items_added"), None, " items")]
        lines = ("\n".join(map(printable, some)) for some in (lost, added))
        table.add_row(printable(name), change(own["items"]), rows, *lines)
    return table


def label_table(streams: Mapping[str, StreamAccount]) -> Table | None:
    """Points by class of the clouds whose classes were counted, before and after; None where there are none."""
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "class", "points"):
        table.add_column(name, justify="right" if name == "points" else "left")
    for name, own in streams.items():
        for key, pair in own.get(LABELS, {}).items():
            table.add_row(printable(name), printable("unlabelled" if key == "-1" else key), change(pair))
    return table if table.row_count else None


def change(pair: Sequence[int]) -> str:
    """A number before and after, once where it is the same."""
    before, after = pair
    return f"{before:,}" if before == after else f"{before:,} -> {after:,}"


def reasons(counts: Mapping[str, int] | None, words: Mapping[str, str] | None = None, unit: str = "") -> list[str]:
    """Counts by their reasons, in words.

    Args:
        counts: reason -> how many. words: reason -> what it means, where that is known. unit: of the counts.
    """
    pairs = [(reason, n, (words or {}).get(reason, "")) for reason, n in (counts or {}).items()]
    return [f"{n:,}{unit} {reason}{f': {word}' if word else ''}" for reason, n, word in pairs]


def group_table(groups: Sequence[Group], what: str, unit: str) -> Table:
    """Files or fields that are understood, by what becomes of them.

    Args:
        groups: of files or of fields. what: they are. unit: what is counted: files, or tables.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column(what, overflow="fold", ratio=4)
    table.add_column(unit, justify="right", no_wrap=True)
    table.add_column("a run has them", no_wrap=True)
    table.add_column("what they are", overflow="fold", ratio=5)
    for group in groups:
        table.add_row(printable(group.name), _count(group), group.fate, printable(group.about))
    return table


def field_table(groups: Sequence[Group]) -> Table:
    """Fields that are understood, those of one table and of one fate together."""
    table = Table(box=None, pad_edge=False)
    for name, ratio in (("table", 3), ("fields", 5), ("a run has them", 3)):
        table.add_column(name, overflow="fold", ratio=ratio)
    sets: dict[tuple[str, str, str], list[str]] = {}
    for group in groups:
        path, _, name = group.name.partition(FIELD)
        why = group.about if group.fate in (REFUSED, LEFT_OUT) else ""
        sets.setdefault((path, group.fate, why), []).extend(group.names or [name])
    for (path, fate, why), names in sets.items():
        fates = f"{fate}: {printable(why)}" if why else fate
        table.add_row(printable(path), printable(", ".join(names)), fates)
    return table


def left_out_lines(account: Account) -> list[str]:
    """What a run leaves out or does not understand, as marked-up lines, one reason after another."""
    lines = []
    for style, groups in (("yellow", account.not_understood), ("dim", account.left_out)):
        for about in dict.fromkeys(g.about for g in groups):
            fate = "" if style == "yellow" else f"{LEFT_OUT}: "
            lines.append(f"[{style}]{fate}{printable(about)}[/]")
            for group in (g for g in groups if g.about == about):
                lines.append(f"[{style}]  {_count(group)} {printable(group.name + _example(group))}[/]")
    return lines


def _example(group: Group) -> str:
    """The first of a group: the field, whose name may hold slashes, or the file without its folders."""
    if group.example in ("", group.name):
        return ""
    _, is_field, field = group.example.partition(FIELD)
    return f", such as {field if is_field else group.example.rpartition('/')[2]}"


def _count(group: Group) -> str:
    return f"{group.count:,}" + (f" (and {group.others:,} not selected)" if group.others else "")


def printable(text: str) -> str:
    """Text from a file as a terminal may show it: without control characters and markup."""
    return escape(in_one_line(text))
