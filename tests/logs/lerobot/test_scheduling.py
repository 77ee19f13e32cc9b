"""An encoder that makes the process real-time where root runs it leaves no trace of that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENCODE = """
import os, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from fusion_aug.logs.lerobot.video import write_video

def policies():
    return {os.sched_getscheduler(int(p.name)) for p in Path("/proc/self/task").iterdir()}

before, seen = policies(), []

def frames():
    for k in range(3):
        seen.append(policies())
        yield np.full((64, 64, 3), 40 * k, np.uint8)

write_video(frames(), Path(sys.argv[1]), Fraction(10), sys.argv[2], 2)
assert policies() == before == {os.SCHED_OTHER}, (before, policies())
assert seen[1] == seen[2] == before, seen  # while the encoder is open, too
"""


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system does not tell the scheduling")
@pytest.mark.parametrize("codec", ["av1", "h264"])
def test_a_process_is_scheduled_as_before(tmp_path: Path, codec: str) -> None:
    pytest.importorskip("av")
    words = [sys.executable, "-c", ENCODE, str(tmp_path / "a.mp4"), codec]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.mp4").stat().st_size > 0
