"""Labels of the sample log's points: true of the street, and beside their points after every transform of clouds."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from cases import CASES
from generic import Case, build, only
from labelled_nuscenes import cloud_of, keyframes, labels_of
from nuscenes_files import matrix, tables
from places import DRIVE

import fusion_aug as fa
from fusion_aug.core.registry import handler_for, own_transforms
from fusion_aug.logs.nuscenes.writer import NuscenesWriter
from fusion_aug.streams.families import Weather

NUMBER = "number of the point"  # a column of nobody's, which transforms carry along
NEEDS = {"MirrorRobot"}  # a robot
FIRST = {name: cases[0] for name, cases in CASES.items() if cases}  # one setting of each is enough


@pytest.fixture(scope="module")
def drive() -> dict[str, dict]:
    return tables(DRIVE)


@pytest.fixture(scope="module")
def log() -> fa.Log:
    return fa.open_log("nuscenes", DRIVE, exclude=["CAM_*", "RADAR_*"])


def test_every_keyframe_has_labels_of_each_point(drive: dict) -> None:
    records = {t: {row["sample_data_token"] for row in drive[t].values()} for t in ("lidarseg", "panoptic")}
    keys = {row["token"] for row in keyframes(drive).values()}
    assert len(keys) == 21 and records == {"lidarseg": keys, "panoptic": keys}
    named = {row["index"] for row in drive["category"].values()}
    seen: set[int] = set()
    for row in keyframes(drive).values():
        found, points = labels_of(DRIVE, drive, row["token"]), len(cloud_of(DRIVE, row))
        assert len(found["lidarseg"]) == len(found["panoptic"]) == points
        seen |= set(found["lidarseg"].tolist())
        whole = found["panoptic"] > 0
        assert np.array_equal(found["panoptic"][whole] // 1000, found["lidarseg"][whole])
    assert seen <= named and len(seen) >= 7 and 0 not in seen, "no point of a clear day is noise"


def world_points(drive: dict, row: dict) -> np.ndarray:
    """(n, 3) points of a record in the world, by its own calibration."""
    mounted = matrix(drive["calibrated_sensor"][row["calibrated_sensor_token"]])
    T = matrix(drive["ego_pose"][row["ego_pose_token"]]) @ mounted
    return cloud_of(DRIVE, row)[:, :3] @ T[:3, :3].T + T[:3, 3]


def test_objects_lie_in_their_boxes_and_the_road_in_its_area(drive: dict) -> None:
    """Boxes by their table, the road by the polygon of the vector map, both with NumPy and OpenCV alone."""
    index = {row["name"]: row["index"] for row in drive["category"].values()}
    category = {t: drive["category"][row["category_token"]]["index"] for t, row in drive["instance"].items()}
    layers = json.loads(next((DRIVE / "maps/expansion").glob("*.json")).read_text())
    nodes = {n["token"]: (n["x"], n["y"]) for n in layers["node"]}
    polygons = {p["token"]: p["exterior_node_tokens"] for p in layers["polygon"]}
    area = [nodes[n] for n in polygons[layers["drivable_area"][0]["polygon_tokens"][0]]]
    outline = np.round(np.array(area, np.float64) * 1024).astype(np.int64)
    for sample, row in list(keyframes(drive).items())[::5]:
        xyz, found = world_points(drive, row), labels_of(DRIVE, drive, row["token"])
        instance, classes = found["panoptic"] % 1000, found["panoptic"] // 1000
        assert len(set(instance[instance > 0])) >= 2
        inside = np.zeros(len(xyz), bool)
        for box in (a for a in drive["sample_annotation"].values() if a["sample_token"] == sample):
            own = (xyz - matrix(box)[:3, 3]) @ matrix(box)[:3, :3]
            width, length, height = box["size"]
            reach = np.array([length / 2 + 0.6, width / 2 + 0.1, height / 2 + 0.1])  # it drives on while it is scanned
            mine = (np.abs(own) < reach).all(1)
            inside |= mine & (classes == category[box["instance_token"]])
        assert inside[instance > 0].mean() > 0.98, "objects"
        near = np.linalg.norm(cloud_of(DRIVE, row)[:, :2], axis=1) < 25  # the map ends where the street goes on
        road = near & (found["lidarseg"] == index["flat.driveable_surface"])
        sides = np.array([
            cv2.pointPolygonTest(outline.astype(np.float32) / 1024, (float(x), float(y)), measureDist=True)
            for x, y, _ in xyz[road]
        ])  # fmt: skip
        assert road.sum() > 500 and np.abs(xyz[road, 2]).max() < 0.06
        assert (sides > -0.1).all(), "the road"


def lidar_of(drive: dict) -> str:
    return next(t for t, row in drive["sensor"].items() if row["channel"] == "LIDAR_TOP")


def is_written(case: Case) -> bool:
    """Whether a transform meets clouds, and nuScenes can hold what it makes."""
    refused = set(build(case).effects()) & set(NuscenesWriter.unsupported_effects)
    if case[0] in NEEDS or case[1] is not FIRST[case[0]] or refused:
        return False
    cloud = fa.Lidar(frame="LIDAR_TOP", capture_times=torch.tensor([0]), values={"xyz": torch.zeros(0, 3)})
    return handler_for(own_transforms()[case[0]], cloud, "LIDAR_TOP") is not None


@only(is_written)
def test_labels_lie_beside_their_points(log: fa.Log, drive: dict, case: Case, tmp_path: Path) -> None:
    source = log[0]
    record = keyframes(drive)[source.id]["token"]
    was = labels_of(DRIVE, drive, record)
    cloud = source["LIDAR_TOP"]
    numbered = source.with_streams(
        {**source.streams, "LIDAR_TOP": cloud.with_values(**{NUMBER: torch.arange(cloud.rows)})}
    )
    out = build(case)(numbered, seed=2)
    made, writer = out["LIDAR_TOP"].realized(), log.writer(tmp_path / "out")
    rows = writer.stage(out, source, source.id, writer.out)
    names = {t: row["filename"] for t in ("lidarseg", "panoptic") for row in rows[t]}
    label = np.fromfile(writer.out / names["lidarseg"], np.uint8)
    with np.load(writer.out / names["panoptic"]) as archive:
        panoptic = archive["data"]
    points = np.fromfile(next(writer.out.glob("samples/LIDAR_TOP/*.bin")), "<f4").reshape(-1, 5)
    assert len(label) == len(panoptic) == len(points) == made.rows
    T = matrix(next(r for r in rows["calibrated_sensor"] if r["sensor_token"] == lidar_of(drive)))
    placed = points[:, :3] @ T[:3, :3].T + T[:3, 3]
    assert made.rows == 0 or np.abs(placed - out.points("LIDAR_TOP", frame="ref")["xyz"].numpy()).max() < 1e-4
    number = np.where(made["label"].numpy() == 0, -1, made[NUMBER].numpy())  # 0 is noise, which no point was
    kept = number >= 0
    assert np.array_equal(label, np.where(kept, was["lidarseg"][number], 0))
    assert np.array_equal(panoptic, np.where(kept, was["panoptic"][number], 0))
    assert kept.all() or issubclass(own_transforms()[case[0]], Weather) or case[0] == "LidarCrosstalk"
    if not kept.all():  # what is noise now lies elsewhere on its ray than the point that was there
        then = np.linalg.norm(cloud["xyz"].numpy()[made[NUMBER].numpy()], axis=1)
        moved = np.abs(np.linalg.norm(points[:, :3], axis=1) - then)
        # a foreign pulse comes from anywhere on the ray, now and then from where the point was
        assert (moved[~kept] > 1e-3).mean() > 0.99 and np.median(moved[~kept]) > 1 and moved[kept].max() < 0.5
