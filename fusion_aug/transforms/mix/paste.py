"""``PasteObjects``: objects of another sample, in clouds, pictures, radars and boxes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib.agreement import difference
from fusion_aug.core.mixing.donors import NoPlace, Wish
from fusion_aug.core.mixing.ground import intensity_refusal
from fusion_aug.core.mixing.labels import box_refusal, boxes_of
from fusion_aug.core.mixing.meeting import T_ref_item, partner_items
from fusion_aug.core.mixing.transform import MixTransform
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import lidars_of
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import (
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    ImageStream,
    MapElements,
    Points,
    SegmentationMask,
    Stream,
    Text,
    Waypoints,
)
from fusion_aug.transforms.mix.paste_clouds import firing_step, pasted_cloud, returns_left
from fusion_aug.transforms.mix.paste_labels import pasted_boxes, pasted_flat_boxes
from fusion_aug.transforms.mix.paste_objects import Boxed, Solid
from fusion_aug.transforms.mix.paste_pictures import pasted_pictures
from fusion_aug.transforms.mix.paste_places import own_refusal, place_refusal
from fusion_aug.transforms.mix.paste_turned import source_of
from fusion_aug.transforms.mix.seams import camera_streams
from fusion_aug.transforms.mix.sector_clouds import cloud_refusal
from fusion_aug.transforms.mix.surroundings import UNTRUE, without_surroundings

PLACES = ("same", "turn")
TRIES = 12  # azimuths that an object is tried at
MOST_MOVED = 1.0  # pixels by which an object may lie elsewhere in the two pictures of a camera


@dataclass(frozen=True, kw_only=True)
class PasteObjects(MixTransform):
    """Objects of another sample come into clouds, pictures, radars and boxes, at the same place about the vehicle.

    An object is a box of the donor with what lies in it. It comes where no box and nothing else stands, on ground as
    high as its own; where no donor has one that does, the sample stays as it is. Along every beam and in every pixel
    the nearer of the two samples is shown: the object hides what lies behind it, and is hidden by what lies before it.
    Its light follows the exposure of the receiving picture, and its shadow falls on the ground there. Objects that
    something hides in their own sample, and those of which too few returns are left, are not taken.

    Attributes:
        n: how many objects, at the most, rounded; as many as find a place of one donor.
        classes: categories or shell patterns of the boxes that are taken.
        least_points: returns that an object has where it is pasted, at the least, of all LiDARs' key scans.
        place: "same": where it stands about the donor's vehicle. "turn": turned about the LiDAR's own axis by a whole
            number of its firings, so that its beams stay true; pictures are drawn anew from the one that shows all of
            the object, and it has a shadow beneath it only.
        captions: "refuse", or "drop": sentences about a scene that has further objects now.
    """

    n: Range = (1.0, 5.0)
    classes: tuple[str, ...] = ("*",)
    least_points: int = 5
    place: str = "same"
    captions: str = "refuse"

    limits: ClassVar[dict[str, tuple[float, float]]] = {"n": (1.0, 100.0)}
    strengths: ClassVar[Strengths] = {
        "n": Strength(1.0, 5.0, "linear", "declared: as many as find a place on most streets", "objects", exact=False),
    }
    takes: ClassVar[tuple[type[Stream], ...]] = (
        Points, Camera, Depth, SegmentationMask, Boxes3D, Boxes2D, Waypoints,
    )  # fmt: skip
    leaves_out: ClassVar[tuple[type[Stream], ...]] = (*(k for k in UNTRUE if k is not MapElements), Text)
    loss_reason: ClassVar[str] = "hidden behind an object of another sample"
    example: ClassVar[dict[str, Any]] = {"n": [1.0, 3.0], "least_points": 1, "captions": "drop"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, known in (("place", PLACES), ("captions", ("refuse", "drop"))):
            if getattr(self, field) not in known:
                raise ConfigError(f"PasteObjects.{field}: {getattr(self, field)!r} is not one of {', '.join(known)}")
        if type(self.least_points) is not int or self.least_points < 1:
            raise ConfigError(f"PasteObjects.least_points: expected a whole number above 0, got {self.least_points!r}")

    # --- what fits ----------------------------------------------------------------------------------------------------
    def wish(self) -> Wish:
        """Donors of the classes, where they are no patterns."""
        plain = not any(c in pattern for pattern in self.classes for c in "*?[")
        return Wish(classes=self.classes if plain else (), same=self.same)

    def refusal(self, sample: Sample, donor: Sample) -> str:
        """What parts rigs, columns, boxes or intensities."""
        shown = [n for n, s in sample.streams.items() if isinstance(s, Points | ImageStream)]
        names = [n for n in sample.rig.sensors if any(sample[s].instance(s) == n for s in shown)]
        rigs, bodies = (sample.rig, donor.rig), (sample.ref.frame, donor.ref.frame)
        if why := difference(*rigs, names, bodies, (sample.ref.time, donor.ref.time)):
            return why
        for name in sample.of_type(Points):
            if why := cloud_refusal(sample, donor, name):
                return why
        if boxes_of(donor) is None or not lidars_of(donor, 0) or not lidars_of(sample, 0):
            return "it has no boxes, or one of them no LiDAR"
        if self.place == "turn" and sample.of_type(Boxes2D):
            return "flat boxes on pictures cannot follow objects that are turned (place=same keeps them)"
        return box_refusal(sample, donor) or intensity_refusal(sample, donor, ("*",))

    # --- what is taken ------------------------------------------------------------------------------------------------
    def plan(self, rng: np.random.Generator, sample: Sample, donor: Sample) -> dict[str, Any] | str:
        """Objects, in drawn order, as many as find a place."""
        count = round(float(draw(self.n, rng)))
        theirs, mine = Boxed(donor), Boxed(sample)
        order = rng.permutation(theirs.boxes.rows).tolist()
        taken: list[Solid] = []
        reason = f"it has no box of {', '.join(self.classes)}"
        for row in order:
            if len(taken) == count:
                break
            if matches(str(theirs.boxes["category"][row]), self.classes):
                found = self._placed(theirs, mine, row, taken, rng)
                if isinstance(found, Solid):
                    taken.append(found)
                else:
                    reason = f"none of its {theirs.boxes.rows} boxes can be pasted; of the last, {found}"
        if not taken:
            return NoPlace(reason)
        told = [s.to_json() for s in taken]
        return {"objects": told, "captions": self.captions, "left_out": _left_out(sample, donor)}

    def nothing(self) -> dict[str, Any]:
        """No objects."""
        return {"objects": []}

    def _placed(
        self, theirs: Boxed, mine: Boxed, row: int, taken: Sequence[Solid], rng: np.random.Generator
    ) -> Solid | str:
        """An object where it is pasted, or why it cannot be."""
        if self.place == "same":
            return self._at(theirs, mine, row, taken, 0.0)
        angles = rng.uniform(-np.pi, np.pi, TRIES)  # always as many, so that one object leaves the others' alone
        found: Solid | str = own_refusal(theirs, row)
        if found or source_of(theirs.sample, theirs.solid(row, -theirs.sizes[row][2] / 2)) is None:
            return found or "no camera shows all of it"
        step = firing_step(mine.sample)
        for angle in angles:
            found = self._at(theirs, mine, row, taken, round(round(angle / step) * step, 9))
            if isinstance(found, Solid):
                break
        return found

    def _at(self, theirs: Boxed, mine: Boxed, row: int, taken: Sequence[Solid], turn: float) -> Solid | str:
        """An object at one azimuth, or why it cannot be there."""
        donor, sample = theirs.sample, mine.sample
        ground = theirs.ground_at(theirs.poses[row], theirs.sizes[row])
        solid = theirs.solid(row, round(-theirs.sizes[row][2] / 2 if ground is None else ground, 6), turn)
        if why := place_refusal(theirs, mine, solid, taken):
            return why
        if not turn and (why := own_refusal(theirs, row) or _moved_refusal(sample, donor, solid)):
            return why
        left = sum(returns_left(sample, donor, n, solid) for n in lidars_of(sample, 0) if n in donor.streams)
        return solid if left >= self.least_points else f"{left} of its returns are left ({self.least_points} asked)"

    @classmethod
    def donors_places(cls, params: Mapping[str, Any], xyz: Tensor) -> Tensor | None:
        """Places around those where objects were pasted; None where some were turned, since their boxes moved."""
        told = params["objects"]
        if any(o["turn"] for o in told):
            return None
        inside = torch.zeros(len(xyz), dtype=torch.bool)
        for o in told:
            inside |= (xyz - xyz.new_tensor(o["place"])).norm(dim=1) <= o["reach"]
        return inside

    # --- taking it ----------------------------------------------------------------------------------------------------
    @classmethod
    def mixed(cls, sample: Sample, donor: Sample, params: Mapping[str, Any]) -> Sample:
        """The sample with the donor's objects."""
        if not params["objects"]:
            return sample
        theirs = Boxed(donor)
        solids = [theirs.planned(told) for told in params["objects"]]
        kept = without_surroundings(cls.__name__, sample.streams, str(params["captions"]))
        streams: dict[str, Stream] = {
            n: s for n, s in sample.streams.items() if n in kept or isinstance(s, MapElements)
        }
        for name in sample.of_type(Points):
            if name in streams:
                streams[name] = pasted_cloud(sample, donor, name, solids)
        for name in camera_streams(sample):
            if name in donor.streams:
                streams |= pasted_pictures(sample, donor, name, solids)
        streams |= pasted_boxes(sample, donor, solids)
        return sample.with_streams(streams | pasted_flat_boxes(sample, donor, solids))


