"""Pixels of two views of one camera, from what each view's history did to the camera."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from calib.cameras import flip_u
from calib.se3 import invert, transform_points
from calib.sensors import CameraSensor, apply_homography
from calib.ties import TIE
from fusion_aug.core.registry import find_transform
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History
from fusion_aug.streams import ImageStream, ValidityMask
from fusion_aug.streams.families import ImagePlane, Kinematic, Mount
from fusion_aug.transforms.image.family import ImagePlaneTransform
from fusion_aug.transforms.mount import Miscalibrate
from fusion_aug.transforms.scene.scene import SceneTransform, scene_motion

STILL = 1e-6  # m that a camera may be shifted and still count as one that only turns: 1e-4 px of what is 10 m away
STRAIGHT = 1e-9  # of a rotation that counts as none


@dataclass(frozen=True, eq=False)
class PixelMatches:
    """Where pixels of one view lie in the other.

    Attributes:
        camera: stream of the other view's pictures; empty where it has none.
        item: which of its pictures, -1 where it has not this one.
        pixels: (n, 2) float64, u and v on the other view's canvas; pixel (0, 0) is the centre of the top-left one. NaN
            where nothing is known.
        valid: (n,) bool, whether the pixel lies on both canvases and on the picture that the views were made of. Where
            a camera was shifted, something nearer may still hide it.
        why: why none is valid, of pictures that were dropped, froze or went black; else empty.
    """

    camera: str
    item: int
    pixels: Tensor
    valid: Tensor
    why: str = ""


@dataclass(frozen=True, eq=False)
class PointPixels:
    """Points of one view and the pixels of the other view's camera that show them.

    Attributes:
        rows: (k,) int64, places in the values of the cloud of view a. camera, item: as of ``PixelMatches``.
        pixels: (k, 2) float64, on the canvas of view b.
        why: as of ``PixelMatches``, or that the sweep was dropped.
    """

    rows: Tensor
    camera: str
    item: int
    pixels: Tensor
    why: str = ""

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of one view.

    Attributes:
        sample: the view, or the batch that it is in. index: of it in the batch.
        name: of the stream. item: of it.
    """

    sample: Sample
    index: int
    name: str
    item: int

    @property
    def stream(self) -> ImageStream:
        """The stream of pictures."""
        found = self.sample[self.name]
        assert isinstance(found, ImageStream)
        return found

    @property
    def history(self) -> History:
        """What was done to the view."""
        return self.sample.metas[self.index].history

    @property
    def camera(self) -> str:
        """The rig's camera."""
        return self.stream.instance(self.name)

    @property
    def sensor(self) -> CameraSensor:
        """The camera that the data obey."""
        return self.sample.metas[self.index].true_rig.camera(self.camera)

    @property
    def T_ref_cam(self) -> Tensor:
        """(4, 4) of the camera in the reference frame, both at the picture's true capture time."""
        meta, time = self.sample.metas[self.index], int(self.stream.true_capture_times[self.item])
        return meta.true_rig.T(meta.ref.frame, self.stream.frame, time)

    @property
    def why_lost(self) -> str:
        """Why what is in the picture is not where the calibration says; empty where it is."""
        if not bool(self.stream.present[self.item]):
            return f"the picture of {self.name!r} was dropped"
        name = self.camera
        for record in reversed(self.history):
            name = record.name_before(name) if record.applied else name
            loses = getattr(find_transform(record.name), "loses_pixels", None)
            params = record.params.get(name, record.params.get("", {}))
            if record.applied and loses is not None and loses(params, name):
                return f"{record.name} ({record.path}) leaves no pixel of {self.name!r} where the calibration says"
        return ""

    @property
    def moved(self) -> bool:
        """Whether the camera itself was moved."""
        classes = [find_transform(r.name) for r in self.history if r.applied]
        return any(c is not None and issubclass(c, (Mount, Kinematic)) and c is not Miscalibrate for c in classes)

    @property
    def is_flipped(self) -> bool:
        """Whether the view's pictures are the mirror image of the source's."""
        return bool(torch.linalg.det(scene_motion(self.history)[:3, :3]) < 0)

    @property
    def source_camera(self) -> CameraSensor:
        """The camera's pixel map and canvas before the history; where it was moved its pose is another."""
        sensor, name = self.sensor, self.camera
        for record in reversed(self.history):
            cls = find_transform(record.name)
            if not record.applied or cls is None:
                continue
            if issubclass(cls, ImagePlaneTransform):
                height, width = record.before["canvas"][name]
                params = record.params.get(name, record.params.get("", {}))
                P, _ = cls.pixel_map(params, (height, width))
                sensor = sensor.with_pixel_map(torch.linalg.inv(P), (height, width))
            elif issubclass(cls, SceneTransform) and cls.motion(record.params[""])[2] is not None:
                sensor = sensor.mirrored()
            elif issubclass(cls, ImagePlane):
                raise DataError(f"matches: nothing is known of the pixels that {record.name} ({record.path}) moved")
            name = record.name_before(name)
        return sensor

    def shows(self, pixels: Tensor) -> Tensor:
        """(n,) bool, whether pixels (n, 2) lie on the canvas, and on the source's picture before the history."""
        seen = torch.isfinite(pixels).all(-1) & on_canvas(pixels, self.sensor.size)
        mask = self.sample.streams.get(f"{self.name}/valid")
        if isinstance(mask, ValidityMask):
            time = int(self.stream.capture_times[self.item])
            same = (mask.sample_index == self.index) & (mask.capture_times == time)
            for item in same.nonzero()[:, 0].tolist():
                picture = mask.image(item)
                u, v = pixels.nan_to_num(-1).round().long().unbind(-1)
                height, width = picture.shape[:2]
                inside = on_canvas(torch.stack([u, v], -1), (height, width))
                seen &= inside & (picture[v.clamp(0, height - 1), u.clamp(0, width - 1)] > 0).cpu()
        if self.moved:
            return seen
        source = self.source_camera
        physical = apply_homography(torch.linalg.inv(self.sensor.A), pixels)
        if self.is_flipped:
            physical = apply_homography(flip_u(self.sensor.model.size[1]), physical)
        return seen & on_canvas(apply_homography(source.A, physical), source.size)


