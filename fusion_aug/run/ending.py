"""The last step of a run: tables, manifest and what it took, from the markers of its samples."""

from __future__ import annotations

import json
import platform
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

from fusion_aug.errors import FusionAugError
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.json_lines import JsonLines
from fusion_aug.logs.core.new_files import new_file, write_new_text
from fusion_aug.logs.core.options import absolute
from fusion_aug.logs.core.sample_account import StreamAccount, total_account
from fusion_aug.logs.core.writer import WORK
from fusion_aug.run.beginning import inputs_digest, noted_inputs, refuse_changed
from fusion_aug.run.job import Job
from fusion_aug.run.model_folders import KEY as MODELS
from fusion_aug.run.model_folders import model_places
from fusion_aug.run.network_files import KEY, network_places
from fusion_aug.run.picture_folders import folder_facts, folders_of
from fusion_aug.run.publishing import Publisher
from fusion_aug.run.told import all_told
from fusion_aug.run.unfinished import FACTS, SAMPLES, clean
from fusion_aug.run.usage import NAME as USAGE
from fusion_aug.run.usage import Used, write_usage
from fusion_aug.safe.guard import guarded
from fusion_aug.sample.manifest import NAME, output_id


@dataclass(frozen=True)
class RunResult:
    """Result of a run.

    Attributes:
        written: samples written. skipped: (source id, reason) of those that could not be read.
        resumed: samples that an earlier, interrupted run had finished.
        seconds: wall time.
        already_done: the output was complete before.
        is_shard: only the samples of a shard are there; the last step, ``merge``, is to come.
        streams: account of every stream over all samples, as the manifest's first line holds it.
        used: what the samples took together, see ``write_usage``.
        notes: sentences to print.
    """

    written: int
    skipped: list[tuple[str, str]]
    resumed: int
    seconds: float
    already_done: bool = False
    is_shard: bool = False
    streams: Mapping[str, StreamAccount] = field(default_factory=dict)
    used: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def end(
    job: Job,
    start: float,
    resumed: int,
    notes: list[str],
    place: Publisher,
) -> RunResult:
    """Write what is still missing, and remove what was there for the unfinished run only.

    Args:
        job: whose samples are all there. start: when it began, on the monotonic clock.
        resumed: samples of an earlier run. notes: sentences to print, with those that runs and shards have told.
        place: what publishes the output.

    Raises:
        FusionAugError: no sample could be written, or an input was changed meanwhile. OSError: the disk is full.
    """
    told, retried = all_told(job.out)
    notes = list(dict.fromkeys([*told, *notes, *refuse_changed(job)]))
    place.ready()
    with naming_output(job.out):
        skipped, streams = merge(job)
        took = ((m["line"]["id"], Used(*m["used"])) for m in JsonLines(job.out / WORK / SAMPLES))
        used = write_usage(took, job.out / USAGE)
        seconds = time.monotonic() - start
        facts = {
            "source_root": job.log.origin,
            **{name: absolute(getattr(job.log.options, name), job.log.root) for name in job.log.format.file_options},
            **({KEY: places} if (places := network_places(job.config["pipeline"])) else {}),
            **({MODELS: models} if (models := model_places(job.config["pipeline"])) else {}),
            **folder_facts(folders_of(job.config["pipeline"])),
            **({"donors": job.donors.origin} if job.donors is not None else {}),
            "workers": job.config["workers"],
            "seconds": round(seconds, 3),
            "host": platform.node(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "fingerprint": job.fingerprint(),
            "inputs": inputs_digest(noted_inputs(job)),
            "skipped": [list(s) for s in skipped],
            "notes": notes,
            "retried": {output_id(*job.tasks[n][:2]): t for n, t in sorted(retried.items()) if n < len(job.tasks)},
            **used,
        }
        part = job.out / WORK / FACTS
        write_new_text(part, json.dumps(facts, indent=1) + "\n")
        place.finish(part)
        part.replace(job.out / FACTS)
    clean(job.out)
    written = len(job.tasks) - len(skipped)
    return RunResult(written, skipped, resumed, seconds, streams=streams, used=used["used"], notes=tuple(notes))


@partial(guarded, where=lambda job: str(job.out / WORK), writes=True)
def merge(job: Job) -> tuple[list[tuple[str, str]], dict[str, StreamAccount]]:
    """Write tables and manifest from the markers, in output order; returns what was skipped, and the account."""
    ids, skipped, numbers = gather(job)
    if not ids:
        raise FusionAugError(
            f"no sample could be written; the first one: {skipped[0][1] if skipped else 'none was selected'}"
        )
    found = job.out / WORK / SAMPLES
    job.writer.finish(MarkerRows(found, job, numbers), ids)
    lines = JsonLines(found, itemgetter("line"))
    streams = total_account(line.get("account", {}) for line in lines)
    samples = {"asked": len(job.tasks), "written": len(ids), "skipped": len(skipped)}
    account = {"samples": samples, "streams": streams, "reasons": job.loss_reasons, **job.account.to_json()}
    part = job.out / WORK / NAME
    with new_file(part) as file:
        for row in chain([{**job.header(), "account": account}], lines):
            file.write(json.dumps(row, sort_keys=True) + "\n")
    part.replace(job.out / NAME)
    return skipped, streams


class MarkerRows(JsonLines):
    """Rows of all written samples, which know the marker that was read last.

    Args:
        path: of the file that holds the markers. job: the run. numbers: of the samples, in the order of the file.
    """

    def __init__(self, path: Path, job: Job, numbers: Sequence[int]):
        super().__init__(path, itemgetter("rows"))
        self.job, self.numbers, self.last = job, numbers, 0

    @property
    def where(self) -> str:
        """The marker that was read last, for messages."""
        return f"{self.job.done_file(self.numbers[self.last])}: rows"

    def __getitem__(self, place: Any) -> Any:
        self.last = range(len(self))[place]
        return super().__getitem__(place)

    def __iter__(self) -> Iterator[Any]:
        for place, rows in enumerate(super().__iter__()):
            self.last = place
            yield rows


def gather(job: Job) -> tuple[list[tuple[str, str]], list[tuple[str, str]], array[int]]:
    """Put the markers of all written samples into one file, in output order, from where they are read one by one.

    Returns:
        (id of the output, id of the source) of every written sample, (id of the source, reason) of the others, and the
        numbers of those that were written.
    """
    ids, skipped, numbers = [], [], array("q")
    with new_file(job.out / WORK / SAMPLES) as file:
        for number, (source, copy, _) in enumerate(job.tasks):
            marker = job.marker(number)
            if "skipped" in marker:
                skipped.append((source, str(marker["skipped"])))
                continue
            file.write(json.dumps(marker) + "\n")
            ids.append((output_id(source, copy), source))
            numbers.append(number)
    return ids, skipped, numbers
