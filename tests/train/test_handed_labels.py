"""Labels of points in dense batches and in dictionaries of other libraries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa


def labelled(sample_id: str, points: int) -> fa.Sample:
    """A sample whose points have numbers beyond 2**24 as instances, so that float32 would lose them."""
    sample = make_sample(sample_id, points=points)
    number = torch.arange(sample["lidar"].rows)
    cloud = sample["lidar"].with_values(label=number % 7, instance=number + 2**24)
    return sample.with_streams({**sample.streams, "lidar": cloud})


@pytest.mark.parametrize("packed", [False, True])
def test_dense_labels_are_in_the_order_of_the_points(packed: bool) -> None:
    samples = [labelled("a", 40), make_sample("b", points=60), labelled("c", 20)]
    hole = samples[0]["lidar"]["xyz"].clone()
    hole[3] = float("nan")
    lidar = samples[0]["lidar"].with_values(xyz=hole)
    samples[0] = samples[0].with_streams({**samples[0].streams, "lidar": lidar})
    batch = fa.to_dense(fa.collate(samples), packed=packed, cameras=[])
    for u, sample in enumerate(samples):
        there = torch.isfinite(sample["lidar"]["xyz"]).all(1).numpy()
        n = sample["lidar"].rows
        label, instance = (np.arange(n) % 7, np.arange(n) + 2**24) if u != 1 else (np.full(n, -1), np.zeros(n))
        for key, expected in (("point_labels", label), ("point_instances", instance)):
            found = batch[key]
            assert found.dtype == torch.int64
            if packed:
                rows = slice(*batch["point_offsets"][u : u + 2].tolist())
                assert np.array_equal(found[rows], expected[there])
            else:
                mask = batch["point_mask"][u]
                assert np.array_equal(found[u][mask], expected[there]) and (found[u][~mask] == -1).all()


def test_a_batch_without_labels_has_no_such_keys() -> None:
    assert not {"point_labels", "point_instances"} & set(fa.to_dense(make_sample(), cameras=[]))
    assert "pts_semantic_mask" not in fa.to_mmdet3d(make_sample())


def test_masks_of_points_for_mmdetection3d() -> None:
    sample = fa.RotateScene(yaw_deg=10)(labelled("a", 40), seed=1)
    out = fa.to_mmdet3d(sample)
    number = np.arange(len(out["points"]))
    assert np.array_equal(out["pts_semantic_mask"], number % 7)
    assert np.array_equal(out["pts_instance_mask"], number + 2**24)
    only = replace(sample["lidar"], values={k: v for k, v in sample["lidar"].values.items() if k != "instance"})
    assert "pts_instance_mask" not in fa.to_mmdet3d(sample.with_streams({**sample.streams, "lidar": only}))


def test_clouds_with_and_without_labels_make_a_batch() -> None:
    cloud = make_sample()["lidar"]
    labels = torch.arange(cloud.rows) % 3
    marked = replace(cloud, values={**cloud.values, "label": labels}, offsets=cloud.bounds, air_label=2,
                     label_names=("road", "car", "air"))  # fmt: skip
    one, other = (make_sample(n).with_streams({"lidar": c}) for n, c in (("a", marked), ("b", cloud)))
    for order in ([one, other], [other, one]):
        batch = fa.collate(order)
        assert batch["lidar"].label_names == ("road", "car", "air") and batch["lidar"].air_label == 2
        found = fa.to_dense(batch, cameras=[])["point_labels"]
        expected = {"a": labels.tolist(), "b": [-1] * cloud.rows}
        assert found.tolist() == [expected[s.id] for s in order]
    renamed = one.with_streams({"lidar": replace(marked, label_names=("road", "van", "air"))})
    with pytest.raises(
        fa.DataError, match=r"^Lidar.label_names: differs between the samples of a batch \(.* others\)$"
    ):
        fa.collate([one, renamed])
