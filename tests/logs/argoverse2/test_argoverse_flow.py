"""Scene flow and classes of points in the sweeps' own files: turned, scaled, mirrored, kept; by NumPy alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written import drawn_motion, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import DataError

pytest.importorskip("pyarrow.feather")
from argoverse_log import T0, make_log, read, stamps_of

OWN = {
    "flow_tx_m": lambda n: np.linspace(-1, 2, n).astype(np.float16),
    "flow_ty_m": lambda n: np.linspace(3, 0, n).astype(np.float16),
    "flow_tz_m": lambda n: np.linspace(0, 0.5, n).astype(np.float16),
    "is_valid": lambda n: np.arange(n) % 3 != 0, "is_dynamic": lambda n: np.arange(n) % 2 == 0,
    "category_indices": lambda n: (np.arange(n) % 30).astype(np.uint8), "row": np.arange,
}  # fmt: skip
TURN = "+pipeline.transforms.y={_target_:fusion_aug.RotateScene,yaw_deg:30}"
MIRROR = "+pipeline.transforms.m={_target_:fusion_aug.MirrorScene,axis:y}"
SCALE = "+pipeline.transforms.s={_target_:fusion_aug.ScaleScene,scale:1.25}"
DROP = "+pipeline.transforms.d={_target_:fusion_aug.PointDropout,share:0.5}"
SLOWER = "+pipeline.transforms.t={_target_:fusion_aug.SpeedWarp,speed:0.5}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_log(tmp_path / "in" / "LOG", own=OWN)
    return tmp_path / "in"


def flow_of(table: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([table[f"flow_t{c}_m"] for c in "xyz"], 1).astype(float)


@pytest.mark.parametrize("motions", [(TURN,), (MIRROR, SCALE), (TURN, DROP), (SLOWER,)])
def test_flow_moves_with_the_scene(root: Path, tmp_path: Path, motions: tuple[str, ...]) -> None:
    out = run(tmp_path / "out", "log=argoverse2", f"log.root={root}", "pipeline=identity", *motions)
    # a change of the speed of time writes other stamps, sweep by sweep
    pairs = zip(stamps_of(root / "LOG"), stamps_of(out / "LOG"), manifest(out), strict=True)
    for before, after, line in pairs:
        old, new = read(root / f"LOG/sensors/lidar/{before}.feather"), read(out / f"LOG/sensors/lidar/{after}.feather")
        assert list(old) == list(new)
        rows, H = new["row"], drawn_motion(line)[:3, :3] if SLOWER not in motions else np.eye(3)
        assert (len(rows) < len(old["row"])) == (DROP in motions)
        assert np.abs(flow_of(new) - flow_of(old)[rows] @ H.T).max() < 4e-3, "half precision"
        for name in ("is_valid", "is_dynamic", "category_indices"):
            assert new[name].dtype == old[name].dtype and np.array_equal(new[name], old[name][rows]), name
    assert main(["check", str(out)]) == 0


def test_columns_in_memory(root: Path) -> None:
    cloud = fa.open_log("argoverse2", root)[0]["lidar"]
    assert cloud["flow"].shape == (cloud.rows, 3) and cloud["label"].tolist() == [i % 30 for i in range(cloud.rows)]
    assert {"flow_valid", "flow_dynamic", "row"} <= set(cloud.values) and "flow_tx_m" not in cloud.values


def test_points_from_the_air_have_no_flow(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a column of bytes needs a class for them."""
    noise = "+pipeline.transforms.c={_target_:fusion_aug.LidarCrosstalk,share:0.5}"
    words = ["run", "log=argoverse2", f"log.root={root}", "pipeline=identity", "limit=1", noise]
    assert main([*words, f"out={tmp_path / 'refused'}"]) != 0
    assert "category_indices: " in (told := capsys.readouterr().err) and "log.unlabelled=0" in told
    assert main([*words, "log.air_label=200", f"out={tmp_path / 'out'}"]) == 0
    old, new = (read(f / f"LOG/sensors/lidar/{T0}.feather") for f in (root, tmp_path / "out"))
    from_air = new["category_indices"] == 200
    assert 0 < from_air.sum() < len(from_air)
    assert np.isnan(flow_of(new)[from_air]).all() and not new["is_valid"][from_air].any()
    assert np.array_equal(flow_of(new)[~from_air], flow_of(old)[new["row"]][~from_air])


def test_names_that_would_meet_are_told(tmp_path: Path) -> None:
    make_log(tmp_path / "a" / "LOG", own={**OWN, "label": np.arange})
    with pytest.raises(DataError, match="label: is what another column is called in memory"):
        fa.open_log("argoverse2", tmp_path / "a")[0]
    make_log(tmp_path / "b" / "LOG", own={"label": lambda n: np.array(["car"] * n)})
    with pytest.raises(DataError, match="label: holds string, expected whole numbers"):
        fa.open_log("argoverse2", tmp_path / "b")[0]
