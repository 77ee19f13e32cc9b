"""Up is where the camera's attitude says, whatever way its picture lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from places import DRIVE

import fusion_aug as fa
from calib import CameraSensor, Pinhole, Rig
from calib.se3 import rotation_about
from fusion_aug.sample.depth import camera_depth
from fusion_aug.sample.upright import quarter_turns, turned
from fusion_aug.streams import Camera

SIZE = (90, 160)
UP = np.array([0.0, -1.0, 0.0])  # of a camera that hangs level


def camera() -> CameraSensor:
    return CameraSensor(frame="c", model=Pinhole.from_focal(100.0, 100.0, 79.5, 44.5, SIZE))


@pytest.mark.quick
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_canvas_is_turned_back(turns: int) -> None:
    sensor = turned(camera(), turns)
    assert sensor.size == (SIZE if turns % 2 == 0 else SIZE[::-1])
    pixels = np.zeros(SIZE)
    pixels[20, 30] = 1.0
    v, u = np.argwhere(np.rot90(pixels, turns))[0]
    here = sensor.project(camera().unproject(torch.tensor([[30.0, 20.0]], dtype=torch.float64)))[0]
    assert torch.allclose(here, torch.tensor([[float(u), float(v)]], dtype=torch.float64))
    assert (turns + quarter_turns(sensor, UP)) % 4 == 0


@pytest.mark.quick
@pytest.mark.parametrize(("roll", "expected"), [(0, 0), (40, 0), (-40, 0), (50, 1), (90, 1), (180, 2), (-90, 3)])
def test_a_camera_that_hangs_askew(roll: float, expected: int) -> None:
    """A roll to the right turns the picture to the left, and takes a turn to the left more."""
    up = rotation_about("z", np.radians(roll)).numpy() @ UP
    assert quarter_turns(camera(), up) == expected


@pytest.mark.quick
def test_a_camera_that_looks_straight_down_has_no_upper_row() -> None:
    assert quarter_turns(camera(), np.array([0.0, 0.0, -1.0])) == 0
    assert quarter_turns(camera(), np.array([0.2, 0.0, -0.98])) == 0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_distances_of_a_turned_picture_are_the_turned_distances(turns: int) -> None:
    sample = fa.open_log("nuscenes", DRIVE)[3]
    plain = camera_depth(sample, "CAM_FRONT", 0)
    picture = sample["CAM_FRONT"].image(0)
    assert isinstance(sample["CAM_FRONT"], Camera)
    lying = replace(sample["CAM_FRONT"], items=(torch.rot90(picture, turns).contiguous(),))
    sensors = {**sample.rig.sensors, "CAM_FRONT": turned(sample.rig.camera("CAM_FRONT"), turns)}
    rig = Rig(sample.rig.frames, sensors)
    other = sample.with_streams({**sample.streams, "CAM_FRONT": lying}).with_meta(0, rig=rig, true_rig=rig)
    found = camera_depth(other, "CAM_FRONT", 0)
    for a, b in zip(found, plain, strict=True):
        assert np.array_equal(a, np.rot90(b, turns))
