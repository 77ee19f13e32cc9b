"""A part of what ``make changed-inputs`` and ``make full-disk`` try."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from places import REPOSITORY


def held(tool: str, *words: str) -> int:
    """How many of a tool's trials hold; all have to. In a process without the threads of others, since it forks."""
    command = [sys.executable, str(REPOSITORY / "tools" / tool), *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = re.search(r"^(\d+) of (\d+) \w+ hold$", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and found is not None and found[1] == found[2], done.stdout + done.stderr
    return int(found[1])


@pytest.mark.slow
def test_changed_inputs_are_refused() -> None:
    """Of a tree of files, a single file, and files that options name: a few, in every way, during runs and between."""
    assert held("changed_inputs.py", "kitti", "robomimic", "plugin", "--thin", "7", "--jobs", "1") >= 8


@pytest.mark.slow
def test_full_disks_are_told() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"]).returncode:
        pytest.skip("needs the right to mount a file system")
    assert held("full_disk.py", "kitti", "show kitti", "--sizes", "2") >= 4
