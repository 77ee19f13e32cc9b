"""Runs killed everywhere: ``make kill``.

A run of two samples of every format is killed with SIGKILL at every event of the file system below its output: before
each open for writing, rename, removal, folder made and folder removed, and in the middle of every file that code in C
writes (videos, Parquet, Feather, HDF5). The same command then has to end with the same bytes as a run that nobody
killed, and with nothing left over.

Everything runs in forked children of one process that has imported all, so that a point takes a second or two.
Exits with 1 where a point fails.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]
ARM, DRIVE = REPOSITORY / "datasets" / "arm", REPOSITORY / "datasets" / "drive"

TURN = "+pipeline.transforms.turn={_target_: fusion_aug.RotateScene, yaw_deg: 5}"
LIGHT = "+pipeline.transforms.light={_target_: fusion_aug.Brightness, factor: 1.2}"
WRITTEN = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# module, function and place of the path among its arguments of what writes files in C, which no audit hook sees
WRITERS = (
    ("pyarrow.parquet", "write_table", 1), ("pyarrow", "OSFile", 0), ("av", "open", 0),
    ("fusion_aug.logs.robomimic.writer", "new_hdf5", 0),
)  # fmt: skip


class Case(NamedTuple):
    """A run: what makes its log below a folder, and the words of its command but ``out``."""

    make: Callable[[Path], Path]
    words: tuple[str, ...]


def cases() -> dict[str, Case]:
    """Name -> a run of two samples of every format, and of every one that logs of others are written in."""
    import small_logs

    def drive(root: Path) -> Path:
        return DRIVE

    def folder(root: Path) -> Path:
        words = ["log=nuscenes", f"log.root={DRIVE}", "pipeline=identity", "output=folder", "limit=2"]
        return command([*words, f"out={root}"]) or root

    def infos(root: Path) -> Path:
        small_logs.mmdet3d(root, DRIVE)
        for path in root.glob("*/RADAR*"):  # of which info files name nothing
            shutil.rmtree(path)
        return root

    both = (TURN, LIGHT)
    return {
        "kitti": Case(small_logs.kitti, ("log=kitti", *both)),
        "nuscenes": Case(drive, ("log=nuscenes", "limit=2", "link=hard", *both)),
        "argoverse2": Case(lambda root: small_logs.argoverse2(root, 2), ("log=argoverse2", *both)),
        "mmdet3d": Case(infos, ("log=mmdet3d", "limit=2", *both)),
        "mcap": Case(lambda root: small_logs.arm(root, "mcap"), ("log=mcap", "log.window=1", "limit=2", LIGHT)),
        "lerobot": Case(
            lambda root: small_logs.arm(root, "lerobot"),
            ("log=lerobot", f"log.rig={ARM}/lerobot_rig.yaml", "limit=2", LIGHT[:-1] + ", cameras: [front]}"),
        ),
        "robomimic": Case(small_logs.robomimic, ("log=robomimic", LIGHT)),
        "folder": Case(folder, ("log=folder", *both)),
        "to nuscenes": Case(small_logs.kitti, ("log=kitti", "output=nuscenes", *both)),
    }


def command(words: Sequence[str]) -> None:
    """Run a command in this process.

    Raises:
        RuntimeError: it fails.
    """
    from fusion_aug.cli import main

    code = main(["run", *words])
    if code:
        raise RuntimeError(f"exit code {code}")


# --- in a child ------------------------------------------------------------------------------------------------------
class Events:
    """Counts what happens to files below a folder, and ends the process at one of them.

    Args:
        below: the folder. at: number of the event; None only counts. half: (number of a file that C writes, its bytes):
            the process is killed by the kernel when half of it is there.
    """

    def __init__(self, below: Path, at: int | None = None, half: tuple[int, int] | None = None):
        self.below, self.at, self.half = os.path.realpath(below), at, half
        self.seen: list[str] = []
        self.files: list[list[Any]] = []  # path and size of what C writes

    def install(self) -> None:
        """Watch this process from now on, to its end."""
        for module, name, place in WRITERS:
            self._wrap(importlib.import_module(module), name, place)
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if flags & WRITTEN:
                self._meet(event, path)
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"):
            if event == "os.rename":
                self.measure(os.path.realpath(args[0]))
            folder = args[{"os.mkdir": 2, "os.rename": 2, "os.link": 3}.get(event, 1)]
            path = Path(args[1] if event == "os.link" else args[0])
            self._meet(event, path if folder in (-1, None) else Path(f"/proc/self/fd/{folder}").readlink() / path)

    def _meet(self, event: str, path: Any) -> None:
        if isinstance(path, int) or not self._is_below(path):
            return
        if self.at == len(self.seen):
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen.append(f"{event} {os.path.relpath(os.fspath(path), self.below)}")

    def _wrap(self, module: Any, name: str, place: int) -> None:
        original = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            path = args[place]
            if (name != "open" or "w" in args) and self._is_below(path):
                if self.half is not None and self.half[0] == len(self.files):
                    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                    resource.setrlimit(resource.RLIMIT_FSIZE, (self.half[1] // 2, self.half[1] // 2))
                self.files.append([os.path.realpath(path), 0])
            return original(*args, **kwargs)

        setattr(module, name, call)

    def _is_below(self, path: Any) -> bool:
        return f"{os.path.realpath(os.fspath(path))}/".startswith(f"{self.below}/")

    def measure(self, path: str | None = None) -> None:
        """Note the size of what C wrote, before it gets another name."""
        for entry in self.files:
            if path in (None, entry[0]) and Path(entry[0]).exists():
                entry[1] = Path(entry[0]).stat().st_size


def in_child(work: Callable[[], None]) -> int:
    """Do something in a forked process; returns its wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with Path(os.devnull).open("w") as quiet:
                os.dup2(quiet.fileno(), 1)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            work()
            code = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


