"""``MixUp``: two samples blended, pictures by weight and pulses by lot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from calib.agreement import difference
from fusion_aug.core.mixing.ground import intensity_refusal
from fusion_aug.core.mixing.labels import box_refusal
from fusion_aug.core.mixing.meeting import partner_items
from fusion_aug.core.mixing.transform import MixTransform
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.strength import Strengths
from fusion_aug.ops.blending import beta_weight
from fusion_aug.ops.random import digest
from fusion_aug.sample import Sample
from fusion_aug.streams import (
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    Lidar,
    Opacity,
    Radar,
    SegmentationMask,
    Stream,
    Text,
    ValidityMask,
    Waypoints,
)
from fusion_aug.transforms.mix.beam_scans import beams_refusal
from fusion_aug.transforms.mix.mixup_labels import with_both_labels
from fusion_aug.transforms.mix.mixup_signals import blended_pictures, drawn_echoes, drawn_scans
from fusion_aug.transforms.mix.sector_clouds import cloud_refusal
from fusion_aug.transforms.mix.surroundings import UNTRUE

SINGLE = (Depth, SegmentationMask, ValidityMask, Opacity)  # of which a pixel cannot hold two
SIGNALS = (Camera, Lidar, Radar)


@dataclass(frozen=True, kw_only=True)
class MixUp(MixTransform):
    """Two samples blended (Zhang et al. 2018): pictures by weight, pulses of LiDARs and radars by lot.

    The sample has the weight lambda, the donor the rest. A pixel is the mean of both by weight. Every cell of a LiDAR,
    of a ring and a column, and every bearing of a radar comes from the sample with probability lambda, else from the
    donor. Boxes, flat boxes and captions of both are there, with their ``weight``. Depth and masks, of which a pixel
    cannot hold two, are left out, and so is a stream of which an item has no partner within 5 ms. Signals of the
    vehicle or a robot stay the sample's: a mean of two is the state of neither (``fa.train.mix_features`` blends what a
    model makes of them).

    Attributes:
        alpha: of Beta(alpha, alpha), from which lambda is drawn; small ones leave mostly one of the two.
    """

    alpha: Range = 0.4

    limits: ClassVar[dict[str, tuple[float, float]]] = {"alpha": (0.01, 100.0)}
    takes: ClassVar[tuple[type[Stream], ...]] = (*SIGNALS, Boxes3D, Boxes2D, Waypoints, Text)
    leaves_out: ClassVar[tuple[type[Stream], ...]] = (*UNTRUE, *SINGLE)
    strengths: ClassVar[Strengths] = {"alpha": "how even the two are, and labels follow; p is how often"}
    example: ClassVar[dict[str, Any]] = {"alpha": 0.4}

    def effects(self) -> dict[str, str]:
        """Labels have weights, which few formats hold."""
        return {**super().effects(), "weights": type(self).__name__}

    def refusal(self, sample: Sample, donor: Sample) -> str:
        """What parts rigs, columns, boxes, captions or intensities."""
        names = sorted({s.instance(n) for n, s in sample.streams.items() if isinstance(s, SIGNALS)})
        rigs, bodies = (sample.rig, donor.rig), (sample.ref.frame, donor.ref.frame)
        if why := difference(*rigs, names, bodies, (sample.ref.time, donor.ref.time)):
            return why
        for name, stream in sample.streams.items():
            if isinstance(stream, Lidar | Radar) and (why := cloud_refusal(sample, donor, name)):
                return why
            if isinstance(stream, Lidar) and (why := beams_refusal(sample, donor, name)):
                return why
            if isinstance(stream, Camera | Text | Boxes2D) and type(donor.streams.get(name)) is not type(stream):
                return f"it has no {name!r} of that kind"
        return box_refusal(sample, donor) or intensity_refusal(sample, donor, names)

    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """The weight, the key of the lots, and what is left out."""
        weight = beta_weight(rng, float(draw(self.alpha, rng)))
        left_out = {}
        for name, stream in sample.streams.items():
            if isinstance(stream, (*SIGNALS, Boxes2D)) and None in partner_items(sample, donor, name):
                left_out[name] = "no partner within 5 ms"
            elif isinstance(stream, SINGLE):
                left_out[name] = "a pixel cannot hold two"
            elif isinstance(stream, UNTRUE):
                left_out[name] = "it tells of one of the two alone"
        return {"weight": weight, "lots": digest("lots", int(rng.integers(2**62))), "left_out": left_out}

    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with the donor blended in."""
        weight, lots = float(params["weight"]), str(params["lots"])
        streams = {n: s for n, s in sample.streams.items() if n not in params["left_out"]}
        scans = drawn_scans(sample, donor, [n for n, s in streams.items() if isinstance(s, Lidar)], weight, lots)
        for name, stream in streams.items():
            if isinstance(stream, Camera):
                streams[name] = blended_pictures(sample, donor, name, weight)
            elif isinstance(stream, Radar):
                streams[name] = drawn_echoes(sample, donor, name, weight, lots)
            elif isinstance(stream, Lidar):
                streams[name] = scans[name]
        return sample.with_streams(with_both_labels(sample, donor, streams, weight))
