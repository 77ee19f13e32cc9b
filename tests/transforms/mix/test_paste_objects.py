"""Pasted objects: which they are, what they hide, what hides them, and what every sensor says of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from generic import assert_same_streams
from places import DRIVE

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.transforms.mix.paste_objects import Boxed
from fusion_aug.transforms.mix.paste_places import crossings, overlap

CLOUD = "LIDAR_TOP"


@cache
def log() -> Any:
    return fa.open_log("nuscenes", DRIVE)


@cache
def pasted(receiver: int = 3, donor: int = 14) -> tuple[fa.Sample, fa.Sample, fa.Sample, dict[str, Any]]:
    """A sample, its donor, what came of them and the record's parameters."""
    a, b = log()[receiver], log()[donor]
    out = fa.PasteObjects(n=10.0)(a, seed=1, resources={"donors": fa.Donors([b])})
    return a, b, out, out.history[0].params[""]


def in_box(xyz: np.ndarray, T: np.ndarray, size: np.ndarray, grown: float) -> np.ndarray:
    local = np.linalg.solve(T, np.column_stack([xyz, np.ones(len(xyz))]).T)[:3].T
    return (np.abs(local) <= size / 2 + grown).all(1)


def key_rows(sample: fa.Sample) -> dict[str, np.ndarray]:
    """Columns of the key scan, its places in the reference frame too."""
    cloud, item = sample[CLOUD].loaded(), sample.key_item(CLOUD)
    rows = cloud.item_slice(item)
    T = sample.meta.T_ref(CLOUD, int(cloud.capture_times[item])).numpy()
    found = {n: v[rows].numpy() for n, v in cloud.values.items()}
    place = found["xyz"].astype(float) @ T[:3, :3].T + T[:3, 3]
    return found | {"place": place, "beam": np.stack([found["ring"], np.round(found["time_offset"] * 7200)], 1),
                    "number": cloud.row_numbers[rows].numpy()}  # fmt: skip


def test_boxes_come_with_names_of_their_own() -> None:
    a, b, out, params = pasted()
    rows = [o["row"] for o in params["objects"]]
    mine, boxes = a["boxes"], out["boxes"]
    assert len(rows) >= 3 and boxes.rows == mine.rows + len(rows)
    assert torch.equal(boxes["pose"][: mine.rows], mine["pose"])
    assert torch.equal(boxes["pose"][mine.rows :], b["boxes"]["pose"][sorted(rows)])
    added = boxes["instance"][mine.rows :].tolist()
    assert len({*added}) == len(rows) and not {*added} & {*b["boxes"]["instance"], *mine["instance"]}
    assert set(boxes["record"][mine.rows :]) == {""}
    corners = boxes.corners().numpy()
    for k in range(mine.rows, boxes.rows):  # nothing else stands within the outline
        inside = in_box(corners.reshape(-1, 3), boxes["pose"][k].numpy(), boxes["size"][k].numpy(), 0.0)
        assert set(np.flatnonzero(inside.reshape(-1, 8).any(1))) <= {k}


def test_predicted_boxes_go_back_to_the_sample_that_they_stand_in() -> None:
    a, b, out, params = pasted()
    found = fa.invert(out["boxes"], out.history)
    count = len(params["objects"])
    assert found["sample"].tolist() == [a.id] * a["boxes"].rows + [b.id] * count
    assert torch.equal(found["pose"], out["boxes"]["pose"])


def test_one_return_remains_along_every_beam() -> None:
    a, _, out, params = pasted()
    before, after = key_rows(a), key_rows(out)
    new = after["number"] < 0
    assert new.sum() >= 5 * len(params["objects"])
    counts = np.unique(after["beam"], axis=0, return_counts=True)[1]
    assert (counts > 1).mean() < 1e-3  # firings of the two drives differ by their motion
    hidden = ~np.isin(np.arange(len(before["number"])), after["number"][~new])
    far = {tuple(k): np.linalg.norm(x) for k, x in zip(after["beam"][new], after["xyz"][new], strict=True)}
    along = [far.get(tuple(k)) for k in before["beam"][hidden]]
    nearer = [f is not None and f < np.linalg.norm(x) + 0.1 for f, x in zip(along, before["xyz"][hidden], strict=True)]
    assert hidden.sum() > 20 and np.mean(nearer) > 0.95  # the rest lies in gaps


