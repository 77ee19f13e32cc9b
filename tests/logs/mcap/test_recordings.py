"""Recordings as they come: tf that moves, clouds with all fields, bursts, gaps, several files, damaged readings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bags import HALF, T0, Messages, header, messages, open_recording, recording, ros, run, tf
from panda import ROOTS, rig_file
from places import ARM
from steps import step_words

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError, Obstacle
from fusion_aug.logs.mcap.file import McapFile, stamp_of

pytest.importorskip("mcap")


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_frames_of_tf_move_in_the_new_time(tmp_path: Path, speed: float) -> None:
    path = [("/tf", "tf2_msgs/msg/TFMessage", tf(T0 + k * 20_000_000, "map", "cart", 0.01 * k), T0 + k * 20_000_000)
            for k in range(76)]  # fmt: skip
    folder = recording(tmp_path / "log" / "a.mcap", path)
    assert run(folder, tmp_path / "out", f"{{_target_: fusion_aug.SpeedWarp, speed: {speed}}}") == 0
    tf_messages = messages(tmp_path / "out" / "a.mcap", "/tf")
    for k, (time, message) in enumerate(tf_messages):
        assert time == stamp_of(message.transforms[0]) - T0  # type: ignore[operator]
        assert abs(time - k * 20_000_000 / speed) < 2
        assert abs(message.transforms[0].transform.translation.x - 0.01 * k) < 1e-9
    assert len(tf_messages) == 76


def test_latched_frames_come_before_what_needs_them(tmp_path: Path) -> None:
    folder = recording(tmp_path / "log" / "a.mcap")
    assert run(folder, tmp_path / "out", "{_target_: fusion_aug.SpeedWarp, speed: 2.0}", "log.window=0.5") == 0
    for path in sorted((tmp_path / "out").rglob("*.mcap")):
        times = {m.topic: m.log_time for m in reversed(list(McapFile(path).messages()))}
        assert times["/joint_states"] - 2_000_000 <= times["/tf_static"] <= min(times.values()), path


def test_recordings_in_one_folder_are_their_own(tmp_path: Path) -> None:
    def still(topic: str, message: Any, number: int) -> Any:
        if topic == "/joint_states":
            message.position = np.zeros_like(message.position)
        return message

    recording(tmp_path / "log" / "a.mcap")
    folder = recording(tmp_path / "log" / "b.mcap", edit=still)
    a, b = open_recording(folder)
    assert float((a.rig.T("base", "hand", T0 + HALF) - b.rig.T("base", "hand", T0 + HALF)).abs().max()) > 0.1
    standalone = open_recording(recording(tmp_path / "alone" / "a.mcap"))[0]
    assert torch.equal(a.rig.T("base", "hand", T0 + HALF), standalone.rig.T("base", "hand", T0 + HALF))


def test_a_dropped_item_has_no_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = recording(tmp_path / "log" / "a.mcap")
    quiet = "{_target_: fusion_aug.TemporalMask, seconds: 0.3, sensors: [joint_states]}"
    assert run(folder, tmp_path / "out", quiet) == 0
    before, after = (messages(p / "a.mcap", "/joint_states") for p in (folder, tmp_path / "out"))
    assert 140 <= len(before) - len(after) <= 160
    assert all(any(np.array_equal(m.position, b.position) for t, b in before if t == time) for time, m in after[::50])
    quiet = quiet.replace("joint_states", "state")  # as the data set calls it
    words = ["run", "log=lerobot", f"log.root={ARM / 'lerobot'}", f"log.rig={ARM / 'lerobot_rig.yaml'}"]
    capsys.readouterr()
    assert (
        main([*words, *step_words({"one": quiet}), f"out={tmp_path / 'l'}"]) == 2
        and "a sensor without data" in capsys.readouterr().err
    )


def test_joints_that_move_links_are_not_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing could be read of a recording without them."""
    folder = recording(tmp_path / "log" / "a.mcap")
    drop = "{_target_: fusion_aug.ModalityDropout, share: 1.0, at_least: 0, %s}"
    assert run(folder, tmp_path / "no", drop % "sensors: ['*']") == 2 and not (tmp_path / "no").exists()
    said = capsys.readouterr().err
    assert "'joint_states'" in said and "ModalityDropout.keep" in said and "output=folder" in said
    for number, kept in enumerate(("keep: ['joint*']", "sensors: [imu]", "span: 0.1")):
        assert run(folder, tmp_path / f"{number}", drop % kept) == 0
        assert "joint_states" in open_recording(tmp_path / f"{number}")[0].streams


