"""Columns of a sweep in the sidecar stay there run after run; columns that cannot be what they are called are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import DataError

pytest.importorskip("pyarrow.feather")
from argoverse_log import make_log, read

TURN = "+pipeline.transforms.y={_target_:fusion_aug.RotateScene,yaw_deg:30}"
FOG = "+pipeline.transforms.f={_target_:fusion_aug.Fog,mor:20,report:true}"


@pytest.mark.parametrize("steps", [(), (TURN,)])
def test_columns_of_the_sidecar_outlive_a_second_run(tmp_path: Path, steps: tuple[str, ...]) -> None:
    make_log(tmp_path / "in" / "LOG", own={"label": lambda n: np.arange(n) % 7})
    words = ("pipeline=identity", "limit=1")
    first = run(tmp_path / "first", "log=argoverse2", f"log.root={tmp_path / 'in'}", *words, FOG)
    second = run(tmp_path / "second", "log=argoverse2", f"log.root={first}", *words, *steps)
    before, after = (fa.open_log("argoverse2", root)[0]["lidar"] for root in (first, second))
    assert len(np.unique(before["status"])) > 1, "some returns come from the fog"
    for name in ("status", "true_range", "label"):
        assert np.array_equal(before[name], after[name], equal_nan=True), name
    sweep = next(second.rglob("lidar/*.feather"))
    assert "label" in read(sweep) and "status" not in read(sweep)
    assert main(["check", str(second)]) == 0


@pytest.mark.parametrize(
    "own, told",
    [
        ({"flow": np.arange}, "flow: is what a column of the format is called in memory"),
        ({"flow_tx_m": np.arange, "flow_ty_m": np.arange}, "flow_tx_m: a part of a flow cannot be turned"),
        ({"true_range": lambda n: np.array(["far"] * n)}, "true_range: holds string, expected numbers"),
    ],
)
def test_columns_that_are_not_what_they_are_called(tmp_path: Path, own: dict, told: str) -> None:
    make_log(tmp_path / "in" / "LOG", own=own)
    with pytest.raises(DataError, match=told):
        fa.open_log("argoverse2", tmp_path / "in")[0]
