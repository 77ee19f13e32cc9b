"""Where points are seen, worked out by NumPy, OpenCV and scipy from numbers alone.

The numbers are those of a rig (poses, K, distortion) and those that a history drew. Nothing of the package's own
projections, motions or pixel maps takes part, so that a mistake in them cannot hide itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

import fusion_aug as fa
from calib import CameraModel, KannalaBrandt, Rig
from fusion_aug.sample.history import History

Size = tuple[int, int]  # height, width
FLIP_X = np.diag([-1.0, 1, 1, 1])


# --- poses and lenses ------------------------------------------------------------------------------------------------
def pose(rig: Rig, a: str, b: str, time_a: int, time_b: int) -> np.ndarray:
    """``T_a_b`` (4, 4), frame a at one time (ns) and b at another: poses in parents multiplied up to the root."""

    def in_root(name: str, time: int) -> np.ndarray:
        T = np.eye(4)
        while (frame := rig.frames[name]).parent is not None:
            T, name = frame.at(time).numpy() @ T, frame.parent
        return T

    return np.linalg.solve(in_root(a, time_a), in_root(b, time_b))


def moved(T: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) under a (4, 4)."""
    return points @ T[:3, :3].T + T[:3, 3]


def mapped(P: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) under a homography (3, 3)."""
    uvw = np.c_[pixels, np.ones(len(pixels))] @ P.T
    return uvw[:, :2] / uvw[:, 2:]


def lens_pixels(model: CameraModel, points: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) of points (n, 3) in the camera's frame; NaN where a lens of its kind surely images nothing.

    OpenCV bends the rays, K is applied by hand (OpenCV has no skew). Its fisheye stops at 90 degrees off the axis, so
    that lens is written out: r = theta (1 + k1 theta^2 + k2 theta^4 + ...).
    """
    K, D = model.K.numpy(), model.distortion.numpy()
    angle = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])
    if isinstance(model, KannalaBrandt):
        bent = angle * np.polyval([*D[::-1], 1.0], angle**2)
        flat = points[:, :2] * (bent / np.hypot(points[:, 0], points[:, 1]))[:, None]
        flat[angle > np.radians(100)] = np.nan
    else:
        flat = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), D if len(D) else None)[0][:, 0]
        flat[angle > np.radians(60)] = np.nan
    return flat @ K[:2, :2].T + K[:2, 2]


def in_camera(sample: fa.Sample, camera: str, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) of the reference frame in a camera's frame when it took its only picture, by what the data obey."""
    (time,) = sample[camera].true_capture_times.tolist()
    return moved(pose(sample.true_rig, sample[camera].frame, sample.ref.frame, time, sample.ref.time), points)


def seen(sample: fa.Sample, camera: str, points: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) where a sample's calibration puts points of its reference frame, NaN outside the canvas."""
    sensor = sample.true_rig.camera(camera)
    physical = lens_pixels(sensor.model, in_camera(sample, camera, points))
    return on_canvas(mapped(sensor.A.numpy(), physical), sensor.size)


def on_canvas(pixels: np.ndarray, size: Size) -> np.ndarray:
    """The pixels (n, 2) with NaN for those outside the canvas."""
    far = np.array([size[1], size[0]]) - 0.5
    return np.where(((pixels > -0.5) & (pixels < far)).all(1, keepdims=True), pixels, np.nan)


def cloud(sample: fa.Sample, name: str) -> np.ndarray:
    """(n, 3) points of the key sweep of a LiDAR in the reference frame, by what the data obey."""
    stream = sample[name]
    times = stream.true_capture_times.numpy()
    item = int(np.abs(times - sample.ref.time).argmin())
    rows = slice(*stream.bounds[item : item + 2].tolist())  # type: ignore[attr-defined]
    T = pose(sample.true_rig, sample.ref.frame, stream.frame, sample.ref.time, int(times[item]))
    return moved(T, stream["xyz"][rows].double().numpy())


# --- what a history drew ----------------------------------------------------------------------------------------------
def applied(history: History) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """Name and drawn numbers, by instance, of every transform of ours that a history applied."""
    return ((r.name.removeprefix("fusion_aug."), dict(r.params)) for r in history if r.applied)


def scene_step(name: str, drawn: dict[str, Any]) -> np.ndarray:
    """What one transform of the scene does to the reference frame (4, 4)."""
    step = np.eye(4)
    if name == "RotateScene":
        angles = [drawn[f"{a}_deg"] for a in ("yaw", "pitch", "roll")]
        step[:3, :3] = Rotation.from_euler("ZYX", angles, degrees=True).as_matrix()
    elif name in ("MirrorScene", "MirrorRobot"):
        step["xyz".index(drawn["axis"]), "xyz".index(drawn["axis"])] = -1
    elif name == "ScaleScene":
        step[:3, :3] *= drawn["scale"]
    elif name == "TranslateScene":
        step[:3, 3] = [drawn["x"], drawn["y"], drawn["z"]]
    return step


def motion(history: History) -> np.ndarray:
    """H (4, 4) of the reference frame."""
    H = np.eye(4)
    for name, drawn in applied(history):
        H = scene_step(name, drawn.get("", {})) @ H
    return H


