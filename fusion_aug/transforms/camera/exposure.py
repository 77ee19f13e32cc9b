"""Light and sensor: white balance, exposure with its noise, vignetting, shadows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib.sensors import apply_homography
from fusion_aug.core.ranges import Range
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops import color
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.sample.sensors import scans
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext

NEAR = 15.0  # metres from the reference frame's origin, within which points tell where the ground is
FEWEST, LOW = 20, 10  # how many it takes, and the percentile of their heights


@dataclass(frozen=True, kw_only=True)
class WhiteBalance(PhotometricTransform):
    """Multiply the light of the red and blue channels; green stays."""

    red: Range = 1.0
    blue: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"red": (0.05, 20.0), "blue": (0.05, 20.0)}
    strengths: ClassVar[Strengths] = {
        "red": Strength(
            1.0, (1 / 3, 3.0), "log", "declared: a third and thrice the light; 0.73 of the probe's loss is the most"
        ),
        "blue": Strength(
            1.0, (1 / 3, 3.0), "log", "declared: a third and thrice the light; 0.73 of the probe's loss is the most"
        ),
    }
    example: ClassVar[dict[str, Any]] = {"red": [0.8, 1.25], "blue": [0.8, 1.25]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light of red and blue times ``red`` and ``blue`` (sRGB curve of IEC 61966-2-1), clipped."""
        return color.light_gains(picture, (params["red"], 1.0, params["blue"]))


