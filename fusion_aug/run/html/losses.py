"""The account of a run: what went into it, what came out, and why the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fusion_aug.logs.core.contents import LEFT_OUT
from fusion_aug.run.account_report import change, reasons
from fusion_aug.run.checking import CheckedRun
from fusion_aug.show.page import Html, joined, table, tag

MOST = 50  # samples that were skipped, and kinds of files and fields, that are named
HEAD = ("stream", "items", "points or boxes", "lost", "gained")
NO_ACCOUNT = "The manifest is of a version that wrote no account; run again to have one."


def losses_section(found: CheckedRun) -> Html:
    """Samples, streams before and after, and what is left out or not understood."""
    account = found.manifest.header.get("account")
    if not isinstance(account, Mapping):
        return tag("p", NO_ACCOUNT)
    streams = account.get("streams", {})
    rows = [_stream(name, own, account.get("reasons", {})) for name, own in streams.items()]
    return joined(
        [
            tag("p", _samples(account.get("samples", {}))),
            *_skipped(found.facts.get("skipped", [])),
            table(HEAD, rows, HEAD[1:3], "streams before and after"),
            *_groups(account),
        ]
    )


def _samples(samples: Mapping[str, int]) -> str:
    words = [f"{samples[key]:,} {key}" for key in ("asked", "written", "skipped") if key in samples]
    return f"Samples: {', '.join(words)}."


def _skipped(skipped: Sequence[Sequence[str]]) -> Iterator[Html]:
    if skipped:
        more = f", the first {MOST}" if len(skipped) > MOST else ""
        inner = table(("sample", "why"), skipped[:MOST])
        yield tag("details", tag("summary", f"{len(skipped):,} skipped{more}"), inner, open="open")


def _stream(name: str, own: Mapping[str, Any], words: Mapping[str, str]) -> tuple[object, ...]:
    rows = change(own["rows"]) if "rows" in own else "copied, not counted" if "uncounted" in own else ""
    lost = [*reasons(own.get("lost"), words), *reasons(own.get("items_lost"), words, " items")]
    added = [*reasons(own.get("added")), *reasons(own.get("items_added"), None, " items")]
    return name, change(own["items"]), rows, _lines(lost), _lines(added)


def _lines(texts: Sequence[str]) -> Html:
    return joined([tag("div", t) for t in texts])


def _groups(account: Mapping[str, Any]) -> Iterator[Html]:
    """What is not understood, which is open, and what is left out, folded."""
    groups = [g for what in ("files", "fields", "rows") for g in account.get(what, ())]
    unknown = [g for g in groups if g.get("understood") is False]
    left_out = [g for g in groups if g.get("understood") is not False and g["fate"] == LEFT_OUT]
    for title, some, is_open in (("not understood", unknown, True), ("left out", left_out, False)):
        if some:
            cells = ((g["name"], f"{g['count']:,}", g["about"]) for g in some[:MOST])
            inner = table(("files or fields", "number", "why"), cells, ("number",))
            summary = tag("summary", f"{len(some)} kinds of files and fields {title}")
            yield tag("details", summary, inner, **({"open": "open"} if is_open else {}))
