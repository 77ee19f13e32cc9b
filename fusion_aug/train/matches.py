"""Exact correspondences between two views of one sample, from their histories and the numbers that streams keep.

Nothing is looked for by where it is: a point of one view is a point of the other since both were the same row of the
source. What no row of the source is, such as a ghost, clutter or a return from fog, matches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fusion_aug.core.random import whole_number
from fusion_aug.errors import DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import Sample
from fusion_aug.sample.history import source_name
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import ImageStream, JointState, Points, Ragged, Stream
from fusion_aug.train.matches_joints import JointMatches, related, source_map
from fusion_aug.train.matches_pixels import Picture, PixelMatches, PointPixels, camera_motion, moved_pixels
from fusion_aug.train.matches_rows import RowMatches, common, common_tracks, item_keys, row_keys, track_keys
from fusion_aug.train.matches_times import ViewTime, through
from fusion_aug.transforms.scene.scene import scene_motion


@dataclass(frozen=True, eq=False)
class Matches:
    """What two views of a sample have in common. Names of streams are those of view a.

    Attributes:
        a, b: the views. index: of the sample, where they are batches.
    """

    a: Sample
    b: Sample
    index: int = 0

    # --- names ------------------------------------------------------------------------------------------------------
    @cached_property
    def _by_source(self) -> tuple[dict[str, str], dict[str, str]]:
        """Name in the source -> name in the view, of both views."""
        found = []
        for view in (self.a, self.b):
            history = view.metas[self.index].history
            mine = [n for n, s in view.streams.items() if bool((s.sample_index == self.index).any())]
            found.append({source_name(n, history): n for n in mine})
        return found[0], found[1]

    def name(self, name: str) -> tuple[str, str]:
        """Name of a stream in both views, empty where a view has none; ``name`` is that of view a.

        Raises:
            DataError: neither view has it.
        """
        in_a, in_b = self._by_source
        source = source_name(name, self.a.metas[self.index].history)
        if source not in in_a and source not in in_b and name not in self.a.metas[self.index].rig.sensors:
            raise DataError(f"matches: neither view has a stream {name!r} (view a has {', '.join(self.a.streams)})")
        return in_a.get(source, ""), in_b.get(source, "")

    def _pair(self, name: str, kind: type) -> tuple[str, str, Stream | None, Stream | None]:
        """Names and streams in both views; None where a view has none.

        Raises:
            DataError: neither view has it, it is of another kind, or its values lie on a device.
        """
        names = self.name(name)
        a, b = (v.streams[n] if n else None for v, n in zip((self.a, self.b), names, strict=True))
        for stream in (a, b):
            if stream is not None and not isinstance(stream, kind):
                raise DataError(f"matches: stream {name!r} holds {type(stream).__name__}, not {kind.__name__}")
            if stream is not None and lies_on_device(stream):
                raise DataError(
                    f"matches: the values of {name!r} lie on a device; bring them back with to('cpu') first"
                )
        return *names, a, b

    # --- rows and items ---------------------------------------------------------------------------------------------
    def items(self, name: str) -> RowMatches:
        """Pictures, sweeps and readings that are one in the source."""
        return self._common(name, Stream, lambda s: item_keys(s, self.index))

    def points(self, name: str) -> RowMatches:
        """Points of a cloud that are one return in the source; moved ones, as by noise along their ray, count too."""
        return self._common(name, Points, lambda s: row_keys(s, self.index))  # type: ignore[arg-type]

    def rows(self, name: str) -> RowMatches:
        """Rows of any stream that has them: points, boxes, key points, vertices of a map."""
        return self._common(name, Ragged, lambda s: row_keys(s, self.index))  # type: ignore[arg-type]

    def boxes(self, name: str = "boxes") -> RowMatches:
        """Boxes that are one row in the source."""
        return self.rows(name)

    def tracks(self, name: str = "boxes") -> RowMatches:
        """All pairs of boxes of one object (``instance``), also at different times, as in two segments."""
        first, second, a, b = self._pair(name, Ragged)
        if not isinstance(a, Ragged) or not isinstance(b, Ragged):
            return _nothing(first, second)
        return RowMatches(first, second, *common_tracks(track_keys(a, self.index), track_keys(b, self.index)))

    def _common(self, name: str, kind: type, keys: Callable[[Stream], tuple[Tensor, Tensor]]) -> RowMatches:
        first, second, a, b = self._pair(name, kind)
        if a is None or b is None:
            return _nothing(first, second)
        return RowMatches(first, second, *common(keys(a), keys(b)))

    def joints(self, name: str) -> JointMatches:
        """Joints, and items, of a stream of readings."""
        first, second, a, b = self._pair(name, JointState)
        items = self.items(name)
        if not isinstance(a, JointState) or not isinstance(b, JointState):
            none, no_number = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
            return JointMatches(first, second, items.rows_a, items.rows_b, none, none, no_number, no_number)
        maps = (source_map(s, v.metas[self.index].history, n) for s, v, n in ((a, self.a, first), (b, self.b, second)))
        return JointMatches(first, second, items.rows_a, items.rows_b, *related(*maps))

    # --- space ------------------------------------------------------------------------------------------------------
    @cached_property
    def T_b_a(self) -> Tensor:
        """(4, 4) float64 similarity: what lies at X in the reference frame of a lies at ``T_b_a X`` in that of b."""
        first, second = (scene_motion(v.metas[self.index].history).detach() for v in (self.a, self.b))
        return second @ torch.linalg.inv(first)

    @standard_modes()
    def pixels(
        self, camera: str, pixels: Tensor, *, item: int | None = None, distance: Tensor | None = None
    ) -> PixelMatches:
        """Where pixels of a camera of view a lie in view b.

        Args:
            camera: stream of pictures of view a. pixels: (n, 2) u and v on its canvas.
            item: which of its pictures, by default the one nearest to the reference time.
            distance: (n,) metres along the rays, as view a has them; needed where a camera was shifted.

        Raises:
            DataError: there is no such picture, or a camera was shifted and no distances are given.
        """
        a, b, why = self._pictures(camera, item)
        given = torch.as_tensor(pixels).to("cpu", torch.float64)
        if given.ndim != 2 or given.shape[1] != 2:
            raise DataError(f"matches.pixels: expected pixels (n, 2), u and v, got the shape {tuple(given.shape)}")
        far = None if distance is None else torch.as_tensor(distance).to("cpu")
        if far is not None and far.shape != given.shape[:1]:
            raise DataError(f"matches.pixels: distance: expected ({len(given)},) metres, got {tuple(far.shape)}")
        if a is None or b is None or why:
            nowhere = torch.full_like(given, torch.nan)
            none = torch.zeros(len(given), dtype=torch.bool)
            return PixelMatches("" if b is None else b.name, -1 if b is None else b.item, nowhere, none, why)
        D = camera_motion(a, b, self.T_b_a)
        there = moved_pixels(a, b, given, D, far)
        return PixelMatches(b.name, b.item, there, a.shows(given) & b.shows(there))

    @standard_modes()
    def point_pixels(
        self, cloud: str, camera: str, *, item: int | None = None, camera_item: int | None = None
    ) -> PointPixels:
        """Points of view a, and the pixels of view b's camera that they are seen at.

        Points are projected by the calibration that the data obey, and taken to be static in the world. Only those on
        the canvas, and on the picture that the view was made of, are listed; something nearer may hide a point from a
        camera beside the scanner.

        Args:
            cloud: stream of points of view a. camera: stream of pictures of view a, whose partner in b is looked at.
            item, camera_item: of the two streams in view a; by default those nearest to the reference time.

        Raises:
            DataError: there is no such stream or item.
        """
        name, _, points, _ = self._pair(cloud, Points)
        _, b, why = self._pictures(camera, camera_item)
        if not isinstance(points, Points) or b is None or why:
            none = torch.zeros(0, dtype=torch.int64)
            where = ("", -1) if b is None else (b.name, b.item)
            return PointPixels(none, *where, torch.zeros(0, 2, dtype=torch.float64), why or f"{cloud!r} was dropped")
        item = self.a.key_item(name, self.index) if item is None else item
        if not bool(points.present[item]):
            why = f"the sweep of {name!r} was dropped"
        stream = points.realized().loaded()
        own = stream.item_slice(item)
        xyz = stream.values["xyz"][own].detach().to("cpu", torch.float64)
        rows = (torch.isfinite(xyz).all(1) & (stream.row_numbers[own] >= 0)).nonzero()[:, 0]
        T = self.T_b_a @ self.a.T_ref(name, item, true_rig=True)
        there = xyz[rows] @ T[:3, :3].T + T[:3, 3]
        pixels, seen = self.b.project_ref(there, b.name, camera_item=b.item, true_rig=True, index=self.index)
        seen = seen & b.shows(pixels)
        return PointPixels(rows[seen] + own.start, b.name, b.item, pixels[seen], why)

    def _pictures(self, camera: str, item: int | None) -> tuple[Picture | None, Picture | None, str]:
        """The picture in both views, None where it is not there, and why they have no pixel in common."""
        first, second, a, b = self._pair(camera, ImageStream)
        if a is None or b is None:
            return None, None, f"view {'a' if a is None else 'b'} has no {camera!r}"
        item = self.a.key_item(first, self.index) if item is None else whole_number(item, "matches.item")
        if not 0 <= item < len(a) or int(a.sample_index[item]) != self.index:
            raise DataError(f"matches: stream {camera!r} has no item {item} in sample {self.a.metas[self.index].id!r}")
        mine, numbers = item_keys(b, self.index)
        found = mine[numbers == a.item_numbers[item]].tolist()
        one = Picture(self.a, self.index, first, item)
        if not found:
            return one, None, f"view b has not this picture of {second!r}"
        other = Picture(self.b, self.index, second, found[0])
        return one, other, one.why_lost or other.why_lost

    # --- time -------------------------------------------------------------------------------------------------------
    @cached_property
    def _time(self) -> tuple[ViewTime, ViewTime]:
        return ViewTime.of(self.a, self.index), ViewTime.of(self.b, self.index)

    def times(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Times of view b at which happens what happens in view a at given times.

        Args:
            times: (n,) int64 ns, true times of view a.

        Returns:
            (n,) int64 ns, to the nearest one, and (n,) bool, whether both views cover it.

        Raises:
            DataError: the times are of another kind.
        """
        if not isinstance(times, Tensor) or times.dtype != torch.int64:
            raise DataError(f"matches.times: expected a tensor of int64 ns, got {getattr(times, 'dtype', type(times))}")
        a, b = self._time
        steps = [(w, False) for w in reversed(a.warps)]
        old = through(times, steps)
        inside = torch.ones(len(old), dtype=torch.bool)
        for span in (a.span, b.span):
            inside &= (old >= span.begin) & (old < span.end)
        return through(times, steps + [(w, True) for w in b.warps]), inside

    def source_times(self, times: Tensor, view: str = "a") -> Tensor:
        """Times (n,) int64 ns of the source that true times (n,) of view "a" or "b" stand for."""
        chosen = self._time[("a", "b").index(view)]
        return through(times, [(w, False) for w in reversed(chosen.warps)])

    @property
    def overlap(self) -> tuple[int, int] | None:
        """First and last time [begin, end) of the source that both views cover, ns; None where they share none."""
        a, b = (t.span for t in self._time)
        begin, end = max(a.begin, b.begin), min(a.end, b.end)
        return (begin, end) if begin < end else None


