"""What a user is told of ``log.classes`` in SemanticKITTI: names that fit nothing, and points by class."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import fails
from semantickitti_tree import by_class, read_scan, write_sequence
from written import manifest, run

NAME = "semantickitti"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("semantickitti_classes") / "log"
    write_sequence(root / "sequences/00", scans=(0,), points=300, cameras=())
    return root


@pytest.mark.parametrize("names, wrong", [("[Car]", "'Car'"), ("{person: [person, 'rider*']}", "'rider*'")])
def test_names_that_no_class_has_are_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], names: str, wrong: str
) -> None:
    words = ["run", f"log={NAME}", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]
    fails(capsys, [*words, f"log.classes={names}"], f"log.classes: {wrong} matches no category", "moving-car")
    assert not (tmp_path / "out").exists()


def test_points_by_class_are_in_the_account_where_geometry_alone_read_the_cloud(root: Path, tmp_path: Path) -> None:
    turn = "+pipeline.transforms.turn={_target_: fusion_aug.RotateScene, yaw_deg: 30}"
    words = (f"log={NAME}", f"log.root={root}", "log.classes=[car]", "pipeline=identity", turn)
    out = run(tmp_path / "out", *words)
    before, after = (by_class(read_scan(r / "sequences/00", "000000")[1]) for r in (root, out))
    assert dict(after) == {10: before[10], 0: 300 - before[10]}
    labels = manifest(out)[0]["account"]["velodyne"]["labels"]
    assert labels == {"-1": [after[0], 0], "0 unlabeled": [0, after[0]], "10 car": [before[10]] * 2}
