"""Writing samples of any origin as a log."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from fusion_aug.core.compose import Compose
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.json_lines import JsonLines
from fusion_aug.logs.core.log import Log, find_exporter, find_format, output_options
from fusion_aug.logs.core.plausible import impossible_rows
from fusion_aug.logs.core.whole import move_files, whole_folder
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.remote.address import refuse_url
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes3D


@standard_modes()
def write_log(
    samples: Iterable[Sample] | Sample,
    root: str | Path,
    format: str = "folder",
    *,
    lossy: bool = False,
    link: str = "copy",
    **options: Any,
) -> Log:
    """Write samples as a log that ``open_log``, ``run``, ``check`` and ``show`` take.

    One sample is in memory at a time. The folder appears under its name when all of it is written, else not at all: a
    process that is killed leaves a hidden folder beside it, ``.NAME-...``, which can be removed.

    Args:
        samples: made by hand (``make_sample``), of any log, or augmented ones; a batch counts as its samples. Each
            is a source of its own: its history is not carried on.
        root: folder to write, which is not there yet or empty.
        format: "folder", which holds everything exactly, or another that logs of any kind can be written in.
        lossy: write also what the format's own tool would read wrongly.
        link: "copy", or "hard" for hard links of files that did not change.
        options: of the format of the output, such as ``shard_mb`` of webdataset.

    Returns:
        The log, opened.

    Raises:
        ConfigError: arguments are in another order; ``link`` is neither; the format is written from logs of its own
            only, or cannot hold a sample; the message says why.
        DataError: the folder is not empty, there is no sample, two have one id, or a box has no size or place.
    """
    if isinstance(samples, str | Path) or not isinstance(format, str):
        raise ConfigError("write_log: expected samples, a folder and a format, as in write_log(log, 'out', 'folder')")
    samples = [samples] if isinstance(samples, Sample) else samples
    with GrowingLog(root, format, lossy=lossy, link=link, **options) as log:
        for sample in samples:
            log.add(sample)
        return log.finish()


class GrowingLog:
    """A log that is written sample by sample. Arguments are those of ``write_log``.

    As a context it is removed where it was not finished.

    Attributes:
        part: the folder while it is written.
    """

    def __init__(self, root: str | Path, format: str, *, lossy: bool = False, link: str = "copy", **options: Any):
        if link not in ("copy", "hard"):
            raise ConfigError(f"link: expected copy or hard, got {link!r}")
        refuse_url("root", root)
        self.root, self.format = user_path(str(root)), format
        kind = find_exporter(format)
        options = output_options(find_format(format), options)
        self._held = ExitStack()
        self.part = self._held.enter_context(whole_folder(self.root))
        try:
            self._writer = kind(None, self.part, lossy=lossy, link=link, options=options)
            self._spilled = self.part / WORK / "rows.jsonl"
            self._rows = self._held.enter_context(self._spilled.open("w", encoding="utf-8"))
        except BaseException:
            self._held.__exit__(*sys.exc_info())
            raise
        self._ids: list[tuple[str, str]] = []
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        unfinished = DataError(f"{self.root}: was not finished")  # for ``whole_folder``, which removes what is there
        self._held.__exit__(kind or DataError, error or unfinished, trace)

    def add(self, given: Sample) -> None:
        """Write a sample, or each of a batch."""
        for sample in _each(given):
            if sample.id in self._known:
                raise DataError(f"two samples are called {sample.id!r}; a log needs ids of their own")
            _check_boxes(sample)
            problems = [] if self._writer.lossy else self._writer.can_express(Compose([]), sample)
            if problems:
                said = "; ".join(f"{p.field}: {p.reason}; {p.remedy}" for p in problems)
                raise ConfigError(f"{self.format} cannot hold sample {sample.id!r}: {said}")
            with tempfile.TemporaryDirectory(dir=self._spilled.parent) as stage:
                rows = self._writer.stage(sample, sample, sample.id, Path(stage))
                move_files(Path(stage), self.part, f"sample {sample.id!r}")
            self._rows.write(json.dumps(rows) + "\n")
            self._known.add(sample.id)
            self._ids.append((sample.id, sample.id))

    def finish(self) -> Log:
        """Write what is about all samples; the folder gets its name. The log, opened."""
        if not self._ids:
            raise DataError("there are no samples to write")
        self._rows.flush()
        self._writer.finish(JsonLines(self._spilled), self._ids)
        self._held.close()
        return find_format(self.format).open(self.root)


def _each(given: Sample) -> Iterator[Sample]:
    """The samples of a batch, or the sample."""
    if not isinstance(given, Sample):
        raise DataError(f"write_log: expected samples, as make_sample makes them, got a {type(given).__name__}")
    yield from (given.take([i]) for i in range(len(given.metas)))


def _check_boxes(sample: Sample) -> None:
    """Raise for boxes that a reader of the log would refuse."""
    for name, boxes in sample.of_type(Boxes3D).items():
        bad = impossible_rows(boxes).nonzero()[:, 0].tolist()
        if bad:
            size, pose = (boxes.values[c][bad[0]].flatten().tolist() for c in ("size", "pose"))
            raise DataError(
                f"sample {sample.id!r}: {name}: box {bad[0]} has the size {size} and its centre at {pose[3:12:4]}: "
                f"expected finite numbers, and a size above 0; leave such boxes out"
            )


__all__ = ["GrowingLog", "write_log"]