# --- in the parent ---------------------------------------------------------------------------------------------------
def contents(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, and every folder; of files that tell of the run only that they are there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        own = path.parent == folder and path.stem == "run"
        digest = "" if path.is_dir() or own else hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        found[path.relative_to(folder).as_posix()] = digest
    return found


class Trial:
    """One case in a folder of its own."""

    def __init__(self, name: str, case: Case, folder: Path, out: Path | None = None):
        self.name, self.out, self.root = name, out or folder / "out", folder / "log"
        if os.waitstatus_to_exitcode(in_child(lambda: self._made(case, folder))):
            sys.exit(f"{name}: its log could not be made")
        root = Path((folder / "root").read_text())
        self.words = [*case.words, f"log.root={root}", f"out={self.out}", "seed=3"]
        if not any(w.startswith("pipeline=") for w in self.words):
            self.words.append("pipeline=identity")
        notes = folder / "events.json"

        def count() -> None:
            events = Events(self.out)
            events.install()
            command(self.words)
            events.measure()
            notes.write_text(json.dumps([events.seen, events.files]))

        if in_child(count):
            sys.exit(f"{name}: the run failed")
        self.events, self.files = json.loads(notes.read_text())
        self.expected = contents(self.out)
        shutil.rmtree(self.out)

    def _made(self, case: Case, folder: Path) -> None:
        (folder / "root").write_text(str(case.make(self.root)))

    def points(self, thin: int) -> list[tuple[str, int | None, tuple[int, int] | None]]:
        """Where to kill: what happens there, and the arguments of ``Events``; every so many events, and every file."""
        events = [(self.events[i], i, None) for i in range(0, len(self.events), thin)]
        files = [(f"half of {Path(p).name}", None, (k, size)) for k, (p, size) in enumerate(self.files) if size > 1]
        return [*events, *files]

    def killed_at(self, at: int | None, half: tuple[int, int] | None) -> str | None:
        """Kill a run and give its command again; returns what is wrong, or None."""

        def run() -> None:
            Events(self.out, at, half).install()
            command(self.words)

        code = os.waitstatus_to_exitcode(in_child(run))
        if code not in (-signal.SIGKILL, -signal.SIGXFSZ):
            return f"was not killed but ended with {code}"
        try:
            if in_child(lambda: command(self.words)):
                return "the same command failed"
            found = contents(self.out)
            apart = sorted(n for n in found.keys() | self.expected if found.get(n) != self.expected.get(n))
            return f"differs: {', '.join(apart[:5])}" if apart else None
        finally:
            shutil.rmtree(self.out, ignore_errors=True)


def main(words: Sequence[str] | None = None) -> int:
    """Kill runs, print a table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="all of them by default")
    parser.add_argument("--thin", type=int, default=1, help="only every so many events")
    given = parser.parse_args(words)
    prepare()
    failed = total = 0
    for name, case in cases().items():
        if given.cases and name not in given.cases:
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(name, case, Path(folder))
            points = trial.points(given.thin)
            wrong = [(what, said) for what, *point in points if (said := trial.killed_at(*point)) is not None]
        total, failed = total + len(points), failed + len(wrong)
        held = len(points) - len(wrong)
        print(f"{name:12} {held} of {len(points)} points hold, {len(trial.files)} files in C, "
              f"{time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
        for what, said in wrong:
            print(f"    {what}: {said}", flush=True)
    print(f"{total - failed} of {total} points hold")
    return 1 if failed or not total else 0


def prepare() -> None:
    """Import what children need, so that they only fork; nothing is run here, as threads do not survive a fork."""
    import torch

    names = ("fusion_aug.cli", "fusion_aug.run.commands", "fusion_aug.public", "mcap.writer")
    for name in (*names, *(writer[0] for writer in WRITERS)):
        importlib.import_module(name)
    torch.set_num_threads(1)


if __name__ == "__main__":
    sys.exit(main())
