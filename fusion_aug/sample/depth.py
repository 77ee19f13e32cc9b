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
from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.completion import SKY_DISTANCE, Completion, complete_distances
from fusion_aug.physics.ground import fit_ground
from fusion_aug.physics.spread import fill_gaps
from fusion_aug.sample.cell_directions import cell_directions
from fusion_aug.sample.depth_settings import AS_USUAL, DepthSettings
from fusion_aug.sample.sample import Sample
from fusion_aug.sample.seen_points import key_scan, projected, seen_points
from fusion_aug.sample.sensors import scans
from fusion_aug.sample.upright import quarter_turns, turned
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Depth, ImageStream, Stream

DEPTH_GAP = 20_000_000  # ns by which depth may be older or newer than the picture that it serves

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


def camera_range(sample: Sample, name: str, item: int, settings: DepthSettings = AS_USUAL) -> Tensor:
    """Distance along the ray of every pixel of a picture.

    Args:
        sample: one sample or a batch.
        name: camera stream. item: which of its pictures. settings: how distances are completed.

    Returns:
        (H, W) float32 on the CPU, metres, on the canvas; ``SKY_DISTANCE`` where nothing is near.

    Raises:
        DataError: the sample has neither a depth stream of that camera nor a LiDAR.
    """
    return torch.from_numpy(camera_depth(sample, name, item, settings).distance)


def camera_depth(sample: Sample, name: str, item: int, settings: DepthSettings = AS_USUAL) -> Completion:
    """Distance of every pixel of a picture, and how well it is known: 1 by a depth stream or near a LiDAR point.

    A depth stream goes before all settings.

    Raises:
        DataError: the sample has neither a depth stream of that camera nor a LiDAR with an item that was not dropped.
    """
    stream = sample[name]
    index = int(stream.sample_index[item])
    known = [*sample.of_type(Depth).values(), *(sample[n] for n in lidars_of(sample, index))]
    inputs: list[object] = [sample.metas[index].true_rig, *known]
    return cached_with_stream(stream, (item, settings), inputs, lambda: _camera_depth(sample, name, item, settings))


def _camera_depth(sample: Sample, name: str, item: int, settings: DepthSettings) -> Completion:
    stream = sample[name]
    index = int(stream.sample_index[item])
    given = depth_item_of(sample, name, item)
    if given is not None:
        known: Depth = sample[given[0]]  # type: ignore[assignment]
        distance = known.image(given[1]).to("cpu", torch.float32)
        if known.measure == "z":
            sensor = sample.metas[index].true_rig.camera(stream.instance(name))
            distance = distance / sensor.cosines().clamp(min=1e-6).to(distance)
        turns = _upright(sample, name, item)[1]
        return _turned_back(_without_gaps(np.rot90(distance.numpy(), turns)), turns)
    if not lidars_of(sample, index):
        raise DataError(
            f"stream {name!r}: needs depth: a Depth stream of the camera, or a LiDAR (put ModalityDropout behind it)"
        )
    return _completed(sample, name, item, settings)


def is_given(sample: Sample, name: str, item: int) -> bool:
    """Whether a depth stream tells the distances of a picture."""
    return depth_item_of(sample, name, item) is not None


def _completed(sample: Sample, name: str, item: int, settings: DepthSettings) -> Completion:
    camera, turns = _upright(sample, name, item)
    inputs, who = completion_inputs(sample, name, item), f"stream {name!r}"
    refine = settings.refine and settings.depth is None  # which brings edges of its own
    found = complete_distances(**inputs, refine=refine, sky=settings.known_sky(inputs, who))
    return _turned_back(settings.with_depth(found, inputs, camera, who), turns)


def _upright(sample: Sample, name: str, item: int) -> tuple[CameraSensor, int]:
    """The camera of a picture with its canvas upright, and the quarter turns to the left that make it so."""
    stream = sample[name]
    index, time = int(stream.sample_index[item]), int(stream.true_capture_times[item])
    meta = sample.metas[index]
    sensor = meta.true_rig.camera(stream.instance(name))
    T = meta.T_ref(stream.frame, time, true_rig=True).numpy()
    turns = quarter_turns(sensor, T[:3, :3].T @ T_up_ref(sample, index)[2, :3])
    return turned(sensor, turns), turns


