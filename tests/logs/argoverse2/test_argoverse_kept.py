"""Nothing of an Argoverse 2 log vanishes: columns, files and rows are kept, or named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from written import manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.account import account_of

pytest.importorskip("pyarrow.feather")
import pyarrow as pa
from argoverse_log import CAMERAS, T0, make_log, points, poses_of, read, stamps_of, write
from pyarrow import feather

YAW = "+pipeline.transforms.y={_target_:fusion_aug.RotateScene,yaw_deg:30}"
MIRROR = "+pipeline.transforms.m={_target_:fusion_aug.MirrorScene,axis:y}"
DROP = "+pipeline.transforms.d={_target_:fusion_aug.PointDropout,share:0.5}"
OWN = {
    "row": lambda n: np.arange(n, dtype=np.uint32), "half": lambda n: (np.arange(n) / 8).astype(np.float16),
    "wide": lambda n: np.arange(n, dtype=np.uint64) + np.uint64(2**63), "flag": lambda n: np.arange(n) % 3 == 0,
    "word": lambda n: np.array([f"p{i}" for i in range(n)]),
}  # fmt: skip


def words(folder: Path) -> list[str]:
    return ["log=argoverse2", f"log.root={folder}", "pipeline=identity"]


@pytest.mark.quick
@pytest.mark.parametrize("motion", [YAW, DROP], ids=["moved", "dropped"])
def test_columns_of_ones_own_stay_with_their_points(tmp_path: Path, motion: str) -> None:
    source = make_log(tmp_path / "in" / "LOG", own=OWN)
    target = run(tmp_path / "out", *words(tmp_path / "in"), motion) / "LOG"
    for stamp in stamps_of(source):
        old, new = (read(f / f"sensors/lidar/{stamp}.feather") for f in (source, target))
        assert list(old) == list(new) and len(new["row"]) == (len(old["row"]) if motion == YAW else len(new["x"]))
        rows = new["row"].astype(int)
        assert motion == YAW or 0 < len(rows) < len(old["row"])
        for name in (*OWN, "intensity", "laser_number", "offset_ns"):
            assert new[name].dtype == old[name].dtype and np.array_equal(new[name], old[name][rows]), name
    assert set(OWN) <= set(fa.open_log("argoverse2", tmp_path / "out")[0]["lidar"].values)


def test_intensities_stay_in_their_type(tmp_path: Path) -> None:
    source = make_log(tmp_path / "in" / "LOG")
    path = source / f"sensors/lidar/{T0}.feather"
    table = read(path)
    write(
        path,
        table
        | {
            "intensity": table["intensity"].astype(np.uint16) * 257,
            "laser_number": table["laser_number"].astype(np.int32),
        },
    )
    target = run(tmp_path / "out", *words(tmp_path / "in"), YAW) / "LOG"
    new = read(target / f"sensors/lidar/{T0}.feather")
    assert new["intensity"].dtype == np.uint16 and np.array_equal(
        new["intensity"], table["intensity"].astype(int) * 257
    )
    assert new["laser_number"].dtype == np.int32


def test_categories_of_dictionaries_stay_so(tmp_path: Path) -> None:
    source = make_log(tmp_path / "in" / "LOG")
    for name, column in (("annotations", "category"), (f"sensors/lidar/{T0}", "echo")):
        table = feather.read_table(source / f"{name}.feather")
        if column == "echo":
            table = table.append_column(column, pa.array(["first", "last"] * (len(table) // 2)).dictionary_encode())
        else:
            table = table.set_column(2, column, table[column].dictionary_encode())
        feather.write_feather(table, source / f"{name}.feather")
    target = run(tmp_path / "out", *words(tmp_path / "in"), YAW) / "LOG"
    for name, column in (("annotations", "category"), (f"sensors/lidar/{T0}", "echo")):
        old, new = (feather.read_table(f / f"{name}.feather")[column] for f in (source, target))
        assert pa.types.is_dictionary(new.type) and new.to_pylist() == old.to_pylist()


@pytest.mark.parametrize(
    "column, message",
    [([[1, 2]] * 3200, "holds list<"), ("ring", "rename it"), ([None, *range(3199)], "1 empty cells")],
)
def test_columns_that_cannot_be_carried_are_refused(tmp_path: Path, column: object, message: str) -> None:
    source = make_log(tmp_path / "in" / "LOG", sweeps=1)
    path = source / f"sensors/lidar/{T0}.feather"
    table = read(path)
    write(path, {**table, "ring": table["laser_number"]} if column == "ring" else {**table, "mine": column})
    with pytest.raises(fa.DataError, match=message):
        fa.open_log("argoverse2", tmp_path / "in")[0]["lidar"].realized().values["xyz"]


@pytest.mark.parametrize("motion", [YAW, MIRROR], ids=["yaw", "mirror"])
def test_rows_of_tables_keep_columns_of_ones_own(tmp_path: Path, motion: str) -> None:
    source = make_log(tmp_path / "in" / "LOG")
    for name in ("annotations", "city_SE3_egovehicle", "calibration/intrinsics", "calibration/egovehicle_SE3_sensor"):
        path = source / f"{name}.feather"
        table = read(path)
        n = len(next(iter(table.values())))
        key = table.get("sensor_name", table.get("timestamp_ns"))
        write(path, {**table, "mine": [f"of {k}" for k in key], "number": np.arange(n, dtype=np.int8)})
    target = run(tmp_path / "out", *words(tmp_path / "in"), motion) / "LOG"
    for name in ("annotations", "city_SE3_egovehicle"):
        table = read(target / f"{name}.feather")
        assert table["mine"].tolist() == [f"of {t}" for t in table["timestamp_ns"]] and table["number"].dtype == np.int8
    other = dict(zip(CAMERAS, CAMERAS if motion == YAW else (CAMERAS[0], CAMERAS[2], CAMERAS[1]), strict=True))
    for name in ("calibration/intrinsics", "calibration/egovehicle_SE3_sensor"):
        table = read(target / f"{name}.feather")
        assert table["mine"].tolist() == [f"of {other.get(s, s)}" for s in table["sensor_name"]]
    lens = dict(zip(CAMERAS, (0.1, 0.2, 0.3), strict=True))
    inner = read(target / "calibration/intrinsics.feather")
    assert inner["k1"].tolist() == [lens[other[s]] for s in inner["sensor_name"]], "a lens goes with its pictures"
    assert inner["height_px"].dtype == np.uint16


def test_official_counts_change_by_what_our_count_changes(tmp_path: Path) -> None:
    source = make_log(tmp_path / "in" / "LOG")
    path = source / "annotations.feather"
    table = read(path)
    ours = table["num_interior_pts"]
    write(path, {**table, "num_interior_pts": ours + 7})  # by a rule of the format's own
    for name, motion in (("yaw", YAW), ("mirror", MIRROR)):
        target = run(tmp_path / name, *words(tmp_path / "in"), motion) / "LOG"
        assert read(target / "annotations.feather")["num_interior_pts"].tolist() == (ours + 7).tolist()
    target = run(tmp_path / "d", *words(tmp_path / "in"), DROP) / "LOG"
    new = read(target / "annotations.feather")
    for i, stamp in enumerate(stamps_of(target)):
        turn, place = poses_of(new, i)
        local = turn.inv().apply(points(target, stamp) - place)
        inside = int((np.abs(local) <= [2, 1, 1.5]).all(1).sum())
        assert 0 < inside < ours[i] and new["num_interior_pts"][i] == ours[i] + 7 - (ours[i] - inside)


def test_a_log_without_calibration_is_named(tmp_path: Path) -> None:
    make_log(tmp_path / "in" / "val" / "log_a")
    shutil.rmtree(make_log(tmp_path / "in" / "val" / "log_b") / "calibration")
    with pytest.raises(fa.DataError, match=r"log_b/calibration: is missing, .* log\.select \(on_error=skip"):
        run(tmp_path / "a", *words(tmp_path / "in"))
    out = run(tmp_path / "b", *words(tmp_path / "in"), on_error="skip")
    assert {line["source"].split("/")[1] for line in manifest(out)} == {"log_a"}
    run(tmp_path / "c", *words(tmp_path / "in"), "log.select=log_a")


@pytest.mark.parametrize(
    "table", ["city_SE3_egovehicle", "calibration/intrinsics", "calibration/egovehicle_SE3_sensor"]
)
def test_tables_that_are_missing_are_named(tmp_path: Path, table: str) -> None:
    (make_log(tmp_path / "in" / "LOG") / f"{table}.feather").unlink()
    with pytest.raises(fa.DataError, match=rf"{table}\.feather: is missing, .* add it, or leave the log out"):
        run(tmp_path / "out", *words(tmp_path / "in"))


def test_cuboids_of_no_sweep_are_left_out_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_log(tmp_path / "in" / "LOG", pictures=True) / "annotations.feather"
    make_log(tmp_path / "in" / "OTHER")
    table = read(path)
    stamps = np.append(table["timestamp_ns"], T0 + 50_000_001)
    write(path, {**{n: np.append(c, c[:1]) for n, c in table.items()}, "timestamp_ns": stamps})
    groups = {g.name: g for g in account_of(fa.open_log("argoverse2", tmp_path / "in")).files}
    stray = groups["**/annotations.feather with cuboids of no sweep"]
    assert (stray.count, stray.fate, stray.example) == (1, "left out", "LOG/annotations.feather")
    assert groups["**/annotations.feather"].count == 1
    assert main(["run", *words(tmp_path / "in"), f"out={tmp_path / 'out'}"]) == 0
    assert "left out: cuboids whose stamp is that of no sweep" in " ".join(capsys.readouterr().out.split())
    assert len(read(tmp_path / "out/LOG/annotations.feather")["timestamp_ns"]) == 2


def test_pictures_without_a_camera_or_a_sweep(tmp_path: Path) -> None:
    source = make_log(tmp_path / "in" / "LOG", pictures=True)
    picture = source / f"sensors/cameras/{CAMERAS[0]}/{T0}.jpg"
    shutil.copyfile(picture, picture.with_name(f"{T0 - 60_000_000}.jpg"))
    log = fa.open_log("argoverse2", tmp_path / "in")
    assert len(log[0][CAMERAS[0]]) == 1
    groups = {g.name: g for g in account_of(log).files}
    stray = groups["**/sensors/cameras/*/*.jpg without a sweep"]
    assert (stray.count, stray.fate) == (1, "left out") and groups["**/sensors/cameras/*/*.jpg"].count == 6
    (source / "sensors/cameras/rear").mkdir()
    shutil.copyfile(picture, source / f"sensors/cameras/rear/{T0}.jpg")
    with pytest.raises(fa.DataError, match=r"intrinsics\.feather: has no row of the camera 'rear'"):
        fa.open_log("argoverse2", tmp_path / "in")[0]


def test_the_account_names_what_it_does_not_know(tmp_path: Path) -> None:
    source = make_log(tmp_path / "in" / "val" / "LOG", own={"flow_x": lambda n: np.zeros(n)})
    for name in ("flow_labels.feather", "ego_motion.npz", "notes.txt", "map/osm.xml", "sensors/lidar/index.csv"):
        (source / name).write_bytes(b"x")
    (tmp_path / "in" / "val" / "half" / "calibration").mkdir(parents=True)
    shutil.copyfile(source / "annotations.feather", tmp_path / "in" / "val" / "half" / "annotations.feather")
    table = read(source / "annotations.feather")
    write(source / "annotations.feather", {**table, "mood": ["calm"] * 2})
    account = account_of(fa.open_log("argoverse2", tmp_path / "in"))
    unknown = {g.example.removeprefix("val/LOG/"): g.fate for g in account.not_understood}
    cloud = f"sensors/lidar/{T0}.feather:flow_x"
    files = ["notes.txt", "map/osm.xml", "sensors/lidar/index.csv", "val/half/annotations.feather"]
    assert unknown == dict.fromkeys(files, "left out") | dict.fromkeys(["annotations.feather:mood", cloud], "kept")
    assert {g.name for g in account.left_out} == {"**/flow_labels.feather", "**/ego_motion.npz"}


def test_files_of_every_point_are_copied_where_points_stay(tmp_path: Path) -> None:
    source = make_log(tmp_path / "in" / "LOG")
    (source / "flow_labels.feather").write_bytes(b"flow")
    same, moved = run(tmp_path / "a", *words(tmp_path / "in")), run(tmp_path / "b", *words(tmp_path / "in"), YAW)
    assert (same / "LOG/flow_labels.feather").read_bytes() == b"flow" and not (
        moved / "LOG/flow_labels.feather"
    ).exists()


def test_the_selection_is_counted_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_log(tmp_path / "val" / name, pictures=True)
    log = fa.open_log("argoverse2", tmp_path, select=[f"val/a/{T0}"])
    groups = {g.name: (g.count, g.others) for g in account_of(log).files}
    assert groups["**/sensors/lidar/*.feather"] == (1, 3) and groups["**/sensors/cameras/*/*.jpg"] == (3, 9)
    assert groups["**/annotations.feather"] == (1, 1)
