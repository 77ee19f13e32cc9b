"""Labels of points follow their points through every transform: the registry is walked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from generic import Case, build, only
from samples import make_sample

import fusion_aug as fa
from fusion_aug.core.registry import own_transforms
from fusion_aug.streams.families import Mix, Weather

AIR = 99
RINGS = ("RingResample",)  # numbers rings anew
NUMBER = "number of the point"  # a column of nobody's, which transforms carry along


def class_of(number: np.ndarray) -> np.ndarray:
    """Class of the point with a number, from 1 on: an arbitrary table."""
    return 1 + (number * 7919) % 23


def labelled(sample: fa.Sample) -> fa.Sample:
    """The sample whose points have a number each, as ``instance``, and the class that belongs to it."""
    streams = dict(sample.streams)
    for name, cloud in sample.of_type(fa.Points).items():
        number = np.arange(1, cloud.rows + 1)
        columns = {"label": class_of(number), "instance": number, NUMBER: number}
        values = {**cloud.values, **{n: torch.from_numpy(v) for n, v in columns.items()}}
        streams[name] = replace(cloud, values=values, air_label=AIR)
    return sample.with_streams(streams)


def check_cloud(name: str, before: fa.Points, after: fa.Points, may_have_air: bool, same_rings: bool) -> int:
    """Compare the labels of a cloud with the table; returns how many points are from the air."""
    label, instance, number, ring = (
        after.realized()[c].numpy() if c in after.values else None for c in ("label", "instance", NUMBER, "ring")
    )
    assert after.air_label == AIR, name
    from_air = instance == 0
    assert np.array_equal(label, np.where(from_air, AIR, class_of(instance))), name
    assert may_have_air or not from_air.any(), name
    assert np.array_equal(instance[~from_air], number[~from_air]), f"{name}: a label is another point's"
    if ring is not None and same_rings:
        assert np.array_equal(ring[~from_air], before["ring"].numpy()[instance[~from_air] - 1]), name
    return int(from_air.sum())


def test_labels_are_those_of_their_points(case: Case) -> None:
    sample = labelled(make_sample())
    out = build(case)(sample, seed=1).realized()
    kind = own_transforms()[case[0]]
    clouds = {n: s for n, s in out.of_type(fa.Points).items() if n in sample.streams}
    assert set(clouds) >= {n for n in sample.of_type(fa.Points) if n in out.streams} and clouds
    for name, cloud in clouds.items():
        if issubclass(kind, Mix):  # objects of a donor get numbers of their own, and keep their classes
            assert np.array_equal(cloud["label"].numpy(), class_of(cloud[NUMBER].numpy())), name
            cloud = cloud.select(cloud.row_numbers >= 0)
        may_have_air = issubclass(kind, Weather) or case[0] == "LidarCrosstalk" or isinstance(cloud, fa.Radar)
        check_cloud(name, sample[name], cloud, may_have_air, case[0] not in RINGS)


@only(lambda case: case[0] in ("Fog", "Snow", "Rain", "LidarCrosstalk"))
def test_there_are_points_from_the_air(case: Case) -> None:
    """So that the test above has some; those that are left keep their place but for noise."""
    sample = labelled(make_sample(points=20_000))
    out = build(case)(sample, seed=3).realized()
    assert check_cloud("lidar", sample["lidar"], out["lidar"], True, True) > 0
    kept = out["lidar"]["instance"] > 0
    at = out["lidar"]["instance"][kept] - 1
    assert torch.equal(out["lidar"]["xyz"][kept], sample["lidar"]["xyz"][at])


def test_a_batch_in_which_some_clouds_have_no_labels() -> None:
    """They are unlabelled there, and the others keep theirs."""
    plain, own = make_sample("a"), labelled(make_sample("b"))
    streams = dict(own.streams)
    for name, cloud in own.of_type(fa.Points).items():
        values = {k: v for k, v in cloud.values.items() if k != NUMBER}
        streams[name] = replace(cloud, values=values, air_label=-1)
    own = own.with_streams(streams)
    both = fa.collate([plain, own])["lidar"]
    of_own = both.sample_index[both.row_item] == 1
    assert (both["label"][~of_own] == -1).all() and (both["instance"][~of_own] == 0).all()
    assert torch.equal(both["label"][of_own], own["lidar"]["label"])
