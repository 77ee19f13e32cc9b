"""Which way is up around a vehicle: it does not change with a motion of the scene."""

from __future__ import annotations

import numpy as np
import torch

from calib import LidarSensor
from calib.se3 import invert
from fusion_aug.sample.meta import world_frame_of
from fusion_aug.sample.sample import Sample


def T_up_ref(sample: Sample, index: int) -> np.ndarray:
    """Map (4, 4) from the reference frame to axes whose z points up, about the first LiDAR.

    In a log without a world frame, up is the z axis of the LiDAR, else that of the reference frame.
    """
    chosen = sample.metas[index]
    rig, time = chosen.true_rig, chosen.ref.time
    lidar = next((s.frame for s in rig.sensors.values() if isinstance(s, LidarSensor)), None)
    mounted = torch.eye(4, dtype=torch.float64) if lidar is None else chosen.T_ref(lidar, time, true_rig=True)
    world = world_frame_of(rig, chosen.ref.frame)
    if world is None:
        return invert(mounted).numpy()
    out = rig.T(world, chosen.ref.frame, time).clone()
    out[:3, 3] = -out[:3, :3] @ mounted[:3, 3]
    return out.numpy()
