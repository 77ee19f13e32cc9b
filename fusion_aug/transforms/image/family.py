"""The family of image-plane maps: ``A' = P A`` in the rig, P is pending on pictures, labels follow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from calib.rig import Rig
from calib.sensors import CameraSensor, apply_homography
from fusion_aug.core.parameters import DrawnParameters, ParameterRows
from fusion_aug.core.registry import Call, Context, handles, is_invariant
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.reduced import REDUCTIONS
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, ImageStream, Keypoints2D, Stream
from fusion_aug.streams.families import ImagePlane

Size = tuple[int, int]


class PixelMap(NamedTuple):
    """P (3, 3) from a canvas to a new one, and the sizes (height, width) of both.

    ``decoded`` is how many times smaller than they are files are decoded for it, 0 where nobody decided it.
    """

    P: Tensor
    size: Size
    before: Size
    decoded: int = 0

    def onto(self, pending: ImageMap | None) -> ImageMap:
        """What is pending on a picture and then this map."""
        new = ImageMap.homography(self.P, self.size, self.decoded)
        return new if pending is None else pending.then(new)


NOTHING = torch.eye(3, dtype=torch.float64)  # of a sample that is left as it is
Maps = list[dict[str, PixelMap]]  # per sample of a batch: camera -> map


@dataclass(frozen=True, kw_only=True)
class ImagePlaneTransform(Transform, ImagePlane, abstract=True):
    """A map of the pixels. One draw is shared by a scene, by the cameras of a sample, or by none (``sensor``)."""

    scopes = ("scene", "sample", "sensor")
    inverse: ClassVar[str] = "lossy"
    accumulates: ClassVar[bool] = True
    exemptions: ClassVar[dict[str, str]] = {"invertible": "pixels are resampled; boxes and points come back exactly"}

    def effects(self) -> dict[str, str]:
        """Pixels are mapped, which a lens that belongs to the sensor's own pixels does not follow."""
        return {"pixel_map": type(self).__name__}

    @classmethod
    def pixel_map(cls, params: Mapping[str, Any], size: Size) -> tuple[Tensor, Size]:
        """Return the pixel map of drawn parameters.

        Args:
            params: drawn parameters; numbers may be tensors with a gradient.
            size: (height, width) of the canvas before, pixels.

        Returns:
            P (3, 3) float64 with new pixel = dehom(P [u, v, 1]), and (height, width) of the new canvas. Pixel (0, 0) is
            the centre of the top-left pixel.
        """
        raise NotImplementedError

    @classmethod
    def instances(cls, sample: Sample, index: int) -> list[str]:
        """The rig's cameras, also those that the sample holds no pictures of."""
        return [n for n, s in sample.metas[index].rig.sensors.items() if isinstance(s, CameraSensor)]

    @classmethod
    def accumulate(
        cls, sample: Sample, drawn: DrawnParameters, pending: Maps | None, told: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[Maps, list[dict[str, Any]]]:
        """Multiply the drawn pixel maps into what is pending, without touching the sample.

        Args:
            sample: a sample or a batch. drawn: parameters of every sample, None of one that is left as it is.
            pending: maps so far, None at first. told: what was recorded, where it is replayed.

        Returns:
            the pending maps, camera -> map for every sample, and for every sample, for ``Record.before``, the
            ``canvas`` sizes (height, width) before, by camera, and how many times smaller files are ``decoded``, as
            "1/2", of the cameras of which they are.

        Raises:
            DataError: what was recorded is no such share.
        """
        maps, before, parameters = [], [], ParameterRows(drawn)
        for u, meta in enumerate(sample.metas):
            earlier = pending[u] if pending else {}
            known: dict[tuple[int, Size], tuple[Tensor, Size]] = {}
            mine, canvas = {}, {}
            for camera in cls.instances(sample, u):
                last = earlier.get(camera)
                size = last.size if last else meta.rig.camera(camera).size
                if drawn[u] is None:
                    mine[camera] = last or PixelMap(NOTHING, size, size)
                    continue
                params = parameters.of(u, camera)
                if (id(params), size) not in known:
                    known[id(params), size] = cls.pixel_map(params, size)
                P, new = known[id(params), size]
                mine[camera] = PixelMap(P @ last.P, new, last.before) if last else PixelMap(P, new, size)
                canvas[camera] = list(size)
            recorded = told[u].get("decoded") if told else None
            decoded = _decoded(sample, u, mine, list(canvas)) if recorded is None else _from_shares(recorded)
            for camera in canvas:
                mine[camera] = mine[camera]._replace(decoded=decoded.get(camera, 1))
            maps.append(mine)
            before.append({"canvas": canvas, "decoded": _as_shares(decoded)})
        return maps, before

    @classmethod
    def apply(cls, sample: Sample, pending: Maps, context: Context) -> Sample:
        """Change pixel maps and canvases in the rigs, and add all pending maps to the streams at once."""
        metas = []
        for meta, maps in zip(sample.metas, pending, strict=True):
            rig = _mapped(meta.rig, maps)
            metas.append(
                replace_unchecked(
                    meta, rig=rig, true_rig=rig if meta.true_rig is meta.rig else _mapped(meta.true_rig, maps)
                )
            )
        return replace_unchecked(cls.visit(sample, ParameterRows([]), context, pending), metas=tuple(metas))

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """The stream on the canvas it had before."""
        if is_invariant(cls, type(stream)):
            return stream
        camera = stream.instance(name)
        if camera not in before["canvas"]:
            raise DataError(f"invert: the history knows no camera {camera!r}; name the stream's camera")
        height, width = before["canvas"][camera]
        P, size = cls.pixel_map(params, (height, width))
        back = PixelMap(torch.linalg.inv(P), (height, width), size)
        maps: Maps = [{camera: back}] * (int(stream.sample_index.max()) + 1 if len(stream) else 1)
        call = Call(cls, Sample(metas=(), streams={}), name, None, Context({}), maps)
        if isinstance(stream, Boxes2D):
            return move_corners(stream, call)
        if isinstance(stream, Keypoints2D):
            return move_keypoints(stream, call)
        if isinstance(stream, ImageStream):
            return move_pixels(stream, call)
        raise DataError(f"invert: {cls.__name__} cannot be undone on {type(stream).__name__}")


def _decoded(sample: Sample, index: int, maps: Mapping[str, PixelMap], cameras: Collection[str]) -> dict[str, int]:
    """How many times smaller than they are the files of some cameras of a sample are decoded, where they are."""
    found: dict[str, int] = {}
    for name, stream in sample.of_type(ImageStream).items():
        camera = stream.instance(name)
        for item in (i for i, of in enumerate(stream.sample_index.tolist()) if of == index and camera in cameras):
            by = stream.decoded_for(item, maps[camera].onto(stream.pending[item]))
            if by > found.get(camera, 1):
                found[camera] = by
    return found


def _as_shares(decoded: Mapping[str, int]) -> dict[str, str]:
    """How many times smaller files are decoded, by camera, as records hold it: ``{"CAM_FRONT": "1/2"}``."""
    return {camera: f"1/{by}" for camera, by in decoded.items()}


def _from_shares(shares: Any) -> dict[str, int]:
    """What ``_as_shares`` gave."""
    known = {f"1/{by}": by for by in REDUCTIONS}
    if not isinstance(shares, dict) or not all(isinstance(s, str) and s in known for s in shares.values()):
        raise DataError(f"history: decoded: expected a camera's name and one of {', '.join(known)}, got {shares!r}")
    return {camera: known[share] for camera, share in shares.items()}


def _mapped(rig: Rig, maps: Mapping[str, PixelMap]) -> Rig:
    mapped = {n: rig.camera(n).with_pixel_map(m.P, m.size) for n, m in maps.items() if m.P is not NOTHING}
    if not mapped:
        return rig
    return Rig(rig.frames, {**rig.sensors, **mapped})


def maps_of(stream: Stream, call: Call) -> list[PixelMap]:
    """The pixel map of every item of a stream."""
    camera = stream.instance(call.name)
    out = []
    for index in stream.sample_index.tolist():
        if camera not in call.family_state[index]:
            raise DataError(f"stream {call.name!r}: the rig has no camera {camera!r}")
        out.append(call.family_state[index][camera])
    return out


@handles(ImagePlane, ImageStream)
def move_pixels(stream: ImageStream, call: Call) -> ImageStream:
    """Pictures take the map in as pending."""
    maps = maps_of(stream, call)
    return stream.mapped([m.onto(None) for m in maps], [m.before for m in maps])


@handles(ImagePlane, Boxes2D)
def move_corners(stream: Boxes2D, call: Call) -> Boxes2D:
    """Corners are mapped like pixels."""
    matrices = torch.stack([m.P for m in maps_of(stream, call)])[stream.row_item]
    corners = stream.values["corners"].to(torch.float64)
    return stream.with_values(corners=apply_homography(matrices.to(corners.device), corners))


@handles(ImagePlane, Keypoints2D)
def move_keypoints(stream: Keypoints2D, call: Call) -> Keypoints2D:
    """Key points are mapped like pixels."""
    matrices = torch.stack([m.P for m in maps_of(stream, call)])[stream.row_item]
    pixel = stream.values["pixel"].to(torch.float64)
    return stream.with_values(pixel=apply_homography(matrices.to(pixel.device), pixel[:, None])[:, 0])
