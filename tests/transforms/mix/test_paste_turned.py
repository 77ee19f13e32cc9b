"""Objects that are turned about the LiDAR: its beams stay true, and another camera shows them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from places import DRIVE
from test_paste_objects import CLOUD, in_box, key_rows

import fusion_aug as fa
from fusion_aug.transforms.mix.paste_crops import Rectangle
from fusion_aug.transforms.mix.paste_turned import _closed, _splat  # kernels of the drawing


@cache
def turned() -> tuple[fa.Sample, fa.Sample, fa.Sample, dict[str, Any]]:
    log = fa.open_log("nuscenes", DRIVE)
    a, b = log[14], log[7]
    out = fa.PasteObjects(n=2.0, place="turn")(a, seed=3, resources={"donors": fa.Donors([b])})
    return a, b, out, out.history[0].params[""]


def test_returns_keep_their_rings_and_ranges() -> None:
    _, b, out, params = turned()
    after, theirs = key_rows(out), key_rows(b)
    new = after["number"] < 0
    assert params["objects"] and new.sum() >= 5 * len(params["objects"])
    step = np.radians(1.0)
    lookup = {(r, round(float(np.linalg.norm(x)), 3)) for r, x in zip(theirs["ring"], theirs["xyz"], strict=True)}
    came = [(r, round(float(np.linalg.norm(x)), 3)) for r, x in zip(after["ring"][new], after["xyz"][new], strict=True)]
    near = [any((r, round(d + k * 1e-3, 3)) in lookup for k in (-1, 0, 1)) for r, d in came]
    assert all(near)
    for told in params["objects"]:
        assert abs(told["turn"] / step - round(told["turn"] / step)) < 0.02 and abs(told["turn"]) > step / 2


def test_boxes_hold_their_returns_and_velocities_turn() -> None:
    a, b, out, params = turned()
    after = key_rows(out)
    new = after["number"] < 0
    owned = np.zeros(len(new), bool)
    rows = sorted(o["row"] for o in params["objects"])
    for k, row in enumerate(rows):
        place = a["boxes"].rows + k
        pose, size = out["boxes"]["pose"][place].numpy(), out["boxes"]["size"][place].numpy()
        inside = in_box(after["place"], pose, size, 0.12)
        assert new[inside & (after["place"][:, 2] > pose[2, 3] - size[2] / 2 + 0.3)].all() and (inside & new).sum() >= 5
        owned |= inside
        speeds = [float(x["boxes"]["velocity"][i].nan_to_num(0.0).norm()) for x, i in ((out, place), (b, row))]
        assert abs(speeds[0] - speeds[1]) < 1e-6
        far = [float(x["boxes"]["pose"][i, :3, 3].norm()) for x, i in ((out, place), (b, row))]
        assert abs(far[0] - far[1]) < 3.0  # the LiDAR stands a metre before the reference frame
    assert owned[new].all()


def test_pictures_show_them_where_their_boxes_are() -> None:
    a, _, out, params = turned()
    shown = 0
    for k in range(len(params["objects"])):
        pose = out["boxes"]["pose"][a["boxes"].rows + k]
        for name in out.of_type(fa.Camera):
            T = a.meta.T_ref(name, int(a[name].capture_times[0]))
            pixel, seen = a.rig.camera(name).project(((pose[:3, 3] - T[:3, 3]) @ T[:3, :3])[None])
            if bool(seen[0]):
                u, v = pixel[0].round().long().tolist()
                before, after = (s[name].image(0)[v - 1 : v + 2, u - 1 : u + 2].float() for s in (a, out))
                shown += bool((before - after).abs().mean() > 3)
    assert shown >= 1


@pytest.mark.quick
def test_the_nearest_is_seen_and_small_gaps_are_closed() -> None:
    pixels = np.array([[2.0, 3.0], [2.0, 3.0], [6.0, 3.0]])
    found = _splat(pixels, np.array([9.0, 4.0, 5.0]), Rectangle(0, 8, 0, 12))
    assert found[3, 2] == 4.0 and found[3, 6] == 5.0 and found[3, 4] == 0.0 and found.shape == (8, 12)
    closed = _closed(found)
    assert (closed[3, 2:8] > 0).all() and (closed[found > 0] == found[found > 0]).all()
    assert torch.from_numpy(closed[:, 10:]).max() == 0.0 and CLOUD
