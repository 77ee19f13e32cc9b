"""Labels on disk after every transform of clouds: a NumPy reader finds each kept point's class and instance."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from generic import Case, build, only
from semantickitti_tree import read_scan, write_sequence

import fusion_aug as fa
from fusion_aug.core.registry import handler_for, own_transforms
from fusion_aug.logs.semantickitti.writer import SemanticKittiWriter
from fusion_aug.streams.families import Weather

AIR = 1
NEED_MORE = ("BeamDropout", "RingResample", "MirrorRobot")  # rings of points, a robot


def class_of(number: np.ndarray) -> np.ndarray:
    """Class of the point with a number, from 1 on: an arbitrary table."""
    return 10 + (number * 7919) % 23


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> fa.Log:
    """A scan whose points have a number each, as instance, and the class that belongs to it."""
    root = tmp_path_factory.mktemp("numbered") / "log"
    folder = write_sequence(root / "sequences/00", scans=(0,), points=500)
    number = np.arange(1, 501)
    (class_of(number) | number << 16).astype("<u4").tofile(folder / "labels/000000.label")
    return fa.open_log("semantickitti", root)


def is_written(case: Case) -> bool:
    """Whether a transform meets clouds, and these clouds have what it needs and the format what it makes."""
    if case[0] in NEED_MORE or set(build(case).effects()) & set(SemanticKittiWriter.unsupported_effects):
        return False
    cloud = fa.Lidar(frame="lidar", capture_times=torch.tensor([0]), values={"xyz": torch.zeros(0, 3)})
    return handler_for(own_transforms()[case[0]], cloud, "velodyne") is not None


@only(is_written)
def test_labels_lie_beside_their_points(log: fa.Log, case: Case, tmp_path: Path) -> None:
    before, writer = log[0], log.writer(tmp_path / "out")
    named = {f.name for f in fields(own_transforms()[case[0]])} & {"sensors"}
    transform = build(case, **{key: ["velodyne", "image_*"] for key in named})
    out = fa.Compose([transform])(before, seed=2)
    writer.finish([writer.stage(out, before, before.id, writer.out)], [(before.id, before.id)])
    points, label, instance = read_scan(writer.out / "sequences/00", "000000")
    from_air = instance == 0
    assert np.array_equal(label, np.where(from_air, AIR, class_of(instance)))
    assert issubclass(own_transforms()[case[0]], Weather) or case[0] == "LidarCrosstalk" or not from_air.any()
    made = out.points("velodyne", frame="ref")
    assert len(points) == made.rows and np.array_equal(made["instance"].numpy(), instance)
    assert len(points) == 0 or np.abs(made["xyz"].numpy() - points[:, :3]).max() < 1e-4
