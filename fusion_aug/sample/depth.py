"""Distance of what a camera sees: from a depth stream, else from the LiDAR's points, filled in between."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, ref

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, UnknownLens
from calib.se3 import transform_points
from calib.sensors import Sensor
from fusion_aug.errors import DataError
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.physics.completion import SKY_DISTANCE, Completion, complete_distances
from fusion_aug.physics.ground import fit_ground
from fusion_aug.physics.spread import fill_gaps
from fusion_aug.sample.cell_directions import CellDirections, cell_directions
from fusion_aug.sample.sample import Sample
from fusion_aug.sample.sensors import scans
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Depth, ImageStream, Stream

DEPTH_GAP = 20_000_000  # ns by which depth may be older or newer than the picture that it serves
TOP_RINGS = 0.03  # radians below its highest point that count as the upper end of a scanner's view

# by stream and question: the inputs of the answer and the answer; only the last. An input may be the stream itself, so
# that a reference to it that counts would keep the entry for ever.
_CACHE: WeakKeyDictionary[Stream, dict[Hashable, tuple[list[ref[Any]], Any]]] = WeakKeyDictionary()
MOST_BYTES = 2**26  # of answers of one stream
T = TypeVar("T")


def cached_with_stream(owner: Stream, question: Hashable, inputs: list[object], compute: Callable[[], T]) -> T:
    """The result of ``compute``, cached with a stream for as long as the inputs are the same objects.

    Args:
        owner: the stream; the cache lives as long as it. question: key of the result.
        inputs: objects that the result depends on. compute: called where they are not those of the last call; the
            result must not refer to the stream.
    """
    known = _CACHE.setdefault(owner, {})
    last = known.get(question)
    if last is None or len(last[0]) != len(inputs) or any(a() is not b for a, b in zip(last[0], inputs, strict=True)):
        known.pop(question, None)
        known[question] = last = [ref(i) for i in inputs], compute()
        while len(known) > 1 and sum(_size(answer) for _, answer in known.values()) > MOST_BYTES:
            known.pop(next(iter(known)))  # of the pictures of a long recording those that were asked for last
    answer: T = last[1]
    return answer


def _size(answer: Any) -> int:
    parts = answer if isinstance(answer, tuple) else (answer,)
    return sum(int(getattr(p, "nbytes", 0)) for p in parts)


def camera_range(sample: Sample, name: str, item: int) -> Tensor:
    """Distance along the ray of every pixel of a picture.

    Args:
        sample: one sample or a batch.
        name: camera stream. item: which of its pictures.

    Returns:
        (H, W) float32 on the CPU, metres, on the canvas; ``SKY_DISTANCE`` where nothing is near.

    Raises:
        DataError: the sample has neither a depth stream of that camera nor a LiDAR.
    """
    return torch.from_numpy(camera_depth(sample, name, item).distance)


def camera_depth(sample: Sample, name: str, item: int) -> Completion:
    """Distance of every pixel of a picture, and how well it is known: 1 by a depth stream or near a LiDAR point.

    Raises:
        DataError: the sample has neither a depth stream of that camera nor a LiDAR with an item that was not dropped.
    """
    stream = sample[name]
    index, time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
    sensor = sample.metas[index].true_rig.camera(stream.instance(name))
    depth = _nearest_depth(sample, stream.instance(name), index, time)
    if depth is not None:
        picture, measure = depth
        distance = picture.to("cpu", torch.float32)
        if measure == "z":
            distance = distance / sensor.unproject(pixel_grid(sensor.size))[..., 2].clamp(min=1e-6).to(distance)
        return _without_gaps(distance.numpy())
    lidars = lidars_of(sample, index)
    if not lidars:
        raise DataError(
            f"stream {name!r}: needs depth: a Depth stream of the camera, or a LiDAR (put ModalityDropout behind it)"
        )
    inputs: list[object] = [sample.metas[index].true_rig, *(sample[n] for n in lidars)]
    return cached_with_stream(stream, item, inputs, lambda: complete_distances(**completion_inputs(sample, name, item)))


def lidars_of(sample: Sample, index: int) -> list[str]:
    """LiDAR streams of a sample that have an item which was not dropped."""
    return [n for n, s in scans(sample.streams).items() if bool(((s.sample_index == index) & s.present).any())]


def completion_inputs(sample: Sample, name: str, item: int) -> dict[str, Any]:
    """What the completion of a picture's distances is given, by the names of ``complete_distances``' arguments.

    Args:
        sample: one sample or a batch, with a LiDAR that has an item at the picture's index.
        name: camera stream. item: which of its pictures.
    """
    stream = sample[name]
    index = int(stream.sample_index[item])
    sensor = sample.metas[index].true_rig.camera(stream.instance(name))
    found = [projected(sample, lidar, name, item) for lidar in lidars_of(sample, index)]
    pixels, distance, at_top = (np.concatenate(parts) for parts in zip(*found, strict=True))
    guide = None if not isinstance(stream, ImageStream) else _guide_of(stream, item)
    return {
        "pixels": pixels, "distance": distance, "at_top": at_top, "size": sensor.size, "picture": guide,
        **_directions(sample, name, item, sensor)._asdict(),
    }  # fmt: skip


def _guide_of(stream: ImageStream, item: int) -> np.ndarray | None:
    """A picture as uint8 levels or float32 from 0 to 1; None where its values have no range."""
    picture = stream.image(item).detach().cpu().contiguous()
    white = stream.white(picture)
    if white is not None and picture.dtype != torch.uint8:
        picture = picture.to(torch.float32) / white
    return None if white is None else picture.numpy()


def ground_plane(sample: Sample, index: int) -> np.ndarray | None:
    """The ground plane n . x + d = 0 as (4,) in a sample's reference frame; None where no LiDAR sees it."""
    lidars = lidars_of(sample, index)
    if not lidars:
        return None

    def fitted() -> np.ndarray | None:
        return ground_of(np.concatenate([_in_ref(sample, n, index) for n in lidars]), T_up_ref(sample, index))

    inputs = [sample.metas[index].true_rig, *(sample[n] for n in lidars)]
    return cached_with_stream(sample[lidars[0]], ("ground", index), inputs, fitted)


