"""``fusion-aug check``: a pipeline on a log, what a run wrote, or two runs; as a table, and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fusion_aug.errors import ConfigError
from fusion_aug.run import report
from fusion_aug.run.checking import Checked, check_pipeline, check_written, tell
from fusion_aug.run.html.comparison import comparison_page
from fusion_aug.run.html.whole import report_page, report_target, write_page
from fusion_aug.run.inputs import output_at

HTML, COMPARE = "--html", "--compare"


def check_command(
    positionals: Sequence[str],
    overrides: Sequence[str],
    extra_dir: str | None,
    flags: Mapping[str, Sequence[str]] = {},
) -> int:
    """Measure a pipeline on a log, or what a run wrote.

    Args:
        positionals: OUT, or none. overrides: words of the command line. extra_dir: of ``--config-dir``.
        flags: ``--html`` and ``--compare`` with their words.
    """
    target = report_target(flags[HTML][0]) if HTML in flags else None
    if COMPARE in flags:
        if positionals or target is None:
            raise ConfigError(
                "--compare: takes two outputs and needs --html FILE, as in --compare A B --html both.html"
            )
        return _compare(flags[COMPARE], overrides, extra_dir, target)
    found: Checked
    if positionals:
        found = check_written(output_at(positionals[0], overrides), overrides, extra_dir)
    else:
        found = check_pipeline(overrides, extra_dir)
    code = tell(found)
    if target is not None:
        _write(report_page(found), target)
    return code


def report_of_run(out: Path, plugins: Sequence[str], target: Path) -> int:
    """Check a run that has just ended, and write its report; returns the exit code of the check."""
    words = [f"plugins=[{','.join(plugins)}]"] if plugins else []
    found = check_written(out, words, None)
    report.OUT.print(found.verdict, style="bold red" if found.failed else "green")
    _write(report_page(found), target)
    return found.exit_code


def _compare(outs: Sequence[str], overrides: Sequence[str], extra_dir: str | None, target: Path) -> int:
    """Check two runs, and write a page of both."""
    both = [check_written(output_at(out, overrides), overrides, extra_dir) for out in outs]
    for found in both:
        report.OUT.print(f"{found.place}: {found.verdict}", markup=False, soft_wrap=True)
    _write(comparison_page(*both), target)
    return max(found.exit_code for found in both)


def _write(page: str, target: Path) -> None:
    write_page(page, target)
    report.OUT.print(f"wrote {target}", markup=False, soft_wrap=True)
