"""Making a sample by hand, of a log that no reader knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from calib import CalibrationError, CameraSensor, Rig, Trajectory, validate
from fusion_aug.errors import DataError
from fusion_aug.sample.meta import REF, Ref, SampleMeta, world_frame_of
from fusion_aug.sample.sample import Sample
from fusion_aug.streams import Camera, EgoPose, ImageStream, Lidar, Ragged, Stream


def make_sample(
    id: str,
    ref: tuple[str, int],
    rig: Rig,
    streams: Mapping[str, Stream],
    *,
    scene: str = "",
    start: int | None = None,
    clock: str = "",
) -> Sample:
    """Make a sample and look at whether its parts belong together.

    Args:
        id: unique in its log; slashes make folders.
        ref: the reference frame, (frame of the rig, time in ns): the vehicle at the time of the keyframe.
        rig: frames and sensors. It may cover a whole drive: of a trajectory the poses around the sample are kept.
        streams: name -> stream; cameras, LiDARs and radars are called as their sensor in the rig is.
        scene: what shares the draws of scope ``scene``, such as a drive; the id by default.
        start: ns, reference time of the scene's first sample, at which mirror planes are placed; ``ref``'s by default.
        clock: stream whose times delimit timesteps; by default the first LiDAR, else the first camera.

    Raises:
        DataError: a stream has a frame, a sensor or a size that the rig does not have, times that are not sorted, or
            columns of another shape than declared.
        CalibrationError: the rig is wrong, or knows no pose at a time of the sample.
    """
    where, ref = f"sample {id!r}", Ref(str(ref[0]), int(ref[1]))
    if not id or any(part in ("", ".", "..") for part in id.split("/")):
        raise DataError(f"{where}: an id is one name, or several joined by slashes")
    validate(rig, f"{where}: rig")
    if ref.frame not in rig.frames:
        raise DataError(f"{where}: ref: the rig has no frame {ref.frame!r} (it has {', '.join(rig.frames)})")
    for name, stream in streams.items():
        _check_stream(stream, f"{where}: stream {name!r}", name, rig, ref)
    world, start = world_frame_of(rig, ref.frame), ref.time if start is None else int(start)
    anchor = torch.eye(4, dtype=torch.float64) if world is None else rig.T(world, ref.frame, start)
    times = torch.cat([torch.tensor([ref.time]), *(s.capture_times for s in streams.values())])
    around = _around(rig, int(times.min()), int(times.max()))
    clock = clock or next((n for kind in (Lidar, Camera) for n, s in streams.items() if isinstance(s, kind)), "")
    meta = SampleMeta(
        id=id, scene=scene or id, ref=ref, rig=around, true_rig=around, anchor=anchor, start=start, clock=clock
    )
    return Sample(metas=(meta,), streams=dict(streams))


def _around(rig: Rig, first: int, last: int) -> Rig:
    """The rig with the poses of its trajectories from before a time to after another."""
    frames = {
        n: replace(f, pose=f.pose.around(first, last)) if isinstance(f.pose, Trajectory) else f
        for n, f in rig.frames.items()
    }
    return Rig(frames, rig.sensors)


def _check_stream(stream: Stream, where: str, name: str, rig: Rig, ref: Ref) -> None:
    frames = {"frame": stream.frame} | ({"child": stream.child} if isinstance(stream, EgoPose) else {})
    for field, frame in frames.items():
        if frame != REF and frame not in rig.frames:
            raise DataError(f"{where}: {field}: the rig has no frame {frame!r} (it has {', '.join(rig.frames)})")
    times = stream.capture_times
    if bool((times[1:] < times[:-1]).any()):
        raise DataError(f"{where}: capture_times: must be sorted")
    if stream.frame != REF and len(times):
        for time in (int(times[0]), int(times[-1])):
            try:
                rig.T(ref.frame, stream.frame, time, ref.time)
            except CalibrationError as error:
                raise CalibrationError(f"{where}: {error}") from None
    if isinstance(stream, ImageStream):
        _check_pictures(stream, where, name, rig)
    if not hasattr(type(stream.values), "sources"):
        _check_columns(stream, where)


def _check_pictures(stream: ImageStream, where: str, name: str, rig: Rig) -> None:
    """Pictures of a camera have the size that its calibration is for."""
    if isinstance(stream, Camera) and stream.instance(name) not in rig.sensors:
        raise DataError(f"{where}: the rig has no sensor of that name (it has {', '.join(rig.sensors) or 'none'})")
    sensor = rig.sensors.get(stream.instance(name))
    if not isinstance(sensor, CameraSensor):
        return
    size = tuple(sensor.size)
    for item in stream.items:
        if isinstance(item, Tensor) and tuple(item.shape[:2]) != size:
            height, width = item.shape[:2]
            raise DataError(f"{where}: a picture is {width}x{height}, its calibration is for {size[1]}x{size[0]}")


def _check_columns(stream: Stream, where: str) -> None:
    """Columns have a row for each row of the stream, and the shape that their kind declares."""
    rows, table = stream.rows if isinstance(stream, Ragged) else len(stream), stream.column_table()
    for name, values in stream.values.items():
        if len(values) != rows:
            raise DataError(f"{where}: {name}: {len(values)} rows, expected {rows}")
        column = table.get(name)
        if column is None or column.kind not in ("position", "pose", "polar", "axial", "specific_force", "pixels"):
            continue
        shape = {"pose": (4, 4), "pixels": (4, 2)}.get(column.kind, (3,))
        if tuple(values.shape[1:]) != shape:
            raise DataError(f"{where}: {name}: rows of shape {tuple(values.shape[1:])}, expected {shape}")


__all__ = ["make_sample"]
