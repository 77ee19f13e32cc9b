"""Drawing a sample: every camera with points coloured by range and boxes, and a bird's-eye view beside."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.logs.core.files import write_image
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.ops.color import shown_levels
from fusion_aug.sample import Sample
from fusion_aug.sample.ego import with_both_velocities
from fusion_aug.sample.sensors import scans
from fusion_aug.show.labels import draw_legend, label_colours, occupancy_from_above, point_labels, tint_with_mask
from fusion_aug.show.map_lines import draw_map, draw_map_from_above
from fusion_aug.show.paths import draw_paths, draw_paths_from_above
from fusion_aug.streams import Boxes3D, Radar

TILE = 560  # width of a camera picture, pixels; a single camera gets twice that
BIRD = 560  # side of the bird's-eye view, at least
REACH = 45.0  # metres from its middle to its edge
EDGES = [(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (0, 4), (1, 5), (2, 6), (3, 7)]
COLOURS = {"vehicle": (255, 170, 30), "car": (255, 170, 30), "human": (90, 220, 255), "pedestrian": (90, 220, 255)}
OTHER = (170, 235, 120)
INK, PAPER = (235, 235, 235), (24, 26, 30)


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a drawn picture as PNG or JPEG; it appears under its name when it is whole."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")  # of the same suffix, which says how it is encoded
    try:
        with naming_output(part):
            write_image(torch.from_numpy(picture), part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)


def camera_tile(sample: Sample, name: str, overlay: bool = True, width: int = TILE) -> np.ndarray:
    """One camera's key picture, and over it its mask, map, points, trajectories and boxes, or nothing."""
    item = sample.key_item(name)
    picture = sample[name].image(item)  # type: ignore[attr-defined]
    image = shown_levels(picture).numpy()
    scale = width / image.shape[1]
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    image = np.ascontiguousarray(image)
    if overlay:
        tint_with_mask(image, sample, name, item)
        draw_map(image, sample, name, scale)
        for cloud in lidars(sample):
            _draw_points(image, sample, cloud, name, scale)
        draw_paths(image, sample, name, scale)
        for boxes in sample.of_type(Boxes3D).values():
            _draw_boxes(image, sample, boxes, name, scale)
    label(image, name)
    return image


