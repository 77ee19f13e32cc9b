"""What pushes a simulated robot during an episode: the part of the table of a world that is in MuJoCo's data."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.sim.world_fields import field


@field("body", "xfrc_applied", ("N", -1e4, 1e4, 0.0), numbers=3, on="data")
def force(data: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """A force at a body's centre of mass, along the world's axes, during the whole episode."""
    data.xfrc_applied[ids, :3] += values


@field("body", "xfrc_applied", ("Nm", -1e4, 1e4, 0.0), numbers=3, on="data")
def torque(data: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """A torque on a body, about the world's axes, during the whole episode."""
    data.xfrc_applied[ids, 3:] += values


@field("joint", "qfrc_applied", ("Nm or N", -1e4, 1e4, 0.0), on="data")
def joint_effort(data: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """A torque or force on each degree of freedom of a joint, during the whole episode."""
    own = {int(j): float(v) for j, (v,) in zip(ids, values, strict=True)}
    for dof, joint in enumerate(data.model.dof_jntid.tolist()):
        data.qfrc_applied[dof] += own.get(joint, 0.0)
