"""Making a sample by hand, of a log that no reader knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from calib import CalibrationError, CameraSensor, LidarSensor, RadarSensor, Rig, Sensor, Trajectory, validate
from fusion_aug.errors import DataError
from fusion_aug.sample.meta import REF, Ref, SampleMeta, world_frame_of
from fusion_aug.sample.sample import Sample
from fusion_aug.streams import (
    Boxes2D,
    Boxes3D,
    Camera,
    EgoPose,
    ImageStream,
    JointState,
    Lidar,
    MapElements,
    Occupancy,
    Points,
    Radar,
    Ragged,
    RobotVector,
    Stream,
    Taxels,
    Waypoints,
)
from fusion_aug.streams.columns import Column
from fusion_aug.streams.loose import check_offsets
from fusion_aug.streams.source import Source

MOVED = ("position", "polar", "axial", "specific_force", "pose", "rotation", "covariance", "pixels", "length")  # kinds
MOST_BYTES = 200  # of a part of an id: file systems end at 255, and names are made of it
OWN_WIDTHS = (Occupancy, Taxels, JointState, RobotVector)  # they have looked at theirs: as many as taxels or fingers
SENSORS: dict[type[Stream], type[Sensor]] = {Camera: CameraSensor, Lidar: LidarSensor, Radar: RadarSensor}
NEEDED: dict[type[Stream], tuple[str, ...]] = {
    Points: ("xyz",), Boxes3D: ("pose", "size"), Boxes2D: ("corners",), EgoPose: ("pose",),
    MapElements: ("xyz", "element", "category"),
    Waypoints: ("pose", "time_offset", "instance"),
}  # fmt: skip


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
    _check_id(id, where)
    if not isinstance(scene, str):
        raise DataError(f"{where}: scene: expected text, got {scene!r}")
    validate(rig, f"{where}: rig")
    if ref.frame not in rig.frames:
        raise DataError(f"{where}: ref: the rig has no frame {ref.frame!r} (it has {', '.join(rig.frames)})")
    streams = {n: _checked(s, f"{where}: stream {n!r}", n, rig, ref) for n, s in streams.items()}
    world, start = world_frame_of(rig, ref.frame), ref.time if start is None else int(start)
    anchor = torch.eye(4, dtype=torch.float64) if world is None else rig.T(world, ref.frame, start)
    times = torch.cat([torch.tensor([ref.time]), *(s.capture_times for s in streams.values())])
    around = _around(rig, int(times.min()), int(times.max()))
    clock = clock or next((n for kind in (Lidar, Camera) for n, s in streams.items() if isinstance(s, kind)), "")
    meta = SampleMeta(
        id=id, scene=scene or id, ref=ref, rig=around, true_rig=around, anchor=anchor, start=start, clock=clock
    )
    return Sample(metas=(meta,), streams=streams)


def _check_id(id: str, where: str) -> None:
    """An id is a path of the log's folders, on any file system."""
    parts = id.split("/") if isinstance(id, str) else [""]
    for part in parts:
        if part in ("", ".", "..") or "\\" in part or not part.isprintable() or len(part.encode()) > MOST_BYTES:
            raise DataError(
                f"{where}: an id is one name, or several joined by slashes, of printable characters but backslashes, "
                f"each of at most {MOST_BYTES} bytes"
            )


def _around(rig: Rig, first: int, last: int) -> Rig:
    """The rig with the poses of its trajectories from before a time to after another."""
    frames = {
        n: replace(f, pose=f.pose.around(first, last)) if isinstance(f.pose, Trajectory) else f
        for n, f in rig.frames.items()
    }
    return Rig(frames, rig.sensors)


