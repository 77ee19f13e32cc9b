"""What a recording holds after a transform: odometry, orientation, clocks, sidecars, cameras without calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bags import T0, Messages, header, messages, open_recording, recording, ros, run
from places import ARM
from steps import step_words

import fusion_aug as fa
from calib import UnknownLens
from fusion_aug.cli import main
from fusion_aug.errors import Obstacle

pytest.importorskip("mcap")
MIRROR = "{_target_: fusion_aug.MirrorScene, axis: y}"


def odometry(k: int) -> Any:
    """A cart that drives 1 m/s to its left along a path that leads to the left."""
    point, turn = ros("geometry_msgs/Point"), ros("geometry_msgs/Quaternion")
    pose = ros("geometry_msgs/Pose")(
        position=point(x=0.5, y=0.05 * k, z=0.0), orientation=turn(x=0.0, y=0.0, z=np.sin(0.1), w=np.cos(0.1))
    )
    vector = ros("geometry_msgs/Vector3")
    twist = ros("geometry_msgs/Twist")(linear=vector(x=0.2, y=1.0, z=0.0), angular=vector(x=0.0, y=0.0, z=0.3))
    return ros("nav_msgs/Odometry")(
        header=header(T0 + k * 50_000_000, "base"), child_frame_id="cart",
        pose=ros("geometry_msgs/PoseWithCovariance")(pose=pose, covariance=np.zeros(36)),
        twist=ros("geometry_msgs/TwistWithCovariance")(twist=twist, covariance=np.zeros(36)),
    )  # fmt: skip


def test_pose_and_twist_of_odometry_stay_together(tmp_path: Path) -> None:
    odometries: Messages = [("/odom", "nav_msgs/msg/Odometry", odometry(k), T0 + k * 50_000_000) for k in range(30)]
    folder = recording(tmp_path / "log" / "a.mcap", odometries)
    assert run(folder, tmp_path / "mirror", MIRROR) == 0
    for k, (_, message) in enumerate(messages(tmp_path / "mirror" / "a.mcap", "/odom")):
        pose, twist = message.pose.pose, message.twist.twist
        assert pose.position.y == pytest.approx(-0.05 * k) and pose.orientation.z == pytest.approx(-np.sin(0.1))
        assert (twist.linear.y, twist.angular.z) == (pytest.approx(-1.0), pytest.approx(-0.3))
    assert run(folder, tmp_path / "fast", "{_target_: fusion_aug.SpeedWarp, speed: 1.25}") == 0
    fast = messages(tmp_path / "fast" / "a.mcap", "/odom")
    step = fast[11][1].pose.pose.position.y - fast[10][1].pose.pose.position.y
    assert step / 0.05 == pytest.approx(1.25) and fast[10][1].twist.twist.linear.y == pytest.approx(1.25)


def test_an_orientation_that_was_worked_out_elsewhere_is_not_kept(tmp_path: Path) -> None:
    """sensor_msgs/Imu: a covariance that begins with -1 means that there is none."""
    folder = recording(tmp_path / "log" / "a.mcap")
    assert run(folder, tmp_path / "same", "{_target_: fusion_aug.Latency, delay: 0.01, sensors: [joint_states]}") == 0
    assert run(folder, tmp_path / "mirror", MIRROR) == 0
    before, same, mirrored = (
        messages(p / "a.mcap", "/imu")[5][1] for p in (folder, tmp_path / "same", tmp_path / "mirror")
    )
    assert np.array_equal(same.orientation_covariance, before.orientation_covariance)
    assert mirrored.orientation_covariance[0] == -1 and mirrored.orientation.w == 1


@pytest.mark.slow
@pytest.mark.parametrize("names", [["ClockOffset"], ["Latency", "DropFrames", "Jitter"]], ids=str)
def test_stamps_come_back(tmp_path: Path, names: list[str]) -> None:
    """Of cameras, touch without headers, joints, on the arm's own recording."""
    steps = step_words({n: {"_target_": f"fusion_aug.{n}"} for n in names})
    words = ["run", "log=mcap", f"log.root={ARM / 'mcap'}", f"log.rig={ARM / 'mcap_rig.yaml'}", "seed=2"]
    assert main([*words, *steps, f"out={tmp_path / 'out'}"]) == 0
    assert main(["check", str(tmp_path / "out")]) == 0


@pytest.mark.slow
def test_what_has_no_topic_is_read_from_the_sidecar(tmp_path: Path) -> None:
    source = fa.open_log("mcap", ARM / "mcap", rig=str(ARM / "mcap_rig.yaml"))
    sample = fa.KinematicNoise(hand_eye_deg=0.3, sensors=["wrist"], mode="truth")(source[0], seed=1)
    writer = source.writer(tmp_path)
    row = writer.stage(sample, source[0], source.ids[0], tmp_path)
    writer.finish([row], [(source.ids[0], source.ids[0])])
    again = fa.open_log("mcap", tmp_path, rig=str(ARM / "mcap_rig.yaml"))[0]
    assert torch.equal(again["wrist/valid"].image(3), sample["wrist/valid"].image(3))  # type: ignore[attr-defined]
    assert torch.equal(again["wrist/valid"].capture_times, again["wrist"].capture_times)


