"""LeRobotDataset: writer for samples of other logs, each of which becomes an episode at one rate.

``export_plan.py`` says which features it has, ``export_form.py`` what a frame holds, ``export_tables.py`` writes the
tables. What the numbers mean and the calibration go to the sidecar, so that ``log=lerobot`` reads all of it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from calib import rig_to_dict
from fusion_aug.core.transform import Transform
from fusion_aug.errors import USER_ERRORS, DataError
from fusion_aug.logs.core.capture_writer import CaptureTimeWriter
from fusion_aug.logs.core.episode_facts import EpisodeFacts, write_start
from fusion_aug.logs.core.episodes import CAPTURE_TIMES_FILE, EpisodeLog, rows_of_stream
from fusion_aug.logs.core.files import inside, write_json
from fusion_aug.logs.core.parts import Parts, read_parts
from fusion_aug.logs.core.sidecar import FOLDER, write_sidecar
from fusion_aug.logs.core.writer import PARTS_FOLDER, Problem
from fusion_aug.logs.lerobot.export_features import ACTION, DEPTH, HEIGHT, STATE, VIDEO
from fusion_aug.logs.lerobot.export_form import PERIODS, TASK, beside, export_form, most_bridged, task_stream
from fusion_aug.logs.lerobot.export_options import read_options
from fusion_aug.logs.lerobot.export_plan import Plan, plan_of
from fusion_aug.logs.lerobot.export_splits import episode_order
from fusion_aug.logs.lerobot.export_tables import NewSet, feature_facts, write_rows, write_set
from fusion_aug.logs.lerobot.layout_v2 import video_part
from fusion_aug.logs.lerobot.stats import picture_samples
from fusion_aug.logs.lerobot.tables import cell_of
from fusion_aug.logs.lerobot.video import write_video
from fusion_aug.logs.lerobot.writer import tasks_of
from fusion_aug.ops.color import levels_of
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Opaque, Stream

PNG: dict[str, Any] = {"bytes": b"", "path": None}  # of a picture in the table


class LeRobotExporter(CaptureTimeWriter):
    """Writes videos, vectors, tasks and statistics of samples of any log of a robot."""

    loss_reasons: ClassVar[Mapping[str, str]] = {
        "": "an episode of LeRobot has features at one rate",
        TASK: "every episode of LeRobot has a task",
    }

    def __init__(self, log: Any, out: Path, **kwargs: Any):
        super().__init__(log, out, **kwargs)
        self.choice = read_options(self.options)
        self._held: WeakKeyDictionary[Sample, Sample] = WeakKeyDictionary()  # what was asked for -> its form
        self._forms: WeakKeyDictionary[Sample, Plan] = WeakKeyDictionary()
        self._plans: WeakKeyDictionary[Sample, Plan] = WeakKeyDictionary()
        self._first: tuple[str, Plan] | None = None

    # --- what is written ---------------------------------------------------------------------------------------------
    def plan(self, source: Sample) -> Plan:
        """Features of the output, which are those of the first sample of the log.

        Raises:
            ConfigError: an option does not fit. DataError: the sample has other features than the first one.
        """
        if source in self._plans:
            return self._plans[source]
        name, first = self._plan_of_all(source)
        own = first if name == source.id else plan_of(source, replace(self.choice, fps=first.fps))
        told, wanted = own.told(), first.told()
        differ = [
            f"{f} is {told.get(f, 'not there')}, not {wanted.get(f, 'there')}"
            for f in dict.fromkeys((*wanted, *told)) if told.get(f) != wanted.get(f)
        ]  # fmt: skip
        if differ:
            raise DataError(
                f"{source.id}: all episodes of a dataset have the same features, and those of {name!r} are others: "
                f"{'; '.join(differ)}; name what all have with output.state, output.action, output.cameras and "
                f"log.exclude, choose alike samples with log.select, or set on_error=skip"
            )
        self._plans[source] = own
        return own

    def _plan_of_all(self, source: Sample) -> tuple[str, Plan]:
        """Id and plan of the first sample of the log that can be read; without a log of the first that is written."""
        if self._first is None:
            self._first = self._first_of_log(source)
        return self._first

    def _first_of_log(self, source: Sample) -> tuple[str, Plan]:
        for sample_id in self.log.ids if self.log is not None else ():
            if sample_id == source.id:
                break
            try:
                first = self.log.read(sample_id)
            except USER_ERRORS:  # one that is skipped
                continue
            return sample_id, plan_of(first, self.choice)
        return source.id, plan_of(source, self.choice)

    def cameras(self, sample: Sample) -> list[str]:
        """None: calibration is in the sidecar, which holds any."""
        return []

    @property
    def lists(self) -> Mapping[str, frozenset[str]]:
        """Lists of samples of the log, which become splits; none of logs that have none."""
        return self.log.lists if isinstance(self.log, EpisodeLog) else {}

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """Return what LeRobot would read wrongly.

        Raises:
            ConfigError, DataError: the sample has no features of LeRobot, or an option does not fit.
        """
        found = super().can_express(transform, sample)
        if sample is not None and not found:
            episode_order(list(self.log.ids) if self.log is not None else [], self.lists)
            self.as_read_back(sample, sample)
        return found

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the episode as ``log=lerobot`` reads it, see ``export_form``."""
        if sample in self._forms:
            return sample
        if sample not in self._held:
            plan = self.plan(source)
            plain = super().as_read_back(sample, source, standalone=standalone)
            self._held[sample] = held = export_form(plain, plan, self.choice)
            self._forms[held] = plan
        return self._held[sample]

    def becomes(self, sample: Sample, stream: str) -> str:
        """Names of the streams of the features that a stream is a part of."""
        return ", ".join(self._forms[sample].names_of(stream)) if sample in self._forms else ""

    def made_of(self, sample: Sample, stream: str) -> str:
        """Names of the streams that a feature is made of."""
        return ", ".join(self._forms[sample].sources_of(stream)) if sample in self._forms else ""

    def notes(self, sample: Sample, pipeline: Transform) -> list[str]:
        """What is in which feature, what goes to the sidecar, and what is left out."""
        plan = self.plan(sample)
        out = [f"LeRobot {self.choice.version} at {plan.fps:g} fps; {', '.join(_lines(plan))}"]
        why = f"{PERIODS} periods" if self.choice.max_gap is None else "output.max_gap"
        most = {most_bridged(sample[n], plan, self.choice) for n in plan.used}
        out.append(
            f"a frame has the last picture at or before it and readings interpolated to it; gaps of more than "
            f"{max(most) * 1e-9:.3g} s ({why}) stop an episode"
        )
        extra = beside(sample, plan, self.choice)
        if extra:
            out.append(
                f"LeRobot has no place for {', '.join(extra)}: in the sidecar fusion_aug/; output.sidecar=false leaves "
                f"them out, log.exclude some of them"
            )
        known = {*plan.used, *extra, task_stream(sample, self.choice)}
        gone = [_called(n, s) for n, s in sample.streams.items() if n not in known]
        if gone or plan.left_out:
            out.append(f"left out, since LeRobot has no place for it: {', '.join([*gone, *plan.left_out])}")
        if isinstance(self.log, EpisodeLog) and (factors := self.log.factors):
            told = ", ".join(f"{column} x {factor:g}" for column, factor in factors.items())
            out.append(f"numbers are written in SI units (m, rad, N): those of the log times their factors ({told})")
        if ACTION not in plan.vectors:
            out.append("no commands are known: give output.action=[STREAM], or output.action=next_state")
        if STATE not in plan.vectors:
            out.append("no state is known: give output.state=[STREAM]")
        if not task_stream(sample, self.choice) and self.choice.task is None:
            out.append("no task is known: give output.task='...'")
        return out

    # --- one sample --------------------------------------------------------------------------------------------------
    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one episode: a parquet part, a video per camera, and its sidecar.

        Returns:
            ``features`` and ``fps``, as info.json has them; ``episode`` (its length), ``stats`` by feature, ``tasks``
            as (frame, sentence), the path of its ``part``, those of its ``videos``, the ``facts`` of all episodes.

        Raises:
            DataError: a stream of a feature is missing, has a long gap, or holds what cannot be encoded.
        """
        held, plan = self.as_read_back(sample, source), self.plan(source)
        new, features, columns = NewSet(self.choice, plan.fps), dict[str, Any](), dict[str, Any]()
        stats, videos = dict[str, Any](), dict[str, str]()
        count = 0
        for feature, pictures in plan.pictures.items():
            stream = held[plan.name(feature)]
            assert isinstance(stream, ImageStream)
            count, size = len(stream), (*stream.image(0).shape[:2], 1 if pictures.kind == DEPTH else 3)
            features[feature] = feature_facts(pictures.kind, size, plan.fps, self.choice.codec)
            seen: list[np.ndarray] = []
            if pictures.kind == VIDEO:
                videos[feature] = video_part(out_id, feature)
                self._video(stream, feature, plan.fps, inside(folder, videos[feature], "feature"), seen)
            else:
                columns[feature] = _cells(stream, pictures.kind, seen)
            stats[feature] = new.layout.own_stats(seen, "picture" if seen[0].ndim == 3 else "depth")
        for feature, vector in plan.vectors.items():
            stream = held[plan.name(feature)]
            parts = read_parts(vector.declared, feature) if feature not in plan.taxels else Parts()
            rows = rows_of_stream(stream, parts, (len(vector.names),))
            columns[feature] = rows if rows.dtype.kind in "iub" else rows.astype(np.float32)
            count = len(rows)
            features[feature] = feature_facts(str(columns[feature].dtype), rows.shape[1:] or (1,), names=vector.names)
            stats[feature] = new.layout.own_stats(columns[feature], "vector")
        part = f"{PARTS_FOLDER}/{out_id}.parquet"
        write_rows(columns, features, count, inside(folder, part, "sample id"))
        self._sidecar(held, plan, out_id, folder)
        facts = EpisodeFacts(base=plan.base, reference=held.ref.frame, parts=_parts(plan))
        return {
            "features": features, "fps": plan.fps, "episode": {"length": count}, "part": part, "videos": videos,
            "stats": {f: {k: np.asarray(v).tolist() for k, v in own.items()} for f, own in stats.items()},
            "tasks": tasks_of(held, held[TASK].capture_times[:1] + new.times(count)), "facts": vars(facts),
        }  # fmt: skip

    def _video(self, stream: ImageStream, feature: str, fps: float, target: Path, seen: list[np.ndarray]) -> None:
        sampled = set(picture_samples(len(stream)))
        height, width = stream.image(0).shape[:2]
        if height % 2 or width % 2:
            raise DataError(
                f"{feature}: videos need even sizes, and its pictures are {width}x{height}; give output.video=false, "
                f"or crop them in the pipeline"
            )

        def frames() -> Iterator[np.ndarray]:
            for i in range(len(stream)):
                picture = levels_of(stream.image(i), stream.title(i)).numpy()
                if picture.shape[:2] != (height, width):
                    raise DataError(f"{stream.title(i)}: is of another size than the first picture of the video")
                if i in sampled:
                    seen.append(picture)
                yield picture

        write_video(frames(), target, Fraction(fps).limit_denominator(1001), self.choice.codec, gop=2)

    def _sidecar(self, held: Sample, plan: Plan, out_id: str, folder: Path) -> None:
        """Calibration, streams that are no features, and capture times that are not those of the frames."""
        names = [plan.name(f) for f in plan.features]
        write_sidecar(held, dict.fromkeys([*names, TASK]), out_id, folder, self.link)
        target = folder / FOLDER / "samples" / out_id
        target.mkdir(parents=True, exist_ok=True)
        write_json(rig_to_dict(held.rig, exact=True), target / "rig.json")
        late = {n: held[n].capture_times.tolist() for n in names if held[n].receive_times is not None}
        if late:
            write_json(late, target / CAPTURE_TIMES_FILE)
        write_start(held.ref.time, out_id, folder)

    def finish(self, rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Number episodes and frames in the order of the samples, and write the tables of ``meta``."""
        write_set(rows, ids, self.out, self.part, self.choice, self.lists)