def ground_of(xyz: np.ndarray, T_up: np.ndarray) -> np.ndarray | None:
    """The plane of the ground among points (n, 3), in their own frame, (4,).

    Args:
        xyz: metres. T_up: (4, 4) from their frame to axes whose z points up, about the vehicle.
    """
    plane = fit_ground(xyz @ T_up[:3, :3].T + T_up[:3, 3])
    if plane is None:
        return None
    normal = T_up[:3, :3].T @ plane[:3]
    return np.append(normal, plane[3] + plane[:3] @ T_up[:3, 3])


def _in_ref(sample: Sample, lidar: str, index: int) -> np.ndarray:
    """Points (n, 3) of a LiDAR's key item in the reference frame."""
    key = sample.key_item(lidar, index)
    cloud = sample[lidar].realized()
    T = sample.metas[index].T_ref(cloud.frame, int(cloud.true_capture_times[key]), true_rig=True)
    rows = cloud.item_slice(key)  # type: ignore[attr-defined]
    return transform_points(T, cloud["xyz"][rows].detach().to("cpu", torch.float64)).numpy()


def _directions(sample: Sample, name: str, item: int, sensor: CameraSensor) -> CellDirections:
    """Where the cells of the completion's grid look."""
    stream = sample[name]
    index, time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
    up = T_up_ref(sample, index)[2, :3]
    scans = []
    for lidar in lidars_of(sample, index):
        xyz, T_cam_lidar = _key_scan(sample, lidar, name, item)
        scans.append((xyz.numpy(), T_cam_lidar[:3, :3].T.numpy()))
    T = sample.metas[index].T_ref(stream.frame, time, true_rig=True).numpy()
    return cell_directions(sensor, T, up, ground_plane(sample, index), scans)