def test_clouds_keep_all_their_fields(tmp_path: Path) -> None:
    plain = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("t", "<u4"), ("ring", "u1"), ("rgb", "<u4")]
    kind = np.dtype([*plain, ("n", "<f4", 3)])
    places: Any = kind.fields
    field = ros("sensor_msgs/PointField")
    fields = [field(name=n, offset=places[n][1], datatype=code, count=3 if n == "n" else 1)
              for n, code in (("x", 7), ("y", 7), ("z", 7), ("t", 6), ("ring", 2), ("rgb", 6), ("n", 7))]  # fmt: skip
    rows = np.zeros((4, 50), kind)
    rows["x"], rows["t"], rows["rgb"], rows["n"] = np.arange(50) + 1, np.arange(50) * 2_000_000, 0xFF00AA, (0, 0, 1)
    data = np.frombuffer(rows.tobytes(), np.uint8)
    extra: Messages = [
        ("/points", "sensor_msgs/msg/PointCloud2", ros("sensor_msgs/PointCloud2")(
            header=header(T0 + k * 10**8, "hand"), height=4, width=50, fields=fields, is_bigendian=False,
            point_step=kind.itemsize, row_step=kind.itemsize * 50, data=data, is_dense=True), T0 + k * 10**8)
        for k in range(6)
    ]  # fmt: skip
    folder = recording(tmp_path / "log" / "a.mcap", extra)
    cloud = open_recording(folder)[0]["points"]
    assert torch.allclose(cloud["time_offset"][:50], torch.arange(50, dtype=torch.float64) * 0.002)
    for name, transform in (
        ("fast", "{_target_: fusion_aug.SpeedWarp, speed: 2.0}"),
        ("noise", "{_target_: fusion_aug.RangeJitter, sigma: 0.01}"),
        ("fewer", "{_target_: fusion_aug.PointDropout, share: 0.5}"),
    ):
        assert run(folder, tmp_path / name, transform) == 0
        message = messages(tmp_path / name / "a.mcap", "/points")[3][1]
        layout = [[(f.name, f.datatype, f.count) for f in each] for each in (message.fields, fields)]
        assert layout[0] == layout[1]
        points = np.frombuffer(message.data.tobytes(), kind)
        assert (points["rgb"] == 0xFF00AA).all() and (points["n"] == (0, 0, 1)).all()
        if name == "fewer":
            assert message.height == 1 and 0 < message.width < 200
        else:
            assert (message.height, message.width) == (4, 50)
            assert int(points["t"].max()) == (49_000_000 if name == "fast" else 98_000_000)


def test_events_have_no_rate(tmp_path: Path) -> None:
    pose = ros("geometry_msgs/Pose")(
        position=ros("geometry_msgs/Point")(x=1.0, y=0.0, z=0.0),
        orientation=ros("geometry_msgs/Quaternion")(x=0.0, y=0.0, z=0.0, w=1.0),
    )
    stamps = [T0 + k * 400_000_000 + b * 1000 for k in range(4) for b in (0, 1)]
    stamped, kind = ros("geometry_msgs/PoseStamped"), "geometry_msgs/msg/PoseStamped"
    extra: Messages = [("/goal", kind, stamped(header=header(t, "base"), pose=pose), t) for t in stamps]
    source = open_recording(recording(tmp_path / "log" / "a.mcap", extra))[0]
    goal = fa.SpeedWarp(speed=1.25)(source)["goal"]
    expected = torch.tensor([round((t - T0) / 1.25) for t in stamps])
    assert len(goal) == 8 and int((goal.capture_times - T0 - expected).abs().max()) <= 1


