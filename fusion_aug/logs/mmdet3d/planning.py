"""Fields of planners' info files that are no steps: commands and facts of agents, as the converter of VAD makes them.

gt_ego_fut_cmd (3,)         1 for one of right, left, straight on: to which side of its own way the vehicle goes
gt_agent_fut_yaw (n, T)     rad about the LiDAR's z, how far a box turns in every step
gt_agent_fut_goal (n,)      eighth of a turn in which the steps after the first lead, from -x on; 9 at rest
gt_agent_lcf_feat (n, 9)    x, y, yaw, vx, vy of a box in the LiDAR's axes, width, length, height, number of its class
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from calib.ties import TIE
from fusion_aug.logs.mmdet3d.contents import EVERYTHING, MIRROR, TIME
from fusion_aug.logs.mmdet3d.infos import AGENT_STEPS, Info, InfoRow, are_steps
from fusion_aug.logs.mmdet3d.rows import Changes

COMMAND, YAW, GOAL, FACTS = PLANNING = (
    "gt_ego_fut_cmd", "gt_agent_fut_yaw", "gt_agent_fut_goal", "gt_agent_lcf_feat",
)  # fmt: skip
AT_REST, NEAR = 9, 1.0  # class of an agent whose place is less than so many metres further on, along x and y
EIGHTH = np.pi / 4
SAME = 1e-3  # m, rad or m/s by which a fact may differ from the box that it is of, in float32


def planning_without_rule(rows: Iterable[InfoRow], legacy: bool) -> dict[str, tuple[str, ...]]:
    """Planning fields of some samples that are not what their name says -> the changes that make them wrong.

    Args:
        rows: samples. legacy: whether ``gt_boxes`` are of the convention before mmdetection3d 1.0.
    """
    out: dict[str, tuple[str, ...]] = {}
    for row in rows:
        for name in PLANNING:
            if (
                name not in out
                and row.get(name) is not None
                and np.size(row[name])
                and not _is_ruled(name, row, legacy)
            ):
                out[name] = (MIRROR, TIME) if name == COMMAND else EVERYTHING
    return out


def _is_ruled(name: str, row: InfoRow, legacy: bool) -> bool:
    try:
        value = np.asarray(row[name], np.float64)
        return RULES[name](value, row, legacy)
    except (ValueError, TypeError, KeyError, IndexError):
        return False


def _is_command(value: np.ndarray, row: InfoRow, legacy: bool) -> bool:
    return value.shape == (3,) and sorted(value.tolist()) == [0.0, 0.0, 1.0]


def _are_turns(value: np.ndarray, row: InfoRow, legacy: bool) -> bool:
    return value.ndim == 2 and len(value) == len(_boxes(row, legacy)[0])


def _are_goals(value: np.ndarray, row: InfoRow, legacy: bool) -> bool:
    steps = row[AGENT_STEPS]
    if not are_steps(AGENT_STEPS, steps) or len(steps) != len(value) or value.ndim != 1:
        return False
    own = goals(_steps_of(steps), 0.0)
    return bool(
        ((own == value) | (goals(_steps_of(steps), 1e-3) == value) | (goals(_steps_of(steps), -1e-3) == value)).all()
    )


def _are_facts(value: np.ndarray, row: InfoRow, legacy: bool) -> bool:
    boxes, velocity = _boxes(row, legacy)
    if value.shape != (len(boxes), 9) or len(velocity) != len(boxes):
        return False
    expected = facts(boxes, velocity)
    off = np.abs(value[:, :8] - expected)
    off[:, 2] = np.abs((value[:, 2] - expected[:, 2] + np.pi) % (2 * np.pi) - np.pi)
    unknown = np.isnan(value[:, :8]) & np.isnan(expected)
    return bool((unknown | (off <= SAME)).all())


RULES: dict[str, Callable[[np.ndarray, InfoRow, bool], bool]] = {
    COMMAND: _is_command, YAW: _are_turns, GOAL: _are_goals, FACTS: _are_facts,
}  # fmt: skip


def _boxes(row: InfoRow, legacy: bool) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 7) with length, width, height and yaw, and velocities (n, 2) of a row of either layout."""
    if "gt_boxes" not in row:
        instances = row["instances"]
        boxes = np.array([i["bbox_3d"] for i in instances], np.float64).reshape(len(instances), -1)
        velocity = np.array([i.get("velocity", i["bbox_3d"][7:9])[:2] for i in instances], np.float64)
        return boxes[:, :7], velocity.reshape(-1, 2)
    held = np.asarray(row["gt_boxes"], np.float64)
    boxes = held[:, :7].copy()
    if legacy:
        boxes[:, 3:5], boxes[:, 6] = held[:, [4, 3]], -held[:, 6] - np.pi / 2
    return boxes, np.asarray(row.get("gt_velocity", held[:, 7:9]), np.float64)


