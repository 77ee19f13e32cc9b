"""A randomized environment: the same bytes wherever and after whatever an episode runs."""

from __future__ import annotations

import json
import os
import warnings
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from sim_robot import RIG, SmallRobot, actions

import fusion_aug as fa
from fusion_aug.sim.randomized import Randomized
from fusion_aug.sim.replaying import replay
from fusion_aug.sim.world import MujocoWorld

START = 1_000_000_000  # ns, of an episode
LENGTH = 6  # control steps of an episode


def noisy() -> fa.Compose:
    return fa.Compose([
        fa.SensorBias(gyro_noise=1e-3, gyro_walk=1e-3, accel_noise=1e-2, force_noise=0.05, torque_noise=0.01),
        fa.TaxelGain(sigma=0.1),
        fa.Latency(delay=[0.0, 0.02], sensors=["wrench"]),
    ])  # fmt: skip


def make(length: int = LENGTH, pictures: bool = False, **given: Any) -> Randomized:
    """The small robot with everything drawn."""
    return Randomized(
        SmallRobot(length=length),
        noisy(),
        rig=RIG,
        world=MujocoWorld(mass=[0.8, 1.2], friction=[0.5, 1.5], gain=[0.9, 1.1], com={"hand": [-0.01, 0.01]}),
        sensors={"joints": {"latency": [0.0, 0.03], "jitter": 0.002}, "imu": {"rate": 100.0, "drop": 0.1}},
        cameras={"wrist": [24, 32]} if pictures else None,
        action_delay=[0.0, 0.03],
        **given,
    )


def flat(observation: Any) -> bytes:
    """All numbers of an observation, in the order of its keys."""
    if isinstance(observation, dict):
        return b"".join(flat(observation[k]) for k in sorted(observation))
    return np.ascontiguousarray(observation).tobytes()


def of_one(observation: Any, number: int) -> Any:
    """The observation of one environment of a vector."""
    if isinstance(observation, dict):
        return {k: of_one(v, number) for k, v in observation.items()}
    return observation[number]


def alone(seed: int, episodes: int, pictures: bool = False) -> list[bytes]:
    """Observations of some whole episodes of one environment."""
    env, out = make(pictures=pictures), []
    for episode in range(episodes):
        out.append(flat(env.reset(seed=seed if episode == 0 else None)[0]))
        out += [flat(env.step(a)[0]) for a in actions(LENGTH)]
    env.close()
    return out


def in_vector(kind: Any, count: int, mode: AutoresetMode, pictures: bool = False) -> list[list[bytes]]:
    """The same of every environment of a vector, over two episodes."""
    envs = kind([partial(make, pictures=pictures)] * count, autoreset_mode=mode)
    out: list[list[bytes]] = [[] for _ in range(count)]

    def note(observation: Any) -> None:
        for number in range(count):
            out[number].append(flat(of_one(observation, number)))

    def act(action: np.ndarray) -> tuple[Any, dict[str, Any]]:
        observation, *_, info = envs.step(np.tile(action, (count, 1)))
        return observation, info

    note(envs.reset(seed=7)[0])
    for episode in range(2):
        for step, action in enumerate(actions(LENGTH)):
            observation, info = act(action)
            ends = step == LENGTH - 1 and mode == AutoresetMode.SAME_STEP
            if ends:
                for number in range(count):
                    out[number].append(flat(info["final_obs"][number]))
            note(observation)
        if mode == AutoresetMode.NEXT_STEP and episode == 0:
            note(act(actions(1)[0])[0])
    envs.close()
    return [o[: 2 * (LENGTH + 1)] for o in out]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize(("kind", "count"), [(SyncVectorEnv, 1), (SyncVectorEnv, 16), (AsyncVectorEnv, 4)])
