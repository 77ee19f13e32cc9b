"""``fusion-aug inspect``: what a log holds, and what a run makes of each part of it, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import torch
from rich.table import Table

from calib import CalibrationError, CameraSensor, LidarSensor, Sensor, UnknownLens
from calib.lidar_models import LIDAR_MODELS, model_of
from calib.mirrored import as_given
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.account import Account, account_of
from fusion_aug.logs.core.log import Log
from fusion_aug.run import report
from fusion_aug.run.account_report import field_table, group_table, left_out_lines, printable
from fusion_aug.run.config import build_log, compose_config, import_plugins
from fusion_aug.run.survey import GAP, StreamFacts, Survey, survey
from fusion_aug.sample import Sample
from fusion_aug.streams import Points

MOST_CATEGORIES = 12
NO_DATA = "no data of it"  # of a sensor that the rig has
ALWAYS = ("intensity_scale", "max_range")  # figures of a sensor that are shown also where they are the usual ones


def inspect_command(overrides: Sequence[str], extra_dir: str | None) -> int:
    """Print what a log holds.

    Raises:
        ConfigError: an option is wrong.
        DataError: the log is missing or damaged; of samples that cannot be read after all else was printed.
    """
    config = compose_config("inspect", overrides, extra_dir)
    most = config["n"]
    if most is not None and (type(most) is not int or most < 1):
        raise ConfigError(f"n: expected a whole number of at least 1, or null for all, got {most!r}")
    import_plugins(config["plugins"])
    log = build_log(config["log"], config["storage"])
    found = survey(log, most)
    print_survey(log, found)
    print_account(account_of(log), open_questions(found))
    if found.problems:
        first = next(iter(found.problems.values()))
        raise DataError(f"{len(found.problems)} of {counted(found.read, 'sample')} cannot be read; the first: {first}")
    return 0


def print_survey(log: Log, found: Survey) -> None:
    """Print what is in the samples."""
    total = len(log.ids)
    part = "" if found.read == total else f"; {found.read} of them were read, n=null reads all"
    span = f", {found.seconds:.1f} s of data" if found.seconds else ""
    report.OUT.print(f"[bold]{log.format.name}[/] {printable(as_given(str(log.root)))}")
    report.OUT.print(f"{counted(total, 'sample')}{part}: {counted(len(found.scenes), 'scene')}{span}")
    report.OUT.print(stream_table(found))
    if found.first is not None and found.first.rig.sensors:
        report.OUT.print(sensor_table(found.first, list(found.streams)))
    for line in report.intensity_lines(log.intensity_scales):
        report.OUT.print(printable(line))
    for line in found.words:
        report.OUT.print(printable(line), style="yellow", soft_wrap=True)
    for name, facts in found.streams.items():
        if facts.kept_as_it_is:
            report.OUT.print(
                f"{printable(name)}: copied, and refused where it had to change: {printable(facts.kept_as_it_is)}",
                style="yellow", soft_wrap=True,
            )  # fmt: skip
    for name, facts in found.streams.items():
        if facts.gaps:
            longest, where = max(facts.gaps)
            report.OUT.print(
                f"{printable(name)}: {counted(len(facts.gaps), 'gap')} of more than {GAP * (facts.step or 0):.3g} s, "
                f"the longest of {longest:.3g} s before an item of sample {printable(where)}",
                style="yellow",
            )
    if found.boxes:
        common = [f"{printable(c) or '(no class)'} {n:,}" for c, n in found.boxes.most_common(MOST_CATEGORIES)]
        more = len(found.boxes) - len(common)
        rest = f" and {more} more classes" if more else ""
        report.OUT.print(f"{counted(found.boxes.total(), 'box', 'es')}: {', '.join(common)}{rest}", soft_wrap=True)


def counted(number: int, what: str, plural: str = "s") -> str:
    """``1 sample``, ``2,000 samples``."""
    return f"{number:,} {what}{'' if number == 1 else plural}"


def stream_table(found: Survey) -> Table:
    """Every stream with rate, size and columns."""
    table = Table(box=None, pad_edge=False)
    for name in ("stream", "kind"):
        table.add_column(name, no_wrap=True)
    for name in ("samples", "items", "rows", "rate"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("columns, by type of one row", overflow="fold")
    for name, facts in found.streams.items():
        rate = f"{1 / facts.step:.3g} Hz" if facts.step else "-"
        rows = ("not counted" if facts.has_rows else "") if facts.rows is None else f"{facts.rows:,}"
        table.add_row(
            printable(name), facts.kind, f"{facts.samples:,}", f"{facts.items:,}", rows, rate, columns_of(facts)
        )
    return table


def columns_of(facts: StreamFacts) -> str:
    """``1242x375 uint8 3`` of pictures, of all sizes and types, else the columns, those of one type together."""
    if facts.sizes:
        sizes = " and ".join(f"{w}x{h}" for h, w in sorted(facts.sizes))
        return f"{sizes} {' and '.join(sorted(facts.pixels))}".strip()
    kinds: dict[str, list[str]] = {}
    for name, kind in facts.columns.items():
        kinds.setdefault(kind, []).append(name)
    return printable("; ".join(f"{', '.join(names)}: {kind}" for kind, names in kinds.items()))


def sensor_table(sample: Sample, streams: Sequence[str]) -> Table:
    """Every sensor of the first sample: the device, where it is mounted, and whether the log has data of it.

    Args:
        sample: the first. streams: names of all samples.
    """
    table = Table(box=None, pad_edge=False)
    for name in ("sensor", "kind"):
        table.add_column(name, no_wrap=True)
    table.add_column(f"x, y, z in {printable(sample.ref.frame)}, m", justify="right", no_wrap=True)
    table.add_column("optical or x axis", justify="right", no_wrap=True)
    table.add_column("device", overflow="fold")
    for name, sensor in sample.rig.sensors.items():
        told = ", ".join(t for t in (device(sensor), data_of(sample, name, sensor, streams)) if t)
        table.add_row(printable(name), sensor.kind, *mounting(sample, sensor), printable(told))
    return table


def data_of(sample: Sample, name: str, sensor: Sensor, streams: Sequence[str]) -> str:
    """Where the data of a sensor are that has no stream of its own name; empty where it has one."""
    if any(n.split("/")[0] == name or n == name for n in streams):
        return ""
    shared = [n for n, s in sample.of_type(Points).items() if sensor.frame in s.origins]
    inside = shared or [n for n, s in sample.streams.items() if s.instance(n) == name or s.frame == sensor.frame]
    return f"its data are in {', '.join(inside)}" if inside else NO_DATA


def mounting(sample: Sample, sensor: Sensor) -> tuple[str, str]:
    """Place of a sensor in the reference frame, and where its optical axis or its x axis points to."""
    try:
        T = sample.rig.T(sample.ref.frame, sensor.frame, sample.ref.time)
    except CalibrationError:
        return "unknown", "unknown"
    axis = T[:3, 2] if isinstance(sensor, CameraSensor) else T[:3, 0]
    yaw, pitch = math.degrees(math.atan2(axis[1], axis[0])), math.degrees(math.asin(max(-1, min(1, float(axis[2])))))
    up = f", {pitch:+.0f} up" if abs(pitch) >= 0.5 else ""
    return ", ".join(f"{float(v):.2f}" for v in T[:3, 3]), f"{round(yaw)} degrees{up}"


def device(sensor: Sensor) -> str:
    """What a sensor is, in figures: lens, or what it differs in from others of its kind."""
    if isinstance(sensor, CameraSensor):
        height, width = sensor.size
        if isinstance(sensor.model, UnknownLens):
            return f"{width}x{height}, calibration unknown"
        view = field_of_view(sensor)
        wide = "" if math.isnan(view) else f", {view:.0f} degrees wide"
        return f"{width}x{height} {sensor.model.lens}, f {sensor.pixels_per_radian:.1f} px{wide}"
    model = model_of(sensor) if isinstance(sensor, LidarSensor) else ""
    figures, known = [model] if model else [], LIDAR_MODELS.get(model, {})
    for f in fields(sensor):
        value = getattr(sensor, f.name)
        if f.name in known and known[f.name].value == value:
            continue
        differs = isinstance(value, int | float | str) and value != f.default and f.name not in ("frame", "mirror_of")
        if differs or (f.name in ALWAYS and value is not None):
            figures.append(f"{f.name.replace('_', ' ')} {value}")
    return ", ".join(figures)


def field_of_view(sensor: CameraSensor) -> float:
    """Angle (degrees) between the rays of the left and the right edge, through the middle; NaN where there is none."""
    height, width = sensor.size
    middle = (height - 1) / 2
    edges = torch.tensor([[-0.5, middle], [(width - 1) / 2, middle], [width - 0.5, middle]], dtype=torch.float64)
    left, centre, right = sensor.unproject(edges)
    angles = [torch.acos((side @ centre).clamp(-1, 1)) for side in (left, right)]
    return math.degrees(float(angles[0] + angles[1]))


def open_questions(found: Survey) -> bool:
    """Whether a stream is only copied, a sample cannot be read, or a sensor without data may be mistyped."""
    if found.problems or any(facts.kept_as_it_is for facts in found.streams.values()):
        return True
    first, names = found.first, list(found.streams)
    return first is not None and any(data_of(first, n, s, names) == NO_DATA for n, s in first.rig.sensors.items())


def print_account(account: Account, is_open: bool) -> None:
    """Print what becomes of every file and field; ``is_open``: something of the streams is not understood."""
    known = [g for g in account.files if g.understood]
    if known:
        report.OUT.print(group_table(known, "files", "number"))
    if any(g.understood for g in account.fields):
        report.OUT.print(field_table([g for g in account.fields if g.understood]))
    if any(g.understood for g in account.rows):
        report.OUT.print(group_table([g for g in account.rows if g.understood], "rows of tables", "number"))
    unknown = Account(
        *(tuple(g for g in groups if not g.understood) for groups in (account.files, account.fields, account.rows))
    )
    report.print_lines(left_out_lines(unknown))
    if not account.not_understood and not is_open:
        report.OUT.print("everything is understood", style="green")
