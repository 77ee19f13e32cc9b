"""The rate of a run and the time that is left, with a clock of the test's own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import small_logs
from rich.console import Console

from fusion_aug.errors import DataError, FusionAugError
from fusion_aug.run.execute import skip_or_raise
from fusion_aug.run.job import Job
from fusion_aug.run.progress import Rate, progress_bar
from fusion_aug.run.workers import ProcessDied


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.quick
def test_what_was_done_before_is_no_rate() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.update(900)
    assert rate.value is None and rate.line(1000) == "-"
    for done in range(901, 921):
        clock.now += 2
        rate.update(done)
    assert rate.value == pytest.approx(0.5) and rate.left(1000) == pytest.approx(160)
    assert rate.line(1000) == "0.50 samples/s, 0:02:40 left"


def test_the_rate_is_that_of_the_last_minutes() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.update(0)
    for done in range(1, 400):
        clock.now += 0.1
        rate.update(done)
    for done in range(400, 600):
        clock.now += 5
        rate.update(done)
    assert rate.value == pytest.approx(0.2, rel=0.05)
    assert len(rate.seen) < 60


def test_a_line_now_and_then_where_there_is_no_terminal() -> None:
    clock, text = Clock(), io.StringIO()
    with progress_bar("augmenting", Console(file=text), clock) as update:
        for done in range(101):
            update(done, 100)
            clock.now += 1
    lines = text.getvalue().splitlines()
    assert len(lines) == 3 and lines[0].startswith("augmenting 30/100: 1.0") and lines[0].endswith("left")


@pytest.mark.parametrize("error", [DataError("it is damaged"), ProcessDied("its process was ended by SIGKILL")])
def test_who_fails_is_named_or_skipped(tmp_path: Path, error: Exception) -> None:
    """Of a process that died the sample, and how it goes on."""
    log = {"format": "kitti", "root": str(small_logs.kitti(tmp_path / "log"))}
    settings = {"log": log, "out": str(tmp_path / "out"), "plugins": [], "limit": None, "keep_original": False}
    with pytest.raises(FusionAugError, match=r"damaged|'training/000001'.*SIGKILL.*on_error=skip"):
        skip_or_raise(Job({**settings, "copies": 1, "on_error": "fail"}), 1, error)
    job = Job({**settings, "copies": 1, "on_error": "skip"})
    skip_or_raise(job, 1, error)
    assert str(error) in job.marker(1)["skipped"]
    with pytest.raises(OSError, match="No space"):
        skip_or_raise(job, 0, OSError(28, "No space left on device", "a"))
