"""CopyInstances: every return of a copy is one of the donor's, turned, on its own beam; what it hides is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from beams import OTHER, OWN, boxes_in_sensor, in_box, key_scan, marked, mixed_cells, street_pair, without_rings
from generic import assert_same_streams

import fusion_aug as fa
from fusion_aug.errors import ConfigError
from fusion_aug.transforms.mix.beam_scans import scan_pairs

LIDAR = "LIDAR_TOP"


@pytest.fixture(scope="module")
def street() -> tuple[fa.Sample, fa.Sample]:
    return street_pair()


@pytest.fixture(scope="module")
def outs(street: tuple[fa.Sample, fa.Sample]) -> list[fa.Sample]:
    mix = fa.CopyInstances(copies=5)
    return [mix(street[0], seed=k, resources={"donors": fa.Donors([street[1]])}) for k in range(4)]


def copies_of(out: fa.Sample) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = out.history[0].params[""]["copies"]
    return found


def outline(pose: np.ndarray, size: np.ndarray) -> tuple[Any, Any, float]:
    yaw = float(np.degrees(np.arctan2(pose[1, 0], pose[0, 0])))
    return (float(pose[0, 3]), float(pose[1, 3])), (float(size[0]), float(size[1])), yaw


def test_copies_are_the_donors_returns_turned_about_the_lidar(street, outs) -> None:  # type: ignore[no-untyped-def]
    sample, donor = street
    source = key_scan(donor, LIDAR)
    poses, sizes, _ = boxes_in_sensor(donor, LIDAR)
    columns = next(scan_pairs(sample, donor)).columns
    seen = 0
    for out in outs:
        scan = key_scan(out, LIDAR)
        there, _, theirs = boxes_in_sensor(out, LIDAR)
        assert theirs.sum() == len(copies_of(out)) >= 2
        come = []
        for pose, told in zip(there[theirs], copies_of(out), strict=True):
            angle = 2 * np.pi * told["columns"] / columns
            c, s = np.cos(angle), np.sin(angle)
            R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
            own, size = poses[told["object"]], sizes[told["object"]]
            assert np.allclose(R @ own[:3, :3], pose[:3, :3], atol=1e-9)
            assert np.allclose(R @ own[:3, 3], pose[:3, 3], atol=1e-9)
            rows = in_box(source["xyz"], own, size)
            here = in_box(scan["xyz"], pose, size)
            assert (scan["mark"][here] == OTHER).all(), "what the receiver had in the box is gone"
            expected = np.column_stack([source["xyz"][rows] @ R.T, source["ring"][rows]])
            found = np.column_stack([scan["xyz"][here], scan["ring"][here]])
            apart = np.abs(found[:, None] - expected[None]).max(2)
            assert len(found) >= 5 and (apart.min(1) < 1e-4).all(), "on a ring of its own, at its own elevation"
            assert (np.sort(apart.argmin(1))[1:] > np.sort(apart.argmin(1))[:-1]).all(), "each once"
            come.append(here)
            seen += len(found)
        assert np.array_equal(np.any(come, axis=0), scan["mark"] == OTHER), "nothing of the donor beside the copies"
    assert seen > 100


def test_along_a_beam_the_nearer_one_is_left(street, outs) -> None:  # type: ignore[no-untyped-def]
    sample, donor = street
    columns = next(scan_pairs(sample, donor)).columns
    behind = left = 0
    for out in outs:
        scan, before = key_scan(out, LIDAR), key_scan(sample, LIDAR)
        assert mixed_cells(scan, columns) == 0
        poses, sizes, theirs = boxes_in_sensor(out, LIDAR)
        kept = {tuple(x) for x in scan["xyz"][scan["mark"] == OWN].tolist()}
        for pose, size in zip(poses[theirs], sizes[theirs], strict=True):
            # rays of the receiver that cross the middle of the box and end behind it; people are narrower than boxes
            towards = before["xyz"][:, :2] @ pose[:2, 3] > 0.97 * np.linalg.norm(
                before["xyz"][:, :2], axis=1
            ) * np.linalg.norm(pose[:2, 3])
            ends = before["xyz"][towards].astype(float)
            steps = np.linspace(0, 1, 120)[:, None, None] * ends
            crosses = in_box(steps.reshape(-1, 3), pose, size * [0.2, 0.2, 0.5]).reshape(120, -1).any(0)
            rows = np.flatnonzero(crosses & ~in_box(ends, pose, size))
            behind += len(rows)
            left += sum(tuple(x) in kept for x in before["xyz"][towards][rows].tolist())
    assert behind > 100 and left <= 0.05 * behind, (behind, left)  # some of the donor's beams passed between legs


def test_copies_stand_where_nothing_is(street, outs) -> None:  # type: ignore[no-untyped-def]
    ground = key_scan(street[0], LIDAR)["xyz"].astype(float)
    for out in outs:
        poses, sizes, theirs = boxes_in_sensor(out, LIDAR)
        for k in np.flatnonzero(theirs):
            for other in range(len(poses)):
                if other != k:
                    meet, area = cv2.rotatedRectangleIntersection(
                        outline(poses[k], sizes[k]), outline(poses[other], sizes[other])
                    )
                    assert meet == cv2.INTERSECT_NONE or cv2.contourArea(area) < 1e-3
            beside = np.hypot(*(ground[:, :2] - poses[k, :2, 3]).T) < max(sizes[k, :2]) / 2 + 1.5
            low = ground[beside, 2].min(initial=np.inf)
            bottom = poses[k, 2, 3] - sizes[k, 2] / 2
            assert not np.isfinite(low) or abs(low - bottom) < 0.5, "on the ground"
        lost = 1 - np.isin(key_scan(street[0], LIDAR)["xyz"][:, 0], key_scan(out, LIDAR)["xyz"][:, 0]).mean()
        assert lost < 0.2


def test_labels_follow(street, outs) -> None:  # type: ignore[no-untyped-def]
    sample, donor = street
    for out in outs:
        boxes, n = out["boxes"], sample["boxes"].rows
        assert list(boxes["instance"][:n]) == list(sample["boxes"]["instance"])
        rows = [c["object"] for c in copies_of(out)]
        assert list(boxes["category"][n:]) == list(donor["boxes"]["category"][rows])
        assert torch.equal(boxes["size"][n:], donor["boxes"]["size"][rows])
        speeds = boxes["velocity"][n:].norm(dim=1), donor["boxes"]["velocity"][rows].norm(dim=1)
        assert torch.allclose(*speeds, atol=1e-9, equal_nan=True)
        assert len(set(boxes["instance"])) == boxes.rows and set(boxes["record"][n:]) == {""}


def test_replays_and_beams_without_a_column(street, outs) -> None:  # type: ignore[no-untyped-def]
    resources = {"donors": fa.Donors([street[1]])}
    assert_same_streams(outs[0], fa.replay(street[0], outs[0].history, resources=resources))
    plain = [without_rings(s, LIDAR) for s in street]
    out = fa.CopyInstances(copies=5)(plain[0], seed=0, resources={"donors": fa.Donors([plain[1]])})
    assert copies_of(out) == copies_of(outs[0])
    a, b = (key_scan(o, LIDAR) for o in (out, outs[0]))
    same = [np.unique(np.column_stack([s["xyz"], s["mark"]]), axis=0) for s in (a, b)]
    assert np.array_equal(*same)


def test_labels_of_points_tell_objects_where_there_are_no_boxes(street) -> None:  # type: ignore[no-untyped-def]
    def labelled(sample: fa.Sample) -> fa.Sample:
        cloud, scan = sample[LIDAR], key_scan(sample, LIDAR)
        instance = torch.zeros(cloud.rows, dtype=torch.int64)
        poses, sizes, _ = boxes_in_sensor(sample, LIDAR)
        rows = cloud.item_slice(sample.key_item(LIDAR))
        for k, (pose, size) in enumerate(zip(poses, sizes, strict=True)):
            instance[rows][torch.from_numpy(in_box(scan["xyz"], pose, size))] = k + 1
        held = cloud.with_values(instance=instance, label=(instance > 0).long())
        named = replace(held, label_names=("road", "car"))
        return sample.with_streams({n: s for n, s in {**sample.streams, LIDAR: named}.items() if n != "boxes"})

    sample, donor = (labelled(s) for s in street)
    donors = fa.Donors([donor])
    out = fa.CopyInstances(classes=["car"], copies=4)(sample, seed=1, resources={"donors": donors})
    scan = key_scan(out, LIDAR)
    theirs = scan["mark"] == OTHER
    ids = set(scan["instance"][theirs].tolist())
    assert theirs.sum() > 10 and len(ids) == len(copies_of(out)) and not ids & {0, *sample[LIDAR]["instance"].tolist()}
    assert set(scan["label"][theirs].tolist()) == {1} and "boxes" not in out.streams
    none = fa.CopyInstances(classes=["bus"])(sample, seed=1, resources={"donors": donors})
    assert copies_of(none) == [] and "no object of bus with 5 returns" in none.history[0].params[""]["why"]


def test_real_scans(real_data: Path) -> None:
    """A cloud that was cut to a camera's view has no place outside of it; two scanners have no common axis."""
    kitti = marked(fa.open_log("kitti", real_data / "kitti")[0], OWN)
    donors = fa.Donors([marked(kitti, OTHER)])
    view = np.abs(np.arctan2(*key_scan(kitti, "velodyne")["xyz"][:, 1::-1].T)).max()
    for seed in range(3):
        out = fa.CopyInstances(copies=3, least_points=20)(kitti, seed=seed, resources={"donors": donors})
        scan = key_scan(out, "velodyne")
        assert np.abs(np.arctan2(*scan["xyz"][:, 1::-1].T)).max() <= view + 1e-3
    two = marked(fa.open_log("argoverse2", real_data / "argoverse2" / "val")[0], OWN)
    with pytest.raises(ConfigError, match=r"several LiDARs \(up_lidar, down_lidar\)"):
        fa.CopyInstances()(two, resources={"donors": fa.Donors([two])})


@pytest.mark.quick
def test_fields_are_checked() -> None:
    with pytest.raises(ConfigError, match="least_points: expected a whole number from 1 on, got 0"):
        fa.CopyInstances(least_points=0)
