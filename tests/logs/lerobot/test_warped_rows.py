"""Rows of a warped episode: all are within the readings, and commands of changes make the way that the state makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import policy_logs as made
import pytest

from fusion_aug.cli import main

pytest.importorskip("pyarrow.parquet")
FRAMES = 20
PARTS = (
    "log.parts={observation.state: {position: [0, 3], other: [3, 4], frame: base}, "
    "action: {position: [0, 3], delta: base, command: [3, 4]}}"
)


def episode(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and the changes that lead from each to the next one; after the last one nothing is commanded."""
    place, _ = made.hand(FRAMES, seed)
    change = np.concatenate([np.diff(place, axis=0), np.zeros((1, 3))])
    numbers = np.arange(FRAMES)[:, None] % 2
    return np.concatenate([place, numbers], 1), np.concatenate([change, numbers], 1)


@pytest.mark.parametrize("speed", [0.8, 0.93, 1.0, 1.3])
def test_rows_end_with_the_last_reading_and_changes_are_conserved(tmp_path: Path, speed: float) -> None:
    states, actions = zip(*(episode(k) for k in range(2)), strict=True)
    root = made.lerobot(tmp_path / "log", {"observation.state": (None, states), "action": (None, actions)})
    warp = f"+pipeline.transforms.w={{_target_: fusion_aug.SpeedWarp, speed: {speed}}}"
    words = ("log=lerobot", f"log.root={root}", "pipeline=identity", warp, PARTS)
    assert main(["run", *words, f"out={tmp_path / 'out'}"]) == 0
    expected = int(np.floor((FRAMES - 1) / speed + 1e-9)) + 1
    found = [made.rows(tmp_path / "out", f).reshape(2, expected, 4) for f in ("observation.state", "action")]
    for state, action, before, change in zip(*found, states, actions, strict=True):
        at = np.arange(expected) * speed
        place = np.stack([np.interp(at, np.arange(FRAMES), before[:, i]) for i in range(3)], 1)
        assert at[-1] <= FRAMES - 1 + 1e-9 < at[-1] + speed
        np.testing.assert_allclose(state[:, :3], place, atol=1e-6)
        np.testing.assert_allclose(action[:-1, :3], np.diff(state[:, :3], axis=0), atol=1e-6)
        np.testing.assert_allclose(action[:, :3].sum(0), change[:, :3].sum(0), atol=1e-6)
