"""Checks of a pipeline on a log, and of what a run wrote."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from calib.mirrored import as_given
from calib.regular_files import is_there
from fusion_aug.check import MEASUREMENTS, Pair, Row, combine
from fusion_aug.check.output import compare_run
from fusion_aug.check.worst import Worst
from fusion_aug.core.compose import named_leaves
from fusion_aug.core.engine import Run, run
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context, transform_class
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs import Log
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.select import select_ids
from fusion_aug.run import report
from fusion_aug.run.account_report import printable
from fusion_aug.run.config import build_log, build_pipeline, compose_config, import_plugins
from fusion_aug.run.donating import resources_of_run
from fusion_aug.run.inputs import run_manifest, source_log, written_log
from fusion_aug.run.links import refuse_links
from fusion_aug.run.scope import draw_geometry_per_scene, geometry_only
from fusion_aug.run.unfinished import FACTS
from fusion_aug.run.words import value_of
from fusion_aug.safe.guard import reads_file
from fusion_aug.sample.manifest import Manifest
from fusion_aug.transforms.weather import Weather

EXIT_OK, EXIT_OVER_LIMIT = 0, 1  # 2, bad input, is given by ``cli``


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        rows: of all samples together. worst: samples in which figures are over their limits.
    """

    rows: Sequence[Row]
    worst: Worst

    @property
    def failed(self) -> list[Row]:
        """Rows of figures over their limits."""
        return [r for r in self.rows if r.status == "FAIL"]

    @property
    def exit_code(self) -> int:
        """Of the command."""
        return EXIT_OVER_LIMIT if self.failed else EXIT_OK

    @property
    def verdict(self) -> str:
        """See ``verdict``."""
        return verdict(self.rows)


@dataclass(frozen=True)
class CheckedRun(Checked):
    """What a check of a run found.

    Attributes:
        out: folder of the run. manifest: of it, whole. source, written: input and output.
        compared: how many of its samples were. words: of the command line, with which the input was found.
    """

    out: Path
    manifest: Manifest
    source: Log
    written: Log
    compared: int
    words: Sequence[str]

    @property
    def folder(self) -> Path:
        """Of the output, in which the manifest lies."""
        return self.out if self.out.is_dir() else self.out.parent

    @property
    def place(self) -> str:
        """The output as it was given: its folder, or its URL."""
        return as_given(str(self.out))

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What ``run.json`` says; empty where there is none."""
        path = self.folder / FACTS
        found = read_json(path) if is_there(path) else {}
        if not isinstance(found, dict):
            raise DataError(f"{path}: expected a mapping, as a run writes it")
        return found

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {entry.id: number for number, entry in enumerate(self.manifest.entries)}

    def index(self, sample: str) -> int:
        """Number of a sample in the manifest, from 0."""
        return self._numbers[sample]


def tell(found: Checked) -> int:
    """Print what a check found, and return its exit code."""
    report.OUT.print(report.check_table(found.rows))
    for row in found.failed:
        if row.measurement == "unreadable":
            report.OUT.print(printable(row.reason), style="yellow")
    report.OUT.print(found.verdict, style="bold red" if found.failed else "green")
    return found.exit_code


def verdict(rows: Sequence[Row]) -> str:
    """The last line of a check: how many figures hold, and how many things were not compared."""
    figures = sum(row.compared for row in rows)
    failed, rest = sum(row.status == "FAIL" for row in rows), len(rows) - figures
    held = f"{failed} of {figures} figures are over their limit" if failed else f"all {figures} figures hold"
    return f"{held}, {rest} not compared" if rest else held


def check_pipeline(overrides: Sequence[str], extra_dir: str | None) -> Checked:
    """Measure the geometry of a pipeline on a log."""
    config = compose_config("check", overrides, extra_dir)
    if type(config["n"]) is not int or config["n"] < 1:
        raise ConfigError(f"n: expected a whole number of at least 1, got {config['n']!r}")
    import_plugins(config["plugins"])
    log = build_log(config["log"], config["storage"])
    whole, seed = draw_geometry_per_scene(build_pipeline(config["pipeline"]), log)[0], int(config["seed"])
    pipeline = geometry_only(whole)
    weathers = [(p, t) for p, t in named_leaves(whole) if isinstance(t, Weather)]
    rows: list[Row] = []
    pairs = []
    for source in itertools.islice(log, int(config["n"])):
        draws = Run(Keys(seed), Context({}))
        drawn = [d for p, t in weathers for d in draws.draw(t, source, 0, p).values()]
        pairs.append(Pair(source, run(pipeline, source, seed=seed), tuple(drawn)))
    for measure in MEASUREMENTS.values():
        rows += measure(pairs)
    return Checked(combine(rows), Worst())


def check_written(out: Path, overrides: Sequence[str], extra_dir: str | None) -> CheckedRun:
    """Compare what a run wrote with what it should have written."""
    manifest = run_manifest(out)
    source = source_log(manifest, out, overrides, extra_dir)
    refuse_links(out, follow_links=getattr(source.options, "follow_links", None))
    for record in {(r.name, r.version): r for e in manifest.entries for r in e.history}.values():
        transform_class(record)
    written = written_log(manifest, out, source)
    resources = resources_of_run(manifest, source, out if out.is_dir() else out.parent, overrides)
    chosen = _selected(manifest, source, overrides, out)
    rows, worst = _compared(manifest.where, source, written, chosen, resources)
    return CheckedRun(rows, worst, out, manifest, source, written, len(chosen.entries), overrides)


def _selected(manifest: Manifest, source: Log, overrides: Sequence[str], out: Path) -> Manifest:
    """A manifest of the samples that ``log.select=`` names, or of all."""
    select = [value_of(w) for w in overrides if w.startswith("log.select=")]
    if not select:
        return manifest
    sources = {e.id: e.source for e in manifest.entries}
    kept = set(select_ids(list(sources), select[-1], lambda i: [i, *source.names_of(sources[i])], str(out)))
    return replace(manifest, entries=[e for e in manifest.entries if e.id in kept])


@reads_file
def _compared(
    path: str, source: Log, written: Log, manifest: Manifest, resources: Mapping[str, object]
) -> tuple[list[Row], Worst]:
    """All comparisons; the histories in the manifest (``path``) say what is compared, and may hold anything."""
    rows, worst = [], Worst()
    for sample, own in compare_run(source, written, manifest, resources):
        rows += own
        if sample:
            worst.add(sample, own)
    return combine(rows), worst
