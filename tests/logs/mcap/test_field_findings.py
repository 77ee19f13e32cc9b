"""Recordings as drivers write them: what was wrong in variants of the field cases. rosbags and NumPy are oracles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros_bags import MS, T0, Sent, header, image, make, raw_bag, read_bag, tf, vector, write_bag
from steps import step_words

import fusion_aug as fa
from fusion_aug.check.calibration import compare_calibration, compare_rectification
from fusion_aug.cli import main
from fusion_aug.logs.mcap.cloud_fields import meanings_of
from fusion_aug.logs.mcap.definitions import BETWEEN_FILES, types_of
from fusion_aug.logs.mcap.pictures import is_depth

MIRROR = "{_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
SCALE = "{_target_: fusion_aug.ScaleScene, scale: 1.1}"
LIGHT = "{_target_: fusion_aug.Brightness, factor: 0.8}"
WARP = "{_target_: fusion_aug.TimeWarp}"
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
K = np.array([[10.0, 0, 5.5], [0, 10, 3.5], [0, 0, 1]])


def run(root: Path, step: str, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Path, str]:
    """Run one transform and check what it wrote; returns the exit code, the output, and what was said."""
    number = len(list(root.parent.glob("out*")))
    out = root.parent / f"out{number}"
    given = ["log=mcap", f"log.root={root}", f"out={out}", *step_words({"one": step}), *words]
    code = main(["run", *given]) or main(["check", str(out)])
    told = capsys.readouterr()
    return code, out, told.out + told.err


def calibration(ns: int, size: tuple[int, int] = (8, 12), model: str = "plumb_bob", d: Any = ()) -> Any:
    P = np.column_stack([K, np.zeros(3)]).ravel()
    return make("sensor_msgs/CameraInfo", header=header(ns, "cam"), height=size[0], width=size[1],
                distortion_model=model, d=np.array(d, float), k=K.ravel(), r=np.eye(3).ravel(), p=P)  # fmt: skip


def two_points() -> Any:
    places = [make("sensor_msgs/PointField", name=n, offset=4 * k, datatype=7, count=1) for k, n in enumerate("xyz")]
    return make("sensor_msgs/PointCloud2", header=header(T0, "lidar"), height=1, width=2, fields=places, point_step=12,
                row_step=24, data=np.arange(6, dtype="<f4").view(np.uint8), is_dense=True)  # fmt: skip


def camera(frames: int = 2, **info: Any) -> list[Sent]:
    times = [T0 + 100 * MS * k for k in range(frames)]
    pictures: list[Sent] = [("/cam/image_raw", t, image(t, PIXELS, "rgb8")) for t in times]
    return [*pictures, *(("/cam/camera_info", t, calibration(t, **info)) for t in times)]


# --- latched topics and windows --------------------------------------------------------------------------------------
def goal(ns: int, y: float) -> Any:
    place = make("geometry_msgs/Point", x=1.0, y=y)
    turn = make("geometry_msgs/Quaternion", w=1.0)
    pose = make("geometry_msgs/Pose", position=place, orientation=turn)
    return make("geometry_msgs/PoseStamped", header=header(ns, "map"), pose=pose)


@pytest.mark.parametrize(("step", "y"), [(MIRROR, -2.0), (LIGHT, 2.0), (WARP, 2.0)], ids=["mirror", "light", "warp"])
def test_latched_messages_are_changed_in_every_window(
    tmp_path: Path, step: str, y: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was sent once before a window is repeated at its start, as the pipeline made it there."""
    sent = camera(9)
    sent += [("/goal", T0, goal(T0, 2.0)), ("/name", T0, make("std_msgs/String", data="hall"))]
    sent += [
        ("/tf", t, tf(t, "map", "cam", 0.1 * k, 0.0, 0.0)) for k, t in enumerate(range(T0, T0 + 900 * MS, 100 * MS))
    ]
    root = write_bag(tmp_path / "bag", sorted(sent, key=lambda m: m[1]), latched=["/goal", "/name"])
    code, out, told = run(root, step, capsys, "log.window=0.3", "log.no_geometry=[/name]")
    assert code == 0, told
    files = sorted(out.rglob("*.mcap"))
    assert len(files) == 3
    types = fa.logs.mcap.file.typestore()
    for file in files:
        alone = tmp_path / file.stem
        alone.mkdir(exist_ok=True)
        (alone / file.name).write_bytes(file.read_bytes())
        found = raw_bag(alone)
        assert len(found["/name"]) == 1
        poses = [types.deserialize_cdr(data, "geometry_msgs/msg/PoseStamped") for _, data in found["/goal"]]
        assert [p.pose.position.y for p in poses] == [pytest.approx(y)]


