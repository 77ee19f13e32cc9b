"""Pictures of a batch in one tensor, and which sensors of each sample sent something."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from calib import CameraSensor, Pinhole
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera


def pinholes(samples: Sequence[Sample]) -> list[str]:
    """Cameras of all samples and rigs that a matrix can hold, sorted by name."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        streams = sample.of_type(Camera)
        behind = {n: sample.rig.sensors.get(s.instance(n)) for n, s in streams.items()}
        shown = {s.instance(n) for n, s in streams.items()}
        behind |= {n: s for n, s in sample.rig.sensors.items() if n not in shown}
        for name, sensor in behind.items():
            if isinstance(sensor, CameraSensor):
                found.setdefault(name, set()).add(sensor.model.lens)
    return sorted(n for n, lenses in found.items() if lenses == {Pinhole.lens})


def key_picture(sample: Sample, name: str) -> Tensor | None:
    """The picture of a camera next to the reference time; None where there is none, or it was not received."""
    stream = sample.streams.get(name)
    if not isinstance(stream, Camera) or not len(stream):
        return None
    item = sample.key_item(name)
    return stream.image(item) if bool(stream.present[item]) else None


def pictures(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, Tensor]:
    """Key pictures (B, C, H, W, 3) and which of them are there (B, C).

    Raises:
        DataError: they differ in size or type; the message names two of them and the remedy.
    """
    grid = {(u, c): key_picture(s, n) for u, s in enumerate(samples) for c, n in enumerate(names)}
    there = {place: picture for place, picture in grid.items() if picture is not None}
    shape = (len(samples), len(names))
    mask = torch.zeros(shape, dtype=torch.bool)
    if not there:
        return {"images": torch.zeros(*shape, 0, 0, 3, dtype=torch.uint8), "image_mask": mask}
    (first, model), *_ = there.items()
    for place, picture in there.items():
        mask[place] = True
        for what, a, b, remedy in (
            ("size", _size(picture), _size(model), "bring them to one size (ResizeCrop), or choose cameras=[...]"),
            ("type", picture.dtype, model.dtype, "convert them, or choose cameras=[...]"),
        ):
            if a != b:
                one, other = (f"{names[c]!r} of sample {samples[u].id!r}" for u, c in (first, place))
                raise DataError(f"pictures of one {what} can be stacked: {one} is {b}, {other} is {a}; {remedy}")
    empty = torch.zeros_like(model)
    images = torch.stack([empty if p is None else p for p in grid.values()]).reshape(*shape, *model.shape)
    return {"images": images, "image_mask": mask}


def _size(picture: Tensor) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"


def sending(samples: Sequence[Sample], names: Sequence[str], sweeps: bool) -> Tensor:
    """Which sensors have sent something that is in the tables: (B, S) bool, False where one is absent or was dropped.

    Args:
        samples: B of them. names: of S sensors. sweeps: whether earlier sweeps of clouds are taken too.
    """
    there = [[_sends(sample, name, sweeps) for name in names] for sample in samples]
    return torch.tensor(there, dtype=torch.bool).reshape(len(samples), len(names))


def _sends(sample: Sample, name: str, sweeps: bool) -> bool:
    stream = sample.streams.get(name)
    if stream is None or not len(stream):
        return False
    of_key = isinstance(stream, Camera) or not sweeps
    return bool(stream.present[sample.key_item(name)] if of_key else stream.present.any())
