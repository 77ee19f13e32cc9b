"""What the command line prints: tables, a progress bar, the plan of a dry run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fusion_aug.check.measurement import Row
from fusion_aug.core.compose import leaves
from fusion_aug.core.registry import is_invariant, resolve
from fusion_aug.errors import USER_ERRORS, FusionAugError, MissingPackage
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.sample_account import sample_account
from fusion_aug.run.account_report import label_table, left_out_lines, printable, stream_table
from fusion_aug.run.ending import RunResult
from fusion_aug.run.execute import output_size, refuse_unfit
from fusion_aug.run.idle import idle_notes
from fusion_aug.run.job import Job
from fusion_aug.run.looking import look
from fusion_aug.run.obstacles import refuse_obstacles
from fusion_aug.run.unfinished import NEW
from fusion_aug.run.usage import Usage, Used
from fusion_aug.sample import Sample
from fusion_aug.transforms.camera.photometric import refuse_gel


class Printer(Console):
    """A console that leaves a pipe that nobody reads to the command line, which knows the exit code of that."""

    def on_broken_pipe(self) -> None:
        """Go on with the error, which is being handled; rich itself would exit with 1.

        Raises:
            BrokenPipeError: always.
        """
        raise


OUT, ERR = Printer(), Printer(stderr=True)
if not OUT.is_terminal:  # a file or a pipe has no width of its own
    OUT = Printer(width=140)


def check_table(rows: Sequence[Row]) -> Table:
    """Measurement, sensor, n, median, max, unit, limit, verdict."""
    table = Table(title=None, box=None, pad_edge=False)
    for name in ("measurement", "sensor"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "median", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("unit", "limit", "verdict"):
        table.add_column(name, no_wrap=name != "verdict")
    colours = {"PASS": "green", "FAIL": "bold red"}
    for row in rows:
        figures = ["-", "-"]
        if len(row.values):
            figures = [f"{np.median(row.values):.3g}", f"{np.max(row.values):.3g}"]
        limit = "-" if row.limit is None else f"{row.limit:g}"
        colour = colours.get(row.status, "dim" if row.compared else "yellow")
        names = [printable(row.measurement), printable(row.sensor)]
        verdict = f"[{colour}]{printable(row.status)}[/]"
        table.add_row(*names, str(len(row.values)), *figures, row.unit, limit, verdict)
    return table


def run_summary(job: Job, result: RunResult, changed: Sequence[str]) -> None:
    """Print what a run did."""
    if changed:
        note = f"{per_scene_format(job)} keeps calibration and tracks per scene, so these are drawn once per scene: "
        OUT.print(note + ", ".join(changed), style="dim", markup=False)
    for line in (*intensity_lines(job.log.intensity_scales), *notes(job)):
        OUT.print(printable(line), style="dim", soft_wrap=True)
    for line in result.notes:
        OUT.print(printable(line), style="yellow", soft_wrap=True)
    print_idle(job)
    if result.already_done:
        OUT.print(f"{printable(job.place)} already holds this run, complete: nothing to do")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("samples staged" if result.is_shard else "samples written", str(result.written))
    if result.resumed:
        table.add_row("of these taken over", f"{result.resumed} from an interrupted run")
    table.add_row("skipped", str(len(result.skipped)))
    table.add_row("time", f"{result.seconds:.1f} s")
    if result.used:
        table.add_row("memory of a process", f"up to {result.used['memory'] / 2**20:.0f} MiB")
    if not result.is_shard:
        size = output_size(job.out) if job.out.is_dir() else result.used["bytes"]  # in a store without the tables
        table.add_row("size", f"{size / 2**20:.1f} MiB")
    table.add_row("output", printable(job.place))
    OUT.print(table)
    for name, why in result.skipped:
        OUT.print(printable(f"skipped {name}: {why}"), style="yellow")
    if result.is_shard:
        shard = job.config["shard"]
        OUT.print(f"this is shard {shard}; when all have ended: fusion-aug merge {job.place}", markup=False)
        return
    OUT.print(stream_table(result.streams, job.loss_reasons))
    classes = label_table(result.streams)
    if classes is not None:
        OUT.print(classes)
    print_lines(left_out_lines(job.account))


def print_idle(job: Job) -> None:
    """Print what of the pipeline acts on nothing."""
    for line in idle_notes(job):
        OUT.print(printable(line), style="yellow", soft_wrap=True)


def print_lines(lines: Sequence[str]) -> None:
    """Print marked-up lines; on a terminal they end between words, and go on below their first word."""
    for line in lines:
        if not OUT.is_terminal:
            OUT.print(line, soft_wrap=True)
            continue
        text = Text.from_markup(line)
        indent = len(text.plain) - len(text.plain.lstrip())
        OUT.print(Padding(text[indent:], (0, 0, 0, indent)))


def intensity_lines(scales: Mapping[str, float | None]) -> list[str]:
    """What is taken for the scale of the intensities of every stream of clouds."""
    known = [f"{name} up to {scale:g}" for name, scale in scales.items() if scale is not None]
    unknown = [name for name, scale in scales.items() if scale is None]
    lines = [f"intensities: {', '.join(known)} (log.intensity_scale)"] if known else []
    ask = "their scale is not known; declare it with log.intensity_scale"
    return [*lines, *(f"intensities of {name}: {ask}" for name in unknown)]


def per_scene_format(job: Job) -> str:
    """The format because of which geometry is drawn once per scene: that of the input, else of the output."""
    return job.log.format.name if job.log.calibration_per_scene else job.output


def notes(job: Job) -> list[str]:
    """What the log says of how the first sample is read, and the writer of how it is written."""
    try:
        first = job.log.read(job.tasks[0][0])
        return [*job.log.words(first), *job.writer.notes(first, job.planned)]
    except USER_ERRORS:  # a sample that is skipped
        return []


def dry_run(job: Job, changed: Sequence[str]) -> None:
    """Print what would be done, without writing into the output.

    The first sample is made in a temporary folder, to measure time, size and memory.

    Raises:
        FusionAugError: what a run would raise before its first sample, or of it.
    """
    found = look(job)
    refuse_obstacles(job.planned, job.log)
    source, used = _trial(job)
    OUT.print(sensor_table(job, source))
    for line in intensity_lines(job.log.intensity_scales):
        OUT.print(printable(line), soft_wrap=True)
    if changed:
        OUT.print(
            f"drawn once per scene, since {per_scene_format(job)} keeps calibration per scene: {', '.join(changed)}"
        )
    problems = job.writer.can_express(job.planned, source)
    for problem in problems:
        OUT.print(f"[bold red]the format cannot hold it:[/] {printable(str(problem))}")
    if not problems:
        OUT.print(f"{job.output} can hold everything that the pipeline makes")
    for line in [*job.log.words(source), *job.writer.notes(source, job.planned)]:
        OUT.print(printable(line), style="dim", soft_wrap=True)
    print_idle(job)
    n, workers = len(job.numbers), max(1, int(job.config["workers"]))
    part = f" (of {len(job.tasks)}, shard {job.config['shard']})" if job.config["shard"] else ""
    OUT.print(
        f"{n} samples{part}, about {n * used.seconds / workers:.0f} s with {workers} process(es) and "
        f"{n * used.bytes / 2**20:.1f} MiB; up to about {used.memory / 2**20:.0f} MiB of memory in each process"
    )
    print_lines(left_out_lines(job.account))
    if found != NEW:
        OUT.print(f"{job.place} holds this run already, {found}", markup=False, soft_wrap=True)
    OUT.print("nothing was written (dry_run=true)")


def _trial(job: Job) -> tuple[Sample, Used]:
    """The first sample that can be made, and what it takes in a temporary folder.

    Raises:
        FusionAugError: of the first sample, or where such are skipped of all samples and not of one.
    """
    first: Exception = FusionAugError("no sample was selected")
    for number, name in enumerate(job.tasks.ids):
        folder = Path(tempfile.mkdtemp())
        fits = True
        try:
            source, fits = job.log.read(name), False
            refuse_unfit(job, source)
            fits = True
            with naming_output(folder):
                usage = Usage()
                sample = job.augmented(job.log.read(name), 0)
                job.writer.stage(sample, source, name, folder)
                written = job.writer.as_read_back(sample, source)
                sample_account(source, sample, written, job.writer)
                return source, usage.of(folder)
        except USER_ERRORS as error:
            if job.config["on_error"] != "skip" or isinstance(error, MissingPackage) or not fits:
                raise
            first = first if number else error
        finally:
            shutil.rmtree(folder)
    raise first


def sensor_table(job: Job, sample: Sample) -> Table:
    """What touches each stream."""
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "kind", "items", "touched by"):
        table.add_column(name)
    for name, stream in sample.streams.items():
        kind = type(stream)
        touching = [
            type(t).__name__
            for t in leaves(job.planned)
            if t.p > 0 and resolve(type(t), kind) not in (None, refuse_gel) and not is_invariant(type(t), kind)
        ]
        table.add_row(printable(name), kind.__name__, str(len(stream)), ", ".join(dict.fromkeys(touching)) or "nothing")
    return table
