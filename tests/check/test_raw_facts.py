"""``check OUT`` reads raw files: point counts and facts of boxes, files that are kept, pictures that are damaged."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_logs
import torch

from fusion_aug.check.box_facts import compare_labels, points_off
from fusion_aug.check.comparisons import JPEG_BLOCK, VIDEO_BLOCK_LIMIT, blocks_off, jpeg_blocks, video_blocks
from fusion_aug.check.counts.labels import Label
from fusion_aug.check.kept_files import candidates, compare_kept_files
from fusion_aug.check.path_patterns import PathPattern
from fusion_aug.cli import main
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import JPEG_QUALITY
from fusion_aug.ops.color import jpeg_coded

FEWER = "+pipeline.transforms.fewer={_target_:fusion_aug.PointDropout,share:0.5}"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, street: Path) -> Path:
    root = tmp_path_factory.mktemp("logs")
    small_logs.argoverse2(root / "argoverse2")
    small_logs.mmdet3d(root / "mmdet3d", street)
    shutil.copytree(street, root / "nuscenes")
    return root


@pytest.fixture(scope="module")
def outputs(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound output of each format: turned, mirrored and scaled, and with half of the points."""
    folder = tmp_path_factory.mktemp("outputs")
    for kind in ("argoverse2", "mmdet3d", "nuscenes"):
        words = [
            f"log={kind}",
            f"log.root={logs / kind}",
            "pipeline=geometry",
            FEWER,
            f"out={folder / kind}",
            "copies=2",
            "limit=1",
        ]
        assert main(["run", *words, "pipeline.mirror=1.0"]) == 0
        assert main(["check", str(folder / kind)]) == 0
    return folder


