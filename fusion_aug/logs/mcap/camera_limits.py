"""What CameraInfo cannot hold, told before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from calib import CameraSensor, Rig
from calib.rectification import Rectification
from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.writer import Problem
from fusion_aug.sample import Sample
from fusion_aug.transforms import Crop, Pad, Resize, ResizeCrop, Viewpoint
from fusion_aug.transforms.mount.miscalibrate import moves_sensor

UPRIGHT = (Crop, Pad, Resize, ResizeCrop)  # stretch and shift pixels, which K takes in behind any lens


def camera_limits(pipeline: Transform, sample: Sample | None) -> list[Problem]:
    """What CameraInfo cannot hold after a pipeline: a lens behind turned pixels, a stereo pair taken apart."""
    steps = [leaf for leaf in leaves(pipeline) if leaf.p > 0]
    turning = [s for s in steps if "pixel_map" in s.effects() and not isinstance(s, UPRIGHT)]
    views = [s for s in steps if isinstance(s, Viewpoint)]
    if sample is None:
        return []
    return [*_lenses(turning, sample.rig), *(problem for view in views for problem in _pairs(view, sample.rig))]


def _lenses(turning: Sequence[Transform], rig: Rig) -> Iterator[Problem]:
    """A problem for every camera with distortion whose pixels are flipped or turned."""
    for name, sensor in rig.sensors.items() if turning else ():
        if isinstance(sensor, CameraSensor) and len(sensor.model.distortion):
            why = "CameraInfo's distortion belongs to the sensor's own pixels, not to a flipped or turned picture"
            remedy = "undistort the pictures first, or write the folder format"
            yield Problem("distortion", f"{type(turning[0]).__name__} of camera {name}", why, remedy)


def _pairs(view: Viewpoint, rig: Rig) -> Iterator[Problem]:
    """A problem for every stereo pair of which a camera is moved by itself."""
    for name, first in stereo_pairs(rig):
        moved = [n for n in (name, first) if moves_sensor({"sensors": view.sensors}, n, True)]
        if moved and (name == first or rig.sensors[name].frame != rig.sensors[first].frame):
            why = f"it is one of a stereo pair ({first}, {name}) whose P of CameraInfo holds the baseline"
            yield Problem(
                "stereo pair", f"Viewpoint of camera {moved[0]}", why, "name other sensors, or write the folder format"
            )


def stereo_pairs(rig: Rig) -> list[tuple[str, str]]:
    """Every camera that stands beside the first of a pair (its P has a baseline), with that first one.

    The first is a camera of the same size and rectified matrix without a baseline, of those the one whose name is most
    alike; a camera without one counts for itself.
    """
    known = {n: s for n, s in rig.sensors.items() if isinstance(s, CameraSensor) and s.rectification is not None}
    out = []
    for name, sensor in known.items():
        beside = sensor.rectification
        if beside is None or not beside.is_stereo:
            continue
        firsts = [n for n, s in known.items() if s.size == sensor.size and _is_first(s.rectification, beside)]
        out.append((name, max(firsts, key=lambda n: _shared_words(n, name), default=name)))
    return out


def _shared_words(a: str, b: str) -> int:
    """How many words two names begin with in common."""
    same = [x == y for x, y in zip(a.split("/"), b.split("/"), strict=False)]
    return same.index(False) if False in same else len(same)


def _is_first(one: Rectification | None, beside: Rectification) -> bool:
    """Whether a camera is the first of the pair that another belongs to: same focal lengths and rows."""
    if one is None or one.is_stereo:
        return False
    at = [(0, 0), (1, 1), (1, 2)]
    return all(torch.isclose(one.P[i], beside.P[i], rtol=1e-6, atol=1e-6) for i in at)
