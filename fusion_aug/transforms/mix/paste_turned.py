"""An object seen from another side: what a donor's picture shows of it, drawn into another camera."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch

from calib.se3 import invert, transform_points
from calib.ties import nearest_whole
from fusion_aug.sample import Sample
from fusion_aug.transforms.mix.paste_clouds import seconds_of
from fusion_aug.transforms.mix.paste_crops import Crop, Rectangle, rectangle_of
from fusion_aug.transforms.mix.paste_masks import object_mask
from fusion_aug.transforms.mix.paste_objects import Boxed, Solid
from fusion_aug.transforms.mix.seams import camera_streams

Array = np.ndarray
EDGE = 2  # pixels that an object keeps from the edges of the picture that it is taken from
CLOSED = 5  # pixels of gaps that a nearer view leaves between those of the picture


class Turned(NamedTuple):
    """What a rectangle shows of an object that was turned.

    Attributes:
        mask: (h, w) bool. distance: (h, w) float32, metres along the rays. at: (h, w, 2) float32, pixel of the
            donor's crop that is seen there.
    """

    mask: Array
    distance: Array
    at: Array


def source_of(donor: Sample, solid: Solid) -> str | None:
    """The camera stream whose key picture shows all of an object, the largest of several; None where none does."""
    unturned = Boxed(donor).solid(solid.row, solid.ground)
    best: tuple[int, str] | None = None
    for name in camera_streams(donor):
        item = donor.key_item(name)
        where = rectangle_of(donor, name, item, unturned, seconds_of(donor, name, item), 0.0)
        height, width = donor.true_rig.camera(donor[name].instance(name)).size
        if (
            where is None
            or min(where.top, where.left) < EDGE
            or where.bottom > height - EDGE
            or where.right > width - EDGE
        ):
            continue
        area = where.size[0] * where.size[1]
        if best is None or area > best[0]:
            best = area, name
    return None if best is None else best[1]


def source_crop(donor: Sample, name: str, solid: Solid) -> Crop:
    """The rectangle of a donor's picture that shows an object."""
    unturned = Boxed(donor).solid(solid.row, solid.ground)
    item = donor.key_item(name)
    where = rectangle_of(donor, name, item, unturned, seconds_of(donor, name, item), 0.5)
    assert where is not None
    return Crop(donor, name, item, where)


def turned_view(crop: Crop, solid: Solid, here: Crop, seconds: float) -> Turned:
    """Draw what a donor's picture shows of an object as another camera sees it where it was turned to.

    Its pixels are thrown onto the new canvas, the nearest wins; gaps between them are closed; then every new pixel
    looks up where the surface that it shows was seen.

    Args:
        crop: of the donor. solid: object. here: rectangle of the receiving picture, taken ``seconds`` after the boxes.
    """
    taken = seconds_of(crop.sample, crop.name, crop.item)
    mask = object_mask(crop, solid, crop.within(solid, taken))
    T_cam_ref = invert(torch.from_numpy(here.T_ref_cam)).numpy()
    # from the donor's camera through the object, which moves between the two pictures, to the receiver's
    moved = solid.placed(seconds) @ np.linalg.inv(solid.pose_at(taken))
    T = torch.from_numpy(T_cam_ref @ moved @ crop.T_ref_cam)
    local = torch.from_numpy((crop.rays[mask] * crop.distance[mask][:, None]).astype(np.float64))
    places = transform_points(T, local)
    pixels, _ = here.sensor.project(places)
    shown = here.sensor.model.valid(places).numpy() & np.isfinite(pixels.numpy()).all(1)
    far = np.linalg.norm(places.numpy(), axis=1)[shown]
    distance = _closed(_splat(pixels.numpy()[shown], far, here.where))
    seen = distance > 0
    back = here.rays * distance[..., None]
    old = transform_points(invert(T), torch.from_numpy(back[seen].astype(np.float64)))
    at = np.zeros((*distance.shape, 2), np.float32)
    at[seen] = crop.sensor.project(old)[0].numpy()
    whole = cv2.remap(mask.astype(np.float32), at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=0)
    return Turned(seen & (whole >= 0.5), distance, at)


def _splat(pixels: Array, far: Array, where: Rectangle) -> Array:
    """(h, w) smallest distance of what falls on every pixel or beside it; 0 where nothing does."""
    height, width = where.size
    out = np.full(height * width, np.inf)
    base = np.floor(pixels + 1e-6).astype(np.int64)
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)):
        u, v = base[:, 0] + du, base[:, 1] + dv
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        np.minimum.at(out, (v * width + u)[inside], np.round(far[inside], 6))
    out[np.isinf(out)] = 0.0
    return out.reshape(height, width).astype(np.float32)


def _closed(distance: Array) -> Array:
    """Distances with small gaps filled from the nearest beside them."""
    known = (distance > 0).astype(np.uint8)
    kernel = np.ones((CLOSED, CLOSED), np.uint8)
    filled = cv2.morphologyEx(known, cv2.MORPH_CLOSE, kernel) > known
    inverse = np.where(known > 0, 1 / np.maximum(distance, 1e-6), 0).astype(np.float32)
    nearest = cv2.dilate(inverse, kernel)
    return np.where(filled & (nearest > 0), 1 / np.maximum(nearest, 1e-6), distance).astype(np.float32)


def looked_up(picture: Array, turned: Turned, *, nearest: bool = False) -> Array:
    """What a donor's crop (h', w', ...) shows, on the pixels of the new view."""
    if nearest:
        u, v = (nearest_whole(turned.at[..., k].astype(np.float64)).astype(int) for k in (0, 1))
        found: Array = picture[v.clip(0, picture.shape[0] - 1), u.clip(0, picture.shape[1] - 1)]
        return found
    mode = cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(picture, turned.at[..., 0], turned.at[..., 1], cv2.INTER_LINEAR, borderMode=mode))
