"""Finished runs of other people: looking at them runs no code of theirs. Words that would leave out an option."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import small_logs

from fusion_aug import cli

COMMANDS = """
import contextlib, io, json, sys
from pathlib import Path
from fusion_aug.cli import main
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(words)
    print(json.dumps([code, Path("it_ran").exists(), said.getvalue()]))
    sys.modules.pop("evil", None)
    Path("it_ran").unlink(missing_ok=True)
"""


def test_a_manifest_alone_runs_no_code(tmp_path: Path) -> None:
    """A module of the name lies in the current folder, which is where the foreign output is."""
    log, out = small_logs.kitti(tmp_path / "log", frames=1), tmp_path / "out"
    assert cli.main(["run", "log=kitti", f"log.root={log}", "pipeline=identity", f"out={out}", "workers=0"]) == 0
    text = (out / "manifest.jsonl").read_text()
    (out / "manifest.jsonl").write_text(text.replace('"plugins": []', '"plugins": ["evil"]', 1))
    (out / "evil.py").write_text("open('it_ran', 'w').close()\n")
    looks = [["check", str(out)], ["show", str(out)], ["replay", str(out), "training/000000"]]
    words = json.dumps([*looks, *([*look, "plugins=[evil]"] for look in looks)])
    done = subprocess.run([sys.executable, "-c", COMMANDS, words], capture_output=True, text=True, cwd=out, check=False)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer[:2] for answer in answers] == [[2, False]] * 3 + [[0, True]] * 3, done.stderr
    for _, _, said in answers[:3]:
        assert "evil" in said and "plugins=[evil]" in said and said.count("\n") == 1


@pytest.mark.quick
@pytest.mark.parametrize("word", ["~dry_run", "~log", "~log.root", "~pipeline", "engine=[]", "pipeline=[]", "log=[]"])
def test_an_option_cannot_be_taken_away(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = small_logs.kitti(tmp_path / "log", frames=1)
    words = ["run", "log=kitti", f"log.root={log}", "pipeline=identity", f"out={tmp_path / 'out'}", word]
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith(f"fusion-aug: {word.strip('~=[]')}: cannot be taken away")
