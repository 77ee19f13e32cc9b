"""Objects of a donor in pictures: what hides them and what they hide, pixel by pixel, and what belongs to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.mixing.meeting import T_ref_item, partner_items
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.sample import Sample
from fusion_aug.streams import Depth, ImageStream, SegmentationMask, Stream, ValidityMask
from fusion_aug.streams.deferred import Deferred
from fusion_aug.transforms.mix.paste_clouds import seconds_of
from fusion_aug.transforms.mix.paste_crops import Crop, Rectangle, rectangle_of
from fusion_aug.transforms.mix.paste_light import (
    LUMINANCE,
    contact_shade,
    exposure_gains,
    ground_light,
    picture_light,
    shade_of,
    shadow_depth,
)
from fusion_aug.transforms.mix.paste_masks import object_mask
from fusion_aug.transforms.mix.paste_objects import Solid
from fusion_aug.transforms.mix.paste_turned import Turned, looked_up, source_crop, source_of, turned_view

Array = np.ndarray
RIM = 2.0  # metres of ground around an object on which its shadow is looked for
BEHIND = (
    (0.1, 0.01),
    (0.4, 0.04),
)  # metres, and share, by which an object may lie behind what is seen: given, worked out
LEAST_PIXELS = 9


@dataclass(frozen=True, eq=False)
class Patch:
    """What a rectangle of the receiving picture shows of one object.

    Attributes:
        alpha: (h, w) float32, share of a pixel that it fills. light: (h, w, 3) float32. distance: (h, w) metres.
        shade: (h, w) float32, share of its light that the ground beside it keeps.
        source: of an object that was turned the donor's crop, and what it shows where.
    """

    alpha: Array
    light: Array
    distance: Array
    shade: Array
    source: tuple[Crop, Turned] | None = None

    @property
    def mask(self) -> Array:
        """(h, w) bool: pixels that are the object's."""
        mask: Array = self.alpha > 0
        return mask


@dataclass(frozen=True, eq=False)
class Meeting:
    """One picture of the receiver and one of the donor, and the objects that the second one gives.

    Attributes:
        sample, donor: both. name: camera stream. items: of both. solids: objects, the farthest first.
        where: rectangle around all of them.
    """

    sample: Sample
    donor: Sample
    name: str
    items: tuple[int, int]
    solids: tuple[Solid, ...]
    where: Rectangle

    @cached_property
    def here(self) -> Crop:
        """The receiver's rectangle."""
        return Crop(self.sample, self.name, self.items[0], self.where)

    @cached_property
    def light(self) -> Array:
        """(h, w, 3) linear light of the receiver's rectangle."""
        return light_of(np.ascontiguousarray(self.here.picture))

    @cached_property
    def patches(self) -> list[Patch]:
        """What is pasted, the farthest first."""
        there = Crop(self.donor, self.name, self.items[1], self.where)
        seconds = seconds_of(self.donor, self.name, self.items[1])
        both = ((self.sample, self.name, self.items[0]), (self.donor, self.name, self.items[1]))
        grounds, wholes = (_of_both(f, *both) for f in (ground_light, picture_light))
        gains, depth = exposure_gains([grounds, wholes]), shadow_depth(grounds[0])
        here = self.light @ LUMINANCE
        theirs = light_of(np.ascontiguousarray(there.picture))
        level, light = theirs @ LUMINANCE, theirs * gains
        margin, share = BEHIND[self.here.given is None or there.given is None]
        reach = self.here.distance * (1 + share) + margin
        out = []
        for solid in self.solids:
            if solid.turn:
                out.append(self._turned(solid, depth))
                continue
            local = there.within(solid, seconds)
            mask = object_mask(there, solid, local)
            alpha = cv2.blur(mask.astype(np.float32), (3, 3)) * (mask & (there.distance <= reach))
            shade = shade_of(level, there.distance, solid, local, mask, here, depth)
            shade[np.abs(there.distance - self.here.distance) > 0.1 * self.here.distance] = 1.0
            out.append(Patch(alpha, light, there.distance, shade))
        return [p for p in out if int(p.mask.sum()) >= LEAST_PIXELS]

    def _turned(self, solid: Solid, depth: float | None) -> Patch:
        """An object that comes from another side: what the donor's picture that shows all of it says, drawn anew."""
        name = source_of(self.donor, solid)
        assert name is not None
        there = source_crop(self.donor, name, solid)
        seconds = seconds_of(self.donor, self.name, self.items[1])
        view = turned_view(there, solid, self.here, seconds)
        both = ((self.sample, self.name, self.items[0]), (self.donor, name, there.item))
        gains = exposure_gains([_of_both(f, *both) for f in (ground_light, picture_light)])
        margin, share = BEHIND[self.here.given is None or there.given is None]
        reach = self.here.distance * (1 + share) + margin
        alpha = cv2.blur(view.mask.astype(np.float32), (3, 3)) * (view.mask & (view.distance <= reach))
        light = looked_up(light_of(np.ascontiguousarray(there.picture)), view) * gains
        moved = self.here.within_placed(solid, seconds)
        shade = contact_shade(solid, moved, view.mask, self.here.distance, depth)
        return Patch(alpha, light, view.distance, shade, (there, view))

    def painted(self, picture: Tensor) -> Tensor:
        """The receiver's picture (H, W, 3) with the objects."""
        levels = self.here.picture
        light = before = self.light
        for patch in self.patches:
            light = light * patch.shade[..., None]
            light = light + (patch.light - light) * patch.alpha[..., None]
        changed = (light != before).any(-1)
        out = picture.clone()
        part = np.where(changed[..., None], level_of(np.ascontiguousarray(light, np.float32), levels), levels)
        out[self.where.slices] = torch.from_numpy(part).to(picture.dtype)
        return out

    def cut(self, name: str, other: tuple[ImageStream, int] | None, picture: Tensor) -> Tensor:
        """Depth or a mask of the picture with the donor's numbers in the objects' pixels; unknown without any."""
        stream = self.sample[name]
        out, rows = picture.clone(), self.where.slices
        for patch in self.patches:
            theirs = torch.full_like(out[rows], float(stream.blank))  # type: ignore[attr-defined]
            if patch.source is not None:
                theirs = self._seen(stream, patch, theirs)
            elif other is not None:
                theirs = other[0].image(other[1])[rows].to(out.dtype)
            inside = torch.from_numpy(patch.mask & (patch.alpha >= 0.5))
            out[rows] = torch.where(inside, theirs, out[rows])
        return out

    def _seen(self, stream: Stream, patch: Patch, blank: Tensor) -> Tensor:
        """Depth, or numbers of a mask, of an object that was turned; unknown where the donor does not tell them."""
        assert patch.source is not None
        there, view = patch.source
        if isinstance(stream, Depth):
            if there.given is None:
                return blank
            along = self.here.rays[..., 2] if stream.measure == "z" else 1.0
            return torch.from_numpy(view.distance * along).to(blank.dtype)
        for label, mask in self.donor.of_type(type(stream)).items():
            same = mask.instance(label) == there.stream.instance(there.name)
            if same and isinstance(mask, ImageStream) and getattr(mask, "holds", "") == getattr(stream, "holds", ""):
                part = mask.image(mask_item(mask, there))[there.where.slices].numpy()
                return torch.from_numpy(looked_up(part, view, nearest=True)).to(blank.dtype)
        return blank


