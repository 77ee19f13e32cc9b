"""Pictures against the calibration: a camera's pictures have the size that it is calibrated for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from calib import CameraSensor
from fusion_aug.errors import DataError
from fusion_aug.sample.sample import Sample
from fusion_aug.streams import ImageStream


def check_picture_sizes(sample: Sample) -> None:
    """Compare the pictures that are in memory, with nothing pending, with the canvases of their cameras.

    Raises:
        DataError: a picture is of another size; stream and camera are named.
    """
    for name, stream in sample.of_type(ImageStream).items():
        rows = zip(stream.items, stream.pending, stream.sample_index.tolist(), strict=True)
        for i, (picture, pending, u) in enumerate(rows):
            known = isinstance(picture, Tensor) and pending is None
            camera = sample.metas[u].rig.sensors.get(stream.instance(name)) if known else None
            if isinstance(camera, CameraSensor) and tuple(picture.shape[:2]) != tuple(camera.size):
                raise DataError(
                    f"stream {name!r}: the picture of item {i} is {size_words(picture.shape)}, but camera "
                    f"{stream.instance(name)!r} is calibrated for {size_words(camera.size)}; scale one to the other"
                )


def size_words(size: Sequence[int]) -> str:
    """(height, width, ...) as people write it, width first."""
    return f"{size[1]}x{size[0]}"
