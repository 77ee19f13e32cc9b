"""``fusion-aug show``: a picture or a recording of samples before and after."""

from __future__ import annotations

import itertools
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fusion_aug.core.engine import run
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs import Log
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.sidecar import ids_in_manifest
from fusion_aug.logs.remote.address import refuse_url
from fusion_aug.run import report
from fusion_aug.run.config import build_log, build_pipeline, compose_config, import_plugins
from fusion_aug.run.donating import check_donors, donor_log, donor_resources
from fusion_aug.run.inputs import output_at, run_manifest, source_log, written_log
from fusion_aug.run.scope import draw_geometry_per_scene
from fusion_aug.run.words import value_of
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import Entry
from fusion_aug.show.draw import save_picture
from fusion_aug.show.recording import record, serve
from fusion_aug.show.sheet import draw_sheet

SHOW_OPTIONS = ("index", "out", "n", "port", "overlay")


def show_command(positionals: Sequence[str], overrides: Sequence[str], extra_dir: str | None, flags: set[str]) -> int:
    """Draw a sample before and after, or record several."""
    if positionals:
        own = {w.split("=")[0]: value_of(w) for w in overrides if "=" in w and w.split("=")[0] in SHOW_OPTIONS}
        rest = [w for w in overrides if w.split("=")[0] not in SHOW_OPTIONS]
        settings: dict[str, Any] = {"index": "0", "out": "show.png", "n": "10", "port": "9090", "overlay": True} | own
        count, pairs = _of_run(output_at(positionals[0], rest), rest, extra_dir)
    else:
        settings = compose_config("show", overrides, extra_dir)
        count, pairs = _of_pipeline(settings)
    first = _whole("index", settings["index"], 0, count - 1)
    refuse_url("out", settings["out"])
    target = user_path(str(settings["out"]))
    if not flags:
        if target.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise ConfigError(f"out: expected a .png or .jpg file, got {target}")
        overlay = settings["overlay"]
        if not isinstance(overlay, bool):
            raise ConfigError(f"overlay: expected true or false, got {overlay!r}")
        before, after = next(itertools.islice(pairs, first, None))
        save_picture(draw_sheet(before, after, overlay), target)
        report.OUT.print(f"wrote {target}", markup=False)
        return 0
    target = target.with_suffix(".rrd") if str(settings["out"]) == "show.png" else target
    if target.suffix != ".rrd":
        raise ConfigError(f"out: a recording is an .rrd file, got {target}")
    most = _whole("n", settings["n"], 1, 10**6)
    recorded = record(itertools.islice(pairs, first, first + most), target)
    report.OUT.print(f"wrote {target}: {recorded} samples; open it with: rerun {target}", markup=False)
    if "--serve" in flags:
        port = _whole("port", settings["port"], 1, 65534)
        with serve(target, port) as (server, address):
            report.OUT.print(f"the viewer is at {address} (Ctrl-C ends it)", soft_wrap=True)
            webbrowser.open(address)  # where there is no screen, the address is there to copy
            try:
                return server.wait()
            except KeyboardInterrupt:
                return 0
    return 0


def _of_pipeline(config: dict[str, Any]) -> tuple[int, Iterator[tuple[Sample, Sample]]]:
    """Samples of a log, and what a pipeline makes of them."""
    import_plugins(config["plugins"])
    log = build_log(config["log"], config["storage"])
    pipeline = draw_geometry_per_scene(build_pipeline(config["pipeline"]), log)[0]
    ids, donors = log.ids, donor_log(config["donors"], log)
    check_donors(pipeline, donors)
    resources = donor_resources(donors)

    def pairs() -> Iterator[tuple[Sample, Sample]]:
        for i in ids:
            before = log.read(i)
            yield before, run(pipeline, before, seed=int(config["seed"]), resources=resources)

    return len(ids), pairs()


def _of_run(out: Path, rest: list[str], extra_dir: str | None) -> tuple[int, Iterator[tuple[Sample, Sample]]]:
    """Samples that a run wrote, beside their sources."""
    manifest = run_manifest(out)
    before_log = source_log(manifest, out, rest, extra_dir)
    after_log = written_log(manifest, out, before_log)
    if not manifest.entries:
        raise DataError(f"{manifest.where}: holds no sample")
    return len(manifest.entries), (pair_of_run(before_log, after_log, entry) for entry in manifest.entries)


def pair_of_run(source: Log, written: Log, entry: Entry) -> tuple[Sample, Sample]:
    """A sample of a run as it was read and as it was written, with its history.

    Args:
        source, written: the logs. entry: of the manifest.
    """
    ids = {made: read for read, made in ids_in_manifest(written.root).items()}
    return source.read(entry.source), written.read(ids.get(entry.id, entry.id)).with_meta(0, history=entry.history)


def _whole(key: str, value: Any, low: int, high: int) -> int:
    text = str(value)
    if not text.lstrip("-").isdigit() or not low <= int(text) <= high:
        raise ConfigError(f"{key}: expected a number from {low} to {high}, got {text!r}")
    return int(text)
