"""What a case of ``fuzz.py`` did besides reading: files opened outside, programs started, memory and time, code run."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

MEMORY, SECONDS = 2 * 2**30, 20
STARTS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "ctypes.dlopen")
OWN_STARTS = ("unpickling.py", "uname")  # pickles are tried in a process of their own; dlopen of None opens no file
NEVER = ("/etc/passwd", "/dev/zero")
IN_OPEN, IN_CHANGED = 0x20, 0x2 | 0x4 | 0x100 | 0x200 | 0x400  # modify, attributes, create, delete
IN_ISDIR, IN_NONBLOCK = 0x40000000, 0o4000
EVENT = struct.Struct("iIII")


class Watch:
    """Watches a process from its inside: calls of Python by their audit events, the folder outside by the kernel.

    Args:
        folder: with ``outside``, which nobody may touch, and ``here``, the current folder, where ``evil.py`` lies.
        work: the only folder that may appear or change beside them.
    """

    def __init__(self, folder: Path, work: Path):
        self.folder, self.work, self.here = folder, work, folder / "here"
        self.events: list[str] = []
        libc = ctypes.CDLL(None, use_errno=True)
        self.kernel = libc.inotify_init1(IN_NONBLOCK)
        name = os.fsencode(folder / "outside")
        if self.kernel < 0 or libc.inotify_add_watch(self.kernel, name, IN_OPEN | IN_CHANGED) < 0:
            raise OSError(ctypes.get_errno(), "inotify is needed to see what C code opens")
        self.begin()
        sys.addaudithook(self._event)

    def begin(self) -> None:
        """Forget what was, and note what there is."""
        self.forget_links()
        self.before = set(self.folder.iterdir())
        self.peak, self.seconds = reset_peak(), seconds_used()

    def forget_links(self) -> None:
        """Forget the files that were opened outside: what a user names may be a link."""
        self._touched()
        self.events.clear()

    def found(self) -> tuple[str, str] | None:
        """Kind and details of what may not happen; None if nothing did."""
        if (self.here / "it_ran").exists() or "evil" in sys.modules:
            return "code ran", ""
        made = set(self.folder.iterdir()) - self.before - {self.work}
        touched = ["in the folder outside"] if self._touched() else []
        if self.events or made or touched:
            return "outside", f"{self.events + touched} {sorted(map(str, made))}"
        taken, seconds = reset_peak() - self.peak, seconds_used() - self.seconds
        if seconds > SECONDS:
            return "slow", f"{seconds:.0f} s"
        return ("memory", f"{taken >> 20} MiB") if taken > MEMORY else None

    def clean(self) -> None:
        """Remove what a command wrote into the current folder."""
        for path in self.here.iterdir():
            if path.name != "evil.py":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _touched(self) -> bool:
        """Whether a file in the folder outside was touched. Who lists all folders, as other programs do, opens it."""
        touched = False
        while True:
            try:
                events = os.read(self.kernel, 2**16)
            except BlockingIOError:
                return touched
            while events:
                _, mask, _, length = EVENT.unpack_from(events)
                touched |= not mask & IN_ISDIR
                events = events[EVENT.size + length :]

    def _event(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str | bytes):
            name = os.path.realpath(os.fsdecode(args[0]))  # noqa: PTH (of bytes too)
            if name.startswith(NEVER):
                self.events.append(name)
        elif event in STARTS and args != (None,) and not any(name in str(args) for name in OWN_STARTS):
            self.events.append(f"{event} {args}")


def seconds_used() -> float:
    """Seconds that this process and those that it started have computed: the same on a busy machine."""
    return sum(os.times()[:4])


def reset_peak() -> int:
    """Peak of resident memory since the last call, bytes."""
    text = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024  # type: ignore[index]
