"""Recordings as they are in the field: any types, headers without stamps, a late tf; obstacles before a run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros_bags import (
    MS,
    T0,
    Sent,
    header,
    imu,
    make,
    raw_bag,
    read_bag,
    stamp,
    tf,
    time,
    write_bag,
)
from steps import step_words

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError, Obstacle

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
STEP = 100 * MS
SLOWER = {"_target_": "fusion_aug.SpeedWarp", "speed": 0.8}
MIRROR = {"_target_": "fusion_aug.MirrorScene", "axis": "y"}
BRIGHTER = {"_target_": "fusion_aug.Brightness", "factor": 1.2}


def busy(count: int = 20) -> list[Sent]:
    """What a robot sends: joints of an arm and a gripper on one topic, commands, texts, a marker, a late tf."""
    sent: list[Sent] = []
    for k in range(count):
        t = T0 + k * STEP
        for names, late in ((["a", "b"], 0), (["g"], 10 * MS)):
            position = np.full(len(names), 0.01 * k)
            joints = make("sensor_msgs/JointState", header=header(t + late), name=names, position=position)
            sent.append(("/joint_states", t + late, joints))
        command = make("sensor_msgs/JointState", header=header(t), name=["a", "b"], position=np.full(2, 0.01 * k + 0.1))
        sent.append(("/joint_commands", t, command))
        sent.append(("/rosout", t, make("rcl_interfaces/Log", stamp=time(t), msg=str(k))))
        sent.append(("/clock", t, make("rosgraph_msgs/Clock", clock=time(t))))
        sent.append(("/marker", t, make("visualization_msgs/Marker", header=header(t, "base_link"))))
        sent.append(("/text", t, make("std_msgs/String", data="turn left")))
        sent.append(("/imu", t, imu(0 if k < 3 else t)))
        if k >= 8:
            sent.append(("/tf", t, tf(t, "map", "base_link", 0.1 * k, 0, 0)))
    return sent


def run(root: Path, out: Path, steps: list[Any], *words: str) -> int:
    """``fusion-aug run`` with a pipeline of these transforms."""
    chosen = step_words({f"step{i}": s for i, s in enumerate(steps)})
    return main(["run", "log=mcap", f"log.root={root}", f"out={out}", *chosen, *words])


def test_all_obstacles_are_named_before_the_first_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "bags"
    for name in ("one", "two"):
        write_bag(root / name, busy())
    out = tmp_path / "out"
    assert run(root, out, [SLOWER, MIRROR, BRIGHTER]) == 2
    said = capsys.readouterr().err
    assert not out.exists()
    for part in (
        "change 4 topics", "'joint_states'", "'joint_commands'", "log.urdf",
        "/marker (visualization_msgs/msg/Marker) in one/one.mcap and 1 more recordings: SpeedWarp",
        "log.restamp_only", "log.no_geometry", "/text (std_msgs/msg/String)", "log.exclude",
    ):  # fmt: skip
        assert part in said, part
    for topic in ("/rosout", "/clock", "/imu", "Brightness"):
        assert topic not in said, topic
    with pytest.raises(Obstacle, match=r"topic /marker .*: SpeedWarp would have to change it, but there is no rule"):
        fa.SpeedWarp(speed=0.8)(fa.open_log("mcap", root)[0])


def test_types_without_motion_get_new_stamps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = write_bag(tmp_path / "bag", busy()), tmp_path / "out"
    assert run(root, out, [SLOWER], "log.restamp_only=[/marker]") == 0
    said = capsys.readouterr().out
    assert "topic /imu: 3 of 20 headers hold no stamp" in said
    assert "nothing is known of 'base_link' in 'map' for 0.8 s before its first pose" in said
    found = read_bag(out)
    expected = [T0 + round(k * STEP / 0.8) for k in range(20)]
    for topic in ("/rosout", "/clock", "/marker", "/text"):
        assert np.abs(np.array([t for t, _ in found[topic]]) - expected).max() <= 1, topic
    inner = {
        "/rosout": lambda m: m.stamp, "/clock": lambda m: m.clock, "/marker": lambda m: m.header.stamp,
    }  # fmt: skip
    for topic, read in inner.items():
        stamps = [(s := read(m)).sec * 10**9 + s.nanosec for _, m in found[topic]]
        assert np.abs(np.array(stamps) - expected).max() <= 1, topic
    assert [m.msg for _, m in found["/rosout"]] == [str(k) for k in range(20)]
    logged = [t for t, _ in found["/imu"]]
    assert abs((logged[-1] - logged[0]) * 1e-9 - 1.9 / 0.8) < 0.11, "unstamped headers make no years of two seconds"


def test_a_recording_of_everything_is_copied(tmp_path: Path) -> None:
    root, out = write_bag(tmp_path / "bag", busy()), tmp_path / "out"
    assert main(["run", "log=mcap", f"log.root={root}", f"out={out}", "pipeline=identity"]) == 0
    assert raw_bag(out) == raw_bag(root)
    assert main(["check", str(out)]) == 0


def test_a_late_tf_holds_from_its_first_pose(tmp_path: Path) -> None:
    sent = [s for s in busy() if s[0] in ("/tf", "/imu")]
    root, out = write_bag(tmp_path / "bag", sent), tmp_path / "out"
    sample = fa.open_log("mcap", root)[0]
    assert abs(sample.ref.time - T0) < STEP
    assert float(sample.rig.T("map", "base_link", T0)[0, 3]) == pytest.approx(0.8)
    assert float(sample.meta.anchor[0, 3]) == pytest.approx(0.8)
    assert run(root, out, [MIRROR, SLOWER]) == 0
    moved = read_bag(out)["/tf"]
    assert len(moved) == 12 and moved[0][1].transforms[0].transform.translation.x == pytest.approx(0.8)
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize("steps", [[], [MIRROR], [SLOWER]])
def test_a_recording_of_tf_alone_is_a_recording(tmp_path: Path, steps: list[Any]) -> None:
    sent = [("/tf", T0 + k * MS, tf(T0 + k * MS, "map", "base_link", 0.1 * k, 0.2, 0)) for k in range(10)]
    root, out = write_bag(tmp_path / "bag", sent), tmp_path / "out"
    assert run(root, out, steps) == 0
    moved = read_bag(out)["/tf"]
    assert len(moved) == 10
    assert main(["check", str(out)]) == 0


def test_a_frame_that_changes_is_copied_and_refused_late(tmp_path: Path) -> None:
    sent = [("/imu", T0 + k * MS, imu(T0 + k * MS, "ab"[k % 2])) for k in range(6)]
    sent += [("/tf", T0 + k * MS, tf(T0 + k * MS, "xy"[k % 2], "cart")) for k in range(6)]
    root, out = write_bag(tmp_path / "bag", sorted(sent, key=lambda s: s[1])), tmp_path / "out"
    sample = fa.open_log("mcap", root)[0]
    with pytest.raises(Obstacle, match=r"topic /imu .*frame_id changes from message to message \('a', 'b'\)"):
        fa.SensorBias()(sample)
    with pytest.raises(Obstacle, match="hangs on 'x' and then on 'y'"):
        fa.MirrorScene(axis="y")(sample.with_streams({"tf": sample["tf"]}))
    assert run(root, out, [BRIGHTER]) == 0
    assert raw_bag(out) == raw_bag(root)


def test_zero_stamps_of_a_whole_topic_stay_zero(tmp_path: Path) -> None:
    sent = [("/imu", T0 + k * 10 * MS, imu(0)) for k in range(50)]
    root, out = write_bag(tmp_path / "bag", sent), tmp_path / "out"
    assert fa.open_log("mcap", root)[0].ref.time == T0
    assert run(root, out, [{"_target_": "fusion_aug.SensorBias", "gyro_noise": 0.01}]) == 0
    assert {stamp(m) for _, m in read_bag(out)["/imu"]} == {0}


def jumping(back: int) -> list[Sent]:
    """Readings whose header stamps, and with ``back`` 2 also log times, jump back by 5 s in the middle."""
    sent: list[Sent] = []
    for k in range(40):
        t = T0 + k * STEP
        told = t - (5 * 10**9 if k >= 20 else 0)
        sent.append(("/imu", told if back == 2 else t, imu(told)))
        sent.append(("/text", told if back == 2 else t, make("std_msgs/String", data=str(k))))
    return sent


@pytest.mark.parametrize(("back", "clock"), [(1, "header stamp"), (2, "log time")])
def test_a_clock_that_jumps_back(tmp_path: Path, capsys: pytest.CaptureFixture[str], back: int, clock: str) -> None:
    root, out = write_bag(tmp_path / "bag", jumping(back)), tmp_path / "out"
    with pytest.raises(DataError, match=rf"bag\.mcap: topic /\w+: the {clock} jumps back by 4\.900 s at log time \d+"):
        fa.open_log("mcap", root)[0]
    log = fa.open_log("mcap", root, split_on_jump=True)
    assert list(log.ids) == ["bag/part0", "bag/part1"]
    assert [len(s["imu"]) for s in log] == [20, 20]
    assert log[0].ref.time == T0 and log[1].ref.time == T0 + 20 * STEP - 5 * 10**9
    words = ["run", "log=mcap", f"log.root={root}", "log.split_on_jump=true", f"out={out}", "pipeline=identity"]
    assert main(words) == 0
    order = lambda found: {t: sorted(messages) for t, messages in found.items()}  # noqa: E731
    assert order(raw_bag(out)) == order(raw_bag(root))
    assert len(list(out.rglob("metadata.yaml"))) == 2
    assert main(["check", str(out)]) == 0


def test_one_late_message_is_no_jump(tmp_path: Path) -> None:
    sent = [("/imu", T0 + k * STEP, imu(T0 + k * STEP - (3 * 10**9 if k == 7 else 0))) for k in range(20)]
    assert len(fa.open_log("mcap", write_bag(tmp_path / "bag", sent))[0]["imu"]) == 20


@pytest.mark.parametrize("option", ["restamp_only", "no_geometry"])
def test_topics_that_are_named_must_be_there(tmp_path: Path, option: str) -> None:
    root = write_bag(tmp_path / "bag", busy(3))
    with pytest.raises(ConfigError, match=rf"log\.{option}: '/markers' matches nothing of .*it has .*/marker"):
        fa.open_log("mcap", root, **{option: ["/mark*", "/markers"]})
    with pytest.raises(ConfigError, match=f"log.{option}: expected names"):
        fa.open_log("mcap", root, **{option: 5})


def test_what_a_later_message_shows_stops_its_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = tmp_path / "bags", tmp_path / "out"
    step = {"_target_": "fusion_aug.SensorBias", "gyro_noise": 0.01}
    for name, frames in (("good", "aaaaaa"), ("odd", "aaabbb")):
        write_bag(root / name, [("/imu", T0 + k * MS, imu(T0 + k * MS, f)) for k, f in enumerate(frames)])
    assert run(root, tmp_path / "whole", [step]) == 2
    said = capsys.readouterr().err
    assert "topic /imu (sensor_msgs/msg/Imu): SensorBias would have to change it, but its frame_id changes" in said
    assert run(root, out, [step], "on_error=skip", "workers=1") == 0
    assert [p.parent.name for p in out.rglob("*.mcap")] == ["good"]
    assert "frame_id changes" in capsys.readouterr().out
    copied = pickle.loads(pickle.dumps(Obstacle("topic /a", "Fog", "no rule", "leave it out")))
    assert str(copied) == "topic /a: Fog would have to change it, but no rule; leave it out"
