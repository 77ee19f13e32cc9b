"""Datasets and batches: workers, order and batch size do not matter."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import CASES, MIXES
from loading import MadeLog, numbers
from places import DRIVE
from samples import make_sample
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.run.workers import fresh_processes


def everything() -> fa.Compose:
    """One pipeline of all transforms but the mixes, which need donors that fit."""
    parts = {}
    for name, settings in CASES.items():
        if name in MIXES:
            continue
        for i, kwargs in enumerate(settings):
            small = {k: (24, 30) if k == "size" else v for k, v in kwargs.items()}
            small.pop("report", None)  # columns that only some samples of a batch have are filled in the others
            parts[f"{name}{i}"] = own_transforms()[name](**small, p=0.6)
    return fa.Compose(parts)


def load(workers: int, batch: int, epochs: int = 1, shuffle: bool = True) -> list[list[tuple]]:
    dataset = fa.AugmentedDataset(MadeLog(), everything(), seed=3)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(workers)
    loader = DataLoader(
        dataset, batch_size=batch, num_workers=workers, collate_fn=fa.collate, shuffle=shuffle, generator=generator,
        multiprocessing_context=fresh_processes() if workers else None, persistent_workers=workers > 0,
    )  # fmt: skip
    out = []
    for epoch in range(epochs):
        dataset.set_epoch(epoch)
        out.append(numbers(list(loader)))
    return out


@pytest.fixture(scope="module")
def reference() -> list[list[tuple]]:
    return load(0, 2, epochs=2, shuffle=False)


def test_two_epochs_differ(reference: list[list[tuple]]) -> None:
    assert len(reference[0]) == 4
    assert all(a[1:] != b[1:] for a, b in zip(*reference, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "batch", "epochs"), [(1, 1, 1), (3, 2, 2)])
def test_workers_batch_size_and_order_do_not_matter(
    reference: list[list[tuple]], workers: int, batch: int, epochs: int
) -> None:
    """Workers that live on see the new epoch."""
    assert load(workers, batch, epochs) == reference[:epochs]


def test_mixes_find_the_same_donors_in_workers() -> None:
    log = fa.open_log("nuscenes", DRIVE, select=["0*", "1*", "5*", "a*"])
    resources = {"donors": fa.Donors(fa.open_log("nuscenes", DRIVE))}
    mixing = fa.Compose([fa.SwapSector(p=0.7, captions="drop"), fa.RotateScene(yaw_deg=[-20, 20])])
    found = []
    for workers, batch in ((0, 1), (2, 2)):
        dataset = fa.AugmentedDataset(log, mixing, seed=1, resources=resources)
        context = fresh_processes() if workers else None
        loader = DataLoader(
            dataset, batch, num_workers=workers, collate_fn=fa.collate, multiprocessing_context=context
        )  # fmt: skip
        found.append(numbers(list(loader)))
    assert found[0] == found[1] and len(found[0]) == len(log) >= 3


def test_an_item_is_in_memory_when_it_is_handed_over(tmp_path: Path) -> None:
    """Pictures, clouds and what belongs to them: the files may go. A sample of the log itself stays lazy."""
    root = tmp_path / "log"
    shutil.copytree(DRIVE, root)
    log = fa.open_log("nuscenes", root)
    item = fa.AugmentedDataset(log, fa.Brightness(factor=0.5))[0]
    lazy = log[0]
    assert lazy["LIDAR_TOP"].sources is not None  # type: ignore[attr-defined]
    shutil.rmtree(root)
    for name, stream in item.streams.items():
        assert all(isinstance(v, torch.Tensor | np.ndarray) for v in stream.values.values()), name
        assert all(isinstance(p, torch.Tensor) for p in getattr(stream, "items", ())), name
    assert item["LIDAR_TOP"].rows > 1000 and item["RADAR_FRONT"].rows > 10  # type: ignore[attr-defined]
    with pytest.raises(fa.DataError, match="cannot be read"):
        lazy["LIDAR_TOP"]["xyz"]


def test_threads_and_batches_of_unequal_size_do_not_matter(reference: list[list[tuple]]) -> None:
    try:
        torch.set_num_threads(2)
        assert load(0, 3) == reference[:1]
    finally:
        torch.set_num_threads(1)


@pytest.mark.quick
def test_a_batch_is_rows() -> None:
    batch = fa.collate([MadeLog()[i] for i in range(3)])
    assert [u.id for u in batch.metas] == ["s0", "s1", "s2"]
    assert batch["CAM_FRONT"].images.shape == (3, 32, 40, 3)
    assert batch["lidar"].sample_index.tolist() == [0, 0, 1, 1, 2, 2]
    assert batch["lidar"].counts.tolist() == [100, 100, 120, 120, 140, 140]  # type: ignore[attr-defined]
    assert batch["boxes"].bounds.tolist() == [0, 5, 10, 15]  # type: ignore[attr-defined]
    with pytest.raises(fa.DataError, match="batch of 3"):
        batch.id  # noqa: B018
    one = batch.take([1])
    assert one.id == "s1" and torch.equal(one["lidar"]["xyz"], MadeLog()[1]["lidar"]["xyz"])
    uv, seen = one.project("lidar", "CAM_FRONT")
    assert torch.allclose(uv, MadeLog()[1].project("lidar", "CAM_FRONT")[0]) and seen.any()


def test_pictures_of_different_sizes_stay_apart() -> None:
    batch = fa.collate([make_sample("a", size=(20, 30)), make_sample("b", size=(24, 30))])
    with pytest.raises(fa.DataError, match="different sizes"):
        batch["CAM_FRONT"].images  # noqa: B018
    assert batch["CAM_FRONT"].image(1).shape == (24, 30, 3)
    assert fa.Resize(size=(10, 12))(batch)["CAM_FRONT"].images.shape == (2, 10, 12, 3)


def test_different_kinds_under_one_name_are_refused() -> None:
    a, b = make_sample("a"), make_sample("b")
    b = b.with_streams({**b.streams, "lidar": b["radar"]})
    with pytest.raises(fa.DataError, match="different kinds"):
        fa.collate([a, b])


@pytest.mark.slow
def test_real_log_through_a_loader(street: Path) -> None:
    dataset = fa.AugmentedDataset(fa.open_log("nuscenes", street), fa.Compose([fa.MirrorScene(p=0.5)]), seed=1)
    batches = list(
        DataLoader(
            dataset, batch_size=5, collate_fn=fa.collate, num_workers=1, multiprocessing_context=fresh_processes()
        )
    )
    assert batches[0]["CAM_FRONT"].images.shape == (5, 180, 320, 3)


def test_convert_runs_last(street: Path) -> None:
    dataset = fa.AugmentedDataset(fa.open_log("nuscenes", street), fa.Compose([]), convert=lambda s: s.id)
    assert dataset[0] == dataset.log[0].id


@pytest.mark.quick
def test_what_is_no_log_or_pipeline_is_refused(tmp_path: Path) -> None:
    pipeline, log = fa.Compose([]), [make_sample()]
    for path in (tmp_path, str(tmp_path), (s for s in log)):
        with pytest.raises(fa.ConfigError, match=r"AugmentedDataset\.log: expected samples, as open_log"):
            fa.AugmentedDataset(path, pipeline)  # type: ignore[arg-type]
    with pytest.raises(fa.ConfigError, match=r"pipeline: expected a transform or Compose\(\[...\]\), got a list"):
        fa.AugmentedDataset(log, [fa.MirrorScene()])  # type: ignore[arg-type]
    with pytest.raises(fa.ConfigError, match=r"AugmentedDataset\.log: expected a sample at 0, got a str"):
        fa.AugmentedDataset(["s0"], pipeline)[0]  # type: ignore[list-item]
    assert fa.AugmentedDataset(log, fa.MirrorScene())[0].id == "s0"
