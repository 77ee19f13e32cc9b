"""Settings of torch and NumPy around the package change no byte of its results."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from generic import Case, assert_same_streams, build
from samples import make_sample

import fusion_aug as fa
from fusion_aug.ops.modes import standard_modes


@contextmanager
def other_modes() -> Iterator[None]:
    """Autocast to bfloat16, default dtype float64, NumPy's errors raised."""
    try:
        torch.set_default_dtype(torch.float64)
        with np.errstate(all="raise"), torch.autocast("cpu", dtype=torch.bfloat16):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


def test_draws_and_results(case: Case) -> None:
    """Transform, pending maps that are carried out later, and replay."""
    sample = make_sample()
    expected = build(case)(sample, seed=3)
    with other_modes():
        out = build(case)(sample, seed=3)
        again = fa.replay(sample, out.history)
        assert out.history == expected.history
        assert_same_streams(out, again)
    assert_same_streams(out, expected)


def test_inversion_chosen_parameters_and_projection() -> None:
    sample, results = make_sample(), []
    for modes in (standard_modes, other_modes):
        with modes():
            out = fa.RotateScene.apply_params(sample, {"yaw_deg": 30.0, "pitch_deg": 1.0, "roll_deg": 0.0})
            back = fa.invert(out["lidar"], out.history, name="lidar")
            results.append([out.points("lidar")["xyz"], back["xyz"], *out.project("lidar", "FISHEYE")])
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(
    ("name", "root", "rig"),
    [("nuscenes", "drive", None), ("lerobot", "arm/lerobot", "arm/lerobot_rig.yaml")],
)
def test_logs_and_datasets(name: str, root: str, rig: str | None, request: pytest.FixtureRequest) -> None:
    data, samples = request.config.rootpath / "datasets", []
    for modes in (standard_modes, other_modes):
        with modes():
            log = fa.open_log(name, data / root, rig=rig and str(data / rig))
            samples.append(fa.AugmentedDataset(log, fa.SpeedWarp(speed=1.1), seed=2)[0])
    assert_same_streams(*samples)


def test_modes_are_put_back() -> None:
    with other_modes():
        fa.GaussianNoise(sigma=0.1, cameras=None)(make_sample(), seed=1)
        assert torch.get_default_dtype() == torch.float64 and torch.is_autocast_enabled("cpu")
        assert set(np.geterr().values()) == {"raise"}
        with pytest.raises(fa.FusionAugError):
            fa.GaussianNoise(sigma=0.1)(make_sample(), seed=1)  # gels refuse it
        assert torch.get_default_dtype() == torch.float64


def test_threads_share_the_default_dtype() -> None:
    """The last one out puts it back; one that is still inside keeps float32."""
    inside, leave, seen = threading.Event(), threading.Event(), []

    def work() -> None:
        with standard_modes():
            inside.set()
            leave.wait(10)
            seen.append(torch.get_default_dtype())

    torch.set_default_dtype(torch.float64)
    try:
        with standard_modes():
            thread = threading.Thread(target=work)
            thread.start()
            assert inside.wait(10)
        leave.set()
        thread.join(10)
        assert seen == [torch.float32] and torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_forked_while_another_thread_works_has_its_own_default_dtype() -> None:
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with standard_modes():
            inside.set()
            leave.wait(10)

    torch.set_default_dtype(torch.float64)
    thread = threading.Thread(target=work)
    try:
        thread.start()
        assert inside.wait(10)
        child = os.fork()
        if child == 0:  # no test runner in here: the exit code tells
            right = torch.get_default_dtype() == torch.float64
            with standard_modes():
                right = right and torch.get_default_dtype() == torch.float32
            os._exit(0 if right and torch.get_default_dtype() == torch.float64 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        leave.set()
        thread.join(10)
        torch.set_default_dtype(torch.float32)


def test_another_default_device() -> None:
    """A training script's ``torch.set_default_device`` moves nothing of a sample on the CPU."""
    sample = make_sample()
    expected = fa.ResizeCrop(scale=0.8)(sample, seed=1)
    with torch.device("meta"):
        out = fa.ResizeCrop(scale=0.8)(sample, seed=1).realized()
        with standard_modes():
            assert torch.zeros(1).device.type == "cpu"
    assert_same_streams(out, expected)
