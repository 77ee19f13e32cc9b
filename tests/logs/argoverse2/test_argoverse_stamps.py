"""Stamps of Argoverse 2 after a warp of time: distinct and in order, in all tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written import run

import fusion_aug as fa
from fusion_aug.cli import main

pytest.importorskip("pyarrow.feather")
from argoverse_log import CAMERAS, T0, make_log, read, stamps_of


@pytest.mark.parametrize("seed", range(4))
def test_stamps_one_nanosecond_apart_stay_apart(tmp_path: Path, seed: int) -> None:
    source = make_log(tmp_path / "in" / "LOG", sweeps=3, close_stamps=True, pictures=True)
    words = ["log=argoverse2", f"log.root={tmp_path / 'in'}", "pipeline=timewarp", f"seed={seed}"]
    target = run(tmp_path / "out", *words) / "LOG"
    stamps = read(target / "city_SE3_egovehicle.feather")["timestamp_ns"]
    old = read(source / "city_SE3_egovehicle.feather")["timestamp_ns"]
    near = (old >= T0 - 60_000_000) & (old <= T0 + 260_000_002)  # of what is written
    assert (np.diff(stamps) > 0).all() and len(stamps) == near.sum() == 99
    sweeps = stamps_of(target)
    assert len(sweeps) == 3 and read(target / "annotations.feather")["timestamp_ns"].tolist() == sweeps
    pictures = {n: sorted(int(p.stem) for p in (target / "sensors/cameras" / n).glob("*.jpg")) for n in CAMERAS}
    assert {len(s) for s in pictures.values()} == {3} and set(sweeps).union(*pictures.values()) <= set(stamps.tolist())
    assert len(set(sweeps).union(*pictures.values())) == 9, "of two cameras 1 ns apart neither takes the other's stamp"
    assert [len(s["ego"]) for s in fa.open_log("argoverse2", tmp_path / "out")] == [3, 3, 3]
    if seed < 2:
        assert main(["check", str(tmp_path / "out")]) == 0