def test_the_same_bytes_in_any_vector(kind: Any, count: int, mode: AutoresetMode) -> None:
    """Environment i of a vector is the one with seed + i alone."""
    found = in_vector(kind, count, mode)
    for number in sorted({0, count // 2, count - 1}):
        assert found[number] == alone(7 + number, 2), number
    assert len({o[0] for o in found}) == count


@pytest.mark.slow
def test_pictures_in_another_process() -> None:
    mode = AutoresetMode.NEXT_STEP
    assert in_vector(partial(AsyncVectorEnv, context="spawn"), 1, mode, True)[0] == alone(7, 2, True)


def test_a_fork_of_a_process_that_rendered_says_so() -> None:
    """Otherwise it would wait for ever, for threads that a fork does not have."""
    alone(0, 1, True)
    env, (out, into) = make(pictures=True), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            env.reset(seed=0)
        except BaseException as error:
            os.write(into, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b'context="spawn"' in os.read(out, 1000)
    os.close(out), os.close(into)


@pytest.mark.parametrize("earlier", [[], [1], [5, 2], [6, 1, 3]])
def test_earlier_episodes_change_nothing(earlier: list[int]) -> None:
    """Of any number and length: the fourth episode of a seed is the fourth, however the first three went."""
    env = make(length=100)
    env.reset(seed=11)
    for steps in [*earlier, *[0] * (3 - len(earlier))]:
        for action in actions(steps, seed=steps):
            env.step(action)
        first = env.reset()[0]
    found = [flat(first), *(flat(env.step(a)[0]) for a in actions(4))]
    other = make(length=100)
    other.reset(seed=11)
    for _ in range(3):
        first = other.reset()[0]
    assert found == [flat(first), *(flat(other.step(a)[0]) for a in actions(4))]
    again = env.reset(seed=11)[0]
    assert flat(again) == flat(make(length=100).reset(seed=11)[0])


def test_a_replay_is_the_episode() -> None:
    env = make(length=100)
    env.reset(seed=2)
    observation, info = env.reset()
    found = [flat(observation), *(flat(env.step(a)[0]) for a in actions(5))]
    env.reset(seed=9)
    other = gym.wrappers.TimeLimit(make(length=100), 50)
    again, told = replay(other, info["history"])
    assert found == [flat(again), *(flat(other.step(a)[0]) for a in actions(5))]
    assert told["history"] == info["history"]
    assert json.loads(info["history"])["episode"] == 1


@pytest.mark.quick
def test_the_checker_of_gymnasium_is_content() -> None:
    for env in (make(length=100), Randomized(gym.make("Ant-v5"), action_delay=0.01)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", ".*different from the unwrapped version.*")
            warnings.filterwarnings("ignore", ".*This is probably too (high|low).*")  # joints have no other limit
            check_env(env, skip_render_check=True)
        env.close()


def test_without_draws_it_is_the_environment() -> None:
    """Its physics, rewards and observations, to the bit; only seeds are other ones."""
    env, bare = Randomized(SmallRobot()), SmallRobot()
    first, _ = env.reset(seed=4)
    bare.reset(seed=0)
    bare.data.qpos[:] = env.unwrapped.data.qpos
    import mujoco

    mujoco.mj_resetData(bare.model, bare.data)
    bare.data.qpos[:8] = first["state"][:8]
    mujoco.mj_forward(bare.model, bare.data)
    for action in actions(20):
        ours, theirs = env.step(action), bare.step(action)
        assert flat(ours[0]) == flat(theirs[0]) and ours[1] == theirs[1]


def test_the_inner_environment_draws_anew() -> None:
    """Its own draws at reset differ by episode and seed, and are those of the seed."""
    env = Randomized(SmallRobot())
    starts = [env.reset(seed=s)[0]["state"][0] for s in (0, 1, 0)]
    starts.append(env.reset()[0]["state"][0])
    assert starts[0] == starts[2] and len(set(starts)) == 3


def test_observations_are_the_users() -> None:
    """What a step returned stays as it was."""
    env = make(length=100, pictures=True)
    env.reset(seed=0)
    kept = [env.step(a)[0] for a in actions(3)]
    bytes_then = [flat(o) for o in kept]
    for action in actions(3, seed=1):
        env.step(action)
    assert [flat(o) for o in kept] == bytes_then
    assert env.observation_space.contains(kept[0])
    env.close()


class Told:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def begin(self, sample: fa.Sample) -> None:
        self.calls.append(("begin", sample.metas[0].id))

    def reading(self, name: str, time: int, columns: dict[str, np.ndarray]) -> None:
        self.calls.append((name, time, {c: np.array(v) for c, v in columns.items()}))

    def action(self, time: int, action: np.ndarray) -> None:
        self.calls.append(("action", time))

    def end(self, told: dict[str, Any]) -> None:
        self.calls.append(("end", told["episode"]))


def test_a_recorder_gets_every_reading_before_transforms() -> None:
    told = Told()
    env, plain = make(length=100, recorder=told), make(length=100)
    seen = [flat(e.reset(seed=3)[0]) for e in (env, plain)]
    for action in actions(3):
        seen += [flat(e.step(action)[0]) for e in (env, plain)]
    env.close()
    assert seen[::2] == seen[1::2]
    assert told.calls[0] == ("begin", "episode_000000") and told.calls[-1] == ("end", 0)
    times = {n: [c[1] for c in told.calls if c[0] == n] for n in ("joints", "imu", "action")}
    assert times["joints"] == [START + k * 2_000_000 for k in range(31)]
    assert times["imu"] == times["joints"][:-1] and times["action"] == [START + k * 20_000_000 for k in range(3)]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"cameras": {"back": [24, 32]}}, r"cameras.back: the model has no such camera \(front, wrist\).*calibration"),
        ({"cameras": {"front": [0, 32]}}, "cameras.front: expected .height, width"),
        ({"report": "best"}, "report: expected one of reported, true"),
        ({"rig": {"streams": {"a": {"kind": "sonar"}}}}, "rig: streams.a.kind"),
        ({"rig": {"streams": {"a": {"kind": "joints", "joints": ["knee"]}}}}, "the model has no joint 'knee'"),
        ({"rig": {"streams": {"a": {"kind": "imu", "gyro": "taxel_0"}}}}, "has 1 numbers, not 3"),
        ({"rig": {**RIG, "parts": {"state": {"joints.position": [0, 7]}}}}, "does not hold 8 numbers"),
        ({"rig": {**RIG, "parts": {"speed": {"joints.position": [0, 8]}}}}, "parts.speed.joints.position"),
        ({"rig": {**RIG, "parts": {"state": {"arm.position": [0, 8]}}}}, "no stream 'arm'"),
        ({"rig": "nowhere.yaml"}, "rig nowhere.yaml: cannot be read"),
        ({"pipeline": fa.TimeWarp(), "rig": RIG}, "TimeWarp.*looks ahead"),
    ],
)
def test_wrong_settings_are_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(fa.FusionAugError, match=word):
        Randomized(SmallRobot(), **given)


