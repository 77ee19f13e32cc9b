"""Velocity of a sensor over ground, and the optical flow that it makes in pictures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from calib import CalibrationError, CameraSensor, Rig
from calib.rates import point_motion, rotation_rates
from calib.se3 import transform_points
from calib.sensors import apply_homography
from fusion_aug.errors import DataError
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.radar import VELOCITIES, rays_of
from fusion_aug.sample.depth import SKY_DISTANCE, camera_range
from fusion_aug.sample.depth_settings import AS_USUAL, DepthSettings
from fusion_aug.sample.sample import Sample
from fusion_aug.streams import EgoPose, Radar, Stream


def frame_twist(
    sample: Sample, index: int, frame: str, time: int, place: Tensor | None = None
) -> tuple[Tensor, Tensor] | None:
    """Velocity and angular velocity (3,) of a frame over ground, in its own axes; None where no twist is known.

    Args:
        sample: one sample or a batch. index: which of it. frame: of the rig. time: ns.
        place: (3,) a point of the frame, whose velocity is v + omega x p; its origin by default.
    """
    rig = sample.metas[index].true_rig
    for ego in sample.of_type(EgoPose).values():
        k = twist_item(ego, index, rig, time)
        if k is None:
            continue
        v, w = (ego.values[c][k].to("cpu", torch.float64) for c in ("velocity", "angular_velocity"))
        if bool(torch.isfinite(v).all() & torch.isfinite(w).all()):
            T = rig.T(ego.child, frame, time)
            at = transform_points(T, (torch.zeros(3, dtype=torch.float64) if place is None else place)[None])[0]
            return T[:3, :3].T @ (v + torch.linalg.cross(w, at)), T[:3, :3].T @ w
    return None


def twist_item(ego: EgoPose, index: int, rig: Rig, time: int) -> int | None:
    """Which item of an ego pose tells the twist of a sample's vehicle at a time (ns); None where none does."""
    mine = (ego.sample_index == index).nonzero()[:, 0]
    if len(mine) == 0 or ego.child not in rig.frames or not {"velocity", "angular_velocity"} <= set(ego.values):
        return None
    return int(mine[(ego.capture_times[mine] - time).abs().argmin()])


def rig_twist(rig: Rig, frame: str, time: int) -> tuple[Tensor, Tensor] | None:
    """Velocity (m/s) and angular velocity (rad/s), (3,) each, of a frame in its own axes, from the rig's moving poses.

    Args:
        rig: with the frame. frame: such as that of a camera on an arm. time: ns.

    Returns:
        the two, or None where the pose is unknown at that time.
    """
    if frame not in rig.frames:
        return None
    *below, root = rig.ancestors(frame)
    if all(isinstance(rig.frames[n].pose, Tensor) for n in below):
        still = torch.zeros(3, dtype=torch.float64)
        # what is fixed in a world does not move; of anything else nothing is known
        return (still, still) if rig.frames[root].axis_convention == "world" else None
    at = torch.tensor([time])
    try:
        T, velocity, _ = point_motion(rig, root, frame, at)
        _, spin, _ = rotation_rates(rig, root, frame, at)
    except CalibrationError:  # the pose is not known then
        return None
    return T[0, :3, :3].T @ velocity[0], spin[0]


def camera_twist(sample: Sample, name: str, item: int) -> tuple[Tensor, Tensor]:
    """Velocity and angular velocity (3,) of a camera at a picture, in its own axes.

    From the twist of an ego pose, else from the camera's moving pose in the world or in the robot's base.

    Raises:
        DataError: the sample holds neither.
    """
    stream = sample[name]
    index, time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
    twist = frame_twist(sample, index, stream.frame, time) or rig_twist(
        sample.metas[index].true_rig, stream.frame, time
    )
    if twist is None:
        raise DataError(
            f"stream {name!r}: the motion of the camera is unknown; the sample needs an ego pose with a twist, or a "
            f"rig with poses at more than one time"
        )
    return twist


