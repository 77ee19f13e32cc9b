"""MixBeams: whose each return is, cell by cell and box by box, by marks that no transform knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from beams import OTHER, OWN, boxes_in_sensor, in_box, key_scan, marked, mixed_cells, street_pair, without_rings
from generic import assert_same_streams
from samples import make_sample

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.transforms.mix.beam_scans import scan_pairs

LIDAR = "LIDAR_TOP"
CASES = [{"bands": 3}, {"bands": 6}, {"bands": 4, "blocks": 6}, {"bands": 1, "blocks": 2}]


@pytest.fixture(scope="module")
def street() -> tuple[fa.Sample, fa.Sample]:
    return street_pair()


def whose(scan: dict[str, np.ndarray], mark: int) -> np.ndarray:
    return scan["mark"] == mark


@pytest.mark.parametrize("fields", CASES)
def test_every_cell_and_every_box_is_one_samples(street: tuple[fa.Sample, fa.Sample], fields: dict) -> None:
    sample, donor = street
    columns = next(scan_pairs(sample, donor)).columns
    for seed in range(4):
        out = fa.MixBeams(**fields)(sample, seed=seed, resources={"donors": fa.Donors([donor])})
        scan, sources = key_scan(out, LIDAR), {OWN: key_scan(sample, LIDAR), OTHER: key_scan(donor, LIDAR)}
        assert mixed_cells(scan, columns) == 0
        shares = [whose(scan, m).mean() for m in (OWN, OTHER)]
        assert min(shares) > 0.1, "both take part"
        poses, sizes, theirs = boxes_in_sensor(out, LIDAR)
        for pose, size, other in zip(poses, sizes, theirs, strict=True):
            mark = OTHER if other else OWN
            here, there = in_box(scan["xyz"], pose, size), in_box(sources[mark]["xyz"], pose, size)
            assert bool(whose(scan, mark)[here].all()), "a return of another sample lies in a box"
            assert np.allclose(np.sort(scan["xyz"][here], 0), np.sort(sources[mark]["xyz"][there], 0), atol=1e-4)


def test_boxes_that_are_given_up_take_their_returns_along(street: tuple[fa.Sample, fa.Sample]) -> None:
    sample, donor = street
    out = fa.MixBeams(bands=4, blocks=6)(sample, seed=1, resources={"donors": fa.Donors([donor])})
    kept = set(out["boxes"]["record"])
    scan = key_scan(out, LIDAR)
    poses, sizes, _ = boxes_in_sensor(sample, LIDAR)
    gone = [k for k, r in enumerate(sample["boxes"]["record"]) if r not in kept]
    assert gone and sum(in_box(key_scan(sample, LIDAR)["xyz"], poses[k], sizes[k]).sum() for k in gone) > 20
    for k in gone:
        assert not (in_box(scan["xyz"], poses[k], sizes[k]) & whose(scan, OWN)).any()
    instances, theirs = out["boxes"]["instance"], out["boxes"]["record"] == ""
    assert len(set(instances)) == len(instances)
    assert not {*sample["boxes"]["instance"], *donor["boxes"]["instance"]} & {*instances[theirs]}
    assert {*instances[~theirs]} <= {*sample["boxes"]["instance"]}


def test_bands_follow_elevation_and_alternate(street: tuple[fa.Sample, fa.Sample]) -> None:
    """Without boxes a band is whole: along elevation the owner changes as often as there are bands, less one."""
    sample, donor = (s.with_streams({n: v for n, v in s.streams.items() if n in (LIDAR, "ego")}) for s in street)
    out = fa.MixBeams(bands=5)(sample, seed=1, resources={"donors": fa.Donors([donor])})
    scan = key_scan(out, LIDAR)
    rings = np.unique(scan["ring"])
    owner = np.array([scan["mark"][scan["ring"] == r].mean() for r in rings])
    assert set(owner) == {0.0, 1.0}, "a ring is one sample's"
    elevation = np.array([np.median(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))
                          for xyz in (scan["xyz"][scan["ring"] == r] for r in rings)])  # fmt: skip
    assert int((np.diff(owner[np.argsort(elevation)]) != 0).sum()) == 4


def test_beams_without_a_column_are_found_from_the_order(street: tuple[fa.Sample, fa.Sample]) -> None:
    sample, donor = (without_rings(s, LIDAR) for s in street)
    mix = fa.MixBeams(bands=4)
    with_rings = mix(street[0], seed=3, resources={"donors": fa.Donors([street[1]])})
    out = mix(sample, seed=3, resources={"donors": fa.Donors([donor])})
    assert "ring" not in out[LIDAR].values
    rows = [
        np.unique(np.column_stack([s["xyz"], s["mark"]]), axis=0)
        for s in (key_scan(o, LIDAR) for o in (with_rings, out))
    ]
    assert rows[0].shape == rows[1].shape and np.array_equal(rows[0], rows[1])
    twice = fa.Compose([mix, fa.MixBeams(bands=2, name="again")])  # the mix is listed as a scan is
    again = twice(sample, seed=3, resources={"donors": fa.Donors([donor])})
    assert sum(r.applied for r in again.history) == 2


@pytest.mark.quick
def test_beams_that_nobody_knows_are_refused_by_name() -> None:
    def cloud(seed: int) -> fa.Sample:
        sample = marked(make_sample(f"s{seed}", seed=seed, gels=False), seed)
        values = {n: v for n, v in sample["lidar"].values.items() if n != "ring"}  # in no order, as Livox's are
        return sample.with_streams({**sample.streams, "lidar": fa.Lidar(
            frame="lidar", capture_times=sample["lidar"].capture_times, values=values, offsets=sample["lidar"].bounds
        )})  # fmt: skip

    for mix in (fa.MixBeams(), fa.CopyInstances(), fa.MixUp()):
        with pytest.raises(DataError, match="'lidar' of 's0' has no column 'ring', and its points are not listed ring"):
            mix(cloud(0), resources={"donors": fa.Donors([cloud(1)])})


@pytest.mark.quick
def test_other_sensors_are_refused_or_dropped() -> None:
    log = [make_sample(f"s{k}", seed=k, gels=False) for k in range(2)]
    for mix in (fa.MixBeams, fa.CopyInstances):
        with pytest.raises(ConfigError, match=r"'radar' would show a scene that the LiDAR does not; .*cameras=drop"):
            mix(captions="drop")(log[0], resources={"donors": fa.Donors(log)})
        with pytest.raises(ConfigError, match="drop it with captions=drop"):
            mix(cameras="drop")(log[0], resources={"donors": fa.Donors(log)})
        out = mix(cameras="drop", captions="drop")(log[0], resources={"donors": fa.Donors(log)})
        assert not any(
            isinstance(s, (fa.Camera, fa.Depth, fa.Radar, fa.Boxes2D, fa.Text)) for s in out.streams.values()
        )
        assert {"lidar", "boxes", "imu", "ego", "joints"} <= set(out.streams)
    with pytest.raises(ConfigError, match=r"MixBeams.cameras: 'keep' is not one of refuse, drop"):
        fa.MixBeams(cameras="keep")


def test_a_replay_and_a_batch_give_the_same(street: tuple[fa.Sample, fa.Sample]) -> None:
    sample, donor = street
    pipeline = fa.Compose([fa.MixBeams(blocks=[1, 4]), fa.RotateScene(yaw_deg=20.0)])
    resources = {"donors": fa.Donors([sample, donor])}
    outs = [pipeline(s, seed=5, resources=resources) for s in (sample, donor)]
    assert_same_streams(outs[0], fa.replay(sample, outs[0].history, resources=resources))
    together = pipeline(fa.collate([sample, donor]), seed=5, resources=resources)
    assert_same_streams(fa.collate(outs), together)


def test_a_real_keyframe_as_its_own_donor(real_data: Path) -> None:
    """Every return of the donor is marked; boxes lie upon one another, so each place has two that compete."""
    read = fa.open_log("nuscenes", real_data / "nuscenes")[0]
    sample, donor = marked(read, OWN), marked(read, OTHER)
    columns = next(scan_pairs(sample, donor)).columns
    for seed in range(3):
        out = fa.MixBeams(blocks=[1, 4])(sample, seed=seed, resources={"donors": fa.Donors([donor])})
        scan = key_scan(out, LIDAR)
        assert mixed_cells(scan, columns) == 0 and len(scan["xyz"]) == len(key_scan(sample, LIDAR)["xyz"])
        poses, sizes, theirs = boxes_in_sensor(out, LIDAR)
        assert len(poses) == sample["boxes"].rows, "of two boxes at one place one is kept"
        cut = [scan["mark"][in_box(scan["xyz"], T, s)] for T, s in zip(poses, sizes, strict=True)]
        assert not sum(bool((marks != o).any()) for marks, o in zip(cut, theirs, strict=True))


def test_instances_of_points_are_numbered_anew(street: tuple[fa.Sample, fa.Sample]) -> None:
    def labelled(sample: fa.Sample, first: int) -> fa.Sample:
        cloud = sample[LIDAR]
        rows = torch.arange(cloud.rows)
        return sample.with_streams(
            {
                **sample.streams,
                LIDAR: cloud.with_values(label=rows % 3, instance=torch.where(rows % 3 > 0, rows % 5 + first, 0)),
            }
        )

    sample, donor = labelled(street[0], 1), labelled(street[1], 3)
    out = fa.MixBeams()(sample, seed=1, resources={"donors": fa.Donors([donor])})[LIDAR]
    ids = {m: set(out["instance"][(out["mark"] == m) & (out["instance"] > 0)].tolist()) for m in (OWN, OTHER)}
    assert ids[OWN] == {1, 2, 3, 4, 5} and len(ids[OTHER]) == 5 and not ids[OWN] & ids[OTHER]
    assert max(ids[OTHER]) == 10, "the smallest that are free"
    assert not bool(((out["label"] == 0) & (out["instance"] > 0)).any()), "what is nobody's stays nobody's"
