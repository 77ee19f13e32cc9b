"""``SwapSector``: sectors of the surroundings from another sample, in all sensors at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib.agreement import difference
from fusion_aug.core.mixing.donors import NoPlace
from fusion_aug.core.mixing.ground import intensity_refusal
from fusion_aug.core.mixing.labels import box_refusal, joined_boxes, joined_tracks, taken_boxes
from fusion_aug.core.mixing.meeting import partner_items
from fusion_aug.core.mixing.transform import MixTransform
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.strength import Strengths
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import (
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    ImageStream,
    Opacity,
    Points,
    SegmentationMask,
    Stream,
    Text,
    Waypoints,
)
from fusion_aug.transforms.mix.seams import Region, Seam, Sector, camera_streams
from fusion_aug.transforms.mix.sector_clouds import cloud_refusal, mixed_cloud, skew_refusal
from fusion_aug.transforms.mix.sector_pictures import (
    belonging,
    camera_moved,
    cut_camera,
    flat_boxes_cross,
    looks_into,
    picture_refusal,
    whole_camera,
)
from fusion_aug.transforms.mix.sector_scene import scene_of
from fusion_aug.transforms.mix.surroundings import UNTRUE, without_surroundings

AZIMUTHS, TURN = 120, 360  # where seams are looked for, and degrees
SLACK, STEP = 60, 5  # degrees that a sector may be wider or narrower than drawn; widths within a step are as good
BETWEEN = 10  # degrees between two sectors
PICTURED = (Camera, Depth, Opacity, SegmentationMask, Boxes2D)
MOST_PAIRS = 256  # of seams that are tried with one donor
MOST_MOVED = 1.0  # pixels at 10 m


@dataclass(frozen=True, kw_only=True)
class SwapSector(MixTransform):
    """Sectors of azimuths, in clouds, pictures, radars and boxes, come from another sample.

    Their edges are seams: upright half-planes through the centre of the one camera that sees them, or of no camera's,
    where no box of either sample stands and the ground goes on. So every pixel and every return beside a seam shows
    what lies on its own side. Along a beam of which both samples show a return the nearer one stays. A camera without a
    seam in its view is the receiver's or, where it looks into a sector, the donor's, with the stamp in the receiver's
    clock and the difference of the two motions in its extrinsics. Raw Doppler is that of the receiver's own motion.

    Attributes:
        width_deg: width of a sector.
        sectors: how many of them.
        sensors: names or shell patterns of the sensors that take part; pictures and clouds of others are dropped, and
            recorded, since they would show something else.
        captions: "refuse", or "drop": sentences about a scene of which a part is another.
    """

    width_deg: Range = (60.0, 180.0)
    sectors: int = 1
    sensors: tuple[str, ...] = ("*",)
    captions: str = "refuse"

    limits: ClassVar[dict[str, tuple[float, float]]] = {"width_deg": (10.0, 350.0)}
    takes: ClassVar[tuple[type[Stream], ...]] = (ImageStream, Points, Boxes3D, Boxes2D, Waypoints)
    leaves_out: ClassVar[tuple[type[Stream], ...]] = (*UNTRUE, Text)
    strengths: ClassVar[Strengths] = {"width_deg": "how much is another's, not how strongly it differs; p is how often"}
    example: ClassVar[dict[str, Any]] = {"width_deg": [20.0, 120.0], "captions": "drop"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.captions not in ("refuse", "drop"):
            raise ConfigError(f"SwapSector.captions: {self.captions!r} is not one of refuse, drop")
        if type(self.sectors) is not int or not 1 <= self.sectors <= 8:
            raise ConfigError(f"SwapSector.sectors: expected a whole number from 1 to 8, got {self.sectors!r}")

    # --- what fits ----------------------------------------------------------------------------------------------------
    def refusal(self, sample: Sample, donor: Sample) -> str:
        """What parts rigs, columns, boxes, pictures or intensities."""
        names = [n for n in sample.rig.sensors if matches(n, self.sensors) and _is_used(sample, n)]
        rigs, bodies = (sample.rig, donor.rig), (sample.ref.frame, donor.ref.frame)
        if why := difference(*rigs, names, bodies, (sample.ref.time, donor.ref.time)):
            return why
        for name, cloud in sample.of_type(Points).items():
            if not matches(cloud.instance(name), self.sensors):
                continue
            if why := cloud_refusal(sample, donor, name) or skew_refusal(sample, donor, name):
                return why
        cameras = self._cameras(sample)
        for name in cameras:
            if why := picture_refusal(sample, donor, name):
                return why
        if alone := self._alone(sample, cameras):
            return f"{alone[0]!r} has no pictures of a calibrated camera beside it; leave it out with sensors="
        return box_refusal(sample, donor) or intensity_refusal(sample, donor, self.sensors)

    def _cameras(self, sample: Sample) -> list[str]:
        return [n for n in camera_streams(sample) if matches(sample[n].instance(n), self.sensors)]

    def _alone(self, sample: Sample, cameras: Sequence[str]) -> list[str]:
        known = {n for camera in cameras for n in belonging(sample, camera)}
        shown = {n: s for n, s in sample.streams.items() if isinstance(s, PICTURED) and len(s)}
        return [n for n, s in shown.items() if n not in known and matches(s.instance(n), self.sensors)]

    # --- what is taken ------------------------------------------------------------------------------------------------
    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """Seams, and what becomes of every camera."""
        cameras = self._cameras(sample)
        scene = scene_of(sample, donor, cameras)
        azimuths = np.linspace(0, 2 * np.pi, AZIMUTHS, endpoint=False)
        seams = scene.seams(azimuths)
        if sum(s is not None for s in seams) < 2:
            return (
                "there are fewer than two seams where no box stands and one camera sees; leave some out with sensors="
            )
        moved = {
            n: camera_moved(sample, donor, n, azimuths, scene.level) for n in {s.camera for s in seams if s} - {""}
        }
        still = [s if s and (not s.camera or moved[s.camera][k] <= MOST_MOVED) else None for k, s in enumerate(seams)]
        region = Region((), scene.level)
        for _ in range(self.sectors):
            more = self._drawn(rng, sample, donor, still, moved, region)
            if isinstance(more, str):
                return NoPlace(more)
            region = more
        return {**region.to_json(), **self._told(sample, donor, cameras, region)}

    def _drawn(
        self,
        rng: np.random.Generator,
        sample: Sample,
        donor: Sample,
        seams: Sequence[Seam | None],
        moved: Mapping[str, np.ndarray],
        region: Region,
    ) -> Region | str:
        """The region with one sector more; why not, where there is none."""
        width = float(draw(self.width_deg, rng))
        reason = f"no two seams are {width:.0f} degrees apart, give or take {SLACK}"
        free = (s for s in pairs_of(seams, width, rng) if fits_beside(s, region))
        for sector in itertools.islice(free, MOST_PAIRS):
            grown = Region((*region.sectors, sector), region.level)
            reason = _moved_refusal(sector, moved) or _flat_refusal(sample, donor, grown)
            if not reason:
                return grown
        return reason

    def _told(self, sample: Sample, donor: Sample, cameras: list[str], region: Region) -> dict[str, Any]:
        cut = region.cameras
        whole = [n for n in cameras if n not in cut and looks_into(sample, n, region)]
        left = {
            n: "left out by sensors="
            for n, s in sample.streams.items()
            if isinstance(s, Points | ImageStream | Boxes2D) and not matches(s.instance(n), self.sensors)
        }
        return {"cut": cut, "whole": whole, "left_out": left, "captions": self.captions} | {
            "without_partner": _without_partner(sample, donor, [*cut, *whole], left)
        }

    # --- taking it ------------------------------------------------------------------------------------------------
    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with the donor's sectors."""
        region, rig = Region.from_json(params), sample.rig
        shown: dict[str, Stream] = {n: s for n, s in sample.streams.items() if n not in params["left_out"]}
        shown = without_surroundings(cls.__name__, shown, str(params["captions"]))
        streams = shown | {
            n: mixed_cloud(sample, donor, n, region) for n, stream in shown.items() if isinstance(stream, Points)
        }
        for camera in (*params["cut"], *params["whole"]):
            for n in belonging(sample, camera):
                streams.pop(n, None)
        for camera in params["cut"]:
            streams |= dict(cut_camera(sample, donor, camera, region))
        for camera in params["whole"]:
            if (taken := whole_camera(sample, donor, camera)) is not None:
                streams |= dict(taken[0])
                rig = rig.with_pose(sample[camera].frame, taken[1])
        streams |= _labels(sample, donor, region, shown)
        out = sample.with_streams({n: streams[n] for n in shown if n in streams})
        return out.with_meta(0, rig=rig, true_rig=rig)

    @classmethod
    def donors_places(cls, params: Mapping[str, Any], xyz: Tensor) -> Tensor | None:
        """Places (n, 3) in the sectors."""
        return torch.from_numpy(Region.from_json(params).holds(xyz.numpy()))


