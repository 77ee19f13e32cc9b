"""The package as a user meets it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import fusion_aug as fa

REPOSITORY = Path(__file__).resolve().parents[1]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_costs_little_more_than_torch() -> None:
    """Heavy packages are imported when used."""
    heavy = "open3d hydra rich matplotlib scipy.spatial pandas"
    loaded = run(f"import sys, fusion_aug; print([m for m in '{heavy}'.split() if m in sys.modules])")
    assert loaded == "[]"


def test_public_names_exist_and_are_documented() -> None:
    for name in fa.__all__:
        value = getattr(fa, name)
        if callable(value) and name != "Range":
            assert value.__doc__ and len(value.__doc__) > 10, name


def test_generated_tables_are_up_to_date() -> None:
    from tables import generated_documents

    for path, text in generated_documents(REPOSITORY).items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is out of date; run: make docs"


def test_readme_python_runs(street: Path) -> None:
    """Every Python block of the README, with the made log in place of the user's."""
    text = (REPOSITORY / "README.md").read_text()
    blocks = [b.split("```")[0] for b in text.split("```python\n")[1:]]
    assert len(blocks) >= 2
    scope: dict = {"root": str(street)}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)


def test_help_is_fast_and_lists_everything() -> None:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "fusion_aug.cli", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and time.monotonic() - start < 20
    for command in ("run", "check", "show", "replay", "demo"):
        assert f"fusion-aug {command}" in done.stdout
    for command in ("run", "check", "show", "replay"):
        from fusion_aug.cli import command_help

        text = command_help(command)
        assert "log.root" in text or "root:" in text
        assert "kitti" in text and "#" in text
