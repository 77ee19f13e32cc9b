"""Map lines in drawn pictures: where the map is seen, and nowhere else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from places import DRIVE

import fusion_aug as fa
from fusion_aug.show.draw import BIRD, REACH, birds_eye, camera_tile
from fusion_aug.show.map_lines import draw_map, draw_map_from_above


@pytest.fixture(scope="module")
def sample() -> fa.Sample:
    return fa.open_log("nuscenes", DRIVE, map_range=50)[7]


@pytest.mark.quick
@pytest.mark.parametrize("camera", ["CAM_FRONT", "FISHEYE_FRONT"])
def test_lines_in_a_picture_are_where_the_map_is_seen(sample: fa.Sample, camera: str) -> None:
    elements = [e for e in sample["map"].elements() if e.category == "road_divider"]
    made = sample.with_streams(
        {**sample.streams, "map": fa.MapElements.of(elements, frame="ref", time=sample.ref.time)}
    )
    image = np.zeros((*sample.rig.camera(camera).size, 3), np.uint8)
    draw_map(image, made, camera, 1.0)
    found = np.argwhere(image.max(2) > 90)[:, ::-1]  # the middle of a line with soft edges
    dense = np.concatenate(
        [a + np.linspace(0, 1, 9000)[:, None] * (b - a) for e in elements for a, b in pairwise(e.parts[0])]
    )
    uv, visible = sample.project_ref(torch.from_numpy(dense[np.abs(dense[:, :2]).max(1) < 60]), camera)
    expected = np.unique(np.round(uv[visible].numpy()), axis=0)
    assert len(found) > 20
    apart = np.linalg.norm(found[:, None] - expected[None], axis=2)
    assert apart.min(1).max() < 1.6 and np.quantile(apart.min(0), 0.8) < 1.6


@pytest.mark.quick
def test_lines_from_above_are_at_their_places(sample: fa.Sample) -> None:
    square = np.array([[10.0, 5, 0], [20, 5, 0], [20, 15, 0], [10, 15, 0]])
    far = np.array([[0.0, 0, 0], [1e9, -1e9, 0]])  # must not overflow
    for parts, closed in ((square, True), (far, False)):
        element = fa.MapElement("ped_crossing", [parts], closed=closed)
        made = sample.with_streams({"map": fa.MapElements.of([element], frame="ref", time=sample.ref.time)})
        image = np.zeros((200, 200, 3), np.uint8)
        draw_map_from_above(image, made, lambda xy: 100 - 4 * xy[:, ::-1])
        rows, columns = np.nonzero(image.max(2) > 90)
        if closed:
            assert np.abs([rows.min() - 20, rows.max() - 60, columns.min() - 40, columns.max() - 80]).max() <= 1
            assert not image[25:55, 45:75].any()
        else:
            assert len(rows) > 50


@pytest.mark.quick
def test_pictures_with_and_without_a_map(sample: fa.Sample) -> None:
    bare = sample.with_streams({n: s for n, s in sample.streams.items() if n != "map"})
    assert (birds_eye(sample) != birds_eye(bare)).any() and BIRD / REACH > 0
    assert (camera_tile(sample, "CAM_FRONT") != camera_tile(bare, "CAM_FRONT")).any()
    empty = sample.with_streams({**bare.streams, "map": fa.MapElements.of([], frame="ref", time=sample.ref.time)})
    assert (birds_eye(empty) == birds_eye(bare)).all()