def _checked(stream: Stream, where: str, name: str, rig: Rig, ref: Ref) -> Stream:
    """The stream, whose pictures in files know the size that they must have; refused where it does not fit the rig."""
    frames = {"frame": stream.frame} | ({"child": stream.child} if isinstance(stream, EgoPose) else {})
    for field, frame in frames.items():
        if frame != REF and frame not in rig.frames:
            raise DataError(f"{where}: {field}: the rig has no frame {frame!r} (it has {', '.join(rig.frames)})")
    _check_sensor(stream, where, name, rig)
    times = stream.capture_times
    if bool((times[1:] < times[:-1]).any()):
        raise DataError(f"{where}: capture_times: must be sorted")
    # also of what is given in the reference frame: a time of another clock or unit has no pose
    for time in (int(times[0]), int(times[-1])) if len(times) else ():
        try:
            rig.T(ref.frame, ref.frame if stream.frame == REF else stream.frame, time, ref.time)
        except CalibrationError as error:
            raise CalibrationError(f"{where}: {error}") from None
    if isinstance(stream, Ragged):
        check_offsets(stream, where)
    if not hasattr(type(stream.values), "sources"):
        _check_columns(stream, where)
    return _expecting_sizes(stream, where, rig.sensors.get(stream.instance(name)))


def _check_sensor(stream: Stream, where: str, name: str, rig: Rig) -> None:
    """Cameras, LiDARs and radars have a sensor of their kind; pictures are in its frame."""
    kind = next((sensor for own, sensor in SENSORS.items() if isinstance(stream, own)), None)
    if kind is None:
        return
    sensor = rig.sensors.get(stream.instance(name))
    if sensor is None:
        raise DataError(f"{where}: the rig has no sensor of that name (it has {', '.join(rig.sensors) or 'none'})")
    if not isinstance(sensor, kind):
        raise DataError(f"{where}: the sensor of that name is a {type(sensor).__name__}, expected a {kind.__name__}")
    if isinstance(stream, Camera) and stream.frame != sensor.frame:
        raise DataError(f"{where}: frame: {stream.frame!r}, but its sensor is in {sensor.frame!r}")


def _expecting_sizes(stream: Stream, where: str, sensor: object) -> Stream:
    """Pictures of a camera have the size that its calibration is for; those in files are told it, and looked at later.

    Raises:
        DataError: one in memory has another.
    """
    if not isinstance(stream, ImageStream) or not isinstance(sensor, CameraSensor):
        return stream
    size = sensor.size
    items = tuple(item.expecting(size) if isinstance(item, Source) else item for item in stream.items)
    for item in stream.items:
        if isinstance(item, Tensor) and tuple(item.shape[:2]) != size:
            height, width = item.shape[:2]
            raise DataError(f"{where}: a picture is {width}x{height}, its calibration is for {size[1]}x{size[0]}")
    return replace(stream, items=items)


def _check_columns(stream: Stream, where: str) -> None:
    """Columns have a row for each row of the stream, and the shape that their kind declares."""
    rows, table = stream.rows if isinstance(stream, Ragged) else len(stream), stream.column_table()
    missing = [c for own, names in NEEDED.items() if isinstance(stream, own) for c in names if c not in stream.values]
    if missing and rows + len(stream):
        raise DataError(f"{where}: has no column {missing[0]}")
    for name, values in stream.values.items():
        if not values.shape or len(values) != rows:
            found = f"{len(values)} rows" if values.shape else "one number"
            raise DataError(f"{where}: {name}: {found}, expected {rows} rows")
        column = table.get(name)
        shape = None if column is None or isinstance(stream, OWN_WIDTHS) else shape_of_row(column)
        if shape is not None and tuple(values.shape[1:]) != shape:
            raise DataError(f"{where}: {name}: rows of shape {tuple(values.shape[1:])}, expected {shape}")
        if (
            column is not None
            and column.kind in MOVED
            and isinstance(values, Tensor)
            and not values.is_floating_point()
        ):
            raise DataError(
                f"{where}: {name}: {values.dtype} would be rounded where it is moved; give float32 or float64"
            )


def shape_of_row(column: Column) -> tuple[int, ...] | None:
    """Shape of one row of a declared column; None where it may have several."""
    if column.kind in ("pose", "pixels", "covariance"):
        return {"pose": (4, 4), "pixels": (4, 2), "covariance": (column.width, column.width)}[column.kind]
    if column.kind in MOVED:
        return (column.width,) if column.width else ()
    return () if column.kind in ("plain", "time") and not column.width else None


__all__ = ["make_sample"]
