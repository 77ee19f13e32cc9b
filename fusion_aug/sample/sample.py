"""Sample: the streams of one unit of work, and the calibration of its sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib import Rig
from calib.replacing import replace_unchecked
from calib.se3 import transform_points
from fusion_aug.errors import DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample.compacting import compacted
from fusion_aug.sample.history import History
from fusion_aug.sample.meta import REF, Ref, SampleMeta
from fusion_aug.sample.packing import Packed, pack, unpack, with_tensors
from fusion_aug.sample.to_device import brought, on_host
from fusion_aug.streams import Boxes3D, Points, Ragged, Stream


@dataclass(frozen=True, eq=False, kw_only=True)
class Sample:
    """Streams by sensor name, and the metadata of the sample, or of each sample of a batch.

    Nothing is ever edited in place: a transform returns a new Sample that shares what did not change.
    """

    metas: tuple[SampleMeta, ...]
    streams: Mapping[str, Stream]

    copied_whole: ClassVar[bool] = True  # see ``packing``: a copy within the process is not packed

    def __repr__(self) -> str:
        streams = "".join(f"\n  {name}: {stream!r}" for name, stream in self.streams.items())
        return f"Sample({', '.join(u.id for u in self.metas)}){streams}"

    # --- the metadata of an ordinary sample ------------------------------------------------------------------------
    @property
    def meta(self) -> SampleMeta:
        """The metadata of the sample.

        Raises:
            DataError: this is a batch.
        """
        if len(self.metas) != 1:
            raise DataError(f"this is a batch of {len(self.metas)} samples: use its metas one by one")
        return self.metas[0]

    @property
    def id(self) -> str:
        """Id of the sample."""
        return self.meta.id

    @property
    def ref(self) -> Ref:
        """Reference frame."""
        return self.meta.ref

    @property
    def rig(self) -> Rig:
        """Reported calibration."""
        return self.meta.rig

    @property
    def true_rig(self) -> Rig:
        """Calibration that the data obey."""
        return self.meta.true_rig

    @property
    def history(self) -> History:
        """What was done to the sample."""
        return self.meta.history

    def __getitem__(self, name: str) -> Stream:
        """A stream by name."""
        try:
            return self.streams[name]
        except KeyError:
            raise DataError(f"the sample has no stream {name!r} (it has {', '.join(self.streams)})") from None

    def of_type(self, kind: type) -> dict[str, Any]:
        """Streams of one class by name."""
        return {n: s for n, s in self.streams.items() if isinstance(s, kind)}

    # --- reading out ------------------------------------------------------------------------------------------------
    def key_item(self, name: str, index: int = 0) -> int:
        """Index of the stream's item whose true capture time is nearest to a sample's reference time.

        Args:
            name: of the stream. index: of the sample in a batch.

        Raises:
            DataError: the stream has no item in that sample.
        """
        stream = self[name]
        mine = (stream.sample_index == index).nonzero()[:, 0]
        if len(mine) == 0:
            raise DataError(f"stream {name!r} has no item in sample {self.metas[index].id!r}")
        return int(mine[(stream.true_capture_times[mine] - self.metas[index].ref.time).abs().argmin()])

    @standard_modes()
    def take_key(self, name: str) -> Stream:
        """The stream's key item alone."""
        return self[name].take_items(torch.tensor([self.key_item(name)]))

    @standard_modes()
    def T_ref(self, name: str, item: int | None = None, *, true_rig: bool = False) -> Tensor:
        """``T_ref_frame`` (4, 4) of a stream's frame at one of its items.

        Args:
            name: of the stream. item: the key item by default.
            true_rig: by the calibration that the data obey, at the true capture time.
        """
        stream = self[name]
        item = self.key_item(name) if item is None else item
        meta = self.metas[int(stream.sample_index[item])]
        times = stream.true_capture_times if true_rig else stream.capture_times
        return meta.T_ref(stream.frame, int(times[item]), true_rig=true_rig)

    @standard_modes()
    def points(self, name: str, frame: str = REF) -> Points:
        """A cloud with every item brought to a frame, in one multiplication.

        Args:
            name: stream of points.
            frame: "ref", or a frame of the rig (looked up at the item's time).
        """
        stream = self[name]
        if not isinstance(stream, Points):
            raise DataError(f"stream {name!r} holds {type(stream).__name__}, not points")
        maps = []
        for index, time in zip(stream.sample_index.tolist(), stream.capture_times.tolist(), strict=True):
            meta = self.metas[index]
            goal = meta.ref if frame == REF else Ref(frame, time)
            source = meta.ref if stream.frame == REF else Ref(stream.frame, time)
            maps.append(meta.rig.T(goal.frame, source.frame, source.time, goal.time))
        return replace(stream.transformed(torch.stack(maps)), frame=frame)

    @standard_modes()
    def project(
        self, name: str, camera: str, *, item: int | None = None, camera_item: int | None = None, true_rig: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Project a cloud into a camera: ``pixel = dehom(A [project(K, distortion, T_cam_ref(t) X); 1])``.

        Args:
            name: stream of points.
            camera: stream or rig camera.
            item, camera_item: which items; by default those nearest to the reference time.
            true_rig: with the calibration that the data obey instead of the reported one.

        Returns:
            canvas pixels (rows, 2) and visibility (rows,) bool. Points are taken to be static in the world.
        """
        if not isinstance(self[name], Points):
            raise DataError(f"project: stream {name!r} holds {type(self[name]).__name__}, not points")
        item = self.key_item(name) if item is None else item
        points = on_host({name: self[name]}, "project")[name].realized()
        xyz = points["xyz"][points.item_slice(item)].to(torch.float64)  # type: ignore[attr-defined]
        in_ref = transform_points(self.T_ref(name, item, true_rig=true_rig), xyz)
        index = int(points.sample_index[item])
        return self.project_ref(in_ref, camera, camera_item=camera_item, true_rig=true_rig, index=index)

    @standard_modes()
    def project_ref(
        self, points: Tensor, camera: str, *, camera_item: int | None = None, true_rig: bool = False, index: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Project points of the reference frame into a camera at the time of one of its items.

        Args:
            points: (..., 3) metres. camera: stream or rig camera.
            camera_item: which of its pictures; by default the one nearest to the reference time.
            true_rig: with the calibration that the data obey. index: of the sample in a batch.

        Returns:
            canvas pixels (..., 2) and visibility (...,) bool.

        Raises:
            DataError: the picture belongs to another sample of the batch.
            CalibrationError: the rig has no such camera.
        """
        chosen = self.metas[index]
        time = chosen.ref.time
        if camera in self.streams:
            stream = self.streams[camera]
            camera_item = self.key_item(camera, index) if camera_item is None else camera_item
            if int(stream.sample_index[camera_item]) != index:
                raise DataError(f"item {camera_item} of {camera!r} belongs to another sample than the points")
            time = int((stream.true_capture_times if true_rig else stream.capture_times)[camera_item])
            camera = stream.instance(camera)
        rig = chosen.true_rig if true_rig else chosen.rig
        sensor = rig.camera(camera)
        T_cam_ref = rig.T(sensor.frame, chosen.ref.frame, chosen.ref.time, time)
        return sensor.project(transform_points(T_cam_ref, points.to(torch.float64)))

    def boxes(self, name: str = "boxes") -> Boxes3D:
        """The boxes stream of that name."""
        stream = self[name]
        if not isinstance(stream, Boxes3D):
            raise DataError(f"stream {name!r} holds {type(stream).__name__}, not boxes")
        return stream

    # --- rows -------------------------------------------------------------------------------------------------------
    def with_streams(self, streams: Mapping[str, Stream]) -> Sample:
        """The sample with other streams."""
        return replace_unchecked(self, streams=streams)

    def with_meta(self, index: int, **changes: Any) -> Sample:
        """The sample with fields of the metadata of one sample of a batch replaced."""
        metas = list(self.metas)
        metas[index] = replace_unchecked(metas[index], **changes)
        return replace_unchecked(self, metas=tuple(metas))

    @standard_modes()
    def take(self, indices: Sequence[int]) -> Sample:
        """Some samples of a batch with their items, in the given order."""
        if list(indices) == list(range(len(self.metas))):
            return self
        streams = {}
        for name, stream in self.streams.items():
            hits = [(stream.sample_index == u).nonzero()[:, 0] for u in indices]
            index = torch.cat(hits)
            if len(index):
                new = torch.cat([torch.full_like(h, i) for i, h in enumerate(hits)])
                streams[name] = replace_unchecked(stream.take_items(index), sample_index=new)
        return Sample(metas=tuple(self.metas[u] for u in indices), streams=streams)

    @standard_modes()
    def realized(self) -> Sample:
        """The sample with every file decoded, clouds too, and every pending map applied."""
        done = {n: s.realized() for n, s in self.streams.items()}
        return self.with_streams({n: s.loaded() if isinstance(s, Ragged) else s for n, s in done.items()})

    @standard_modes()
    def to(self, device: str | torch.device) -> Sample:
        """The sample with the values of its streams on a device, where pictures and clouds of one kind lie together.

        All travel in one copy. Times, rigs, text and indices stay on the host, as ``docs/device.md`` says. Back on the
        CPU, rows that were dropped on the device are gone.
        """
        return self.with_streams(brought(self.streams, device))

    def compact(self) -> Sample:
        """The batch without the rows that were dropped on a device; the host waits for it, once."""
        return self.with_streams(compacted(self.streams))

    def clone(self) -> Sample:
        """A copy that shares no tensor with the sample. What was read is copied; other files each of them reads."""
        copy: Sample = with_tensors(self, Tensor.clone)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Sample:
        return self.clone()

    def pin_memory(self) -> Sample:
        """The sample with the values of its streams in page-locked memory, for ``DataLoader(pin_memory=True)``.

        Without an accelerator a loader warns and does not call it, and torch raises RuntimeError. It is tested with the
        CPU's torch only: that every tensor of every stream is pinned, not the pinning itself or the copy to a GPU.
        """
        return self.with_streams(with_tensors(on_host(self.realized().streams, "pin_memory"), Tensor.pin_memory))

    def __reduce__(self) -> tuple[Any, ...]:
        # rigs inside the pickle: whoever keeps the metadata of a batch does not keep its pictures
        return _unpacked, (pack(self.metas, inline=True), pack(dict(self.streams)))


def _unpacked(metas: Packed, streams: Packed) -> Sample:
    return Sample(metas=unpack(*metas), streams=unpack(*streams))


@standard_modes()
def merge(samples: Sequence[Sample], order: Sequence[int] | None = None) -> Sample:
    """Join samples (or batches) to one batch.

    Args:
        samples: what to join; streams of one name must be of one class.
        order: index in the result of every sample, as listed one after another; as listed by default.
    """
    metas = [u for s in samples for u in s.metas]
    place = list(range(len(metas))) if order is None else list(order)
    starts = [0]
    for s in samples:
        starts.append(starts[-1] + len(s.metas))
    where = torch.tensor(place)
    streams: dict[str, Stream] = {}
    for name in dict.fromkeys(n for s in samples for n in s.streams):
        parts = [(s.streams[name], starts[i]) for i, s in enumerate(samples) if name in s.streams]
        kinds = {type(p) for p, _ in parts}
        if len(kinds) > 1:
            raise DataError(f"stream {name!r} has different kinds in the samples: {sorted(k.__name__ for k in kinds)}")
        joined = parts[0][0].concat([p for p, _ in parts], [where[p.sample_index + start] for p, start in parts])
        sort = torch.argsort(joined.sample_index, stable=True)
        ordered = bool((sort[1:] > sort[:-1]).all())
        streams[name] = joined if ordered else joined.take_items(sort)
    placed = sorted(zip(place, metas, strict=True), key=lambda p: p[0])
    return Sample(metas=tuple(u for _, u in placed), streams=streams)
