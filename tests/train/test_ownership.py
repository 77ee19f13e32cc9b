"""Items and batches are the caller's: editing them in place changes no later one, with or without workers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from loading import MadeLog, numbers
from places import ARM, DRIVE
from torch.utils.data import DataLoader, default_collate

import fusion_aug as fa
from calib import CameraSensor, Pinhole, load_urdf
from fusion_aug.sample.packing import with_tensors


def in_memory() -> Any:
    made = MadeLog(gels=False)
    return [made[i] for i in range(2)]


def read_and_kept() -> Any:
    """Samples of a log in a list: their files are not read yet."""
    log = fa.open_log("nuscenes", DRIVE)
    return [log[0], log[1]]


def drive() -> Any:
    return fa.open_log("nuscenes", DRIVE)


LOGS = {"a list": in_memory, "a list of lazy samples": read_and_kept, "a log": drive}
PIPELINES = {"nothing": fa.Compose([]), "a mirror": fa.Compose([fa.MirrorScene()])}


def tensors_of(value: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    with_tensors(value, lambda t: found.append(t) or t)  # type: ignore[func-returns-value]
    return found


def calibration(samples: list[fa.Sample]) -> list[bytes]:
    return [t.numpy().tobytes() for t in tensors_of([s.metas for s in samples])]


def zero(value: Any) -> None:
    """Write into every tensor and array of it."""
    with_tensors(value, lambda t: t.zero_())


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("log", [pytest.param("a list", marks=pytest.mark.quick), *list(LOGS)[1:]])
def test_edits_in_place_stay_in_the_item(log: str, pipeline: str) -> None:
    dataset = fa.AugmentedDataset(LOGS[log](), PIPELINES[pipeline], convert=lambda s: s)
    fresh = [fa.AugmentedDataset(LOGS[log](), PIPELINES[pipeline])[i] for i in range(2)]
    expected = numbers(fresh), calibration(fresh)
    for i in range(2):
        item = dataset[i].realized()
        zero((item.metas, dict(item.streams)))
        assert not item["CAM_FRONT"].pictures[0].any() and not item.rig.camera("CAM_FRONT").A.any()  # type: ignore[attr-defined]
    later = [dataset[i].realized() for i in range(2)]
    assert (numbers(later), calibration(later)) == expected


@pytest.mark.quick
@pytest.mark.parametrize("collate_fn", [fa.collate, list])
def test_edits_in_place_stay_in_the_batch(collate_fn: Any) -> None:
    loader: DataLoader = DataLoader(
        fa.AugmentedDataset(in_memory(), fa.Compose([])), batch_size=2, collate_fn=collate_fn
    )
    (first,) = list(loader)
    samples = first if isinstance(first, list) else [first]
    expected = numbers(samples)
    for sample in samples:
        zero((sample.metas, dict(sample.streams)))
    (second,) = list(loader)
    assert numbers(second if isinstance(second, list) else [second]) == expected


@pytest.mark.quick
def test_cameras_share_no_pixel_map() -> None:
    def camera() -> CameraSensor:
        return CameraSensor(frame="c", model=Pinhole(K=torch.eye(3, dtype=torch.float64), size=(4, 6)))

    a, b = camera(), camera()
    assert not a.has_pixel_map
    a.A[:2].mul_(1 / 8)
    assert a.has_pixel_map and not b.has_pixel_map and torch.equal(camera().A, torch.eye(3, dtype=torch.float64))
    loose = CameraSensor(frame="c", model=b.model, A=torch.eye(3, dtype=torch.float64, requires_grad=True))
    assert loose.has_pixel_map and loose.mirrored().A.requires_grad  # the gradient of a map that moves nothing yet


@pytest.mark.quick
def test_robots_share_no_pose() -> None:
    """Joints and links of a robot, as the next one that is read has them."""
    edited, other = load_urdf(ARM / "arm.urdf"), load_urdf(ARM / "arm.urdf")
    before = [t.clone() for t in tensors_of(other)]
    zero(edited)
    assert len(before) > 20 and not any(t.any() for t in tensors_of(edited))
    assert all(torch.equal(a, b) for a, b in zip(before, tensors_of(other), strict=True))


@pytest.mark.quick
def test_a_clone_keeps_what_was_read(tmp_path: Any) -> None:
    sample = drive()[0]
    cloud = sample["LIDAR_TOP"]
    xyz, picture = cloud["xyz"].clone(), sample["CAM_FRONT"].image(0).clone()
    for other in (sample.clone(), copy.deepcopy(sample)):
        source = other["LIDAR_TOP"].sources[0]
        assert source.is_decoded and other["CAM_FRONT"].items[0].is_decoded
        assert not other["CAM_BACK"].items[0].is_decoded, "what was not read stays in its file"
        other["LIDAR_TOP"]["xyz"].zero_()
        other["CAM_FRONT"].image(0).zero_()
    assert torch.equal(cloud["xyz"], xyz) and torch.equal(sample["CAM_FRONT"].image(0), picture)


def test_without_another_device_as_default() -> None:
    """As ``standard_modes`` promises: the default device is put aside where work enters."""
    sample = drive()[0].realized()
    batch = fa.collate([sample, sample])
    with torch.device("meta"):
        dataset = fa.AugmentedDataset(drive(), fa.Compose([fa.MirrorScene()]))
        dataset.set_epoch(3)
        copies = [copy.deepcopy(sample), batch.take([1]), batch.take([1, 0]).take([1]), dataset[0]]
        assert dataset.epoch == 3
        T = sample.T_ref("CAM_FRONT")
    for other in copies:
        tensors = tensors_of((other.metas, dict(other.streams)))
        assert len(tensors) > 50 and {t.device.type for t in tensors} == {"cpu"}
    assert T.device.type == "cpu" and np.allclose(T, sample.T_ref("CAM_FRONT"))


@pytest.mark.quick
def test_another_collate_function_gets_items_of_its_own() -> None:
    data = fa.AugmentedDataset(in_memory(), fa.Compose([]), convert=lambda s: {"xyz": s["CAM_FRONT"].pictures[0]})
    loader: DataLoader = DataLoader(data, batch_size=2, collate_fn=default_collate)
    (first,) = list(loader)
    data[0]["xyz"].zero_()
    assert torch.equal(next(iter(loader))["xyz"], first["xyz"])