@dataclass(frozen=True, kw_only=True)
class ColorTemperature(PhotometricTransform):
    """Light the scene with daylight of ``kelvin`` instead of 6504 K: lower is more orange, higher more blue."""

    kelvin: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"kelvin": (4000.0, 25000.0)}
    strengths: ClassVar[Strengths] = {
        "kelvin": Strength(
            6504.0,
            (4000.0, 25000.0),
            "inverse",
            "declared: its limits, a low sun and a blue sky; 0.10 of the probe's loss",
            "K",
        )
    }
    example: ClassVar[dict[str, Any]] = {"kelvin": [4500, 9000]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light times the RGB gains of daylight of ``kelvin`` against 6504 K (CIE 15:2004)."""
        return color.light_gains(picture, color.daylight_gains(params["kelvin"]))


@dataclass(frozen=True, kw_only=True)
class Exposure(PhotometricTransform):
    """Expose ``stops`` longer or shorter, with shot and read noise.

    A white pixel holds ``full_well`` electrons before the change; fewer mean a noisier sensor. The defaults are those
    of a 3 micrometre automotive pixel.
    """

    stops: Range = 0.0
    full_well: Range = 10000.0
    read_noise: Range = 3.0

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "stops": (-10.0, 10.0), "full_well": (10.0, 1e7), "read_noise": (0.0, 1e4),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "noise hides where exactly a spot's middle is"
    }
    strengths: ClassVar[Strengths] = {
        "stops": Strength(0.0, (-2.2, 2.2), "linear", "probe", "stops", exact=False),
        "full_well": "a figure of the sensor, not of the change",
        "read_noise": "a figure of the sensor, not of the change",
    }
    example: ClassVar[dict[str, Any]] = {"stops": [-1.0, 1.0]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light times 2^``stops``, with the shot noise of ``full_well`` electrons for white, and read noise."""
        return color.shot_noise(picture, params["stops"], params["full_well"], params["read_noise"], context.noise_key)


@dataclass(frozen=True, kw_only=True)
class Vignetting(PhotometricTransform):
    """Darken the picture away from its principal point: the share ``loss`` of the light is lost at the far corner.

    The loss grows with the square of the distance on the physical picture, so that crops darken where they should.
    """

    loss: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"loss": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {
        "loss": Strength(
            0.0, 1.0, "linear", "declared: its end, dark corners; 0.21 of the probe's loss", "share of the light"
        )
    }
    example: ClassVar[dict[str, Any]] = {"loss": [0.0, 0.6]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light times 1 - ``loss`` r^2, r from the principal point, 1 at the sensor's far corner."""
        camera, (height, width) = context.camera, picture.shape[:2]
        centre = camera.model.K[:2, 2].detach().numpy()
        corner = np.maximum(np.abs(centre), np.abs(np.array(camera.model.size[::-1]) - 1 - centre))
        if camera.has_pixel_map:
            A = torch.linalg.inv(camera.A.detach())
            u, v = np.moveaxis(apply_homography(A, pixel_grid((height, width))).numpy() - centre, -1, 0)
        else:
            u, v = np.arange(width) - centre[0], np.arange(height)[:, None] - centre[1]
        share = np.minimum((u * u + v * v) / max(float(np.hypot(*corner)), 0.5) ** 2, 1)
        return color.scale_light(picture, 1 - params["loss"] * torch.from_numpy(share))


@dataclass(frozen=True, kw_only=True)
class Shadow(PhotometricTransform):
    """The shadow of something long beside the road: a band on the ground that every camera sees at the same place.

    Attributes:
        darkness: share of the light that is taken away.
        distance: of the band's middle from the reference frame's origin, metres.
        bearing_deg: direction of the band's middle, degrees to the left of forward; the band runs across it.
        width: of the band, metres.
    """

    darkness: Range = (0.3, 0.6)
    distance: Range = (4.0, 20.0)
    bearing_deg: Range = (-180.0, 180.0)
    width: Range = (2.0, 8.0)

    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "darkness": (0.0, 1.0), "distance": (0.0, 200.0), "bearing_deg": (-360.0, 360.0), "width": (0.1, 200.0),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "a shadow's border weighs the two sides of a spot differently"
    }
    strengths: ClassVar[Strengths] = {
        "darkness": Strength(
            0.0,
            1.0,
            "linear",
            "declared: its end, no light in the shadow; 0.34 of the probe's loss",
            "share of the light",
        ),
        "distance": "where it lies",
        "bearing_deg": "where it lies",
        "width": "what of the ground it covers, not how dark it is",
    }
    example: ClassVar[dict[str, Any]] = {"darkness": [0.2, 0.6]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light times 1 - ``darkness`` where a pixel's ray meets the ground inside the band.

        The edge is soft over a tenth of the width. The ground is at the height of low LiDAR points, else at z = 0 of
        the reference frame.
        """
        height, width = picture.shape[:2]
        step = max(1, min(4, height // 32, width // 32))
        rows, columns = -(-height // step), -(-width // step)
        grid = pixel_grid((rows, columns)) * step + (step - 1) / 2
        meta, time = context.meta, int(context.stream.true_capture_times[context.item])
        T = meta.T_ref(context.stream.frame, time, true_rig=True).detach()
        rays = context.camera.unproject(grid) @ T[:3, :3].T
        down = (ground_height(context) - T[2, 3]) / rays[..., 2]
        ground = T[:2, 3] + rays[..., :2] * down[..., None]
        bearing = np.radians(params["bearing_deg"])
        along = ground @ torch.tensor([np.cos(bearing), np.sin(bearing)])
        off = (along - params["distance"]).abs() / (params["width"] / 2)
        inside = ((1.1 - off) / 0.2).clamp(0, 1)  # half-shadow over a tenth of the width
        inside = torch.where((down > 0) & torch.isfinite(off), inside, torch.zeros_like(inside))
        soft = F.interpolate(inside[None, None], size=(rows * step, columns * step), mode="bilinear")[0, 0]
        return color.scale_light(picture, 1 - params["darkness"] * soft[:height, :width].to(picture.device))


def ground_height(context: PictureContext) -> float:
    """Height of the ground in the reference frame, metres: where low LiDAR points near the vehicle lie, else 0."""
    sample, index = context.call.sample, int(context.stream.sample_index[context.item])
    for name, cloud in scans(sample.streams).items():
        if not bool((cloud.sample_index == index).any()):
            continue
        key = sample.key_item(name, index)
        cloud = cloud.realized()
        T = sample.T_ref(name, key, true_rig=True)
        xyz = cloud["xyz"][cloud.item_slice(key)].to(torch.float64).cpu() @ T[:3, :3].T + T[:3, 3]
        near = xyz[(xyz[:, :2].norm(dim=1) < NEAR) & torch.isfinite(xyz).all(1), 2]
        if len(near) >= FEWEST:
            return float(np.percentile(near.numpy(), LOW))
    return 0.0
