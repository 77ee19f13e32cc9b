"""A format of one's own is counted by a counter of one's own, and says so where it has none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_logs import kitti

from fusion_aug.cli import main

FORMAT = """
from fusion_aug import extend as ext
from fusion_aug.logs.kitti.reader import KittiLog
from fusion_aug.logs.kitti.writer import KittiWriter

known = ext.find_format("kitti")
ext.register_format(ext.Format("mine", KittiLog, KittiWriter, known.options, contents=known.contents))
"""
COUNTER = """
@ext.counter("mine")
def count(root, options):
    def points(file):
        return {"velodyne": {"sweeps": 1, "points": file.stat().st_size // 16}}

    clouds = (root / "training" / "velodyne").glob("*.bin")
    return {f"training/{file.stem}": lambda file=file: points(file) for file in clouds}
"""


@pytest.mark.parametrize("counts", [True, False])
def test_a_counter_of_ones_own(counts: bool, plugins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kitti(plugins / "log")
    shutil.rmtree(plugins / "log" / "training" / "label_2")
    for camera in ("image_2", "image_3"):
        shutil.rmtree(plugins / "log" / "training" / camera)
    (plugins / "mine.py").write_text(FORMAT + (COUNTER if counts else ""))
    words = ["log=mine", "log.root=log", "pipeline=identity", "out=out", "plugins=[mine]"]
    assert main(["run", *words, "+pipeline.transforms.fewer={_target_: fusion_aug.PointDropout, share: 0.5}"]) == 0
    capsys.readouterr()
    assert main(["check", "out"]) == 0
    text = capsys.readouterr().out
    assert ("points missing" in text) == counts
    assert ("not compared: nothing counts logs of the format 'mine'" in " ".join(text.split())) != counts
    cloud = plugins / "out" / "training" / "velodyne" / "000001.bin"
    cloud.write_bytes(cloud.read_bytes()[:-160])
    assert main(["check", "out"]) == 1
    assert any("points missing" in line and "FAIL" in line for line in capsys.readouterr().out.splitlines()) == counts
