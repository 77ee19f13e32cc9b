"""Children that are watched: what they do to files below a folder, and their end in the middle of it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

WRITTEN = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")
# module, function and place of the path among its arguments of what writes files in C, which no audit hook sees
WRITERS = (
    ("pyarrow.parquet", "write_table", 1), ("pyarrow.parquet", "ParquetWriter", 0), ("pyarrow", "OSFile", 0),
    ("av", "open", 0), ("rerun", "RecordingStream.save", 1),
)  # fmt: skip
RECORDING_END = b"RRF2FOOT"  # in the last bytes of a recording of Rerun that was closed


class Point(NamedTuple):
    """Where a process is killed.

    Attributes:
        what: happens there. command: number of the command in whose course.
        event: number of the event before which it is killed. file: of the file in the middle of which; half: its bytes.
    """

    what: str
    command: int = 0
    event: int | None = None
    file: int | None = None
    half: int = 0


class Written(NamedTuple):
    """A file that was opened for writing: its path, its size at last, and how many events were before it."""

    path: str
    size: int
    event: int


class Events:
    """Counts what happens to files below a folder, and ends the process at one point of it.

    Args:
        below: the folder. point: None only counts. reads: whether files that are opened to be read are events too.
    """

    def __init__(self, below: Path, point: Point | None = None, reads: bool = False):
        self.below, self.point, self.reads = os.path.realpath(below), point, reads
        self.seen: list[str] = []
        self.files: list[Written] = []

    def install(self) -> None:
        """Watch this process from now on, to its end."""
        for module, name, place in WRITERS:
            self._wrap(importlib.import_module(module), name, place)
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            writes = bool(flags & WRITTEN)
            if (writes or self.reads) and not isinstance(path, int) and self._is_below(path):
                self._meet(event if writes else "read", path)
                if writes:
                    self._opened(path)
        elif event in CHANGES:
            folder = args[{"os.mkdir": 2, "os.rename": 2, "os.link": 3}.get(event, 1)]
            given = Path(args[1] if event == "os.link" else args[0])
            path = given if folder in (-1, None) else Path(f"/proc/self/fd/{folder}").readlink() / given
            if self._is_below(path):
                if event in ("os.rename", "os.remove"):
                    self.measure(os.path.realpath(path))
                self._meet(event, path)

    def _meet(self, event: str, path: Any) -> None:
        if self.point is not None and self.point.event == len(self.seen):
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen.append(f"{event} {os.path.relpath(os.fspath(path), self.below)}")

    def _opened(self, path: Any) -> None:
        """A file is about to be written: where it is the one to stop in, the kernel ends the process at half of it."""
        if self.point is not None and self.point.file == len(self.files):
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            sys.dont_write_bytecode = True  # Python 3.11 would leave the half of it that fits
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.point.half, self.point.half))
        self.files.append(Written(os.path.realpath(path), 0, len(self.seen)))

    def _wrap(self, module: Any, name: str, place: int) -> None:
        *owners, last = name.split(".")
        for owner in owners:
            module = getattr(module, owner)
        original = getattr(module, last)

        def call(*args: Any, **kwargs: Any) -> Any:
            path = args[place]
            if (name != "open" or "w" in args) and isinstance(path, str | Path) and self._is_below(path):
                self._opened(path)
            return original(*args, **kwargs)

        setattr(module, last, call)

    def _is_below(self, path: Any) -> bool:
        return f"{os.path.realpath(os.fsdecode(path))}/".startswith(f"{self.below}/")

    def measure(self, path: str | None = None) -> None:
        """Note the sizes of files, or of one before it gets another name."""
        for number, file in enumerate(self.files):
            if path in (None, file.path) and Path(file.path).exists():
                self.files[number] = file._replace(size=Path(file.path).stat().st_size)


def started(work: Callable[[], None]) -> int:
    """Begin something in a forked process; returns its id."""
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
    return child


def in_child(work: Callable[[], None]) -> int:
    """Do something in a forked process; returns its wait status."""
    return os.waitpid(started(work), 0)[1]


def command(words: list[str]) -> None:
    """Run a command in this process.

    Raises:
        RuntimeError: it fails.
    """
    from fusion_aug.cli import main

    code = main(words)
    if code:
        raise RuntimeError(f"{words[0]}: exit code {code}")


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, and every folder.

    Of files that tell of the run only that they are there, and of recordings, which hold random numbers, that they end.
    """
    return {
        path.relative_to(folder).as_posix(): "" if path.is_dir() else digest(path, path.parent == folder)
        for path in sorted(folder.rglob("*"))
    }


def digest(path: Path, at_top: bool) -> str:
    """See ``contents``."""
    if at_top and path.stem == "run":
        return ""
    raw = path.read_bytes()
    if path.suffix == ".rrd":
        return "whole" if RECORDING_END in raw[-64:] else "cut off"
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def difference(found: dict[str, str], expected: dict[str, str]) -> str | None:
    """What is not as expected, in a few names; None where all is."""
    apart = sorted(n for n in found.keys() | expected if found.get(n) != expected.get(n))
    return f"differs: {', '.join(apart[:5])}" if apart else None


def prepare() -> None:
    """Import what children need, so that they only fork; no thread is begun here, as none survives a fork."""
    import torch

    ours = ("fusion_aug.cli", "fusion_aug.run.commands", "fusion_aug.public", "fusion_aug.show.recording")
    theirs = ("hydra.compose", "mcap.writer", "pyarrow.dataset", "scipy.spatial.transform")
    for name in (*ours, *theirs, *(writer[0] for writer in WRITERS)):
        importlib.import_module(name)
    torch.set_num_threads(1)


def remember_configs(folder: Path) -> None:
    """Let children compose the configuration of the same words once, which takes longer than most small runs."""
    from fusion_aug.run import commands, inputs, showing
    from fusion_aug.run.config import compose_config

    def remembered(name: str, overrides: list[str], extra_dir: str | None = None) -> Any:
        words = hashlib.blake2b(json.dumps([name, *overrides]).encode(), digest_size=16).hexdigest()
        path = folder / words
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}")  # another lane may be at it too
            part.write_text(json.dumps(compose_config(name, overrides, extra_dir)))
            part.replace(path)
        return json.loads(path.read_text())

    for module in (commands, inputs, showing):
        module.compose_config = remembered  # type: ignore[attr-defined]
