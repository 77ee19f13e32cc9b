"""Sectors of another sample: whose pixel, whose point, whose box; motion, Doppler, clocks and calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from generic import assert_same_streams
from places import DRIVE

import fusion_aug as fa
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.streams import strings

Array = np.ndarray
LIDAR, SENSORS = "LIDAR_TOP", ("CAM_*", "LIDAR_TOP", "RADAR_*")
STREET = (0, 4)  # keyframes of the sample log that one sector of 130 degrees can be swapped between: a camera is whole


def marked(sample: fa.Sample, whose: int) -> fa.Sample:
    """With pictures of one level and a mark at every point and box."""
    streams = dict(sample.streams)
    for name, stream in sample.of_type(fa.Camera).items():
        flat = torch.full((*sample.rig.camera(stream.instance(name)).size, 3), 255 * whose, dtype=torch.uint8)
        streams[name] = replace(stream, items=(flat,) * len(stream), pending=(None,) * len(stream))
    cloud = sample[LIDAR].loaded()
    streams[LIDAR] = cloud.with_values(status=torch.full((cloud.rows,), whose, dtype=torch.int64))
    boxes = sample["boxes"]
    streams["boxes"] = boxes.with_values(category=strings([f"{whose}"] * boxes.rows))
    return sample.with_streams(streams).with_meta(0, id=f"{sample.id}{whose}")


@cache
def pair() -> tuple[fa.Sample, fa.Sample]:
    log = fa.open_log("nuscenes", DRIVE)
    return tuple(marked(log[k], w) for w, k in enumerate(STREET))  # type: ignore[return-value]


@cache
def mixed(width: float = 130.0, seed: int = 0) -> fa.Sample:
    sample, donor = pair()
    mix = fa.SwapSector(width_deg=width, sensors=SENSORS)
    return mix(sample, seed=seed, resources={"donors": fa.Donors([donor])})


def plan(out: fa.Sample) -> dict[str, Any]:
    return out.history[0].params[""]


def T_item(sample: fa.Sample, name: str, item: int) -> Array:
    """``T_ref_sensor`` by way of the world, each pose looked up on its own."""
    stream, world = sample[name], "global" if "global" in sample.rig.frames else "world"
    T_world_ref = sample.rig.T(world, sample.ref.frame, sample.ref.time).numpy()
    T_world = sample.rig.T(world, stream.frame, int(stream.capture_times[item])).numpy()
    return np.linalg.inv(T_world_ref) @ T_world


def key_scan(sample: fa.Sample, name: str = LIDAR) -> tuple[Array, Array]:
    """Places (n, 3) in the reference frame of the scan at the keyframe, and whose they are (n,)."""
    item = int((sample[name].capture_times - sample.ref.time).abs().argmin())
    cloud = sample[name].take_items(torch.tensor([item]))
    T = T_item(sample, name, item)
    return cloud["xyz"].numpy().astype(np.float64) @ T[:3, :3].T + T[:3, 3], cloud["status"].numpy()


def in_picture(sample: fa.Sample, camera: str, places: Array) -> tuple[Array, Array]:
    """Pixels (n, 2) by OpenCV's model of a pinhole, written out, and which lie on the canvas."""
    sensor = sample.rig.camera(camera)
    local = (places - T_item(sample, camera, 0)[:3, 3]) @ T_item(sample, camera, 0)[:3, :3]
    K = sensor.A.numpy() @ sensor.model.K.numpy()
    pixels = (local @ K.T)[:, :2] / local[:, 2:]
    inside = (local[:, 2] > 0.1) & (pixels >= -0.5).all(1) & (pixels <= np.array(sensor.size[::-1]) - 0.5).all(1)
    return pixels, inside


def within(places: Array, boxes: fa.Boxes3D) -> Iterator[Array]:
    for pose, size in zip(boxes["pose"].numpy(), boxes["size"].numpy(), strict=True):
        yield (np.abs((places - pose[:3, 3]) @ pose[:3, :3]) <= size / 2).all(1)


@pytest.mark.quick
def test_a_point_and_the_pixel_that_shows_it_are_of_one_sample() -> None:
    out = mixed()
    places, whose = key_scan(out)
    shown = {0, 1} - set(plan(out)["cut"])
    seen, other, on_seam = 0, 0, 0
    for camera in ("CAM_FRONT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT"):
        pixels, inside = in_picture(out, camera, places)
        far = np.linalg.norm(places - T_item(out, camera, 0)[:3, 3], axis=1) > 1.5
        u, v = np.round(pixels[inside & far]).astype(int).clip(0).T
        picture = out[camera].image(0)[..., 0].numpy() > 127
        shown |= {int(picture.min()), int(picture.max())}
        seen += len(u)
        # a seam runs through a column of pixels, of which either side may show the point
        beside = [picture[v, (u + d).clip(0, picture.shape[1] - 1)] != whose[inside & far] for d in (-1, 0, 1)]
        other += int(np.all(beside, axis=0).sum())
        on_seam += int(beside[1].sum())
    assert seen > 10_000 and other == 0 and on_seam <= 0.002 * seen
    assert whose.sum() > 2000 and (whose == 0).sum() > 2000 and shown == {0, 1}
    assert plan(out)["cut"] == ["CAM_BACK_LEFT", "CAM_BACK_RIGHT"] and plan(out)["whole"] == ["CAM_BACK"]


