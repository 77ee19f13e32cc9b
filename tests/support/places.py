"""Where things are, wherever the tests are started from."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DRIVE = REPOSITORY / "datasets" / "drive"  # a driving scene in nuScenes format
DATA = REPOSITORY / "tests" / "data"  # logs that the packages of their formats made, by tools/formats_sources.py
ARM = REPOSITORY / "datasets" / "arm"  # a robot arm in several formats
