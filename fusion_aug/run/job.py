"""One job: what is to be done, and doing it for one sample. Everything here is the same in every process."""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import cv2
import torch

from calib.mirrored import as_given
from fusion_aug.core.compose import Compose, named_leaves
from fusion_aug.core.engine import run
from fusion_aug.errors import FusionAugError
from fusion_aug.logs import Log, Writer
from fusion_aug.logs.core.account import Account, account_of
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.inputs import input_lines
from fusion_aug.logs.core.intensity import SOURCE_KEY
from fusion_aug.logs.core.locks import FolderLock
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.logs.core.run_writer import is_made_anew
from fusion_aug.logs.core.sample_account import sample_account
from fusion_aug.logs.core.whole import move_files
from fusion_aug.logs.core.writer import WORK
from fusion_aug.ops.random import digest
from fusion_aug.run.config import build_log, build_pipeline, import_plugins
from fusion_aug.run.donating import SELF, donor_lines, donor_log, donor_resources
from fusion_aug.run.freed_memory import keep_freed_memory
from fusion_aug.run.network_files import network_lines, without_paths
from fusion_aug.run.plugin_sources import plugin_files, plugin_lines
from fusion_aug.run.scope import draw_geometry_per_scene
from fusion_aug.run.store_files import SampleFiles
from fusion_aug.run.tasks import Tasks, shard_of
from fusion_aug.run.unfinished import PLANNING, UNFINISHED, read_marker, state
from fusion_aug.run.usage import Usage
from fusion_aug.sample import Sample
from fusion_aug.sample.history import history_to_json
from fusion_aug.sample.manifest import ANEW, VERSION, output_id, tree_digest
from fusion_aug.version import __version__