def _moved_refusal(sample: Sample, donor: Sample, solid: Solid) -> str:
    """Why an object is not seen alike in both samples: the vehicles, or their cameras, moved otherwise."""
    places = torch.from_numpy(solid.surface(0.0))
    for name in camera_streams(sample):
        if name not in donor.streams:
            continue
        sensor = sample.true_rig.camera(sample[name].instance(name))
        for i, j in enumerate(partner_items(sample, donor, name)):
            if j is None:
                continue
            T_a, T_b = T_ref_item(sample, name, i), T_ref_item(donor, name, j)
            (here, seen), (there, also) = (sensor.project((places - T[:3, 3]) @ T[:3, :3]) for T in (T_a, T_b))
            both = seen & also
            moved = float((here - there)[both].norm(dim=1).max()) if bool(both.any()) else 0.0
            if moved > MOST_MOVED + 1e-6:
                return f"it lies {moved:.1f} px elsewhere in {name!r} ({MOST_MOVED:.0f} px allowed)"
    return ""


def _left_out(sample: Sample, donor: Sample) -> dict[str, str]:
    """Streams of which some items get no objects, and why."""
    out = {}
    for name, stream in sample.streams.items():
        if isinstance(stream, Points | ImageStream):
            alone = len(stream) if name not in donor.streams else partner_items(sample, donor, name).count(None)
            if alone:
                out[name] = f"{alone} of {len(stream)} items have none of the donor's beside them within 5 ms"
    return out
