"""``Randomized``: one draw per episode for a simulated robot's world, sensors, pictures and time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.core.compose import Compose
from fusion_aug.core.random import Keys, whole_number
from fusion_aug.core.ranges import Range, check_range, draw
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.ops.random import digest
from fusion_aug.sample import Sample
from fusion_aug.sample.history import history_to_json
from fusion_aug.sim.delays import Late, check_whole
from fusion_aug.sim.episode import Channel, PictureChannel, SignalChannel
from fusion_aug.sim.packages import gymnasium, mujoco
from fusion_aug.sim.physics import NEVER, Physics
from fusion_aug.sim.pictures import Eyes, sizes_of
from fusion_aug.sim.recorded_draws import HISTORY, EpisodeDraws, check_same, read_draws
from fusion_aug.sim.report import ReportedCamera, check_report
from fusion_aug.sim.sensing import read_rig, signals
from fusion_aug.sim.spaces import beside, keys_of, widened
from fusion_aug.sim.stepper import Stepper
from fusion_aug.sim.template import T0, Template
from fusion_aug.sim.timing import Timeline, Timing, draw_timing, timing_of
from fusion_aug.sim.world import BoundWorld, MujocoWorld

STATE_LAG, WORKED_OUT_LAG = 0, 1  # physics steps after which a reading of a state is known


class Randomized(gymnasium().Wrapper, gymnasium().utils.RecordConstructorArgs):  # type: ignore[misc]
    """A Gymnasium environment on MuJoCo whose robot is drawn anew for each episode.

    Draws are keyed by (seed, episode): ``reset(seed=)`` begins at episode 0, every further reset is the next one. They
    also seed the environment's own ``reset``. So the number of environments, what an earlier episode did, and whether
    environments share a process change nothing. Wrap below ``gymnasium.vector``, whose environment i has seed + i.

    Args:
        env: of gymnasium, gymnasium-robotics, or of one's own (docs/sim_to_real.md).
        pipeline: sensor transforms, as for a recorded log; None for none.
        seed: until ``reset(seed=)`` gives another.
        rig: rig file, or a mapping like one: ``streams`` that are read from the model, and ``parts``, where the
            environment's observations hold them. Other columns come in ``sensor_data``.
        world: figures of the model that are drawn.
        cameras: camera -> [height, width]. Pictures come in ``sensor_data``, and their calibration in ``sensor_param``.
        sensors: stream, camera or the environment's own observation -> its ``Timing``.
        action_delay: s, from a step's call to the physics.
        report: the calibration in ``sensor_param``: as the pipeline's errors leave it ("reported"), or "true".
        recorder: gets what sensors read before any transform (``Recorder``).

    Raises:
        ConfigError: something is not known, or a number is out of its limits; the message names field and remedy.
    """

    def __init__(
        self,
        env: Any,
        pipeline: Transform | None = None,
        *,
        seed: int = 0,
        rig: str | Path | Mapping[str, Any] | None = None,
        world: MujocoWorld | None = None,
        cameras: Mapping[str, Any] | None = None,
        sensors: Mapping[str, Any] | None = None,
        action_delay: Range = 0.0,
        report: str = "reported",
        recorder: Any = None,
    ):
        gymnasium().utils.RecordConstructorArgs.__init__(
            self, _disable_deepcopy=True, pipeline=pipeline, seed=seed, rig=rig, world=world, cameras=cameras,
            sensors=sensors, action_delay=action_delay, report=report, recorder=recorder,
        )  # fmt: skip
        gymnasium().Wrapper.__init__(self, env)
        self.pipeline = pipeline if pipeline is not None else Compose([])
        self._seed, self._episode = whole_number(seed, "Randomized.seed"), -1
        self._report, self._recorder = check_report(report), recorder
        self.physics = Physics(env)
        model, data = self.physics.model, self.physics.data
        self._control = self.physics.steps * self.physics.period
        self._sizes = sizes_of(cameras, model)
        self._world = BoundWorld(world if world is not None else MujocoWorld(), model)
        own = keys_of(env.observation_space)
        streams, parts = read_rig(rig)
        self._signals = signals(model, data, streams, parts, {k: getattr(s, "dtype", None) for k, s in own.items()})
        self.observation_space = widened(env.observation_space, self._signals, self._sizes)
        self._flat = not isinstance(env.observation_space, gymnasium().spaces.Dict)
        self.eyes = Eyes(model, data, self._sizes)
        self._action_delay = check_range(action_delay, "Randomized.action_delay", 0.0, 100.0)
        self._timings, self._own = self._timed(sensors or {}, list(own))
        self._filled = sorted({key for s in self._signals for key, *_ in s.to.values()})
        self._template = Template(model, self._signals, self._sizes)
        at_rest = mujoco().MjData(model)
        mujoco().mj_kinematics(model, at_rest)
        self._stepper(0, at_rest)  # what the pipeline cannot do is told now

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode. ``info["history"]`` is what was drawn, as JSON text for ``replay``."""
        options = dict(options or {})
        draws = self._next(seed, options.pop(HISTORY, None))
        self._end()
        self._world.apply(draws.world)
        self.eyes.upload(self._world.textures)
        inner = int(digest(draws.seed, draws.episode, "reset")[:8], 16) >> 1
        observation, info = self.env.reset(seed=inner, options=options or None)
        self._world.push(self.physics.data, draws.world)
        self._refresh()
        self._begin(draws)
        text = json.dumps(draws.to_json(), separators=(",", ":"))
        return self._observed(observation), {**info, "history": text}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """A control step; the action arrives as late as was drawn."""
        if self._recorder is not None:
            self._recorder.action(T0 + self.physics.row * self.physics.period, np.array(action))
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self.physics.row % self.physics.steps:
            raise ConfigError(
                f"Randomized: the environment made {self.physics.row} physics steps, no whole number of control steps "
                f"of {self.physics.steps}; every step has to be as long"
            )
        return self._observed(observation), reward, terminated, truncated, info

    def ages(self) -> dict[str, tuple[int, int]]:
        """When each stream's and camera's reading of the last observation was captured, and the time of that, ns."""
        now = T0 + self.physics.row * self.physics.period
        return {c.name: (c.stamp(), now) for c in self._channels}

    def true_cameras(self) -> dict[str, ReportedCamera]:
        """The episode's cameras, by the calibration that their pictures obey."""
        return self._true_cameras

    def reports_errors(self) -> bool:
        """Whether the episode's reported calibration is another than the true one."""
        return self._report == "reported" and any(c.has_errors for c in self._cameras.values())

    def stale_fields(self) -> list[str]:
        """What of the world is drawn, and what each makes stale, as ``mass: constants``."""
        return self._world.stale_fields()

    def close(self) -> None:
        """Close the renderer, the recording and the environment."""
        self._end()
        self.eyes.close()
        super().close()

    def _timed(self, sensors: Mapping[str, Any], own: list[str]) -> tuple[dict[str, Timing], dict[str, Timing]]:
        """Timings of streams and cameras, and of the environment's own observations."""
        mine = [*(s.name for s in self._signals), *self._sizes]
        unknown = [n for n in sensors if n not in mine and n not in own]
        if unknown:
            raise ConfigError(
                f"Randomized.sensors.{unknown[0]}: there is no such sensor (there are {', '.join([*mine, *own])}); map "
                "it to the model in the rig file (streams)"
            )
        timings = {n: timing_of(n, sensors.get(n, {})) for n in mine}
        rest = {n: timing_of(n, sensors[n]) for n in own if n in sensors and n not in mine}
        for name, timing in rest.items():
            check_whole(name, timing)
        return timings, rest

    def _next(self, seed: int | None, history: Any) -> EpisodeDraws:
        """What is drawn for the next episode, or what a history says."""
        if history is not None:
            draws = read_draws(history)
            self._seed, self._episode = draws.seed, draws.episode
            return draws
        if seed is not None:
            self._seed, self._episode = int(seed), -1
        self._episode += 1
        keys, owner = Keys(self._seed), episode_id(self._episode)
        timing = {n: draw_timing(t, keys, owner, f"timing/{n}") for n, t in (self._timings | self._own).items()}
        late = draw(self._action_delay, keys.generator(owner, "timing/action", "params"))
        return EpisodeDraws(self._seed, self._episode, self._world.draw(keys, owner), timing, late)

    def _refresh(self) -> None:
        """Work out places and sensors of the first state, and leave the physics as it is."""
        start = self.physics.data.qacc_warmstart.copy()
        mujoco().mj_forward(self.physics.model, self.physics.data)
        self.physics.data.qacc_warmstart[:] = start

    def _begin(self, draws: EpisodeDraws) -> None:
        """Draw the sensors' errors, and capture the first readings."""
        physics = self.physics
        sample, stepper = self._stepper(draws.episode, physics.data)
        check_same(draws, history_to_json(stepper.history))
        told = None
        if self._recorder is not None:
            self._recorder.begin(sample)
            told = self._recorder.reading

        def given(name: str, lag: int) -> tuple[Any, ...]:
            line = Timeline(draws.timing[name], physics.period, self._control, lag, arrivals_of(stepper, name))
            draws.told[name] = {"least": lag * physics.period * 1e-9, **draws.timing[name]}
            return line, stepper, physics.period, told

        self._streams = [
            SignalChannel(s, *given(s.name, WORKED_OUT_LAG if s.later else STATE_LAG)) for s in self._signals
        ]
        rig, true = stepper.rig if self._report == "reported" else stepper.true_rig, stepper.true_rig
        self._cameras = {n: ReportedCamera(n, rig, true, physics.model) for n in self._sizes}
        self._true_cameras = {n: ReportedCamera(n, true, true, physics.model) for n in self._sizes}
        self._pictures = [PictureChannel(n, self.eyes, c, *given(n, WORKED_OUT_LAG)) for n, c in self._cameras.items()]
        self._late = {n: Late(draws.timing[n], self._control) for n in self._own}
        draws.told.update({n: late.told for n, late in self._late.items()})
        self.draws = draws
        physics.begin(round(draws.action_delay * 1e9))
        physics.events = self._capture
        rests = [beside(s) for s in self._signals]
        self._streams_and_rest = list(zip(self._streams, self._signals, rests, strict=True))
        self._channels: tuple[Channel, ...] = (*self._streams, *self._pictures)
        for channel in self._channels:
            channel.begin()
        self._await()

    def _stepper(self, episode: int, data: Any) -> tuple[Sample, Stepper]:
        """The sample of an episode before any transform, and its errors."""
        sample = self._template.sample(episode_id(episode), data)
        return sample, Stepper(self.pipeline, sample, periods=self.physics.period, seed=self._seed)

    def _end(self) -> None:
        """End an episode, if one runs."""
        if self.physics.live:
            self.physics.end()
            if self._recorder is not None:
                self._recorder.end(self.draws.to_json())

    def _capture(self) -> None:
        """Read, after a physics step, what is due."""
        row = self.physics.row
        for channel in self._channels:
            if channel.due == row:
                channel.capture(row)
        self._await()

    def _await(self) -> None:
        """Let the physics stop where the next reading is due."""
        self.physics.next_event = min([c.due for c in self._channels], default=NEVER)

    def _observed(self, observation: Any) -> Any:
        """The observation as the robot's computer has it now."""
        time = self.physics.row * self.physics.period
        out = {"state": observation} if self._flat else dict(observation)
        for name, late in self._late.items():
            out[name] = late.pass_on(out[name])
        data: dict[str, Any] = {}
        for key in self._filled:
            out[key] = np.array(out[key])
        for channel, signal, rest in self._streams_and_rest:
            columns = channel.columns(time)
            for column, (key, first, end) in signal.to.items():
                out[key][first:end] = columns[column]
            if rest:
                data[channel.name] = {c: columns[c].copy() for c in rest}
        looks = {channel.name: channel.look(time) for channel in self._pictures}
        if looks:
            data.update({n: {"rgb": picture} for n, (picture, _) in looks.items()})
            out["sensor_param"] = {n: dict(params) for n, (_, params) in looks.items()}
        if data:
            return {**out, "sensor_data": data}
        return out["state"] if self._flat else out


def episode_id(number: int) -> str:
    """Id of an episode, which keys its draws."""
    return f"episode_{number:06d}"


def arrivals_of(stepper: Stepper, name: str) -> Any:
    """Arrival times by rows, ns from the begin of the episode, as the pipeline's delays make them."""
    return lambda first, count: stepper.arrivals(name, first, count) - T0