def _nothing(name_a: str, name_b: str) -> RowMatches:
    none = torch.zeros(0, dtype=torch.int64)
    return RowMatches(name_a, name_b, none, none)


def matches(a: Sample, b: Sample, index: int = 0) -> Matches:
    """What two views of one sample have in common: points, pixels, boxes, joints, times.

    Args:
        a, b: views of a sample, as ``fa.views`` draws them, or batches of the same samples.
        index: of the sample, where they are batches.

    Returns:
        the ``Matches``, whose methods work out one kind each.

    Raises:
        DataError: the two are of different samples, or there is no such sample.
    """
    index = whole_number(index, "matches.index")
    for view in (a, b):
        if not 0 <= index < len(view.metas):
            raise DataError(f"matches: there is no sample {index} among {len(view.metas)}")
    first, second = a.metas[index], b.metas[index]
    if (first.id, first.scene) != (second.id, second.scene):
        one, other = ((u.id, u.scene) if first.id == second.id else (u.id,) for u in (first, second))
        raise DataError(
            f"matches: sample {'/'.join(one)!r} and sample {'/'.join(other)!r} are not one; give two views of one "
            f"sample (fa.views)"
        )
    return Matches(a, b, index)


__all__ = ["JointMatches", "Matches", "PixelMatches", "PointPixels", "RowMatches", "matches"]
