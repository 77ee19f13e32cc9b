"""``log.classes``: which boxes are read and what they are called, in every format, and what is written of them."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_logs
from places import DRIVE
from samples import make_sample
from written import manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs import Log
from fusion_aug.logs.core.classes import REASON, Classes


@pytest.mark.quick
def test_exact_names_count_before_patterns() -> None:
    classes = Classes({"thing": "vehicle.*", "car": ["vehicle.car", "Car"], "rest": "*"})
    assert [classes.name_of(n) for n in ("vehicle.car", "vehicle.bus", "Car", "dog")] == ["car", "thing", "car", "rest"]
    kept = Classes(["vehicle.*", "dog"])
    assert [kept.name_of(n) for n in ("vehicle.car", "dog", "cat")] == ["vehicle.car", "dog", None]


@pytest.mark.parametrize("asked", [3, [], {}, [""], {"car": None}, {"": "Car"}, [["Car"]], {"car": [1]}])
def test_what_names_no_class_is_refused(asked: object, tmp_path: Path) -> None:
    with pytest.raises(fa.ConfigError, match=r"log\.classes: expected names to keep"):
        fa.open_log("kitti", small_logs.kitti(tmp_path / "log"), classes=asked)


@pytest.mark.quick
def test_a_name_that_stands_for_two_is_refused() -> None:
    with pytest.raises(fa.ConfigError, match="'Car' stands for 'a' and 'b'; give each name once"):
        Classes({"a": ["Car"], "b": ["Van", "Car"]})


@pytest.mark.quick
def test_a_name_that_no_category_of_the_table_has_is_refused() -> None:
    with pytest.raises(fa.ConfigError, match=r"log\.classes: 'vehicle\.cra' matches no category of .*vehicle\.car"):
        fa.open_log("nuscenes", DRIVE, classes={"auto": ["vehicle.*", "vehicle.cra"]})


@pytest.mark.quick
def test_boxes_in_space_and_on_pictures(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log")
    sample = fa.open_log("kitti", root, classes={"vehicle": ["Car", "Van"]})[0]
    assert set(sample.boxes()["category"]) == set(sample["boxes_2d"]["category"]) == {"vehicle"}
    assert sample["boxes_2d"].rows == small_logs.BOXES  # type: ignore[attr-defined]
    assert sample.meta.left_out == {"boxes_2d": {REASON: 1}}, "the DontCare region"
    none = fa.open_log("kitti", root, classes="Cyclist")[0]
    assert none.boxes().rows == 0 and none.meta.left_out["boxes"] == {REASON: small_logs.BOXES}


def test_a_reader_that_calls_that_of_its_base_class_chooses_once() -> None:
    class Plain(Log):
        all_ids = ("s",)

        def read(self, sample_id: str) -> fa.Sample:
            return make_sample(sample_id, boxes=3)

    class More(Plain):
        def read(self, sample_id: str) -> fa.Sample:
            return super().read(sample_id)

    options = fa.open_log("folder", DRIVE).options
    options.classes = {"auto": "car"}
    for kind in (Plain, More):
        log = kind(DRIVE, options, fa.open_log("folder", DRIVE).format)
        assert log[0].boxes()["category"].tolist() == ["auto"] * 3


def test_boxes_without_a_category_cannot_be_chosen() -> None:
    sample = make_sample()
    bare = replace(sample.boxes(), values={k: v for k, v in sample.boxes().values.items() if k != "category"})
    with pytest.raises(fa.DataError, match="stream 'boxes' has no category"):
        Classes(["car"])(sample.with_streams({"boxes": bare}))


def written_names(kind: str, out: Path) -> set[str]:
    """Categories in the files of an output, by JSON, pickle, NumPy and Arrow alone."""
    if kind == "kitti":
        return {line.split()[0] for p in out.glob("training/label_2/*.txt") for line in p.read_text().splitlines()}
    if kind == "nuscenes":
        tables = {t: json.loads((out / f"v1.0-mini/{t}.json").read_text()) for t in ("category", "instance")}
        used = {row["category_token"] for row in tables["instance"]}
        return {row["name"] for row in tables["category"] if row["token"] in used}
    if kind == "argoverse2":
        from pyarrow import feather

        return set(feather.read_table(out / "val/log-a/annotations.feather")["category"].to_pylist())
    if kind == "mmdet3d":
        data = pickle.loads(next(out.glob("*infos*.pkl")).read_bytes())
        names = {k: n for n, k in data["metainfo"]["categories"].items()}
        return {names[i["bbox_label_3d"]] for row in data["data_list"] for i in row["instances"]}
    arrays = [np.load(p) for p in out.glob("samples/**/boxes/arrays.npz")]
    return {str(n) for a in arrays for n in a["values/category"]}


OLD = {"kitti": "Car", "nuscenes": "vehicle.*", "argoverse2": "REGULAR_*", "mmdet3d": "vehicle.*", "folder": "Car"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", OLD)
def test_every_format_writes_the_new_names(
    kind: str, street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "folder":
        fa.write_log(fa.open_log("kitti", small_logs.kitti(tmp_path / "kitti")), tmp_path / "log")
    elif kind == "mmdet3d":
        small_logs.mmdet3d(tmp_path / "log", street)
    elif kind != "nuscenes":
        getattr(small_logs, kind)(tmp_path / "log")
    root = street if kind == "nuscenes" else tmp_path / "log"
    others = ("log.unlabelled=0",) if kind == "nuscenes" else ()  # its points have classes too
    words = (f"log={kind}", f"log.root={root}", f"log.classes={{auto: '{OLD[kind]}'}}", *others)
    for name in ("identity", "geometry"):
        out = run(tmp_path / name, *words, f"pipeline={name}", "limit=2")
        assert written_names(kind, out) == {"auto"}
        assert main(["check", str(out)]) == 0, capsys.readouterr().out
        opened = (fa.open_log(kind, root), fa.open_log(kind, root, classes={"auto": OLD[kind]}))
        before, kept = ([log[i].boxes().rows for i in range(2)] for log in opened)
        lost = [line["account"]["boxes"].get("lost", {}).get(REASON, 0) for line in manifest(out)]
        assert [a - b for a, b in zip(before, kept, strict=True)] == lost
        read = {str(c) for s in fa.open_log(kind, out) for c in s.boxes()["category"]}
        assert read == {"auto"}, "the output needs no option"


def test_words_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_logs.kitti(tmp_path / "log")
    words = ["run", "log=kitti", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]
    assert main([*words, "log.classes=[Car,Cyclist]"]) == 0
    assert f"2 {REASON}" in " ".join(capsys.readouterr().out.split())
    assert main([*words[:-1], f"out={tmp_path / 'other'}", "log.classes=5"]) == 2
    assert "log.classes: expected names" in capsys.readouterr().err
