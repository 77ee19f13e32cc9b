"""The mirror image of a simulator's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fusion_aug.sim.index_tables import IndexTable


@dataclass(frozen=True, eq=False)
class StateMirror:
    """Maps of a MuJoCo model's state at the plane y = ``plane`` of the world.

    Attributes:
        qpos, qvel, ctrl: of positions, velocities and controls. plane: metres.
        bodies: body -> (its partner, M (4, 4) from its frame to the partner's), of the robot's bodies.
    """

    qpos: IndexTable
    qvel: IndexTable
    ctrl: IndexTable
    plane: float
    bodies: Mapping[int, tuple[int, np.ndarray]]

    @property
    def world(self) -> np.ndarray:
        """(4, 4) the reflection in the world."""
        W = np.diag([1.0, -1, 1, 1])
        W[1, 3] = 2 * self.plane
        return W