def _without_gaps(distance: np.ndarray) -> Completion:
    """Distances with the sky far away and unknown pixels (0 or NaN) filled in from their surroundings."""
    known = (distance > 0) & (distance < np.inf)
    if known.all():
        return Completion(distance, known.astype(np.float32))
    sky = np.isposinf(distance)
    sure = (known | sky).astype(np.float32)
    if sure.all():
        return Completion(np.where(sky, np.float32(SKY_DISTANCE), distance), sure)
    size = (distance.shape[0], distance.shape[1])
    if known.mean() < 0.5 and not sky.any():  # points rather than a picture
        v, u = known.nonzero()
        return complete_distances(
            np.stack([u, v], 1).astype(float), distance[known].astype(float), np.zeros(len(u), bool), size
        )
    inverse = np.where(known, 1 / np.maximum(distance, 1e-6), 1 / SKY_DISTANCE).astype(np.float32)
    return Completion(1.0 / np.maximum(fill_gaps(inverse, sure), np.float32(1.0 / SKY_DISTANCE)), sure)


def _nearest_depth(sample: Sample, camera: str, index: int, time: int) -> tuple[Tensor, str] | None:
    """The picture of a depth stream of a camera that is nearest to a stamp, and what it measures.

    Depth of another camera that is the same one by its frame, lens and pixels serves too.
    """
    rig = sample.metas[index].true_rig
    best: tuple[int, bool, ImageStream, int] | None = None
    for name, stream in sample.of_type(Depth).items():
        own = stream.instance(name)
        if own != camera and not _sees_the_same(rig.sensors.get(own), rig.camera(camera)):
            continue
        here = ((stream.sample_index == index) & stream.present).nonzero()[:, 0]
        gaps = (stream.true_capture_times[here] - time).abs()
        if len(here) and int(gaps.min()) <= DEPTH_GAP:
            nearest = (int(gaps.min()), own != camera, stream, int(here[int(gaps.argmin())]))
            best = nearest if best is None or nearest[:2] < best[:2] else best
    return None if best is None else (best[2].image(best[3]), best[2].measure)  # type: ignore[attr-defined]


def _sees_the_same(a: Sensor | None, b: CameraSensor) -> bool:
    """Whether two cameras of a log are one and the same, such as the left camera of a pair and its colour picture."""
    if not isinstance(a, CameraSensor) or isinstance(a.model, UnknownLens) or type(a.model) is not type(b.model):
        return False
    numbers = ((a.A, b.A), (a.model.K, b.model.K), (a.model.distortion, b.model.distortion))
    same = a.frame == b.frame and a.size == b.size
    return same and all(x.shape == y.shape and torch.allclose(x, y, rtol=1e-6, atol=1e-9) for x, y in numbers)


def projected(sample: Sample, lidar: str, camera: str, item: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a LiDAR's key scan is seen in a picture.

    Args:
        sample: one sample or a batch. lidar, camera: streams. item: which picture.

    Returns:
        canvas pixels (n, 2), distance from the camera (n,), and whether points lie on the topmost rings (n,).
    """
    pictures = sample[camera]
    rig = sample.metas[int(pictures.sample_index[item])].true_rig
    xyz, T_cam_lidar = _key_scan(sample, lidar, camera, item)
    local = transform_points(T_cam_lidar, xyz)
    pixels, visible = rig.camera(pictures.instance(camera)).project(local)
    distance = torch.linalg.norm(local, dim=1)
    elevation = torch.atan2(xyz[:, 2], torch.linalg.norm(xyz[:, :2], dim=1))
    top = float(np.nanmax(elevation.numpy())) if bool(torch.isfinite(elevation).any()) else 0.0
    ends = elevation > top - TOP_RINGS
    return pixels[visible].numpy(), distance[visible].numpy(), ends[visible].numpy()


def _key_scan(sample: Sample, lidar: str, camera: str, item: int) -> tuple[Tensor, Tensor]:
    """Points (n, 3) of a LiDAR's key scan in its own frame, and ``T_camera_lidar`` (4, 4) at a picture's time."""
    pictures, clouds = sample[camera], sample[lidar].realized()
    index = int(pictures.sample_index[item])
    key = sample.key_item(lidar, index)
    T = sample.metas[index].true_rig.T(
        pictures.frame, clouds.frame, int(clouds.true_capture_times[key]), int(pictures.true_capture_times[item])
    )
    return clouds["xyz"][clouds.item_slice(key)].to("cpu", torch.float64), T  # type: ignore[attr-defined]


__all__ = [
    "SKY_DISTANCE",
    "camera_depth",
    "camera_range",
    "completion_inputs",
    "ground_of",
    "ground_plane",
    "lidars_of",
    "projected",
]