def test_boxes_are_whole_and_hold_the_points_of_their_own_sample_all_and_only() -> None:
    out, kept = mixed(), 0
    places, whose = key_scan(out)
    sources = [(key_scan(s)[0], s["boxes"]) for s in pair()]
    for number, (mine, category) in enumerate(zip(within(places, out["boxes"]), out["boxes"]["category"], strict=True)):
        own_places, own = sources[int(category)]
        pose = out["boxes"]["pose"][number]
        row = int((own["pose"] - pose).abs().sum((1, 2)).argmin())
        assert torch.equal(own["pose"][row], pose)
        before = next(w for k, w in enumerate(within(own_places, own)) if k == row)
        assert mine.sum() == before.sum() and (whose[mine] == int(category)).all()
        kept += int(before.sum())
    assert kept > 100
    ids = list(out["boxes"]["instance"])
    assert len(set(ids)) == len(ids)


def test_a_beam_has_one_return() -> None:
    def doubled(sample: fa.Sample, name: str = LIDAR) -> int:
        item = int((sample[name].capture_times - sample.ref.time).abs().argmin())
        cloud = sample[name].take_items(torch.tensor([item]))
        xyz = cloud["xyz"].double().numpy()
        columns = np.floor((np.arctan2(xyz[:, 1], xyz[:, 0]) + np.pi) / (2 * np.pi / 360))
        _, counts = np.unique(cloud["ring"].numpy() * 1000 + columns, return_counts=True)
        return int((counts > 1).sum())

    assert doubled(mixed()) <= max(doubled(s) for s in pair()) + 2


def test_the_written_calibration_has_the_donors_part_where_its_own_picture_shows_it() -> None:
    out, (_, donor) = mixed(), pair()
    places, whose = key_scan(out)
    for camera, most in (("CAM_BACK", 1e-6), ("CAM_BACK_LEFT", 1.0), ("CAM_BACK_RIGHT", 1.0)):
        theirs = places[whose == 1]
        theirs = theirs[np.linalg.norm(theirs - T_item(out, camera, 0)[:3, 3], axis=1) >= 10]
        (here, a), (there, b) = (in_picture(s, camera, theirs) for s in (out, donor))
        picture = out[camera].image(0)[..., 0].numpy()
        u, v = np.round(here[a & b]).astype(int).clip(0).T
        gaps = np.linalg.norm(here - there, axis=1)[a & b][picture[v, u] == 255]
        assert len(gaps) > 100 and gaps.max() <= most, camera
    stamp = int(donor["CAM_BACK"].capture_times[0]) - donor.ref.time
    assert int(out["CAM_BACK"].capture_times[0]) - out.ref.time == stamp


def test_sweeps_stay_where_they_were_in_the_donors_world() -> None:
    """Static things are at one place in all sweeps: what a donor's sweep shows keeps its place beside its keyframe."""
    log = fa.open_log("nuscenes", DRIVE)
    sample, donor = marked(log[2], 0), pair()[1]
    out = fa.SwapSector(width_deg=130.0, sensors=SENSORS)(sample, resources={"donors": fa.Donors([donor])})
    assert len(out[LIDAR]) == 2 and not plan(out)["without_partner"]
    for item in range(2):
        places = []
        for which in (out, donor):
            cloud, T = which[LIDAR].take_items(torch.tensor([item])), T_item(which, LIDAR, item)
            xyz = cloud["xyz"].double().numpy()[cloud["status"].numpy() == 1]
            places.append(xyz @ T[:3, :3].T + T[:3, 3])
        near = np.abs(places[1][None, ::1] - places[0][::40, None]).sum(-1).min(1)
        assert len(near) > 50 and near.max() < 1e-3


