"""Clouds of messages under transforms that do not move the scene, in batches, and through the folder format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib import Frame, LidarSensor, Rig, Trajectory
from calib.se3 import rotation_from_rotvec, se3
from fusion_aug.errors import DataError
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import EgoPose, Lidar
from fusion_aug.transforms.temporal.scan import Deskew

pytest.importorskip("rosbags")
from bags import T0, open_recording, recording, tf
from cloud_messages import KIND, RNG, message, sample_of, stream_of, table

from fusion_aug.logs.core.whole_numbers import with_whole_columns
from fusion_aug.logs.mcap.cloud_layout import packed_rows
from fusion_aug.logs.mcap.clouds import write_cloud

FIELDS: dict[str, Any] = {
    "intensity": ("<f4", 40), "ring": ("<u2", 0), "range": ("<u4", 0), "azimuth": ("<f4", 0), "normal_x": ("<f4", 0.6),
    "normal_y": ("<f4", 0.0), "normal_z": ("<f4", 0.8), "doppler": ("<f4", 2), "label": ("<i4", 7), "who": ("<f4", 1.5),
    "t": ("<u4", 0),
}  # fmt: skip


def rows_of(n: int = 400, kind: str = "<f4") -> np.ndarray:
    rows = table(n, kind, **FIELDS)
    rows["ring"], rows["t"] = np.arange(n) % 8, np.arange(n) * 250_000
    elevation, azimuth, far = np.radians(rows["ring"] * 3.0 - 12), RNG.uniform(-np.pi, np.pi, n), RNG.uniform(5, 40, n)
    rows["x"], rows["y"] = far * np.cos(elevation) * np.cos(azimuth), far * np.cos(elevation) * np.sin(azimuth)
    rows["z"] = far * np.sin(elevation)
    derived(rows)
    return rows


def derived(rows: np.ndarray) -> None:
    x, y, z = (rows[a].astype(float) for a in "xyz")
    rows["range"], rows["azimuth"] = np.round(1000 * np.sqrt(x * x + y * y + z * z)), np.arctan2(y, x)


def with_scale(sample: Sample) -> Sample:
    rig = Rig(sample.rig.frames, {"points": LidarSensor(frame="lidar", intensity_scale=255.0, max_range=100.0)})
    return sample.with_meta(0, rig=rig, true_rig=rig)


@pytest.mark.parametrize("kind", ["<f4", "<f8"])
@pytest.mark.parametrize(
    "transform",
    [fa.Fog(mor=15.0), fa.RangeJitter(sigma=0.2), fa.RingResample(beams=5), fa.BeamDropout(share=0.5),
     fa.ShufflePoints()],
    ids=lambda t: type(t).__name__,
)  # fmt: skip
def test_distances_and_angles_follow_what_moves_points(transform: Any, kind: str) -> None:
    rows = rows_of(400, kind)
    template = message(rows, 8)
    out = transform(with_scale(sample_of(stream_of(template, who="scalar"))), seed=2)["points"]
    found = packed_rows(write_cloud(out, template, 0), "test")
    assert found.dtype == rows.dtype and len(found) > 20
    right = found.copy()
    derived(right)
    assert np.abs(found["range"].astype(float) - right["range"]).max() <= 2
    assert np.abs(found["azimuth"] - right["azimuth"]).max() < 1e-4
    assert (found["who"] == 1.5).all()  # not of the target
    moved = ~np.isin(found["x"], rows["x"])
    if isinstance(transform, fa.Fog):  # a return from the air lies on nothing
        assert 5 < moved.sum() < len(found) and (found["label"][moved] == -1).all()
        assert all(np.isnan(found[n][moved]).all() for n in ("normal_x", "doppler"))
    assert (found["label"][~moved] == 7).all() and (found["doppler"][~moved] == 2).all()


def test_whole_numbers_of_returns_that_lie_on_nothing() -> None:
    """Objects that nobody has are the largest number of an unsigned field, and speeds that nobody has are 0."""
    rows = table(
        400, intensity=("<f4", 40), cluster_id=("<u2", 5), class_id=("i1", 6), vel_x=("<i2", 7), vel_y=("<i2", 8)
    )
    template = message(rows)
    sample = with_scale(sample_of(stream_of(template)))
    out = with_whole_columns(fa.Fog(mor=10.0)(sample, seed=2), sample)["points"]
    written = packed_rows(write_cloud(out, template, 0), "test")
    air = ~np.isin(written["x"], rows["x"])
    assert 5 < air.sum() < len(air)
    for name, nothing in (("cluster_id", 65535), ("class_id", -1), ("vel_x", 0), ("vel_y", 0)):
        assert (written[name][air] == nothing).all() and (written[name][~air] == rows[name][0]).all()
    again = stream_of(write_cloud(out, template, 0))
    assert all(torch.equal(again[n], out[n]) for n in out.values)


def test_weather_on_a_cloud_of_a_map_needs_its_scanner() -> None:
    """Rays start at the scanner, which a rig may know; else nothing is changed in silence."""
    shift = np.array([448262.0, 5411932.0, 110.0])
    near, rows = rows_of(400, "<f8"), rows_of(400, "<f8")
    for k, a in enumerate("xyz"):
        rows[a] = near[a] + shift[k]
    frames = {
        "map": Frame(axis_convention="world"),
        "base": Frame(parent="map", pose=se3(translation=torch.from_numpy(shift))),
        "lidar": Frame(parent="base"),
    }
    found = {}
    for name, frame, cloud in (("map", "map", rows), ("known", "lidar", rows), ("near", "lidar", near)):
        rig = Rig(frames, {"points": LidarSensor(frame=frame, intensity_scale=255.0)})
        meta = SampleMeta(id="a", scene="a", ref=Ref("base", T0), rig=rig, true_rig=rig)
        stream = replace(stream_of(message(cloud), who="scalar"), frame="lidar" if name == "near" else "map")
        sample = Sample(metas=(meta,), streams={"points": stream})
        if name == "map":
            for transform in (fa.Fog(mor=15.0), fa.RangeJitter(sigma=0.2), fa.RangeCrop(low=3.0)):
                with pytest.raises(DataError, match=r"stream 'points'.*'map'.*sensors: {points: {kind: lidar, frame"):
                    transform(sample, seed=2)
        else:
            found[name] = fa.Fog(mor=15.0)(sample, seed=2)["points"]
    assert found["known"]["xyz"].dtype == torch.float64 and len(found["known"]["xyz"]) == len(found["near"]["xyz"])
    assert float((found["known"]["xyz"] - torch.from_numpy(shift) - found["near"]["xyz"]).abs().max()) < 1e-3


def test_a_rig_file_says_where_the_scanner_of_a_map_stands(tmp_path: Path) -> None:
    """The cloud stays in the world, where its header says that it is; its sensor has a frame of its own."""
    far = (448262.0, 5411932.0, 110.0)
    rows = table(60, "<f8", far, intensity=("<f4", 50))
    clouds = message(rows)
    clouds.header.frame_id = "map"
    tf_message = tf(T0, "map", "velodyne", far[0])
    tf_message.transforms[0].transform.translation.y = far[1]
    tf_message.transforms[0].transform.translation.z = far[2]
    extra = [("/points", KIND, clouds, T0), ("/tf", "tf2_msgs/msg/TFMessage", tf_message, T0)]
    folder = recording(tmp_path / "log" / "a.mcap", extra, seconds=0.05)
    rig = folder.parent / "rig.yaml"
    rig.write_text(rig.read_text() + "sensors:\n  points: {kind: lidar, frame: velodyne}\n")
    sample = open_recording(folder, intensity_scale=255)[0]
    assert sample["points"].frame == "map" and sample.rig.sensors["points"].frame == "velodyne"
    near = fa.RangeCrop(low=0.0, high=20.0)(sample, seed=1)["points"]["xyz"].numpy()
    xyz = np.stack([rows[a] for a in "xyz"], 1)
    assert np.array_equal(near, xyz[np.linalg.norm(xyz - far, axis=1) <= 20]) and 0 < len(near) < 60


def test_vectors_turn_with_the_axes_of_their_own_moment() -> None:
    """Points that are brought to one time: a scanner that spins at w measured a wall's normal in turning axes."""
    spin, rows = 1.5, rows_of(200)
    rig = Rig(
        {"world": Frame(axis_convention="world"), "base": Frame(parent="world", pose=Trajectory.from_unsorted(
            torch.tensor([T0 - 10**9, T0 + 10**9]), torch.eye(4, dtype=torch.float64).expand(2, 4, 4).clone())),
         "lidar": Frame(parent="base")}, {"points": LidarSensor(frame="lidar")},
    )  # fmt: skip
    meta = SampleMeta(id="a", scene="a", ref=Ref("base", T0), rig=rig, true_rig=rig)
    ego = EgoPose(
        frame="world", child="base", capture_times=torch.tensor([T0]),
        values={"pose": torch.eye(4, dtype=torch.float64)[None], "velocity": torch.zeros(1, 3, dtype=torch.float64),
                "angular_velocity": torch.tensor([[0.0, 0, spin]], dtype=torch.float64)},
    )  # fmt: skip
    sample = Sample(metas=(meta,), streams={"points": stream_of(message(rows), who="scalar"), "ego": ego})
    found = Deskew()(sample, seed=0)["points"]
    for k in (0, 50, 199):
        R = rotation_from_rotvec(torch.tensor([0.0, 0.0, spin * rows["t"][k] * 1e-9], dtype=torch.float64)).numpy()
        assert np.allclose(found["normal"][k], R @ [0.6, 0, 0.8], atol=1e-6)
        assert np.allclose(found["xyz"][k], R @ [rows[a][k] for a in "xyz"], atol=1e-4)


