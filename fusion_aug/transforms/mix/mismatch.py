"""``Mismatch``: one sensor no longer goes with the others, by an amount that the record holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import Rig
from calib.se3 import rotation_from_rotvec, se3
from calib.trajectory import MovingPose
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.sample.sensors import is_selected, matches
from fusion_aug.streams import Action, Signal, Stream, Text, strings
from fusion_aug.streams.families import Fault
from fusion_aug.transforms.mix.mismatch_poses import moving_frames, reaching, reports_truth
from fusion_aug.transforms.mix.mismatch_words import WORDS, changeable, with_word, word_at
from fusion_aug.transforms.mount.miscalibrate import with_frame_errors
from fusion_aug.transforms.temporal.clocks import LABELS, ClockOffset

KINDS = ("time", "extrinsics", "word")


@dataclass(frozen=True, kw_only=True)
class Mismatch(Transform, Fault):
    """Make one sensor disagree with the others, by a known kind and amount, for detectors and estimators of that.

    One of ``kinds`` is drawn, and one sensor: ``time``, its clock is some seconds fast or slow; ``extrinsics``, its
    mounting is reported turned by some degrees about an axis drawn at random; ``word``, a word of a sentence is
    changed. The data stay what they are: only what is reported of them becomes wrong, so ``realign`` undoes it exactly.
    ``misalignments`` reads kind and amount from a history, ``train.misalignment_targets`` from batches, as tensors.

    Where a reported time lies beyond the recorded motion, the reported motion goes on as it was in its last 0.1 s. In a
    log without any motion, such as KITTI's frames, a wrong time shows in the stamp alone.

    Attributes:
        kinds: those that are drawn from: time, extrinsics, word.
        sensors: names or shell patterns of the sensors that are drawn from.
        seconds: by how much the reported capture times are wrong, to either side.
        degrees: by what angle the reported mounting is turned, about the sensor's own place. Sensors that are mounted
            on it are turned with it (``moves`` of the record).
        words: groups of words that exclude one another; by default those of the sentence's language (en, de).
    """

    kinds: tuple[str, ...] = ("time", "extrinsics")
    sensors: tuple[str, ...] = ("*",)
    seconds: Range = (0.02, 0.2)
    degrees: Range = (0.2, 2.0)
    words: Any = None

    inverse: ClassVar[str] = "exact"
    limits: ClassVar[dict[str, tuple[float, float]]] = {"seconds": (0.0, 10.0), "degrees": (0.0, 180.0)}
    changes_calibration: ClassVar[str] = "what is reported of one sensor becomes wrong"
    exemptions: ClassVar[dict[str, str]] = {"differentiable": "its numbers are labels"}
    strengths: ClassVar[Strengths] = {
        "seconds": Strength(0.0, 0.5, "linear", "declared: as late as suite/frozen_camera", "s"),
        "degrees": Strength(0.0, 3.0, "linear", "suite/spatial_misalignment", "degrees"),
    }
    needs_naming: ClassVar[str] = "what is reported becomes wrong"
    example: ClassVar[dict[str, Any]] = {"kinds": ["time", "extrinsics"], "sensors": ["CAM*"]}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kinds or (wrong := [k for k in self.kinds if k not in KINDS]):
            got = repr(wrong[0]) if self.kinds else "nothing"
            more = "; MismatchScene does that" if got == "'scene'" else ""
            raise ConfigError(f"Mismatch.kinds: {got} is not one of {', '.join(KINDS)}{more}")
        if self.words is not None:
            object.__setattr__(self, "words", _checked_words(self.words))

    def effects(self) -> dict[str, str]:
        """ "clock" from ``seconds`` where times are shifted."""
        return {"clock": "Mismatch.seconds"} if "time" in self.kinds else {}

    # --- drawing ------------------------------------------------------------------------------------------------------
    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Draw a kind, a sensor and an amount.

        Raises:
            DataError: the sample has nothing of that kind to disagree, or it disagrees already.
        """
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        drawn = {"time": self._time, "extrinsics": self._extrinsics, "word": self._word}[kind](rng, sample)
        return {"kind": kind, **drawn}

    def _time(self, rng: np.random.Generator, sample: Sample) -> dict[str, Any]:
        sensor = self._chosen(rng, timed_sensors(sample), "time")
        sign = 1 if rng.random() < 0.5 else -1
        offset = sign * round(draw(self.seconds, rng) * 1e9)
        _check_aligned(sample, sensor, "time")
        return {"sensor": sensor, "seconds": offset / 1e9}

    def _extrinsics(self, rng: np.random.Generator, sample: Sample) -> dict[str, Any]:
        sensor = self._chosen(rng, mounted_sensors(sample), "extrinsics")
        axis = [float(v) for v in rng.normal(size=3)]
        length = math.sqrt(sum(v * v for v in axis))
        _check_aligned(sample, sensor, "extrinsics")
        rig, frame = sample.rig, sample.rig.sensors[sensor].frame
        moved = [n for n, s in rig.sensors.items() if n != sensor and frame in rig.ancestors(s.frame)]
        turned = {"degrees": draw(self.degrees, rng), "axis": [v / length for v in axis]}
        return {"sensor": sensor, **turned, "moves": moved}

    def _word(self, rng: np.random.Generator, sample: Sample) -> dict[str, Any]:
        found = []
        for name, stream in sample.of_type(Text).items():
            groups = self.words or WORDS.get(stream.language, ())
            for item, text in enumerate(stream["text"]):
                places = changeable(str(text), groups) if is_selected(stream, name, self.sensors) else []
                found += [(name, int(stream.item_numbers[item]), str(text), *p) for p in places]
        if not found:
            raise DataError(
                "Mismatch: no sentence of the sample has a word that could be changed; list groups in words, or leave "
                "word out of kinds"
            )
        name, item, text, place, others = found[int(rng.integers(len(found)))]
        now = others[int(rng.integers(len(others)))]
        return {"sensor": name, "item": item, "place": place, "was": word_at(text, place), "now": now}

    def _chosen(self, rng: np.random.Generator, names: Sequence[str], kind: str) -> str:
        able = [n for n in names if matches(n, self.sensors)]
        if not able:
            known = ", ".join(names) or "none"
            raise DataError(
                f"Mismatch.sensors: {', '.join(self.sensors)} names no sensor that {kind} could be wrong of (there "
                f"are {known})"
            )
        return able[int(rng.integers(len(able)))]

    # --- applying -----------------------------------------------------------------------------------------------------
    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Report what was drawn."""
        rows = [parameters.of(u) if parameters.asks(u) else {} for u in range(len(sample.metas))]
        shifts = [p.get("seconds", 0.0) if p.get("kind") == "time" else 0.0 for p in rows]
        sample = with_clock_errors(sample, [str(p.get("sensor", "")) for p in rows], shifts, context)
        for u, params in enumerate(rows):
            if params.get("kind") == "time":
                sample = sample.with_meta(u, rig=_reaching_rig(sample, u, str(params["sensor"])))
            elif params.get("kind") == "extrinsics":
                rig = sample.metas[u].rig
                frame = rig.sensors[str(params["sensor"])].frame
                sample = sample.with_meta(u, rig=with_frame_errors(rig, {frame: turn_of(params)}))
            elif params.get("kind") == "word":
                name = str(params["sensor"])
                changed = with_sentence(sample, u, name, int(params["item"]), int(params["place"]), str(params["now"]))
                sample = sample.with_streams({**sample.streams, name: changed})
        return sample

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """The stream itself: no place in the scene was changed."""
        return stream


def turn_of(params: Mapping[str, Any]) -> Tensor:
    """E (4, 4) of drawn parameters of kind extrinsics."""
    rotvec = torch.tensor(params["axis"], dtype=torch.float64) * math.radians(params["degrees"])
    return se3(rotation_from_rotvec(rotvec))


def timed_sensors(sample: Sample) -> list[str]:
    """Sensors whose clock could be wrong, sorted: those of all streams but labels, commands and rewards."""
    return sorted({s.instance(n) for n, s in sample.streams.items() if not isinstance(s, (*LABELS, Action, Signal))})


def mounted_sensors(sample: Sample) -> list[str]:
    """Sensors with data whose mounting could be wrong, sorted: not what all others are reported against."""
    rig, shown = sample.rig, {s.instance(n) for n, s in sample.streams.items()}
    hung = [n for n, s in rig.sensors.items() if rig.frames[s.frame].parent is not None and s.frame != sample.ref.frame]
    return sorted(n for n in hung if n in shown)


def with_clock_errors(sample: Sample, sensors: Sequence[str], seconds: Sequence[float], context: Context) -> Sample:
    """Clocks of one sensor of every sample of a batch as many seconds fast; 0 leaves a sample as it is."""
    shifts = [
        {"": {"offset": off, "sensors": [name]}} if off else None for name, off in zip(sensors, seconds, strict=True)
    ]
    return ClockOffset.apply(sample, ParameterRows(shifts), context) if any(shifts) else sample


def with_sentence(sample: Sample, index: int, name: str, item: int, place: int, word: str) -> Text:
    """A stream of sentences with another word in one of them.

    Args:
        sample: or batch. index: of the sample in it. name: stream. item: its number in the sample. place: of the word.

    Raises:
        DataError: the sentence is not there.
    """
    stream = sample[name]
    here = ((stream.sample_index == index) & (stream.item_numbers == item)).nonzero()[:, 0].tolist()
    if not isinstance(stream, Text) or not here:
        raise DataError(f"stream {name!r}: has no sentence number {item}, of which a word is meant")
    texts = [str(t) for t in stream["text"]]
    texts[here[0]] = with_word(texts[here[0]], place, word)
    return stream.with_values(text=strings(texts))


def _check_aligned(sample: Sample, sensor: str, kind: str) -> None:
    """Raise where what is reported of a sensor is wrong already, since the label would not be the whole of it."""
    meta = sample.meta
    if kind == "time":
        streams = [s for n, s in sample.streams.items() if s.instance(n) == sensor]
        wrong = any(s.clock_offset is not None and bool(s.clock_offset.any()) for s in streams)
        frames = {f for s in streams if s.frame in meta.rig.frames for f in meta.rig.ancestors(s.frame)}
        wrong |= not reports_truth(meta.rig, meta.true_rig, sorted(frames & {*moving_frames(meta.rig)}))
    else:
        wrong = not reports_truth(meta.rig, meta.true_rig, [meta.rig.sensors[sensor].frame])
    if wrong:
        raise DataError(
            f"Mismatch: what is reported of {sensor!r} is wrong already, so that the label would not hold all of it; "
            f"put it before transforms that change what is reported"
        )


def _reaching_rig(sample: Sample, index: int, sensor: str) -> Rig:
    """The reported rig with motions that are known at the reported times of a sensor, and where they truly were."""
    meta: SampleMeta = sample.metas[index]
    rig = meta.rig
    needed: dict[str, list[int]] = {n: [] for n in moving_frames(meta.true_rig)}
    for name, frame in meta.true_rig.frames.items():
        if isinstance(frame.pose, MovingPose):
            needed[name] += [int(frame.pose.times[0]), int(frame.pose.times[-1])]
    for name, stream in sample.streams.items():
        times = stream.capture_times[stream.sample_index == index]
        if stream.instance(name) == sensor and stream.frame in rig.frames and len(times):
            for frame_name in rig.ancestors(stream.frame):
                if frame_name in needed:
                    needed[frame_name] += [int(times.min()), int(times.max())]
    for name, times_ in needed.items():
        pose = rig.frames[name].pose
        assert isinstance(pose, MovingPose)
        longer = reaching(pose, min(times_), max(times_), f"Mismatch: frame {name!r}")
        rig = rig if longer is pose else rig.with_pose(name, longer)
    return rig


def _checked_words(words: Any) -> tuple[tuple[str, ...], ...]:
    groups = tuple(tuple(g) if isinstance(g, list | tuple) else () for g in words) if _is_list(words) else ()
    if not groups or any(len(g) < 2 or not all(isinstance(w, str) and w for w in g) for g in groups):
        raise ConfigError(f"Mismatch.words: expected groups of two words or more, [[red, blue], ...], got {words!r}")
    return groups


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