def _parts(plan: Plan) -> dict[str, Any]:
    return {f: dict(v.declared) for f, v in plan.vectors.items() if f not in plan.taxels}


def _lines(plan: Plan) -> Iterator[str]:
    """What every feature is made of."""
    for feature, pictures in plan.pictures.items():
        yield f"{feature} ({'float32, m' if pictures.kind == HEIGHT else pictures.kind}) from {pictures.stream}"
    for feature, vector in plan.vectors.items():
        pieces = ", ".join(dict.fromkeys(f"{p.stream}.{p.column}" for p in vector.pieces))
        what = f"{len(vector.names)} numbers" if vector.names else "arrays"
        yield f"{feature} ({what}) from {pieces}{' of the next frame' if vector.shift else ''}"


def _called(name: str, stream: Stream) -> str:
    return f"{name} ({stream.reason})" if isinstance(stream, Opaque) and stream.reason else name


def _cells(stream: ImageStream, kind: str, seen: list[np.ndarray]) -> list[Any]:
    """Cells of the table for pictures; those that enter the statistics are added to ``seen``."""
    sampled, out = set(picture_samples(len(stream))), []
    for i in range(len(stream)):
        picture = stream.image(i)
        picture = levels_of(picture, stream.title(i)) if picture.ndim == 3 else picture
        if i in sampled:
            seen.append(picture.numpy())
        out.append(cell_of(picture, None if kind == HEIGHT else PNG))
    return out
