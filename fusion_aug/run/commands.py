"""The sub-commands, each from its words to its exit code."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusion_aug.check import MEASUREMENTS, Pair, Row, combine
from fusion_aug.check.output import compare_run
from fusion_aug.core.compose import named_leaves
from fusion_aug.core.engine import Run, run
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context, transform_class
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.select import select_ids
from fusion_aug.logs.remote.address import is_url
from fusion_aug.run import report
from fusion_aug.run.account_report import printable
from fusion_aug.run.config import build_log, build_pipeline, compose_config, import_plugins
from fusion_aug.run.donating import resources_of_run
from fusion_aug.run.execute import check_options, execute
from fusion_aug.run.inputs import output_at, run_manifest, source_log, written_log
from fusion_aug.run.job import Job
from fusion_aug.run.links import refuse_links
from fusion_aug.run.progress import progress_bar
from fusion_aug.run.publishing import with_stage
from fusion_aug.run.scope import draw_geometry_per_scene, geometry_only
from fusion_aug.run.sweeping import sweep
from fusion_aug.run.words import value_of
from fusion_aug.safe.guard import reads_file
from fusion_aug.transforms.weather import Weather

EXIT_OK, EXIT_OVER_LIMIT = 0, 1  # 2, bad input, is given by ``cli``


def run_command(overrides: Sequence[str], multirun: bool, extra_dir: str | None) -> int:
    """Augment a log on disk."""
    configs = []
    for name, words in sweep(overrides, extra_dir) if multirun else [("", list(overrides))]:
        config = compose_config("run", words, extra_dir)
        import_plugins(config["plugins"])  # one of them may have registered the format of the output
        check_options(config)
        build_pipeline(config["pipeline"])  # every job is looked at before the first one runs
        configs.append((name, config | ({"out": f"{str(config['out']).rstrip('/')}/{name}"} if multirun else {})))
    for name, config in configs:
        if multirun:
            report.OUT.print(name, style="bold", markup=False)
        one_run(config)
    return EXIT_OK


def one_run(config: dict[str, Any]) -> None:
    """Run one job, or print what it would do."""
    job = Job(with_stage(config) if is_url(config["out"]) else config)
    _, changed = draw_geometry_per_scene(build_pipeline(config["pipeline"]), job.log, config["output"])
    if config["dry_run"]:
        report.dry_run(job, changed)
        return
    with progress_bar("augmenting", report.ERR) as update:
        result = execute(job, update)
    report.run_summary(job, result, changed)


def check_command(positionals: Sequence[str], overrides: Sequence[str], extra_dir: str | None) -> int:
    """Measure a pipeline on a log, or what a run wrote."""
    rows = (
        check_written(output_at(positionals[0], overrides), overrides, extra_dir)
        if positionals
        else check_pipeline(overrides, extra_dir)
    )
    report.OUT.print(report.check_table(rows))
    failed = [r for r in rows if r.status == "FAIL"]
    for row in failed:
        if row.measurement == "unreadable":
            report.OUT.print(printable(row.reason), style="yellow")
    report.OUT.print(verdict(rows), style="bold red" if failed else "green")
    return EXIT_OVER_LIMIT if failed else EXIT_OK


def verdict(rows: Sequence[Row]) -> str:
    """The last line of a check: how many figures hold, and how many things were not compared."""
    figures = sum(row.compared for row in rows)
    failed, rest = sum(row.status == "FAIL" for row in rows), len(rows) - figures
    held = f"{failed} of {figures} figures are over their limit" if failed else f"all {figures} figures hold"
    return f"{held}, {rest} not compared" if rest else held


def check_pipeline(overrides: Sequence[str], extra_dir: str | None) -> list[Row]:
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
    return combine(rows)


def check_written(out: Path, overrides: Sequence[str], extra_dir: str | None) -> list[Row]:
    """Compare what a run wrote with what it should have written."""
    manifest = run_manifest(out)
    source = source_log(manifest, out, overrides, extra_dir)
    refuse_links(out, follow_links=getattr(source.options, "follow_links", None))
    for record in {(r.name, r.version): r for e in manifest.entries for r in e.history}.values():
        transform_class(record)
    written = written_log(manifest, out, source)
    resources = resources_of_run(manifest, source, out if out.is_dir() else out.parent, overrides)
    select = [value_of(w) for w in overrides if w.startswith("log.select=")]
    if select:
        sources = {e.id: e.source for e in manifest.entries}
        kept = select_ids(list(sources), select[-1], lambda i: [i, *source.names_of(sources[i])], str(out))
        manifest = replace(manifest, entries=[e for e in manifest.entries if e.id in set(kept)])

    @reads_file
    def compared(path: str) -> list[Row]:
        """All comparisons; the histories in the manifest say what is compared, and may hold anything."""
        return [row for rows in compare_run(source, written, manifest, resources) for row in rows]

    return combine(compared(manifest.where))


def synth_command(positionals: Sequence[str], overrides: Sequence[str]) -> int:
    """Make a sample log."""
    from fusion_aug.synth.daylight import LIGHTS
    from fusion_aug.synth.drive import SIZES, make_log

    if positionals[0] == "arm":
        return synth_arm(overrides)
    if positionals[0] != "drive":
        raise ConfigError(f"synth: unknown world {positionals[0]!r}, expected drive or arm")
    config = compose_config("synth", overrides)
    size, frames, seed, out = config["size"], config["frames"], config["seed"], Path(str(config["out"]))
    choices = {"size": tuple(SIZES), "depth": ("some", "all"), "extras": (True, False), "light": tuple(LIGHTS)}
    for word, known in choices.items():
        if config[word] not in known:
            raise ConfigError(f"{word}: {config[word]!r} is not one of {', '.join(map(str, known))}")
    for name, number, least in (("frames", frames, 1), ("seed", seed, 0)):
        if type(number) is not int or number < least:
            raise ConfigError(f"{name}: expected a whole number of at least {least}, got {number!r}")
    if type(config["every"]) not in (int, float):
        raise ConfigError(f"every: expected seconds between keyframes, got {config['every']!r}")
    must_be_empty(out)
    with progress_bar("rendering", report.ERR) as update:
        more = {word: config[word] for word in ("every", "depth", "extras", "light")}
        make_log(out, frames=frames, seed=seed, size=SIZES[size], **more, progress=update)
    report.OUT.print(f"wrote {out}: {frames} keyframes; open it with log=nuscenes log.root={out}", markup=False)
    return EXIT_OK


def synth_arm(overrides: Sequence[str]) -> int:
    """Make the sample log of a robot arm."""
    from fusion_aug.synth.arm.demonstrations import make_demonstrations
    from fusion_aug.synth.arm.make import make_arm

    config = compose_config("synth_arm", overrides)
    out, parcel, episodes, seed = Path(str(config["out"])), config["parcel"], config["episodes"], config["seed"]
    if parcel not in ("same", "random"):
        raise ConfigError(f"parcel: {parcel!r} is not one of same, random")
    for name, number, least in (("episodes", episodes, 1), ("seed", seed, 0)):
        if type(number) is not int or number < least:
            raise ConfigError(f"{name}: expected a whole number of at least {least}, got {number!r}")
    if parcel == "same" and (episodes, seed) != (1, 0):
        raise ConfigError("episodes, seed: every recording of one parcel is the same; say parcel=random for others")
    must_be_empty(out)
    if parcel == "random":
        with progress_bar("moving parcels", report.ERR) as update:
            make_demonstrations(out, episodes, seed, update)
        where = f"open it with log=lerobot log.root={out}/lerobot log.rig={out}/rig.yaml"
        report.OUT.print(f"wrote {out}: {episodes} episodes; {where}", soft_wrap=True, markup=False)
        return EXIT_OK
    with progress_bar("rendering", report.ERR) as update:
        make_arm(out, update)
    report.OUT.print(
        f"wrote {out}; open it with log=mcap log.root={out}/mcap log.rig={out}/mcap_rig.yaml, "
        f"or log=lerobot log.root={out}/lerobot log.rig={out}/lerobot_rig.yaml",
        soft_wrap=True,
        markup=False,
    )
    return EXIT_OK


def must_be_empty(folder: Path) -> None:
    """Raise if there is something at a folder that is to be written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is not empty; remove it or choose another folder")