# --- cameras ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", [{"model": "omni", "d": [0.1] * 5}, {"size": (16, 24)}], ids=["lens", "size"])
def test_a_camera_that_is_not_understood_is_in_the_list(
    tmp_path: Path, fault: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Light and time pass; what would change its calibration is refused with all else, before the first byte."""
    sent = [*camera(2, **fault), ("/shape", T0, make("geometry_msgs/Polygon"))]
    root = write_bag(tmp_path / "bag", sorted(sent, key=lambda m: m[1]))
    code, _, told = run(root, MIRROR, capsys)
    assert code == 2 and "2 topics" in told and "/cam/camera_info" in told and "/shape" in told
    assert ("omni" in told) if "model" in fault else ("24x16" in told and "12x8" in told)
    for step in (LIGHT, WARP):
        code, out, told = run(root, step, capsys, "log.restamp_only=[/shape]")
        assert code == 0, told
        infos = [m for _, m in read_bag(out)["/cam/camera_info"]]
        assert all(np.array_equal(m.k, K.ravel()) and (m.height, m.width) == fault.get("size", (8, 12)) for m in infos)


def test_a_small_copy_of_a_picture_does_not_spoil_the_camera_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thumbnail below the namespace of a camera has no calibration; the camera's own is mirrored."""
    small: list[Sent] = [("/cam/thumb/image", T0, image(T0, np.ascontiguousarray(PIXELS[::2, ::2]), "rgb8"))]
    root = write_bag(tmp_path / "bag", [*camera(1), *small])
    code, out, told = run(root, MIRROR, capsys)
    assert code == 0, told
    after = read_bag(out)
    assert after["/cam/camera_info"][0][1].k[2] == pytest.approx(11 - 5.5)
    thumb = np.asarray(after["/cam/thumb/image"][0][1].data).reshape(4, 6, 3)
    assert np.array_equal(thumb, PIXELS[::2, ::2][:, ::-1])


def test_a_calibration_that_changes_under_a_warp_passes_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its reason names a log time, which a change of time moves."""
    sent = camera(3)
    sent[-1] = (*sent[-1][:2], replace(sent[-1][2], d=np.array([0.1, 0, 0, 0, 0])))
    code, _, told = run(write_bag(tmp_path / "bag", sorted(sent, key=lambda m: m[1])), WARP, capsys)
    assert code == 0, told


@pytest.mark.parametrize(
    ("topic", "encoding", "deep"),
    [("/oak/stereo/image_raw", "16UC1", True), ("/stereo/left/image_raw", "16UC1", False),
     ("/thermal/image_raw", "16UC1", False), ("/aligned_depth", "16UC1", True)],
)  # fmt: skip
def test_depth_by_the_names_of_drivers(topic: str, encoding: str, deep: bool) -> None:
    assert is_depth(image(T0, np.ones((2, 2), "<u2"), encoding), topic) is deep


def test_a_kannala_brandt_camera_of_foxglove_is_a_fisheye(tmp_path: Path) -> None:
    root = write_bag(tmp_path / "bag", camera(1, model="kannala_brandt", d=[0.1, 0.02, 0, 0]))
    assert fa.open_log("mcap", root)[0].rig.camera("cam").model.lens == "kannala_brandt"


# --- robots ----------------------------------------------------------------------------------------------------------
def wheels(ns: int) -> Any:
    both = ["left_wheel", "right_wheel"]
    return make("sensor_msgs/JointState", header=header(ns), name=both, position=np.array([0.1, 0.2]))


def test_joints_without_a_description_are_in_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fix = make("sensor_msgs/NavSatFix", header=header(T0, "gps"))
    root = write_bag(tmp_path / "bag", [("/joint_states", T0, wheels(T0)), ("/fix", T0, fix)])
    code, _, told = run(root, MIRROR, capsys)
    assert code == 2 and "2 topics" in told and "joint_states" in told and "log.urdf" in told and "fix" in told


def test_a_recording_without_a_robot_is_scaled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No description stands against it: transforms, twists and poses grow, angles and rotations do not."""
    drive = make("geometry_msgs/Twist", linear=vector(1, 2, 0), angular=vector(0, 0, 0.5))
    later = T0 + 100 * MS
    sent = [("/tf", T0, tf(T0, "odom", "base_link", 0, 0, 0)), ("/tf", later, tf(later, "odom", "base_link", 1, 2, 0))]
    sent.insert(1, ("/cmd_vel", T0, drive))  # the first reading, where the scene is anchored
    code, out, told = run(write_bag(tmp_path / "bag", sent), SCALE, capsys)
    assert code == 0, told
    after = read_bag(out)
    moved, driven = after["/tf"][1][1].transforms[0].transform.translation, after["/cmd_vel"][0][1]
    assert (moved.x, moved.y) == (pytest.approx(1.1), pytest.approx(2.2))
    assert (driven.linear.x, driven.linear.y, driven.angular.z) == (pytest.approx(1.1), pytest.approx(2.2), 0.5)


def test_a_mounting_that_the_rig_does_not_have_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A LiDAR that Viewpoint names moved nothing in silence where the rig had no sensor of that name."""
    places = [make("sensor_msgs/PointField", name=n, offset=4 * k, datatype=7, count=1) for k, n in enumerate("xyz")]
    cloud = make("sensor_msgs/PointCloud2", header=header(T0, "lidar"), height=1, width=2, fields=places, point_step=12,
                 row_step=24, data=np.arange(6, dtype="<f4").view(np.uint8), is_dense=True)  # fmt: skip
    root = write_bag(
        tmp_path / "bag", [("/points", T0, cloud), ("/tf_static", T0, tf(T0, "base_link", "lidar", 1, 0, 0))]
    )
    step = "{_target_: fusion_aug.Viewpoint, sensors: [points], z_deg: 90.0}"
    code, _, told = run(root, step, capsys)
    assert code == 2 and "points" in told and "log.rig" in told
    rig = tmp_path / "rig.yaml"
    rig.write_text("sensors:\n  points: {kind: lidar, frame: lidar}\n")
    code, out, told = run(root, step, capsys, f"log.rig={rig}")
    assert code == 0, told
    after = np.asarray(read_bag(out)["/points"][0][1].data).view("<f4").reshape(2, 3)
    assert np.allclose(after, [[1, 0, 2], [4, -3, 5]], atol=1e-5)  # seen from axes turned by 90 degrees


# --- types -----------------------------------------------------------------------------------------------------------
TWIST_IDL = (
    '// generated\n#include "geometry_msgs/msg/Vector3.idl"\nmodule geometry_msgs {\n  module msg {\n'
    "    struct Twist {\n"
    "      geometry_msgs::msg::Vector3 linear;\n      geometry_msgs::msg::Vector3 angular;\n    };\n  };\n};\n"
)
VECTOR_IDL = "module geometry_msgs { module msg { struct Vector3 { double x; double y; double z; }; }; };\n"


@pytest.mark.parametrize(
    "text",
    [f"{BETWEEN_FILES}IDL: geometry_msgs/msg/Twist\n{TWIST_IDL}{BETWEEN_FILES}IDL: geometry_msgs/msg/Vector3\n"
     f"{VECTOR_IDL}", TWIST_IDL + VECTOR_IDL],
    ids=["rosbag2", "plain"],
)  # fmt: skip
def test_definitions_in_idl_are_read(text: str) -> None:
    kind = "geometry_msgs/msg/Twist"
    twist = make("geometry_msgs/Twist", linear=vector(1, 2, 3), angular=vector(4, 5, 6))
    data = fa.logs.mcap.file.typestore().serialize_cdr(twist, kind)
    found = types_of(kind, text).deserialize_cdr(data, kind)
    assert (found.linear.y, found.angular.z) == (2.0, 6.0)


def test_fields_of_more_drivers_have_a_meaning() -> None:
    kinds = {n: np.dtype("f4") for n in ("x", "y", "z", "range_std", "range_rate_std", "elongation", "layer")}
    words = {m.name: m.word for m in meanings_of(kinds, {}, "cloud")}
    assert words == {"range_std": "length", "range_rate_std": "speed", "elongation": "scalar", "layer": "number"}


# --- check -----------------------------------------------------------------------------------------------------------
def test_a_camera_is_compared_where_no_lidar_looks(tmp_path: Path) -> None:
    """The LiDAR hangs on no frame of the camera; points before this one show a wrong place, and a wrong lens."""
    samples = []
    for k, (y, bend) in enumerate([(0.3, 0.1), (-0.3, 0.1), (0.3, 0.2)]):
        lens = calibration(T0, d=[bend, 0, 0, 0, 0])
        sent: list[Sent] = [("/cam/image_rect", T0, image(T0, PIXELS, "rgb8")), ("/cam/camera_info", T0, lens)]
        sent += [("/tf_static", T0, tf(T0, "base_link", "cam", 0, y, 1)), ("/points", T0, two_points())]
        samples.append(fa.open_log("mcap", write_bag(tmp_path / f"bag{k}", sent))[0])
    same, moved = (compare_calibration(samples[0], samples[k], "cam") for k in (0, 1))
    assert (same.status, moved.status) == ("PASS", "FAIL")
    assert [r.status for r in compare_rectification(samples[0], samples[2], "cam")] == ["PASS", "FAIL"]
