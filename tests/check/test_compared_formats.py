"""``check OUT`` in formats of others, and what these cannot hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_streams import checked, own_sample

from fusion_aug.check.output import rows_left_out
from fusion_aug.cli import main
from fusion_aug.logs.folder.writer import FolderWriter


# --- what formats cannot hold ----------------------------------------------------------------------------------------
def test_what_a_format_has_no_place_for_is_a_row() -> None:
    sample = own_sample()
    mag = sample["mag"]
    quiet = replace(mag, present=torch.zeros(4, dtype=torch.bool), clock_offset=torch.ones(4, dtype=torch.int64))
    made = sample.with_streams({**sample.streams, "mag": quiet, "gone": quiet, "lost": mag})
    kept = sample.with_streams({**sample.streams, "beacons": sample["beacons"].select(torch.arange(5) < 3)})
    left_out = rows_left_out(made, kept, FolderWriter(None, Path()))
    rows = {(r.sensor, r.measurement): r for r in left_out}
    assert rows["lost", "stream"].status == "not compared: the format has no place for it"
    assert rows["gone", "stream"].status.startswith("not compared: no item of it was received")
    assert rows["mag", "items present"].status.startswith("not compared: ")
    assert rows["mag", "clock offset"].status.startswith("not compared: ")
    assert rows["beacons", "rows left out by the format"].values.tolist() == [2.0]
    assert len(rows) == 5


def test_a_sensor_that_a_lossy_output_cannot_mark_as_dropped(
    street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop = "+pipeline.transforms.drop={_target_:fusion_aug.ModalityDropout,sensors:[CAM_BACK],share:1.0,at_least:0}"
    words = ["log=nuscenes", f"log.root={street}", "pipeline=identity", drop, "lossy=true", "limit=1"]
    assert main(["run", *words, f"out={tmp_path / 'out'}"]) == 0
    code, lines = checked(tmp_path / "out", capsys)
    line = next(x for x in lines if x.startswith("items present"))
    assert code == 0 and " CAM_BACK " in line and "not compared: a sensor without data has no" in line


# --- in a format of others -------------------------------------------------------------------------------------------
def table(out: Path, name: str, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = out / "v1.0-mini" / f"{name}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def dim_a_return(out: Path) -> None:
    path = next((out / "samples" / "LIDAR_TOP").iterdir())
    cloud = np.fromfile(path, "<f4").reshape(-1, 5)
    cloud[7, 3] += 1
    cloud.tofile(path)


def another_beam(out: Path) -> None:
    path = next((out / "samples" / "LIDAR_TOP").iterdir())
    cloud = np.fromfile(path, "<f4").reshape(-1, 5)
    cloud[7, 4] += 1
    cloud.tofile(path)


def lose_a_box(out: Path) -> None:
    table(out, "sample_annotation", lambda rows: rows.pop())


def another_category(out: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["category_token"] = next(
            r["category_token"] for r in rows if r["category_token"] != rows[0]["category_token"]
        )

    table(out, "instance", change)


def another_visibility(out: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[0]["visibility_token"] = "1" if rows[0]["visibility_token"] != "1" else "4"

    table(out, "sample_annotation", change)


@pytest.fixture(scope="module")
def street_out(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("street_out") / "out"
    assert main(["run", "log=nuscenes", f"log.root={street}", "pipeline=geometry", "limit=1", f"out={out}"]) == 0
    return out


@pytest.mark.parametrize(
    ("plant", "stream", "what"),
    [(dim_a_return, "LIDAR_TOP", "intensity"), (another_beam, "LIDAR_TOP", "ring"), (lose_a_box, "boxes", "rows ("),
     (another_category, "boxes", "category"), (another_visibility, "boxes", "visible")],
)  # fmt: skip
def test_planted_differences_in_nuscenes(
    street_out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], plant: Any, stream: str, what: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(street_out, out)
    code, lines = checked(out, capsys)
    assert code == 0 and any(line.startswith("velocity") and " boxes " in line for line in lines)
    plant(out)
    code, lines = checked(out, capsys)
    failed = [line for line in lines if "FAIL" in line]
    assert code == 1 and any(line.startswith(what) and f" {stream} " in line for line in failed), failed


def test_kitti_labels_are_those_of_the_file(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boxes that leave the picture are left out by the format, and the others are compared one by one."""
    crop = "+pipeline.transforms.crop={_target_:fusion_aug.Crop,size:[375,600],x:0.0,y:0.0}"
    words = ["log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=identity", crop]
    assert main(["run", *words, f"out={tmp_path / 'out'}"]) == 0
    code, lines = checked(tmp_path / "out", capsys)
    left_out = [line for line in lines if line.startswith("rows left out by the format")]
    assert code == 0 and {line.split()[6] for line in left_out} == {"boxes", "boxes_2d"}
    assert any(line.startswith("occluded ") and "PASS" in line for line in lines)
    path = tmp_path / "out" / "training" / "label_2" / "000008.txt"
    text = path.read_text()
    path.write_text(text.replace("Car", "Van", 1))
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1 and any(line.startswith("category") and " boxes " in line and "FAIL" in line for line in lines)
    path.write_text("".join(text.splitlines(keepends=True)[1:]))
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1 and any(line.startswith("rows (") and " boxes " in line and "FAIL" in line for line in lines)
