"""The rig file of docs/cameras.md calibrates a camera of LeRobot, of robomimic's like and of recordings alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml
from places import ARM

import fusion_aug as fa

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cameras.md"


def told() -> str:
    text = DOCUMENT.read_text().split("## Cameras that no log calibrates")[1]
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0]


def test_the_rig_file_of_the_document_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rig.yaml").write_text(told())
    options = {"exclude": ["*tactile*", "*wrist*"], "rig": str(tmp_path / "rig.yaml")}
    sample = fa.open_log("lerobot", ARM / "lerobot", **options)[0]
    camera, content = sample.rig.camera("front"), yaml.safe_load(told())
    assert torch.equal(camera.model.K, torch.tensor(content["sensors"]["front"]["camera"]["K"], dtype=torch.float64))
    assert (camera.frame, camera.size, camera.model.lens) == ("front_lens", (120, 160), "brown_conrady")
    assert sample.rig.T("base", "front_lens")[:3, 3].tolist() == content["frames"]["front_lens"]["translation"]
    assert sample.rig.frames["front_lens"].axis_convention == "camera" and sample["front"].frame == "front_lens"


def test_the_size_is_that_of_the_pictures(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "rig.yaml").write_text(told().replace("[120, 160]", "[160, 120]"))
    log = fa.open_log("lerobot", ARM / "lerobot", rig=str(tmp_path / "rig.yaml"), exclude=["*tactile*"])
    with pytest.raises(fa.DataError, match=r"sensors.front: the camera is calibrated for 120x160, the pictures of the"):
        log[0]
