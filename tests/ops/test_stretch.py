"""Gaps that a moved camera sees, filled from their farther side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calib import CameraSensor, Pinhole
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.stretch import far_ends, far_rims, islands, rim_width
from fusion_aug.ops.view import moved_view
from fusion_aug.ops.warp import gather

pytestmark = pytest.mark.quick
SIZE, NEAR, FAR = (60, 100), 4.0, 20.0
FOCAL = 80.0


def test_a_gap_is_stretched_from_its_farther_end() -> None:
    known, distance = np.ones((6, 9), bool), np.full((6, 9), FAR)
    distance[:, :3] = NEAR
    known[1:4, 3:6] = False
    gaps, ends = far_ends(known, distance)
    assert sorted(map(tuple, gaps.tolist())) == [(v, u) for v in (1, 2, 3) for u in (3, 4, 5)]
    assert (distance[tuple(ends.T)] == FAR).all()
    by_gap = {tuple(g): tuple(e) for g, e in zip(gaps.tolist(), ends.tolist(), strict=True)}
    assert by_gap[2, 5] == (2, 6) and by_gap[1, 3] == (0, 3) and by_gap[3, 4] == (4, 4)  # the nearest of these
    assert (far_ends(np.zeros((2, 2), bool), np.zeros((2, 2)))[1] == -1).all()
    assert len(far_ends(np.ones((2, 2), bool), np.ones((2, 2)))[0]) == 0


def test_scraps_are_islands_and_posts_are_not() -> None:
    known = np.zeros((20, 30), bool)
    known[:, 15] = known[5, 2] = known[9:12, 4:6] = True
    assert [tuple(p) for p in np.argwhere(islands(known))] == [(5, 2), *((v, u) for v in (9, 10, 11) for u in (4, 5))]
    assert not islands(np.ones((4, 4), bool)).any() and not islands(np.zeros((4, 4), bool)).any()


def test_rims_lie_on_the_far_side_of_steps_and_not_on_planes() -> None:
    v = torch.arange(SIZE[0], dtype=torch.float32)[:, None].expand(SIZE)
    road = 60.0 / (v + 0.7)  # seen at a grazing angle, to the horizon
    assert not far_rims(road).any()
    step = torch.where(torch.arange(SIZE[1]) < 40, NEAR, FAR).expand(SIZE).contiguous()
    rims = far_rims(step)
    assert rims[:, 40].all() and not rims[:, :40].any() and not rims[:, 42:].any()
    assert [rim_width(w) for w in (100, 704, 1242, 1600)] == [1, 1, 2, 2]


@pytest.mark.parametrize("shift", [0.5, -0.5])
def test_behind_a_post_the_wall_goes_on(shift: float) -> None:
    """A bright post before a wall that darkens from left to right: no ghost of it, no black, all of it marked."""
    camera = CameraSensor(frame="c", model=Pinhole.from_focal(FOCAL, FOCAL, 49.5, 29.5, SIZE))
    rays = camera.unproject(pixel_grid(SIZE))
    u = pixel_grid(SIZE)[..., 0]
    post = (u >= 45) & (u < 55)
    depth = torch.where(post, NEAR, FAR)
    picture = torch.where(post, 250.0, 100 - u / 2).to(torch.float32)[..., None].expand(*SIZE, 3).contiguous()
    move = torch.eye(4, dtype=torch.float64)
    move[0, 3] = shift
    view = moved_view(camera, (depth / rays[..., 2]).to(torch.float32), move)
    by, wall = round(shift * FOCAL / NEAR), round(shift * FOCAL / FAR)  # pixels that both move, to the other side
    hidden = ~torch.isfinite(view.source).all(-1)
    out = gather(picture, view.stretched)[..., 0]
    middle = slice(10, 90)
    new_post = (u >= 45 - by) & (u < 55 - by)
    assert (out[:, middle] > 0).all() and (out[new_post] == 250).all()
    others = out[:, middle][~new_post[:, middle]]
    assert others.max() < 110  # of the post there is nothing else
    was_hidden = (u + wall >= 45) & (u + wall < 55) & ~new_post
    assert was_hidden.any() and hidden[was_hidden].all()
    true = 100 - (u + wall) / 2
    assert (out - true)[was_hidden].abs().max() <= 8  # stretched by less than the gap's ten pixels and rims
    edge = 0 if shift < 0 else -1  # beyond it the old picture ends
    assert hidden[:, edge].all() and (out[:, edge] == 0).all()
