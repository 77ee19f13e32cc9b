"""Labels in pictures: points by class, masks over pictures, occupancy from above."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from samples import T0, make_sample

import fusion_aug as fa
from fusion_aug.show.draw import BIRD, PAPER, REACH, birds_eye, camera_tile
from fusion_aug.show.labels import label_colours

PER_METRE = BIRD / 2 / REACH


def only(sample: fa.Sample, *names: str, **more: fa.Stream) -> fa.Sample:
    return sample.with_streams({**{n: sample[n] for n in names}, **more})


def test_every_class_has_its_colour_and_nobody_is_gray() -> None:
    colours = label_colours(np.arange(-1, 40)).astype(int)
    assert colours[0].tolist() == [110, 110, 110]
    apart = np.linalg.norm(colours[1:, None] - colours[None, 1:], axis=2) + 1e3 * np.eye(40)
    assert apart.min() > 3 and np.abs(colours[1:] - colours[0]).max(1).min() > 40


def test_points_have_the_colours_of_their_classes() -> None:
    sample = make_sample(boxes=0, points=300)
    cloud = sample["lidar"]
    labels = torch.full((cloud.rows,), 3)
    labelled = cloud.with_values(label=labels, instance=torch.zeros_like(labels))
    plain, marked = (birds_eye(only(sample, lidar=c)) for c in (cloud, labelled))
    new = np.any(plain != marked, axis=2)
    assert new.sum() > 50
    assert (marked[new] == label_colours(np.array([3]))[0]).all()


def test_a_mask_tints_its_own_pixels() -> None:
    sample = make_sample(size=(96, 128), boxes=0)
    mask = torch.full((96, 128), 255, dtype=torch.uint8)
    mask[20:60, 30:90] = 4
    masks = replace(sample["CAM_LEFT/mask"], items=(mask,))
    plain = camera_tile(only(sample, "CAM_LEFT"), "CAM_LEFT", width=256).astype(int)
    tinted = camera_tile(only(sample, "CAM_LEFT", **{"CAM_LEFT/mask": masks}), "CAM_LEFT", width=256).astype(int)
    changed = np.any(plain != tinted, axis=2)
    changed[:22] = False  # the name of the camera
    expected = np.zeros_like(changed)
    expected[40:120, 60:180] = True
    expected[:22] = False
    assert (changed == expected).mean() > 0.995
    mixed = plain * 0.55 + label_colours(np.array([4]))[0] * 0.45
    assert np.abs(tinted - mixed)[expected & changed].max() <= 1
    other = replace(masks, frame="CAM_RIGHT", camera="CAM_RIGHT")
    assert np.array_equal(camera_tile(only(sample, "CAM_LEFT", other=other), "CAM_LEFT", width=256), plain)


def grids(sample: fa.Sample) -> fa.Sample:
    """One block of class 2 that is 4 m long and 2 m wide, ahead on the left, under free cells."""
    label = np.full((1, 40, 40, 4), 17, np.uint8)
    label[0, 30:34, 28:30, :2] = 2
    label[0, :5, :5] = 255
    occupancy = fa.Occupancy(
        frame="ref", capture_times=[T0], values={"label": label}, low=(-20.0, -20.0, -1.0), cell=(1.0, 1.0, 1.0),
        free=17, label_names=("",) * 2 + ("car",) + ("",) * 14 + ("free",),
    )  # fmt: skip
    return only(sample, occupancy=occupancy)


def test_cells_lie_where_they_are_from_above() -> None:
    sample = grids(make_sample(boxes=0))
    empty = birds_eye(only(sample)).astype(int)
    changed = np.any(birds_eye(sample) != empty, axis=2)
    changed[:22] = changed[-40:] = False  # text
    v, u = np.nonzero(changed)
    middle = (BIRD / 2 - np.array([v.mean(), u.mean()])) / PER_METRE  # x, y
    assert np.allclose(middle, [12.0, 9.0], atol=0.15)
    assert abs(changed.sum() / PER_METRE**2 - 8.0) < 1.0, "square metres"
    assert tuple(empty[300, 100]) == PAPER
    turned = fa.RotateScene(yaw_deg=90.0)(sample)
    v, u = np.nonzero(np.any(birds_eye(turned)[22:-40] != empty[22:-40], axis=2))
    middle = (BIRD / 2 - np.array([v.mean() + 22, u.mean()])) / PER_METRE
    assert np.allclose(middle, [-9.0, 12.0], atol=0.15)


def test_the_legend_names_the_classes_of_masks() -> None:
    sample = make_sample(size=(48, 64), boxes=0)
    mask = replace(sample["CAM_LEFT/mask"], items=(torch.full((48, 64), 2, dtype=torch.uint8),))
    plain, without, named = (
        birds_eye(only(sample, mask=replace(mask, label_names=names))) for names in ((), ("a", "b"), ("a", "b", "tram"))
    )
    assert np.array_equal(plain, without), "classes without a name have no entry"
    rows, columns = np.nonzero(np.any(plain != named, axis=2))
    assert len(rows) and rows.min() > BIRD - 30 and columns.max() < 50
    colour = label_colours(np.array([2]))[0].astype(int)
    assert np.abs(named[rows, columns].astype(int) - colour).sum(1).min() < 60


def test_a_legend_names_every_class_that_has_room() -> None:
    sample = make_sample(size=(48, 64), boxes=0)
    names = tuple(f"class{i}" for i in range(60))
    mask = torch.arange(48 * 64, dtype=torch.int64).reshape(48, 64)

    def rows_of(count: int) -> int:
        shown = replace(sample["CAM_LEFT/mask"], items=((mask % count).to(torch.uint8),), label_names=names)
        plain = birds_eye(only(sample, mask=replace(shown, label_names=())))
        v = np.flatnonzero(np.any(plain != birds_eye(only(sample, mask=shown)), axis=2).any(1))
        return len(set(((BIRD - 8 - v) // 15).tolist()) - {-1})

    assert rows_of(20) == 20 and rows_of(60) == (BIRD - 60) // 15, "the last one counts the others"
