"""Sensors, or all sensors of a kind, that send nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import (
    HeightMap,
    ImageStream,
    Imu,
    JointState,
    Odometry,
    Points,
    Radar,
    Stream,
    TactileImage,
    Taxels,
    Wrench,
)
from fusion_aug.streams.dropped import with_dropped
from fusion_aug.streams.families import Fault

SENSORS = (ImageStream, Points, Imu, Odometry, JointState, Wrench, Taxels)
# modality -> its kinds of streams; the first that fits counts
MODALITIES: dict[str, tuple[type[Stream], ...]] = {
    "touch": (TactileImage, HeightMap, Taxels),
    "camera": (ImageStream,),
    "radar": (Radar,),
    "lidar": (Points,),
    "imu": (Imu,),
    "odometry": (Odometry,),
    "joints": (JointState,),
    "force": (Wrench,),
}


@dataclass(frozen=True, kw_only=True)
class ModalityDropout(Transform, Fault):
    """Sensors that send nothing, so that a model learns to do without any of them.

    What falls together is a group: with ``by="sensor"`` a sensor alone (depth and classes of a camera go with it),
    with ``by="modality"`` all sensors of a modality that may be dropped: camera, lidar, radar, touch, imu, odometry,
    joints, force. Each group is dropped with probability ``share``.

    ``at_least`` counts the groups of the whole sample of which something is left: those that are not dropped, those
    that may not be (by ``keep``, or since ``sensors`` does not name them), and modalities of which a sensor is kept;
    not those that had sent nothing before. Where too few would be left, the groups with the highest draws stay.

    Attributes:
        share: probability with which each group is dropped.
        sensors: names or shell patterns of the sensors that may be dropped.
        keep: names or patterns, of those, that are never dropped.
        at_least: how many groups of the sample are left at least.
        by: "sensor" drops each on its own, "modality" all of a kind together.
        mode: "mask" leaves the stream with black pictures, empty clouds and readings of 0, and ``present`` False;
            "remove" takes its items out of the sample.
        span: seconds of a gap that begins anywhere in the sample; None for the whole sample.
    """

    share: Range = 0.3
    sensors: tuple[str, ...] = ("*",)
    keep: tuple[str, ...] = ()
    at_least: int = 1
    by: str = "sensor"
    mode: str = "mask"
    span: Range | None = None

    version: ClassVar[int] = 2
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0), "span": (0.0, 1e5)}
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "clouds of dropped sensors are empty on purpose",
        "keeps_counts": "boxes lose the points of dropped sensors",
        "content_identity": "dropped cameras show nothing at all",
        "invertible": "what was not sent is lost",
        "differentiable": "it has no geometric parameter",
    }
    strengths: ClassVar[Strengths] = {
        "share": Strength(0.0, 1.0, "linear", "declared: all sensors but those that stay", "probability"),
        "span": "how long, not how much",
    }
    example: ClassVar[dict[str, Any]] = {"share": 0.3}
    loss_reason: ClassVar[str] = "dropped"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, words in (("mode", ("mask", "remove")), ("by", ("sensor", "modality"))):
            if getattr(self, field) not in words:
                raise ConfigError(f"ModalityDropout.{field}: {getattr(self, field)!r} is not one of {', '.join(words)}")
        if type(self.at_least) is not int or self.at_least < 0:
            raise ConfigError(f"ModalityDropout.at_least: expected a whole number, got {self.at_least!r}")

    def effects(self) -> dict[str, str]:
        """Few formats know of sensors that sent nothing."""
        return {"dropped_sensor": "ModalityDropout.mode"}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Which sensors are dropped, and from when to when (shares of the sample's time)."""
        share = draw(self.share, rng)
        groups = self._groups(sample)
        able = {g: [n for n in names if self._may_drop(n)] for g, names in sorted(groups.items())}
        able = {g: names for g, names in able.items() if names}
        lots = dict(zip(able, rng.random(len(able)).tolist(), strict=True))
        # those with the highest lots stay, as they would with the lowest share
        chosen = sorted((g for g in able if lots[g] < share), key=lambda g: lots[g])
        sending = _sending(sample)
        sent = {g: sending & set(names) for g, names in groups.items()}
        gone = [g for g in chosen if sent[g] and sent[g] <= set(able[g])]
        most = max(0, sum(map(bool, sent.values())) - self.at_least)
        dropped = sorted(n for g in chosen if g not in gone[most:] for n in able[g])
        span = None if self.span is None else draw(self.span, rng)
        return {"dropped": dropped, "mode": self.mode, "span": span, "begin": float(rng.random())}

    def _groups(self, sample: Sample) -> dict[str, list[str]]:
        """Group -> the names of its sensors, in order."""
        kinds = {s.instance(n): modality_of(s) for n, s in sample.streams.items() if isinstance(s, SENSORS)}
        groups: dict[str, list[str]] = {}
        for name, modality in sorted(kinds.items()):
            groups.setdefault(modality if self.by == "modality" else name, []).append(name)
        return groups

    def _may_drop(self, name: str) -> bool:
        return matches(name, self.sensors) and not matches(name, self.keep)

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Drop the items of the chosen sensors."""
        spans = [_span(sample, u, parameters.of(u)) if rows else None for u, rows in enumerate(parameters.per_sample)]
        out = cls.visit(sample, parameters, context, spans)
        return out.with_streams({n: s for n, s in out.streams.items() if len(s) or not len(sample[n])})


def drop_sensor(stream: Stream, call: Call) -> Stream:
    """Empty a stream's items within the gap, or leave them out."""
    dropped, gone = dropped_items(stream, call.name, call)
    if not bool(dropped.any()):
        return stream
    return stream.take_items((~gone).nonzero()[:, 0]) if bool(gone.any()) else with_dropped(stream, dropped)


def dropped_items(stream: Stream, name: str, call: Call) -> tuple[Tensor, Tensor]:
    """(n,) bool, which items of a stream of that name are dropped, and which of them are taken out."""
    dropped = torch.zeros(len(stream), dtype=torch.bool)
    gone = torch.zeros(len(stream), dtype=torch.bool)
    for u, span in enumerate(call.family_state):
        if span is None:  # of a sample that is left as it is
            continue
        params, (first, last) = call.parameters.of(u), span
        if stream.instance(name) in params["dropped"]:
            mine = (stream.sample_index == u) & (stream.capture_times >= first) & (stream.capture_times <= last)
            dropped |= mine
            if params["mode"] == "remove":
                gone |= mine
    return dropped, gone


for kind in SENSORS:
    handles(ModalityDropout, kind)(drop_sensor)


def _sending(sample: Sample) -> set[str]:
    """Sensors that have sent something."""
    return {s.instance(n) for n, s in sample.streams.items() if isinstance(s, SENSORS) and bool(s.present.any())}


def modality_of(stream: Stream) -> str:
    """The modality that a stream of a sensor belongs to."""
    return next(name for name, kinds in MODALITIES.items() if isinstance(stream, kinds))


def _span(sample: Sample, index: int, params: Mapping[str, Any]) -> tuple[int, int]:
    """First and last stamp of the gap, ns."""
    stamps = [s.capture_times[s.sample_index == index] for s in sample.streams.values() if isinstance(s, SENSORS)]
    stamps = [s for s in stamps if len(s)]
    if not stamps:
        return 0, 0
    first, last = min(int(s.min()) for s in stamps), max(int(s.max()) for s in stamps)
    if params["span"] is None:
        return first, last
    length = int(params["span"] * 1e9)
    begin = first + int(params["begin"] * max(0, last - first - length))
    return begin, begin + length