def birds_eye(sample: Sample, side: int = BIRD) -> np.ndarray:
    """Occupancy, map, points, trajectories and boxes from above, in the reference frame: x up, y left.

    Args:
        sample: one sample. side: of the picture, pixels.
    """
    image = np.full((side, side, 3), PAPER, np.uint8)
    per_metre = side / 2 / REACH
    for ring in (10, 20, 30, 40):
        cv2.circle(image, (side // 2, side // 2), round(ring * per_metre), (52, 56, 62), 1, cv2.LINE_AA)

    def pixel(xy: np.ndarray) -> np.ndarray:
        return np.stack([side / 2 - xy[:, 1] * per_metre, side / 2 - xy[:, 0] * per_metre], 1)

    def place(pixels: np.ndarray) -> np.ndarray:
        return (side / 2 - pixels[:, ::-1]) / per_metre

    occupancy_from_above(image, sample, place)
    draw_map_from_above(image, sample, pixel)
    for cloud in lidars(sample):
        xyz = key_points(sample, cloud).numpy()
        finite = np.isfinite(xyz).all(1)
        uv = np.round(pixel(xyz[finite])).astype(int)
        colour = point_colours(sample, cloud, xyz)[finite]
        inside = ((uv >= 0) & (uv < side)).all(1)
        image[uv[inside, 1], uv[inside, 0]] = colour[inside]
    draw_paths_from_above(image, sample, pixel)
    for boxes in sample.of_type(Boxes3D).values():
        for pose, size, velocity, category in _rows(boxes):
            corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * size[:2] / 2
            flat = corners @ pose[:2, :2].T + pose[:2, 3]
            cv2.polylines(
                image, [np.round(pixel(flat)).astype(np.int32)], True, category_colour(category), 1, cv2.LINE_AA
            )
            nose = np.stack([pose[:2, 3], pose[:2, 3] + pose[:2, 0] * size[0] / 2])
            a, b = _whole(pixel(nose)).tolist()
            cv2.line(image, a, b, category_colour(category), 1, cv2.LINE_AA)
            if np.isfinite(velocity).all() and np.linalg.norm(velocity[:2]) > 0.3:
                a, b = _whole(pixel(np.stack([pose[:2, 3], pose[:2, 3] + velocity[:2]]))).tolist()
                cv2.arrowedLine(image, a, b, INK, 1, cv2.LINE_AA)
    for name in sample.of_type(Radar):
        _draw_radar(image, sample, name, pixel)
    cv2.arrowedLine(image, (side // 2, side // 2), (side // 2, side // 2 - round(4 * per_metre)), INK, 2, cv2.LINE_AA)
    draw_legend(image, sample)
    label(image, f"from above, x up, {REACH:g} m, arrows: velocity of 1 s")
    return image


def _draw_radar(image: np.ndarray, sample: Sample, name: str, pixel: object) -> None:
    item = sample.key_item(name)
    cloud = with_both_velocities(sample, name)
    rows = cloud.item_slice(item)
    T = sample.T_ref(name, item).numpy()
    start = cloud["xyz"][rows].numpy().astype(np.float64) @ T[:3, :3].T + T[:3, 3]
    # of a velocity that is not known no line is drawn
    stop = start + cloud["velocity_comp"][rows].nan_to_num(0.0).numpy() @ T[:3, :3].T
    ends = (_whole(pixel(xyz)).tolist() for xyz in (start, stop))  # type: ignore[operator]
    for a, b in zip(*ends, strict=True):
        cv2.circle(image, a, 3, (255, 90, 160), 1, cv2.LINE_AA)
        cv2.line(image, a, b, (255, 90, 160), 1, cv2.LINE_AA)


def lidars(sample: Sample) -> list[str]:
    """Names of the LiDAR streams."""
    return list(scans(sample.streams))


def key_points(sample: Sample, name: str) -> Tensor:
    """Points (n, 3) of a cloud's key item in the reference frame."""
    key = sample.take_key(name)
    return sample.with_streams({name: key}).points(name)["xyz"]


def _draw_points(image: np.ndarray, sample: Sample, cloud: str, camera: str, scale: float) -> None:
    xyz = key_points(sample, cloud)
    uv, visible = sample.project_ref(xyz, camera)
    pixels = (uv[visible].numpy() + 0.5) * scale - 0.5
    colour = point_colours(sample, cloud, xyz.numpy())[visible.numpy()]
    for (u, v), c in zip(np.round(pixels).astype(int).tolist(), colour.tolist(), strict=True):
        cv2.circle(image, (u, v), 1, c, -1)


def _draw_boxes(image: np.ndarray, sample: Sample, boxes: Boxes3D, camera: str, scale: float) -> None:
    """Edges, cut into short pieces so that distortion bends them and nothing behind the camera is drawn."""
    corners = boxes.corners()
    starts, ends = (corners[:, list(side), None] for side in zip(*EDGES, strict=True))
    steps = torch.linspace(0, 1, 17, dtype=torch.float64)[:, None]
    uv, visible = sample.project_ref(starts + steps * (ends - starts), camera)
    pixels = _whole((uv.numpy() + 0.5) * scale - 0.5)
    colours = [category_colour(category) for _, _, _, category in _rows(boxes)]
    for box, edge, i in (visible[..., 1:] & visible[..., :-1]).nonzero().tolist():
        a, b = pixels[box, edge, i : i + 2].tolist()
        cv2.line(image, a, b, colours[box], 1, cv2.LINE_AA)


def _rows(boxes: Boxes3D) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, str]]:
    v = boxes.values
    n = len(v["pose"])
    velocity = v.get("velocity", torch.full((n, 3), float("nan")))
    category = v.get("category", np.full(n, ""))
    return list(zip(v["pose"].numpy(), v["size"].numpy(), velocity.numpy(), category, strict=True))


def category_colour(category: str) -> tuple[int, int, int]:
    """Colour of a box, RGB levels."""
    return COLOURS.get(category.split(".")[0].lower(), OTHER)


def point_colours(sample: Sample, cloud: str, xyz: np.ndarray) -> np.ndarray:
    """RGB levels (n, 3) of the points of a cloud's key item: by their classes where they have some, else by range."""
    labels = point_labels(sample.take_key(cloud))  # type: ignore[arg-type]
    return range_colours(np.linalg.norm(xyz, axis=1)) if labels is None else label_colours(labels)


def range_colours(distance: np.ndarray) -> np.ndarray:
    """RGB levels (n, 3) of distances: red is near, blue is 60 m."""
    level = np.clip(255 * (1 - distance / 60), 0, 255).astype(np.uint8)
    return cv2.applyColorMap(level[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1]


def _whole(pixels: np.ndarray) -> np.ndarray:
    """Whole pixels (..., 2) that OpenCV takes, also of points that a camera does not see, which are not drawn."""
    return np.clip(np.round(np.nan_to_num(pixels)), -30000, 30000).astype(int)


def label(image: np.ndarray, text: str) -> None:
    """Write into the upper left corner."""
    cv2.rectangle(image, (0, 0), (10 + 8 * len(text), 20), PAPER, -1)
    cv2.putText(image, text, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)


def banner(text: str, width: int) -> np.ndarray:
    """A strip with a line of text, cut where it is too long."""
    most = width // 9
    text = text if len(text) <= most else text[: max(0, most - 3)] + "..."
    image = np.full((28, width, 3), PAPER, np.uint8)
    cv2.putText(image, text, (8, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    return image


def fitted(image: np.ndarray, height: int) -> np.ndarray:
    """Return a picture with a dark strip below, at a given height."""
    return np.pad(image, ((0, height - image.shape[0]), (0, 0), (0, 0)), constant_values=24)


__all__ = ["birds_eye", "camera_tile", "save_picture"]
