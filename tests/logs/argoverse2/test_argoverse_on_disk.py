"""What the Argoverse 2 writer puts on disk, read with pyarrow, NumPy and SciPy alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import small_logs
import torch
from scipy.spatial.transform import Rotation
from written import drawn_motion, manifest, run

import fusion_aug as fa
from fusion_aug.check.counts import COUNTERS
from fusion_aug.cli import main
from fusion_aug.logs.argoverse2.feather import read_table, write_table
from fusion_aug.logs.core.files import write_image

feather = pytest.importorskip("pyarrow.feather")
MOTIONS = {
    "yaw": "+pipeline.transforms.a={_target_:fusion_aug.RotateScene,yaw_deg:[-180,180]}",
    "tilt": "+pipeline.transforms.a={_target_:fusion_aug.RotateScene,pitch_deg:4.0,roll_deg:-3.0}",
    "mirror y": "+pipeline.transforms.a={_target_:fusion_aug.MirrorScene,axis:y}",
    "mirror x": "+pipeline.transforms.a={_target_:fusion_aug.MirrorScene,axis:x}",
    "scale": "+pipeline.transforms.a={_target_:fusion_aug.ScaleScene,scale:[0.9,1.1]}",
    "shift": "+pipeline.transforms.a={_target_:fusion_aug.TranslateScene,x:[-3,3],y:1.0}",
}


@pytest.fixture(scope="module")
def log_folder(real_data: Path) -> Path:
    return next((real_data / "argoverse2" / "val").iterdir())


def table(path: Path) -> dict[str, np.ndarray]:
    found = feather.read_table(path)
    return {name: found.column(name).to_numpy() for name in found.column_names}


def cloud(folder: Path, stamp: int) -> np.ndarray:
    t = table(folder / f"sensors/lidar/{stamp}.feather")
    return np.stack([t[c].astype(float) for c in "xyz"], 1)


def interior(folder: Path) -> dict[tuple[int, str], tuple[int, int]]:
    """Points counted in every cuboid of every sweep, and the number in the file."""
    a, out = table(folder / "annotations.feather"), {}
    for path in sorted((folder / "sensors/lidar").glob("*.feather")):
        stamp = int(path.stem)
        xyz = cloud(folder, stamp)
        for i in np.flatnonzero(a["timestamp_ns"] == stamp):
            turn = Rotation.from_quat([a[k][i] for k in ("qx", "qy", "qz", "qw")])
            local = turn.inv().apply(xyz - [a["tx_m"][i], a["ty_m"][i], a["tz_m"][i]])
            half = np.array([a["length_m"][i], a["width_m"][i], a["height_m"][i]]) / 2
            out[stamp, a["track_uuid"][i]] = (int((np.abs(local) <= half).all(1).sum()), int(a["num_interior_pts"][i]))
    return out


@pytest.mark.parametrize("motion", MOTIONS)
def test_interior_points_after_every_motion(real_data: Path, log_folder: Path, tmp_path: Path, motion: str) -> None:
    out = run(
        tmp_path / "out",
        "log=argoverse2",
        f"log.root={real_data / 'argoverse2'}",
        "pipeline=identity",
        MOTIONS[motion],
        "seed=5",
    )
    target = out / "val" / log_folder.name
    before, after = interior(log_folder), interior(target)
    assert len(after) == len(before) == 162
    assert all(stored == counted for counted, stored in after.values())
    assert all(after[k][1] == before[k][1] for k in before), "every cuboid keeps its points"
    stamp = int(next((log_folder / "sensors/lidar").glob("*.feather")).stem)
    H = drawn_motion(manifest(out)[0]) if motion != "tilt" else None
    old, new = cloud(log_folder, stamp), cloud(target, stamp)
    assert np.abs(old - new).max() > 0.1, "the file differs from its source"
    if H is not None:
        assert np.abs(old @ H[:3, :3].T + H[:3, 3] - new).max() < 1e-4
    assert feather.read_table(target / f"sensors/lidar/{stamp}.feather").schema.field("x").type == "float"


def test_rays_start_at_their_scanner(real_data: Path, log_folder: Path, tmp_path: Path) -> None:
    """Elevations from each scanner's place are those of its lasers, before and after a motion; noise keeps them."""
    words = ["log=argoverse2", f"log.root={real_data / 'argoverse2'}", "pipeline=geometry", "seed=2"]
    noise = "+pipeline.transforms.n={_target_:fusion_aug.RangeJitter,sigma:0.3}"
    folders = [
        log_folder,
        *(run(tmp_path / n, *words, *more) / "val" / log_folder.name for n, more in (("a", []), ("b", [noise]))),
    ]
    spreads = []
    for folder in folders:
        c = table(folder / "calibration/egovehicle_SE3_sensor.feather")
        path = next((folder / "sensors/lidar").glob("*.feather"))
        t, xyz = table(path), cloud(folder, int(path.stem))
        for name, first in (("up_lidar", 0), ("down_lidar", 32)):
            i = c["sensor_name"].tolist().index(name)
            local = (
                Rotation.from_quat([c[k][i] for k in ("qx", "qy", "qz", "qw")])
                .inv()
                .apply(xyz - [c[k][i] for k in ("tx_m", "ty_m", "tz_m")])
            )
            elevation = np.degrees(np.arctan2(local[:, 2], np.hypot(local[:, 0], local[:, 1])))
            spreads.append(np.median([np.std(elevation[t["laser_number"] == k]) for k in range(first, first + 32)]))
    plain, moved, noisy = spreads[:2], spreads[2:4], spreads[4:]
    assert np.allclose(plain, moved, rtol=0.02) and np.allclose(plain, noisy, rtol=0.05), (plain, moved, noisy)