def _turned_back(found: Completion, turns: int) -> Completion:
    return Completion(*(np.ascontiguousarray(np.rot90(part, -turns)) for part in found))


def lidars_of(sample: Sample, index: int) -> list[str]:
    """LiDAR streams of a sample that have an item which was not dropped."""
    return [n for n, s in scans(sample.streams).items() if bool(((s.sample_index == index) & s.present).any())]


def completion_inputs(sample: Sample, name: str, item: int) -> dict[str, Any]:
    """What the completion of a picture's distances is given, by the names of ``complete_distances``' arguments.

    The canvas stands upright, whatever way the picture lies.

    Args:
        sample: one sample or a batch, with a LiDAR that has an item at the picture's index.
        name: camera stream. item: which of its pictures.
    """
    stream = sample[name]
    sensor, turns = _upright(sample, name, item)
    pixels, distance = seen_points(sample, lidars_of(sample, int(stream.sample_index[item])), name, item, sensor)
    picture = _guide_of(stream, item) if isinstance(stream, ImageStream) else None
    return {
        "pixels": pixels, "distance": distance, "size": sensor.size,
        "picture": None if picture is None else np.ascontiguousarray(np.rot90(picture, turns)),
        "directions": _directions(sample, name, item, sensor),
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
        return ground_of(points_around(sample, index), T_up_ref(sample, index))

    inputs = [sample.metas[index].true_rig, *(sample[n] for n in lidars)]
    return cached_with_stream(sample[lidars[0]], ("ground", index), inputs, fitted)


def points_around(sample: Sample, index: int) -> np.ndarray:
    """Points (n, 3) of the key items of all LiDARs of a sample, at least one, in the reference frame, metres."""
    return np.concatenate([_in_ref(sample, n, index) for n in lidars_of(sample, index)])


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
        xyz, T_cam_lidar = key_scan(sample, lidar, name, item)
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
        return complete_distances(np.stack([u, v], 1).astype(float), distance[known].astype(float), size)
    inverse = np.where(known, 1 / np.maximum(distance, 1e-6), 1 / SKY_DISTANCE).astype(np.float32)
    return Completion(1.0 / np.maximum(fill_gaps(inverse, sure), np.float32(1.0 / SKY_DISTANCE)), sure)


def depth_item_of(sample: Sample, name: str, item: int) -> tuple[str, int] | None:
    """The depth stream and its item that tell the distances of a picture: those of its camera nearest to it in time.

    Depth of another camera that is the same one by its frame, lens and pixels serves too. None where there is none.
    """
    stream = sample[name]
    camera, index = stream.instance(name), int(stream.sample_index[item])
    time, rig = int(stream.true_capture_times[item]), sample.metas[index].true_rig
    best: tuple[int, bool, str, int] | None = None
    for given, depth in sample.of_type(Depth).items():
        own = depth.instance(given)
        if own != camera and not _sees_the_same(rig.sensors.get(own), rig.camera(camera)):
            continue
        here = ((depth.sample_index == index) & depth.present).nonzero()[:, 0]
        gaps = (depth.true_capture_times[here] - time).abs()
        if len(here) and int(gaps.min()) <= DEPTH_GAP:
            nearest = (int(gaps.min()), own != camera, given, int(here[int(gaps.argmin())]))
            best = nearest if best is None or nearest[:2] < best[:2] else best
    return None if best is None else best[2:]


def _sees_the_same(a: Sensor | None, b: CameraSensor) -> bool:
    """Whether two cameras of a log are one and the same, such as the left camera of a pair and its colour picture."""
    if not isinstance(a, CameraSensor) or isinstance(a.model, UnknownLens) or type(a.model) is not type(b.model):
        return False
    numbers = ((a.A, b.A), (a.model.K, b.model.K), (a.model.distortion, b.model.distortion))
    same = a.frame == b.frame and a.size == b.size
    return same and all(x.shape == y.shape and torch.allclose(x, y, rtol=1e-6, atol=1e-9) for x, y in numbers)


__all__ = [
    "SKY_DISTANCE",
    "camera_depth",
    "camera_range",
    "completion_inputs",
    "ground_of",
    "ground_plane",
    "lidars_of",
    "points_around",
    "projected",
]
