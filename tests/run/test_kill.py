"""A part of what ``make kill`` and ``make full-disk`` try: runs that are killed, and disks that are full."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import small_logs
from places import REPOSITORY

from fusion_aug.cli import main

FORMATS = ("kitti", "argoverse2", "robomimic", "lerobot")
AFTER = ("kitti in shards", "replay robomimic", "show kitti", "record kitti", "check kitti")
# cases, every so many points of each, and the least number of them in all; to start the tool takes as long as a case
KILLED = (
    ("formats, and after the run", (*FORMATS, *AFTER), 32, 20),
    ("formats of robots", ("lerobot v2.1", "aloha", "rosbag"), 48, 6),
)


def killed(*words: str) -> tuple[int, str]:
    """Kill by the tool, in a process without the threads of others, since it forks; returns how many points held."""
    command = [sys.executable, str(REPOSITORY / "tools/kill.py"), "--jobs", "1", *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    held = re.search(r"^(\d+) of (\d+) points hold$", done.stdout, re.MULTILINE)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and held is not None and held[1] == held[2], said
    return int(held[1]), said


@pytest.mark.slow
@pytest.mark.parametrize(("names", "thin", "least"), [k[1:] for k in KILLED], ids=[k[0] for k in KILLED])
def test_what_is_killed_ends_with_the_same_bytes(names: tuple[str, ...], thin: int, least: int) -> None:
    held, said = killed(*names, "--thin", str(thin), "--moments", "0")
    assert held >= least, said


LIMITED = """
import resource, sys
sys.dont_write_bytecode = True  # Python 3.11 would leave the half of it that fits
from fusion_aug.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


def tree(out: Path) -> dict[str, str]:
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.stem != "run")
    return {str(p.relative_to(out)): hashlib.blake2b(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "workers"), [("kitti", 1), ("robomimic", 0)])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, name: str, workers: int) -> None:
    """Files may not grow beyond a size, as on a full disk: one sentence, no crash, and the same bytes afterwards."""
    root = getattr(small_logs, name)(tmp_path / "log")
    words = ["run", f"log={name}", f"log.root={root}", "pipeline=identity", f"workers={workers}"]
    words += ["+pipeline.transforms.light={_target_: fusion_aug.Brightness, factor: 1.2}"]
    assert main([*words, f"out={tmp_path / 'whole'}"]) == 0
    out, largest = tmp_path / "out", max(p.stat().st_size for p in (tmp_path / "whole").rglob("*") if p.is_file())
    for size in (2000, largest - 1000):
        limited = [sys.executable, "-c", LIMITED, str(size), *words, f"out={out}"]
        done = subprocess.run(limited, capture_output=True, text=True, cwd=tmp_path)
        said = done.stderr.splitlines()
        assert done.returncode == 2 and len(said) == 1, (size, done.stderr)
        assert said[0].startswith(f"fusion-aug: {out}/") and said[0].endswith("File too large"), said
    assert main([*words, f"out={out}"]) == 0
    assert tree(out) == tree(tmp_path / "whole")
