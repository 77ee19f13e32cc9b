"""The package as a user meets it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import REPOSITORY

import fusion_aug as fa


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HEAVY = "cv2 h5py hydra matplotlib mujoco numpy open3d pandas pyarrow rich scipy torch yaml"


def loaded(code: str, names: str = HEAVY) -> list[str]:
    """Which of some modules a child process has loaded after some lines."""
    said = run(f"import sys\n{code}\nprint('loaded', *[m for m in '{names}'.split() if m in sys.modules])")
    return said.rpartition("loaded")[2].split()


@pytest.mark.parametrize(
    "code",
    [
        "import fusion_aug",
        "import fusion_aug as fa; assert fa.__version__",
        "from fusion_aug.cli import main; assert main(['--help']) == 0",
        "from fusion_aug.cli import main; assert main([]) == 0",
        "from fusion_aug.cli import main; assert main(['--version']) == 0",
        "from fusion_aug.cli import main; assert main(['fly']) == 2",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(code: str) -> None:
    assert loaded(code) == []


def test_what_is_used_loads_little_more_than_torch() -> None:
    """Building a transform needs no file formats, no renderer, no Hydra and no terminal."""
    seldom = "av h5py hydra matplotlib mcap mujoco open3d pandas pyarrow rerun rich rosbags"
    assert loaded("import fusion_aug as fa; fa.Compose([fa.Brightness(factor=0.5)])", f"{seldom} torch") == ["torch"]


def test_a_module_of_ours_that_is_no_public_name_is_a_module() -> None:
    assert run("from fusion_aug import extend, names; print(extend.__name__)") == "fusion_aug.extend"
    done = subprocess.run([sys.executable, "-c", "from fusion_aug import nothing"], capture_output=True, check=False)
    assert done.returncode == 1 and b"cannot import name 'nothing'" in done.stderr


@pytest.mark.quick
def test_public_names_exist_and_are_documented() -> None:
    for name in fa.__all__:
        value = getattr(fa, name)
        if callable(value) and name != "Range":
            assert value.__doc__ and len(value.__doc__) > 10, name


def test_generated_tables_are_up_to_date() -> None:
    from tables import generated_documents

    for path, text in generated_documents(REPOSITORY).items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is out of date; run: make docs"


def test_readme_python_runs(street: Path, own_names: None) -> None:
    """Every Python block of the README, with the made log in place of the user's."""
    text = (REPOSITORY / "README.md").read_text()
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) >= 2
    scope: dict = {"root": str(street)}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)


@pytest.mark.quick
def test_help_is_fast_and_lists_everything() -> None:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "fusion_aug.cli", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and time.monotonic() - start < 100  # 2 s on a quiet machine
    for command in ("run", "check", "show", "replay", "demo"):
        assert f"fusion-aug {command}" in done.stdout
    for command in ("run", "check", "show", "replay"):
        from fusion_aug.run.helping import command_help

        text = command_help(command)
        assert "log.root" in text or "root:" in text
        assert "kitti" in text and "#" in text
