"""Classes of points, counted by raw files: what is gone, changed or too many in an output FAILS in ``check``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lost import failed, names
from semantickitti_tree import read_scan, write_sequence

from fusion_aug.check.class_counts import compare_classes
from fusion_aug.check.counts.classes import CLASS_COUNTERS
from fusion_aug.cli import main

FIRST = "sequences/00/labels/000000.label"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    write_sequence(tmp_path_factory.mktemp("classes") / "log/sequences/00", scans=(0, 1), cameras=())
    return next(tmp_path_factory.getbasetemp().glob("classes*/log"))


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def other_class(path: Path) -> None:
    """Ten points of the first class that there is become points of another."""
    numbers = np.fromfile(path, "<u4")
    numbers[np.flatnonzero(numbers & 0xFFFF == 40)[:10]] = 48
    numbers.tofile(path)


def unlabeled(path: Path) -> None:
    np.zeros_like(np.fromfile(path, "<u4")).tofile(path)


PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (Path.unlink, "labels missing"),
    "of another class": (other_class, "labels missing"),
    "of no class": (unlabeled, "labels unexpected"),
    "one too few": (shorter, "unreadable"),
}


@pytest.mark.parametrize("pipeline", ["geometry", "driving"])
@pytest.mark.parametrize("what", PLANTED)
def test_labels_that_an_output_lost_are_named(
    root: Path, tmp_path: Path, what: str, pipeline: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["run", "log=semantickitti", f"log.root={root}", f"pipeline={pipeline}", f"out={out}"]
    assert main(words) == 0 and failed(out, capsys) == []
    change, measurement = PLANTED[what]
    change(out / FIRST)
    assert names(failed(out, capsys), measurement)


@pytest.mark.parametrize(
    ("new", "lost", "air", "missing", "unexpected"),
    [
        ({1: 5, 10: 60, 40: 35}, 0, None, 0, 0),
        ({1: 5, 10: 60, 40: 30}, 5, None, 0, 0),
        ({1: 5, 10: 60, 40: 30}, 0, None, 5, 0),
        ({1: 12, 10: 58, 40: 30}, 0, 1, 0, 0),
        ({1: 12, 10: 58, 40: 30}, 0, None, 7, 7),
        ({1: 10, 10: 58, 40: 30}, 2, 1, 0, 0),
        ({1: 5, 10: 65, 40: 30}, 0, 1, 5, 5),
        ({}, 0, 1, 100, 0),
    ],
)
def test_what_a_class_may_gain_and_lose(
    new: dict[int, int], lost: int, air: int | None, missing: int, unexpected: int
) -> None:
    old = {1: 5, 10: 60, 40: 35}
    account = {"rows": [100, 100 - lost], "lost": {"dropout: dropped": lost}} if lost else {}
    rows = {r.measurement: r for r in compare_classes("velodyne", old, new, account, air)}
    assert float(rows["labels missing"].values[0]) == missing
    assert ("labels unexpected" in rows) == (unexpected > 0)
    assert unexpected == 0 or float(rows["labels unexpected"].values[0]) == unexpected


def test_classes_are_those_of_the_published_rule(root: Path) -> None:
    counted = CLASS_COUNTERS["semantickitti"](root, {})
    assert set(counted) == {"00/000000", "00/000001"}
    for name, count in counted.items():
        label = read_scan(root / "sequences/00", name.partition("/")[2])[1]
        assert count() == {"velodyne": {int(c): int((label == c).sum()) for c in np.unique(label)}}
