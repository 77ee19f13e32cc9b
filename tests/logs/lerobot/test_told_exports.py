"""What a run tells of streams that it writes under other names, and of numbers that it writes in other units."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import policy_logs
import pytest

from fusion_aug.cli import main
from fusion_aug.sample.manifest import NAME

h5py = pytest.importorskip("h5py")
pytest.importorskip("pyarrow")
PARTS = "log.parts={actions: {position: [0, 3, 0.05], axis_angle: [3, 6, 0.5], command: [6, 7], delta: base}}"


def export(tmp_path: Path, *words: str) -> Path:
    root, out = policy_logs.robomimic(tmp_path / "log"), tmp_path / "out"
    given = [f"log.root={root}", f"out={out}", "pipeline=identity", "output=lerobot"]
    assert main(["run", "log=robomimic", *given, *words]) == 0
    return out


def account(out: Path) -> dict[str, dict[str, dict[str, int]]]:
    return json.loads((out / NAME).read_text().splitlines()[-1])["account"]


def test_streams_under_other_names_are_not_told_as_lost_to_the_rate(tmp_path: Path) -> None:
    out = export(tmp_path, PARTS)
    found = account(out)
    assert found["actions"]["lost"] == {"written as action": 12}
    assert found["robot0_eef_pos"]["lost"] == {"written as state": 12}
    assert found["action"]["added"] == {"made of actions": 12}
    assert found["task"]["added"] == {"every episode of LeRobot has a task": 1}
    assert main(["check", str(out)]) == 0


def test_a_name_that_is_not_there_is_no_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = export(tmp_path, PARTS)
    (out / NAME).write_text((out / NAME).read_text().replace("written as action", "written as orders"))
    capsys.readouterr()
    assert main(["check", str(out)]) != 0
    failed = [line.split() for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert [row[:3] for row in failed] == [["frames", "missing", "actions"]]


def test_factors_to_si_units_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = export(tmp_path, PARTS)
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "numbers are written in SI units (m, rad, N): those of the log times their factors "
        "(actions: delta_position x 0.05, actions: delta_rotation x 0.5)" in told
    )
    with h5py.File(tmp_path / "log" / "demos.hdf5") as file:
        before = file["data/demo_0/actions"][...]
    factors = np.array([0.05] * 3 + [0.5] * 3 + [1])
    assert np.allclose(policy_logs.rows(out, "action"), before * factors, rtol=1e-6, atol=1e-7)


def test_without_factors_nothing_is_told_of_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(tmp_path, "log.parts={actions: {position: [0, 3], axis_angle: [3, 6], command: [6, 7], delta: base}}")
    assert "SI units" not in capsys.readouterr().out