def on_canvas(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """(...,) bool, whether pixels (..., 2) lie on a canvas of (height, width)."""
    (height, width), (u, v), rim = size, pixels.unbind(-1), 0.5 + TIE
    return (u >= -rim) & (u <= width - 1 + rim) & (v >= -rim) & (v <= height - 1 + rim)


def camera_motion(a: Picture, b: Picture, T_b_a: Tensor) -> Tensor:
    """(4, 4) similarity from the camera of view a to that of view b, in whose frames both see the same things.

    Args:
        T_b_a: (4, 4) similarity from the reference frame of a to that of b.
    """
    if a.moved or b.moved:
        return invert(b.T_ref_cam) @ T_b_a @ a.T_ref_cam
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] *= torch.linalg.det(T_b_a[:3, :3]).abs() ** (1 / 3)
    if torch.linalg.det(T_b_a[:3, :3]) < 0:
        out[0] = -out[0]
    return out


def moved_pixels(a: Picture, b: Picture, pixels: Tensor, D: Tensor, distance: Tensor | None) -> Tensor:
    """Pixels (n, 2) of b, NaN where its lens images nothing, of pixels (n, 2) of a.

    Args:
        D: ``camera_motion``. distance: (n,) metres along the rays of a; needed where the camera was shifted.

    Raises:
        DataError: the camera was shifted, and no distances are given.
    """
    scale = torch.linalg.det(D[:3, :3]).abs() ** (1 / 3)
    turn = D[:3, :3] / scale
    mirror = torch.diag(torch.tensor([-1.0 if torch.linalg.det(turn) < 0 else 1.0, 1.0, 1.0], dtype=torch.float64))
    shifted = float(D[:3, 3].norm()) > STILL
    if not shifted and float((turn - mirror).abs().max()) < STRAIGHT:
        physical = apply_homography(torch.linalg.inv(a.sensor.A), pixels)
        if float(mirror[0, 0]) < 0:
            physical = apply_homography(flip_u(a.sensor.model.size[1]), physical)
        return apply_homography(b.sensor.A, physical)
    if shifted and distance is None:
        raise DataError(
            f"matches: camera {b.name!r} was shifted by {float(D[:3, 3].norm()):.3g} m between the views, so where a "
            f"pixel lies depends on what it shows; give distance= (metres along its ray), or match points"
        )
    rays = a.sensor.unproject(pixels)
    far = torch.ones(len(rays), dtype=torch.float64) if distance is None else distance.to(torch.float64)
    there = transform_points(D, rays * far[:, None])
    out = apply_homography(b.sensor.A, b.sensor.model.project(there)[0])
    lens = b.sensor.model.valid(there) & torch.isfinite(rays).all(-1)
    return torch.where(lens[:, None], out, torch.full_like(out, torch.nan))
