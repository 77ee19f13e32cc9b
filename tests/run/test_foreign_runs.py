"""Finished runs of other people: looking at them runs no code of theirs. Words that would leave out an option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import small_logs

from fusion_aug import cli


@pytest.mark.parametrize("command", ["check", "show", "replay"])
def test_a_manifest_alone_runs_no_code(command: str, tmp_path: Path) -> None:
    """A module of the name lies in the current folder, which is where the foreign output is."""
    log, out = small_logs.kitti(tmp_path / "log", frames=1), tmp_path / "out"
    assert cli.main(["run", "log=kitti", f"log.root={log}", "pipeline=identity", f"out={out}", "workers=0"]) == 0
    text = (out / "manifest.jsonl").read_text()
    (out / "manifest.jsonl").write_text(text.replace('"plugins": []', '"plugins": ["evil"]', 1))
    (out / "evil.py").write_text("open('it_ran', 'w').close()\n")
    words = [
        sys.executable,
        "-m",
        "fusion_aug",
        command,
        str(out),
        *(["training/000000"] if command == "replay" else []),
    ]
    for more, code in (([], 2), (["plugins=[evil]"], 0)):
        done = subprocess.run([*words, *more], capture_output=True, text=True, cwd=out, check=False)
        assert done.returncode == code, done.stderr
        assert (out / "it_ran").exists() == (code == 0)
        if code:
            assert "evil" in done.stderr and "plugins=[evil]" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.quick
@pytest.mark.parametrize("word", ["~dry_run", "~log", "~log.root", "~pipeline", "engine=[]", "pipeline=[]", "log=[]"])
def test_an_option_cannot_be_taken_away(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = small_logs.kitti(tmp_path / "log", frames=1)
    words = ["run", "log=kitti", f"log.root={log}", "pipeline=identity", f"out={tmp_path / 'out'}", word]
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith(f"fusion-aug: {word.strip('~=[]')}: cannot be taken away")
