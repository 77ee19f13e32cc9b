"""Base of writers of HDF5 files of episodes: what nothing changed is copied as it is packed, with its attributes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.episode_writing import EpisodeWriter
from fusion_aug.logs.core.joint_readings import streams_within
from fusion_aug.logs.core.writer import Problem
from fusion_aug.safe.hdf5 import get_member, packing_of
from fusion_aug.sample import Sample
from fusion_aug.streams import Action, ImageStream, JointState, Signal


class Hdf5Writer(EpisodeWriter):
    """Writes episodes as HDF5 files, at the rate ``log.rate``; ``log.unread`` are groups and datasets nobody reads."""

    group: ClassVar[str]  # of an episode, for messages
    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **EpisodeWriter.unsupported_effects,
        "segment": (
            "its files hold no times, so nothing would say that a segment begins later than its episode",
            "write the folder format (output=folder), or use it in training",
        ),
    }

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """Return what the file cannot hold: besides the effects, everything that is copied unread."""
        found = super().can_express(transform, sample)
        if self.log.unread and any(t.p > 0 for t in leaves(transform)):
            why = "it is copied as it is, and would no longer belong to the observations"
            found += [
                Problem("group", f"{self.group}{n}", why, f"leave it out (log.exclude=[{n}])") for n in self.log.unread
            ]
        return found

    @property
    def rate(self) -> float:
        """Frames per second, ``log.rate``."""
        rate: float = self.log.rate
        return rate

    def changed_rows(self, sample: Sample, source: Sample, before: Any) -> dict[str, np.ndarray]:
        """Dataset -> its rows (n, ...), of all that are not those of the source.

        Args:
            sample: as ``as_read_back`` returned it. source: what it was made from.
            before: group of the source's file.
        """
        return {
            name: self.rows(name, sample, stream, get_member(before, name, self.log.path_of(source.id)))
            for name, stream in self.streams_by_feature.items()
            if not self.is_kept(sample, source, stream)
        }

    def rows(self, name: str, sample: Sample, stream_name: str, before: Any) -> np.ndarray:
        """Rows of a dataset, in its own dtype; ``before`` is the source's."""
        stream = sample[streams_within(stream_name, sample.streams)[0]]
        if isinstance(stream, ImageStream):
            return np.stack([stored(stream.image(i), before.dtype, before.ndim) for i in range(len(stream))])
        column = self.log.joint_column(name)
        if column is not None and isinstance(stream, JointState | Action):
            values = stream[column]
        elif isinstance(stream, Signal):
            values = stream["event" if "event" in stream.values else "value"]
        else:
            rows: np.ndarray = self.log.feature_array(sample, stream_name, name, [], before.shape[1:])
            return rows.astype(before.dtype)
        return values.numpy().astype(before.dtype)


def copy_with(
    before: Any, after: Any, changed: Mapping[str, np.ndarray], is_left_out: Callable[[str], bool], path: Path
) -> None:
    """Copy what lies in a group, with all attributes.

    Args:
        before: group of a file of ``open_hdf5``. after: new one.
        changed: dataset below it -> its new rows, packed in chunks as the old ones were.
        is_left_out: whether a group or dataset is left out, by its path below the first group.
        path: of the source, for messages.
    """
    _copy_below(before, after, "", changed, is_left_out, path)


def _copy_below(
    before: Any, after: Any, prefix: str, changed: Mapping[str, np.ndarray], is_left_out: Callable[[str], bool],
    path: Path,
) -> None:  # fmt: skip
    copy_attributes(before, after)
    for name in before:
        full, old = f"{prefix}{name}", get_member(before, name, path)
        if is_left_out(full):
            continue
        if hasattr(old, "keys"):
            _copy_below(old, after.create_group(name), f"{full}/", changed, is_left_out, path)
        elif full not in changed:
            before.copy(old, after, name)
        else:
            rows = changed[full]
            sizes = zip(old.chunks or (), rows.shape, strict=False)
            chunks = tuple(min(chunk, max(size, 1)) for chunk, size in sizes) or None
            made = after.create_dataset(name, data=rows, chunks=chunks, **packing_of(old))
            copy_attributes(old, made)


def copy_attributes(before: Any, after: Any) -> None:
    """Copy the attributes of a group or dataset with their types."""
    for name, value in before.attrs.items():
        after.attrs.create(name, value, dtype=before.attrs.get_id(name).dtype)


def numbered_names(ids: Sequence[str], word: str) -> dict[str, str]:
    """Return id of an output -> name: demo_3 stays, a copy becomes demo_N, N the next free.

    Args:
        ids: of the outputs. word: before the number, ``demo``.
    """
    known = {i: i for i in ids if re.fullmatch(rf"{word}_\d+", i)}
    free = max((int(i[len(word) + 1 :]) for i in known), default=-1) + 1
    others = [i for i in ids if i not in known]
    return known | {i: f"{word}_{free + k}" for k, i in enumerate(others)}


def stored(picture: Tensor, dtype: np.dtype, ndim: int) -> np.ndarray:
    """A picture as a dataset of a type and of so many axes holds it."""
    if picture.dtype.is_floating_point and dtype == np.uint8:
        picture = (picture * 255).round().clamp(0, 255)
    out = picture.numpy().astype(dtype)
    return out[..., None] if out.ndim == 2 and ndim == 4 else out
