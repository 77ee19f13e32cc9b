"""The gel behind a tactile picture, and the surface that it shows."""

from __future__ import annotations

from torch import Tensor

from calib import GelModel
from fusion_aug.errors import DataError
from fusion_aug.physics.gel_inverse import ArrayMap, height_seen, rerendered
from fusion_aug.sample import Sample
from fusion_aug.streams import HeightMap, TactileImage

Gel = tuple[GelModel, Tensor, float]  # how it is lit, its picture without contact, mm per pixel


def gel_of(stream: TactileImage, item: int, name: str) -> Gel:
    """The gel of a picture.

    Raises:
        DataError: it is not known.
    """
    for field in ("gels", "backgrounds"):
        if not getattr(stream, field):
            key = {"gels": "gel", "backgrounds": "background"}[field]
            raise DataError(
                f"stream {name!r}: what its picture shows depends on the gel's own lights and its picture without "
                f"contact; give sensors.{name}.{key} in the rig file (fit_gel finds the lights)"
            )
    return stream.gels[item], stream.backgrounds[item], float(stream.mm_per_pixel[item])


def surface_of(stream: TactileImage, item: int, name: str, sample: Sample) -> Tensor:
    """The gel's surface (H, W) float32, mm: as recorded, else reconstructed from its picture."""
    index, time = int(stream.sample_index[item]), int(stream.capture_times[item])
    for heights in sample.of_type(HeightMap).values():
        if heights.camera != name:
            continue
        found = ((heights.sample_index == index) & (heights.capture_times == time)).nonzero()[:, 0]
        if len(found):
            return heights.image(int(found[0])) * 1000
    model, ground, mm = gel_of(stream, item, name)
    return height_seen(stream.image(item), model, ground, mm)


def render_moved_press(stream: TactileImage, item: int, name: str, sample: Sample, move: ArrayMap, new: Gel) -> Tensor:
    """A picture (H, W, 3) uint8 with its contact moved over the gel, in another gel or the same.

    Args:
        stream, item, name: which picture. sample: that it belongs to. move: of arrays (H, W, ...) over the gel.
        new: the gel that is rendered.
    """
    old = gel_of(stream, item, name)
    return rerendered(stream.image(item), surface_of(stream, item, name, sample), move, old, new)
