"""Whether what a log holds can be: sizes of its pictures against the calibration, and its boxes.

Everything here is cheap: no file is decoded. A picture that lies in a file is compared when it is decoded or copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Rig, Sensor
from calib.replacing import replace_unchecked
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.picture_sizes import size_words
from fusion_aug.streams import Boxes2D, Boxes3D, ImageStream, Ragged
from fusion_aug.streams.picture_checks import check_size
from fusion_aug.streams.source import Source

REFUSE, LEAVE_OUT = "refuse", "leave_out"
REASON = "boxes that cannot be (log.bad_boxes)"


def with_expected_sizes(sample: Sample) -> Sample:
    """The sample whose pictures in files know the size that they must have: that of their camera.

    Raises:
        DataError: a table gives another size; the file is named.
    """
    streams = {n: _expecting(sample, n, s) for n, s in sample.of_type(ImageStream).items()}
    changed = {n: s for n, s in streams.items() if s is not sample.streams[n]}
    return sample.with_streams({**sample.streams, **changed}) if changed else sample


def _expecting(sample: Sample, name: str, stream: ImageStream) -> ImageStream:
    sensors = [meta.rig.sensors.get(stream.instance(name)) for meta in sample.metas]
    items = tuple(
        _expected(sensors[of], item) for of, item in zip(stream.sample_index.tolist(), stream.items, strict=True)
    )
    same = all(a is b for a, b in zip(items, stream.items, strict=True))
    return stream if same else replace_unchecked(stream, items=items)


def _expected(camera: Sensor | None, item: Any) -> Any:
    if not isinstance(camera, CameraSensor) or not isinstance(item, Source):
        return item
    told = item.options.get("size")
    if told is None:
        item = item.expecting(camera.size)
        if item.is_decoded:
            check_size(item, item.value)
    elif tuple(told) != tuple(camera.size):
        raise DataError(
            f"{item.path}: the log says that the picture is {size_words(told)}, but camera {camera.frame!r} is "
            f"calibrated for {size_words(camera.size)}; correct one of them, or scale the pictures"
        )
    return item


def check_rig_file(before: Rig, after: Rig, path: str) -> Rig:
    """Return a rig to which a rig file has added, if its cameras have the size that the log gives their pictures.

    Raises:
        DataError: a camera of the file is for pictures of another size; file and field are named.
    """
    for name, camera in after.sensors.items():
        known = before.sensors.get(name)
        if isinstance(camera, CameraSensor) and isinstance(known, CameraSensor) and known.size != camera.size:
            raise DataError(
                f"{path}: sensors.{name}: the camera is calibrated for {size_words(camera.size)}, the pictures of the "
                f"log are {size_words(known.size)}; give the calibration of that size"
            )
    return after


def policy_for_boxes(given: str | None) -> str:
    """Return what ``log.bad_boxes`` says is done with boxes that cannot be.

    Raises:
        ConfigError: it is no policy.
    """
    if given not in (None, REFUSE, LEAVE_OUT):
        raise ConfigError(f"log.bad_boxes: expected {REFUSE} or {LEAVE_OUT}, got {given!r}")
    return given or REFUSE


def impossible_rows(boxes: Boxes3D) -> Tensor:
    """Whether each box (rows,) has a number in its pose or size that is not finite, or a size that is not above 0.

    Raises:
        DataError: the boxes have no pose or no size.
    """
    missing = [c for c in ("pose", "size") if c not in boxes.values]
    if missing:
        raise DataError(f"boxes in space (of frame {boxes.frame!r}): have no column {missing[0]}")
    size, pose = (boxes.values[name].detach().cpu().numpy() for name in ("size", "pose"))
    possible = (np.isfinite(size) & (size > 0)).all(-1) & np.isfinite(pose).all((-1, -2))
    return torch.from_numpy(~possible)


def with_possible_boxes(sample: Sample, policy: str, place: Callable[[str, str], str]) -> Sample:
    """The sample without boxes that cannot be, nor theirs on pictures; refused unless ``policy`` is ``leave_out``.

    Args:
        sample: as it was read. policy: ``log.bad_boxes``.
        place: function (stream, box) -> file and record of a box, for messages.

    Raises:
        DataError: a box cannot be; the message names file, record and figures.
    """
    found = {n: impossible_rows(s) for n, s in sample.of_type(Boxes3D).items()}
    bad = {n: rows for n, rows in found.items() if bool(rows.any())}
    if not bad:
        return sample
    if policy == REFUSE:
        name, rows = next(iter(bad.items()))
        raise DataError(_told(sample.of_type(Boxes3D)[name], int(rows.nonzero()[0, 0]), partial(place, name)))
    bad |= _of_the_same_objects(sample, bad)
    left_out = {n: dict(r) for n, r in sample.meta.left_out.items()}
    for name, rows in bad.items():
        left_out.setdefault(name, {})[REASON] = int(rows.sum())
    kept = {n: s.select(~bad[n]) for n, s in sample.of_type(Ragged).items() if n in bad}
    return sample.with_streams({**sample.streams, **kept}).with_meta(0, left_out=left_out)


def _of_the_same_objects(sample: Sample, bad: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Which boxes on pictures (rows,) are those of boxes in space that cannot be, by stream."""
    ids = [sample[n].values["instance"][rows.numpy()] for n, rows in bad.items() if "instance" in sample[n].values]
    flat = {n: s for n, s in sample.of_type(Boxes2D).items() if "instance" in s.values and ids}
    found = {n: torch.from_numpy(np.isin(s.values["instance"], np.concatenate(ids))) for n, s in flat.items()}
    return {n: rows for n, rows in found.items() if bool(rows.any())}


def _told(boxes: Boxes3D, row: int, place: Callable[[str], str]) -> str:
    box = next((str(boxes.values[c][row]) for c in ("record", "instance") if c in boxes.values), str(row))
    category = str(boxes.values["category"][row]) if "category" in boxes.values else "box"
    size = " x ".join(f"{v:g}" for v in boxes.values["size"][row].tolist())
    centre = ", ".join(f"{v:g}" for v in boxes.values["pose"][row, :3, 3].tolist())
    return (
        f"{place(box)}: size: {size} m (length, width, height) of a {category} at {centre} is that of no object; "
        f"correct it, or give log.bad_boxes=leave_out to leave such boxes out"
    )
