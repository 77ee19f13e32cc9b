"""How distances of a picture are completed: with the user's own networks, and how finely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from calib import CameraSensor
from calib.ties import nearest_whole
from fusion_aug.errors import DataError
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.physics.cells import cell_size
from fusion_aug.physics.completion import SKY_DISTANCE, Completion
from fusion_aug.physics.predicted import LEAST_RETURNS, fitted, sky_said
from fusion_aug.sample.networks import Network

Array = np.ndarray

LEAST_COSINE = 0.1  # of the angle to the camera's axis of a ray that depth along the axis is known for


class DepthSettings(NamedTuple):
    """How distances are completed where a camera has no depth stream.

    Attributes:
        refine: whether surfaces end where the picture shows it, to the pixel.
        depth: network of inverse depth, which takes the place of distances from LiDAR and picture.
        sky: network of the probability that a pixel shows sky.
    """

    refine: bool = True
    depth: Network | None = None
    sky: Network | None = None

    @staticmethod
    def of(params: Mapping[str, Any]) -> DepthSettings:
        """Those of drawn parameters; by default where a record does not have them."""
        networks = [Network.from_record(params.get(name)) for name in ("depth", "sky")]
        return DepthSettings(bool(params.get("refine", True)), *networks)

    def known_sky(self, inputs: Mapping[str, Any], who: str) -> Array | None:
        """Where the network says sky, (H, W) bool; None without one.

        Args:
            inputs: of the completion. who: the picture, for messages.

        Raises:
            DataError: the picture has no levels, or the network cannot be run.
        """
        if self.sky is None:
            return None
        said = self.sky.predicted(_levels(inputs, who))
        if said.min() < -1e-3 or said.max() > 1 + 1e-3:
            raise DataError(f"{who}: {self.sky.file}: expected probabilities of sky from 0 to 1, got {said.max():.3g}")
        return sky_said(said, inputs["pixels"], cell_size(inputs["size"]))

    def with_depth(self, found: Completion, inputs: Mapping[str, Any], sensor: CameraSensor, who: str) -> Completion:
        """A completion with the network's distances, fitted to the returns, in the place of its own; not of the sky.

        Args:
            found: by LiDAR and picture. inputs: of it. sensor: the camera. who: the picture, for messages.

        Raises:
            DataError: there are too few returns, or what the network says fits too few of them.
        """
        if self.depth is None:
            return found
        said = self.depth.predicted(_levels(inputs, who))
        cosine = sensor.unproject(pixel_grid(sensor.size))[..., 2].nan_to_num(0.0).numpy()
        u, v = (nearest_whole(inputs["pixels"]).astype(int)[:, i].clip(0, sensor.size[1 - i] - 1) for i in (0, 1))
        used = cosine[v, u] > LEAST_COSINE
        u, v, depth = u[used], v[used], (inputs["distance"] * cosine[v, u])[used]
        if len(depth) < LEAST_RETURNS:
            raise DataError(
                f"{who}: {self.depth.file}: scale and shift are fitted to {LEAST_RETURNS} returns at least, and the "
                f"picture shows {len(depth)}; leave out depth for LiDAR and picture alone"
            )
        fit = fitted(said[v, u], depth)
        if not fit.is_good:
            raise DataError(
                f"{who}: {self.depth.file}: what it says fits {fit.share:.0%} of {len(depth)} returns, and one depth "
                f"for all fits {fit.constant:.0%}; it must give inverse depth, larger where nearer, of pictures as "
                f"it was trained on (mean, std, size)"
            )
        within = (cosine > LEAST_COSINE) & (found.distance < 0.5 * SKY_DISTANCE)
        distance = np.where(within, fit.depth(said) / np.maximum(cosine, LEAST_COSINE), found.distance)
        sure = np.where(within, np.maximum(found.confidence, fit.share), found.confidence)
        return Completion(distance.astype(np.float32), sure.astype(np.float32))


AS_USUAL = DepthSettings()


def _levels(inputs: Mapping[str, Any], who: str) -> Array:
    picture = inputs["picture"]
    if picture is None:
        raise DataError(f"{who}: a network sees levels, and the picture has none")
    return np.asarray(picture)
