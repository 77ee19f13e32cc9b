"""What formats hold of stamps: new ones are written, and what a format cannot hold is refused before the first byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from infos import write_infos

import fusion_aug as fa
from fusion_aug.cli import main


def words(log: str, root: Path, out: Path, transform: str, *more: str) -> list[str]:
    name, *fields = transform.split()
    x = "+pipeline.transforms.x"
    words = [f"{x}._target_=fusion_aug.{name}", *(f"{x}.{field}" for field in fields)]
    return ["run", f"log={log}", f"log.root={root}", f"out={out}", "pipeline=identity", "seed=3", *words, *more]


@pytest.mark.parametrize(
    "transform", ["DropFrames share=0.5", "RateChange rate=10", "RateChange rate=3", "SpeedWarp speed=0.6"]
)
def test_keyframes_of_nuscenes_stay(street: Path, tmp_path: Path, transform: str) -> None:
    """Every sample has a keyframe of every sensor, and every token is there once."""
    out = tmp_path / "out"
    assert main(words("nuscenes", street, out, transform)) == 0
    assert main(["check", str(out)]) == 0
    source, again = fa.open_log("nuscenes", street), fa.open_log("nuscenes", out)
    rows = again.tables.rows("sample_data")  # type: ignore[attr-defined]
    assert len({r["token"] for r in rows}) == len(rows)
    for sample in again:
        mine = [r for r in rows if r["sample_token"] == sample.id and r["is_key_frame"]]
        channels = {r["filename"].split("/")[1] for r in mine}
        assert channels == {n for n, s in source[0].streams.items() if s.records and n != "ego"}
    if "rate=3" in transform or "Drop" in transform:
        assert len(rows) < len(source.tables.rows("sample_data"))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("log", "transform", "reason"),
    [
        ("nuscenes", "Latency delay=0.05", "Latency.delay: its files hold capture times and no receive times"),
        ("nuscenes", "Jitter", "Jitter.sigma: its files hold capture times"),
        ("nuscenes", "ClockOffset", "ClockOffset.offset: its files match sensors and labels by their stamps"),
        ("mmdet3d", "SpeedWarp", "SpeedWarp.p: an info names its sweeps and pictures by the stamps of the log"),
        ("mmdet3d", "DropFrames", "DropFrames.share: an info names the sweeps and pictures of the log"),
        ("kitti", "TimeWarp", "TimeWarp.p: its files hold neither stamps nor velocities"),
        ("kitti", "Latency", "Latency.delay: its files hold capture times"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str, transform: str, reason: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    root = street
    if log == "kitti":
        root = request.getfixturevalue("real_data") / "kitti"
    elif log == "mmdet3d":
        import shutil

        root = Path(shutil.copytree(street, tmp_path / "infos"))
        write_infos(root, True, "nuscenes_infos_train")
        shutil.rmtree(root / "v1.0-mini")
    assert main(words(log, root, tmp_path / "out", transform)) == 2
    assert f"{log} cannot hold what the pipeline makes: {reason}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(words(log, root, tmp_path / "folder", transform, "output=folder", "limit=1")) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_sweeps_of_argoverse_are_called_by_their_new_stamp(real_data: Path, tmp_path: Path, seed: int) -> None:
    feather, out = pytest.importorskip("pyarrow.feather"), tmp_path / "out"
    root = real_data / "argoverse2" / "val"
    assert main(["run", "log=argoverse2", f"log.root={root}", f"out={out}", "pipeline=timewarp", f"seed={seed}"]) == 0
    assert main(["check", str(out)]) == 0
    old = sorted(int(p.stem) for p in root.rglob("sensors/lidar/*.feather"))
    new = sorted(int(p.stem) for p in out.rglob("sensors/lidar/*.feather"))
    assert len(new) == len(old) and new[1:] != old[1:]
    for table in ("annotations.feather", "city_SE3_egovehicle.feather"):
        stamps = feather.read_table(next(out.rglob(table))).column("timestamp_ns").to_numpy()
        assert set(new) <= set(np.unique(stamps).tolist()), table
    assert [s.ref.time for s in fa.open_log("argoverse2", out)] == new


def test_a_sensor_that_the_log_does_not_have(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for transform in ("DropFrames sensors=[CAM_FRNT]", "Brightness factor=1.2 cameras=[CAM_FRNT]",
                      "ModalityDropout keep=[CAM_FRNT]"):  # fmt: skip
        assert main(words("nuscenes", street, tmp_path / "out", transform, "output=folder")) == 2
        errors = capsys.readouterr().err
        assert "the log has no sensor 'CAM_FRNT' (it has " in errors and "CAM_FRONT" in errors
    assert main(words("nuscenes", street, tmp_path / "out", "DropFrames sensors=[ring_*]", "limit=1")) == 0
