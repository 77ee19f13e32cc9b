"""``SwapSector``: sectors of the surroundings from another sample, in all sensors at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from calib.agreement import difference
from fusion_aug.core.mixing.ground import intensity_refusal
from fusion_aug.core.mixing.labels import box_refusal, joined_boxes, joined_tracks, taken_boxes
from fusion_aug.core.mixing.transform import MixTransform
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.strength import Strengths
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Boxes2D, Boxes3D, ImageStream, Points, Stream, Text, Waypoints
from fusion_aug.transforms.mix.seams import Seam, Sector, camera_streams, scene_of
from fusion_aug.transforms.mix.sector_clouds import cloud_refusal, mixed_cloud
from fusion_aug.transforms.mix.sector_pictures import (
    attached_whole,
    camera_moved,
    cut_flat_boxes,
    cut_pictures,
    flat_boxes_cross,
    share_in_sector,
    whole_camera,
)
from fusion_aug.transforms.mix.surroundings import UNTRUE, without_surroundings

DEGREES = 360
SLACK, STEP = 30, 5  # degrees that a sector may be wider or narrower than drawn; widths within a step are as good
MOST_PAIRS = 64  # of seams that are tried with one donor
MOST_MOVED = 1.0  # pixels at 10 m


@dataclass(frozen=True, kw_only=True)
class SwapSector(MixTransform):
    """A sector of azimuths, in clouds, pictures, radars and boxes, comes from another sample.

    Its two edges are seams: upright half-planes through the centre of the one camera that sees them, or of no camera's,
    where no box of either sample stands and the ground goes on. So every pixel and every return beside a seam shows
    what lies on its own side. Along a beam of which both samples show a return the nearer one stays. A camera without a
    seam in its view is the receiver's or, where it looks into the sector, the donor's, with the stamp in the receiver's
    clock and the difference of the two motions in its extrinsics. Raw Doppler is that of the receiver's own motion.

    Attributes:
        width_deg: width of the sector.
        sensors: names or shell patterns of the sensors that take part; pictures and clouds of others are dropped, and
            recorded, since they would show something else.
        captions: "refuse", or "drop": sentences about a scene of which a part is another.
    """

    width_deg: Range = (60.0, 180.0)
    sensors: tuple[str, ...] = ("*",)
    captions: str = "refuse"

    limits: ClassVar[dict[str, tuple[float, float]]] = {"width_deg": (10.0, 350.0)}
    takes: ClassVar[tuple[type[Stream], ...]] = (ImageStream, Points, Boxes3D, Boxes2D, Waypoints)
    leaves_out: ClassVar[tuple[type[Stream], ...]] = (*UNTRUE, Text)
    strengths: ClassVar[Strengths] = {"width_deg": "how much is another's, not how strongly it differs; p is how often"}
    example: ClassVar[dict[str, Any]] = {"width_deg": [60.0, 180.0], "captions": "drop"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.captions not in ("refuse", "drop"):
            raise ConfigError(f"SwapSector.captions: {self.captions!r} is not one of refuse, drop")

    # --- what fits ----------------------------------------------------------------------------------------------------
    def refusal(self, sample: Sample, donor: Sample) -> str:
        """What parts rigs, columns, boxes or intensities."""
        names = [n for n in sample.rig.sensors if matches(n, self.sensors) and _is_used(sample, n)]
        rigs, bodies = (sample.rig, donor.rig), (sample.ref.frame, donor.ref.frame)
        if why := difference(*rigs, names, bodies, (sample.ref.time, donor.ref.time)):
            return why
        for name, cloud in sample.of_type(Points).items():
            if matches(cloud.instance(name), self.sensors) and (why := cloud_refusal(sample, donor, name)):
                return why
        return box_refusal(sample, donor) or intensity_refusal(sample, donor, self.sensors)

    # --- what is taken ------------------------------------------------------------------------------------------------
    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """Two seams, and what becomes of every camera."""
        width = float(draw(self.width_deg, rng))
        cameras = [n for n in camera_streams(sample) if matches(sample[n].instance(n), self.sensors)]
        scene = scene_of(sample, donor, cameras)
        seams = scene.seams(np.radians(np.arange(DEGREES)))
        if sum(s is not None for s in seams) < 2:
            return (
                "there are fewer than two seams where no box stands and one camera sees; leave some out with sensors="
            )
        reason = f"no two seams are {width:.0f} degrees apart, give or take {SLACK}"
        for first, last in itertools.islice(sectors(seams, width, rng), MOST_PAIRS):
            sector = Sector(first, last, scene.level)
            why = _cut_refusal(sample, donor, cameras, sector)
            if not why:
                return self._told(sample, donor, cameras, sector)
            reason = why
        return reason

    def _told(self, sample: Sample, donor: Sample, cameras: list[str], sector: Sector) -> dict[str, Any]:
        cut = sorted({s.camera for s in (sector.first, sector.last)} - {""})
        whole = [n for n in cameras if n not in cut and share_in_sector(sample, n, sector) > 0.5]
        left = [n for n, s in sample.streams.items() if _is_sensor(s) and not matches(s.instance(n), self.sensors)]
        return {
            "seams": [sector.first.to_json(), sector.last.to_json()],
            "cut": cut,
            "whole": whole,
            "left_out": left,
            "captions": self.captions,
        }

    # --- taking it ------------------------------------------------------------------------------------------------
    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with the donor's sector."""
        first, last = (Seam.from_json(s) for s in params["seams"])
        sector = Sector(first, last, T_up_ref(sample, 0)[:3, :3])
        streams: dict[str, Stream] = {n: s for n, s in sample.streams.items() if n not in params["left_out"]}
        streams = without_surroundings(cls.__name__, streams, str(params["captions"]))
        shown, rig = dict(streams), sample.rig
        for name, stream in shown.items():
            if isinstance(stream, Points):
                streams[name] = mixed_cloud(sample, donor, name, sector)
        for name in params["whole"]:
            taken = whole_camera(sample, donor, name)
            of_it = [n for n in shown if n != name and _belongs(shown[n], n, sample[name].instance(name))]
            for n in (name, *of_it):
                streams.pop(n, None)
            if taken is None:
                continue  # the donor has no picture at that time
            streams[name], pose = taken
            rig = rig.with_pose(sample[name].frame, pose)
            for n in of_it:
                if (own := attached_whole(sample, donor, n, taken[0].capture_times)) is not None:
                    streams[n] = own
        for name in params["cut"]:
            for n in [n for n in shown if n == name or _belongs(shown[n], n, sample[name].instance(name))]:
                cut = _cut(sample, donor, n, name, sector)
                streams.pop(n) if cut is None else streams.__setitem__(n, cut)
        streams |= _labels(sample, donor, sector, shown)
        same = sample.true_rig is sample.rig
        out = sample.with_streams({n: streams[n] for n in shown if n in streams})
        return out.with_meta(0, rig=rig, true_rig=rig if same else sample.true_rig)


