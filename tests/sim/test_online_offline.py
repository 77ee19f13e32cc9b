"""What a wrapper observes is what the same pipeline makes of the recorded episode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sim_robot import RIG, SmallRobot, actions

import fusion_aug as fa

EPISODES, STEPS = 2, 12


def with_efforts() -> dict[str, Any]:
    """All streams beside the observation, so that none of its types decides theirs; efforts too."""
    joints = {**RIG["streams"]["joints"], "columns": ["position", "velocity", "effort"]}
    return {"streams": {**RIG["streams"], "joints": joints}}


@pytest.mark.parametrize("format", ["folder"])
def test_online_is_offline(tmp_path: Path, format: str) -> None:
    """To the bit, with every sensor transform of the preset, whatever is delayed, lost, or drawn of the world."""
    pipeline, root = fa.preset("sim_robot"), tmp_path / "log"
    with fa.sim.Recorder(root, format) as recorder:
        env = fa.sim.Randomized(
            SmallRobot(), pipeline, rig=with_efforts(), recorder=recorder, cameras={"wrist": [24, 32]},
            world=fa.sim.MujocoWorld(mass=[0.8, 1.2], camera_deg=[-2, 2], focal=[0.9, 1.1]),
            sensors={"joints": {"latency": [0, 0.02]}, "imu": {"latency": 0.03, "drop": 0.1}, "wrist": {"rate": 20.0}},
        )  # fmt: skip
        seen = []
        for episode in range(EPISODES):
            observation, _ = env.reset(seed=3 if episode == 0 else None)
            seen.append([(env.ages(), observation)])
            for action in actions(STEPS, seed=episode):
                observation = env.step(action)[0]
                seen[-1].append((env.ages(), observation))
        env.close()
    log, compared = fa.open_log(format, root), 0
    for episode, steps in enumerate(seen):
        after = pipeline(log[episode], seed=3)
        for ages, observation in steps:
            for name, (stamp, _) in ages.items():
                stream, told = after[name], observation["sensor_data"][name]
                row = int((stream.capture_times == stamp).nonzero()[0, 0])
                if isinstance(stream, fa.Camera):
                    assert stream.image(row).numpy().tobytes() == told["rgb"].tobytes()
                else:
                    assert {c: stream[c][row].numpy().tobytes() for c in told} == {
                        c: v.tobytes() for c, v in told.items()
                    }
                compared += 1
    assert compared == EPISODES * (STEPS + 1) * 5
    assert all("mass" in line for line in next(root.rglob("episodes.jsonl")).read_text().splitlines())
