"""Sensors that fall silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np
import torch

from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Imu, JointState, Odometry, Points, Stream, Taxels, Wrench
from fusion_aug.streams.dropped import with_dropped
from fusion_aug.streams.families import Fault

SENSORS = (ImageStream, Points, Imu, Odometry, JointState, Wrench, Taxels)


@dataclass(frozen=True, kw_only=True)
class ModalityDropout(Transform, Fault):
    """Sensors that fall silent, so that a model learns to do without any of them.

    Attributes:
        share: probability with which each chosen sensor falls silent. Depth and classes of a camera go with it.
        sensors: names or shell patterns of the sensors that can.
        keep: of those that always stay.
        at_least: how many of the chosen sensors stay at least.
        mode: "mask" leaves the stream with black pictures, empty clouds and readings of 0, and ``present`` False;
            "remove" takes its items out of the sample.
        span: seconds of a silence that begins anywhere in the sample; None for the whole sample.
    """

    share: Range = 0.3
    sensors: tuple[str, ...] = ("*",)
    keep: tuple[str, ...] = ()
    at_least: int = 1
    mode: str = "mask"
    span: Range | None = None

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0), "span": (0.0, 1e5)}
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "clouds of silent sensors are empty on purpose",
        "keeps_counts": "boxes lose the points of silent sensors",
        "content_identity": "silent cameras show nothing",
        "invertible": "what was not sent is lost",
        "differentiable": "it has no geometric parameter",
    }
    example: ClassVar[dict[str, Any]] = {"share": 0.3}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("mask", "remove"):
            raise ConfigError(f"ModalityDropout.mode: {self.mode!r} is not one of mask, remove")
        if type(self.at_least) is not int or self.at_least < 0:
            raise ConfigError(f"ModalityDropout.at_least: expected a whole number, got {self.at_least!r}")

    def effects(self) -> dict[str, str]:
        """Few formats know of sensors that sent nothing."""
        return {"dropped_sensor": "ModalityDropout.mode"}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Which sensors fall silent, and from when to when (shares of the sample's time)."""
        share = draw(self.share, rng)
        names = sorted({s.instance(n) for n, s in sample.streams.items() if isinstance(s, SENSORS)})
        able = [n for n in names if _named(n, self.sensors) and not _named(n, self.keep)]
        lots = dict(zip(able, rng.random(len(able)).tolist(), strict=True))
        silent = [n for n in able if lots[n] < share]
        # those with the highest lots stay, as they would with the lowest share
        allowed = max(0, len(able) - self.at_least)
        silent = sorted(sorted(silent, key=lambda n: lots[n])[:allowed])
        span = None if self.span is None else draw(self.span, rng)
        return {"silent": silent, "mode": self.mode, "span": span, "begin": float(rng.random())}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Silence the items of the chosen sensors."""
        out = cls.visit(
            sample, parameters, context, [_span(sample, u, parameters.of(u)) for u in range(len(sample.metas))]
        )
        return out.with_streams({n: s for n, s in out.streams.items() if len(s) or not len(sample[n])})


def drop_sensor(stream: Stream, call: Call) -> Stream:
    """Empty a stream's items within the silence, or leave them out."""
    dropped = torch.zeros(len(stream), dtype=torch.bool)
    gone = torch.zeros(len(stream), dtype=torch.bool)
    for u, (first, last) in enumerate(call.family_state):
        params = call.parameters.of(u)
        if stream.instance(call.name) in params["silent"]:
            mine = (stream.sample_index == u) & (stream.capture_times >= first) & (stream.capture_times <= last)
            dropped |= mine
            if params["mode"] == "remove":
                gone |= mine
    if not bool(dropped.any()):
        return stream
    return stream.take_items((~gone).nonzero()[:, 0]) if bool(gone.any()) else with_dropped(stream, dropped)


for kind in SENSORS:
    handles(ModalityDropout, kind)(drop_sensor)


def _named(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _span(sample: Sample, index: int, params: Mapping[str, Any]) -> tuple[int, int]:
    """First and last stamp of a silence, ns."""
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
