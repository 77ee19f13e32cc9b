"""Where an object of a donor may stand: on ground as high as its own, where nothing is in its way or hides it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fusion_aug.core.mixing.meeting import T_ref_item
from fusion_aug.sample.depth import lidars_of
from fusion_aug.transforms.mix.paste_objects import Boxed, Solid
from fusion_aug.transforms.mix.seams import camera_streams

Array = np.ndarray
CLEAR = 0.3  # metres that boxes keep from each other
MOST_STEP = 0.1  # metres by which the two grounds differ
MOST_INSIDE = 2  # returns that may lie where an object is put, as noise
ABOVE = 0.3  # metres above the ground from which a return is in the way
MOST_HIDDEN = 0.1  # share of an object that something hides in its own sample
SHRUNK = 0.8  # share of a box that lines of sight have to meet
VEHICLE = 3.0  # metres from the reference frame that the vehicle itself takes


def place_refusal(donor: Boxed, receiver: Boxed, solid: Solid, others: Iterable[Solid]) -> str:
    """Why an object cannot stand where it would be pasted; "" where it can.

    Args:
        donor, receiver: both keyframes. solid: the object. others: that are pasted already.
    """
    placed = solid.placed()
    if np.linalg.norm(placed[:2, 3]) < VEHICLE:
        return "the vehicle itself is there"
    rest = [(receiver.poses[i], receiver.sizes[i]) for i in range(len(receiver.poses))]
    rest += [(o.placed(), o.size) for o in others]
    if any(overlap(placed, solid.size, T, size) for T, size in rest):
        return "a box is there"
    ground = receiver.ground_at(placed, solid.size)
    if ground is not None and abs(ground - solid.ground) > MOST_STEP + 1e-6:
        return f"the ground there lies {abs(ground - solid.ground):.2f} m elsewhere ({MOST_STEP} m allowed)"
    local = (receiver.xyz - placed[:3, 3]) @ placed[:3, :3]
    inside = (np.abs(local) <= solid.size / 2).all(1) & (local[:, 2] > solid.ground + ABOVE)
    return "something is there" if int(inside.sum()) > MOST_INSIDE else ""


def own_refusal(boxed: Boxed, row: int) -> str:
    """Why an object of a sample is not whole in it: something hides it from a LiDAR or a camera; "" where it is."""
    sample = boxed.sample
    names = (*lidars_of(sample, 0), *camera_streams(sample))
    eyes = [T_ref_item(sample, n, sample.key_item(n))[:3, 3].numpy() for n in names]
    hidden = max((hidden_share(boxed, row, eye) for eye in eyes), default=0.0)
    if max(hidden, returns_before(boxed, row, eyes[0]) if eyes else 0.0) > MOST_HIDDEN + 1e-6:
        return "something hides it in its own sample"
    return ""


def overlap(T_a: Array, a: Array, T_b: Array, b: Array) -> bool:
    """Whether two boxes, seen from above, lie less than ``CLEAR`` apart (separating axes)."""
    if np.linalg.norm(T_a[:2, 3] - T_b[:2, 3]) > (np.hypot(*a[:2]) + np.hypot(*b[:2])) / 2 + CLEAR:
        return False
    corners = [_outline(T, s) for T, s in ((T_a, a), (T_b, b))]
    for T in (T_a, T_b):
        for axis in (T[:2, 0], T[:2, 1]):
            one, two = (c @ axis / max(np.linalg.norm(axis), 1e-9) for c in corners)
            if one.min() > two.max() + CLEAR or two.min() > one.max() + CLEAR:
                return False
    return True


def _outline(T: Array, size: Array) -> Array:
    corners = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * size[:2] / 2
    outline: Array = corners @ T[:2, :2].T + T[:2, 3]
    return outline


def hidden_share(boxed: Boxed, row: int, eye: Array) -> float:
    """Share (0 to 1) of an object of a sample that other boxes hide from a place (3,) of the reference frame."""
    steps = np.linspace(-0.4, 0.4, 5)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3) * boxed.sizes[row]
    goals = grid @ boxed.poses[row][:3, :3].T + boxed.poses[row][:3, 3]
    hidden = np.zeros(len(goals), bool)
    reach = np.linalg.norm(goals - eye, axis=1).max()
    between = np.linalg.norm(boxed.poses[:, :3, 3] - eye, axis=1) < reach
    between[row] = False
    for T, size in zip(boxed.poses[between], boxed.sizes[between], strict=True):
        near, far = crossings(eye, goals - eye, T, size)
        hidden |= (near < np.minimum(far, 1.0)) & (near > 0)
    return float(hidden.mean())


def returns_before(boxed: Boxed, row: int, eye: Array) -> float:
    """Share of the returns on lines from a LiDAR's place (3,) through a box that end before it."""
    way = boxed.xyz - eye
    far = np.linalg.norm(way, axis=1)
    toward = boxed.poses[row][:3, 3] - eye
    angle = np.arctan2(np.linalg.norm(boxed.sizes[row]) / 2, np.linalg.norm(toward))
    near_it = way @ toward > np.cos(min(angle, 1.5)) * far * np.linalg.norm(toward)
    way = way[near_it]
    enter, leave = crossings(eye, way, boxed.poses[row], boxed.sizes[row] * SHRUNK)
    through = enter < leave
    before = through & (enter * far[near_it] > far[near_it] + 0.5)
    return float(before.sum() / max(int(through.sum()), 1))


def crossings(eye: Array, ways: Array, T: Array, size: Array) -> tuple[Array, Array]:
    """Where lines ``eye + s ways`` (n, 3) enter and leave a box: s (n,) of both; if the first is larger it misses."""
    start, along = (eye - T[:3, 3]) @ T[:3, :3], ways @ T[:3, :3]
    along = np.where(np.abs(along) < 1e-12, 1e-12, along)
    a, b = (-size / 2 - start) / along, (size / 2 - start) / along
    enter: Array = np.minimum(a, b).max(1)
    leave: Array = np.maximum(a, b).min(1)
    return enter, leave
