"""Freed memory is used again, where the allocator can be told so."""

import platform
import subprocess
import sys

import pytest

from fusion_aug.run import freed_memory

FAULTS = """
import resource, runpy, sys
if sys.argv[1] == "kept":
    assert runpy.run_path(sys.argv[2])["keep_freed_memory"]()
blocks = [bytes(2**22) for _ in range(3)]
del blocks
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks = [b"%d" % k * 2**22 for k in range(3)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str) -> int:
    """Pages that the system gave a process that takes and frees 60 blocks of 4 MiB."""
    command = [sys.executable, "-c", FAULTS, word, freed_memory.__file__]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the allocator of glibc")
def test_the_system_is_asked_for_memory_once():
    pages_of_a_round = 3 * 2**22 // 4096
    assert faults("kept") < 2 * pages_of_a_round < 4 * pages_of_a_round < faults("as it is")