def test_check_passes_and_identity_copies(real_data: Path, log_folder: Path, tmp_path: Path) -> None:
    root = real_data / "argoverse2"
    out = run(
        tmp_path / "a",
        "log=argoverse2",
        f"log.root={root}",
        "pipeline=driving",
        "seed=1",
        "copies=2",
        "keep_original=true",
    )
    assert main(["check", str(out)]) == 0
    log = fa.open_log("argoverse2", out)
    assert len(log) == 6 and {Path(i).name.partition("__")[2] for i in log.ids} == {"", "1", "2"}
    same = run(tmp_path / "b", "log=argoverse2", f"log.root={root}", "pipeline=identity")
    for path in log_folder.glob("sensors/lidar/*.feather"):
        assert (same / "val" / log_folder.name / path.relative_to(log_folder)).read_bytes() == path.read_bytes()


@pytest.fixture()
def small_log(log_folder: Path, tmp_path: Path) -> Path:
    """The first sweep cut down, with pictures of two cameras made up at its stamp."""
    root = tmp_path / "small" / "LOG"
    shutil.copytree(log_folder, root, ignore=shutil.ignore_patterns("*.npz"))
    stamps = sorted(int(p.stem) for p in (root / "sensors/lidar").glob("*.feather"))
    inner = table(root / "calibration/intrinsics.feather")
    sizes = {
        n: (int(h), int(w)) for n, h, w in zip(inner["sensor_name"], inner["height_px"], inner["width_px"], strict=True)
    }
    shade = torch.linspace(0, 255, 64)
    for name in ("ring_front_left", "ring_front_right"):
        height, width = sizes[name]
        picture = torch.nn.functional.interpolate(shade[None, None, None].expand(1, 3, 8, 64), size=(height, width))[0]
        for stamp in stamps:
            write_image(picture.permute(1, 2, 0).to(torch.uint8), root / f"sensors/cameras/{name}/{stamp}.jpg")
    return root.parent


def test_pictures_and_intrinsics(small_log: Path, tmp_path: Path) -> None:
    """Crop, zoom and flip go into fx, fy, cx, cy; left and right swap their files; projections stay."""
    out = run(
        tmp_path / "out", "log=argoverse2", f"log.root={small_log}", "pipeline=geometry", "pipeline.mirror=1.0",
        "+pipeline.transforms.f={_target_:fusion_aug.FlipImage,axis:x}", "seed=3",
    )  # fmt: skip
    assert main(["check", str(out)]) == 0
    inner = table(out / "LOG/calibration/intrinsics.feather")
    assert (inner["fx_px"] < 0).all() and (inner["fy_px"] > 0).all(), "a flip has no other place than fx"
    before = table(small_log / "LOG/calibration/intrinsics.feather")
    row = before["sensor_name"].tolist().index(inner["sensor_name"][0])
    assert inner["k1"][0] == before["k1"][row], "the lens that the pictures were freed of"
    log = fa.open_log("argoverse2", out)
    assert set(log[0].of_type(fa.Camera)) == {"ring_front_left", "ring_front_right"}


def test_what_the_tables_cannot_hold_is_refused(
    small_log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "log=argoverse2", f"log.root={small_log}", "pipeline=identity", f"out={tmp_path / 'o'}"]
    turn = "+pipeline.transforms.r={_target_:fusion_aug.RotateImage,angle_deg:3.0}"
    assert main([*words, turn]) == 2
    assert "skew" in capsys.readouterr().err and not (tmp_path / "o").exists()


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    """Also where a counter reads it."""
    root = small_logs.argoverse2(tmp_path / "log", sweeps=1)
    (path,) = root.glob("**/sensors/lidar/*.feather")
    before = feather.read_table(path)
    feather.write_feather(before.append_column("x", before.column("x")), path)
    told = rf"{path.name}: the column 'x' is there 2 times"
    with pytest.raises(fa.DataError, match=told):
        fa.open_log("argoverse2", root)[0]["lidar"].loaded()
    with pytest.raises(fa.DataError, match=told):
        [count() for count in COUNTERS["argoverse2"](root, {}).values()]


