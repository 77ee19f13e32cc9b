"""Messages of errors that hold for all packages."""

from __future__ import annotations

import pickle
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import REPOSITORY

from fusion_aug.errors import MissingPackage, installing

pytestmark = pytest.mark.quick


def test_the_command_that_installs_an_extra_names_the_checkout() -> None:
    said = str(
        pickle.loads(pickle.dumps(MissingPackage("a.mp4: videos need the package av: pip install '.[lerobot]'")))
    )
    told, _, given = said.partition(": pip install -e ")
    assert told == "a.mp4: videos need the package av"
    assert shlex.split(given) == [f"{REPOSITORY}[lerobot]"]


def test_an_installation_without_a_checkout_says_where_the_command_is_given(tmp_path: Path) -> None:
    """A copy of the package alone, as in site-packages."""
    for name in ("fusion_aug/__init__.py", "fusion_aug/version.py", "fusion_aug/errors.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(REPOSITORY / name, tmp_path / name)
    shutil.copytree(REPOSITORY / "calib", tmp_path / "calib")
    code = "from fusion_aug.errors import MissingPackage; print(MissingPackage(\"needs: pip install '.[ros]'\"))"
    said = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert said == "needs: pip install '.[ros]' in the folder of the checkout\n"
    assert installing("ros,arm").endswith("[ros,arm]'")
