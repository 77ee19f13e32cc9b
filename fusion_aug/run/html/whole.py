"""The report as a whole: the page of a run, of a pipeline on a log, and the file that holds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.logs.remote.address import refuse_url
from fusion_aug.run.checking import Checked, CheckedRun
from fusion_aug.run.html.checks import failed_section, figures_section, verdict_section
from fusion_aug.run.html.drawn import drawn_section
from fusion_aug.run.html.losses import losses_section
from fusion_aug.run.html.pace import pace_section
from fusion_aug.run.html.pictures import pictures_section
from fusion_aug.run.unfinished import FACTS
from fusion_aug.safe.guard import guarded
from fusion_aug.sample.manifest import NAME
from fusion_aug.show.page import Html, document, joined, tag

OF_RUN: dict[str, Callable[[CheckedRun], Html]] = {
    "Losses": losses_section,
    "Drawn": drawn_section,
    "Throughput": pace_section,
    "Before and after": pictures_section,
}  # sections of a run, after the figures


def report_target(word: str) -> Path:
    """The file that a report is written to.

    Raises:
        ConfigError: it is none that a report may be written to.
    """
    refuse_url("--html", word)
    path = user_path(word)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--html: expected an .html file, got {word}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"--html: {word} cannot be written; name a file in a folder that is there")
    return path


def write_page(page: str, path: Path) -> None:
    """Write a page; it appears under its name when it is whole."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with naming_output(part):
            write_new_text(part, page)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)


def report_page(found: Checked) -> str:
    """The report of a check.

    Raises:
        DataError: manifest or ``run.json`` are damaged.
    """
    sections = {"Figures": lambda: joined([failed_section(found), figures_section(found.rows)])}
    title = "Check of a pipeline"
    if isinstance(found, CheckedRun):
        title = f"Check of {found.folder.name or found.place}"
        sections |= {name: guarded_section(section, found) for name, section in OF_RUN.items()}
    return page_of(title, verdict_section(found), {name: section() for name, section in sections.items()})


def page_of(title: str, verdict: object, sections: dict[str, Html]) -> str:
    """A page of a verdict and sections, with links to them."""
    anchors = {name: name.split()[0].lower() for name in sections}
    links = tag("nav", *(tag("a", name, href=f"#{a}") for name, a in anchors.items()), aria_label="sections")
    parts: Sequence[object] = [tag("h1", title), verdict, links]
    body = [tag("section", tag("h2", name), inner, id=anchors[name]) for name, inner in sections.items()]
    return document(title, [tag("main", *parts, *body)], pictures=True, wide=True)


def guarded_section(section: Callable[[Any], Html], found: Any) -> Callable[[], Html]:
    """A section that tells what is damaged in the files of a run, which may be somebody else's.

    Args:
        section: makes it. found: of what, one run or a tuple of them.
    """
    runs = found if isinstance(found, tuple) else (found,)
    where = " or ".join(f"{run.folder}: {NAME} or {FACTS}" for run in runs)
    return partial(guarded(section, lambda *_: where), found)
