"""ImageSets: lists of frames, as the benchmark and as people write them."""

from __future__ import annotations

from pathlib import Path

import kitti_trees as trees
import pytest
from written import manifest, run

import fusion_aug as fa
from fusion_aug.logs.core.account import account_of


def tree(root: Path, names: tuple[str, ...], lists: dict[str, str]) -> Path:
    """A tree whose frames have these names, all in training."""
    trees.write_tree(root, pictures=("image_2",))
    for path in list((root / "training").rglob("000000.*")):
        frame = path.read_bytes()
        path.unlink()
        for name in names:
            path.with_name(f"{name}{path.suffix}").write_bytes(frame)
    (root / "ImageSets").mkdir()
    for name, text in lists.items():
        (root / f"ImageSets/{name}.txt").write_bytes(text.encode())
    return root


def test_words_that_name_no_frame_are_told(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree", ("000000",), {"train": "000000\n000001\n", "val": "000000", "test": ""})
    fields = {g.name: (g.fate, g.count) for g in account_of(fa.open_log("kitti", root)).fields if "ImageSets" in g.name}
    assert fields == {"ImageSets/*.txt:frame": ("changed", 2), "ImageSets/*.txt:no frame": ("left out", 1)}
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", "pipeline=identity")
    assert [(out / f"ImageSets/{n}.txt").read_text() for n in ("train", "val", "test")] == ["000000\n", "000000\n", ""]


@pytest.mark.parametrize("name", ["2011_09_26 drive, 0001=a", "0.5", "[x]-frame"])
def test_names_with_spaces_and_signs_stay_in_their_lists(tmp_path: Path, name: str) -> None:
    root = tree(tmp_path / "tree", (name, "000000"), {"train": f"{name}\r\n000000\r\n", "car_train": "000000 -1\n"})
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", "pipeline=identity", copies=2)
    written = (out / "ImageSets/train.txt").read_text().splitlines()
    assert sorted(written) == sorted([name, f"{name}__1", "000000", "000000__1"])
    assert (out / "ImageSets/car_train.txt").read_text() == "000000\n000000__1\n"


def test_a_test_list_of_labelled_frames(tmp_path: Path) -> None:
    """People keep all frames in training, those of test.txt too."""
    root = tree(tmp_path / "tree", ("000000", "000001"), {"train": "000000", "test": "000001"})
    out = run(tmp_path / "out", "log=kitti", f"log.root={root}", "pipeline=identity", "log.select=test")
    assert [line["id"] for line in manifest(out)] == ["training/000001"]
    assert (out / "ImageSets/test.txt").read_text() == "000001\n" and (out / "ImageSets/train.txt").read_text() == ""
