"""Worker processes: what they do when they, one of their samples or their parent comes to an end."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import small_logs
from numbered_work import ABORTED, BAD, KILLED, LONE, SLEEPS, dies_at_once, not_started, started, tells_what_it_sees

import fusion_aug
from fusion_aug.errors import DataError, FusionAugError
from fusion_aug.run.workers import ProcessDied, Worker, cause, work_through


def test_only_what_kills_its_process_twice_is_guilty(tmp_path: Path) -> None:
    retried: Counter[int] = Counter()
    found = dict(work_through(range(8), 2, retried, started, str(tmp_path)))
    assert retried == {KILLED: 1, ABORTED: 1, LONE: 1}
    assert set(found) == set(range(8))
    assert {n for n, e in found.items() if e is None} == {0, 1, 3, 7, LONE}  # in the order in which they end
    assert isinstance(found[BAD], DataError) and "damaged" in str(found[BAD])
    for number, name in ((KILLED, "SIGKILL"), (ABORTED, "SIGABRT")):
        assert isinstance(found[number], ProcessDied) and name in str(found[number])
    tries = {n: len(list(tmp_path.glob(f"{n}-*"))) for n in range(8)}
    assert tries == {n: 2 if n in (KILLED, ABORTED, LONE) else 1 for n in range(8)}


@pytest.mark.slow
def test_what_takes_too_long_twice_is_guilty(tmp_path: Path) -> None:
    found = dict(work_through([0, 1, SLEEPS], 2, Counter(), started, str(tmp_path), seconds=2))
    assert found[0] is None and found[1] is None
    assert str(found[SLEEPS]) == "it took more than 2 s, and again when it was tried alone"
    assert len(list(tmp_path.glob(f"{SLEEPS}-*"))) == 2


def test_a_worker_that_cannot_begin() -> None:
    with pytest.raises(DataError, match="there is no log"):
        list(work_through(range(3), 2, Counter(), not_started))
    with pytest.raises(FusionAugError, match="exit code 3 before it had a sample"):
        list(work_through(range(3), 2, Counter(), dies_at_once))


def test_a_worker_has_our_files_and_the_environment_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is forked by a process which began before."""
    for value in ("one", "another"):
        monkeypatch.setenv("OF_THE_MOMENT", value)
        with pytest.raises(DataError) as told:
            list(work_through([0], 1, Counter(), tells_what_it_sees))
        assert str(told.value) == f"{fusion_aug.__file__} at {value}"


HIJACK = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n"
FIRST_IMPORTS = ("multiprocessing", "pickle", "signal", "struct", "tempfile", "torch", "fusion_aug", "calib")


def test_no_module_of_the_current_folder_runs(tmp_path: Path) -> None:
    """It is that of somebody else's log. The command is started as a script is, whose own folder comes first."""
    here = tmp_path / "here"
    root = small_logs.kitti(here)
    for name in FIRST_IMPORTS:
        (here / f"{name}.py").write_text(HIJACK)
    script = tmp_path / "script.py"
    script.write_text("from fusion_aug.cli import main\nif __name__ == '__main__':\n    raise SystemExit(main())\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    words = ["run", "log=kitti", "log.root=.", "pipeline=identity", "limit=1", "workers=1", f"out={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, str(script), *words], cwd=here, capture_output=True, text=True, check=False,
        env={**environment, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(root.glob("*.ran")) and not list(root.glob("__pycache__"))


def is_deaf(pid: int) -> bool:
    """Whether a process blocks or ignores Ctrl-C, by the masks that the kernel tells."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool((int(status["SigBlk"], 16) | int(status["SigIgn"], 16)) >> (signal.SIGINT - 1) & 1)


def test_a_worker_is_deaf_to_ctrl_c_from_its_first_moment(tmp_path: Path) -> None:
    """Which would print a traceback while it imports; the parent is told, and ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    worker = Worker(pickle.dumps((started, (str(tmp_path),))))
    assert is_deaf(worker.process.pid)
    worker.take()
    assert worker.ready and is_deaf(worker.process.pid)
    worker.end(5)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before


@pytest.mark.quick
def test_causes() -> None:
    assert cause(-9) == "signal 9 (SIGKILL; out of memory?)" and cause(-6) == "signal 6 (SIGABRT)"
    assert cause(1) == "exit code 1"


SLEEPER = """
import time
from dataclasses import dataclass
import fusion_aug as fa

@dataclass(frozen=True, kw_only=True)
class Sleeper(fa.Transform, fa.PointOp):
    share: float = 0.5

@fa.handles(Sleeper, fa.Points)
def sleep(stream, call):
    time.sleep(600)
    return stream
"""


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = {pid}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, how: signal.Signals) -> None:
    """Killed or told to end, in the middle of a sample: nothing is left two seconds later, and the run goes on."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    words = ["log=kitti", f"log.root={small_logs.kitti(tmp_path / 'log')}", f"out={tmp_path / 'out'}", "workers=2"]
    words += ["pipeline=identity", "+pipeline.transforms.s={_target_: sleeper.Sleeper}", "plugins=[sleeper]"]
    run = subprocess.Popen(
        [sys.executable, "-m", "fusion_aug", "run", *words], cwd=tmp_path, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while len(list(tmp_path.glob("out/.work/stage-*"))) < 2 and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    below = descendants(run.pid)
    assert run.poll() is None, run.communicate()[1]
    assert len(below) >= 2
    run.send_signal(how)
    deadline = time.monotonic() + 60  # two seconds on a quiet machine; they would sleep for ten minutes
    while (left := [p for p in below if alive(p)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    error = run.communicate(timeout=60)[1]
    assert run.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[how]
    assert how == signal.SIGKILL or error.splitlines()[-1].startswith("fusion-aug: interrupted")
    assert (tmp_path / "out/.work/plan.json").is_file()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
