"""Labels of points in nuScenes logs: lidarseg and panoptic, read back with NumPy and JSON alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from labelled_nuscenes import FIRST, NOISE, add_labels, cloud_of, keyframes, labels_of
from nuscenes_files import matrix, tables
from written import drawn_motion, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.account import account_of

NO_PICTURES = ("log.exclude=[CAM_*]",)


@pytest.fixture(scope="module")
def labelled(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(street, tmp_path_factory.mktemp("labelled") / "log"))
    add_labels(root)
    return root


@pytest.fixture
def root(labelled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(labelled, tmp_path / "log"))


def number_of(found: dict[str, np.ndarray]) -> np.ndarray:
    """Number of every point in its source, -1 from the air, by either file; the files must agree."""
    panoptic = found["panoptic"].astype(int)
    label, instance = panoptic // 1000, panoptic % 1000
    known = panoptic > 0
    number = np.where(known, (label - FIRST) * 1000 + instance, -2)
    assert (found["lidarseg"][known] == label[known]).all()
    assert (number[known] % 7 != 0).all()
    air = ~known & (found["lidarseg"] == NOISE)
    return np.where(air, -1, number)


def test_columns_of_keyframes_and_sweeps(labelled: Path) -> None:
    sample, t = fa.open_log("nuscenes", labelled)[1], tables(labelled)
    cloud = sample["LIDAR_TOP"]
    record = keyframes(t)[sample.id]["token"]
    assert cloud.records[-1] == record and len(cloud) > 1, "a sample with a sweep"
    key = cloud.item_slice(len(cloud) - 1)
    n = key.stop - key.start
    number = np.arange(n)
    assert np.array_equal(cloud["label"][key], FIRST + number // 1000)
    assert np.array_equal(cloud["panoptic_label"][key], np.where(number % 7 == 0, 0, FIRST + number // 1000))
    assert np.array_equal(cloud["instance"][key], np.where(number % 7 == 0, 0, number % 1000))
    assert (cloud["label"][: key.start] == -1).all() and (cloud["instance"][: key.start] == 0).all()
    assert cloud.air_label == NOISE and cloud.label_names[0] == "noise"
    assert cloud.label_names[1:] == tuple(r["name"] for r in list(t["category"].values())[1:])


def test_nothing_is_decoded_early(labelled: Path) -> None:
    sample = fa.open_log("nuscenes", labelled)[1]
    sources = [s for extra in sample["LIDAR_TOP"].values.extra_sources for s in extra]
    assert len(sources) == 4 and not any(s.is_decoded for s in sources)  # two of the keyframe, two of the sidecar


def test_untouched_files_are_copied(labelled: Path, tmp_path: Path) -> None:
    words = ("log=nuscenes", f"log.root={labelled}", "pipeline=identity", *NO_PICTURES, "limit=2", "workers=1")
    out = run(tmp_path / "out", *words)
    t = tables(out)
    for table in ("lidarseg", "panoptic"):
        assert len(t[table]) == 2
        for row in t[table].values():
            assert (out / row["filename"]).read_bytes() == (labelled / row["filename"]).read_bytes()
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize("pipeline, seed", [("geometry", 0), ("[geometry,snow]", 1), ("driving", 2)])
def test_each_point_keeps_its_label(labelled: Path, tmp_path: Path, pipeline: str, seed: int) -> None:
    """Of every point that is left, by an independent reader; copies have files of their own."""
    words = ("log=nuscenes", f"log.root={labelled}", f"pipeline={pipeline}", f"seed={seed}", "limit=2", *NO_PICTURES)
    out = run(tmp_path / "out", *words, "copies=2")
    before, after = tables(labelled), tables(out)
    old, new = keyframes(before), keyframes(after)
    assert len(new) == 4
    for line in manifest(out):
        source, made = cloud_of(labelled, old[line["source"]]), cloud_of(out, new[line["id"]])
        found = labels_of(out, after, new[line["id"]]["token"])
        assert {len(v) for v in found.values()} == {len(made)}
        number = number_of(found)
        known = number >= 0
        assert known.mean() > 0.5
        assert np.array_equal(made[known, 4], source[number[known], 4]), "rings"
        if pipeline == "geometry":
            assert known.sum() == np.count_nonzero(np.arange(len(source)) % 7)
            mounted = before["calibrated_sensor"][old[line["source"]]["calibrated_sensor_token"]]
            nominal = matrix(mounted)
            H = np.linalg.inv(nominal) @ drawn_motion(line) @ nominal
            expected = source[number[known], :3] @ H[:3, :3].T + H[:3, 3]
            assert np.abs(expected - made[known, :3]).max() < 1e-4
        if "snow" in pipeline:
            assert (number == -1).any(), "some returns are those of flakes"
    assert main(["check", str(out)]) == 0


def test_classes_of_points_and_boxes_by_one_table(root: Path, tmp_path: Path) -> None:
    """Points of a class that is not named are unlabelled, which the files hold only as another class."""
    before = tables(root)
    names = {r["name"]: r["index"] for r in before["category"].values()}
    first, second, third = list(names)[2:5]
    words = [f"log.classes={{auto: [{second}, {third}], {first}: {first}}}"]
    base = ["run", "log=nuscenes", f"log.root={root}", "pipeline=geometry", "limit=1", *NO_PICTURES]
    assert main([*base, *words, f"out={tmp_path / 'refused'}"]) == 2
    assert not (tmp_path / "refused").exists()
    out = tmp_path / "out"
    assert main([*base, *words, "log.unlabelled=0", f"out={out}"]) == 0
    assert main(["check", str(out)]) == 0
    after = tables(out)
    assert {r["name"]: r["index"] for r in after["category"].values()} == {first: names[first], "auto": names[second]}
    record = next(iter(keyframes(after).values()))["token"]
    old, new = labels_of(root, before, record), labels_of(out, after, record)
    table = {names[first]: names[first], names[second]: names[second], names[third]: names[second]}
    label = np.array([table.get(c, 0) for c in old["lidarseg"].tolist()])
    assert len({*label.tolist()}) == 3 and np.array_equal(new["lidarseg"], label)
    panoptic = old["panoptic"].astype(int)
    of_panoptic = np.array([table.get(c, 0) for c in (panoptic // 1000).tolist()])
    assert np.array_equal(new["panoptic"], of_panoptic * 1000 + panoptic % 1000), "instances stay"
    read = fa.open_log("nuscenes", out)[0]["LIDAR_TOP"]
    assert [n for n in read.label_names if n] == [first, "auto"] and read.air_label == -1


def test_what_is_wrong_is_told(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    t = tables(root)
    folder = next(root.glob("v1.0-*"))
    row = next(iter(t["lidarseg"].values()))
    sample = next(s for s, r in keyframes(t).items() if r["token"] == row["sample_data_token"])
    whole = (root / row["filename"]).read_bytes()
    (root / row["filename"]).write_bytes(whole[:-1])
    with pytest.raises(DataError, match=rf"lidarseg.bin: label: {len(whole) - 1} rows for a cloud of {len(whole)} po"):
        fa.open_log("nuscenes", root, select=sample)[0]["LIDAR_TOP"]["label"]
    (root / row["filename"]).unlink()
    words = ["run", "log=nuscenes", f"log.root={root}", "pipeline=identity", "limit=1", f"log.select={sample}"]
    assert main([*words, *NO_PICTURES, f"out={tmp_path / 'missing'}"]) != 0
    assert "log.exclude=[lidarseg/*]" in "".join(capsys.readouterr().err.split())
    (root / row["filename"]).write_bytes(whole)
    with np.load(root / row["filename"].replace("lidarseg/", "panoptic/").replace("lidarseg.bin", "panoptic.npz")) as a:
        numbers = a["data"]
    panoptic = root / row["filename"].replace("lidarseg/", "panoptic/").replace("lidarseg.bin", "panoptic.npz")
    np.savez(panoptic, data=np.where(np.arange(len(numbers)) == 3, 70_000, numbers.astype(np.int32)))
    with pytest.raises(DataError, match=r"panoptic.npz: nuscenes_panoptic holds numbers from 0 to 65999, got 70000"):
        fa.open_log("nuscenes", root, select=sample)[0]["LIDAR_TOP"]["label"]
    rows = list(t["lidarseg"].values())
    (folder / "lidarseg.json").write_text(json.dumps([*rows, {**rows[0], "token": "again"}]))
    with pytest.raises(DataError, match=r"again: sample_data_token: .* has a second file of labels"):
        fa.open_log("nuscenes", root, select=sample)[0]
    (folder / "lidarseg.json").write_text(json.dumps([{**rows[0], "filename": "../../x.bin"}]))
    with pytest.raises(DataError, match=r"lidarseg\.json"):
        fa.open_log("nuscenes", root, select=sample)[0]
    (folder / "lidarseg.json").write_text(json.dumps(rows))
    categories = list(t["category"].values())
    (folder / "category.json").write_text(json.dumps([{**categories[0], "index": 300}, *categories[1:]]))
    with pytest.raises(DataError, match="index: expected a whole number from 0 to 255, got 300"):
        fa.open_log("nuscenes", root, select=sample)[0]


def test_labels_that_are_left_out_and_tables_of_one_kind(root: Path, tmp_path: Path) -> None:
    """Of a log with a table for every second keyframe; the others are unlabelled, and stay so."""
    for name in ("lidarseg", "panoptic"):
        shutil.rmtree(root / name)
    add_labels(root, every=2)
    words = ("log=nuscenes", f"log.root={root}", "pipeline=[geometry,snow]", "limit=2")
    out = run(tmp_path / "out", *words, "log.exclude=[CAM_*,panoptic/*]")
    assert main(["check", str(out)]) == 0
    t = tables(out)
    assert "panoptic" not in t and not (out / "panoptic").exists() and len(t["lidarseg"]) == 1
    clouds = [s["LIDAR_TOP"] for s in fa.open_log("nuscenes", out)]
    assert [bool((c["label"] >= 0).any()) for c in clouds] == [True, False]
    assert "instance" not in clouds[0].values
    fates = {g.example: g.fate for g in account_of(fa.open_log("nuscenes", root, exclude="panoptic/*")).files}
    assert fates["v1.0-mini/panoptic.json"] == "left out" and fates["v1.0-mini/lidarseg.json"] == "changed"
    only = run(tmp_path / "only", *words, "log.exclude=[CAM_*,lidarseg/*]")
    assert main(["check", str(only)]) == 0
    t = tables(only)
    found = labels_of(only, t, next(iter(t["panoptic"].values()))["sample_data_token"])
    assert set(found) == {"panoptic"} and (found["panoptic"] > 0).any()


def test_the_account_and_rows_without_a_sample(root: Path, tmp_path: Path) -> None:
    folder = next(root.glob("v1.0-*"))
    rows = json.loads((folder / "lidarseg.json").read_text())
    stray = {"token": "stray", "sample_data_token": "nowhere", "filename": "lidarseg/v1.0-mini/stray_lidarseg.bin"}
    (folder / "lidarseg.json").write_text(json.dumps([*rows, stray]))
    (root / stray["filename"]).write_bytes(b"")
    account = account_of(fa.open_log("nuscenes", root))
    assert [(g.name, g.count, g.example) for g in account.rows] == [
        ("v1.0-mini/lidarseg.json", 1, "v1.0-mini/lidarseg.json:stray")
    ]
    (folder / "lidarseg.json").write_text(json.dumps([{**row, "mine": 5} for row in rows]))
    log = fa.open_log("nuscenes", root)
    unknown = [(g.name, g.fate) for g in account_of(log, type(log.writer(tmp_path))).not_understood]
    assert ("v1.0-mini/lidarseg.json:mine", "kept") in unknown
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={root}", "pipeline=identity", "limit=1", "copies=2")
    written = tables(out)["lidarseg"].values()
    assert len(written) == 2 and all(row["mine"] == 5 for row in written), "rows are copied whole"
    assert {g.name for g in account_of(fa.open_log("nuscenes", out)).not_understood} == {"v1.0-mini/lidarseg.json:mine"}
    fates = {g.name: (g.fate, g.count) for g in account.files}
    assert fates["lidarseg/**"] == ("changed", len(rows)) and fates["panoptic/**"] == ("changed", len(rows))
    assert fates["labels of points without a row"] == ("left out", 1)


def test_another_class_for_the_air(labelled: Path, tmp_path: Path) -> None:
    words = ("log=nuscenes", f"log.root={labelled}", "pipeline=snow", "limit=1", *NO_PICTURES)
    out = run(tmp_path / "out", *words, "log.air_label=40")
    assert main(["check", str(out)]) == 0
    found = labels_of(out, tables(out), next(iter(keyframes(tables(out)).values()))["token"])
    assert (found["lidarseg"] == 40).any()
    with pytest.raises(ConfigError, match=r"log\.air_label: expected the number of a class, -1 or more"):
        fa.open_log("nuscenes", labelled, air_label="noise")


def test_the_account_counts_by_class_and_check_counts_by_itself(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("log=nuscenes", f"log.root={labelled}", "pipeline=snow", "limit=1", *NO_PICTURES)
    out = tmp_path / "out"
    assert main(["run", *words, f"out={out}"]) == 0
    assert "0 noise" in capsys.readouterr().out, "a run tells its classes"
    before, after = tables(labelled), tables(out)
    (line,) = manifest(out)
    counts = line["account"]["LIDAR_TOP"]["labels"]
    found = [labels_of(r, t, keyframes(t)[line["id"]]["token"]) for r, t in ((labelled, before), (out, after))]
    numbers = sorted({int(key.partition(" ")[0]) for key in counts} - {-1})
    expected = {n: [int((f["lidarseg"] == n).sum()) for f in found] for n in numbers}
    assert {int(k.partition(" ")[0]): v for k, v in counts.items() if not k.startswith("-1")} == expected
    assert expected[NOISE][1] > expected[NOISE][0] == 0
    assert main(["check", str(out)]) == 0
    told = capsys.readouterr().out
    assert any("labels missing" in row and "LIDAR_TOP" in row and "PASS" in row for row in told.splitlines())
    # two classes change places in the output: as many points are left, and one of them has too few
    path = out / next(iter(after["lidarseg"].values()))["filename"]
    labels = np.fromfile(path, np.uint8)
    np.where(labels == FIRST, FIRST + 1, labels).astype(np.uint8).tofile(path)
    assert main(["check", str(out)]) == 1
    told = capsys.readouterr().out
    assert any("labels unexpected" in row and "FAIL" in row for row in told.splitlines())
