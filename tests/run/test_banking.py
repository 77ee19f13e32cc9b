"""``fusion-aug bank``: objects of a log as donors of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from generic import assert_same_streams
from places import DRIVE

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.run.donating import donor_log
from fusion_aug.transforms.mix.object_bank import objects_alone


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bank of two keyframes."""
    ids = fa.open_log("nuscenes", DRIVE).ids
    out = tmp_path_factory.mktemp("bank") / "bank"
    words = ["bank", "log=nuscenes", f"log.root={DRIVE}", f"log.select=[{ids[14]},{ids[15]}]", f"out={out}"]
    assert main([*words, "least_points=10"]) == 0
    return out


def test_an_object_comes_from_the_bank_as_from_its_log(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = fa.open_log("nuscenes", DRIVE)
    kept = donor_log(str(bank), log)
    assert kept is not None and kept.format.name == "folder" and kept.ids == log.ids[14:16]
    whole, alone = log[14], kept[0]
    rows = [whole["boxes"]["instance"].tolist().index(i) for i in alone["boxes"]["instance"]]
    assert 0 < len(rows) < whole["boxes"].rows
    params = {"objects": [{"row": r, "turn": 0.0, "ground": 0.0} for r in rows[:2]], "captions": "drop"}
    boxes = whole["boxes"]
    for told in params["objects"]:
        told["ground"] = float(-boxes["size"][told["row"], 2] / 2)
    first = fa.PasteObjects.mixed(log[3], whole, params)
    again = {**params, "objects": [{**told, "row": k} for k, told in enumerate(params["objects"])]}
    assert_same_streams(first, fa.PasteObjects.mixed(log[3], alone, again))


def test_what_a_bank_holds(bank: Path) -> None:
    log, kept = fa.open_log("nuscenes", DRIVE), fa.open_log("folder", bank)
    for whole, alone in zip(log[14:16], kept, strict=True):
        assert {*alone.streams} < {*whole.streams} and "imu" not in alone.streams
        for name, stream in alone.of_type(fa.Camera).items():
            assert torch.equal(stream.image(0), whole[name].image(0))
            assert stream.items[0].bytes() == whole[name].items[0].bytes()
    assert objects_alone(log[14], ("vehicle.truck",), 10_000) is None


def test_what_is_wrong_is_said(bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bank", "log=nuscenes", f"log.root={DRIVE}"]
    for more, said in (
        (["classes=[]", f"out={tmp_path / 'x'}"], "classes: expected categories"),
        (["least_points=0", f"out={tmp_path / 'x'}"], "least_points: expected a whole number above 0"),
        ([f"out={bank}"], "is not empty; remove it or choose another folder"),
    ):
        assert main([*words, *more]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "x").exists()
    assert main(["bank", "--help"]) == 0
    assert "least_points" in capsys.readouterr().out