def picture_flow(
    sample: Sample, name: str, item: int, seconds: float, settings: DepthSettings = AS_USUAL, step: int = 4
) -> Tensor:
    """Optical flow by the camera's own motion: (H, W, 2) float64, pixels of the canvas.

    From the distance of every pixel (a Depth stream of the camera, else the LiDAR). Other traffic is taken as static.

    Args:
        sample: one sample or a batch. name: camera stream. item: which of its pictures.
        seconds: duration of the motion. settings: how distances are completed.
        step: pixels between those that are computed; the others are interpolated.

    Raises:
        DataError: the motion of the camera or the distances are unknown.
    """
    stream, (velocity, angular_velocity) = sample[name], camera_twist(sample, name, item)
    camera = sample.metas[int(stream.sample_index[item])].true_rig.camera(stream.instance(name))
    distance = camera_range(sample, name, item, settings).to(torch.float64).clamp(max=SKY_DISTANCE)
    height, width = camera.size
    step = max(1, min(step, height // 8, width // 8))
    rows, columns = -(-height // step), -(-width // step)
    grid = pixel_grid((rows, columns)) * step + (step - 1) / 2
    near = distance[grid[..., 1].long().clamp(max=height - 1), grid[..., 0].long().clamp(max=width - 1)]
    points = camera.unproject(grid) * near[..., None]
    drift = -(velocity + torch.linalg.cross(angular_velocity.expand_as(points), points)) * (seconds / 2)
    (start, seen), (stop, still) = (_pixels(camera, points + s * drift) for s in (-1, 1))
    flow = torch.where((seen & still)[..., None], stop - start, torch.zeros_like(start)).nan_to_num(0.0)
    wide = F.interpolate(flow.permute(2, 0, 1)[None], size=(rows * step, columns * step), mode="bilinear")[0]
    return wide.permute(1, 2, 0)[:height, :width].contiguous()


def _pixels(camera: CameraSensor, points: Tensor) -> tuple[Tensor, Tensor]:
    physical, seen = camera.model.project(points)
    return apply_homography(camera.A, physical), seen


def radar_velocity(sample: Sample, stream: Stream, item: int, place: Tensor | None = None) -> Tensor | None:
    """Velocity (3,), m/s, over ground of a point of a sensor's frame, in that frame; None where no twist is known."""
    twist = frame_twist(
        sample, int(stream.sample_index[item]), stream.frame, int(stream.true_capture_times[item]), place
    )
    return None if twist is None else twist[0]


def with_both_velocities(sample: Sample, name: str) -> Radar:
    """A radar stream in memory with raw and compensated velocities, m/s.

    Of a stream that has one of them the other follows from the radar's own motion: along a unit ray r in the radar's
    frame the compensated velocity is the raw one plus (r . v) r, v being the radar's velocity over ground. It is NaN
    where that motion is not known, and so are both where the stream has none.
    """
    stream = sample[name].realized()
    assert isinstance(stream, Radar)
    stream = stream.loaded()
    given = [c for c in VELOCITIES if c in stream.values]
    if len(given) == 2:
        return stream
    own = torch.full((stream.rows, 3), float("nan"), dtype=torch.float64)
    if not given:
        return stream.with_values(**dict.fromkeys(VELOCITIES, own))
    device = stream[given[0]].device
    for i in range(len(stream)):
        rig, time = sample.metas[int(stream.sample_index[i])].true_rig, int(stream.true_capture_times[i])
        twist = rig_twist(rig, stream.frame, time)
        moving = radar_velocity(sample, stream, i) if twist is None else twist[0]
        sensor = rig.sensors.get(stream.instance(name))
        if moving is not None and (sensor is None or sensor.frame == stream.frame):  # rays start at the radar
            own[stream.item_slice(i)] = moving
    ray, _ = rays_of(dict(stream.values))
    gap = (ray * own.to(device)).sum(1, keepdim=True) * ray
    known = stream[given[0]].to(torch.float64)
    missing = known + gap if given == ["velocity"] else known - gap
    other = next(c for c in VELOCITIES if c not in given)
    return stream.with_values(**{other: missing.to(stream[given[0]].dtype)})
