"""How fast a run was: what its samples took, and the slowest of them."""

from __future__ import annotations

from collections.abc import Mapping

from fusion_aug.run.checking import CheckedRun
from fusion_aug.run.usage import NAME as USAGE
from fusion_aug.run.usage import read_usage
from fusion_aug.show.bars import over_time
from fusion_aug.show.page import Html, joined, table, tag

NO_FACTS = "Nothing is known of it: beside the manifest there is no run.json of a finished run."


def pace_section(found: CheckedRun) -> Html:
    """Samples per second, memory and size, the seconds of every sample, and the slowest ones."""
    facts = pace_facts(found)
    if not facts:
        return tag("p", NO_FACTS)
    seconds = read_usage(found.folder / USAGE)
    parts: list[object] = [table(("", "figure"), facts, label="throughput")]
    if seconds:
        chart = over_time(seconds, "seconds of every sample in their order")
        parts.append(tag("figure", chart, tag("figcaption", _caption(seconds), class_="dim")))
    slowest = [(name, f"{s:.3g} s") for name, s in found.facts.get("worst", {}).get("seconds", ())]
    if slowest:
        inner = table(("sample", "time"), slowest, ("time",))
        parts.append(tag("details", tag("summary", "the slowest samples"), inner))
    return joined(parts)


def _caption(seconds: list[float]) -> str:
    return f"Seconds of the {len(seconds):,} samples in their order, from 0 to {max(seconds):.3g} s."


def pace_facts(found: CheckedRun) -> list[tuple[str, str]]:
    """Names and figures in words; empty where nothing is known."""
    facts, used = found.facts, found.facts.get("used")
    if not isinstance(used, Mapping):
        return []
    samples, seconds = int(used["samples"]), float(facts["seconds"])
    return [
        ("samples", f"{samples:,}"),
        ("wall time", f"{seconds:.1f} s, with {facts['workers']} processes beside the first"),
        ("samples per second", f"{samples / max(seconds, 1e-9):.3g}"),
        ("time of a sample in its process", f"{float(used['seconds']) / max(samples, 1):.3g} s on average"),
        ("memory of a process", f"up to {int(used['memory']) / 2**20:,.0f} MiB"),
        ("size of the samples", f"{int(used['bytes']) / 2**20:,.1f} MiB"),
        ("finished", str(facts.get("finished", "unknown"))),
    ]
