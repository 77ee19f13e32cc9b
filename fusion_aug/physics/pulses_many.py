"""LiDAR pulses in even fog or dust, row by row on any device: what ``pulse`` does with a scan at a time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from calib.ties import nearest_whole
from fusion_aug.physics.pulse import GAP, MARGIN, PULSES


class Receiver(NamedTuple):
    """Figures (rows,) float32 of the scanner that each row was measured by; see ``LidarSensor``.

    Attributes:
        near_range, near_floor, noise_floor, least_reflectivity, white, scale, min_range: as there.
        full: intensity of a white target.
        steps: levels of intensity over the scale; 0 where intensities are not rounded.
        last: 1 where a beam reports its last return, 0 for its strongest.
        loss: minus twice the extinction, 1/m. brightest: strongest of the air's pulses. wobble: m.
    """

    near_range: Tensor
    near_floor: Tensor
    noise_floor: Tensor
    least_reflectivity: Tensor
    white: Tensor
    scale: Tensor
    min_range: Tensor
    full: Tensor
    steps: Tensor
    last: Tensor
    loss: Tensor
    brightest: Tensor
    wobble: Tensor

    def gain(self, distance: Tensor) -> Tensor:
        """Fall of a return with distance."""
        loss = torch.maximum(distance, self.near_range)
        return torch.minimum(distance, self.near_range) / (loss * loss * self.near_range)

    def threshold(self, received: Tensor) -> Tensor:
        """Smallest return that is detected where the gain is ``received``."""
        return torch.maximum(self.near_floor * received, self.noise_floor)


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
    uniform: Tensor,
) -> Returns:  # fmt: skip
    """What comes back of every pulse in fog: ``weather.lidar.simulate_returns``, with suspended particles alone.

    Args:
        receiver: of every row. distance: (rows,) to the targets, m, float32. intensity: (rows,) float32, no NaN.
        pulses: (items * ``PULSES``, 4) float32: strength and distance of pulses of the air, each with its step to the
            next. place: (rows,) float64, 0 to 1, among those of the row's item, whose ``first`` (rows,) is.
        uniform: (rows,) float64, what wobbles the distances of returns from the air.
    """
    known = (distance > 0) & (distance < torch.inf)
    left = torch.exp(receiver.loss * distance)
    place = place.nan_to_num(1.0) * (PULSES - 1)  # targets at infinity have no direction: any pulse will do
    before = place.long().clamp_(max=PULSES - 2)
    chosen = pulses.index_select(0, first + before)
    share = (place - before).to(torch.float32)[:, None]
    power, far = torch.addcmul(chosen[:, 0::2], share, chosen[:, 1::2]).unbind(1)
    far = torch.addcmul(far, receiver.wobble, uniform.to(torch.float32).sub_(0.5))
    gains = receiver.gain(torch.stack([distance, far]))
    (received, gained), (least, least_there) = gains, receiver.threshold(gains)
    rho = torch.maximum(intensity / receiver.full, receiver.least_reflectivity)
    target = torch.maximum(rho * received, MARGIN * least) * left
    found = (target <= receiver.brightest) & (far < distance - GAP) & (far >= receiver.min_range)
    found = found & (power > least_there)

    stronger = (target >= power) | (receiver.last > 0) | ~found
    kept = ((target > least) & stronger) | ~known
    level = torch.where(known, intensity * left, intensity)
    echo = (power / gained.clamp(min=1e-12) * receiver.white).clamp(0.0, 1.0) * receiver.scale
    from_air = found & ~kept
    level = torch.where(from_air, echo, level).clamp(min=0)
    stepped = nearest_whole(level * receiver.steps) / receiver.steps
    level = torch.where(receiver.steps > 0, stepped, level)
    return Returns(from_air, ~(kept | found), far, level)


def patches(way: Tensor, bend: Tensor, level: Tensor, phase: Tensor) -> Tensor:
    """A number (rows,) from 0 to 1 for each way: ``physics.pulse.Pulses.places``.

    Args:
        way: (rows, 3) float64, from the scanner. bend, level, phase: (rows, 3, 3), (rows, 3) and (rows,) float64.
    """
    unit = way / torch.linalg.norm(way, dim=1, keepdim=True).clamp(min=1e-6)
    bent = torch.baddbmm(level[:, None], unit[:, None], bend)[:, 0]
    turns = (bent * unit).sum(1) + phase
    return turns.remainder(1.0).sub_(0.5).abs_().mul_(2.0)


__all__ = ["Receiver", "Returns", "patches", "returns"]
