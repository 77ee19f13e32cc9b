"""The driving world and its sample log against their own ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from places import DRIVE

import fusion_aug as fa
from fusion_aug.check import Pair
from fusion_aug.check.velocity import doppler
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.synth.drive import SIZES, T0, Size, make_log
from fusion_aug.synth.road import Road, Speed
from fusion_aug.synth.sensors import inertial
from fusion_aug.synth.town import make_town
from fusion_aug.synth.world import KINDS, Scenery

TINY = Size((36, 64), 60, 80, 1)


@pytest.mark.quick
def test_road_coordinates_round_trip() -> None:
    road, rng = Road(), np.random.default_rng(0)
    s, d = rng.uniform(-60, 140, 500), rng.uniform(-12, 12, 500)
    s2, d2 = road.locate(road.at(s, d)[0])
    assert np.abs(s - s2).max() < 1e-9 and np.abs(d - d2).max() < 1e-9


@pytest.mark.quick
def test_speed_is_the_derivative_of_the_distance() -> None:
    speed, h = Speed(3.0, 7.0, ((1.0, 2.5, 0.0), (4.0, 6.0, 5.0))), 1e-5
    for t in np.linspace(0.1, 8.0, 40):
        before, here, after = speed.at(t - h), speed.at(t), speed.at(t + h)
        assert (after[0] - before[0]) / (2 * h) == pytest.approx(here[1], abs=1e-5)
        assert (after[1] - before[1]) / (2 * h) == pytest.approx(here[2], abs=1e-3)


def test_points_lie_on_what_was_hit(street: Path) -> None:
    """LiDAR points on the ground or in boxes, through the log's own calibration, sharp though the vehicle moves."""
    log = fa.open_log("nuscenes", street)
    sample = log[2]
    cloud = sample.points("LIDAR_TOP")
    key = sample.key_item("LIDAR_TOP")
    xyz = cloud["xyz"][cloud.item_slice(key)]
    ground = xyz[:, 2].abs() < 0.05
    assert 0.2 < float(ground.double().mean()) < 0.9
    assert float(xyz[:, 2].min()) > -0.06, "nothing lies under the road"
    inside = points_in_boxes(xyz, sample.boxes()["pose"], sample.boxes()["size"])
    counts = [a["num_lidar_pts"] for a in log.tables.annotations_of_sample(sample.id)]  # type: ignore[attr-defined]
    close = [(len(i), n) for i, n in zip(inside, counts, strict=True) if n >= 8]
    assert len(close) >= 4 and all(abs(a - b) <= 0.25 * b + 1 for a, b in close)


def test_every_point_has_its_time(street: Path) -> None:
    """Offsets from the sidecar: one revolution before the stamp, growing with the azimuth of a clockwise scanner."""
    cloud = fa.open_log("nuscenes", street)[1]["LIDAR_TOP"]
    offset, xyz = cloud["time_offset"], cloud["xyz"]
    assert len(offset) == len(xyz) and float(offset.min()) >= -0.0501 and float(offset.max()) < 0
    azimuth = torch.atan2(xyz[:, 1], xyz[:, 0]).double()
    turned = torch.remainder(np.pi - azimuth, 2 * np.pi) / (2 * np.pi)
    far = xyz.norm(dim=1) > 10
    assert float(((turned - 1) * 0.05 - offset)[far].abs().median()) < 1e-3


def test_pictures_show_what_depth_and_classes_say(street: Path) -> None:
    """Points projected into a picture have its depth, and a car's centre is of the class vehicle."""
    log = fa.open_log("nuscenes", street)
    sample = next(s for s in log if "CAM_FRONT/depth" in s.streams)
    for camera in ("CAM_FRONT", "CAM_BACK", "FISHEYE_FRONT"):
        key = sample.key_item("LIDAR_TOP")
        pixels, seen = sample.project("LIDAR_TOP", camera)
        depth = sample[f"{camera}/depth"]
        T = sample.rig.T(camera, "LIDAR_TOP", int(sample["LIDAR_TOP"].capture_times[key]), int(depth.capture_times[0]))
        xyz = sample["LIDAR_TOP"]["xyz"][sample["LIDAR_TOP"].item_slice(key)].double()
        local = xyz @ T[:3, :3].T + T[:3, 3]
        expected = local[:, 2] if depth.measure == "z" else local.norm(dim=1)
        u, v = pixels[seen].round().long().T
        picture = depth.image(0)
        rendered = picture[v.clamp(0, picture.shape[0] - 1), u.clamp(0, picture.shape[1] - 1)].double()
        error = ((rendered - expected[seen]).abs() / expected[seen])[rendered > 0]
        assert len(error) > 100 and float(error.median()) < 0.02, camera
    classes = sample["CAM_FRONT/classes"].image(0)
    assert {KINDS[k] for k in classes.unique().tolist()} >= {"sky", "road", "pavement", "building", "vehicle"}


