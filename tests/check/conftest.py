"""Fixtures of the tests of ``check``."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_logs
from places import ARM

from fusion_aug.cli import main


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, street: Path) -> Path:
    """Folder with a small log of every format."""
    root = tmp_path_factory.mktemp("logs")
    small_logs.kitti(root / "kitti")
    small_logs.semantickitti(root / "semantickitti")
    small_logs.argoverse2(root / "argoverse2")
    small_logs.mmdet3d(root / "mmdet3d", street)
    small_logs.robomimic(root / "robomimic")
    (root / "nuscenes").symlink_to(street)
    small_logs.short_mcap(root / "mcap")
    (root / "lerobot").symlink_to(ARM / "lerobot")
    words = ["log=kitti", f"log.root={root / 'kitti'}", "pipeline=identity", "output=folder", f"out={root / 'folder'}"]
    assert main(["run", *words]) == 0
    return root
