"""When readings arrive: exact to a physics step, for sensors of any rate and control of any rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sim_robot import RIG, SmallRobot, actions

import fusion_aug as fa
from fusion_aug.sim.randomized import Randomized
from fusion_aug.sim.timing import Timeline

MS = 1_000_000
STEP = 2 * MS  # ns of a physics step


def drawn(**given: Any) -> dict[str, Any]:
    return {"latency": 0.0, "jitter": 0.0, "drop": 0.0, "rate": None, "noise": "0" * 32, **given}


def walked(env: Any, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Joint positions as observed at every control step, and the true ones at every physics step."""
    robot = env.unwrapped
    advance, truth = env.physics._advance, []

    def step(count: int) -> None:
        advance(count)
        truth.append(robot.data.qpos[:8].copy())

    env.physics._advance = step
    seen = [env.reset(seed=1)[0]["state"][:8].copy()]
    truth.insert(0, seen[0])
    for action in actions(count):
        seen.append(env.step(action)[0]["state"][:8].copy())
    return seen, truth


@pytest.mark.parametrize("rate", [20.0, 50.0, 500.0])
@pytest.mark.parametrize("latency", [0.0, 0.004, 0.013, 0.0431])
def test_delays_are_exact_to_a_physics_step(rate: float, latency: float) -> None:
    """The reading at a control step is the newest that is at least as old as the delay, at any rate of control."""
    env = Randomized(SmallRobot(rate), rig=RIG, sensors={"joints": {"latency": latency}})
    seen, truth = walked(env, round(rate / 2))
    steps = round(500 / rate)
    late = -int(-latency * 1e9 // STEP)  # whole physics steps
    for k, positions in enumerate(seen):
        assert np.array_equal(positions, truth[max(k * steps - late, 0)]), k


def test_delays_between_40_and_60_ms_are_not_whole_control_steps() -> None:
    env, found = Randomized(SmallRobot(50.0), rig=RIG, sensors={"joints": {"latency": [0.04, 0.06]}}), set()
    for _ in range(12):
        env.reset(seed=None)
        told = env.draws.timing["joints"]["latency"]
        for action in actions(6):
            env.step(action)
        channel = env._streams[0]
        age = env.physics.row - channel._row
        assert age == -int(-told * 1e9 // STEP) and 20 <= age <= 30
        found.add(age)
    assert len(found) > 4


def test_what_mujoco_works_out_is_known_a_step_later() -> None:
    """Accelerometer and forces belong to the state before a step; the record says so, and delays above are exact."""
    env = Randomized(SmallRobot(), rig=RIG, sensors={"imu": {"latency": 0.006}})
    env.reset(seed=0)
    truth: list[np.ndarray] = []
    advance, data = env.physics._advance, env.unwrapped.data

    def step(count: int) -> None:
        advance(count)
        truth.append(data.sensor("gyro").data.copy())  # of the state before

    env.physics._advance = step
    for action in actions(5):
        seen = env.step(action)[0]["sensor_data"]
    np.testing.assert_array_equal(seen["imu"]["gyro"], truth[50 - 3].astype(np.float32))
    np.testing.assert_array_equal(seen["wrench"]["force"], data.sensor("force").data.astype(np.float32))
    assert env.draws.told["imu"]["least"] == pytest.approx(0.002)


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.02, 0.0555])
def test_actions_arrive_late(delay: float) -> None:
    """The drive gets an action at the first physics step that begins when it has arrived."""
    env = Randomized(SmallRobot(), action_delay=delay)
    env.reset(seed=0)
    got: list[float] = []
    advance, data = env.physics._advance, env.unwrapped.data
    env.physics._advance = lambda count: (got.append(float(data.ctrl[0])), advance(count))[1]
    sent = np.linspace(0.1, 0.9, 9, dtype=np.float32)
    for value in sent:
        env.step(np.array([value, 0], np.float32))
    late = -int(-delay * 1e9 // STEP)
    expected = [0.0] * late + [float(v) for v in sent for _ in range(10)]
    assert got == expected[: len(got)]


@pytest.mark.quick
def test_a_rate_and_drops() -> None:
    """Readings at 100 Hz stay until the next one; of those that are lost the one before stays."""
    line = Timeline(drawn(rate=100.0), STEP, 10 * STEP)
    rows = [line.row_at(t * STEP) for t in range(12)]
    assert rows == [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10]
    lossy = Timeline(drawn(drop=0.3), STEP, STEP)
    kept = {lossy.row_at(t * STEP) for t in range(5000)}
    assert 0 in kept and 0.66 < len(kept) / 5000 < 0.74


def test_a_rate_that_is_no_divisor_of_the_physics() -> None:
    """30 Hz on a grid of 2 ms: every reading at the first physics step at or after its moment, so it does not drift."""
    line = Timeline(drawn(rate=30.0), STEP, STEP)
    rows = sorted({line.row_at(t * STEP) for t in range(5000)})
    assert rows[:4] == [0, 17, 34, 50] and rows[299] == -(-299 * round(1e9 / 30) // STEP)


def test_jitter_never_lets_one_overtake() -> None:
    line = Timeline(drawn(latency=0.01, jitter=0.01), STEP, STEP)
    rows = [line.row_at(t * STEP) for t in range(5000)]
    ages = np.arange(5000) - rows
    assert (np.diff(rows) >= 0).all() and ages[50:].min() >= 5 and 6 < ages[50:].mean() < 14


@pytest.mark.parametrize("latency", [0.0, 0.013, 0.09])
@pytest.mark.parametrize("rate", [None, 20.0, 123.0])
def test_what_is_wanted_is_what_is_seen(latency: float, rate: float | None) -> None:
    """Pictures are taken where a control step will show them, and nowhere else."""
    control = 10 * STEP
    given = drawn(latency=latency, rate=rate, jitter=0.004, drop=0.1)
    line, seen = Timeline(given, STEP, control, lag=1), Timeline(given, STEP, control, lag=1)
    shown = sorted({seen.row_at(t * control) for t in range(400)} | {0})
    wanted, row = [0], 0
    while row < shown[-1]:
        row = line.next_wanted(row)
        wanted.append(row)
    assert wanted == shown


@pytest.mark.quick
def test_an_observation_of_the_environment_alone_says_what_is_left() -> None:
    env = Randomized(SmallRobot(), rig=RIG, sensors={"clock": {"latency": 0.05}})
    env.reset(seed=0)
    seen = [float(env.step(a)[0]["clock"][0]) for a in actions(6)]
    assert seen == [0, 0, 1, 2, 3, 4]
    assert env.draws.told["clock"] == pytest.approx({"latency": 0.05, "delivered": 0.04, "residual": 0.01})


@pytest.mark.quick
@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"sensors": {"lidar": {}}}, r"sensors.lidar: there is no such sensor \(there are joints"),
        ({"sensors": {"imu": {"latency": -0.01}}}, "sensors.imu.latency"),
        ({"sensors": {"imu": {"delay": 0.01}}}, "sensors.imu.delay: unknown, expected latency"),
        ({"sensors": {"imu": {"rate": 0}}}, "sensors.imu.rate"),
        ({"sensors": {"imu": {"drop": 1.5}}}, "sensors.imu.drop"),
        ({"sensors": {"clock": {"rate": 10.0}}}, "sensors.clock.rate: only the environment can make"),
        ({"action_delay": -0.1}, "Randomized.action_delay"),
    ],
)
def test_wrong_timing_is_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(fa.ConfigError, match=word):
        Randomized(SmallRobot(), rig=RIG, **given)
