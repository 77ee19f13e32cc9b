"""A rig file may add to a camera that the log has calibrated, without saying its lens again."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from calib import CalibrationError, CameraSensor, Frame, Pinhole, Rig, UnknownLens, rig_from_dict
from calib.rectification import Rectification

K = torch.tensor([[40.0, 0, 15.5], [0, 42.0, 11.5], [0, 0, 1]], dtype=torch.float64)
P = torch.cat([K, torch.tensor([[-8.0], [0], [0]], dtype=torch.float64)], 1)
BESIDE = Rectification(R=torch.eye(3, dtype=torch.float64), P=P)


def known(lens: Any = None) -> Rig:
    lens = lens or Pinhole(K=K, size=(24, 32))
    mounts = {f"{s}_optical": Frame(parent="base", pose=torch.eye(4, dtype=torch.float64), axis_convention="camera")
              for s in ("left", "right")}  # fmt: skip
    sensors = {f"stereo/{s}": CameraSensor(frame=f"{s}_optical", model=lens, rectification=BESIDE)
               for s in ("left", "right")}  # fmt: skip
    return Rig({"base": Frame(), **mounts}, sensors)


PAIR = {"frames": {}, "sensors": {"stereo/left": {"kind": "camera", "mirror_of": "stereo/right"},
                                  "stereo/right": {"kind": "camera", "mirror_of": "stereo/left"}}}  # fmt: skip


def test_partners_are_told_without_the_lens() -> None:
    before, rig = known(), rig_from_dict(PAIR, base=known())
    assert {n: s.mirror_of for n, s in rig.sensors.items()} == {
        "stereo/left": "stereo/right",
        "stereo/right": "stereo/left",
    }
    for name, old in before.sensors.items():
        new = rig.camera(name)
        assert isinstance(old, CameraSensor) and new.frame == old.frame and new.size == old.size
        assert torch.equal(new.model.K, K) and new.rectification is not None
        assert torch.equal(new.rectification.P, P)


@pytest.mark.parametrize("base", [None, known(UnknownLens.of((24, 32)))], ids=["not in the log", "not calibrated"])
def test_a_lens_that_nobody_knows_is_asked_for(base: Rig | None) -> None:
    with pytest.raises(CalibrationError, match=r"stereo/left\.camera: .*camera: \{model: pinhole, K: "):
        rig_from_dict(PAIR, "rig.yaml", base)