def test_the_imu_agrees_with_the_path(street: Path) -> None:
    """Specific force at rest is gravity; integrated over the bend the gyro gives the rotation."""
    log = fa.open_log("nuscenes", street)
    imu = log[1]["imu"]
    assert torch.diff(imu.capture_times).unique().tolist() == [10_000_000]
    assert float(imu["accel"][:, 2].mean()) == pytest.approx(9.81, abs=0.05)
    town = make_town(0)
    times = np.arange(9.0, 10.0, 0.01)
    gyro, accel = inertial(town.ego.pose, times)
    heading = [np.arctan2(*town.ego.pose(t)[[1, 0], 0]) for t in (times[0], times[-1] + 0.01)]
    assert gyro[:, 2].sum() * 0.01 == pytest.approx(heading[1] - heading[0], abs=2e-3)
    assert accel[:, 1].mean() == pytest.approx(7.0**2 / 32 * (32 + 1.7) / 32, rel=0.02), "towards the bend"


def test_radar_agrees_with_the_boxes(street: Path) -> None:
    log = fa.open_log("nuscenes", street)
    rows = doppler([Pair(log[i], log[i]) for i in range(1, 4)])
    values = np.concatenate([r.values for r in rows])
    assert len(values) > 10 and np.median(values) < 0.05 and values.max() < 0.3


def test_doppler_of_static_objects_is_zero(street: Path) -> None:
    """Raw Doppler of static objects is the vehicle's own motion, and the compensated one nothing."""
    sample = fa.open_log("nuscenes", street)[1]
    for name, radar in sample.of_type(fa.Radar).items():
        still = radar["flags"][:, 0] == 1
        assert bool(still.any()) and float(radar["velocity_comp"][still].norm(dim=1).max()) < 0.31, name
        ray = radar["xyz"][still] / radar["xyz"][still].norm(dim=1, keepdim=True)
        ego, at = sample["ego"], int(radar.capture_times[0])
        k = int((ego.capture_times - at).abs().argmin())
        T = sample.rig.T("ego", name, at)
        v = T[:3, :3].T @ (ego["velocity"][k] + torch.linalg.cross(ego["angular_velocity"][k], T[:3, 3]))
        raw = (radar["velocity"][still] * ray).sum(1).double()
        assert torch.allclose(raw, -(ray.double() @ v), atol=0.32), name


def test_the_same_seed_gives_the_same_log(tmp_path: Path) -> None:
    logs = [make_log(tmp_path / n, frames=2, size=TINY, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2))]
    files = [sorted(p.relative_to(log) for p in log.rglob("*") if p.is_file()) for log in logs]
    assert files[0] == files[1]
    assert all((logs[0] / f).read_bytes() == (logs[1] / f).read_bytes() for f in files[0])
    assert (logs[0] / "v1.0-mini/sample.json").read_bytes() != (logs[2] / "v1.0-mini/sample.json").read_bytes()


def test_depth_of_every_keyframe_and_no_other_sensors(tmp_path: Path) -> None:
    """What is kept of cameras and LiDAR is the same to the bit as beside the other sensors."""
    bare = fa.open_log("nuscenes", make_log(tmp_path / "bare", frames=3, size=TINY, depth="all", extras=False))
    whole = fa.open_log("nuscenes", make_log(tmp_path / "whole", frames=3, size=TINY))
    cameras = list(bare[0].of_type(fa.Camera))
    assert len(cameras) == 6 and not bare[2].of_type(fa.Radar) and "imu" not in bare[2].streams
    for i in range(3):
        assert {f"{c}/depth" for c in cameras} <= set(bare[i].streams), i
        assert bool((bare[i]["LIDAR_TOP"].capture_times == bare[i]["LIDAR_TOP"].capture_times[-1]).all())
    with_depth = [s for s in whole if "CAM_FRONT/depth" in s.streams]
    assert len(with_depth) == 2
    for sample in with_depth:
        same = next(s for s in bare if s.metas[0].ref.time == sample.metas[0].ref.time)
        for name in ("CAM_FRONT", "CAM_FRONT/depth", "CAM_BACK/classes"):
            assert torch.equal(same[name].image(0), sample[name].image(0)), name