def facts(boxes: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """(n, 8) x, y, yaw, vx, vy, width, length, height of boxes (n, 7) and velocities (n, 2)."""
    return np.concatenate([boxes[:, [0, 1, 6]], velocity, boxes[:, [4, 3, 5]]], 1)


def _steps_of(steps: Any) -> np.ndarray:
    held = np.asarray(steps, np.float64)
    return held.reshape(len(held), -1, 2)


def goals(steps: np.ndarray, slack: float = TIE) -> np.ndarray:
    """(n,) goal of agents by their steps (n, T, 2) m; what lies within ``slack`` of a border belongs beyond it."""
    places = steps.cumsum(1)
    way = places[:, -1] - places[:, 0] if steps.shape[1] else np.zeros((len(steps), 2))
    eighths = (np.arctan2(way[:, 1], way[:, 0]) + np.pi) / EIGHTH
    number = np.floor(np.where(eighths < abs(slack), 8.0, eighths) + slack)  # -x is the first and the last direction
    return np.where(way.max(1, initial=-np.inf) + slack < NEAR, AT_REST, number)


def with_planning(row: InfoRow, before: InfoRow, info: Info, changes: Changes) -> InfoRow:
    """The row with its planning fields as they are after a change, but for those that are kept or are none.

    Args:
        row: of the output, with what else moved. before: of the source. info: what is written, boxes with length first.
        changes: the boxes that are left, and the map of steps.
    """
    steps = None if changes.steps is None else changes.steps.numpy()
    mirrored = steps is not None and float(np.linalg.det(steps)) < 0
    there = [n for n in PLANNING if n not in changes.kept and row.get(n) is not None and np.size(row[n])]
    if COMMAND in there and mirrored and _is_command(np.asarray(row[COMMAND], np.float64), row, False):
        _put(row, COMMAND, np.asarray(row[COMMAND])[[1, 0, 2]])
    if YAW in there and mirrored:
        _put(row, YAW, 0.0 - np.asarray(row[YAW]))
    if GOAL in there and steps is not None and are_steps(AGENT_STEPS, before.get(AGENT_STEPS)):
        _put(row, GOAL, goals(_steps_of(before[AGENT_STEPS])[changes.records] @ steps.T))
    if FACTS in there and np.shape(row[FACTS]) == (len(info.boxes), 9):
        held = np.asarray(row[FACTS], np.float64)
        new = facts(info.boxes.numpy(), info.velocity.numpy())
        same = np.isclose(held[:, :8], new, rtol=0, atol=1e-6) | np.isnan(new)
        held[:, :8] = np.where(same, held[:, :8], new)
        _put(row, FACTS, held)
    return row


def _put(row: InfoRow, name: str, value: np.ndarray) -> None:
    """Write an array in the type of the old one."""
    old = np.asarray(row[name])
    new = value.astype(old.dtype) if old.dtype.kind in "fiu" else value
    row[name] = new if isinstance(row[name], np.ndarray) else new.tolist()
