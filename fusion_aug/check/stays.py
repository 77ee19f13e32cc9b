"""What no writer may leave out, whatever reason it gives: boxes in the picture, what was captured once, frames.

It is worked out from the sample that the pipeline made, before a writer had it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, Boxes3D, ImageStream, Points
from fusion_aug.transforms.temporal.crop import segment_now

SLACK = 5e-4  # of a frame: by which the last one may come too late
LEAST_SIDE = 3.0  # pixels of a rectangle that is no sliver


def rows_that_stay(made: Sample) -> Mapping[str, int]:
    """Stream of boxes -> how many of them lie whole within the picture that they belong to.

    Boxes in space count where boxes on a picture are of the same objects (``instance``).
    """
    out: dict[str, int] = {}
    inside: dict[str, set[str]] = {}
    for name, stream in made.of_type(Boxes2D).items():
        if stream.instance(name) not in made.rig.sensors:
            continue
        height, width = made.rig.camera(stream.instance(name)).size
        corners = stream["corners"].numpy().reshape(-1, 4, 2)
        low, high = corners.min(axis=1, initial=np.inf), corners.max(axis=1, initial=-np.inf)
        whole = (low >= 0).all(axis=1) & (high <= np.array([width - 1, height - 1])).all(axis=1)
        whole &= (high - low >= LEAST_SIDE).all(axis=1)
        out[name] = int(whole.sum())
        if "instance" in stream.values:
            inside[name] = set(map(str, stream["instance"][whole]))
    objects = set().union(*inside.values())
    for name, solid in made.of_type(Boxes3D).items():
        if inside and "instance" in solid.values:
            out[name] = sum(str(i) in objects for i in solid["instance"])
    return out


def items_that_stay(made: Sample) -> Mapping[str, int]:
    """Stream of pictures or clouds -> how many times something was captured and received; repeats may be left out."""
    sensors = {n: s for n, s in made.streams.items() if isinstance(s, ImageStream | Points)}
    return {n: len(torch.unique(s.capture_times[s.present])) for n, s in sensors.items()}


def frames_that_stay(made: Sample, before: Sample) -> Mapping[str, int]:
    """Stream of pictures -> frames that an episode has at least at the rate of its source, from its duration."""
    segment = segment_now(made.history)
    pictures = {n: s for n, s in before.of_type(ImageStream).items() if len(s) > 1 and n in made.streams}
    out = {}
    for name, stream in pictures.items():
        period, end = stream.capture_times.double().diff().median(), made[name].true_capture_times
        begin = int(stream.capture_times[0]) if segment is None else max(int(stream.capture_times[0]), segment.begin)
        if len(end):
            out[name] = int(((int(end[-1]) - begin) / float(period)) + SLACK) + 1
    return out
