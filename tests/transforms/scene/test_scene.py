"""Laws of scene motions: gravity stays, static things stay static, physics holds in the world."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from samples import T0, ego_pose, make_sample

import fusion_aug as fa
from calib.se3 import as_f64, transform_points

G = as_f64([0.0, 0.0, -9.81])
STEP = 10_000_000  # ns


def test_a_rigid_motion_changes_no_world_coordinate() -> None:
    sample = make_sample()
    out = fa.Compose([fa.RotateScene(yaw_deg=40, roll_deg=5, pitch_deg=-4), fa.TranslateScene(x=1, y=-2, z=0.3)])(
        sample
    )
    for name in ("CAM_FRONT", "FISHEYE", "lidar", "radar", "imu"):
        for time in sample["ego"].capture_times.tolist():
            assert torch.allclose(out.rig.T("world", name, time), sample.rig.T("world", name, time), atol=1e-9)
    T, U = (s.rig.T("world", "ego", s.ref.time) for s in (sample, out))
    assert torch.allclose(U @ out.boxes()["pose"], T @ sample.boxes()["pose"], atol=1e-9)


def test_a_mirror_is_vertical_in_the_world() -> None:
    """The road is tilted, the mirror plane is not: heights in the world stay."""
    sample = make_sample()
    out = fa.MirrorScene(axis="y")(sample)
    T, U = (s.rig.T("world", "ego", s.ref.time) for s in (sample, out))
    before = transform_points(T, sample.boxes()["pose"][:, :3, 3])
    after = transform_points(U, out.boxes()["pose"][:, :3, 3])
    assert torch.allclose(before[:, 2], after[:, 2], atol=1e-9)


@pytest.mark.parametrize("transform", [fa.MirrorScene(axis="y"), fa.MirrorScene(axis="x"), fa.ScaleScene(scale=1.2)])
def test_static_things_stay_static_over_a_scene(transform: fa.Transform) -> None:
    """A post that is static in the world is static after the motion of two keyframes with one draw."""
    post = as_f64([[15.0, 8.0, 1.0]])
    places = []
    for time in (T0, T0 + 500_000_000):
        sample = make_sample("t", time=time)
        T = sample.rig.T("world", "ego", time)
        pose = torch.eye(4, dtype=torch.float64)[None].clone()
        pose[:, :3, 3] = transform_points(torch.linalg.inv(T), post)
        values = {"pose": pose, "size": torch.ones(1, 3).double(), "velocity": torch.zeros(1, 3).double()}
        boxes = fa.Boxes3D(frame="ref", capture_times=torch.tensor([time]), values=values)
        out = transform(sample.with_streams({"boxes": boxes, "ego": sample["ego"]}))
        places.append(transform_points(out.rig.T("world", "ego", time), out.boxes()["pose"][:, :3, 3]))
    assert torch.allclose(*places, atol=1e-9)


@pytest.mark.parametrize("chain", [["mirror"], ["scale"], ["mirror", "scale"], ["yaw", "mirror", "scale", "roll"]])
def test_the_imu_reads_what_the_moved_trajectory_makes_it_read(chain: list[str]) -> None:
    """f = R^T (a - g) and the gyro of the augmented poses, by differences in the world, against the moved readings."""
    parts = {
        "mirror": fa.MirrorScene(axis="y"), "scale": fa.ScaleScene(scale=1.3), "yaw": fa.RotateScene(yaw_deg=25),
        "roll": fa.RotateScene(roll_deg=6),
    }  # fmt: skip
    times = [T0 + k * STEP for k in range(-2, 3)]
    base = make_sample()
    from calib import Frame, Rig
    from calib.trajectory import Trajectory

    poses = torch.stack([ego_pose(t) for t in times])
    frames = {n: base.rig.frames[n] for n in ("world", "imu")} | {
        "ego": Frame(parent="world", pose=Trajectory(torch.tensor(times), poses))
    }
    rig = Rig({"world": frames["world"], "ego": frames["ego"], "imu": frames["imu"]}, {})

    def readings(r: Rig) -> tuple[torch.Tensor, torch.Tensor]:
        T = [r.T("world", "imu", t) for t in times]
        dt = STEP * 1e-9
        a = (T[3][:3, 3] - 2 * T[2][:3, 3] + T[1][:3, 3]) / dt**2
        turn = T[1][:3, :3].T @ T[3][:3, :3]
        gyro = torch.stack([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2 / (2 * dt)
        # in the axes of the middle pose
        gyro = T[2][:3, :3].T @ T[1][:3, :3] @ gyro
        return T[2][:3, :3].T @ (a - G), gyro

    accel, gyro = readings(rig)
    imu = fa.Imu(frame="imu", capture_times=torch.tensor([T0]), values={"accel": accel[None], "gyro": gyro[None]})
    sample = base.with_streams({"imu": imu}).with_meta(0, rig=rig, true_rig=rig, clock="imu")
    out = fa.Compose([parts[name] for name in chain])(sample)
    expected_accel, expected_gyro = readings(out.rig)
    assert torch.allclose(out["imu"]["accel"][0], expected_accel, atol=1e-6)
    assert torch.allclose(out["imu"]["gyro"][0], expected_gyro, atol=1e-6)


def test_twist_is_the_derivative_of_the_moved_pose() -> None:
    """Velocity and angular velocity of the ego pose, in its own frame, after mirror, scale and rotation."""
    sample = make_sample()
    out = fa.Compose([fa.RotateScene(yaw_deg=70), fa.MirrorScene(axis="y"), fa.ScaleScene(scale=0.8)])(sample)
    track = out["ego"]
    times, poses = track.capture_times, track["pose"]
    i, j = 0, len(times) - 1
    middle = int(torch.searchsorted(times, (times[i] + times[j]) // 2))
    dt = float(times[j] - times[i]) * 1e-9
    v = poses[middle, :3, :3].T @ (poses[j, :3, 3] - poses[i, :3, 3]) / dt
    assert torch.allclose(v, track["velocity"][middle], atol=0.05)
    assert float(track["velocity"][middle].norm()) == pytest.approx(6.0 * 0.8)
    turn = poses[i, :3, :3].T @ poses[j, :3, :3]
    about = torch.stack([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2 / dt
    assert torch.allclose(about, track["angular_velocity"][middle], atol=1e-3)
    assert float(track["angular_velocity"][middle].norm()) == pytest.approx(0.2)


def test_mirror_twice_is_the_identity() -> None:
    sample = make_sample()
    for axis in ("x", "y"):
        out = fa.Compose([fa.MirrorScene(axis=axis), fa.MirrorScene(axis=axis)])(sample)
        assert list(out.streams) == list(sample.streams)
        for name in ("CAM_FRONT", "CAM_LEFT", "FISHEYE"):
            assert torch.equal(out[name].images, sample[name].images)
            assert torch.allclose(out.rig.camera(name).model.K, sample.rig.camera(name).model.K)
            assert torch.equal(out.rig.camera(name).model.distortion, sample.rig.camera(name).model.distortion)
        assert torch.allclose(out["lidar"]["xyz"], sample["lidar"]["xyz"])
        assert torch.allclose(out.boxes()["pose"], sample.boxes()["pose"], atol=1e-12)
        assert out["caption"]["text"][0] == sample["caption"]["text"][0]


def test_mirror_swaps_partners_and_words() -> None:
    sample = make_sample()
    out = fa.MirrorScene(axis="y")(sample)
    assert torch.equal(out["CAM_LEFT"].images, sample["CAM_RIGHT"].images.flip(2))
    assert torch.equal(out["CAM_LEFT"].capture_times, sample["CAM_RIGHT"].capture_times)
    assert torch.equal(out["CAM_RIGHT/mask"].images, sample["CAM_LEFT/mask"].images.flip(2))
    assert out["CAM_LEFT/flat"].camera == "CAM_LEFT"
    assert out["caption"]["text"][0] == "Turn right at the car on the left"
    assert fa.MirrorScene(axis="x")(sample)["caption"]["text"][0] == sample["caption"]["text"][0]
    assert out.rig.sensors["lidar"].spin == -sample.rig.sensors["lidar"].spin  # type: ignore[attr-defined]


def test_depth_scales_and_flips() -> None:
    sample = make_sample()
    out = fa.Compose([fa.ScaleScene(scale=2.0), fa.MirrorScene()])(sample)
    assert torch.equal(out["CAM_FRONT/depth"].images, sample["CAM_FRONT/depth"].images.flip(2) * 2)


def test_words_of_another_language() -> None:
    from fusion_aug.streams.text import MIRROR_WORDS, mirror_text

    fa.add_mirror_words("fr", {"gauche": "droite"})
    try:
        assert (
            mirror_text("Tournez à GAUCHE, puis à droite. Gauche!", "fr") == "Tournez à DROITE, puis à gauche. Droite!"
        )
    finally:
        MIRROR_WORDS.pop("fr")
    assert mirror_text("the leftmost, bright and lefty one") == "the rightmost, bright and lefty one"


def test_a_frame_outside_the_rig_is_named() -> None:
    sample = make_sample()
    lost = fa.Imu(
        frame="attic", capture_times=torch.tensor([T0]), values=sample["imu"].take_items(torch.tensor([0])).values
    )
    with pytest.raises(fa.DataError, match="attic"):
        fa.MirrorScene()(sample.with_streams({"x": lost}))


def test_scale_of_accelerations_without_attitude_is_recorded() -> None:
    sample = make_sample()
    from dataclasses import replace

    rig = sample.rig
    frames = {n: f for n, f in rig.frames.items() if n != "world"}
    frames["ego"] = replace(frames["ego"], parent=None)
    from calib import Rig

    grounded = Rig(frames, rig.sensors)
    bare = sample.with_streams({"imu": sample["imu"]}).with_meta(0, rig=grounded, true_rig=grounded)
    with pytest.raises(fa.DataError, match="attitude"):
        fa.ScaleScene(scale=1.1)(bare)
    assert fa.ScaleScene(scale=1.0)(bare)["imu"] is bare["imu"]


def test_the_naive_rule_would_miss() -> None:
    """Cameras have times and ego poses of their own; treating them as fixed to the LiDAR's time is far off."""
    sample = make_sample(size=(480, 640))
    cloud = sample.points("lidar")["xyz"].double()
    uv, seen = sample.project_ref(cloud, "FISHEYE")
    static = sample.rig.camera("FISHEYE").project(
        transform_points(torch.linalg.inv(sample.rig.T("ego", "FISHEYE")), cloud)
    )[0]
    assert float((uv - static)[seen].norm(dim=1).max()) > 3
    assert np.isfinite(uv[seen].numpy()).all()
