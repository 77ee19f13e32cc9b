"""MCAP, LeRobot and robomimic logs: read, written, read by their own tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from panda import ROOTS, rig_file

import fusion_aug as fa
from calib.se3 import rotation_angle
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs import Log

T0 = 1_700_000_000_000_000_000
KINDS = ("mcap", "lerobot", "robomimic")


def root(real_data: Path, kind: str) -> Path:
    return real_data / "panda_lift" / ROOTS[kind]


def opened(real_data: Path, tmp_path: Path, kind: str) -> Log:
    return fa.open_log(kind, root(real_data, kind), rig=str(rig_file(real_data, tmp_path, kind)))


def written(real_data: Path, tmp_path: Path, kind: str, *words: str, name: str = "out") -> Path:
    out, rig = tmp_path / name, rig_file(real_data, tmp_path, kind)
    assert (
        main(["run", f"log={kind}", f"log.root={root(real_data, kind)}", f"log.rig={rig}", f"out={out}", *words]) == 0
    )
    return out


def test_kinematics_against_the_simulator(real_data: Path, tmp_path: Path) -> None:
    """Link 7 and the wrist camera by our own kinematics, at most 1 mm and 0.1 degrees off."""
    sample = opened(real_data, tmp_path, "mcap")[0]
    truth = np.load(real_data / "panda_lift" / "truth.npz")
    from calib.se3 import rotation_from_quaternion

    times = T0 + torch.from_numpy(np.round(truth["t"] * 1e9).astype(np.int64))
    link7 = list(truth["body_names"]).index("robot0_link7")
    ours = sample.rig.T_at_times("world", "panda_link7", times)
    assert np.linalg.norm(ours[:, :3, 3].numpy() - truth["body_pos"][:, link7], axis=1).max() <= 1e-3
    turn = rotation_from_quaternion(truth["body_quat_wxyz"][:, link7]).transpose(1, 2) @ ours[:, :3, :3]
    assert np.degrees(float(rotation_angle(turn).max())) <= 0.1
    shots = sample["wrist"].capture_times
    rows = torch.round((shots - T0).double() / 5e7).long().numpy()
    off = torch.linalg.inv(torch.from_numpy(truth["T_world_cam_wrist"][rows])) @ sample.rig.T_at_times(
        "world", "wrist_optical", shots
    )
    assert float(off[:, :3, 3].norm(dim=1).max()) <= 1e-3
    assert float(torch.rad2deg(rotation_angle(off[:, :3, :3])).max()) <= 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_the_preset_writes_the_same_format(real_data: Path, tmp_path: Path, kind: str) -> None:
    out = written(real_data, tmp_path, kind, "pipeline=robot", "pipeline.mirror=1", "seed=3")
    source = opened(real_data, tmp_path, kind)[0]
    again = fa.open_log(kind, out, rig=str(rig_file(real_data, tmp_path, kind)))[0]
    assert set(source.streams) <= set(again.streams)
    for name, stream in source.streams.items():
        assert torch.equal(again[name].capture_times, stream.capture_times), name
    expected = fa.Compose([fa.MirrorRobot()])(source)
    name = next(n for n, s in source.streams.items() if isinstance(s, fa.JointState))
    # the mirrored readings, off by less than the preset's 0.3 degrees and not the same
    off = (again[name]["position"] - expected[name]["position"]).abs()
    assert 0 < float(off.max()) <= np.radians(0.3) + 1e-6


def test_an_untouched_recording_keeps_its_messages(real_data: Path, tmp_path: Path) -> None:
    out = written(real_data, tmp_path, "mcap", "pipeline=identity")
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    def messages(path: Path) -> list[tuple[str, int, int, bytes]]:
        with path.open("rb") as file:
            found = make_reader(file).iter_messages()
            return sorted((c.topic, m.log_time, m.publish_time, m.data) for _, c, m in found)

    file = next(out.glob("*.mcap"))
    assert messages(file) == messages(next(root(real_data, "mcap").glob("*.mcap")))
    with file.open("rb") as stream:
        decoded = list(make_reader(stream, decoder_factories=[DecoderFactory()]).iter_decoded_messages())
    assert len(decoded) == 982
    rosbags = pytest.importorskip("rosbags.highlevel")
    with rosbags.AnyReader([out]) as bag:
        assert bag.message_count == 982


def test_a_late_camera_in_a_recording(real_data: Path, tmp_path: Path) -> None:
    """Header stamps keep the capture times, log times contain the delay."""
    source = opened(real_data, tmp_path, "mcap")[0]
    late = fa.Latency(delay=0.05, sensors=["wrist"])(source)
    log = opened(real_data, tmp_path, "mcap")
    writer = log.writer(tmp_path / "late")
    (tmp_path / "late").mkdir()
    row = writer.stage(late, source, source.id, tmp_path / "late")
    writer.finish([row], [(source.id, source.id)])
    again = fa.open_log("mcap", tmp_path / "late")[0]
    assert torch.equal(again["wrist"].capture_times, source["wrist"].capture_times)
    assert torch.equal(again["wrist"].arrival_times, source["wrist"].capture_times + 50_000_000)
    assert torch.equal(again["agentview"].arrival_times, source["agentview"].capture_times)


def test_windows_hold_every_message_once(real_data: Path, tmp_path: Path) -> None:
    log = fa.open_log("mcap", root(real_data, "mcap"), window=0.7)
    assert len(log) == 5
    assert sum(len(s["joint_states"]) for s in log) == 300
    assert sum(len(s["wrist"]) for s in log) == 20
    assert {log.scene_of(i) for i in log.ids} == {"panda_lift_mcap"}


def test_lerobot_comes_back_exactly(real_data: Path, tmp_path: Path) -> None:
    """Read with pyarrow and av alone: rows, statistics, and videos that were not decoded."""
    import av
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = written(real_data, tmp_path, "lerobot", "pipeline=identity")
    before = root(real_data, "lerobot")
    table = pq.read_table(before / "data/chunk-000/file-000.parquet")
    parts = [pq.read_table(out / f"data/chunk-000/file-00{k}.parquet") for k in (0, 1)]
    assert pa.concat_tables([p.cast(table.schema) for p in parts]).equals(table)
    ours, theirs = (json.loads((p / "meta/stats.json").read_text()) for p in (out, before))
    assert set(ours) == set(theirs)
    for feature, figures in theirs.items():
        for figure, value in figures.items():
            if "images" in feature and figure == "std":
                continue  # the log's own are 0: squares of bytes that wrapped around
            limit = 0.04 if "images" in feature else 1e-4  # theirs are of the frames before they were coded
            assert np.allclose(ours[feature][figure], value, atol=limit), (feature, figure)

    def frames(path: Path) -> list[np.ndarray]:
        with av.open(str(path)) as video:
            return [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]

    name = "videos/observation.images.wrist/chunk-000/file-{:03d}.mp4"
    whole = frames(before / name.format(0))
    for k in (0, 1):
        cut = frames(out / name.format(k))
        assert len(cut) == 60 and all((a == b).all() for a, b in zip(cut, whole[60 * k :], strict=False))


def test_a_warped_episode_keeps_the_rate_and_its_capture_times(real_data: Path, tmp_path: Path) -> None:
    out = written(real_data, tmp_path, "lerobot", "pipeline=timewarp", "seed=1", "limit=1")
    import pyarrow.parquet as pq

    table = pq.read_table(out / "data/chunk-000/file-000.parquet")
    stamps = np.array(table["timestamp"].to_pylist()).ravel()
    assert np.allclose(np.diff(stamps), 0.05, atol=1e-6)
    stored = json.loads((out / "fusion_aug/samples/episode_000000/capture_times.json").read_text())
    off = np.abs(np.array(stored["wrist"]) * 1e-9 - stamps)
    assert 0 < off.max() <= 0.05 / 0.7


def test_robomimic_keeps_its_layout(real_data: Path, tmp_path: Path) -> None:
    import h5py

    out = written(real_data, tmp_path, "robomimic", "pipeline=identity", "copies=2")
    before = h5py.File(root(real_data, "robomimic") / "panda_lift_robomimic.hdf5")["data"]
    after = h5py.File(out / "panda_lift_robomimic.hdf5")["data"]
    assert list(after) == ["demo_0", "demo_1"] and after.attrs["total"] == 120
    assert after.attrs["env_args"] == before.attrs["env_args"]
    for name in ("actions", "obs/agentview_image", "obs/robot0_joint_pos", "obs/robot0_joint_vel", "dones"):
        a, b = before["demo_0"][name], after["demo_0"][name]
        assert a.dtype == b.dtype and np.array_equal(a[:], b[:]), name


def test_what_a_log_lacks_is_named(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = fa.open_log("lerobot", root(real_data, "lerobot"))[0]
    assert len(fa.ResizeCrop(scale=1.2)(bare)["wrist"].images) == 60  # type: ignore[attr-defined]
    for transform, message in (
        (fa.MirrorRobot(), "log.urdf"), (fa.KinematicNoise(joint_deg=1.0), "log.urdf"),
        (fa.SpeedWarp(speed=1.2), "log.parts"), (fa.Viewpoint(sensors=["wrist"], y_deg=1.0), "names no sensor|log.rig"),
    ):  # fmt: skip
        with pytest.raises((fa.FusionAugError, DataError), match=message):
            transform(bare).realized()
    code = main(["run", "log=kitti", f"log.root={real_data / 'kitti'}", "log.urdf=x.urdf", f"out={tmp_path / 'o'}"])
    assert code == 2 and "log.urdf" in capsys.readouterr().err


def test_frames_of_a_video_in_any_order(real_data: Path) -> None:
    import av

    from fusion_aug.logs.lerobot.video import frame_at

    path = root(real_data, "lerobot") / "videos/observation.images.wrist/chunk-000/file-000.mp4"
    with av.open(str(path)) as video:
        whole = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
    for k in (0, 1, 2, 60, 59, 119, 5, 6, 30, 31, 31, 29):
        assert np.array_equal(frame_at(path, k / 20).numpy(), whole[k]), k
    with pytest.raises(DataError, match="ends before"):
        frame_at(path, 7.0)


def checked(out: Path) -> int:
    return main(["check", str(out)])


def test_every_window_is_independent(real_data: Path, tmp_path: Path) -> None:
    """Static transforms were sent once, before most windows began."""
    out = written(real_data, tmp_path, "mcap", "log.window=0.7", "pipeline=robot", "pipeline.mirror=1")
    assert len(list(out.rglob("*.mcap"))) == 5
    assert checked(out) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", ["robot", "timewarp"])
def test_what_was_written_is_what_should_be(real_data: Path, tmp_path: Path, kind: str, preset: str) -> None:
    calm = ["~pipeline.transforms.noise", "~pipeline.transforms.lens"] if preset == "robot" else []
    out = written(real_data, tmp_path, kind, f"pipeline={preset}", "seed=5", "limit=1", *calm)
    assert checked(out) == 0


def test_late_pictures_come_back_with_their_capture_time(real_data: Path, tmp_path: Path) -> None:
    log = opened(real_data, tmp_path, "lerobot")
    source = log[0]
    late = fa.Latency(delay=0.1, sensors=["wrist"])(source)
    (tmp_path / "late").mkdir()
    writer = log.writer(tmp_path / "late")
    writer.finish([writer.stage(late, source, source.id, tmp_path / "late")], [(source.id, source.id)])
    again = fa.open_log("lerobot", tmp_path / "late", rig=str(rig_file(real_data, tmp_path, "lerobot")))[0]
    assert len(again["wrist"]) == 60, "the episode is as long as before"
    assert torch.equal(again["wrist"].arrival_times, source["wrist"].capture_times)
    assert torch.equal(again["wrist"].capture_times[2:], source["wrist"].capture_times[:-2])
    assert torch.equal(again["agentview"].capture_times, source["agentview"].capture_times)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"observation.state": {"position": [0, 7]}}, r"observation\.state: number 7 of 9 is not declared"),
        ({"action": {"delta_position": [0, 2], "other": [2, 7]}}, r"delta_position: takes 3 numbers, got 2"),
        ({"action": {"comand": [0, 7]}}, r"no kind of stream has the columns \['comand'\]"),
        ({"acton": {"other": [0, 7]}}, r"the log has no feature 'acton'"),
        ({"action": {"other": [0, 7], "command": [6, 7]}}, r"action\.command: number 6 belongs to 'other' already"),
        ({"observation.imu_window": {"gyro": [0, 3], "accel": [3, 6], "window": 0.002}}, r"expected \[first, step\]"),
        ({"action": {"other": [0, 9]}}, r"\[0, 9\] is not within the 7 numbers"),
    ],
)
def test_wrong_parts_are_refused(real_data: Path, parts: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fa.open_log("lerobot", root(real_data, "lerobot"), parts=parts)[0]


def test_a_description_that_the_log_does_not_fit_is_refused(real_data: Path, tmp_path: Path) -> None:
    urdf = str(real_data / "panda_lift" / "panda_arm_hand.urdf")
    with pytest.raises(ConfigError, match=r"no reading of joint 'panda_joint1' of the description"):
        fa.open_log("mcap", root(real_data, "mcap"), urdf=urdf)[0]
    (tmp_path / "rig.yaml").write_text("foo: 1\nframes: {}\n")
    with pytest.raises(Exception, match=r"rig\.yaml: foo: unknown word, expected frames or sensors"):
        fa.open_log("mcap", root(real_data, "mcap"), rig=str(tmp_path / "rig.yaml"))[0]


def test_messages_that_were_logged_out_of_order(real_data: Path, tmp_path: Path) -> None:
    """Items are in the order of capture; each keeps the picture that it came with."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    swapped = tmp_path / "bag"
    swapped.mkdir()
    with next(root(real_data, "mcap").glob("*.mcap")).open("rb") as old, (swapped / "a.mcap").open("wb") as new:
        reader, writer = make_reader(old), Writer(new)
        writer.start(profile="ros2", library="test")
        channels: dict[int, int] = {}
        for schema, channel, message in reader.iter_messages():
            if channel.id not in channels:
                kind = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(channel.topic, channel.message_encoding, kind)
            late = channel.topic == "/wrist/image_raw" and message.log_time == T0 + 450_000_000
            log_time = message.log_time + (200_000_000 if late else 0)
            writer.add_message(channels[channel.id], log_time, message.data, log_time)
        writer.finish()
    log = fa.open_log("mcap", swapped)
    source = log[0]
    assert bool((source["wrist"].arrival_times.diff() < 0).any()) and bool(
        (source["wrist"].capture_times.diff() > 0).all()
    )
    out = fa.Latency(delay=0.01, sensors=["wrist"])(source)
    (tmp_path / "out").mkdir()
    log.writer(tmp_path / "out").stage(out, source, source.id, tmp_path / "out")
    again = fa.open_log("mcap", tmp_path / "out")[0]
    assert torch.equal(again["wrist"].capture_times, source["wrist"].capture_times)
    assert torch.equal(again["wrist"].images, source["wrist"].images)  # type: ignore[attr-defined]
