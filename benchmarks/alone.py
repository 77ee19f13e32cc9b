"""Figures of a process of its own: memory of another trial does not count."""

from __future__ import annotations

import json
import subprocess
import sys


def alone(module: str, *words: object) -> dict[str, float]:
    """The figures that a module prints as JSON when it is run with some words."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found
