"""Kernels of rows on a device, by oracles of their own: points in boxes, the first point of a cell, own velocities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.device.rows import roomy
from fusion_aug.errors import DataError
from fusion_aug.ops.boxes_many import in_some_box
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.ops.radar import sensor_velocity, velocity_of_many
from fusion_aug.ops.voxels import first_in_cells
from fusion_aug.testing import mock_device


@pytest.mark.quick
def test_points_in_boxes_are_those_of_the_cpu() -> None:
    rng = np.random.default_rng(3)
    sample = make_sample(gels=False, boxes=40)
    poses, sizes = sample["boxes"]["pose"], sample["boxes"]["size"]
    xyz = torch.from_numpy(rng.uniform([-25, -20, -1], [35, 20, 3], (3000, 3)))
    corner = (poses[0] @ torch.cat([sizes[0] / 2, torch.ones(1)]))[:3]
    xyz[:3] = torch.stack([corner, corner + 1e-4, torch.full((3,), math.nan)])
    chosen = torch.from_numpy(rng.random(40) < 0.7)
    chosen[0] = True
    expected = torch.zeros(3000, dtype=torch.bool)
    for k, rows in enumerate(points_in_boxes(xyz, poses, sizes)):
        expected[rows] |= bool(chosen[k])
    assert expected[0] and not expected[1:3].any() and expected.sum() > 50
    found = in_some_box(xyz.view(2, 1500, 3), *(x.expand(2, *x.shape) for x in (poses, sizes, chosen)))
    assert torch.equal(found.flatten(), expected)


@pytest.mark.quick
def test_the_first_row_of_every_cell() -> None:
    rng = np.random.default_rng(5)
    places = torch.from_numpy(rng.uniform(-3, 3, (400, 3)))
    places[:2] = torch.tensor([[1.0 - 1e-9, 0.2, 0.2], [1.0 + 1e-9, 0.3, 0.3]])  # one cell: a tie goes up
    items, drawn = torch.arange(400) // 250, torch.from_numpy(rng.permutation(400))
    there = torch.from_numpy(rng.random(400) < 0.9)
    there[:2] = True
    places[5] = math.nan
    there[5] = False
    best: dict[tuple[int, ...], int] = {}
    for row in torch.argsort(drawn).tolist():
        if there[row]:
            best.setdefault((int(items[row]), *np.floor(places[row].numpy() + 1e-6).astype(int)), row)
    found = first_in_cells(places, items, drawn, there)
    assert sorted(best.values()) == found.nonzero()[:, 0].tolist() and int(found[:2].sum()) <= 1


@pytest.mark.quick
def test_velocities_of_many_radars_by_their_detections() -> None:
    rng = np.random.default_rng(7)
    own = np.array([[3.0, -1.0, 0.0], [8.0, 2.0, 0.0], [0.5, 0.5, 0.0]])
    angle = rng.uniform(-1, 1, (3, 12))
    angle[2] = 0.4  # on a line: the part along it is known, and no more
    rays = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle), 0 * angle], 2))
    gap = torch.from_numpy(np.einsum("nwk,nk->nw", rays.numpy(), own))
    there = torch.ones(3, 12, dtype=torch.bool)
    gap[0, 3], there[1, 4:] = math.nan, False
    found, known = velocity_of_many(rays, gap, there)
    for k in range(3):
        comp = rays[k] * gap[k, :, None]
        alone = {"xyz": rays[k] * 10, "velocity": torch.zeros_like(comp), "velocity_comp": comp}
        expected = sensor_velocity({n: v[there[k]] for n, v in alone.items()})
        assert known[k] and torch.allclose(found[k], expected, atol=1e-9)
    few = velocity_of_many(rays[:1], gap[:1], there[:1] & (torch.arange(12) < 2))[1]
    assert not few.any()


@pytest.mark.quick
def test_longest_clouds_that_are_alike_are_the_same_to_a_compiler() -> None:
    rooms = {n: roomy(n) for n in (0, 1, *range(2, 5000, 7))}
    assert all(n <= room <= n * 1.25 + 1 for n, room in rooms.items())
    assert len({roomy(n) for n in range(30_000, 60_000)}) <= 6 and roomy(34_000) == roomy(36_000)


@pytest.mark.quick
@pytest.mark.parametrize(("number", "told"), [(2, "number 2"), (-1, "number -1")])
def test_points_of_scanners_that_nobody_named_are_refused_before_a_copy(number: int, told: str) -> None:
    sample = make_sample(gels=False)
    cloud = sample["lidar"]
    which = torch.arange(cloud.rows) % 2
    which[3] = number
    values = {**cloud.values, "origin": which}
    given = {n: getattr(cloud, n) for n in ("frame", "capture_times", "sample_index", "offsets")}
    wrong = fa.Lidar(**given, values=values, origins=("lidar", "radar"))
    with mock_device() as log:
        with pytest.raises(DataError, match=f"'lidar': its column 'origin' has the {told}, but its 2 scanners"):
            sample.with_streams({**sample.streams, "lidar": wrong}).to(log.device)
        assert not log.copies_in
