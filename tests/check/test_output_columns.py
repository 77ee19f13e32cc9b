"""``check OUT`` compares every stream by class and column, also one's own, and says what it does not compare."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from own_streams import checked, own_sample

from calib.se3 import rotation_about, se3
from fusion_aug.cli import main
from fusion_aug.logs.core.npz import read_npz, write_npz
from fusion_aug.logs.folder.writer import FolderWriter

UNITS = {
    "place": "m", "body": "m", "body (rotation)": "rad", "drift": "m/s", "push": "N", "felt": "m/s^2", "range": "m",
    "angle": "rad", "late": "s", "outline": "px", "code": "entries", "name": "entries",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample in a folder log, after a run that changes nothing."""
    root, sample = tmp_path_factory.mktemp("own"), own_sample()
    writer = FolderWriter(None, root / "log")
    writer.stage(sample, sample, sample.id, root / "log")
    writer.finish([{}], [(sample.id, sample.id)])
    words = ["log=folder", f"log.root={root / 'log'}", "pipeline=identity"]
    assert main(["run", *words, f"out={root / 'out'}"]) == 0
    return root / "out"


def test_an_untouched_output_holds_and_names_every_column(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = checked(written, capsys)
    assert code == 0 and not any("FAIL" in line for line in lines)
    for name, stream in own_sample().streams.items():
        for column in stream.values:
            assert any(line.startswith(column) and name in line for line in lines), (name, column)
    bins = next(line for line in lines if line.startswith("bins"))
    assert "not compared: " in bins and "PASS" not in bins
    assert lines[-1].endswith(" figures hold, 1 not compared")


def test_units_are_those_of_the_columns(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split("  ") for line in checked(written, capsys)[1]]
    rows = {cells[0]: [c.strip() for c in cells if c.strip()] for cells in lines if "beacons" in "".join(cells)}
    assert {name: rows[name][5] for name in UNITS} == UNITS


# --- planted differences ---------------------------------------------------------------------------------------------
Arrays = dict[str, np.ndarray]


def one_value(a: Arrays) -> None:
    a["values/field"][2, 1] += 1e-4


def one_label(a: Arrays) -> None:
    a["values/status"][1] = "no"


def one_stamp(a: Arrays) -> None:
    a["fields/capture_times"][3] += 2_000


def one_nan(a: Arrays) -> None:
    a["values/temperature"][0] = np.nan


def one_item_missing(a: Arrays) -> None:
    a |= {k: v[:-1] for k, v in a.items()}


def column_missing(a: Arrays) -> None:
    del a["values/temperature"]


def column_unexpected(a: Arrays) -> None:
    a["values/humidity"] = np.zeros(4)


def other_shape(a: Arrays) -> None:
    a["values/field"] = a["values/field"][:, :2]


def one_row_missing(a: Arrays) -> None:
    a |= {k: v[:-1] for k, v in a.items() if k.startswith("values/")}
    a["fields/offsets"] = np.array([0, 2, 4])


def row_of_another_item(a: Arrays) -> None:
    a["fields/offsets"] = np.array([0, 3, 5])


def body_turned(a: Arrays) -> None:
    a["values/body"][4] = a["values/body"][4] @ se3(rotation_about("z", 1e-3)).numpy()


def not_received(a: Arrays) -> None:
    a["fields/present"][0] = False


def change_row(a: Arrays, column: str) -> None:
    a[f"values/{column}"].reshape(5, -1)[3, 0] = 7


def own_field(a: Arrays) -> None:
    a["fields/offset"][1] = 0.5


PLANTS: dict[str, tuple[str, Callable[[Arrays], None], str]] = {
    "one value": ("mag", one_value, "field"),
    "one label": ("mag", one_label, "status"),
    "one stamp": ("mag", one_stamp, "stamps"),
    "NaN for a number": ("mag", one_nan, "temperature"),
    "one item missing": ("mag", one_item_missing, "items (4 expected, 3 found)"),
    "one column missing": ("mag", column_missing, "temperature (missing column)"),
    "a column too many": ("mag", column_unexpected, "humidity (unexpected column)"),
    "another shape": ("mag", other_shape, "field ((4, 3) expected, (4, 2) found)"),
    "not received": ("mag", not_received, "items present"),
    "one row missing": ("beacons", one_row_missing, "rows (5 expected, 4 found)"),
    "a row of another item": ("beacons", row_of_another_item, "rows"),
    "a rotation": ("beacons", body_turned, "body (rotation)"),
    "a field of the class": ("beacons", own_field, "offset"),
} | {
    f"{column} of one row": ("beacons", partial(change_row, column=column), column)
    for column in ("place", "body", "drift", "push", "felt", "range", "angle", "late", "outline", "code")
}


def planted(written: Path, out: Path) -> Path:
    shutil.copytree(written, out)
    return out / "samples" / "s0" / "streams"


def assert_fails(lines: list[str], stream: str, what: str) -> None:
    failed = [line for line in lines if "FAIL" in line]
    assert any(line.startswith(what) and f" {stream} " in line for line in failed), failed
    # and nothing else but the digest of the files
    assert {n for n in ("mag", "beacons", "spectrum") if any(f" {n} " in line for line in failed)} == {stream}


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_difference_fails(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    stream, plant, what = PLANTS[name]
    path = planted(written, tmp_path / "out") / stream / "arrays.npz"
    arrays = {k: v.copy() for k, v in read_npz(path).items()}
    plant(arrays)
    write_npz(arrays, path)
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1
    assert_fails(lines, stream, what)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [("class", "Signal", "class (Magnetometer expected, Signal found)"), ("frame", "ego", "frame (mag expected"),
     ("unit_name", "mT", "unit_name (uT expected, mT found)")],
)  # fmt: skip
def test_another_class_or_fact_fails(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str, what: str
) -> None:
    path = planted(written, tmp_path / "out") / "mag" / "stream.json"
    header = json.loads(path.read_text())
    if key == "class":
        header["class"] = value
        del header["fields"]["unit_name"]
    else:
        header["fields"][key] = value
    path.write_text(json.dumps(header))
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1
    assert_fails(lines, "mag", what)


def test_missing_unexpected_and_unreadable_streams_fail(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    streams = planted(written, tmp_path / "out")
    (streams / "mag").rename(streams / "other")
    code, lines = checked(tmp_path / "out", capsys)
    failed = [line for line in lines if "FAIL" in line]
    assert code == 1
    assert any(line.startswith("missing stream ") and " mag " in line for line in failed)
    assert any(line.startswith("unexpected stream ") and " other " in line for line in failed)
    (streams / "beacons" / "arrays.npz").write_bytes(b"no arrays")
    code, lines = checked(tmp_path / "out", capsys)
    assert code == 1 and any(line.startswith("unreadable") and "FAIL" in line for line in lines)