def camera(K: list[float]) -> Messages:
    info = ros("sensor_msgs/CameraInfo")
    image = ros("sensor_msgs/Image")
    out: Messages = []
    for k in range(10):
        time = T0 + k * 50_000_000
        head = header(time, "eye")
        out.append(("/eye/image_raw", "sensor_msgs/msg/Image",
                    image(header=head, height=8, width=10, encoding="mono8", is_bigendian=0, step=10,
                          data=np.full(80, k, np.uint8)), time))  # fmt: skip
        out.append(("/eye/camera_info", "sensor_msgs/msg/CameraInfo",
                    info(header=head, height=8, width=10, distortion_model="plumb_bob", d=np.zeros(5), k=np.array(K),
                         r=np.eye(3).reshape(-1), p=np.zeros(12), binning_x=0, binning_y=0,
                         roi=ros("sensor_msgs/RegionOfInterest")(x_offset=0, y_offset=0, height=0, width=0,
                                                                 do_rectify=False)), time))  # fmt: skip
    return out


def test_a_driver_that_marks_itself_as_not_calibrated(tmp_path: Path) -> None:
    """K of zeros. A focal length that is no number is a fault of the log, which stops what needs the lens."""
    folder = recording(tmp_path / "log" / "a.mcap", camera([0.0] * 9))
    assert isinstance(open_recording(folder)[0].rig.camera("eye").model, UnknownLens)
    assert run(folder, tmp_path / "out", "{_target_: fusion_aug.Brightness, factor: 1.2}") == 0
    broken = recording(tmp_path / "nan" / "log" / "a.mcap", camera([float("nan")] * 9))
    sample = open_recording(broken)[0]
    assert isinstance(sample.rig.camera("eye").model, UnknownLens)
    with pytest.raises(Obstacle, match=r"topic /eye/camera_info.*k: expected positive focal lengths, got \[nan"):
        fa.FlipImage()(sample)


def test_a_flipped_picture_comes_back(tmp_path: Path) -> None:
    """Its CameraInfo has a negative focal length, which is no pinhole's own."""
    folder = recording(tmp_path / "log" / "a.mcap", camera([20.0, 0, 4, 0, 25, 3, 0, 0, 1]))
    assert run(folder, tmp_path / "out", "{_target_: fusion_aug.FlipImage, axis: x}") == 0
    eye = open_recording(tmp_path / "out")[0].rig.camera("eye")
    K = eye.A @ eye.model.K
    assert torch.allclose(K / K[2, 2], torch.tensor([[-20.0, 0, 5], [0, 25, 3], [0, 0, 1]], dtype=torch.float64))
    assert main(["check", str(tmp_path / "out")]) == 0
    broken = recording(tmp_path / "bad" / "log" / "a.mcap", camera([20.0, 0, 4, 0, 0, 3, 0, 0, 1]))
    with pytest.raises(Obstacle, match="k: expected positive focal lengths"):
        fa.FlipImage()(open_recording(broken)[0])


def test_messages_that_are_not_understood_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text: Messages = [("/robot_description", "std_msgs/msg/String", ros("std_msgs/String")(data="<robot/>"), T0)]
    folder = recording(tmp_path / "log" / "a.mcap", text)
    assert run(folder, tmp_path / "no", MIRROR) == 2
    assert "leave the topic out with log.exclude" in capsys.readouterr().err
    assert not (tmp_path / "no").exists(), "a run that made nothing leaves nothing"
    assert run(folder, tmp_path / "yes", MIRROR, "log.exclude=[/robot_description]") == 0


def test_sliding_joints_without_readings_stay_joints(real_data: Path, tmp_path: Path) -> None:
    """The Panda with and without readings of its fingers: the wrist is mirrored alike."""
    from panda import ROOTS, rig_file

    positions = {}
    for kind in ("mcap", "robomimic"):
        log = fa.open_log(kind, real_data / "panda_lift" / ROOTS[kind], rig=str(rig_file(real_data, tmp_path, kind)))
        sample = fa.MirrorRobot()(log[0])
        name = next(n for n, s in sample.streams.items() if isinstance(s, fa.JointState))
        positions[kind] = sample[name]["position"][0, :7]
        assert "panda_leftfinger" in sample.rig.frames
    assert torch.allclose(positions["mcap"], positions["robomimic"], atol=1e-6)