@dataclass(frozen=True)
class Job:
    """A run as configured.

    Attributes:
        config: the resolved configuration of ``fusion-aug run``.
    """

    config: dict[str, Any]

    def __post_init__(self) -> None:
        import_plugins(self.config["plugins"])  # in every process, before format, transforms or streams are looked up

    @property
    def out(self) -> Path:
        """Folder of the output."""
        return Path(self.config["out"])

    @property
    def place(self) -> str:
        """The output as it was given, for messages: its folder, or its URL."""
        return as_given(str(self.out))

    @property
    def output(self) -> str:
        """Name of the format of the output."""
        return str(self.config["output"] or self.log.format.name)

    @property
    def config_of_workers(self) -> dict[str, Any]:
        """The configuration for other processes, which read a store as it was when this one listed it."""
        if self.log.mirror is None:
            return self.config
        return {**self.config, "storage": {**self.config["storage"], "listing": self.log.mirror.catalogue.digest()}}

    @cached_property
    def log(self) -> Log:
        """The input."""
        return build_log(self.config["log"], self.config.get("storage"))

    @cached_property
    def donors(self) -> Log | None:
        """The log that mixes take their partners from."""
        return donor_log(self.config["donors"], self.log)

    @cached_property
    def resources(self) -> dict[str, Any]:
        """What transforms find by name."""
        return donor_resources(self.donors)

    @cached_property
    def sample_files(self) -> SampleFiles | None:
        """What becomes of the files of a sample of an output in a store; None of one in a folder."""
        url = (self.config.get("storage") or {}).get("out")
        return SampleFiles(url, alone=self.config["engine"]["name"] == "ray") if url else None

    @cached_property
    def pipeline(self) -> Compose:
        """The pipeline, geometry drawn per scene where the format needs it."""
        return draw_geometry_per_scene(build_pipeline(self.config["pipeline"]), self.log, self.config["output"])[0]

    @cached_property
    def planned(self) -> Compose:
        """The pipeline for plans: its schedules are ranges, as wide as the run's epochs make them."""
        return self.pipeline.over_epochs(self.tasks.epochs)

    @cached_property
    def writer(self) -> Writer:
        """Writer of the input's format."""
        how: dict[str, Any] = {"lossy": bool(self.config["lossy"]), "link": str(self.config["link"])}
        how |= {"options": self.config.get("output_options"), "mixed": self.donors is not None}
        return self.log.writer(self.out, self.config["output"], **how)

    @cached_property
    def account(self) -> Account:
        """What lies below the root of the input: one scan of names, which workers never need."""
        return account_of(self.log, type(self.writer))

    @property
    def loss_reasons(self) -> dict[str, str]:
        """Path of every transform -> why things are lost by it, where its class says so."""
        return {path: type(leaf).loss_reason for path, leaf in named_leaves(self.pipeline) if type(leaf).loss_reason}

    @cached_property
    def tasks(self) -> Tasks:
        """All samples to write, in output order."""
        limit = self.config["limit"]
        ids = list(self.log.ids)[: None if limit is None else int(limit)]
        return Tasks(ids, int(self.config["copies"]), bool(self.config["keep_original"]))

    def header(self) -> dict[str, Any]:
        """First line of the manifest: what reproduces the samples, without any path."""
        paths = ("root", *self.log.format.file_options)
        options = {k: v for k, v in self.config["log"].items() if k not in paths}
        scales = self.log.intensity_scales
        written = self.writer.intensity_scales(scales)
        return {
            "manifest": VERSION,
            "fusion_aug": __version__,
            "format": self.log.format.name,
            "output": self.config["output"] or self.log.format.name,
            "log": options,
            **({"output_options": written_with} if (written_with := self.config.get("output_options")) else {}),
            "intensity_scale": written,
            **({} if written == scales else {SOURCE_KEY: scales}),
            "seed": int(self.config["seed"]),
            "pipeline": without_paths(self.config["pipeline"]),
            "lossy": bool(self.config["lossy"]),
            "plugins": list(self.config["plugins"] or []),
            **({} if self.donors is None else {"donors": SELF if self.donors is self.log else "other"}),
            **({ANEW: True} if self.output == self.log.format.name and is_made_anew(self.writer) else {}),
        }

    def fingerprint(self) -> str:
        """Two jobs with the same fingerprint write the same bytes, as long as no file that they read is changed."""
        facts = [self.header(), {k: self.config[k] for k in ("copies", "keep_original", "limit")}]
        more = [] if self.donors is None or self.donors is self.log else [self.donors.origin, list(self.donors.ids)]
        return digest(json.dumps(facts, sort_keys=True), self.log.origin, list(self.log.ids), *more)

    def input_lines(self) -> Iterator[str]:
        """One line for every file that is read, with what shows a change of it: log, plugins, networks."""
        yield from plugin_lines(self._plugin_files)
        yield from network_lines(self.config["pipeline"])
        yield from input_lines(self.log)
        yield from donor_lines(self.donors, self.log)

    @cached_property
    def _plugin_files(self) -> dict[str, Path]:
        plugins = self.config["plugins"] or []
        return plugin_files([plugins] if isinstance(plugins, str) else plugins)

    @property
    def numbers(self) -> range:
        """Numbers of the tasks that are this job's: all, or those of its shard, which lie together."""
        i, n = shard_of(self.config["shard"]) or (1, 1)
        total = len(self.tasks)
        return range(total * (i - 1) // n, total * i // n)

    # --- one sample -------------------------------------------------------------------------------------------------
    def done_file(self, number: int) -> Path:
        """Marker of a finished sample; it holds its rows and its line of the manifest."""
        return self.out / WORK / "done" / f"{number:08d}.json"

    def done_numbers(self) -> set[int]:
        """Numbers of the samples that have a marker."""
        folder, total = self.done_file(0).parent, len(self.tasks)
        names = (p.stem for p in folder.iterdir() if p.suffix == ".json") if folder.is_dir() else ()
        numbers = {int(name) for name in names if re.fullmatch(r"[0-9]{8,13}", name)}
        return {n for n in numbers if n < total and self.done_file(n).is_file()}

    def marker(self, number: int) -> dict[str, Any]:
        """What the marker of a finished sample holds: ``skipped`` (why), or its ``rows``, ``line`` and ``used``."""
        source, copy, _ = self.tasks[number]
        return read_marker(self.done_file(number), output_id(source, copy))

    def process(self, number: int) -> None:
        """Augment and write one sample. Its files appear whole, the marker last.

        Raises:
            OSError: the disk is full; it names the file.
        """
        stage = self.out / WORK / f"stage-{number:08d}"
        cache = [self.log.mirror.home] if self.log.mirror else []  # it may be the disk that is full
        with naming_output(stage, self.out / WORK, self.out, *cache):
            self._process(number, stage)

    def _process(self, number: int, stage: Path) -> None:
        usage = Usage()
        source_id, copy, epoch = self.tasks[number]
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        out_id = output_id(source_id, copy)
        source = self.log.read(source_id)
        sample = source if epoch is None else self.augmented(source, epoch)
        rows = self.writer.stage(sample, source, out_id, stage)
        written = self.writer.as_read_back(sample, source, standalone=out_id != source_id)
        line = {
            "id": out_id,
            "source": source_id,
            "copy": copy,
            "epoch": copy,
            "digest": tree_digest(stage),
            "history": history_to_json(sample.history),
            "account": sample_account(source, sample, written, self.writer),
        }
        if "residual" in rows:
            line["residual"] = rows.pop("residual")
        used = usage.of(stage)
        moved = move_files(stage, self.out, out_id, again=True)
        shutil.rmtree(stage)
        put = {"files": self.sample_files.put(self.out, moved)} if self.sample_files else {}
        self.write_marker(number, {"rows": rows, "line": line, "used": used, **put})

    def augmented(self, source: Sample, epoch: int) -> Sample:
        """What the pipeline makes of a sample; gains and losses are counted."""
        how: dict[str, Any] = {"seed": int(self.config["seed"]), "resources": self.resources, "count": True}
        return run(self.pipeline, source, epoch=epoch, **how)

    def skip(self, number: int, why: str) -> None:
        """Note that a sample could not be read."""
        shutil.rmtree(self.out / WORK / f"stage-{number:08d}", ignore_errors=True)
        self.write_marker(number, {"skipped": why})

    def write_marker(self, number: int, data: dict[str, Any], put: bool = True) -> None:
        """Write the marker of a finished sample; where ``put`` says so, also for the one that takes it up elsewhere."""
        if self.sample_files and put:
            self.sample_files.put_marker(number, data)
        path = self.done_file(number)
        part = path.with_suffix(".part")
        write_new_text(part, json.dumps(data))
        part.replace(path)


def start_job(config: dict[str, Any], intensity_scales: dict[str, float | None]) -> Callable[[int], None]:
    """Set up a worker process: one thread, the job of the parent, and what that has found in the log.

    Returns:
        what processes the sample of a number.
    """
    keep_freed_memory()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    job = Job(config)
    job.log.intensity_scales = intensity_scales
    return partial(process_once, job)


def process_once(job: Job, number: int) -> None:
    """Work on a sample in a process of its own, of which there may be two where the one that began them was killed.

    Raises:
        FusionAugError: the run is not there, or has ended meanwhile.
    """
    if job.sample_files:
        job.sample_files.join(job.out)
    _refuse_lost(job.out)
    lock = FolderLock(job.out / WORK)
    try:
        lock.hold(PLANNING + 1 + number, 1, wait=True)
        _refuse_lost(job.out)
        if not job.done_file(number).is_file():
            job.process(number)
    finally:
        lock.close()


def _refuse_lost(out: Path) -> None:
    if state(out) != UNFINISHED:
        where = platform.node()
        raise FusionAugError(f"{out}: node {where} sees no run there; the output must lie where all nodes see it")
