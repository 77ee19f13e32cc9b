"""Cameras that show what they saw before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.se3 import skew
from fusion_aug.core.ranges import Range
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import DataError
from fusion_aug.ops.view import moved_view
from fusion_aug.ops.warp import gather
from fusion_aug.sample.depth import camera_range
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.sample.ego import frame_twist
from fusion_aug.sample.sensors import matches
from fusion_aug.transforms.camera.photometric import PictureContext
from fusion_aug.transforms.distances import SeesDistances
from fusion_aug.transforms.faults.cameras import CameraFault


@dataclass(frozen=True, kw_only=True)
class FrozenCamera(CameraFault, SeesDistances):
    """A camera that still sends the picture of ``age`` seconds ago at a new capture time.

    Where the sample holds several pictures, the latest one of that time is shown again, or the first. Else the picture
    is rendered from where the camera was then, by its own motion and the distances; traffic is taken as static. What
    was in view then and is not now is smeared in: at speed, more than half a second of age shows.
    """

    age: Range = (0.5, 2.0)

    version: ClassVar[int] = 3  # since 2026-11: distances end where things end, and rims are no source
    needs_neighbours: ClassVar[bool] = True
    limits: ClassVar[dict[str, tuple[float, float]]] = CameraFault.limits | {"age": (0.0, 60.0)}
    strengths: ClassVar[Strengths] = {
        "each": "which cameras fail, not how badly",
        "age": Strength(0.0, 0.5, "linear", "suite/frozen_camera", "s"),
    }
    needs_naming: ClassVar[str] = "pictures no longer show what is labelled"
    example: ClassVar[dict[str, Any]] = {"age": [0.1, 0.5]}

    @classmethod
    def loses_pixels(cls, params: Mapping[str, Any], camera: str) -> bool:
        """Whether nothing that a camera sees is at its pixel any more, so that views have none in common."""
        return bool(params["fails"]) and matches(camera, params["cameras"] or ("*",))

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """The latest picture at least ``age`` seconds older, or the first, where the sample holds several.

        Else the picture rendered from the pose ``age`` seconds ago, by a constant twist and the distances; pixels
        without a source take the nearest known colour.

        Raises:
            DataError: there is neither an older picture nor an ego pose with a twist.
        """
        stream, item = context.stream, context.item
        older = cls.shown_instead(params, context)
        if older is not None:
            return stream.image(older).clone()
        index = int(stream.sample_index[item])
        twist = frame_twist(context.call.sample, index, stream.frame, int(stream.true_capture_times[item]))
        if twist is None:
            raise DataError(
                f"stream {context.call.name!r}: FrozenCamera needs an older picture or an ego pose with a twist"
            )
        velocity, angular_velocity = twist
        rate = torch.zeros((4, 4), dtype=torch.float64)
        rate[:3, :3], rate[:3, 3] = skew(angular_velocity), velocity
        motion = torch.linalg.matrix_exp(-rate * params["age"])  # a steady motion, backwards
        if float(motion[:3, 3].norm()) < 1e-6 and torch.allclose(motion[:3, :3], torch.eye(3, dtype=torch.float64)):
            return picture
        distance = camera_range(context.call.sample, context.call.name, item, DepthSettings.of(params))
        source = moved_view(context.camera, distance, motion).source
        # what was in view then and is not any more is unknown, and takes the nearest known colour
        return _filled(gather(picture, source), torch.isfinite(source).all(-1))

    @classmethod
    def shown_instead(cls, params: Mapping[str, Any], context: PictureContext) -> int | None:
        """The item whose picture is shown; None where the sample holds one alone."""
        times, same = context.stream.capture_times, context.stream.sample_index
        mine = (same == same[context.item]).nonzero()[:, 0]
        older = mine[times[mine] <= int(times[context.item]) - int(params["age"] * 1e9)]
        return None if len(mine) == 1 else int(older[-1] if len(older) else mine[0])


def _filled(picture: Tensor, known: Tensor) -> Tensor:
    """Pixels without a source take the colour of the nearest one that has one."""
    if bool(known.all()) or not bool(known.any()):
        return picture
    missing = (~known).numpy().astype(np.uint8)
    _, label = cv2.distanceTransformWithLabels(missing, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    where = np.zeros(int(label.max()) + 1, np.int64)
    where[label[missing == 0]] = np.flatnonzero(missing == 0)
    flat = picture.reshape(-1, picture.shape[-1])
    return flat[torch.from_numpy(where[label.ravel()])].reshape(picture.shape)