def test_raw_doppler_is_that_of_the_receivers_motion() -> None:
    out, (sample, _) = mixed(), pair()
    foreign = 0
    for name, radar in out.of_type(fa.Radar).items():
        T0, T1 = (T_item_at(sample, name, int(radar.capture_times[0]) + d) for d in (-1_000_000, 1_000_000))
        T = T_item(sample, name, 0)
        own = T[:3, :3].T @ (T1[:3, 3] - T0[:3, 3]) / 2e-3
        ray = radar["xyz"].double().numpy()
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        gap = ((radar["velocity_comp"] - radar["velocity"]).double().numpy() * ray).sum(1) - ray @ own
        theirs = (radar.source_rows >= 1 << 32).numpy()
        assert np.abs(gap).max(initial=0) <= max(1e-4, 1.01 * np.abs(gap[~theirs]).max(initial=0))
        foreign += int(theirs.sum())
    assert foreign > 3


def T_item_at(sample: fa.Sample, name: str, time: int) -> Array:
    world = "global" if "global" in sample.rig.frames else "world"
    T_world_ref = sample.rig.T(world, sample.ref.frame, sample.ref.time).numpy()
    return np.linalg.inv(T_world_ref) @ sample.rig.T(world, sample[name].frame, time).numpy()


def test_replay_is_bit_exact_and_boxes_go_back_to_their_own_sample() -> None:
    out, (sample, donor) = mixed(), pair()
    again = fa.replay(sample, out.history, resources={"donors": fa.Donors([donor])})
    assert_same_streams(out, again)
    back = fa.invert(out["boxes"], out.history)
    expected = [(sample, donor)[int(c)].id for c in out["boxes"]["category"]]
    assert list(back["sample"]) == expected and set(expected) == {sample.id, donor.id}


def test_several_sectors_do_not_meet() -> None:
    log = fa.open_log("nuscenes", DRIVE)
    still = marked(log[20], 0), marked(log[19], 1)
    mix = fa.SwapSector(width_deg=40.0, sectors=2, sensors=("LIDAR_TOP",))
    out = mix(still[0], seed=3, resources={"donors": fa.Donors([still[1]])})
    (a, b), (c, d) = plan(out)["seams"]
    at = [s["azimuth"] for s in (a, b, c, d)]
    turned = [(x - at[0]) % (2 * np.pi) for x in at]
    assert turned == sorted(turned)
    places, whose = key_scan(out)
    T = np.asarray(plan(out)["level"])
    xy = (places @ T.T)[:, :2] - np.array(a["apex"])
    azimuth = (np.arctan2(xy[:, 1], xy[:, 0]) - at[0]) % (2 * np.pi)
    inside = (azimuth < turned[1]) | ((azimuth > turned[2]) & (azimuth < turned[3]))
    assert (inside == (whose == 1)).all() and inside.any()
    assert set(out.of_type(fa.Camera)) == set() and len(plan(out)["left_out"]) > 6


def test_what_does_not_fit_is_refused_in_a_sentence() -> None:
    sample, donor = pair()
    with pytest.raises(ConfigError, match="sectors: expected a whole number"):
        fa.SwapSector(sectors=0)
    with pytest.raises(ConfigError, match="captions"):
        fa.SwapSector(captions="keep")
    mix = fa.SwapSector(sensors=SENSORS)
    brighter = donor[LIDAR].with_values(intensity=donor[LIDAR]["intensity"] * 2)
    without = {name: {n: s for n, s in donor.streams.items() if n != name} for name in (LIDAR, "boxes")}
    for streams, reason in (
        (without[LIDAR], "it has no 'LIDAR_TOP'"),
        (without["boxes"], "only one of them has boxes"),
        ({**donor.streams, LIDAR: brighter}, "median intensities"),
    ):
        changed = donor.with_streams(streams)
        with pytest.raises(DataError, match=reason):
            mix(sample, resources={"donors": fa.Donors([changed])})


@pytest.mark.real
def test_the_real_keyframe_as_its_own_donor(real_data: Path) -> None:
    sample = fa.open_log("nuscenes", real_data / "nuscenes")[0]
    out = fa.SwapSector(width_deg=150.0)(sample, seed=4, resources={"donors": fa.Donors([sample])})
    lost = sample[LIDAR].rows - out[LIDAR].rows
    assert 0 <= lost <= 0.005 * sample[LIDAR].rows  # beams between the LiDAR and a camera, of which both show a return
    assert out["boxes"].rows == sample["boxes"].rows
    for camera in plan(out)["cut"]:
        assert torch.equal(out[camera].image(0), sample[camera].image(0))


def test_a_kitti_frame_is_cut_where_no_camera_sees(real_data: Path) -> None:
    sample = fa.open_log("kitti", real_data / "kitti")[0]
    donors = {"donors": fa.Donors([sample])}
    out = fa.SwapSector(width_deg=180.0)(sample, seed=1, resources=donors)
    assert out["boxes_2d"].rows == sample["boxes_2d"].rows and out["boxes"].rows == sample["boxes"].rows
    assert torch.equal(out["image_2"].image(0), sample["image_2"].image(0))
