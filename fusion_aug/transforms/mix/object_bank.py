"""What a keyframe is as a donor of objects: those that can be pasted, and what pasting them needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fusion_aug.core.mixing.transform import check_single
from fusion_aug.sample import REF, Sample
from fusion_aug.sample.depth import lidars_of
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Boxes2D, Boxes3D, EgoPose, ImageStream, Points, Stream
from fusion_aug.transforms.mix.paste_clouds import seconds_of
from fusion_aug.transforms.mix.paste_crops import rectangle_of
from fusion_aug.transforms.mix.paste_objects import Boxed, Solid
from fusion_aug.transforms.mix.paste_pictures import RIM
from fusion_aug.transforms.mix.paste_places import own_refusal
from fusion_aug.transforms.mix.seams import camera_streams


def objects_alone(sample: Sample, classes: Sequence[str] = ("*",), least_points: int = 5) -> Sample | None:
    """A keyframe with its objects that can be pasted; None where it has none.

    It keeps their boxes, the clouds, the pictures that show one of them with what belongs to those, and the ego motion.
    Files that did not change are kept as they are, so that an object comes from here as from its log.

    Args:
        sample: one keyframe. classes: categories or shell patterns. least_points: returns in a box, at the least.
    """
    known = sample.of_type(Boxes3D)
    if not known or check_single("", sample) or not lidars_of(sample, 0):
        return None
    name, boxes = next(iter(known.items()))
    if boxes.frame != REF or "category" not in boxes.values:
        return None
    boxed = Boxed(sample)
    solids = {r: s for r in range(boxes.rows) if (s := _taken(boxed, r, classes, least_points)) is not None}
    if not solids:
        return None
    shown = {sample[n].instance(n) for n in camera_streams(sample) if _shows(sample, n, list(solids.values()))}
    rows = torch.zeros(boxes.rows, dtype=torch.bool)
    rows[list(solids)] = True
    streams: dict[str, Stream] = {}
    for label, stream in sample.streams.items():
        of_camera = isinstance(stream, ImageStream | Boxes2D) and stream.instance(label) in shown
        if of_camera or isinstance(stream, Points | EgoPose):
            streams[label] = stream
    return sample.with_streams(streams | {name: boxes.select(rows)})


def _taken(boxed: Boxed, row: int, classes: Sequence[str], least_points: int) -> Solid | None:
    if not matches(str(boxed.boxes["category"][row]), classes):
        return None
    ground = boxed.ground_at(boxed.poses[row], boxed.sizes[row])
    if ground is None:
        return None
    solid = boxed.solid(row, ground)
    enough = int(solid.holds(boxed.xyz, 0.0).sum()) >= least_points
    return solid if enough and not own_refusal(boxed, row) else None


def _shows(sample: Sample, name: str, solids: Sequence[Solid]) -> bool:
    """Whether a picture of a camera shows one of the objects."""
    for item in range(len(sample[name])):
        seconds = seconds_of(sample, name, item)
        if any(rectangle_of(sample, name, item, s, seconds, RIM) is not None for s in solids):
            return True
    return False