def test_an_object_has_its_own_returns_and_no_others() -> None:
    _, b, out, params = pasted()
    theirs, after = key_rows(b), key_rows(out)
    new = after["number"] < 0
    owned = np.zeros(len(new), bool)
    for told in params["objects"]:
        T, size = b["boxes"]["pose"][told["row"]].numpy(), b["boxes"]["size"][told["row"]].numpy()
        there = in_box(theirs["place"], T, size, 0.1)
        high = theirs["place"][there, 2] > T[2, 3] - size[2] / 2 + 0.15
        here = in_box(after["place"], T, size, 0.11)
        owned |= here
        came = {tuple(np.round(p, 3)) for p in after["place"][here & new]}
        assert came <= {tuple(np.round(p, 3)) for p in theirs["place"][there]}
        assert len(came) > 0.9 * high.sum()
        body = here & (after["place"][:, 2] > T[2, 3] - size[2] / 2 + 0.3)
        assert new[body].all()  # no return of the receiver's is left in it
    assert owned[new].all()


def test_detections_come_with_the_receivers_own_motion() -> None:
    _, _, out, _ = pasted(3, 1)
    came = 0
    for name in out.of_type(fa.Radar):
        cloud = out[name].loaded()
        numbers, item = cloud.row_numbers, cloud.row_item
        xyz = cloud["xyz"].double().numpy()
        ray = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
        gap = ((cloud["velocity"] - cloud["velocity_comp"]).double().numpy() * ray).sum(1)
        for k in range(len(cloud)):
            own, new = ((item == k) & (numbers >= 0)).numpy(), ((item == k) & (numbers < 0)).numpy()
            velocity = np.linalg.lstsq(ray[own][:, :2], gap[own], rcond=None)[0]  # of the radar, by its own detections
            assert np.abs(ray[own][:, :2] @ velocity - gap[own]).max() < 1e-3
            assert np.abs(ray[new][:, :2] @ velocity - gap[new]).max(initial=0.0) < 1e-3
            came += int(new.sum())
    assert came > 0


def test_pictures_change_where_objects_and_their_shadows_are() -> None:
    a, b, out, params = pasted()
    changed_in = 0
    for name, stream in out.of_type(fa.Camera).items():
        before, after = a[name].image(0).numpy(), stream.image(0).numpy()
        changed = (before != after).any(-1)
        near = np.zeros(changed.shape, bool)
        sensor = a.rig.camera(name)
        T = a.meta.T_ref(name, int(a[name].capture_times[0])).numpy()
        for told in params["objects"]:
            pose, size = b["boxes"]["pose"][told["row"]].numpy(), b["boxes"]["size"][told["row"]].numpy()
            grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3), -1).reshape(-1, 3) * (size / 2 + 2.3)
            places = grid @ pose[:3, :3].T + pose[:3, 3]
            local = torch.from_numpy((places - T[:3, 3]) @ T[:3, :3])
            pixels, seen = sensor.project(local)
            ahead = pixels[sensor.model.valid(local)].numpy()
            if bool(seen.any()):
                (left, top), (right, bottom) = ahead.min(0) - 5, ahead.max(0) + 7
                rows, columns = (slice(max(0, int(p)), max(0, int(q))) for p, q in ((top, bottom), (left, right)))
                near[rows, columns] = True
        assert not (changed & ~near).any()
        changed_in += bool(changed.any())
    assert changed_in >= 2


def test_depth_follows_and_classes_too() -> None:
    a, _, out, _ = pasted(14, 1)
    before, after = a["CAM_FRONT/depth"].image(0), out["CAM_FRONT/depth"].image(0)
    shown = [n for n in out.of_type(fa.Depth) if not torch.equal(a[n].image(0), out[n].image(0))]
    assert shown, "no depth stream saw the object"
    for name in shown:
        before, after = a[name].image(0), out[name].image(0)
        where = before != after
        assert torch.equal(after[where], torch.zeros(int(where.sum())))  # this donor has no depth: it is unknown there
        camera = a[name].camera
        assert bool((out[camera].image(0) != a[camera].image(0)).any(-1)[where].float().mean() > 0.9)
        classes = out[f"{camera}/classes"].image(0)
        assert bool((classes[where] == out[f"{camera}/classes"].ignore).all())


