"""Raw and compensated velocities of a radar: the one follows from the other and the poses of the rig."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from devkit_rules import DevkitLog

import fusion_aug as fa
from calib import Frame, LidarSensor, RadarSensor, Rig, Trajectory
from calib.se3 import rotation_about, se3
from fusion_aug.logs.core.log import find_exporter
from fusion_aug.sample.ego import with_both_velocities
from fusion_aug.show.draw import birds_eye

pytestmark = pytest.mark.quick

T0, SPEED, TURN, PLACE, YAW = 1_700_000_000_000_000_000, 6.0, 0.4, (3.0, 0.5, 0.6), 0.3


def circling(seconds: torch.Tensor) -> torch.Tensor:
    angle, radius = TURN * seconds, SPEED / TURN
    place = torch.stack([radius * torch.sin(angle), radius * (1 - torch.cos(angle)), 0 * angle], 1)
    return se3(rotation_about("z", angle), place)


def rig() -> Rig:
    seconds = torch.arange(-100, 101, dtype=torch.float64) / 200
    track = Trajectory((seconds * 1e9).round().long() + T0, circling(seconds))
    mount = se3(rotation_about("z", torch.tensor([YAW], dtype=torch.float64)), torch.tensor([PLACE]).double())[0]
    frames = {"world": Frame(axis_convention="world"), "car": Frame(parent="world", pose=track)}
    sensors = {"RADAR_FRONT": RadarSensor(frame="bumper"), "LIDAR_TOP": LidarSensor(frame="car", intensity_scale=255.0)}
    return Rig(frames | {"bumper": Frame(parent="car", pose=mount)}, sensors)


XYZ = np.array([[20.0, 3.0, 0.5], [-8.0, 15.0, 0.0], [30.0, -9.0, 1.0]])
RAY = XYZ / np.linalg.norm(XYZ, axis=1, keepdims=True)
OVER_GROUND = np.array([2.0, 0.0, -7.5])  # m/s along the ray


def compensated() -> np.ndarray:
    return RAY * OVER_GROUND[:, None]


def raw() -> np.ndarray:
    """What a radar at ``PLACE`` of a car on a circle measures, by v + omega x p."""
    x, y, _ = PLACE
    v = np.array([SPEED - TURN * y, TURN * x])
    c, s = np.cos(YAW), np.sin(YAW)
    own = np.array([c * v[0] + s * v[1], -s * v[0] + c * v[1], 0.0])
    return RAY * (OVER_GROUND - RAY @ own)[:, None]


def sample(**velocities: np.ndarray) -> fa.Sample:
    radar = fa.Radar(frame="bumper", capture_times=[T0], values={"xyz": XYZ.astype(np.float32), **velocities})  # type: ignore[arg-type]
    cloud = fa.Lidar(frame="car", capture_times=[T0], values={"xyz": torch.ones(2, 3), "intensity": torch.ones(2)})  # type: ignore[arg-type]
    return fa.make_sample("s", ("car", T0), rig(), {"LIDAR_TOP": cloud, "RADAR_FRONT": radar})


def test_each_follows_from_the_other_and_from_neither_nothing() -> None:
    found = with_both_velocities(sample(velocity=raw()), "RADAR_FRONT")
    assert np.allclose(found["velocity_comp"].numpy(), compensated(), atol=1e-3)
    found = with_both_velocities(sample(velocity_comp=compensated()), "RADAR_FRONT")
    assert np.allclose(found["velocity"].numpy(), raw(), atol=1e-3)
    nothing = with_both_velocities(sample(), "RADAR_FRONT")
    assert bool(nothing["velocity"].isnan().all()) and bool(nothing["velocity_comp"].isnan().all())


def test_without_a_known_motion_it_is_unknown() -> None:
    still = sample(velocity=raw())
    frames = {"car": Frame(), "bumper": still.rig.frames["bumper"]}
    loose = still.with_meta(0, rig=Rig(frames, still.rig.sensors), true_rig=Rig(frames, still.rig.sensors))
    assert bool(with_both_velocities(loose, "RADAR_FRONT")["velocity_comp"].isnan().all())
    dense = fa.to_dense(loose)
    assert not bool(dense["radar_velocity_known"].any()) and not bool(dense["radar_points"][..., 3:5].any())


def test_dense_points_have_the_compensated_one() -> None:
    dense = fa.to_dense(sample(velocity=raw()))
    c, s = np.cos(YAW), np.sin(YAW)
    expected = compensated()[:, :2] @ np.array([[c, s], [-s, c]])
    assert bool(dense["radar_velocity_known"].all())
    assert np.allclose(dense["radar_points"][0, :, 3:5].numpy(), expected, atol=1e-3)


def test_nuscenes_files_have_both(tmp_path: Path) -> None:
    fa.write_log([sample(velocity=raw())], tmp_path / "log", format="nuscenes")
    devkit = DevkitLog(tmp_path / "log")
    row = devkit.keyframes(devkit.samples()[0])["RADAR_FRONT"]
    head, body = (tmp_path / "log" / row["filename"]).read_bytes().split(b"DATA binary\n", 1)
    lines = dict(line.split(" ", 1) for line in head.decode().splitlines()[1:])
    kinds = [{"F": "f", "I": "i"}[t] + n for t, n in zip(lines["TYPE"].split(), lines["SIZE"].split(), strict=True)]
    table = np.frombuffer(body, np.dtype(list(zip(lines["FIELDS"].split(), kinds, strict=True))), count=len(XYZ))
    for names, expected in ((("vx", "vy"), raw()), (("vx_comp", "vy_comp"), compensated())):
        assert np.allclose(np.stack([table[n] for n in names], 1), expected[:, :2], atol=1e-3)
    assert table["dyn_prop"].tolist() == [4] * 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"velocity": raw()}, "compensated velocities are worked out from the vehicle's poses"),
        ({"velocity_comp": compensated()}, "raw velocities are worked out from the vehicle's poses"),
        ({}, "no velocity is known: 0, with dyn_prop 4 (unknown)"),
    ],
)
def test_a_run_says_what_the_velocities_are(given: dict, words: str, tmp_path: Path) -> None:
    writer = find_exporter("nuscenes")(None, tmp_path, lossy=False, link="copy")
    said = [line for line in writer.notes(sample(**given), fa.Compose([])) if line.startswith("RADAR_FRONT: ")]
    assert said == [f"RADAR_FRONT: {words}"]


def test_a_picture_is_drawn_of_a_radar_without_compensated_velocities() -> None:
    for given in ({"velocity": raw()}, {}):
        assert birds_eye(sample(**given)).any()
