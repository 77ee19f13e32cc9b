"""Going back: streams in the augmented scene, such as a model's predictions, mapped to the original one."""

from __future__ import annotations

import warnings
from typing import TypeVar

from fusion_aug.core.registry import is_invariant, resolve, transform_class
from fusion_aug.errors import DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample.history import History
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Boxes3D, Stream, TactileImage
from fusion_aug.streams.families import Mix

S = TypeVar("S", bound=Stream)


class InexactInverse(UserWarning):
    """What comes back is not exactly what there was."""


@standard_modes()
def invert(stream: S, history: History, *, name: str = "") -> S:
    """Map a stream back to the scene before a history, from the history alone.

    Args:
        stream: boxes, points, masks, poses, ... in the augmented scene.
        history: ``sample.history`` of the augmented sample.
        name: the stream's name in the augmented sample; needed for streams of a camera that do not name it
            themselves.

    Returns:
        The stream in the original scene.

    Raises:
        DataError: a transform on this kind of stream has no inverse, or its values lie on a device.

    Warns:
        InexactInverse: a transform's inverse is lossy on this kind of stream (pixels that were resampled).
    """
    if lies_on_device(stream):
        raise DataError("invert: the values lie on a device; bring them back first with batch.to('cpu')")
    out: Stream = stream
    for record in reversed(history):
        if not record.applied:
            continue
        cls = transform_class(record)
        untouched = resolve(cls, type(out)) is None and not issubclass(cls, Mix)
        if untouched or is_invariant(cls, type(out)) or isinstance(out, cls.keeps_geometry_of):
            continue
        undo = getattr(cls, "undo", None)
        if undo is None or cls.inverse == "none":
            raise DataError(f"invert: {record.name} ({record.path}) cannot be undone on {type(out).__name__}")
        before = record.before
        instance = out.instance(name)
        params = record.params.get(instance, record.params.get("", {}))
        if issubclass(cls, Mix) and not isinstance(out, Boxes3D):
            warnings.warn(f"{record.name} ({record.path}): parts of another sample stay", InexactInverse, stacklevel=2)
        elif cls.inverse == "lossy" and hasattr(out, "items"):
            warnings.warn(f"{record.name} ({record.path}) is undone by resampling", InexactInverse, stacklevel=2)
        elif isinstance(out, TactileImage):
            warnings.warn(f"{record.name} ({record.path}) is undone by rendering", InexactInverse, stacklevel=2)
        out = undo(out, params, before, name)
        name = record.name_before(name)
    return out  # type: ignore[return-value]