def failed(out: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    code = main(["check", str(out)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert code == (1 if lines else 0)
    return lines


def annotation(**fields: Any) -> Callable[[Path], None]:
    """Change fields of the annotation with most points; None takes one out."""

    def plant(out: Path) -> None:
        path = next(out.glob("v1.0-*/sample_annotation.json"))
        rows = json.loads(path.read_text())
        row = max(rows, key=lambda row: row["num_lidar_pts"])
        row.update(fields)
        for name in [n for n, value in fields.items() if value is None]:
            del row[name]
        path.write_text(json.dumps(rows))

    return plant


def another_map(out: Path) -> None:
    next((out / "maps").glob("*.png")).write_bytes(b"x")


def argoverse_count(out: Path) -> None:
    from pyarrow import array, feather

    path = sorted(out.glob("val/*/annotations.feather"))[0]
    table = feather.read_table(path)
    counts = table["num_interior_pts"].to_numpy().copy()
    counts[0] += 3
    column = table.column_names.index("num_interior_pts")
    feather.write_feather(table.set_column(column, "num_interior_pts", array(counts)), path)


def info_count(out: Path) -> None:
    path = next(out.glob("*.pkl"))
    data = pickle.loads(path.read_bytes())
    data["data_list"][0]["instances"][0]["num_lidar_pts"] += 3
    path.write_bytes(pickle.dumps(data))


def grey_block(out: Path) -> None:
    """One block of 16 x 16 pixels is lost, at the place where it stands out least."""
    path = sorted((out / "samples" / "CAM_FRONT").iterdir())[0]
    picture = cv2.imread(str(path))
    mean = picture[64:80, 64:80].mean((0, 1))
    picture[64:80, 64:80] = np.clip(mean + np.where(mean < 128, 10, -10), 0, 255)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


PLANTED = {
    "points of a LiDAR": ("nuscenes", annotation(num_lidar_pts=9999), "num_lidar_pts"),
    "points of a radar": ("nuscenes", annotation(num_radar_pts=99), "num_radar_pts"),
    "attributes": ("nuscenes", annotation(attribute_tokens=["x"]), "attribute_tokens"),
    "a field that is gone": ("nuscenes", annotation(attribute_tokens=None), "attribute_tokens"),
    "interior points": ("argoverse2", argoverse_count, "num_interior_pts"),
    "points of an info": ("mmdet3d", info_count, "num_lidar_pts"),
    "maps that are gone": ("nuscenes", lambda out: shutil.rmtree(out / "maps"), "files missing"),
    "a map that is another": ("nuscenes", another_map, "files changed since"),
    "a block of a JPEG": ("nuscenes", grey_block, "picture (lossy)"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_that_the_writers_own_rules_cannot_see(
    outputs: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, plant, what = PLANTED[name]
    shutil.copytree(outputs / kind, tmp_path / "out")
    plant(tmp_path / "out")
    lines = failed(tmp_path / "out", capsys)
    assert any(line.startswith(what) for line in lines), lines


# --- labels ----------------------------------------------------------------------------------------------------------
def label(official: int, least: int, most: int, **facts: Any) -> Label:
    return Label(facts, {"n": official}, {"n": (least, most)})


@pytest.mark.quick
def test_an_official_count_changes_by_what_entered_or_left() -> None:
    """Whatever the rule of the data set is; points at a face may count in either log."""
    assert points_off(label(10, 8, 8), label(10, 8, 8), "n") == 0
    assert points_off(label(10, 8, 8), label(7, 5, 5), "n") == 0
    assert (
        points_off(label(10, 8, 8), label(9, 5, 5), "n") == 2 and points_off(label(10, 8, 8), label(4, 5, 5), "n") == 3
    )
    assert (
        points_off(label(10, 8, 9), label(11, 8, 9), "n") == 0
        and points_off(label(10, 8, 9), label(12, 8, 9), "n") == 1
    )
    assert points_off(label(2, 8, 8), label(0, 1, 1), "n") == 0  # never below 0
    assert points_off(label(2, 8, 8), Label({}, {}, {}), "n") == float("inf")


@pytest.mark.quick
def test_labels_of_a_copy_have_the_names_of_the_source() -> None:
    before = {"a": label(3, 3, 3, colour="red"), "b": label(3, 3, 3, colour="red")}
    after = {"a__1": label(3, 3, 3, colour="blue"), "c__1": label(9, 0, 0)}
    rows = {row.measurement: row.values.tolist() for row in compare_labels(before, after, "__1")}
    assert rows == {"colour": [1.0], "n": [0.0]}


# --- files -----------------------------------------------------------------------------------------------------------
@pytest.mark.quick
def test_kept_files_of_logs_and_copies(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    for name in ("val/a/map/x.json", "val/b/map/x.json", "maps/deep/y.png"):
        for root in (source, out):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
    shutil.copytree(out / "val/a", out / "val/a__1")
    groups = [{"name": "*/*/map/*", "fate": "kept", "count": 2}, {"name": "maps/**", "fate": "kept", "count": 1},
              {"name": "val/**", "fate": "left out", "count": 5}]  # fmt: skip
    header = {"account": {"files": groups}}

    def statuses() -> dict[tuple[str, str], str]:
        rows = compare_kept_files(source, out, header, ["", "__1"], {})
        return {(r.measurement, r.sensor): r.status for r in rows}

    assert statuses() == {("files missing", "*/*/map/*"): "PASS", ("files missing", "maps/**"): "PASS"}
    (out / "val/a__1/map/x.json").write_text("other")
    assert statuses()["files changed since", "*/*/map/*"] == "FAIL"
    shutil.rmtree(out / "val")
    assert statuses()["files missing", "*/*/map/*"] == "FAIL"
    (source / "loop").symlink_to(source)  # ends
    assert statuses()["files missing", "maps/**"] == "PASS"
    assert next(iter(compare_kept_files(source, out, {}, [""], {}))).status.startswith("not compared: the manifest")
    assert list(candidates("a/b/c", ["__1"])) == ["a__1/b/c", "a/b__1/c"]


@pytest.mark.quick
def test_what_is_no_file_and_tables_that_are_kept(tmp_path: Path) -> None:
    """Pipes, folders in the place of files, also of a copy, and a JSON table that says something else."""
    source, out = tmp_path / "source", tmp_path / "out"
    for name in ("v1/attribute.json", "val/a/map/x.json"):
        for root in (source, out):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text('[{"token": "t", "name": "moving"}]')
    (out / "val/a__1/map").mkdir(parents=True)
    (out / "v1/attribute.json").write_text('[\n{"name": "moving", "token": "t"}\n]')  # written anew
    fields = [{"name": f"*/attribute.json:{n}", "fate": "kept", "count": 1} for n in ("token", "name")]
    fields.append({"name": "**/map/*.json:x", "fate": "changed", "count": 1})
    header = {"format": "a", "output": "a", "account": {"files": [], "fields": fields}}

    def failed(**more: str) -> set[tuple[str, str]]:
        rows = compare_kept_files(source, out, {**header, **more}, ["", "__1"], {})
        return {(r.measurement, r.sensor) for r in rows if r.status == "FAIL"}

    assert failed() == set()
    for name, root in (("s", source), ("t", out)):  # of a table that is changed only a field of unknown meaning is kept
        (root / "v1/sample.json").write_text(f'[{{"token": "{name}", "odd": 1}}]')
    fields.append({"name": "*/sample.json:token", "fate": "changed", "count": 1})
    fields.append({"name": "v1/sample.json:odd", "fate": "kept", "count": 1})
    assert failed() == set()
    (out / "v1/attribute.json").write_text('[{"token": "t", "name": "parked"}]')
    assert failed() == {("files changed since", "*/attribute.json")} and failed(output="b") == set()
    (out / "v1/attribute.json").write_text("[")
    assert failed() == {("files changed since", "*/attribute.json")}
    for replace in (os.mkfifo, os.mkdir):
        (out / "v1/attribute.json").unlink()
        replace(out / "v1/attribute.json")
        (out / "val/a__1/map/x.json").mkdir(exist_ok=True)
        missing = ("files missing", "*/attribute.json")
        assert failed() == {missing, *(("no regular file", p) for p in ("v1/attribute.json", "val/a__1/map/x.json"))}


@pytest.mark.quick
def test_accounts_that_are_damaged_or_hostile(tmp_path: Path) -> None:
    for group in ({"name": "x"}, {"name": "*", "fate": "kept", "count": "many"}, 3):
        with pytest.raises(DataError, match=r"manifest\.jsonl: account: files: is damaged"):
            list(compare_kept_files(tmp_path, tmp_path, {"account": {"files": [group]}}, [""], {}))
    with pytest.raises(DataError, match="is longer than the 4096 of a path"):
        PathPattern("**a" * 2000)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("pattern", "path", "same"),
    [("maps/**", "maps/a/b.png", True), ("maps/*", "maps/a/b.png", False), ("image_[23]/*.png", "image_2/1.png", True),
     ("image_[23]/*.png", "image_4/1.png", False), ("a.b", "axb", False), ("?.txt", "a.txt", True),
     ("**/map/*", "map/x", True), ("**/map/*", "a/b/map/x", True), ("**/map/*", "a/bmap/x", False),
     ("a/**/b", "a/b", True), ("**/**/x", "x", True), ("[!a]x", "bx", True), ("[!a]x", "ax", False),
     ("[!a]x", "/x", False), ("a?b", "a/b", False),
     # what backtracking would need longer for than there is time
     ("**" * 14 + "x", "a" * 4000, False), ("**a" * 1000, "a" * 4000, True), ("(a+)+b", "a" * 100, False)],
)  # fmt: skip
def test_patterns_of_paths(pattern: str, path: str, same: bool) -> None:
    assert PathPattern(pattern).matches(path) == same


# --- pictures --------------------------------------------------------------------------------------------------------
def coded(picture: torch.Tensor, quality: int = JPEG_QUALITY) -> torch.Tensor:
    return jpeg_coded(picture, quality)


@pytest.mark.quick
@pytest.mark.parametrize("noise", [0, 255])
def test_jpeg_of_a_picture_a_level_beside_holds_and_a_lost_block_does_not(noise: int) -> None:
    """As a replay on another processor may be; of pure noise too, which a JPEG changes most."""
    rng = np.random.default_rng(4)
    smooth = np.add.outer(np.arange(70), np.arange(90))[..., None].repeat(3, 2)
    picture = torch.from_numpy(np.clip(smooth + rng.integers(0, noise + 1, (70, 90, 3)), 0, 255).astype(np.uint8))
    beside = torch.from_numpy(
        np.clip(picture.numpy().astype(int) + rng.integers(-1, 2, picture.shape), 0, 255).astype(np.uint8)
    )
    assert float(jpeg_blocks(picture, coded(picture))[0]) == 0.0
    assert float(jpeg_blocks(picture, coded(beside))[0]) < JPEG_BLOCK
    broken = coded(picture).clone()
    broken[32:48, 48:64] = 128
    assert float(jpeg_blocks(picture, broken)[0]) > JPEG_BLOCK
    assert float((coded(picture).float() - broken.float()).abs().mean()) < JPEG_BLOCK  # a mean would hide it


@pytest.mark.quick
def test_blocks_at_a_border_and_of_videos() -> None:
    picture = torch.zeros(40, 33, 3, dtype=torch.uint8)
    other = picture.clone()
    other[16:32, 16:32] = 100
    off = blocks_off(picture, other)
    assert len(off) == 3 * 3 and off.max() == 100 and (off > 0).sum() == 1
    assert float(video_blocks(picture, other)[0]) == 100 > VIDEO_BLOCK_LIMIT
