"""What mixes of LiDARs alone share: what fits, what is left out, and the labels that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from calib.agreement import difference
from fusion_aug.core.mixing.ground import intensity_refusal
from fusion_aug.core.mixing.labels import box_refusal, joined_boxes, joined_tracks, taken_boxes
from fusion_aug.core.mixing.transform import MixTransform
from fusion_aug.errors import ConfigError
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
from fusion_aug.transforms.mix.sector_clouds import cloud_refusal
from fusion_aug.transforms.mix.surroundings import UNTRUE, without_surroundings

SEEN = (Camera, Depth, SegmentationMask, ValidityMask, Opacity, Boxes2D, Radar)  # what other sensors show of the scene
WORDS = ("refuse", "drop")


@dataclass(frozen=True, kw_only=True)
class LidarMix(MixTransform, abstract=True):
    """Base of mixes that act on beams of LiDARs and on boxes, and on no other sensor.

    Attributes:
        cameras: "refuse" samples with cameras or radars, which would show what is not there, or "drop" these.
        captions: "refuse" samples with sentences about the scene, or "drop" these.
    """

    cameras: str = "refuse"
    captions: str = "refuse"

    takes: ClassVar[tuple[type[Stream], ...]] = (Lidar, Boxes3D, Waypoints)
    leaves_out: ClassVar[tuple[type[Stream], ...]] = (*UNTRUE, Text, *SEEN)

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("cameras", "captions"):
            if getattr(self, field) not in WORDS:
                raise ConfigError(f"{type(self).__name__}.{field}: {getattr(self, field)!r} is not one of refuse, drop")

    def refusal(self, sample: Sample, donor: Sample) -> str:
        """What parts scanners, columns, boxes or intensities.

        Raises:
            ConfigError: the receiver has no LiDAR, or has pictures, radars or sentences that are not to be dropped.
        """
        lidars = sample.of_type(Lidar)
        if not lidars:
            raise ConfigError(f"{type(self).__name__}: sample {sample.id!r} has no LiDAR")
        told = {"cameras": self.cameras, "captions": self.captions}
        without_others(type(self).__name__, sample.streams, told)
        names = sorted({s.instance(n) for n, s in lidars.items()})
        rigs, bodies = (sample.rig, donor.rig), (sample.ref.frame, donor.ref.frame)
        if why := difference(*rigs, names, bodies, (sample.ref.time, donor.ref.time)):
            return why
        for name in lidars:
            if why := cloud_refusal(sample, donor, name) or beams_refusal(sample, donor, name):
                return why
        return box_refusal(sample, donor) or intensity_refusal(sample, donor, names)


def without_others(who: str, streams: Mapping[str, Stream], params: Mapping[str, Any]) -> dict[str, Stream]:
    """Streams without those of other sensors that show the scene, and without what would be untrue of it.

    Args:
        who: the transform, for messages. streams: by name. params: its words for ``cameras`` and ``captions``.

    Raises:
        ConfigError: there are some that are not to be dropped.
    """
    seen = [n for n, s in streams.items() if isinstance(s, SEEN)]
    if seen and params["cameras"] != "drop":
        raise ConfigError(
            f"{who}: {seen[0]!r} would show a scene that the LiDAR does not; drop cameras and radars with cameras=drop"
        )
    return without_surroundings(who, {n: s for n, s in streams.items() if n not in seen}, str(params["captions"]))


def joined_labels(
    sample: Sample, donor: Sample, taken: Boxes3D | None, stay: torch.Tensor, come: torch.Tensor
) -> dict[str, Stream]:
    """Boxes and waypoints of a mix.

    Args:
        sample, donor: both. taken: the donor's boxes as they stand in the mix, where they were moved; else its own.
        stay, come: (n,) bool of the receiver's boxes, and of the donor's.
    """
    out: dict[str, Stream] = {}
    kept, came = set[str](), set[str]()
    for name, mine in sample.of_type(Boxes3D).items():
        other = donor[name]
        assert isinstance(other, Boxes3D)
        if "instance" in mine.values and "instance" in other.values:
            kept |= {str(i) for i in mine["instance"][stay.numpy()]}
            came |= {str(i) for i in other["instance"][come.numpy()]}
        out[name] = joined_boxes(mine.select(stay), taken_boxes(other, donor, come) if taken is None else taken)
    for name, tracks in sample.of_type(Waypoints).items():
        theirs = donor.streams.get(name) if taken is None else None  # tracks of moved boxes are unknown
        known = theirs if isinstance(theirs, Waypoints) and theirs.frame == tracks.frame else None
        out[name] = joined_tracks(tracks, known, donor, kept, came)
    return out
