"""One job: what is to be done, and doing it for one sample. Everything here is the same in every process."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import torch

from fusion_aug.core.compose import Compose, named_leaves
from fusion_aug.core.engine import run
from fusion_aug.errors import ConfigError
from fusion_aug.logs import Log, Writer
from fusion_aug.logs.core.account import Account, account_of
from fusion_aug.logs.core.files import inside
from fusion_aug.logs.core.intensity import SOURCE_KEY
from fusion_aug.logs.core.sample_account import sample_account
from fusion_aug.ops.random import digest
from fusion_aug.run.config import build_log, build_pipeline, import_plugins
from fusion_aug.run.scope import draw_geometry_per_scene
from fusion_aug.sample.history import history_to_json
from fusion_aug.sample.manifest import VERSION, output_id, tree_digest
from fusion_aug.version import __version__

WORK = ".work"  # folder of an unfinished run inside its output


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
    def output(self) -> str:
        """Name of the format of the output."""
        return str(self.config["output"] or self.log.format.name)

    @cached_property
    def log(self) -> Log:
        """The input."""
        return build_log(self.config["log"])

    @cached_property
    def pipeline(self) -> Compose:
        """The pipeline, geometry drawn per scene where the format needs it."""
        return draw_geometry_per_scene(build_pipeline(self.config["pipeline"]), self.log, self.config["output"])[0]

    @cached_property
    def writer(self) -> Writer:
        """Writer of the input's format."""
        lossy, link = bool(self.config["lossy"]), str(self.config["link"])
        return self.log.writer(self.out, self.config["output"], lossy=lossy, link=link)

    @cached_property
    def account(self) -> Account:
        """What lies below the root of the input: one scan of names, which workers never need."""
        return account_of(self.log, type(self.writer))

    @property
    def loss_reasons(self) -> dict[str, str]:
        """Path of every transform -> why things are lost by it, where its class says so."""
        return {path: type(leaf).loss_reason for path, leaf in named_leaves(self.pipeline) if type(leaf).loss_reason}

    @cached_property
    def tasks(self) -> list[tuple[str, int, int | None]]:
        """All samples to write, in output order: source id, copy, epoch (None for the untouched original).

        Copies of one sample follow all samples of the copy before, so that each copy is a log of its own.
        """
        ids = list(self.log.ids)
        if self.config["limit"] is not None:
            ids = ids[: int(self.config["limit"])]
        tasks: list[tuple[str, int, int | None]] = []
        first = 0
        if self.config["keep_original"]:
            tasks += [(i, 0, None) for i in ids]
            first = 1
        for k in range(int(self.config["copies"])):
            tasks += [(i, first + k, first + k) for i in ids]
        seen: dict[str, str] = {}
        for source, copy, _ in tasks:
            out = output_id(source, copy)
            if out in seen:
                raise ConfigError(
                    f"copies: {out!r} would be both a copy of {seen[out]!r} and of {source!r}; use log.select"
                )
            seen[out] = source
        return tasks

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
            "intensity_scale": written,
            **({} if written == scales else {SOURCE_KEY: scales}),
            "seed": int(self.config["seed"]),
            "pipeline": self.config["pipeline"],
            "lossy": bool(self.config["lossy"]),
            "plugins": list(self.config["plugins"] or []),
        }

    def fingerprint(self) -> str:
        """Two jobs with the same fingerprint write the same bytes."""
        facts = [self.header(), {k: self.config[k] for k in ("copies", "keep_original", "limit")}]
        return digest(json.dumps(facts, sort_keys=True), self.log.fingerprint())

    # --- one sample -------------------------------------------------------------------------------------------------
    def done_file(self, number: int) -> Path:
        """Marker of a finished sample; it holds its rows and its line of the manifest."""
        return self.out / WORK / "done" / f"{number:08d}.json"

    def process(self, number: int) -> None:
        """Augment and write one sample. Its files appear whole, the marker last."""
        source_id, copy, epoch = self.tasks[number]
        stage = self.out / WORK / f"stage-{number:08d}"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        out_id = output_id(source_id, copy)
        source = self.log.read(source_id)
        seed = int(self.config["seed"])
        sample = source if epoch is None else run(self.pipeline, source, seed=seed, epoch=epoch, count=True)
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
        for path in sorted(p for p in stage.rglob("*") if p.is_file()):
            target = inside(self.out, path.relative_to(stage).as_posix(), out_id)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        shutil.rmtree(stage)
        self.write_marker(number, {"rows": rows, "line": line})

    def skip(self, number: int, why: str) -> None:
        """Note that a sample could not be read."""
        shutil.rmtree(self.out / WORK / f"stage-{number:08d}", ignore_errors=True)
        self.write_marker(number, {"skipped": why})

    def write_marker(self, number: int, data: dict[str, Any]) -> None:
        """Write the marker of a finished sample."""
        path = self.done_file(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(data), encoding="utf-8")
        part.replace(path)


_JOB: Job | None = None


def start_worker(config: dict[str, Any], intensity_scales: dict[str, float | None]) -> None:
    """Set up a worker process: one thread, the job of the parent, and what that has found in the log."""
    global _JOB
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _JOB = Job(config)
    _JOB.log.intensity_scales = intensity_scales


def work(number: int) -> None:
    """Process one sample in a worker."""
    assert _JOB is not None
    _JOB.process(number)