def mounting(drawn: dict[str, Any]) -> np.ndarray:
    """E (4, 4) by which a sensor was moved about its own axes."""
    E = np.eye(4)
    E[:3, :3] = Rotation.from_euler("ZYX", [drawn[f"{a}_deg"] for a in "zyx"], degrees=True).as_matrix()
    E[:3, 3] = [drawn[a] for a in "xyz"]
    return E


def flip(width: int) -> np.ndarray:
    """(3, 3): u becomes width - 1 - u."""
    return np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])


def resize(by_u: float, by_v: float) -> np.ndarray:
    """(3, 3): the outer edges of a picture stay its outer edges, and pixel 0 has its centre half a pixel inside."""
    return np.array([[by_u, 0, by_u / 2 - 0.5], [0, by_v, by_v / 2 - 0.5], [0, 0, 1]])


def _window(p: dict[str, Any], size: Size) -> tuple[np.ndarray, Size]:
    goal, scale = tuple(p.get("size") or size), p.get("scale", 1.0)
    corner = [-round((scale * size[i] - goal[i]) * p[axis]) for i, axis in ((1, "x"), (0, "y"))]
    P = resize(scale, scale)
    P[:2, 2] += corner
    return P, goal


def _turned(p: dict[str, Any], size: Size) -> tuple[np.ndarray, Size]:
    # OpenCV turns counter-clockwise as seen
    centre = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    return np.vstack([cv2.getRotationMatrix2D(centre, -p["angle_deg"], 1.0), [0, 0, 1]]), size


def _perspective(p: dict[str, Any], size: Size) -> tuple[np.ndarray, Size]:
    """The homography (8 numbers by least squares) of the four corners."""
    far = np.array([size[1] - 1, size[0] - 1])
    old = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * far
    new = old + p["shifts"] * far
    rows = []
    for (x, y), (u, v) in zip(old, new, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -x * u, -y * u], [0, 0, 0, x, y, 1, -x * v, -y * v]]
    return np.append(np.linalg.lstsq(np.array(rows), new.ravel(), rcond=None)[0], 1).reshape(3, 3), size


PIXEL_MAPS: dict[str, Callable[[dict[str, Any], Size], tuple[np.ndarray, Size]]] = {
    "Resize": lambda p, s: (resize(p["size"][1] / s[1], p["size"][0] / s[0]), tuple(p["size"])),
    "ResizeCrop": _window,
    "Crop": _window,
    "Pad": lambda p, s: (
        np.array([[1.0, 0, p["left"]], [0, 1, p["top"]], [0, 0, 1]]),
        (s[0] + p["top"] + p["bottom"], s[1] + p["left"] + p["right"]),
    ),
    "FlipImage": lambda p, s: (flip(s[1]) if p["axis"] == "x" else flip(s[0])[[1, 0, 2]][:, [1, 0, 2]], s),
    "RotateImage": _turned,
    "PerspectiveImage": _perspective,
}


class Route(NamedTuple):
    """What a history does to one camera.

    Attributes:
        T: (4, 4) from the source camera's frame to where its lens sees things now; a scaled scene scales it.
        P: (3, 3) from its pixels to the canvas.
        size: (height, width) of the canvas.
        name: the camera's new name.
    """

    T: np.ndarray
    P: np.ndarray
    size: Size
    name: str


def route(history: History, camera: str, size: Size, partners: Mapping[str, str | None]) -> Route:
    """The way of a camera through a history, by the numbers it drew.

    The lens is followed as it was before any mirror, which flips the canvas alone; so it feels the mirror image of a
    turn that comes after.

    Args:
        history: what was done.
        camera: of the source.
        size: of its picture.
        partners: camera -> the one on the other side of the vehicle, None where there is none.
    """
    T, P, mirrored = np.eye(4), np.eye(3), False
    for kind, instances in applied(history):
        drawn = instances.get(camera, instances.get("", {}))
        if kind in PIXEL_MAPS:
            step, size = PIXEL_MAPS[kind](drawn, size)
            P = step @ P
        elif kind in ("MirrorScene", "MirrorRobot"):
            P, mirrored = flip(size[1]) @ P, not mirrored
            camera = (partners[camera] if drawn["axis"] == "y" else None) or camera
        elif kind == "ScaleScene":
            T = np.diag([*[drawn["scale"]] * 3, 1.0]) @ T
        elif kind == "Viewpoint" and any(fnmatchcase(camera, pattern) for pattern in drawn["sensors"] or "*"):
            E = FLIP_X @ mounting(drawn) @ FLIP_X if mirrored else mounting(drawn)
            T = np.linalg.inv(E) @ T
    return Route(T, P, size, camera)


def followed(source: fa.Sample, history: History, camera: str, points: np.ndarray) -> tuple[np.ndarray, str]:
    """What a camera of the source saw, carried through a history by the numbers it drew.

    Args:
        source: the sample before.
        history: what was done to it.
        camera: of the source.
        points: (n, 3) of the source's reference frame.

    Returns:
        pixels (n, 2) of the augmented picture, NaN where the source or that picture does not reach; the camera's new
        name.
    """
    sensor, partners = source.true_rig.camera(camera), {n: s.mirror_of for n, s in source.rig.sensors.items()}
    way = route(history, camera, sensor.size, partners)
    local = moved(way.T, in_camera(source, camera, points))
    pixels = on_canvas(mapped(way.P @ sensor.A.numpy(), lens_pixels(sensor.model, local)), way.size)
    return np.where(np.isfinite(seen(source, camera, points)), pixels, np.nan), way.name
