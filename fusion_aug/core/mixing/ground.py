"""Whether two LiDARs mean the same by an intensity: their ground has the same median."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_aug.core.mixing.meeting import in_ref
from fusion_aug.physics.ground import fit_ground, height
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import cached_with_stream, lidars_of
from fusion_aug.sample.sensors import matches
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Points

MOST_APART = 0.05  # share
NEAR = 0.1  # metres above or below the plane
LEAST = 200  # points on the ground, of which a median says something


def intensity_refusal(sample: Sample, donor: Sample, sensors: Sequence[str]) -> str:
    """What parts the intensities of the ground of two samples, with a figure; "" where nothing does.

    Args:
        sample, donor: both. sensors: names or patterns of those that take part.
    """
    for name in lidars_of(sample, 0):
        if not matches(sample[name].instance(name), sensors) or name not in donor.streams:
            continue
        mine, other = ground_intensity(sample, name), ground_intensity(donor, name)
        if mine is None or other is None:
            continue
        apart = abs(mine - other) / max(mine, other, 1e-9)
        if apart > MOST_APART + 1e-6:
            return (
                f"the ground in {name!r} has the median intensities {mine:.3g} and {other:.3g}, "
                f"{100 * apart:.0f} % apart ({100 * MOST_APART:.0f} % allowed)"
            )
    return ""


def ground_intensity(sample: Sample, name: str) -> float | None:
    """Median intensity of the ground in a LiDAR's key scan; None where there is none, or too little of it."""
    return _ground(sample, name)[1]


def ground_plane(sample: Sample, name: str) -> np.ndarray | None:
    """Plane (4,) of the ground in a LiDAR's key scan, in level axes of the sample; None where it is not seen."""
    return _ground(sample, name)[0]


def _ground(sample: Sample, name: str) -> tuple[np.ndarray | None, float | None]:
    def found() -> tuple[np.ndarray | None, float | None]:
        item = sample.key_item(name)
        xyz = in_ref(sample, name, item).numpy() @ T_up_ref(sample, 0)[:3, :3].T
        plane, cloud = fit_ground(xyz), sample[name].realized()
        if plane is None or "intensity" not in cloud.values:
            return plane, None
        low = np.abs(height(plane, xyz)) < NEAR
        assert isinstance(cloud, Points)
        median = (
            float(np.median(cloud["intensity"][cloud.item_slice(item)].numpy()[low])) if low.sum() >= LEAST else None
        )
        return plane, median

    answer: tuple[np.ndarray | None, float | None]
    answer = cached_with_stream(sample[name], "ground of a mix", [sample.meta.rig], found)
    return answer
