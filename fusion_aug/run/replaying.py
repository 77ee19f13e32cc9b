"""``fusion-aug replay``: one sample of a run again, checked against its digest or written as a log of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.regular_files import open_regular
from fusion_aug.core.engine import replay
from fusion_aug.core.mixing.transform import DONORS
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.new_files import new_file, write_new_text
from fusion_aug.logs.core.options import absolute
from fusion_aug.logs.core.run_writer import writer_of_run
from fusion_aug.logs.core.sample_account import total_account
from fusion_aug.logs.core.whole import move_files, whole_folder
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.remote.address import refuse_url
from fusion_aug.run import report
from fusion_aug.run.donating import resources_of_run
from fusion_aug.run.inputs import output_at, run_manifest, source_log
from fusion_aug.run.model_folders import KEY as MODELS
from fusion_aug.run.network_files import KEY
from fusion_aug.run.picture_folders import folder_facts
from fusion_aug.run.words import value_of
from fusion_aug.sample.manifest import NAME, Entry, Manifest, tree_digest
from fusion_aug.sample.networks import known_networks
from fusion_aug.transforms.generative.diffusion_model import known_models
from fusion_aug.transforms.mix.pictures import known_folders


def replay_command(positionals: Sequence[str], overrides: Sequence[str], extra_dir: str | None) -> int:
    """Make one sample of a run again; exit code 1 where it is another than the run wrote."""
    path, sample_id = output_at(positionals[0], overrides), positionals[1]
    manifest = run_manifest(path)
    entry = manifest.entry(sample_id)
    folder = path if path.is_dir() else path.parent
    log = source_log(manifest, folder, overrides, extra_dir)
    resources = resources_of_run(manifest, log, folder, overrides)
    words = [str(value_of(w)) for w in overrides if w.startswith("out=")]
    refuse_url("out", words[-1] if words else "")
    given = [user_path(w) for w in words]
    if given and given[0].exists() and (not given[0].is_dir() or any(given[0].iterdir())):
        raise ConfigError(f"out: {given[0]} is not empty")
    if given:
        with whole_folder(given[0]) as out:
            same = _write(log, manifest, entry, out, resources)
            _write_facts(log, manifest, _line(folder / NAME if path.is_dir() else path, entry), out, resources)
    else:
        with tempfile.TemporaryDirectory() as stage:
            same = _stage(log, manifest, entry, Path(stage), Path(stage), resources)[0]
    where = f", written to {given[0]}" if given else ""
    report.OUT.print(
        f"{sample_id}: replayed {len(entry.history)} records{where}; digest {'agrees' if same else 'DIFFERS'}",
        markup=False,
        soft_wrap=True,
    )
    return 0 if same else 1


def _stage(
    log: Log, manifest: Manifest, entry: Entry, stage: Path, out: Path, resources: Mapping[str, Any]
) -> tuple[bool, dict[str, Any], Any]:
    """Write the files of the sample; returns whether they are the run's, their rows, and the writer."""
    source = log.read(entry.source)
    writer = writer_of_run(log, manifest, out)
    rows = writer.stage(replay(source, entry.history, resources=resources), source, entry.id, stage)
    return tree_digest(stage) == entry.digest, rows, writer


def _write(log: Log, manifest: Manifest, entry: Entry, out: Path, resources: Mapping[str, Any]) -> bool:
    """Write files and tables of a log of this one sample; returns whether the files are the run's."""
    stage = out / WORK / "stage"
    stage.mkdir()
    same, rows, writer = _stage(log, manifest, entry, stage, out, resources)
    move_files(stage, out, entry.id)
    rows = {k: v for k, v in json.loads(json.dumps(rows)).items() if k != "residual"}  # as a run hands them over
    writer.finish([rows], [(entry.id, entry.source)])
    return same


def _line(path: Path, entry: Entry) -> dict[str, Any]:
    """The line of a sample in the manifest."""
    with open_regular(path) as file:
        next(file)
        rows = (json.loads(line) for line in file)
        return next(row for row in rows if row["id"] == entry.id)


def _write_facts(log: Log, manifest: Manifest, line: dict[str, Any], out: Path, resources: Mapping[str, Any]) -> None:
    """Write the manifest of the one sample, and where its source lies, for ``check OUT`` and ``show OUT``."""
    header = {**manifest.header, "replayed": line["id"]}
    if "account" in header:
        streams = total_account([line.get("account", {})])
        samples = {"asked": 1, "written": 1, "skipped": 0}
        header["account"] = {**header["account"], "samples": samples, "streams": streams}
    with new_file(out / NAME) as file:
        file.writelines(json.dumps(row, sort_keys=True) + "\n" for row in (header, line))
    facts: dict[str, Any] = {"source_root": log.origin}
    facts |= {name: absolute(getattr(log.options, name), log.root) for name in log.format.file_options}
    facts |= {KEY: places} if (places := known_networks()) else {}
    facts |= {MODELS: models} if (models := known_models()) else {}
    facts |= folder_facts(known_folders())
    facts |= {DONORS: donors.log.origin} if (donors := resources.get(DONORS)) else {}
    write_new_text(out / "run.json", json.dumps(facts, indent=1) + "\n")
