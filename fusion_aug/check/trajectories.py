"""Trajectories: their velocities against the way between waypoints, and where they are now against the boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.check.velocity import VELOCITY_LIMIT
from fusion_aug.sample import Sample
from fusion_aug.streams import EGO, Boxes3D, Waypoints
from fusion_aug.transforms.scene import scene_motion

LONGEST = 3.0  # s between the neighbours of a waypoint
NOW = 1e-6  # s: a waypoint of the sample itself
PLACE_LIMIT = 1e-6  # m


@measurement("waypoint velocity")
def waypoint_velocity(pairs: Sequence[Pair]) -> list[Row]:
    """Velocity of waypoints against the slope of the way over both neighbours, and boxes against their waypoints.

    What the source itself is off by, at the scale of the scene, is allowed on top: real bodies speed up between two
    waypoints.
    """
    rows = []
    for pair in pairs:
        for name, stream in pair.augmented.of_type(Waypoints).items():
            before = pair.source.streams.get(name)
            known = _off(before) if isinstance(before, Waypoints) else {}
            motion = scene_motion(pair.augmented.history[len(pair.source.history) :]).detach().numpy()
            scale = abs(np.linalg.det(motion[:3, :3])) ** (1 / 3)
            off = [max(0.0, v - 1.001 * scale * known.get(key, 0.0)) for key, v in _off(stream).items()]
            reason = "no body has three waypoints in a row and a velocity"
            rows.append(Row("waypoint velocity", name, "m/s", VELOCITY_LIMIT, np.array(off), reason))
            were = _from_boxes(pair.source, before) if isinstance(before, Waypoints) else {}
            away = [
                max(0.0, v - 1.001 * scale * were.get(k, 0.0)) for k, v in _from_boxes(pair.augmented, stream).items()
            ]
            reason = "no box has a waypoint of its time"
            rows.append(Row("waypoint at its box", name, "m", PLACE_LIMIT, np.array(away), reason))
    return rows


def _off(stream: Waypoints) -> dict[tuple[str, int], float]:
    """Instance and number of a waypoint in its trajectory -> m/s by which its velocity is no slope."""
    columns = ("time_offset", "pose", "velocity", "instance")
    if any(c not in stream.values for c in columns):
        return {}
    seconds, pose, velocity, names = (np.asarray(stream[c]) for c in columns)
    out = {}
    for item in range(len(stream)):
        rows = np.arange(stream.rows)[stream.item_slice(item)]
        for name in np.unique(names[rows]):
            own = rows[names[rows] == name]
            own = own[np.argsort(seconds[own], kind="stable")]
            t, p, v = seconds[own], pose[own, :3, 3], velocity[own]
            for k in range(1, len(own) - 1):
                if 0 < t[k + 1] - t[k - 1] <= LONGEST and np.isfinite(v[k]).all():
                    slope = (p[k + 1] - p[k - 1]) / (t[k + 1] - t[k - 1])
                    out[f"{item} {name}", k] = float(np.linalg.norm(slope - v[k]))
    return out


def _from_boxes(sample: Sample, stream: Waypoints) -> dict[str, float]:
    """Instance of a box in the stream's frame -> m from its waypoint of the same moment."""
    now = np.flatnonzero(np.abs(stream["time_offset"].numpy()) <= NOW)
    places = {str(stream["instance"][k]): stream["pose"][k, :3, 3].numpy() for k in now if stream["instance"][k] != EGO}
    off = {}
    for boxes in sample.of_type(Boxes3D).values():
        if boxes.frame != stream.frame or "instance" not in boxes.values or len(boxes) != 1 or len(stream) != 1:
            continue
        for name, pose in zip(boxes["instance"].tolist(), boxes["pose"].numpy(), strict=True):
            if name in places:
                off[name] = float(np.linalg.norm(places[name] - pose[:3, 3]))
    return off
