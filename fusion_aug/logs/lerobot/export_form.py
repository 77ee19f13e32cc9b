"""A sample of another log as LeRobotDataset holds it: one item per frame of a regular grid, in the features of a plan.

* Frames go from the latest of the first stamps to the earliest of the last ones, of all features.
* Readings are interpolated by the laws of their columns; of pictures and of what is not continuous a frame has the last
  one at or before it. The capture times of these go to the sidecar.
* The calibration, and what the format has no place for, go to the sidecar as they are.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Frame, Rig, TactileSensor, TaxelSensor, UnknownLens
from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.logs.core.episodes import Undeclared, stream_of_rows
from fusion_aug.logs.core.parts import Parts, read_parts
from fusion_aug.logs.core.touch import to_gel_stream, to_taxels
from fusion_aug.logs.lerobot.export_features import DEPTH, HEIGHT, Pictures
from fusion_aug.logs.lerobot.export_options import ExportOptions
from fusion_aug.logs.lerobot.export_plan import Plan
from fusion_aug.logs.lerobot.export_vectors import Vector
from fusion_aug.logs.lerobot.reader import frame_stamps
from fusion_aug.ops.resample import bracket
from fusion_aug.sample import Ref, Sample
from fusion_aug.streams import Camera, Depth, ImageStream, Opaque, Stream, Text, strings
from fusion_aug.transforms.temporal.reading import interpolate_signal

PERIODS = 3  # that a frame bridges where nothing else is asked for
LEAST_SHARE = 0.5  # of the longest feature that all features have to cover
TASK = "task"
TASK_WORDS = ("task", "instruction", "language", "prompt")


# --- the frames -------------------------------------------------------------------------------------------------------
def frames_of(sample: Sample, plan: Plan) -> Tensor:
    """Times (n,) int64 ns of the frames.

    Raises:
        DataError: a stream is gone, or they have hardly a time in common.
    """
    missing = [n for n in plan.used if n not in sample.streams or not len(sample[n])]
    if missing:
        raise DataError(f"{sample.id}: stream {missing[0]!r} is gone, and the format has no place for an absent one")
    first = {n: int(sample[n].capture_times[0]) for n in plan.used}
    last = {n: int(sample[n].capture_times[-1]) for n in plan.used}
    late, early = max(first, key=lambda n: (first[n], n)), min(last, key=lambda n: (last[n], n))
    span = last[early] - first[late]
    longest = max(last[n] - first[n] for n in plan.used)
    if span < LEAST_SHARE * longest or span < 0:
        begins, ends = first[late] - min(first.values()), max(last.values()) - last[early]
        raise DataError(
            f"{sample.id}: {late!r} begins {begins * 1e-9:.3g} s after the first stream and {early!r} ends "
            f"{ends * 1e-9:.3g} s before the last one, so that all have only {max(span, 0) * 1e-9:.3g} s in common; "
            f"leave one of them out with log.exclude, or name the streams that are meant with output.state, "
            f"output.action and output.cameras"
        )
    count = int(np.floor(span * 1e-9 * plan.fps + 1e-6)) + 1
    return first[late] + frame_stamps(np.arange(count), plan.fps)


def most_bridged(stream: Stream, plan: Plan, options: ExportOptions) -> int:
    """Nanoseconds between two items of a stream that a frame may lie in."""
    if options.max_gap is not None:
        return round(options.max_gap * 1e9)
    period = float(stream.capture_times.diff().double().median()) if len(stream) > 1 else 0.0
    return round(PERIODS * max(period, 1e9 / plan.fps))


def at_frames(stream: Stream, name: str, times: Tensor, most: int) -> Stream:
    """A stream with one item at each of (n,) times, ns, which lie within it.

    Raises:
        DataError: a gap is longer than ``most`` ns.
    """
    stamps = stream.capture_times
    if torch.equal(stamps, times):
        return replace(stream, records=())
    smooth = stream.is_continuous and bool(stream.columns)
    before, after, _ = bracket(stamps, times)
    held = torch.searchsorted(stamps.contiguous(), times, right=True) - 1
    gaps = stamps[after] - stamps[before] if smooth else times - stamps[held]
    if len(gaps) and int(gaps.max()) > most:
        k = int(gaps.argmax())
        what = "between two readings" if smooth else "since the last item"
        raise DataError(
            f"{name}: {int(gaps[k]) * 1e-9:.3g} s {what} at frame {k} ({(int(times[k] - times[0])) * 1e-9:.3f} s), and "
            f"{most * 1e-9:.3g} s are allowed; give output.max_gap=SECONDS, or leave the stream out with log.exclude"
        )
    if smooth:
        step = int(times.diff().median()) if len(times) > 1 else 0
        return replace(interpolate_signal(stream, name, times, times + step), records=(), receive_times=None)
    picked = stream.take_items(held)
    same = torch.equal(picked.capture_times, times)
    return replace(picked, records=(), receive_times=None if same else times)


# --- the form ---------------------------------------------------------------------------------------------------------
def export_form(sample: Sample, plan: Plan, options: ExportOptions) -> Sample:
    """The sample as the output gives it back.

    Raises:
        DataError: a stream is gone, has a long gap, or holds NaN.
    """
    times = frames_of(sample, plan)
    sampled = {n: at_frames(sample[n], n, times, most_bridged(sample[n], plan, options)) for n in plan.used}
    rig = _rig(sample, plan, sampled)
    streams: dict[str, Stream] = {}
    for feature, pictures in plan.pictures.items():
        name = plan.name(feature)
        streams[name] = _picture_stream(sampled[pictures.stream], pictures, name, plan, rig)
    for feature, vector in plan.vectors.items():
        name = plan.name(feature)
        streams[name] = _vector_stream(sampled, feature, name, vector, plan, rig, times)
    streams[TASK] = task_of(sample, plan, options, times)
    extra = {n: _of_cameras(s, plan) for n, s in beside(sample, plan, options).items()}
    streams |= {n if n not in streams else f"{n} (source)": s for n, s in extra.items()}
    clock = next(iter(streams))
    return sample.with_streams(streams).with_meta(
        0, rig=rig, true_rig=rig, ref=Ref(sample.ref.frame, int(times[0])), clock=clock
    )


def beside(sample: Sample, plan: Plan, options: ExportOptions) -> dict[str, Stream]:
    """Streams that go to the sidecar."""
    rest = {
        n: s for n, s in sample.streams.items() if n not in plan.used and not _is_left_out(sample, n, plan, options)
    }
    return rest if options.sidecar else {}


def _is_left_out(sample: Sample, name: str, plan: Plan, options: ExportOptions) -> bool:
    """Whether a stream goes nowhere: the task, what is not understood, cameras that were not asked for."""
    stream = sample[name]
    if isinstance(stream, Opaque) or name == task_stream(sample, options):
        return True
    of = stream.instance(name)
    return (of != name and isinstance(sample.streams.get(of), Camera) and of not in plan.used) or (
        isinstance(stream, Camera) and options.cameras is not None
    )


def _of_cameras(stream: Stream, plan: Plan) -> Stream:
    camera = getattr(stream, "camera", "")
    return replace(stream, camera=plan.cameras[camera]) if camera in plan.cameras else stream  # type: ignore[call-arg]


def _rig(sample: Sample, plan: Plan, sampled: dict[str, Stream]) -> Rig:
    """The calibration, with the cameras under their names in the output, and one for each picture."""
    names = {sample[n].instance(n): new for n, new in plan.cameras.items() if sample[n].instance(n) != new}
    clash = next((new for new in names.values() if new in sample.rig.sensors and new not in names), None)
    if clash is not None:
        raise DataError(f"{sample.id}: the rig has another sensor {clash!r}; give output.cameras={{CAMERA: FEATURE}}")
    names |= {plan.vectors[feature].pieces[0].stream: plan.name(feature) for feature in plan.taxels}
    sensors = {
        names.get(n, n): replace_unchecked(s, mirror_of=names.get(s.mirror_of, s.mirror_of) if s.mirror_of else None)
        for n, s in sample.rig.sensors.items()
    }
    for name, sensor in sensors.items():
        if isinstance(sensor, TaxelSensor) and sensor.rows is not None:  # a feature of its own is all its numbers
            sensors[name] = replace_unchecked(sensor, rows=None)
    frames = dict(sample.rig.frames)
    for feature, pictures in plan.pictures.items():
        name, stream = plan.name(feature), sampled[pictures.stream]
        if pictures.kind not in (HEIGHT, DEPTH) and name not in sensors:
            sensors[name] = CameraSensor(frame=stream.frame, model=UnknownLens.of(pictures.size))
            frames.setdefault(stream.frame, Frame(axis_convention="camera"))
    return Rig(frames, sensors)


def _picture_stream(stream: Stream, pictures: Pictures, name: str, plan: Plan, rig: Rig) -> ImageStream:
    assert isinstance(stream, ImageStream)
    kind = Depth if pictures.kind in (DEPTH, HEIGHT) else Camera
    camera = name.rpartition("/")[0] or name
    sensor = rig.sensors.get(camera)
    held = {f.name: getattr(stream, f.name) for f in fields(ImageStream)}
    made = kind(**held | {"camera": camera, "frame": sensor.frame if sensor is not None else stream.frame})
    if isinstance(sensor, TactileSensor):
        return to_gel_stream(made, camera, sensor, f"stream {name!r}")
    return made


def _vector_stream(
    sampled: dict[str, Stream], feature: str, name: str, vector: Vector, plan: Plan, rig: Rig, times: Tensor
) -> Stream:
    """The stream of a vector, of the numbers that the table holds."""
    rows = table_rows(sampled, vector, feature)
    parts = read_parts(vector.declared, feature) if feature not in plan.taxels else Parts()
    first = sampled[vector.pieces[0].stream]
    held = {"frame": plan.base, "capture_times": times, "records": ()}
    made = stream_of_rows(feature, rows, parts, vector.names, (), held)
    if not (first.is_continuous and first.columns) and isinstance(made, Undeclared):
        made = replace(made, capture_times=first.capture_times, receive_times=first.receive_times)
    sensor = rig.sensors.get(name)
    if feature in plan.taxels and isinstance(sensor, TaxelSensor):
        return to_taxels(made, name, sensor, feature)
    return made if sensor is None else replace(made, frame=sensor.frame)


def table_rows(sampled: dict[str, Stream], vector: Vector, feature: str) -> np.ndarray:
    """Rows (n, ...) of a vector as the table holds them: float32, int64 or bool.

    Raises:
        DataError: a number is NaN or infinite.
    """
    found = [piece.rows(sampled[piece.stream]) for piece in vector.pieces]
    value = found[0] if len(found) == 1 else torch.cat([f.to(torch.float64) for f in found], 1)
    if vector.shift:
        value = torch.cat([value[vector.shift :], value[-1:].expand(min(vector.shift, len(value)), *value.shape[1:])])
    wrong = (~torch.isfinite(value)).flatten(1).any(1) if value.is_floating_point() else torch.zeros(0)
    if bool(wrong.any()):
        k = int(wrong.nonzero()[0, 0])
        at = int((~torch.isfinite(value[k].flatten())).nonzero()[0, 0])
        called = vector.names[at] if at < len(vector.names) else str(at)
        raise DataError(
            f"{feature}: {called} of {vector.pieces[0].stream!r} is NaN or infinite at frame {k}, which no training "
            f"takes; choose columns with output.state={{STREAM: [COLUMN]}}, or leave the stream out with log.exclude"
        )
    rows: np.ndarray = value.detach().numpy()
    if rows.dtype == bool:
        return rows
    return rows.astype(np.int64 if rows.dtype.kind in "iu" else np.float32)


# --- the task ---------------------------------------------------------------------------------------------------------
def task_stream(sample: Sample, options: ExportOptions) -> str:
    """Stream of the log's sentences of the task; empty where there is none, or another task is asked for."""
    texts = [n for n, s in sample.of_type(Text).items() if len(s)]
    named = [n for n in texts if any(word in n.lower() for word in TASK_WORDS)]
    return named[0] if named and options.task is None else ""


def task_of(sample: Sample, plan: Plan, options: ExportOptions, times: Tensor) -> Text:
    """Sentences at the frames at which they begin."""
    name = task_stream(sample, options)
    if not name:
        return Text(frame=plan.base, capture_times=times[:1], values={"text": strings([options.task or ""])})
    stream = sample[name]
    frames = torch.searchsorted(times, stream.capture_times).clamp(max=len(times) - 1).tolist()
    found = {0 if i == 0 else f: str(text) for i, (f, text) in enumerate(zip(frames, stream["text"], strict=True))}
    new = [f for i, f in enumerate(found) if i == 0 or found[f] != list(found.values())[i - 1]]
    texts = strings([found[f] for f in new])
    return Text(frame=plan.base, capture_times=times[torch.tensor(new)], values={"text": texts})


__all__ = ["TASK", "beside", "export_form", "frames_of", "task_stream"]
