"""``fusion-aug sim check``: what a randomized simulator does, measured."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fusion_aug.check import Row
from fusion_aug.errors import ConfigError, FusionAugError
from fusion_aug.logs.core.new_files import write_new_bytes
from fusion_aug.run import report
from fusion_aug.run.checking import verdict
from fusion_aug.run.config import build_pipeline, compose_config, import_plugins
from fusion_aug.sim.marks import distances, picture_of_marks, place_marks, radii
from fusion_aug.sim.mirroring import mirror
from fusion_aug.sim.packages import gymnasium
from fusion_aug.sim.randomized import Randomized
from fusion_aug.sim.world import MujocoWorld, stale_residue

FARTHEST = 0.25  # pixels of a mark
SAME = 1e-9
UNIT = 60  # additions of 64 float64, what a step's cost is compared with
REPEATS = 20


def sim_command(positionals: Sequence[str], overrides: Sequence[str], extra_dir: str | None) -> int:
    """Measure an environment and print what was found; 1 where a figure is over its limit."""
    if positionals[0] != "check":
        raise ConfigError(f"sim: {positionals[0]!r} is not known; it is: fusion-aug sim check ENV")
    config = compose_config("sim_check", overrides, extra_dir)
    rows = check_environment(positionals[1], config)
    report.OUT.print(report.check_table(rows))
    failed = any(r.status == "FAIL" for r in rows)
    report.OUT.print(verdict(rows), style="bold red" if failed else "green")
    return int(failed)


def check_environment(name: str, config: Mapping[str, Any]) -> list[Row]:
    """Run some episodes of a randomized environment.

    Args:
        name: id of gymnasium, or MODULE:FUNCTION that makes an environment. config: as ``sim_check.yaml``.

    Raises:
        ConfigError: the environment or a setting is not known.
    """
    for option in ("episodes", "steps"):
        if type(config[option]) is not int or config[option] < 1:
            raise ConfigError(f"{option}: expected a whole number of at least 1, got {config[option]!r}")
    import_plugins(config["plugins"])
    marks = _Marks()
    try:
        world = MujocoWorld(**dict(config["world"] or {}))
    except TypeError:
        known = ", ".join(MujocoWorld.__dataclass_fields__)
        raise ConfigError(f"world: expected fields of MujocoWorld ({known}), got {list(config['world'])}") from None
    given = {k: config[k] for k in ("seed", "rig", "cameras", "sensors", "action_delay", "report")}
    if given["report"] is True:  # as YAML reads the word
        given["report"] = "true"
    pipeline = build_pipeline(config["pipeline"])
    env = Randomized(environment(name), pipeline, world=world, recorder=marks, **given)
    try:
        rows = _walk(env, config, marks)
    finally:
        env.close()
    seen = config["cameras"] or {}
    given |= {"cameras": None, "sensors": {n: t for n, t in (config["sensors"] or {}).items() if n not in seen}}
    timed = Randomized(environment(name), pipeline, world=world, **given)
    rows += _costs(timed, environment(name))
    timed.close()
    return [*rows, _symmetry(name)]


def environment(name: str) -> Any:
    """The environment of an id, or that a function makes.

    Raises:
        ConfigError: there is none.
    """
    try:
        if ":" in name and "/" not in name:
            module, _, function = name.partition(":")
            import_plugins(module, "ENV")
            return getattr(importlib.import_module(module), function)()
        return gymnasium().make(name)
    except FusionAugError:
        raise
    except Exception as error:  # of foreign code
        raise ConfigError(f"ENV: {name!r} cannot be made ({type(error).__name__}: {error})") from None


class _Marks:
    """Renders marks beside each picture when it is taken."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
        self.env: Any = None

    def begin(self, sample: Any) -> None:
        self.taken.clear()

    def reading(self, name: str, time_ns: int, columns: Mapping[str, Any]) -> None:
        if "image" not in columns:
            return
        eyes, true = self.env.eyes, self.env.true_cameras()[name]
        T = true.pose(eyes.data)
        K = true.params(T)["intrinsic_cv"].astype(float)
        places = place_marks(T, K, eyes.sizes[name], time_ns)
        self.taken[name, time_ns] = (picture_of_marks(eyes, name, places, radii(places, T, K)), places)

    def action(self, time_ns: int, action: Any) -> None: ...

    def end(self, told: Any) -> None: ...


