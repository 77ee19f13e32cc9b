"""What a run wrote, as the official layout says it, against what source and manifest say it should be."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import same_content
from fusion_aug.check.air import FogProbe, drawn_weather
from fusion_aug.check.box_facts import BoxFacts
from fusion_aug.check.class_counts import ClassCounts
from fusion_aug.check.episode_tables import compare_episode_tables
from fusion_aug.check.kept_facts import compare_kept_facts
from fusion_aug.check.kept_files import compare_kept_files
from fusion_aug.check.losses import Losses
from fusion_aug.check.measurement import Row
from fusion_aug.check.stream_comparison import STAMP_LIMIT, StreamPair, compare_stream, own_fields
from fusion_aug.check.unreached import compare_unreached
from fusion_aug.core.engine import replay
from fusion_aug.errors import USER_ERRORS
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.run_writer import writer_of_run
from fusion_aug.logs.core.sidecar import ids_in_manifest
from fusion_aug.logs.core.writer import PARTS_FOLDER, Writer
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import Entry, Manifest, tree_digest
from fusion_aug.streams import Ragged, Stream

# field of a stream -> (row, effect of a transform that needs it, why it is not in the files of a format that has
# nothing against the effect)
OPTIONAL_FIELDS = {
    "present": ("items present", "dropped_sensor", "the format does not say which items were received"),
    "receive_times": ("receive times", "delays", "the format holds one time of each item"),
    "clock_offset": ("clock offset", "clock", "files hold what the clock says; the manifest says how far it is off"),
}
WHOLE_LOG = ""  # in the place of the id of a sample
NO_PLACE = "the format has no place for it"
ONE_FOR_ALL = "the format holds one for all items, which is compared; the others are left out"
NOT_RECEIVED = "no item of it was received, and the format stores nothing for that"


def compare_run(
    source: Log, written: Log, manifest: Manifest, resources: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, list[Row]]]:
    """Id and rows of every sample of a manifest; at the end, without an id, those of the whole log and of its weathers.

    Args:
        source, written: input and output. manifest: of the run. resources: what its transforms found by name.
    """
    probe = FogProbe()
    writer = writer_of_run(source, manifest, written.root)
    losses, facts = Losses(source, written, writer), BoxFacts(source, written)
    classes = ClassCounts(losses)
    for entry in manifest.entries:
        before = source.read(entry.source)
        made = replay(before, entry.history, resources=resources)
        alone = entry.id != entry.source or "replayed" in manifest.header
        expected = writer.as_read_back(made, before, standalone=alone)
        rows = [
            compare_files(made, before, writer, entry),
            *rows_left_out(made, expected, writer),
            *compare_sample(expected, written, writer, entry),
            *losses.rows(entry, before, made),
            *facts.rows(entry),
            *classes.rows(entry, before),
        ]
        yield entry.id, rows
        for params in drawn_weather(entry.history):
            probe.add(before, params)
    roots, suffixes = (source.root, written.root), (e.id.removeprefix(e.source) for e in manifest.entries)
    kept = compare_kept_files(*roots, manifest.header, suffixes, vars(source.options))
    unreached = compare_unreached(source, written.root, manifest.header)
    pairs = [(e.source, losses.names.get(e.id, e.id)) for e in manifest.entries]
    facts_kept = compare_kept_facts(*roots, manifest.header, pairs)
    yield WHOLE_LOG, [*losses.rest(), *kept, *facts_kept, *unreached, *compare_episode_tables(*roots)]
    yield WHOLE_LOG, probe.table()


def compare_files(expected: Sample, before: Sample, writer: Writer, entry: Entry) -> Row:
    """The files that the sample has, against the digest that the manifest holds: anything that was changed since."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        writer.stage(expected, before, entry.id, stage)
        staged = [p.relative_to(stage) for p in sorted(stage.rglob("*")) if p.is_file()]
        # what a writer joins at the end is compared by content, stream by stream
        pairs = [(stage / p, writer.out / p) for p in staged if p.parts[0] != PARTS_FOLDER]
        same = tree_digest(stage) == entry.digest and all(q.is_file() and same_content(p, q) for p, q in pairs)
    return Row("files changed since", "all", "samples", 0, np.array([0.0 if same else 1.0]))


