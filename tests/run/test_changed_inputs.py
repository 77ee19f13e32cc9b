"""A part of what ``make changed-inputs`` and ``make full-disk`` try."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import small_logs
from places import REPOSITORY
from refusals import fails

from fusion_aug.cli import main


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


@pytest.mark.parametrize("name", ["training/velodyne/000000.bin", "training/image_2/000000.png"])
def test_a_shard_names_what_was_changed_of_frames_that_are_not_selected(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cloud that shows the scale of the intensities, and the picture that has the size of frames without any."""
    root = small_logs.kitti(tmp_path / "log", 4)
    for folder in ("image_2", "image_3"):
        (root / f"training/{folder}/000002.png").unlink()
    words = ["run", "log=kitti", f"log.root={root}", "log.select=[2,3]", "pipeline=geometry", f"out={tmp_path / 'out'}"]
    assert main([*words, "shard=1/2"]) == 0
    if name.endswith(".bin"):
        cloud = np.fromfile(root / name, np.float32).reshape(-1, 4)
        (cloud * [1, 1, 1, 255]).round().astype(np.float32).tofile(root / name)
    else:
        cv2.imwrite(str(root / name), np.zeros((64, 64, 3), np.uint8))
    fails(capsys, [*words, "shard=2/2"], f"{name} was changed")
