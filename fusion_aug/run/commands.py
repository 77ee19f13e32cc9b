"""The sub-commands, each from its words to its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.remote.address import is_url
from fusion_aug.run import report
from fusion_aug.run.check_command import report_of_run
from fusion_aug.run.checking import EXIT_OK
from fusion_aug.run.config import build_pipeline, compose_config, import_plugins
from fusion_aug.run.execute import check_options, execute
from fusion_aug.run.job import Job
from fusion_aug.run.progress import progress_bar
from fusion_aug.run.publishing import with_stage
from fusion_aug.run.scope import draw_geometry_per_scene
from fusion_aug.run.sweeping import sweep
from fusion_aug.run.unfinished import REPORT


def run_command(overrides: Sequence[str], multirun: bool, extra_dir: str | None) -> int:
    """Augment a log on disk."""
    configs = []
    for name, words in sweep(overrides, extra_dir) if multirun else [("", list(overrides))]:
        config = compose_config("run", words, extra_dir)
        import_plugins(config["plugins"])  # one of them may have registered the format of the output
        check_options(config)
        build_pipeline(config["pipeline"])  # every job is looked at before the first one runs
        configs.append((name, config | ({"out": f"{str(config['out']).rstrip('/')}/{name}"} if multirun else {})))
    codes = [EXIT_OK]
    for name, config in configs:
        if multirun:
            report.OUT.print(name, style="bold", markup=False)
        codes.append(one_run(config))
    return max(codes)


def one_run(config: dict[str, Any]) -> int:
    """Run one job, or print what it would do; returns the exit code of its report, if one is asked for."""
    job = Job(with_stage(config) if is_url(config["out"]) else config)
    _, changed = draw_geometry_per_scene(build_pipeline(config["pipeline"]), job.log, config["output"])
    if config["dry_run"]:
        report.dry_run(job, changed)
        return EXIT_OK
    with progress_bar("augmenting", report.ERR) as update:
        result = execute(job, update)
    report.run_summary(job, result, changed)
    return report_of_run(job.out, job.header()["plugins"], job.out / REPORT) if config["report"] else EXIT_OK


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