def test_a_tiny_street_holds_what_a_detector_of_keyframes_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cameras, LiDAR, radars and boxes at keyframes, a second apart; nothing beside the format, unless asked for."""
    from fusion_aug.cli import main
    from fusion_aug.synth import drive

    assert SIZES["tiny"] == Size((96, 168), 360, 92, lean=True)
    monkeypatch.setitem(drive.SIZES, "tiny", Size((36, 64), 60, 80, 1, lean=True))
    words = ["synth", "drive", "size=tiny", "every=1.0", "frames=2", "seed=3"]
    assert main([*words, f"out={tmp_path / 'tiny'}"]) == 0
    log = fa.open_log("nuscenes", tmp_path / "tiny")
    assert not (tmp_path / "tiny" / "fusion_aug").exists() and not (tmp_path / "tiny" / "sweeps").exists()
    assert log[1].ref.time - log[0].ref.time == 1_000_000_000
    for sample in log:
        kinds = {kind: sample.of_type(kind) for kind in (fa.Camera, fa.Lidar, fa.Radar)}
        assert [len(found) for found in kinds.values()] == [6, 1, 3]
        assert all(len(stream) == 1 for found in kinds.values() for stream in found.values())
        assert not sample.of_type(fa.Depth) and not sample.of_type(fa.Imu) and len(sample.boxes()["pose"]) > 10
    whole = fa.open_log("nuscenes", make_log(tmp_path / "whole", frames=3, seed=3, size=TINY))
    same = next(s for s in whole if s.ref.time == log[1].ref.time).take_key("LIDAR_TOP")
    assert torch.equal(same["xyz"], log[1]["LIDAR_TOP"]["xyz"]), "a larger log of the street has the same keyframe"
    assert main([*words[:4], "frames=1", "depth=all", f"out={tmp_path / 'deep'}"]) == 0
    assert len(fa.open_log("nuscenes", tmp_path / "deep")[0].of_type(fa.Depth)) == 6
    capsys.readouterr()
    for word, said in (("0.2", "at least 0.3 seconds"), ("soon", "seconds between"), ("true", "seconds between")):
        assert main([*words, f"every={word}", f"out={tmp_path / 'wrong'}"]) == 2
        assert f"every: expected {said}" in " ".join(capsys.readouterr().err.split())
        assert not (tmp_path / "wrong").exists()


def test_nothing_drives_through_anything() -> None:
    """Centres of labelled bodies keep their distance from the vehicle and from one another."""
    town = make_town(0)
    for t in np.arange(0.0, 10.01, 0.25):
        ego = town.ego.pose(t)
        middle = (ego @ [1.4, 0, 0, 1])[:2]
        bodies = [b for b in town.bodies if b.category]
        places = np.array([b.pose(t)[:2, 3] for b in bodies])
        vehicles = np.array([b.kind == "vehicle" for b in bodies])
        gap = np.linalg.norm(places - middle, axis=1)
        assert gap[vehicles].min() > 2.5 and gap[~vehicles].min() > 1.5, t
        apart = np.linalg.norm(places[vehicles, None] - places[vehicles][None], axis=2) + 99 * np.eye(vehicles.sum())
        assert apart.min() > 2.0, t


def test_the_sample_log_of_the_repository_is_what_the_world_makes() -> None:
    """Boxes of the committed log are where the bodies of the town are."""
    folder = DRIVE
    log, town = fa.open_log("nuscenes", folder), make_town(0)
    assert len(log) == 21
    sample = log[12]
    time = (sample.ref.time - T0 * 1000) * 1e-9
    T = sample.rig.T("world", "ego", sample.ref.time)
    centres = (T @ sample.boxes()["pose"])[:, :2, 3].numpy()
    bodies = np.array([b.pose(time)[:2, 3] for b in town.bodies if b.category])
    assert len(centres) > 15
    assert np.linalg.norm(centres[:, None] - bodies[None], axis=2).min(1).max() < 1e-6
    hits = Scenery(town).at(time).cast(T[:3, 3].numpy()[None] + [0, 0, 1.8], np.array([[0.0, 0.0, -1.0]]))
    assert hits.distance[0] == pytest.approx(1.8, abs=1e-4)


def test_the_command_line_asks_for_the_light(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same street by sun and under clouds: one geometry, no shadows, a grey sky; other words are refused."""
    from fusion_aug.cli import main
    from fusion_aug.synth import drive

    monkeypatch.setitem(drive.SIZES, "small", TINY)
    seen = {}
    for light in ("sun", "overcast"):
        words = ["synth", "drive", "frames=1", "extras=false", f"light={light}", f"out={tmp_path / light}"]
        assert main(words) == 0
        seen[light] = fa.open_log("nuscenes", tmp_path / light)[0]
    assert torch.equal(seen["sun"]["LIDAR_TOP"]["xyz"], seen["overcast"]["LIDAR_TOP"]["xyz"])
    sky = torch.isinf(seen["sun"]["CAM_FRONT/depth"].image(0))
    bluer = {}
    for light, sample in seen.items():
        picture = sample["CAM_FRONT"].image(0).float()
        bluer[light] = float((picture[..., 2] - picture[..., 0])[sky].mean())
    assert bluer["sun"] > 20 > 12 > bluer["overcast"]
    assert main([*words[:4], "light=moon", f"out={tmp_path / 'moon'}"]) == 2
    assert "light: 'moon' is not one of sun, overcast" in " ".join(capsys.readouterr().err.split())