def sectors(seams: Sequence[Seam | None], width: float, rng: np.random.Generator) -> Iterator[tuple[Seam, Seam]]:
    """Pairs of seams, those first whose angle is nearest to a width, in a random order where equally near.

    Args:
        seams: by whole degrees of azimuth. width: degrees. rng: decides the order.
    """
    there = [k for k, s in enumerate(seams) if s is not None]
    pairs = [(a, b) for a in rng.permutation(there).tolist() for b in there if a != b]
    off = {p: abs((p[1] - p[0]) % DEGREES - width) for p in pairs}
    for a, b in sorted((p for p in pairs if off[p] <= SLACK), key=lambda p: off[p] // STEP):
        first, last = seams[a], seams[b]
        assert first is not None and last is not None
        yield first, last


def _cut_refusal(sample: Sample, donor: Sample, cameras: list[str], sector: Sector) -> str:
    for name in {s.camera for s in (sector.first, sector.last)} - {""}:
        moved = camera_moved(sample, donor, name, sector)
        if moved > MOST_MOVED:
            return f"a point at 10 m lies {moved:.1f} px elsewhere in {name!r} ({MOST_MOVED:.0f} px allowed)"
        for which in (sample, donor):
            for n, s in which.of_type(Boxes2D).items():
                if _belongs(s, n, which[name].instance(name)) and flat_boxes_cross(which, n, name, sector):
                    return f"a flat box of {n!r} lies on both sides of every seam"
    return ""


def _cut(sample: Sample, donor: Sample, name: str, camera: str, sector: Sector) -> Stream | None:
    stream, other = sample[name], donor.streams.get(name)
    if other is None or not len(other):
        return None  # of depth or masks that the donor lacks the receiver's would be half true
    if isinstance(stream, Boxes2D):
        return cut_flat_boxes(sample, donor, name, camera, sector)
    return cut_pictures(sample, donor, name, camera, sector)


def _labels(sample: Sample, donor: Sample, sector: Sector, shown: Mapping[str, Stream]) -> dict[str, Stream]:
    out: dict[str, Stream] = {}
    kept, taken = set[str](), set[str]()
    for name, mine in sample.of_type(Boxes3D).items():
        other = donor[name]
        assert isinstance(other, Boxes3D)
        stay, come = (
            torch.from_numpy(sector.holds(b["pose"][:, :3, 3].to(torch.float64).numpy())) for b in (mine, other)
        )
        if "instance" in mine.values and "instance" in other.values:
            kept |= {str(i) for i in mine["instance"][(~stay).numpy()]}
            taken |= {str(i) for i in other["instance"][come.numpy()]}
        out[name] = joined_boxes(mine.select(~stay), taken_boxes(other, donor, come))
    for name, tracks in sample.of_type(Waypoints).items():
        theirs = donor.streams.get(name)
        known = theirs if isinstance(theirs, Waypoints) and theirs.frame == tracks.frame else None
        out[name] = joined_tracks(tracks, known, donor, kept, taken)
    return out


def _belongs(stream: Stream, name: str, camera: str) -> bool:
    return isinstance(stream, ImageStream | Boxes2D) and stream.instance(name) == camera


def _is_sensor(stream: Stream) -> bool:
    return isinstance(stream, Points | ImageStream)


def _is_used(sample: Sample, name: str) -> bool:
    return any(s.instance(n) == name and _is_sensor(s) for n, s in sample.streams.items())
