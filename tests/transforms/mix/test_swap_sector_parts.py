"""What ``SwapSector`` is made of: sectors as plane figures, pixels of bent seams, numbers of objects, seams of rigs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample

import fusion_aug as fa
from calib import CameraSensor, KannalaBrandt, Pinhole
from calib.se3 import rotation_about, se3
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.free_numbers import numbered_apart
from fusion_aug.streams import SegmentationMask
from fusion_aug.transforms.mix.seams import Region, Seam, Sector
from fusion_aug.transforms.mix.sector_numbers import mask_apart
from fusion_aug.transforms.mix.sector_pixels import donor_pixels
from fusion_aug.transforms.mix.sector_scene import scene_of
from fusion_aug.transforms.mix.swap_sector import fits_beside, pairs_of

pytestmark = pytest.mark.quick


def seam(degrees: float, apex: tuple[float, float] = (0.0, 0.0), camera: str = "") -> Seam:
    return Seam(float(np.radians(degrees)), camera, apex)


@pytest.mark.parametrize("width", [20, 120, 175, 180, 185, 300])
def test_a_sector_between_two_ends_is_parted_by_both_half_planes(width: float) -> None:
    """Beyond the ends a place lies in it if it lies left of the first half-plane, or right of the last, beside it."""
    first, last = seam(40, (1.0, 0.3)), seam(40 + width, (0.2, -0.4))
    sector = Sector(first, last)
    assert not first.meets(last)
    for one, sign in ((first, 1.0), (last, -1.0)):
        for distance in (2.0, 10.0, 80.0):
            beside = sign * 0.01 * np.array([-one.direction[1], one.direction[0]])
            place = np.array(one.apex) + distance * one.direction
            assert sector.holds(place + beside) and not sector.holds(place - beside)
    middle = np.radians(40 + width / 2)
    assert sector.holds(30 * np.array([np.cos(middle), np.sin(middle)]))
    assert not sector.holds(-30 * np.array([np.cos(middle), np.sin(middle)]))


def test_far_away_a_sector_is_its_angles() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        start, width = rng.uniform(0, 360), rng.uniform(10, 350)
        sector = Sector(seam(start, (0.5, 0.1)), seam(start + width, (-0.5, 0.2)))
        angles = rng.uniform(0, 2 * np.pi, 400)
        away = (np.degrees(angles) - start) % 360
        clear = np.abs(away - width) % 360
        clear = (np.minimum(clear, 360 - clear) > 3) & (np.minimum(away, 360 - away) > 3)
        places = 50 * np.stack([np.cos(angles), np.sin(angles)], 1)
        assert (sector.holds(places) == (away < width))[clear].all()
        assert (sector.holds_rays(places) == (away < width))[clear].all()


def test_seams_that_meet_and_sectors_that_touch_do_not_go_together() -> None:
    assert seam(45, (0.0, 0.0)).meets(seam(135, (2.0, 0.0))) and not seam(135, (0.0, 0.0)).meets(seam(45, (2.0, 0.0)))
    assert not seam(10).meets(seam(80))
    level = np.eye(3)
    there = Region((Sector(seam(0), seam(60)),), level)
    assert fits_beside(Sector(seam(80), seam(200)), there)
    for sector in (Sector(seam(65), seam(200)), Sector(seam(30), seam(90)), Sector(seam(80), seam(30)),
                   Sector(seam(350), seam(80)), Sector(seam(80), seam(355))):  # fmt: skip
        assert not fits_beside(sector, there)
    assert Region.from_json(there.to_json()).holds(np.array([3.0, 1.0, 0.0]))


def test_pairs_come_nearest_to_the_width_first_and_by_the_draw() -> None:
    seams = [seam(3 * k) for k in range(120)]
    drawn = [[round(np.degrees(s.width)) for s in pairs_of(seams, 90.0, np.random.default_rng(k))] for k in (1, 2)]
    assert all(abs(w - 90) < 5 for w in drawn[0][:100]) and max(map(abs, np.array(drawn[0]) - 90)) <= 60
    firsts = [next(pairs_of(seams, 90.0, np.random.default_rng(k))).first for k in range(8)]
    assert len(set(firsts)) > 4


@pytest.mark.parametrize(("turn", "bent"), [(0.0, True), (0.9, True), (0.7, False)])
def test_pixels_beside_a_seam_are_those_of_single_rays(turn: float, bent: bool) -> None:
    size = (300, 400)
    lens = KannalaBrandt.from_focal(110.0, 110.0, 199.5, 149.5, size, [0.02, -0.004, 0.001, -0.0003])
    straight = Pinhole.from_focal(250.0, 250.0, 199.5, 149.5, size)
    sensor = CameraSensor(frame="c", model=lens if bent else straight)
    pose = se3(rotation_about("z", turn) @ rotation_about("y", 0.3), [0.0, 0.0, 0.0])
    pose = pose @ se3(rotation_about("z", -np.pi / 2) @ rotation_about("x", -np.pi / 2), [0.0, 0.0, 0.0])
    region = Region((Sector(seam(25.0), seam(70.0)),), np.eye(3))
    v, u = torch.meshgrid(*(torch.arange(float(n), dtype=torch.float64) for n in size), indexing="ij")
    x, y, _ = (sensor.unproject(torch.stack([u, v], -1)) @ pose[:3, :3].T).unbind(-1)
    azimuth = np.degrees(np.arctan2(y.numpy(), x.numpy()))
    expected = (azimuth >= 25) & (azimuth < 70)
    found = donor_pixels(sensor, pose, region, size).numpy()
    assert 0.02 < expected.mean() < 0.8 and (found != expected).sum() == 0


def test_numbers_of_objects_are_kept_apart() -> None:
    own, other = np.array([0, 1, 2, 7]), np.array([[0, 2], [3, 2]])
    assert numbered_apart(own, other).tolist() == [[0, 4], [3, 4]]
    times = torch.zeros(1, dtype=torch.int64)
    masks = {
        holds: SegmentationMask(frame="c", capture_times=times, items=(torch.zeros(2, 2, dtype=kind),), holds=holds)
        for holds, kind in (("class", torch.uint8), ("instance", torch.uint8), ("panoptic", torch.int32))
    }
    same = np.array([[3, 5], [255, 0]], np.uint8)
    assert np.array_equal(mask_apart(masks["class"], same, same), same)
    renamed = mask_apart(masks["instance"], same, same)
    assert renamed[1].tolist() == [255, 0] and not {3, 5} & {*renamed[0].tolist()} and renamed[0, 0] != renamed[0, 1]
    panoptic = np.array([[17, 4001], [4002, 9001]], np.int32)
    changed = mask_apart(masks["panoptic"], panoptic, panoptic)
    assert (changed // 1000 == panoptic // 1000).all() and changed[0, 0] == 17
    assert not set(changed.ravel().tolist()) & {4001, 4002, 9001}
    full = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with pytest.raises(DataError, match="no numbers for the objects"):
        mask_apart(masks["instance"], full, full)


def test_a_seam_is_where_one_camera_or_none_sees_it_and_no_box_stands() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[0]
    azimuths = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    surround = [n for n in sample.of_type(fa.Camera) if n.startswith("CAM")]
    scene = replace(scene_of(sample, sample, surround), corners=np.zeros((0, 16, 2)))
    free = [s is not None for s in scene.seams(azimuths)]
    assert 0.65 < np.mean(free) < 0.8
    both = replace(scene_of(sample, sample, [*surround, "FISHEYE_FRONT"]), corners=np.zeros((0, 16, 2)))
    assert 0.3 < np.mean([s is not None for s in both.seams(azimuths)]) < 0.5
    made = scene_of(sample, sample, surround)
    for found in filter(None, made.seams(azimuths)):
        side = found.side(made.corners)
        ahead = ((made.corners - np.array(found.apex)) @ found.direction > 0).any(1)
        assert not ((side.min(1) < 0) & (side.max(1) > 0) & ahead).any()


def test_clips_and_pictures_without_calibration_are_refused() -> None:
    sample = make_sample()
    camera = sample["CAM_FRONT"]
    twice = camera.take_items(torch.tensor([0, 0]))
    clip = sample.with_streams({**sample.streams, "CAM_FRONT": twice})
    with pytest.raises(DataError, match="clips are not mixed"):
        fa.SwapSector(captions="drop")(clip, resources={"donors": fa.Donors([make_sample("d")])})
    odd = sample.with_streams({**sample.streams, "EXTRA": camera})
    with pytest.raises(DataError, match="'EXTRA' has no pictures of a calibrated camera"):
        fa.SwapSector(captions="drop")(odd, resources={"donors": fa.Donors([make_sample("d")])})
    with pytest.raises(ConfigError, match="captions=drop"):
        fa.SwapSector(width_deg=40.0)(sample, resources={"donors": fa.Donors([make_sample("d")])})
