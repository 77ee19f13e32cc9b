"""A shift of the contact on a gel, and of the sensor the other way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import JointPose, Rig, TactileSensor
from calib.se3 import invert, rotation_about, se3
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import DataError
from fusion_aug.physics.gel_inverse import ArrayMap
from fusion_aug.sample import Sample
from fusion_aug.streams import HeightMap, TactileImage
from fusion_aug.transforms.mount.miscalibrate import with_frame_errors
from fusion_aug.transforms.touch.gels import gel_of, render_moved_press
from fusion_aug.transforms.touch.tactile import TactileTransform


@dataclass(frozen=True, kw_only=True)
class TactileShift(TactileTransform):
    """The gel is touched elsewhere: as if the sensor were mounted with a shift and a turn in the plane of its gel.

    The press moves in the height map, its picture is rendered again under the gel's own lights, and the sensor's frame
    moves in its parent, so that what is touched stays where it is in the world.

    Attributes:
        x, y: how far the press moves in the picture, to the right and down, metres.
        angle_deg: how far it turns about the middle, from x to y, degrees.
    """

    x: Range = (-0.001, 0.001)
    y: Range = (-0.001, 0.001)
    angle_deg: Range = (-10.0, 10.0)

    changes_calibration: ClassVar[str] = "extrinsics"
    limits: ClassVar[dict[str, tuple[float, float]]] = {"x": (-0.1, 0.1), "y": (-0.1, 0.1)}
    strengths: ClassVar[Strengths] = {
        "x": Strength(
            0.0, (-0.005, 0.005), "linear", "declared: a third of a gel of 15 mm; the probe hardly sees it", "m"
        ),
        "y": Strength(
            0.0, (-0.005, 0.005), "linear", "declared: a third of a gel of 15 mm; the probe hardly sees it", "m"
        ),
        "angle_deg": Strength(
            0.0, (-45.0, 45.0), "linear", "declared: loses nothing; an eighth of a turn either way", "degrees"
        ),
    }
    example: ClassVar[dict[str, Any]] = {"x": 0.001, "y": [-0.001, 0.001]}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Move presses, and sensors the other way."""
        out = cls.visit(sample, parameters, context)
        for u, meta in enumerate(sample.metas):
            errors = {}
            for name, stream in sample.of_type(TactileImage).items():
                sensor = meta.rig.sensors.get(name)
                if isinstance(sensor, TactileSensor) and bool((stream.sample_index == u).any()):
                    errors[own_frame(meta.rig, sensor, name)] = invert(shift_of(parameters.of(u, name)))
            true_rig = meta.true_rig
            rig = with_frame_errors(meta.rig, errors)
            out = out.with_meta(
                u, rig=rig, true_rig=rig if true_rig is meta.rig else with_frame_errors(true_rig, errors)
            )
        return out


def own_frame(rig: Rig, sensor: TactileSensor, name: str) -> str:
    """The frame of a sensor, which is none of a link.

    Raises:
        DataError: it has no frame of its own.
    """
    frame = rig.frames[sensor.frame]
    if frame.parent is None or isinstance(frame.pose, JointPose):
        raise DataError(f"TactileShift: sensors.{name}.frame: {sensor.frame!r} is a link; give it its own frame")
    return sensor.frame


def shift_of(params: Mapping[str, Any]) -> Tensor:
    """M (4, 4) float64: the motion of points in the gel's plane, metres."""
    return se3(rotation_about("z", math.radians(params["angle_deg"])), [params["x"], params["y"], 0.0])


def shift_over_gel(params: Mapping[str, Any], size: tuple[int, int], mm_per_pixel: float) -> ArrayMap:
    """The shift as a map of arrays (H, W, ...) over the gel.

    Args:
        params: drawn parameters. size: (height, width) pixels. mm_per_pixel: of the arrays.
    """
    (height, width), M = size, shift_of(params).numpy()
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    R = M[:2, :2]
    affine = np.column_stack([R, centre - R @ centre + M[:2, 3] * 1000 / mm_per_pixel])

    def move(array: np.ndarray) -> np.ndarray:
        # a press that reaches the rim goes on beyond it; noise does not become streaks
        border = cv2.BORDER_REPLICATE if array.ndim == 2 else cv2.BORDER_REFLECT_101
        moved: np.ndarray = cv2.warpAffine(array, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
        return moved

    return move


@handles(TactileShift, TactileImage)
def shift_press(stream: TactileImage, call: Call) -> TactileImage:
    """Render the moved contact."""
    pictures = list(stream.items)
    for i, params in enumerate(call.params):
        if bool(stream.present[i]):
            gel = gel_of(stream, i, call.name)
            move = shift_over_gel(params, (gel[1].shape[0], gel[1].shape[1]), gel[2])
            pictures[i] = render_moved_press(stream, i, call.name, call.sample, move, gel)
    return replace(stream, items=tuple(pictures), pending=())


@handles(TactileShift, HeightMap)
def shift_heights(stream: HeightMap, call: Call) -> HeightMap:
    """Shift recorded height maps in the same way."""
    pictures = list(stream.pictures)
    for i, params in enumerate(call.params):
        mm = _mm_per_pixel(stream, call, i)
        height, width = pictures[i].shape
        pictures[i] = torch.from_numpy(shift_over_gel(params, (int(height), int(width)), mm)(pictures[i].numpy()))
    return replace(stream, items=tuple(pictures), pending=())


def _mm_per_pixel(stream: HeightMap, call: Call, item: int) -> float:
    seen = call.sample.streams.get(stream.camera)
    if not isinstance(seen, TactileImage):
        raise DataError(f"TactileShift: stream {call.name!r}: there is no tactile picture {stream.camera!r} beside it")
    mine = (seen.sample_index == stream.sample_index[item]).nonzero()[:, 0]
    return float(seen.mm_per_pixel[int(mine[0])])
