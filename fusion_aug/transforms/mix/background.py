"""``SwapBackground``: what lies behind takes another picture's pixels, and its returns and labels follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strengths
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.hashed import row_key
from fusion_aug.ops.random import digest, generator
from fusion_aug.ops.replaced import noise_picture, replaced
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import camera_range, is_given, lidars_of
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.streams import (
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    Occupancy,
    PlanarScan,
    Points,
    SegmentationMask,
    Stream,
    TactileImage,
    Text,
)
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext, applies_to
from fusion_aug.transforms.distances import SeesDistances
from fusion_aug.transforms.mix.masked import NOT_CHOSEN, chosen_numbers
from fusion_aug.transforms.mix.pictures import PictureFolder, covering, recorded_picture

STEPS = 6  # places along each edge of a flat box


@dataclass(frozen=True, kw_only=True)
class SwapBackground(PhotometricTransform, SeesDistances):
    """What lies behind takes another picture's pixels: domain randomization of recorded logs.

    Behind is one of: what lies beyond a distance from the camera (of its depth stream, else of LiDAR and picture
    together); all but some classes of the camera's mask; some classes. The new picture covers the canvas, and its light
    is matched, channel by channel. Masks become ``ignore`` there, flat boxes of which more than half is behind are
    dropped. Depth, points, radar returns and boxes behind are dropped too, or kept by choice.

    Attributes:
        beyond: distance, metres, from which on it is background.
        keep: names or shell patterns of the classes that stay, or ``objects`` for all objects of a mask of instances.
        classes: names or shell patterns of the classes that are background.
        pictures: folder of JPEG and PNG files, one of which is drawn for each camera (scope ``sensor``) or for all; by
            default a picture of noise.
        points: "drop" or "keep" what clouds, radars, depth and boxes say of the background.
        match_light: whether the new picture is made as bright, and as coloured, as the old one.
        captions: "refuse", "drop" or "keep": sentences may speak of what was behind.
    """

    scope: str = "sensor"
    beyond: Range | None = None
    keep: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    pictures: PictureFolder | None = None
    points: str = "drop"
    match_light: bool = True
    captions: str = "refuse"

    scopes = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"beyond": (0.01, 1000.0)}
    loss_reason: ClassVar[str] = "replaced background"
    keeps_geometry_of: ClassVar[tuple[type, ...]] = (Boxes3D,)
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "keeps_rows": "what lies behind is dropped on purpose",
        "keeps_counts": "boxes lose the points that lie behind",
        "content_identity": "another picture is seen behind",
    }
    strengths: ClassVar[Strengths] = {"beyond": "where it begins, not how much it differs"}
    needs_naming: ClassVar[str] = "it has to be said what background is"
    example: ClassVar[dict[str, Any]] = {"beyond": [40.0, 50.0], "captions": "keep"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(v is not None for v in (self.beyond, self.keep, self.classes)) != 1:
            raise ConfigError("SwapBackground: say what background is by one of beyond, keep and classes")
        for name, words in (("points", ("drop", "keep")), ("captions", ("refuse", "drop", "keep"))):
            if getattr(self, name) not in words:
                raise ConfigError(f"SwapBackground.{name}: {getattr(self, name)!r} is not one of {', '.join(words)}")

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Draw the distance, the picture, and what part of it is seen."""
        said = {"keep": self.keep, "classes": self.classes, "cameras": self.cameras}
        return {
            "beyond": None if self.beyond is None else draw(self.beyond, rng),
            **{n: None if v is None else list(v) for n, v in said.items()},
            "picture": None if self.pictures is None else self.pictures.drawn(rng),
            "texture": digest("background", int(rng.integers(2**62))),  # of noise, alike in all pictures of the draw
            "x": float(rng.random()),
            "y": float(rng.random()),
            **{n: getattr(self, n) for n in ("points", "match_light", "captions", "refine")},
            "depth": None if self.depth is None else self.depth.recorded(),
            "sky": None if self.sky is None else self.sky.recorded(),
        }

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Replace the background, and leave out what would become untrue.

        Raises:
            ConfigError: there are sentences, and nothing says what becomes of them. DataError: a camera has no mask, or
                nothing tells how far away is what it shows.
        """
        drawn = [p for rows in parameters.per_sample for p in rows.values()]
        told = [n for n, s in sample.streams.items() if isinstance(s, Text)]
        if told and any(p["captions"] == "refuse" for p in drawn):
            raise ConfigError(
                f"SwapBackground: {told[0]!r} may speak of what was behind; say captions=drop, or captions=keep where "
                f"it does not, as with commands of robots"
            )
        _check_known(Call(cls, sample, "", parameters, context))
        out = cls.visit(sample, parameters, context)
        lost = {n for n in told if any(p["captions"] == "drop" for p in drawn)}
        if any(p["points"] == "drop" for p in drawn):
            lost |= {n for n, s in sample.streams.items() if isinstance(s, Occupancy | PlanarScan)}
        return out.with_streams({n: s for n, s in out.streams.items() if n not in lost}) if lost else out

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Pixels behind from another picture, its light matched to the mean of this one, channel by channel."""
        behind = background_pixels(context.call.sample, context.call.name, context.item, params)
        if not bool(behind.any()):
            return picture
        mine = np.ascontiguousarray(picture.detach().cpu().numpy())
        size = (mine.shape[0], mine.shape[1])
        if params["picture"] is None:
            new = noise_picture(row_key(params["texture"]), generator(params["texture"]), size)
        else:
            new = covering(recorded_picture(params["picture"], "SwapBackground"), size, params["x"], params["y"])
        out = replaced(mine, behind.numpy(), new, params["match_light"])
        return torch.from_numpy(out).to(picture.device)