def test_damaged_tables_name_file_and_column(small_log: Path) -> None:
    path = small_log / "LOG/calibration/intrinsics.feather"
    whole = read_table(None, path, ())
    write_table({k: v for k, v in whole.items() if k != "cx_px"}, path)
    with pytest.raises(fa.DataError, match=r"intrinsics\.feather: the column 'cx_px' is missing"):
        fa.open_log("argoverse2", small_log)[0]
    path.write_bytes(b"not a table")
    with pytest.raises(fa.DataError, match=r"intrinsics\.feather: is not a Feather table"):
        fa.open_log("argoverse2", small_log)[0]
    sweep = next((small_log / "LOG/sensors/lidar").glob("*.feather"))
    sweep.rename(sweep.with_name("now.feather"))
    with pytest.raises(fa.DataError, match="not a stamp"):
        fa.open_log("argoverse2", small_log).ids  # noqa: B018


@pytest.mark.parametrize(
    "file, column, value",
    [
        ("annotations", "length_m", "long"), ("annotations", "qw", "x"), ("annotations", "length_m", float("nan")),
        ("annotations", "timestamp_ns", "now"), ("calibration/intrinsics", "height_px", "tall"),
        ("calibration/intrinsics", "fx_px", 0.0), ("city_SE3_egovehicle", "tx_m", float("inf")),
    ],
)  # fmt: skip
def test_wrong_types_give_one_sentence(
    small_log: Path, tmp_path: Path, file: str, column: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small_log / "LOG" / f"{file}.feather"
    whole = read_table(None, path, ())
    whole[column] = np.array([value] * len(whole[column]))
    write_table(whole, path)
    assert main(["run", "log=argoverse2", f"log.root={small_log}", "pipeline=geometry", f"out={tmp_path / 'o'}"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("fusion-aug: ") and "\n" not in error and Path(file).name in error, error


def test_damaged_bytes_do_not_end_the_process(small_log: Path) -> None:
    path = small_log / "LOG" / "annotations.feather"
    raw, rng = bytearray(path.read_bytes()), np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        damaged = bytearray(raw)
        for at in rng.integers(0, len(raw), 6):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_table(None, path, ("timestamp_ns", "track_uuid", "category"))
        except fa.DataError:
            refused += 1
    assert refused > 5


def test_one_log_as_root_has_a_place_for_copies(small_log: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "out", "log=argoverse2", f"log.root={small_log / 'LOG'}", "pipeline=geometry", "copies=2")
    assert {p.name for p in out.iterdir() if p.is_dir()} == {"LOG", "LOG__1"}
    assert main(["check", str(out)]) == 0


def test_a_log_without_a_cuboid_keeps_its_empty_table(small_log: Path, tmp_path: Path) -> None:
    path = small_log / "LOG" / "annotations.feather"
    write_table({k: v[:0] for k, v in read_table(None, path, ()).items()}, path)
    out = run(tmp_path / "out", "log=argoverse2", f"log.root={small_log}", "pipeline=geometry")
    assert main(["check", str(out)]) == 0


def test_a_lossy_turn_records_what_is_off(small_log: Path, tmp_path: Path) -> None:
    turn = "+pipeline.transforms.r={_target_:fusion_aug.RotateImage,angle_deg:7.0}"
    words = ["log=argoverse2", f"log.root={small_log}", "pipeline=identity", turn, "lossy=true"]
    out = run(tmp_path / "out", *words)
    assert manifest(out)[0]["residual"]["distortion_px"] > 20


def test_scanners_move_on_their_own(real_data: Path) -> None:
    sample = fa.open_log("argoverse2", real_data / "argoverse2")[0]
    still = dict.fromkeys(("x_deg", "y_deg", "z_deg", "x", "y", "z"), 0.0)
    moved = fa.Viewpoint.apply_params(sample, {"sensors": ["up_lidar"], **still, "z": 0.5})["lidar"]
    lost = sample["lidar"].rows - moved.rows
    lower = int((sample["lidar"]["origin"] == 1).sum())
    assert 0 < lost < 0.1 * sample["lidar"].rows and int((moved["origin"] == 1).sum()) == lower
    near = fa.Viewpoint.apply_params(sample, {"sensors": ["up_lidar"], **still, "z": 1e-6})["lidar"]
    assert sample["lidar"].rows - near.rows < 1e-3 * sample["lidar"].rows
    with pytest.raises(fa.ConfigError, match="joint cloud of up_lidar, down_lidar"):
        fa.Viewpoint.apply_params(sample, {"sensors": ["lidar"], **still, "z": 0.5})
    with pytest.raises(fa.DataError, match="not the beams of one LiDAR"):
        fa.RingResample(beams=16)(sample)
