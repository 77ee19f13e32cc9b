"""Signals and standard streams of the command line."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import policy_logs
import pytest
from rich.console import Console

from fusion_aug import cli
from fusion_aug.run.progress import progress_bar
from fusion_aug.safe.terminal import named_streams, stoppable

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def command(*words: str, **streams: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fusion_aug", *words], text=True, check=False, **streams)  # type: ignore[call-overload,no-any-return]


class NoRoom(io.StringIO):
    """A stream of which nothing is taken, however much is written at once."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@needs_full
def test_a_full_disk_behind_a_stream() -> None:
    with FULL.open("w") as full:
        done = command("--help", stdout=full.fileno(), stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (2, "fusion-aug: standard output: no space left on the disk\n")
        done = command("fly", stdout=subprocess.PIPE, stderr=full.fileno())
        assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.quick
def test_who_reads_may_have_enough() -> None:
    """As ``fusion-aug --help | head``: nothing is said, and the code is that of any program in a pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    done = command("--help", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("words", [["inspect"], ["run", "pipeline=identity", "out=out"]], ids=str)
def test_who_reads_a_table_may_have_enough(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    policy_logs.lerobot(tmp_path / "log", {"observation.state": (["a", "b"], [np.zeros((4, 2))])})
    reading, writing = os.pipe()
    os.close(reading)
    done = command(*words, "log=lerobot", "log.root=log", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_long_text_that_is_not_taken_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", NoRoom())
    assert cli.main(["run", "--help"]) == 2
    assert capsys.readouterr().err == "fusion-aug: standard output: no space left on the disk\n"


def test_a_line_of_progress_that_is_not_taken_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", NoRoom())
    clock = iter(range(0, 10_000, 40))
    with named_streams(), progress_bar("augmenting", Console(stderr=True), lambda: float(next(clock))) as update:
        for done in range(5):
            update(done, 5)
    assert isinstance(sys.stderr, NoRoom)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.quick
def test_a_signal_waits_for_imports_and_its_number_is_in_the_exit_code(number: signal.Signals, code: int) -> None:
    handler = signal.getsignal(number)
    with stoppable() as signals:
        os.kill(os.getpid(), number)  # while something is imported
        assert signals.came == [number]
        with pytest.raises(KeyboardInterrupt):
            signals.ready()
        assert signals.exit_code == code
    with stoppable() as signals:
        signals.ready()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is handler


@pytest.mark.parametrize("error", [KeyboardInterrupt, RecursionError, RuntimeError])
def test_what_a_library_makes_of_an_interruption_is_one(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str, words: list[str]) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise error("in a library") from None
        return 0

    monkeypatch.setattr(cli, "dispatch", interrupted)
    assert cli.main(["run"]) == 143
    assert capsys.readouterr().err == "fusion-aug: interrupted; the same command goes on from here\n"


@pytest.mark.quick
def test_who_ignores_an_interruption_goes_on_doing_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
