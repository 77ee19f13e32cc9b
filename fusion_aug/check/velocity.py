"""Velocities against the motion that they should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import Sample, world_frame_of
from fusion_aug.streams import Radar

VELOCITY_LIMIT = 0.05  # m/s


def world_tracks(samples: Sequence[Sample]) -> dict[tuple[str, str], list[tuple[int, np.ndarray, np.ndarray]]]:
    """(scene, instance) -> (time, position, velocity) in the world, in time order."""
    tracks: dict[tuple[str, str], list[tuple[int, np.ndarray, np.ndarray]]] = {}
    for sample in samples:
        meta = sample.meta
        world = world_frame_of(meta.rig, meta.ref.frame)
        if world is None or "boxes" not in sample.streams:
            continue
        T = meta.rig.T(world, meta.ref.frame, meta.ref.time).numpy()
        boxes = sample.boxes()
        positions = boxes["pose"][:, :3, 3].numpy() @ T[:3, :3].T + T[:3, 3]
        velocities = boxes["velocity"].numpy() @ T[:3, :3].T
        for name, p, v in zip(boxes["instance"], positions, velocities, strict=True):
            tracks.setdefault((meta.scene, str(name)), []).append((meta.ref.time, p, v))
    return {k: sorted(v, key=lambda row: row[0]) for k, v in tracks.items()}


@measurement("box velocity")
def box_velocity(pairs: Sequence[Pair]) -> list[Row]:
    """Velocity of a box against the central difference of its positions in the world."""
    off = []
    for track in world_tracks([p.augmented for p in pairs]).values():
        for (t0, p0, _), (_, _, v), (t2, p2, _) in zip(track, track[1:], track[2:], strict=False):
            seconds = (t2 - t0) * 1e-9
            if 0 < seconds <= 3.0 and np.isfinite(v).all():
                off.append(float(np.linalg.norm((p2 - p0) / seconds - v)))
    reason = "no box is seen in three keyframes in a row"
    return [Row("box velocity", "boxes", "m/s", VELOCITY_LIMIT, np.array(off), reason)]


@measurement("Doppler")
def doppler(pairs: Sequence[Pair]) -> list[Row]:
    """Compensated radial velocity of detections in a box against the box's own velocity along the ray.

    What the source itself is off by is allowed on top, since real detections scatter.
    """
    rows: list[Row] = []
    for pair in pairs:
        for name in pair.augmented.of_type(Radar):
            before = {k: v for n in pair.source.of_type(Radar) for k, v in _off(pair.source, n).items()}
            after = _off(pair.augmented, name)
            values = [max(0.0, v - before.get(k, 0.0) * 1.2) for k, v in after.items()]
            reason = "no detection in a box of known velocity"
            rows.append(Row("Doppler", name, "m/s", VELOCITY_LIMIT, np.array(values), reason))
    return rows or [Row("Doppler", "radar", "m/s", VELOCITY_LIMIT, reason="the log has no radar")]


def _off(sample: Sample, name: str) -> dict[tuple[str, int], float]:
    if "boxes" not in sample.streams:
        return {}
    boxes = sample.boxes()
    item = sample.key_item(name)
    radar = sample[name].realized()
    rows = radar.item_slice(item)  # type: ignore[attr-defined]
    T = sample.T_ref(name, item, true_rig=True)
    local, doppler_vector = radar["xyz"][rows].double(), radar["velocity_comp"][rows].double()
    ray = local / local.norm(dim=1, keepdim=True).clamp(min=1e-9)
    xyz = local @ T[:3, :3].T + T[:3, 3]
    out = {}
    inside = points_in_boxes(xyz, boxes["pose"], boxes["size"] + torch.tensor([0.5, 0.5, 4.0]))
    for b, found in enumerate(inside):
        velocity = boxes["velocity"][b] @ T[:3, :3]
        if not bool(torch.isfinite(velocity).all()):
            continue
        for i in found.tolist():
            out[str(boxes["instance"][b]), i] = float((ray[i] @ velocity - ray[i] @ doppler_vector[i]).abs())
    return out
