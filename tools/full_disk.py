"""Runs on a disk that is full: ``make full-disk``.

A run of two samples of every format is started on a file system of each of 20 sizes below what it needs. It has to end
with exit code 2 and one sentence that names a file of the output; when there is room, the same command has to end with
the same bytes as on a disk that was never full.

Needs Linux and the right to mount, or user namespaces. Exits with 1 where a size fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kill import Trial, cases, contents, in_child, prepare

SIZES = 20
INSIDE = "FUSION_AUG_MAY_MOUNT"
PAGE = 4096


def mount(folder: Path, size: int, *more: str) -> None:
    """Give a folder a file system of its own of so many bytes, or another size."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *more]), "tmpfs", folder], check=True)


def told(trial: Trial, folder: Path) -> tuple[int, list[str]]:
    """Exit code and lines on standard error of the command of a case."""
    text = folder / "stderr.txt"

    def run() -> None:
        from fusion_aug.cli import main

        with text.open("w") as file:
            os.dup2(file.fileno(), 2)
        code = main(["run", *trial.words])
        sys.stderr.flush()
        os._exit(code)

    code = os.waitstatus_to_exitcode(in_child(run))
    return code, text.read_text().splitlines()


def tried(trial: Trial, disk: Path, folder: Path, size: int, enough: int) -> str | None:
    """Run on a disk of a size, then make room and run again; returns what is wrong."""
    mount(disk, size)
    try:
        code, lines = told(trial, folder)
        if code != 2 or len(lines) != 1 or str(trial.out) not in lines[0] or "No space left" not in lines[0]:
            return f"exit code {code}: {lines}"
        mount(disk, enough, "remount")
        code, lines = told(trial, folder)
        found = contents(trial.out)
        apart = sorted(n for n in found.keys() | trial.expected if found.get(n) != trial.expected.get(n))
        return f"with room: exit code {code}, {lines}, differs: {apart[:5]}" if code or apart else None
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def sizes(trial: Trial) -> tuple[int, list[int]]:
    """What the output of a run takes, and sizes below it."""
    in_child(lambda: _run(trial))
    used = sum(-(-p.stat().st_size // PAGE) * PAGE for p in trial.out.rglob("*") if p.is_file())
    shutil.rmtree(trial.out)
    return used, [PAGE * max(2, used * k // (SIZES + 1) // PAGE) for k in range(1, SIZES + 1)]


def _run(trial: Trial) -> None:
    from fusion_aug.cli import main

    main(["run", *trial.words])


def main(words: Sequence[str]) -> int:
    """Try all sizes of all cases, print a table and return the exit code."""
    prepare()
    failed = total = 0
    for name, case in cases().items():
        if words and name not in words:
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            disk = Path(folder) / "disk"
            disk.mkdir()
            trial = Trial(name, case, Path(folder), disk / "out")
            used, tries = sizes(trial)
            wrong = [(size, said) for size in tries if (said := tried(trial, disk, Path(folder), size, 4 * used))]
        total, failed = total + len(tries), failed + len(wrong)
        print(f"{name:12} {len(tries) - len(wrong)} of {len(tries)} sizes up to {used >> 10} KiB hold, "
              f"{time.monotonic() - start:.0f} s", flush=True)  # fmt: skip
        for size, said in wrong:
            print(f"    {size >> 10} KiB: {said}", flush=True)
    print(f"{total - failed} of {total} sizes hold")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    if INSIDE not in os.environ:
        os.execvpe("unshare", ["unshare", "-rm", sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
    sys.exit(main(sys.argv[1:]))