def test_what_comes_is_drawn_by_key_and_replayed() -> None:
    a, b, out, _ = pasted()
    donors = {"donors": fa.Donors([b])}
    assert_same_streams(out, fa.replay(a, out.history, resources=donors))
    paste = fa.PasteObjects(n=1.0)
    rows = {paste(a, seed=s, resources=donors).history[0].params[""]["objects"][0]["row"] for s in range(3)}
    assert len(rows) > 1
    cars = fa.PasteObjects(n=2.0, classes=("vehicle.*",))(a, seed=1, resources=donors)
    assert {*cars["boxes"]["category"][a["boxes"].rows :]} == {"vehicle.car"}


def test_where_nothing_finds_a_place_the_sample_stays_and_the_record_says_why() -> None:
    a, b = log()[7], log()[14]
    out = fa.PasteObjects(n=3.0)(a, seed=1, resources={"donors": fa.Donors([b])})
    params = out.history[0].params[""]
    assert params["objects"] == [] and "boxes can be pasted; of the last, " in params["why"]
    assert all(out[n] is a[n] for n in a.streams)
    many = fa.PasteObjects(n=9.0, least_points=100_000)(log()[3], resources={"donors": fa.Donors([b])})
    assert many.history[0].params[""]["objects"] == []


@pytest.mark.quick
def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match=r"PasteObjects.place: 'there' is not one of"):
        fa.PasteObjects(place="there")
    with pytest.raises(ConfigError, match=r"PasteObjects.least_points: expected a whole number above 0, got 0"):
        fa.PasteObjects(least_points=0)
    with pytest.raises(DataError, match="class bus"):
        fa.PasteObjects(classes=("bus",))(log()[3], resources={"donors": fa.Donors([log()[14]])})


@pytest.mark.quick
def test_lines_cross_boxes_where_points_on_them_lie_inside() -> None:
    rng = np.random.default_rng(0)
    angle = 0.7
    T = np.eye(4)
    T[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    T[:3, 3] = [3.0, 1.0, 0.5]
    size, eye = np.array([2.0, 1.0, 1.5]), np.array([-2.0, 0.0, 0.4])
    ways = rng.normal(size=(300, 3)) + np.array([4.0, 1, 0])
    enter, leave = crossings(eye, ways, T, size)
    steps = np.linspace(-3, 5, 4001)
    for k in range(300):
        inside = steps[in_box(eye + steps[:, None] * ways[k], T, size, 0.0)]
        if len(inside) > 1:
            assert abs(enter[k] - inside[0]) < 3e-3 and abs(leave[k] - inside[-1]) < 3e-3
        else:
            assert leave[k] - enter[k] < 3e-3


@pytest.mark.quick
def test_outlines_meet_where_points_of_one_lie_in_the_other() -> None:
    rng = np.random.default_rng(1)
    a, found = np.eye(4), set()
    size = np.array([4.0, 2.0, 1.5])
    for _ in range(200):
        b = np.eye(4)
        turn = rng.uniform(-3, 3)
        b[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        b[:2, 3] = rng.uniform(-6, 6, 2)
        grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 41)] * 2), -1).reshape(-1, 2) * size[:2]
        places = np.column_stack([grid @ b[:2, :2].T + b[:2, 3], np.zeros(len(grid))])
        inside, clear = (in_box(places, a, size, grown).any() for grown in (0.15, 0.6))
        assert overlap(a, size, b, size) >= inside
        assert overlap(a, size, b, size) <= clear
        found.add(bool(inside))
    assert found == {True, False}


def test_ground_is_found_around_a_box() -> None:
    boxed = Boxed(log()[3])
    heights = [boxed.ground_at(boxed.poses[k], boxed.sizes[k]) for k in range(len(boxed.poses))]
    known = [abs(h + s[2] / 2) for h, s in zip(heights, boxed.sizes, strict=True) if h is not None]
    assert len(known) > 15 and np.median(known) < 0.05


def test_labels_of_returns_come_with_numbers_that_nobody_else_has() -> None:
    a, b, out, _ = pasted()
    before, after, theirs = key_rows(a), key_rows(out), key_rows(b)
    new = after["number"] < 0
    assert not {*after["instance"][new & (after["instance"] > 0)]} & {*before["instance"]}
    lookup = {
        tuple(np.round(p, 3)): (i, k)
        for p, i, k in zip(theirs["place"], theirs["instance"], theirs["label"], strict=True)
    }
    pairs = set()
    for place, instance, label in zip(after["place"][new], after["instance"][new], after["label"][new], strict=True):
        number, kind = lookup[tuple(np.round(place, 3))]
        assert label == kind
        pairs.add((number, instance))
    assert len({p[0] for p in pairs}) == len(pairs) == len({p[1] for p in pairs})  # one number for one