def pairs_of(seams: Sequence[Seam | None], width: float, rng: np.random.Generator) -> Iterator[Sector]:
    """Sectors between two seams, those first whose angle is nearest to a width, in random order where equally near.

    Args:
        seams: at azimuths all around. width: degrees. rng: decides the order.
    """
    there = rng.permutation([k for k, s in enumerate(seams) if s is not None])
    a, b = (grid.reshape(-1) for grid in np.meshgrid(there, there, indexing="ij"))
    off = np.abs(TURN / AZIMUTHS * ((b - a) % AZIMUTHS) - width)
    near = np.flatnonzero((off <= SLACK) & (a != b))
    for k in near[np.argsort(off[near] // STEP, kind="stable")].tolist():
        first, last = seams[a[k]], seams[b[k]]
        assert first is not None and last is not None
        yield Sector(first, last)


def fits_beside(sector: Sector, region: Region) -> bool:
    """Whether a sector's seams do not meet, and it lies beside those that a region has."""
    seams = [sector.first, sector.last, *region.seams]
    if any(a.meets(b) for a, b in itertools.combinations(seams, 2)):
        return False
    gap = np.radians(BETWEEN) - 1e-6
    for other in region.sectors:
        ahead = (other.first.azimuth - sector.last.azimuth) % (2 * np.pi)
        behind = (sector.first.azimuth - other.last.azimuth) % (2 * np.pi)
        if min(ahead, behind) < gap or ahead + behind + sector.width + other.width > 2 * np.pi + 1e-6:
            return False
    return True


def _moved_refusal(sector: Sector, moved: Mapping[str, np.ndarray]) -> str:
    azimuths = np.linspace(0, 2 * np.pi, AZIMUTHS, endpoint=False)
    inside = (azimuths - sector.first.azimuth) % (2 * np.pi) < sector.width
    for camera in sorted({sector.first.camera, sector.last.camera} - {""}):
        most = float(moved[camera][inside].max(initial=0.0))
        if most > MOST_MOVED:
            return f"a point at 10 m lies {most:.1f} px elsewhere in {camera!r} ({MOST_MOVED:.0f} px allowed)"
    return ""


def _flat_refusal(sample: Sample, donor: Sample, region: Region) -> str:
    for camera in region.cameras:
        for which in (sample, donor):
            flat = [n for n in belonging(sample, camera) if isinstance(which.streams.get(n), Boxes2D)]
            if crossed := [n for n in flat if len(which[n]) and flat_boxes_cross(which, n, camera, region)]:
                return f"a flat box of {crossed[0]!r} lies on both sides of every seam"
    return ""


def _without_partner(sample: Sample, donor: Sample, cameras: Sequence[str], left: Iterable[str]) -> list[str]:
    """Streams of which at least one item finds none of the donor within 5 ms, and loses what lies in the sectors."""
    clouds = [n for n in sample.of_type(Points) if n not in left]
    pictures = [n for camera in cameras for n in belonging(sample, camera)]
    missing = (n for n in (*clouds, *pictures) if n not in donor.streams or None in partner_items(sample, donor, n))
    return sorted(missing)


def _labels(sample: Sample, donor: Sample, region: Region, shown: Mapping[str, Stream]) -> dict[str, Stream]:
    out: dict[str, Stream] = {}
    kept, taken = set[str](), set[str]()
    for name, mine in sample.of_type(Boxes3D).items():
        other = donor[name]
        assert isinstance(other, Boxes3D)
        stay, come = (
            torch.from_numpy(region.holds(b["pose"][:, :3, 3].to(torch.float64).numpy())) for b in (mine, other)
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


def _is_used(sample: Sample, name: str) -> bool:
    return any(s.instance(n) == name and isinstance(s, Points | ImageStream) for n, s in sample.streams.items())
