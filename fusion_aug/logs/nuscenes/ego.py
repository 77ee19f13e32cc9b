"""The vehicle around a sample of nuScenes: its poses at the records and just beside them, and how fast it moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from calib import Trajectory
from fusion_aug.logs.core.twist import MIN_GAP, neighbours, twist_at
from fusion_aug.logs.nuscenes.tables import Row, Tables, nanoseconds
from fusion_aug.streams import EgoPose


def ego_around(tables: Tables, sample: str, rows: Sequence[Row]) -> tuple[Trajectory, EgoPose]:
    """The way of the vehicle, and its poses with velocities, at records of a sample.

    Poses are read only where they are needed: a scene has thousands.

    Args:
        tables: of the log. sample: token. rows: of sample_data, of this sample.

    Returns:
        Its poses at the records, and the next known of the scene on either side, for what is between; and the stream of
        its poses at the records, by time.
    """
    near = tables.records_around(sample, MIN_GAP)
    times, known = np.array([nanoseconds(r) for r in rows]), np.array(list(near))
    at = np.searchsorted(known, times)
    beside = [i for i in (int(at.min()) - 1, int(at.max()) + 1) if 0 <= i < len(known)]
    needed = np.unique(np.concatenate([at, beside, *neighbours(times, known)]).astype(np.int64))
    records = list(near.values())
    poses = tables.ego_poses([*rows, *(records[i] for i in needed.tolist())]).numpy()
    own, others, stamps = poses[: len(rows)], poses[len(rows) :], known[needed]
    margin = np.searchsorted(needed, beside)
    # the first of equal stamps
    track_times, first = np.unique(np.concatenate([times, stamps[margin]]), return_index=True)
    track_poses = np.concatenate([own, others[margin]])[first]
    order = np.argsort(times, kind="stable")
    sorted_times = torch.from_numpy(times[order])
    velocity, angular = twist_at(sorted_times, torch.from_numpy(stamps), torch.from_numpy(others))
    stream = EgoPose(
        frame="world", child="ego", capture_times=sorted_times,
        values={"pose": torch.from_numpy(own[order]), "velocity": velocity, "angular_velocity": angular},
        records=tuple(rows[i]["ego_pose_token"] for i in order.tolist()),
    )  # fmt: skip
    return Trajectory(torch.from_numpy(track_times), torch.from_numpy(track_poses)), stream
