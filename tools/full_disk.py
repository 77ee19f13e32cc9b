"""Commands on a disk that is full: ``make full-disk``.

Runs of two samples of every format, in shards too, and replays, pictures and recordings of runs are started on file
systems of 20 sizes below what they write, and of some more in which their last steps find no room. They have to end
with exit code 2 and one sentence that names a file of the output; when there is room, the same command has to end with
the same bytes as on a disk that was never full.

    python tools/full_disk.py [CASE ...] [--sizes 20]

Needs Linux and the right to mount, or user namespaces. Exits with 1 where a size fails.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from kill_cases import RUN, Case, Words, cases  # noqa: E402
from kill_watch import contents, difference, in_child, prepare, remember_configs  # noqa: E402
from said import said  # noqa: E402

INSIDE = "FUSION_AUG_MAY_MOUNT"
PAGE = 4096
FULL = (": No space left on device", ": no space left on the disk")


def disk_cases() -> dict[str, Case]:
    """Name -> what is done: what ``make kill`` does, but for checks, which write nothing, and the exact format."""
    found = {name: case for name, case in cases().items() if not case.reads}
    for name in ("kitti", "mcap"):
        found[f"{name} to folder"] = found[name]._replace(words=(*found[name].words, "output=folder"))
    return found


def mount(folder: Path, size: int, *more: str) -> None:
    """Give a folder a file system of its own of so many bytes, or another size."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *more]), "tmpfs", folder], check=True)


def taken(folder: Path) -> int:
    """Bytes that the files below a folder take."""
    return sum(-(-p.stat().st_size // PAGE) * PAGE for p in folder.rglob("*") if p.is_file())


class Trial:
    """One case in a folder of its own.

    Attributes:
        out: where it writes, on the disk. laid: bytes that lie there before. used: that it writes.
    """

    def __init__(self, name: str, case: Case, folder: Path):
        self.case, self.ahead, self.disk = case, folder / "ahead", folder / "disk"
        self.out, root = self.disk / "out", folder / "root.txt"
        self.disk.mkdir()

        def make() -> None:
            root.write_text(str(case.make(folder / "log")))

        if in_child(make):
            sys.exit(f"{name}: its log could not be made")
        self.options = [*case.words, f"log.root={root.read_text()}", "pipeline=identity", "seed=3"]
        if case.of_run and said(["run", *self.options, f"out={self.ahead / RUN}"])[0]:
            sys.exit(f"{name}: the run before it failed")
        self.lay()
        self.laid = taken(self.disk)
        failed = self.first_failing(self.commands)
        if failed is not None:
            sys.exit(f"{name}: failed on a disk with room: {failed[1:]}")
        self.expected, self.used = contents(self.out), taken(self.disk) - self.laid
        shutil.rmtree(self.out)

    def lay(self) -> None:
        """Put what is there before the first command, and look up the commands."""
        if self.case.of_run:
            shutil.copytree(self.ahead, self.out)
        self.commands = self.case.commands(self.options, self.out)

    def first_failing(self, commands: Sequence[Words]) -> tuple[int, int, list[str]] | None:
        """Give commands until one fails; returns its number, its exit code and its errors, None where none does."""
        for number, words in enumerate(commands):
            code, lines = said(words)
            if code:
                return number, code, lines
        return None

    def tried(self, size: int) -> str | None:
        """Do it with so much room, then make more and go on; returns what is wrong, None where nothing is."""
        mount(self.disk, self.laid + size)
        try:
            self.lay()
            failed = self.first_failing(self.commands)
            if failed is not None:
                number, code, lines = failed
                told = len(lines) == 1 and lines[0].startswith(f"fusion-aug: {self.out}/") and lines[0].endswith(FULL)
                if code != 2 or not told:
                    return f"exit code {code}: {lines}"
                mount(self.disk, self.laid + 4 * self.used + 2**20, "remount")
                again = self.first_failing(self.commands[number:])
                if again is not None:
                    return f"with room: exit code {again[1]}: {again[2]}"
            elif size < self.used:
                return "exit code 0, and there is not enough room"
            return difference(contents(self.out), self.expected)
        finally:
            subprocess.run(["umount", "-l", self.disk], check=True)

    def sizes(self, count: int) -> list[int]:
        """So many sizes below what it writes, and a quarter as many above."""
        return [max(2, self.used * k // (count + 1) // PAGE) * PAGE for k in range(1, count + 2 + count // 4)]


def main(words: Sequence[str] | None = None) -> int:
    """Try all sizes of all cases, print a table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="all of them by default")
    parser.add_argument("--sizes", type=int, default=20, help="below what is written")
    given = parser.parse_args(words)
    prepare()
    held = total = 0
    with tempfile.TemporaryDirectory(prefix="configs-") as configs:
        remember_configs(Path(configs))
        for name, case in disk_cases().items():
            if given.cases and name not in given.cases:
                continue
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                trial = Trial(name, case, Path(folder))
                sizes = trial.sizes(given.sizes)
                wrong = [(size, what) for size in sizes if (what := trial.tried(size)) is not None]
            held, total = held + len(sizes) - len(wrong), total + len(sizes)
            print(f"{name:20} {len(sizes) - len(wrong):3} of {len(sizes):3} sizes around {trial.used >> 10} KiB hold, "
                  f"{time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
            for size, what in wrong:
                print(f"    {size >> 10} KiB: {what}", flush=True)
    print(f"{held} of {total} sizes hold")
    return 1 if held < total or not total else 0


if __name__ == "__main__":
    if INSIDE not in os.environ:
        os.execvpe("unshare", ["unshare", "-rm", sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
    sys.exit(main())