def compare_sample(expected: Sample, written: Log, writer: Writer, entry: Entry) -> list[Row]:
    """Compare every stream of a written sample with what it should be.

    Args:
        expected: the sample as the writer's files give it back. written: the log that was written.
        writer: of the log's format. entry: of the manifest.
    """
    try:
        ids = {out: read for read, out in ids_in_manifest(written.root).items()}
        found = written.read(ids.get(entry.id, entry.id))
    except USER_ERRORS as error:
        return [unreadable(entry.id, error)]
    rows = [
        Row("stamps", "sample", "ms", STAMP_LIMIT, np.array([abs(expected.ref.time - found.ref.time) * 1e-6])),
        *(Row("missing stream", n, "streams", 0, np.ones(1)) for n in expected.streams if n not in found.streams),
        *(Row("unexpected stream", n, "streams", 0, np.ones(1)) for n in found.streams if n not in expected.streams),
    ]
    suffix = entry.id.removeprefix(entry.source) if entry.id.startswith(entry.source) else ""
    for name in (n for n in expected.streams if n in found.streams):
        pair = StreamPair(name, expected, found, writer.steps, writer.derived.get(name, ()), suffix)
        try:
            rows += compare_stream(pair)
        except USER_ERRORS as error:
            rows.append(unreadable(name, error))
    return rows


def unreadable(what: str, error: Exception) -> Row:
    """A failed row for a sample or stream that cannot be read."""
    return Row("unreadable", what, "samples", 0, np.ones(1), str(error))


def rows_left_out(made: Sample, expected: Sample, writer: Writer) -> list[Row]:
    """What a pipeline made and the output format does not hold: streams, columns and times without a place in it.

    Args:
        made: the sample as the pipeline made it. expected: as the writer's files give it back.
        writer: says why.
    """
    rows = []
    for name, stream in made.streams.items():
        kept = expected.streams.get(name)
        if kept is None:
            new = writer.becomes(expected, name)
            why = f"it is compared as {new}" if new else NO_PLACE if bool(stream.present.any()) else NOT_RECEIVED
            rows.append(Row.not_compared("stream", name, why))
            continue
        for field, (title, effect, why) in OPTIONAL_FIELDS.items():
            if holds(stream, field) and not holds(kept, field) and (field != "present" or len(stream) == len(kept)):
                rows.append(Row.not_compared(title, name, writer.unsupported_effects.get(effect, (why, ""))[0]))
        rows += [Row.not_compared(c, name, NO_PLACE) for c in stream.values if c not in kept.values]
        rows += [Row.not_compared(f, name, ONE_FOR_ALL) for f in shared_fields(stream, kept)]
        if isinstance(stream, Ragged) and isinstance(kept, Ragged) and len(stream) == len(kept) and stream is not kept:
            count = stream.rows - kept.rows
            rows += [Row("rows left out by the format", name, "rows", None, np.array([float(count)]))] if count else []
    return rows


def shared_fields(stream: Stream, kept: Stream) -> list[str]:
    """Fields with an entry per item of which one is kept for all."""

    def different(value: object) -> int:
        return len({id(entry) for entry in value}) if isinstance(value, tuple) else 0

    names = [n for n in own_fields(stream) if hasattr(kept, n)]
    return [n for n in names if different(getattr(kept, n)) == 1 < different(getattr(stream, n))]


def holds(stream: Stream, field: str) -> bool:
    """Whether a stream has anything to say in a field that most streams leave as it is."""
    value = getattr(stream, field)
    return not bool(value.all()) if field == "present" else value is not None