def test_batches_join_what_clouds_know() -> None:
    one, two = stream_of(message(rows_of(20)), who="scalar"), stream_of(message(table(5)))
    with pytest.raises(DataError, match="some samples of a batch have the column"):
        Lidar.concat([one, two], [torch.zeros(1), torch.ones(1)])
    three = stream_of(message(rows_of(30)), who="scalar")
    both = Lidar.concat([one, three], [torch.zeros(1), torch.ones(1)])
    assert both.meanings == one.meanings and torch.equal(both["normal"][20:], three["normal"])
    other = stream_of(message(rows_of(30)), doppler="scalar")
    with pytest.raises(DataError, match="'doppler' is radial_speed in some clouds of a batch and scalar in others"):
        Lidar.concat([one, other], [torch.zeros(1), torch.ones(1)])
    batch = fa.MirrorScene(axis="y", p=1.0)(fa.collate([sample_of(one), sample_of(three)]), seed=1)["points"]
    assert torch.allclose(batch["doppler"], torch.full((50,), 2.0)) and batch.counts.tolist() == [20, 30]
    assert torch.allclose(batch["azimuth"][:20], -one["azimuth"], atol=1e-6)


def test_a_folder_keeps_what_columns_mean(tmp_path: Path) -> None:
    """What was read of a recording moves rightly after it went through files of another format."""
    rows = rows_of(60)
    rows["normal_y"] = 0.3
    first = sample_of(stream_of(message(rows), who="scalar"))
    fa.write_log([first], tmp_path / "out", format="folder")
    log = fa.open_log("folder", tmp_path / "out")
    again = log[0]
    arrays = next(read for path, read in log.fields().items() if path.endswith("arrays.npz"))
    told = arrays() if callable(arrays) else arrays
    assert {"column normal", "column doppler", "column who"} <= set(told)  # accounted for as what a run changes
    assert again["points"].meanings == first["points"].meanings
    moved = [fa.MirrorScene(axis="y", p=1.0)(s, seed=1)["points"] for s in (first, again)]
    for name in moved[0].values:
        assert torch.equal(moved[0][name], moved[1][name]), name
    assert torch.allclose(moved[1]["normal"], torch.tensor([0.6, -0.3, 0.8]))


def test_damaged_meanings_are_a_sentence(tmp_path: Path) -> None:
    fa.write_log([sample_of(stream_of(message(rows_of(6))))], tmp_path / "out", format="folder")
    path = next((tmp_path / "out").rglob("stream.json"))
    text = path.read_text()
    for old, new, words in (
        ("doppler: radial_speed", "doppler: velocity", "doppler: rows of shape .*, expected .3"),
        ("doppler: radial_speed of", "doppler is", "is not 'COLUMN: WORD of FIELDS'"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(DataError, match=words):
            fa.open_log("folder", tmp_path / "out")[0]
