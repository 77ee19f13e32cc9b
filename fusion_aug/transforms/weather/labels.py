"""Weather on labels and wheels: boxes fade from view, wheels slip."""

from __future__ import annotations

import numpy as np
import torch

from fusion_aug.core.registry import Call, handles
from fusion_aug.ops.hashed import row_key
from fusion_aug.ops.normals import normal
from fusion_aug.physics.ground import friction
from fusion_aug.sample import REF
from fusion_aug.streams import Boxes3D, Odometry
from fusion_aug.transforms.weather.place import T_ref_vehicle
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.weather import Weather

LEAST_CONTRAST = 0.05  # at which something is just seen: the definition of the meteorological optical range
PEAK_SLIP = 0.1  # slip of a tyre that uses all of the friction there is
UNEVEN = 0.005  # standard deviation of the slip's wander, per share by which friction is lower than on a dry road
SETTLES = 1.0  # seconds after which the wander has forgotten where it was


@handles(Weather, Boxes3D)
def fade_boxes(stream: Boxes3D, call: Call) -> Boxes3D:
    """Lower the visible share of boxes that the air hides from the vehicle."""
    if "visible" not in stream.values or all(WeatherState.of(p).air.is_clear for p in call.params):
        return stream
    visible = stream.values["visible"].clone()
    for i, params in enumerate(call.params):
        state, rows = WeatherState.of(params), stream.item_slice(i)
        index = int(stream.sample_index[i])
        eye = torch.zeros(3, dtype=torch.float64)
        if stream.frame == REF:
            eye = torch.from_numpy(T_ref_vehicle(call.sample, index)[:3, 3])
        distance = (stream.values["pose"][rows][:, :3, 3] - eye.to(stream.values["pose"])).norm(dim=1)
        contrast = torch.exp(-state.air.extinction(550e-9) * distance)
        visible[rows] *= (contrast / LEAST_CONTRAST).clamp(max=1.0).to(visible)
    return stream.with_values(visible=visible)


@handles(Weather, Odometry)
def slip(stream: Odometry, call: Call) -> Odometry:
    """Wheels turn faster than the road passes under a driven axle, and slower under a braked one.

    Slip is linear in the share of the friction that is used, s = 0.1 a / (mu g), against a dry road's, which wheel
    odometry is calibrated on; on wet and snowy roads it wanders besides.
    """
    states = [WeatherState.of(p) for p in call.params]
    if "velocity" not in stream.values or all(s.surface.water_film == s.surface.snow_cover == 0 for s in states):
        return stream
    velocity = stream.values["velocity"].clone()
    dry = friction(0.0, 0.0)
    for index in torch.unique(stream.sample_index).tolist():
        mine = (stream.sample_index == index).nonzero()[:, 0]
        surface, params = states[int(mine[0])].surface, call.params[int(mine[0])]
        mu = friction(surface.water_film, surface.snow_cover)
        seconds = (stream.capture_times[mine] - stream.capture_times[mine[0]]).double().numpy() * 1e-9
        forward = velocity[mine, 0].double().cpu().numpy()
        gained = np.gradient(forward, seconds) if len(seconds) > 1 else np.zeros(len(seconds))
        gained = gained * np.where(forward < 0, -1.0, 1.0)  # in reverse, a driven axle turns faster backwards
        used = PEAK_SLIP / 9.81 * (gained / mu - gained / dry)
        drawn = normal(row_key(params["noise"], call.name), stream.capture_times[mine].numpy())
        wander = UNEVEN * (dry / mu - 1) * _ornstein_uhlenbeck(seconds, drawn.astype(float))
        factor = 1 + np.clip(used + wander, -0.9, 0.9)
        velocity[mine] *= torch.from_numpy(factor)[:, None].to(velocity)
    return stream.with_values(velocity=velocity)


def _ornstein_uhlenbeck(seconds: np.ndarray, white: np.ndarray) -> np.ndarray:
    """White noise (n,) made to forget itself exponentially, of standard deviation 1 (Ornstein and Uhlenbeck 1930)."""
    out = white.copy()
    keep = np.exp(-np.diff(seconds) / SETTLES)
    for i, k in enumerate(keep):
        out[i + 1] = k * out[i] + np.sqrt(1 - k * k) * out[i + 1]
    return out
