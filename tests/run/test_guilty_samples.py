"""Samples that end the process that works on them: the others are written, tables and all, and they are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_logs

from fusion_aug.cli import main

GUILTY = "1100000000"  # stamp of the second of three sweeps
ABORTER = f"""
import os
from dataclasses import dataclass
import fusion_aug as fa

@dataclass(frozen=True, kw_only=True)
class Aborter(fa.Transform, fa.PointOp):
    share: float = 0.5

@fa.handles(Aborter, fa.Points)
def abort(stream, call):
    if {GUILTY!r} in call.sample.id:
        os.abort()
    return stream
"""


@pytest.mark.slow
def test_a_sample_that_aborts_is_named_and_the_others_are_written(
    plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ``fail`` the run says which one when the others are done; with ``skip`` it goes on to the end without it."""
    from pyarrow import feather

    (plugins / "aborter.py").write_text(ABORTER)
    root, out = small_logs.argoverse2(plugins / "log"), plugins / "out"
    words = ["run", "log=argoverse2", f"log.root={root}", "pipeline=identity", "plugins=[aborter]", "workers=1"]
    words += ["+pipeline.transforms.a={_target_: aborter.Aborter}", f"out={out}"]

    assert main(words) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert GUILTY in said and "SIGABRT" in said and "on_error=skip" in said
    assert len(list((out / ".work/done").glob("*.json"))) == 2 and not (out / "run.json").exists()

    assert main([*words, "on_error=skip"]) == 0
    facts = json.loads((out / "run.json").read_text())
    ((guilty, why),) = facts["skipped"]
    assert GUILTY in guilty and "SIGABRT" in why and facts["used"]["samples"] == 2
    table = feather.read_table(out / "val/log-a/annotations.feather")
    assert set(table["timestamp_ns"].to_pylist()) == {1_000_000_000, 1_200_000_000}
    assert not (out / ".work").exists() and main(["check", str(out), "plugins=[aborter]"]) == 0