def _of_both(
    light: Callable[[Sample, str, int], Array | None], mine: tuple[Sample, str, int], other: tuple[Sample, str, int]
) -> tuple[Array | None, Array | None]:
    """Light of the receiver's and of the donor's picture."""
    return light(*mine), light(*other)


def mask_item(mask: ImageStream, crop: Crop) -> int:
    """Which mask belongs to a crop's picture: the nearest in time."""
    return int((mask.true_capture_times - crop.stream.true_capture_times[crop.item]).abs().argmin())


def meetings_of(sample: Sample, donor: Sample, name: str, solids: Sequence[Solid]) -> list[Meeting | None]:
    """For every picture of a camera the objects that come into it; None for one that shows none of them."""
    out: list[Meeting | None] = []
    for i, j in enumerate(partner_items(sample, donor, name)):
        out.append(None if j is None else _meeting(sample, donor, name, (i, j), solids))
    return out


def _meeting(
    sample: Sample, donor: Sample, name: str, items: tuple[int, int], solids: Sequence[Solid]
) -> Meeting | None:
    seconds = seconds_of(donor, name, items[1])
    eye = T_ref_item(sample, name, items[0])[:3, 3].numpy()
    seen = []
    for solid in solids:
        where = rectangle_of(sample, name, items[0], solid, seconds, RIM)
        if where is not None:
            seen.append((-float(np.linalg.norm(solid.placed(seconds)[:3, 3] - eye)), solid.row, solid, where))
    if not seen:
        return None
    seen.sort(key=lambda entry: (round(entry[0], 6), entry[1]))
    whole = seen[0][3]
    for *_, where in seen[1:]:
        whole = whole.joined(where)
    return Meeting(sample, donor, name, items, tuple(s for _, _, s, _ in seen), whole)


def pasted_pictures(sample: Sample, donor: Sample, name: str, solids: Sequence[Solid]) -> dict[str, ImageStream]:
    """A camera's pictures with objects of the donor, and depth and masks that belong to it; only what changes."""
    stream, met = sample[name], meetings_of(sample, donor, name, solids)
    assert isinstance(stream, ImageStream)
    out = {name: _changed(stream, {i: m.painted for i, m in enumerate(met) if m is not None})}
    for label, mine in sample.streams.items():
        if not isinstance(mine, Depth | SegmentationMask) or isinstance(mine, ValidityMask):
            continue
        if mine.instance(label) == stream.instance(name):
            out[label] = _changed(mine, _cuts(sample, donor, label, stream, met))
    return {n: s for n, s in out.items() if s is not sample[n]}


def _cuts(
    sample: Sample, donor: Sample, label: str, pictures: ImageStream, met: Sequence[Meeting | None]
) -> dict[int, Callable[[Tensor], Tensor]]:
    """What is done to items of depth or masks of a camera."""
    mine, other = sample[label], donor.streams.get(label)
    partners = partner_items(sample, donor, label) if isinstance(other, type(mine)) else [None] * len(mine)
    found: dict[int, Callable[[Tensor], Tensor]] = {}
    for k, j in enumerate(partners):
        near = int((pictures.true_capture_times - mine.true_capture_times[k]).abs().argmin())
        meeting = met[near]
        if meeting is not None:
            theirs = (other, j) if isinstance(other, ImageStream) and j is not None else None
            found[k] = partial(meeting.cut, label, theirs)
    return found


def _changed(stream: ImageStream, changes: dict[int, Callable[[Tensor], Tensor]]) -> ImageStream:
    """A stream with some of its pictures changed, later where they lie in files."""
    if not changes:
        return stream
    items, pending = list(stream.items), list(stream.pending)
    for i, change in changes.items():
        items[i] = Deferred(stream, i, change) if not isinstance(items[i], Tensor) else change(stream.image(i))
        pending[i] = None
    return replace(stream, items=tuple(items), pending=tuple(pending))
