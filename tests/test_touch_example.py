"""examples/train_touch_policy.py: 20 steps of it, and the parts that its table rests on."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from places import REPOSITORY

import fusion_aug as fa

pytest.importorskip("mujoco")
pytest.importorskip("pyarrow")

from fusion_aug.synth.arm.demonstrations import make_demonstrations

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """``examples/train_touch_policy.py``."""
    spec = importlib.util.spec_from_file_location("train_touch_policy", EXAMPLES / "train_touch_policy.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def config() -> DictConfig:
    """Its settings, with 20 steps."""
    with initialize_config_dir(str(EXAMPLES), version_base=None):
        return compose("train_touch_policy", ["steps=20", "redraw=10"])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> list[fa.Sample]:
    root = make_demonstrations(tmp_path_factory.mktemp("touch") / "log", 1, seed=1)
    return [s.realized() for s in fa.open_log("lerobot", root / "lerobot", rig=root / "rig.yaml")]


def test_20_steps_of_every_arm(example: ModuleType, config: DictConfig, log: list[fa.Sample]) -> None:
    pipeline = instantiate(config.pipeline, _convert_="all")
    policies = [example.train(log, p, touch, 0, config) for p, touch in
                ((fa.Compose([]), True), (pipeline, True), (pipeline, False))]  # fmt: skip
    again = example.train(log, pipeline, True, 0, config)
    first = [p.network[0].weight for p in (*policies, again)]
    assert torch.equal(first[1], first[3]) and not torch.equal(first[0], first[1])  # seeds seed the draws too
    read = {"position": np.array([*log[0]["state"]["position"][0].tolist()]), "wrench": np.zeros(6)}
    touched = {**read, "taxel_left": np.full(16, 0.2), "taxel_right": np.full(16, 0.2)}
    free = {**read, "taxel_left": np.zeros(16), "taxel_right": np.zeros(16)}
    for policy, feels in zip(policies, (True, True, False), strict=True):
        commands = []
        for readings in (free, touched):
            policy.begin()
            commands.append(policy(readings, (0.37, 0.09, 0.0)))
        assert commands[0].shape == (8,) and np.isfinite(commands[0]).all()
        assert np.array_equal(*commands) is not feels


def test_what_is_learnt_is_what_is_asked_for_when_it_moves(
    example: ModuleType, config: DictConfig, log: list[fa.Sample]
) -> None:
    """Inputs of a lesson are those that the policy makes of the same readings; late readings are those of before."""
    given, answers = example.lessons(log[0], True)
    policy, place = example.Policy(8, True), log[0]["place"]
    told = np.array([*place["position"][0, :2].tolist(), float(place["rpy"][0, 2])])
    rows = {n: log[0][n]["force"].double().numpy() for n in ("taxel_left", "taxel_right")}
    position = log[0]["state"]["position"].double().numpy()
    wrench = torch.cat([log[0]["wrench"]["force"], log[0]["wrench"]["torque"]], 1).double().numpy()
    for k in range(150):
        policy({"position": position[k], "wrench": wrench[k], **{n: r[k] for n, r in rows.items()}}, told)
    before = [policy.past[-1 - ago] for ago in example.AGO[1:]]
    assert torch.allclose(example.inputs(policy.past[-1], before, True)[0], given[148], atol=1e-6)
    late = fa.Latency(delay=0.04, scope="sample", sensors=("state", "wrench", "taxel_*"))(log[0])
    assert torch.allclose(example.lessons(late, True)[0][148], given[146], atol=1e-6)
    assert torch.equal(example.lessons(late, True)[1][148], answers[148])


def test_intervals_are_those_of_the_textbook(example: ModuleType) -> None:
    """Wilson 1927; figures of the R function binom::binom.confint(8, 10, method = "wilson")."""
    assert example.wilson(8, 10) == pytest.approx((49.02, 94.33), abs=0.02)
    assert example.wilson(0, 10)[0] == pytest.approx(0.0, abs=1e-9)


def test_faults_are_the_same_for_every_arm(example: ModuleType) -> None:
    one, two, other = (example.faults(k, latency=0.04, bias_deg=1.0, dead=0.25) for k in (3, 3, 4))
    assert np.array_equal(one.bias, two.bias) and np.array_equal(one.alive, two.alive)
    assert not np.array_equal(one.alive, other.alive) and np.allclose(np.abs(one.bias), np.radians(1.0))
    assert example.faults(3).bias is None and example.faults(3).alive is None
