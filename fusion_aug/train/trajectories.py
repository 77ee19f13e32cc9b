"""Trajectories as planners and forecasters take them: steps of every box and of the ego, with masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import REF, Sample
from fusion_aug.streams import EGO, Waypoints

MOST_STEPS = 1000


def trajectory_tables(
    sample: Sample, future_steps: int | None = None, past_steps: int | None = None, step: float | None = None
) -> dict[str, np.ndarray]:
    """Steps of boxes and ego from the sample's waypoints, in the reference frame at the sample's time.

    A step is the way from the waypoint before, along x and y, so the sum of the steps is the place. It is known where
    both of its ends are: behind a gap, and at the ends of a scene, steps are 0 and their mask is False.

    Args:
        sample: one sample. future_steps, past_steps: how many; by default those at which the ego has a waypoint.
        step: seconds between two; the nearest waypoint counts, at most half a step away. By default the times of the
            ego's waypoints, of which the nearest ``future_steps`` and ``past_steps`` are taken.

    Returns:
        ``gt_agent_fut_trajs`` (m, T, 2) float32 and ``gt_agent_fut_masks`` (m, T) bool, of the boxes in their order;
        ``gt_ego_fut_trajs`` (T, 2), ``gt_ego_fut_masks`` (T,), ``gt_ego_his_trajs`` (P, 2), ``gt_ego_his_masks`` (P,),
        the past from the earliest step to the one that ends now; ``fut_times`` (T,) and ``his_times`` (P,) float64,
        seconds at which steps end and, of the past, begin. Nothing where the sample has no waypoints and no argument
        asks for steps.

    Raises:
        ConfigError: an argument is no number of steps, or of seconds.
        DataError: steps are asked for and the sample has no waypoints, or they are in another frame.
    """
    for name, value in (("future_steps", future_steps), ("past_steps", past_steps)):
        if value is not None and (type(value) is not int or not 0 <= value <= MOST_STEPS):
            raise ConfigError(f"{name}: expected a whole number from 0 to {MOST_STEPS}, got {value!r}")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int | float) or not 1e-3 <= step <= 60):
        raise ConfigError(f"step: expected seconds from 0.001 to 60, got {step!r}")
    streams = list(sample.of_type(Waypoints).values())
    if not streams:
        if future_steps is None and past_steps is None and step is None:
            return {}
        raise DataError(f"sample {sample.id!r}: has no waypoints; read its log with log.future and log.past")
    stream = streams[0]
    if stream.frame != REF or len(stream) != 1:
        raise DataError(f"sample {sample.id!r}: its waypoints are in {stream.frame!r}, expected one item in {REF!r}")
    own = stream["time_offset"].cpu()[stream.of(EGO)].to(torch.float64).numpy()
    future = _times(np.sort(own[own > 0]), future_steps, step)
    past = -_times(np.sort(-own[own < 0]), past_steps, step)
    boxes = _instances(sample)
    times = np.concatenate([past[::-1], [0.0], future])
    places, known = _places(stream, [EGO, *boxes], times, step)  # a box without an instance has no row
    if boxes:  # a box is where it is, with or without a waypoint
        places[1:, len(past)], known[1:, len(past)] = sample.boxes()["pose"].detach().cpu()[:, :2, 3].numpy(), True
    masks = known[:, 1:] & known[:, :-1]
    steps = np.where(masks[..., None], np.diff(places, axis=1), 0.0).astype(np.float32)
    (ego_his, ego_fut), (his_mask, fut_mask) = (np.split(a[0], [len(past)]) for a in (steps, masks))
    return {
        "gt_agent_fut_trajs": steps[1:, len(past) :], "gt_agent_fut_masks": masks[1:, len(past) :],
        "gt_ego_fut_trajs": ego_fut, "gt_ego_fut_masks": fut_mask, "gt_ego_his_trajs": ego_his,
        "gt_ego_his_masks": his_mask, "fut_times": future, "his_times": past[::-1].copy(),
    }  # fmt: skip


def _instances(sample: Sample) -> list[str]:
    """The instance of every box, in order; empty text where it has none."""
    if "boxes" not in sample.streams:
        return []
    boxes = sample.boxes()
    return [str(n) for n in boxes.values.get("instance", [""] * boxes.rows)]


def _times(own: np.ndarray, count: int | None, step: float | None) -> np.ndarray:
    """Seconds from now, increasing, of the waypoints that are wanted on one side; ``own`` are those of the ego."""
    if step is None:
        if count is not None and count > len(own):
            raise DataError(
                f"the ego has {len(own)} waypoints there, fewer than {count} steps; give step (seconds) too, and steps "
                f"that are not known are masked"
            )
        return own if count is None else own[:count]
    if count is None:
        count = min(int(np.floor(own[-1] / step + 0.5 - 1e-6)), MOST_STEPS) if len(own) else 0
    return step * np.arange(1, count + 1)


def _places(
    stream: Waypoints, names: list[str], times: np.ndarray, step: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Places (names, times, 2) of the nearest waypoints, and which there are."""
    gaps = np.diff(times)
    reach = step / 2 if step is not None else float(gaps.min()) / 2 if len(gaps) else 1e-3
    offsets = stream["time_offset"].cpu().to(torch.float64)
    xy: Tensor = stream["pose"].detach().cpu()[:, :2, 3].to(torch.float64)
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(stream["instance"].tolist()):
        rows_of.setdefault(name, []).append(row)
    places, known = np.zeros((len(names), len(times), 2)), np.zeros((len(names), len(times)), bool)
    for k, name in enumerate(names):
        rows = rows_of.get(name) if name else None
        if not rows:
            continue
        away = np.abs(offsets[rows].numpy()[:, None] - times)
        nearest = away.argmin(0)
        known[k] = away[nearest, np.arange(len(times))] <= reach + 1e-6
        places[k] = xy[rows].numpy()[nearest]
    return places, known


__all__ = ["trajectory_tables"]