def background_pixels(sample: Sample, name: str, item: int, params: Mapping[str, Any]) -> Tensor:
    """(H, W) bool, the pixels of a picture that show background.

    Args:
        sample: or batch. name: camera stream. item: which picture. params: of ``SwapBackground``.
    """
    if params["beyond"] is not None:
        return camera_range(sample, name, item, DepthSettings.of(params)) > params["beyond"]
    if params["classes"] is not None:
        return chosen_numbers(sample, name, item, params["classes"], "SwapBackground.classes") != NOT_CHOSEN
    return chosen_numbers(sample, name, item, params["keep"], "SwapBackground.keep") == NOT_CHOSEN


def _check_known(call: Call) -> None:
    """Raise where nothing tells what is background, before pictures of files are changed."""
    for index, meta in enumerate(call.sample.metas):
        for name, item, params in _camera_items(call, index, meta.ref.time):
            if params["beyond"] is None:
                background_pixels(call.sample, name, item, params)
            elif not is_given(call.sample, name, item) and not lidars_of(call.sample, index):
                raise DataError(
                    f"SwapBackground: nothing tells how far away is what {name!r} shows: it has no depth stream, and "
                    f"there is no LiDAR; give depth, or say keep or classes where it has a mask"
                )


# --- what follows -----------------------------------------------------------------------------------------------------
def _camera_items(call: Call, index: int, time: int) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Of every camera whose background is replaced the picture next to a time (ns), with its parameters."""
    for name, stream in call.sample.of_type(Camera).items():
        if isinstance(stream, TactileImage) or not call.parameters.asks(index):
            continue
        params = call.parameters.of(index, stream.instance(name))
        here = ((stream.sample_index == index) & stream.present).nonzero()[:, 0]
        if len(here) and applies_to(stream, _named(call, name), params):
            yield name, int(here[int((stream.true_capture_times[here] - time).abs().argmin())]), params


def _named(call: Call, name: str) -> Call:
    return Call(call.transform, call.sample, name, call.parameters, call.context, call.family_state)


def _behind(call: Call, index: int, time: int, places: Tensor) -> Tensor:
    """Which places (n, 3) of the reference frame are background in a picture next to a time, (n,) bool."""
    out = torch.zeros(len(places), dtype=torch.bool)
    sample = call.sample
    for name, item, params in _camera_items(call, index, time):
        if params["points"] == "keep":
            continue
        pixels, seen = sample.project_ref(places, name, camera_item=item, true_rig=True, index=index)
        if params["beyond"] is not None:
            eye = sample.T_ref(name, item, true_rig=True)[:3, 3]
            out |= seen & ((places - eye).norm(dim=1) > params["beyond"])
            continue
        where = background_pixels(sample, name, item, params)
        u, v = (pixels[:, i].nan_to_num(0.0).round().long().clamp(0, where.shape[1 - i] - 1) for i in (0, 1))
        out |= seen & where[v, u]
    return out


@handles(SwapBackground, Points)
def drop_points_behind(stream: Points, call: Call) -> Points:
    """Drop what lies behind in a picture next to the item in time."""
    stream = stream.realized()
    lost = [torch.zeros(int(n), dtype=torch.bool) for n in stream.counts.tolist()]
    for i in range(len(stream)):
        index, time = int(stream.sample_index[i]), int(stream.true_capture_times[i])
        T = call.sample.metas[index].T_ref(stream.frame, time, true_rig=True)
        xyz = stream["xyz"][stream.item_slice(i)].to("cpu", torch.float64)
        lost[i] = _behind(call, index, time, xyz @ T[:3, :3].T + T[:3, 3])
    gone = torch.cat(lost) if lost else torch.zeros(0, dtype=torch.bool)
    return stream.select(~gone) if bool(gone.any()) else stream


@handles(SwapBackground, Boxes3D)
def drop_boxes_behind(stream: Boxes3D, call: Call) -> Boxes3D:
    """Drop boxes whose middle lies behind."""
    lost = torch.zeros(stream.rows, dtype=torch.bool)
    for i in range(len(stream)):
        index, time = int(stream.sample_index[i]), int(stream.true_capture_times[i])
        T = call.sample.metas[index].T_ref(stream.frame, time, true_rig=True)
        middle = stream["pose"][stream.item_slice(i)][:, :3, 3].to("cpu", torch.float64)
        lost[stream.item_slice(i)] = _behind(call, index, time, middle @ T[:3, :3].T + T[:3, 3])
    return stream.select(~lost) if bool(lost.any()) else stream


def _pictures_of(stream: Any, call: Call) -> Iterator[tuple[int, str, int, Mapping[str, Any]]]:
    """Of every item of what belongs to a camera: its number, and the picture beside it, where that is changed."""
    for i in range(len(stream)):
        index, time = int(stream.sample_index[i]), int(stream.true_capture_times[i])
        for name, item, params in _camera_items(call, index, time):
            if call.sample[name].instance(name) == stream.instance(call.name) and bool(stream.present[i]):
                yield i, name, item, params


@handles(SwapBackground, Depth)
@handles(SwapBackground, SegmentationMask)
def forget_behind(stream: Depth | SegmentationMask, call: Call) -> Stream:
    """Nothing is known of background any more."""
    changes = {}
    for i, name, item, params in _pictures_of(stream, call):
        if isinstance(stream, Depth) and params["points"] == "keep":
            continue

        def change(picture: Tensor, name: str = name, item: int = item, params: Mapping[str, Any] = params) -> Tensor:
            where = background_pixels(call.sample, name, item, params)
            out = picture.clone()
            out[where.to(out.device)] = stream.blank
            return out

        changes[i] = change
    return stream.changed(changes) if changes else stream


@handles(SwapBackground, Boxes2D)
def drop_flat_boxes_behind(stream: Boxes2D, call: Call) -> Boxes2D:
    """Drop flat boxes of which more than half shows background."""
    lost = torch.zeros(stream.rows, dtype=torch.bool)
    share = torch.linspace(0, 1, STEPS, dtype=torch.float64)
    for i, name, item, params in _pictures_of(stream, call):
        rows = stream.item_slice(i)
        where = background_pixels(call.sample, name, item, params)
        corners = stream["corners"][rows].to("cpu", torch.float64)
        low, high = corners.amin(1), corners.amax(1)
        at = low[:, None] + share[:, None] * (high - low)[:, None]
        u, v = (at[..., k].round().long().clamp(0, where.shape[1 - k] - 1) for k in (0, 1))
        lost[rows] = where[v[:, :, None], u[:, None, :]].double().mean((1, 2)) > 0.5
    return stream.select(~lost) if bool(lost.any()) else stream
