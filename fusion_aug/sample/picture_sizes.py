"""Pictures against the calibration: a camera's pictures have the size that it is calibrated for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from calib import CameraSensor
from fusion_aug.errors import DataError
from fusion_aug.sample.sample import Sample
from fusion_aug.streams import ImageStream


def camera_of_item(sample: Sample, name: str, item: int) -> CameraSensor | None:
    """The camera of the rig that took a picture of a stream; None where the rig has none."""
    stream = sample.streams[name]
    sensor = sample.metas[int(stream.sample_index[item])].rig.sensors.get(stream.instance(name))
    return sensor if isinstance(sensor, CameraSensor) else None


def check_picture_sizes(sample: Sample) -> None:
    """Compare the pictures that are in memory, with nothing pending, with the canvases of their cameras.

    Raises:
        DataError: a picture is of another size; stream and camera are named.
    """
    for name, stream in sample.of_type(ImageStream).items():
        for i, (picture, pending) in enumerate(zip(stream.items, stream.pending, strict=True)):
            camera = camera_of_item(sample, name, i) if isinstance(picture, Tensor) and pending is None else None
            if camera is not None and tuple(picture.shape[:2]) != tuple(camera.size):
                raise DataError(
                    f"stream {name!r}: the picture of item {i} is {size_words(picture.shape)}, but camera "
                    f"{stream.instance(name)!r} is calibrated for {size_words(camera.size)}; scale one to the other"
                )


def size_words(size: Sequence[int]) -> str:
    """(height, width, ...) as people write it, width first."""
    return f"{size[1]}x{size[0]}"
