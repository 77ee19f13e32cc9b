"""Numbers that a sensor stores as whole ones are written as such; fractions would tell training what we made."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.ties import nearest_whole
from fusion_aug.logs.core.intensity import SHARE, clouds_with_intensity
from fusion_aug.sample import Sample
from fusion_aug.streams import LazyColumns, Points
from fusion_aug.streams.meanings import read_meaning


def with_whole_intensities(sample: Sample, source: Sample) -> Sample:
    """The sample with intensities as its files hold them: rounded where those of its source are whole.

    Args:
        sample: what is written. source: the sample that it was made from.
    """
    rounded = {}
    for name, stream in clouds_with_intensity(sample).items():
        before = source.streams.get(name)
        if isinstance(stream.values, LazyColumns) or not isinstance(before, Points) or _scale(sample, name) <= SHARE:
            continue  # copied as it is, new, or not known to be whole
        values, stored = stream.values["intensity"], before.values["intensity"]
        if values is stored or not values.is_floating_point() or not _are_whole(stored):
            continue
        whole = nearest_whole(values.to(torch.float64)).to(values)
        if not torch.equal(whole, values):
            rounded[name] = stream.with_values(intensity=whole)
    return sample.with_streams({**sample.streams, **rounded}) if rounded else sample


def with_whole_columns(sample: Sample, source: Sample) -> Sample:
    """The sample with columns of clouds whose source holds whole numbers as such: rounded, and 0 where they are NaN.

    Args:
        sample: what is written. source: the sample that it was made from.
    """
    rounded = {}
    for name, stream in sample.streams.items():
        before = source.streams.get(name)
        if not isinstance(stream, Points) or stream.sources or not isinstance(before, Points):
            continue
        changed: dict[str, Tensor] = {}
        whole_columns = [m.name for m in map(read_meaning, stream.meanings) if m.is_whole]
        stream = stream.realized() if whole_columns else stream
        for column in whole_columns:
            values = stream.values.get(column)
            if isinstance(values, Tensor) and values.is_floating_point() and values is not before.values.get(column):
                whole = nearest_whole(values.nan_to_num(0.0).to(torch.float64)).to(values)
                changed |= {} if torch.equal(whole, values) else {column: whole}
        if changed:
            rounded[name] = stream.with_values(**changed)
    return sample.with_streams({**sample.streams, **rounded}) if rounded else sample


def _scale(sample: Sample, name: str) -> float:
    return getattr(sample.rig.sensors.get(name), "intensity_scale", None) or SHARE


def _are_whole(values: Tensor) -> bool:
    finite = values[torch.isfinite(values)] if values.is_floating_point() else values
    return bool((finite == torch.floor(finite)).all()) if finite.is_floating_point() else True
