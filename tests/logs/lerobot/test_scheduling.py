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

def frames(seen):
    for k in range(3):
        seen.append(policies())
        yield np.full((64, 64, 3), 40 * k, np.uint8)

for codec in sys.argv[2:]:
    before, seen = policies(), []
    write_video(frames(seen), Path(sys.argv[1]) / f"{codec}.mp4", Fraction(10), codec, 2)
    assert policies() == before == {os.SCHED_OTHER}, (codec, before, policies())
    assert seen[1] == seen[2] == before, (codec, seen)  # while the encoder is open, too
"""
CODECS = ("av1", "h264")


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system does not tell the scheduling")
def test_a_process_is_scheduled_as_before(tmp_path: Path) -> None:
    pytest.importorskip("av")
    words = [sys.executable, "-c", ENCODE, str(tmp_path), *CODECS]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / f"{codec}.mp4").stat().st_size > 0 for codec in CODECS)