def test_damaged_readings_are_named(tmp_path: Path) -> None:
    def edited(change: Callable[[Any, int], None]) -> Callable[[str, Any, int], Any]:
        def edit(topic: str, message: Any, number: int) -> Any:
            if topic == "/joint_states":
                change(message, number)
            return message

        return edit

    def nan(message: Any, number: int) -> None:
        message.position = np.where(number == 100, np.nan, message.position)

    def twice(message: Any, number: int) -> None:
        if number == 100:
            message.header.stamp.nanosec -= 2_000_000

    def zero(message: Any, number: int) -> None:
        message.header.stamp.sec -= T0 // 10**9

    with pytest.raises(DataError, match=r"log: stream 'joint_states': the position of joint '\w+' is NaN"):
        open_recording(recording(tmp_path / "n" / "log" / "a.mcap", edit=edited(nan)))[0]
    again = open_recording(recording(tmp_path / "t" / "log" / "a.mcap", edit=edited(twice)))[0]
    assert int((again["joint_states"].capture_times.diff() == 0).sum()) == 1
    simulated = open_recording(recording(tmp_path / "z" / "log" / "a.mcap", edit=edited(zero)))[0]["joint_states"]
    assert int(simulated.capture_times[-1] - simulated.capture_times[0]) < 2 * 10**9
    moved: Messages = [
        ("/tf", "tf2_msgs/msg/TFMessage", tf(T0 + k, p, "cart", 0.0), T0 + k) for k, p in ((1, "map"), (2, "dock"))
    ]
    sample = open_recording(recording(tmp_path / "p" / "log" / "a.mcap", moved))[0]
    with pytest.raises(Obstacle, match="frame 'cart': hangs on 'map' and then on 'dock'"):
        fa.MirrorScene(axis="y")(sample)
    folder = recording(tmp_path / "w" / "log" / "a.mcap")
    for option in ({"window": "abc"}, {"window": 1e-12}, {"window": True}, {"exclude": 5}):
        with pytest.raises(ConfigError, match=f"log.{next(iter(option))}: expected"):
            open_recording(folder, **option).ids  # noqa: B018


def test_joints_of_several_topics_are_one_robot(tmp_path: Path) -> None:
    whole = open_recording(recording(tmp_path / "log" / "a.mcap"))[0]
    joints = whole["joint_states"]
    kind, extra = "sensor_msgs/msg/JointState", []
    fingers = [joints.names.index(n) for n in ("slide_left", "slide_right")]
    for time, row in zip(joints.capture_times.tolist()[::4], joints["position"][::4].numpy(), strict=True):
        extra.append(("/gripper", kind, ros("sensor_msgs/JointState")(
            header=header(time), name=["slide_left", "slide_right"], position=row[fingers], velocity=np.zeros(0),
            effort=np.zeros(0)), time))  # fmt: skip

    def arm_alone(topic: str, message: Any, number: int) -> Any:
        if topic == "/joint_states":
            kept = [i for i, n in enumerate(message.name) if not n.startswith("slide")]
            for field in ("position", "velocity", "effort"):
                setattr(message, field, getattr(message, field)[kept])
            message.name = [message.name[i] for i in kept]
        return message

    split = open_recording(recording(tmp_path / "split" / "a.mcap", extra, arm_alone))[0]
    for frame in ("hand", "finger_left"):
        off = split.rig.T("base", frame, T0 + HALF) - whole.rig.T("base", frame, T0 + HALF)
        assert float(off.abs().max()) < 1e-4, frame
    with pytest.raises(ConfigError, match="joint 'slide_left' is read from both"):
        open_recording(recording(tmp_path / "both" / "a.mcap", extra))[0]


def test_a_rig_file_may_hold_the_description_alone(tmp_path: Path) -> None:
    folder = recording(tmp_path / "log" / "a.mcap")
    (tmp_path / "rig.yaml").write_text("urdf: arm.urdf\n")
    assert "hand" in open_recording(folder, exclude=["/imu"])[0].rig.frames
    (tmp_path / "rig.yaml").write_text("urdf: arm.urdf\nframes:\n  base: {parent: world, translation: [0, 0, 1]}\n")
    rig = open_recording(folder, exclude=["/imu", "/tf_static"])[0].rig
    assert rig.frames["world"].axis_convention == "world" and float(rig.T("world", "base")[2, 3]) == 1.0


def test_groups_that_cannot_follow_are_refused(real_data: Path, tmp_path: Path) -> None:
    """robomimic's next_obs is copied with an untouched log, and stops anything else."""
    import h5py

    folder = tmp_path / "log"
    folder.mkdir()
    name = "panda_lift_robomimic.hdf5"
    (folder / name).write_bytes((real_data / "panda_lift" / ROOTS["robomimic"] / name).read_bytes())
    with h5py.File(folder / name, "a") as file:
        file["data/demo_0"].copy("obs", "next_obs")
        file.attrs["about"] = "a test"
    words = ["run", "log=robomimic", f"log.root={folder}", f"log.rig={rig_file(real_data, tmp_path, 'robomimic')}"]
    assert main([*words, f"out={tmp_path / 'same'}", "pipeline=identity"]) == 0
    with h5py.File(tmp_path / "same" / name) as file:
        assert "robot0_joint_pos" in file["data/demo_0/next_obs"] and file.attrs["about"] == "a test"
    assert main([*words, f"out={tmp_path / 'no'}", "pipeline=photometric"]) == 2
    few = "log.exclude=[next_obs,*image]"
    assert main([*words, f"out={tmp_path / 'yes'}", "pipeline=robot", few]) == 0
