"""LiDAR pulses in even fog or dust, row by row on any device: what ``pulse`` does with a scan at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from calib import LidarSensor
from calib.ties import TIE
from fusion_aug.physics.pulse import GAP, MARGIN, PULSES, Pulses, wobble_width

Array = np.ndarray


FINE = 2.0**30  # steps of intensities that are not rounded; those of float32 are coarser but for the faintest


class Receiver(NamedTuple):
    """Figures (rows,) float32 of the scanner that each row was measured by, as ``figures_of`` has them.

    Powers are shares of the return of a white target at ``near_range``, where gains are 1.

    Attributes:
        nearness: inverse of ``near_range``, 1/m. near_floor, noise_floor, least_reflectivity, min_range: as there.
        full: intensity of a white target. scale: of intensities.
        steps: levels of intensity over the scale. half: 0.5, by which they are rounded.
        strongest: 1 where a beam reports its strongest return, 0 for its last.
        loss: minus twice the extinction, 1/m. brightest: strongest of the air's pulses. wobble: m.
    """

    nearness: Tensor
    near_floor: Tensor
    noise_floor: Tensor
    least_reflectivity: Tensor
    min_range: Tensor
    full: Tensor
    scale: Tensor
    steps: Tensor
    half: Tensor
    strongest: Tensor
    loss: Tensor
    brightest: Tensor
    wobble: Tensor

    def gain(self, distance: Tensor) -> Tensor:
        """Fall of a return with distance."""
        near = distance * self.nearness
        return torch.minimum(near, near.pow(-2))

    def threshold(self, received: Tensor) -> Tensor:
        """Smallest return that is detected where the gain is ``received``."""
        return torch.maximum(self.near_floor * received, self.noise_floor)


def figures_of(sensor: LidarSensor, extinction: float, pulses: Pulses | None) -> tuple[Array, Array]:
    """The figures of a scanner in even air (13,), and what ``returns`` needs of its pulses (``PULSES``, 4), float32.

    Args:
        extinction: 1/m. pulses: of the air; None where it returns none.
    """
    unit = sensor.near_range**2  # of powers, over that at 1 m
    steps = FINE if sensor.intensity_levels is None else sensor.intensity_levels / sensor.scale
    brightest = -1.0 if pulses is None else float(pulses.strength.max()) * unit
    figures = [
        1 / sensor.near_range, sensor.near_floor, sensor.noise_floor * unit, sensor.least_reflectivity,
        sensor.min_range, sensor.scale * sensor.white, sensor.scale, steps, 0.5 + TIE, float(sensor.echo != "last"),
        -2 * extinction, brightest, float(wobble_width(sensor)),
    ]  # fmt: skip
    air = np.zeros((PULSES, 4), np.float32)
    if pulses is not None:
        air[:, 0], air[:, 2] = pulses.strength * unit, pulses.distance
        air[:-1, 1::2] = np.diff(air[:, 0::2], axis=0)
    return np.array(figures, np.float32), air


class Returns(NamedTuple):
    """What comes back of every pulse (rows,).

    Attributes:
        from_air, lost: bool; the others come back from their targets.
        distance: m, of the return from the air. intensity: of either, in the sensor's scale.
    """

    from_air: Tensor
    lost: Tensor
    distance: Tensor
    intensity: Tensor


def returns(
    receiver: Receiver, distance: Tensor, intensity: Tensor, pulses: Tensor, place: Tensor, first: Tensor,
    wobble: Tensor,
) -> Returns:  # fmt: skip
    """What comes back of every pulse in fog: ``weather.lidar.simulate_returns``, with suspended particles alone.

    Args:
        receiver: of every row. distance: (rows,) to the targets, m, float32. intensity: (rows,) float32, no NaN.
        pulses: (items * ``PULSES``, 4) float32: strength and distance of pulses of the air, each with its step to the
            next. place: (rows,) float64, ``patches`` among those of the row's item, whose ``first`` (rows,) is.
        wobble: (rows,) float32, -0.5 to 0.5, by which the distances of returns from the air wobble.
    """
    left = torch.exp(receiver.loss * distance)
    before = place.long().clamp_(max=PULSES - 2)
    chosen = pulses.index_select(0, first + before)
    share = (place - before).to(torch.float32)[:, None]
    power, far = torch.addcmul(chosen[:, 0::2], share, chosen[:, 1::2]).unbind(1)
    far = torch.addcmul(far, receiver.wobble, wobble)
    gains = receiver.gain(torch.stack([distance, far]))
    (received, gained), (least, least_there) = gains, receiver.threshold(gains)
    rho = torch.maximum(intensity / receiver.full, receiver.least_reflectivity)
    target = torch.maximum(rho * received, MARGIN * least).mul_(left)  # no number where no distance is
    seen = distance < torch.inf
    found = torch.clamp(far, receiver.min_range, distance - GAP) == far
    found = found & (target <= receiver.brightest) & (power > least_there) & seen

    missed = target <= least
    from_air = found & (missed | (target < power * receiver.strongest))
    level = torch.where(seen, intensity * left, intensity)
    echo = torch.minimum(power / gained * receiver.full, receiver.scale)
    level = torch.where(from_air, echo, level).clamp_(min=0)
    level = torch.addcmul(receiver.half, level, receiver.steps).floor_().div_(receiver.steps)  # ``nearest_whole``
    return Returns(from_air, (missed > found) & seen, far, level)


def patches(way: Tensor, bend: Tensor, level: Tensor, phase: Tensor) -> Tensor:
    """The place (rows,) among the pulses of each way, from 0 to the last: by ``physics.pulse.Pulses.places``.

    Args:
        way: (rows, 3) float64, from the scanner. bend, level, phase: (rows, 3, 3), (rows, 3) and (rows,) float64.
    """
    unit = way / torch.linalg.norm(way, dim=1, keepdim=True).clamp(min=1e-6)
    bent = torch.baddbmm(level[:, None], unit[:, None], bend)[:, 0]
    turns = torch.baddbmm(phase[:, None, None], bent[:, None], unit[:, :, None])[:, 0, 0]
    folded = turns.remainder(1.0).sub_(0.5).abs_().mul_(2.0 * (PULSES - 1))
    return folded.nan_to_num_(PULSES - 1)  # targets at infinity have no direction: any pulse will do


__all__ = ["Receiver", "Returns", "figures_of", "patches", "returns"]