def _walk(env: Randomized, config: Mapping[str, Any], marks: _Marks) -> list[Row]:
    """Calibration, delays and what is stale, over all episodes; the picture of them."""
    marks.env = env
    pixels: dict[str, list[float]] = {n: [] for n in env.eyes.sizes}
    late: dict[str, list[float]] = {}
    stale: list[float] = []
    strips = []
    for episode in range(config["episodes"]):
        observation, _ = env.reset(seed=config["seed"] if episode == 0 else None)
        stale.append(stale_residue(env.physics.model))
        env.action_space.seed(config["seed"] * 1000 + episode)
        for _ in range(config["steps"]):
            observation, _, over, cut, _ = env.step(env.action_space.sample())
            for name, (stamp, now) in env.ages().items():
                late.setdefault(name, []).append((now - stamp) * 1e-6)
            for name, found in pixels.items():
                marked = marks.taken.get((name, env.ages()[name][0]))
                if marked is not None:
                    found += distances(*marked, observation["sensor_param"][name])
            if over or cut:
                break
        if pixels:
            shown = [_tall(observation["sensor_data"][n]["rgb"], env) for n in pixels]
            strips.append(np.concatenate(shown, axis=1))
    if strips and config["out"]:
        done, png = cv2.imencode(".png", np.concatenate(strips)[..., ::-1])
        assert done
        write_new_bytes(Path(config["out"]), png.tobytes())
    limit = FARTHEST if config["report"] == "true" or not env.reports_errors() else None
    rows = [Row("reported calibration", n, "px", limit, np.array(p)) for n, p in pixels.items()]
    rows += [Row("age of readings", n, "ms", None, np.array(ages)) for n, ages in late.items()]
    rows += [
        Row("left of the delay", n, "ms", None, np.array([t["residual"] * 1e3]))
        for n, t in env.draws.told.items() if "residual" in t
    ]  # fmt: skip
    drawn = [f for f, what in (told.split(": ") for told in env.stale_fields()) if "constants" in what]
    return rows + [Row("constants left stale", f, "relative", SAME, np.array(stale)) for f in drawn]


def _tall(picture: np.ndarray, env: Randomized) -> np.ndarray:
    """A picture with black below it, as tall as the tallest."""
    tallest = max(h for h, _ in env.eyes.sizes.values())
    return np.pad(picture, ((0, tallest - len(picture)), (0, 0), (0, 0)))


def _costs(env: Randomized, bare: Any) -> list[Row]:
    """Time of a step beyond the environment's own, and of a reset."""
    numbers = np.arange(64.0)

    def add() -> None:
        for _ in range(UNIT):
            np.add(numbers, numbers)

    unit, steps = _fastest(add), []
    for one in (env, bare):
        one.reset(seed=0)
        steps.append(_fastest(partial(one.step, np.zeros_like(one.action_space.sample()))))
    over = max(steps[0] - steps[1], 0.0)
    reset = _fastest(env.reset) - _fastest(bare.reset)
    return [
        Row("step over the bare one", "without pictures", f"of {UNIT} additions", None, np.array([over / unit])),
        Row("step over the bare one", "without pictures", "share", None, np.array([over / steps[1]])),
        Row("reset over the bare one", "without pictures", "ms", None, np.array([reset * 1e3])),
    ]


def _fastest(call: Callable[[], Any]) -> float:
    """Seconds of the fastest of some calls."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def _symmetry(name: str) -> Row:
    """Largest difference between the mirror image of a step and a step of the mirror image."""
    try:
        found = mirror(environment(name))
    except FusionAugError as error:
        return Row("mirror residue", "robot", "-", None, reason=str(error))
    return Row("mirror residue", "robot", "rad, m", SAME, np.array([found.residue]))


__all__ = ["check_environment", "sim_command"]