@pytest.mark.quick
def test_wrong_histories_are_refused() -> None:
    env = make()
    told = json.loads(env.reset(seed=0)[1]["history"])
    for change, word in (
        ({"version": 9}, "version"), ({"seed": "x"}, "seed"), ({"action_delay": -1}, "action_delay"),
        ({"world": {"mass": {"link1": ["heavy"]}}}, "world.mass.link1"), ({"world": {}}, "the draws are of"),
        ({"timing": {**told["timing"], "imu": {}}}, "timing.imu.latency"),
    ):  # fmt: skip
        with pytest.raises(fa.FusionAugError, match=word):
            replay(env, json.dumps({**told, **change}))
    with pytest.raises(fa.DataError, match="no JSON"):
        replay(env, "{")
    with pytest.raises(fa.DataError, match="pipeline draws otherwise"):
        other = Randomized(SmallRobot(), rig=RIG)
        bare = json.loads(other.reset(seed=0)[1]["history"])
        replay(other, json.dumps({**bare, "sensors": told["sensors"]}))
    with pytest.raises(fa.ConfigError, match="no Randomized"):
        replay(SmallRobot(), "{}")


def test_an_environment_without_a_simulator() -> None:
    with pytest.raises(fa.ConfigError, match=r"has no MuJoCo model.*gymnasium 1.*physics_steps"):
        Randomized(gym.make("CartPole-v1"))
