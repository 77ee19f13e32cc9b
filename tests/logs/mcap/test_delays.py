"""How long messages took from their stamp to the log: a change of speed leaves it, in seconds, on every topic alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from robot_bag import run
from ros_bags import header, image, make, read_bag, stamp, tf, write_bag
from ros_pictures import info

pytest.importorskip("rosbags")
T0, STEP, COUNT = 1_700_000_000_000_000_000, 50_000_000, 24
ONE_EACH = ("/cam/image_raw", "/cam/camera_info", "/alone/camera_info", "/tf")
FAST = {"_target_": "fusion_aug.SpeedWarp", "speed": 2.0}


def first_stamp(message: Any) -> int:
    return stamp(message.transforms[0] if hasattr(message, "transforms") else message)


def delays(root: Path) -> dict[str, list[int]]:
    """Topic -> how long after its stamp every message was logged, ns, by stamp."""
    rows = {t: sorted((first_stamp(m), ns) for ns, m in found) for t, found in read_bag(root).items()}
    return {t: [ns - s for s, ns in of_topic] for t, of_topic in rows.items()}


def late_recording(folder: Path) -> Path:
    """A recording whose messages arrive up to 70 ms late, some after those of the next step."""
    rng = np.random.default_rng(3)
    sent = [("/tf_static", T0, tf(T0, "base", "cam", 0.1, 0.0, 0.3))]
    for k in range(COUNT):
        at = T0 + k * STEP
        pixels = np.full((6, 8, 3), 7 * k, np.uint8)
        infos = (info((6, 8), time=at, frame=frame) for frame in ("cam", "alone"))
        made = (image(at, pixels, "rgb8"), *infos, tf(at, "odom", "base", k, 0, 0))
        sent += [(t, at + int(rng.integers(70_000_000)), m) for t, m in zip(ONE_EACH, made, strict=True)]
        sent.append(("/joint_states", at + 7_000_000, make("sensor_msgs/JointState", header=header(at), name=["a"],
                                                           position=np.array([0.1 * k]))))  # fmt: skip
    return write_bag(folder, sorted(sent, key=lambda row: row[1]))


@pytest.mark.parametrize(
    "steps", [[FAST], [{"_target_": "fusion_aug.TimeWarp", "slowest": 0.7, "fastest": 1.4}]], ids=str
)
def test_a_change_of_speed_leaves_delays(tmp_path: Path, steps: list[Any]) -> None:
    bag = late_recording(tmp_path / "bag")
    assert run(bag, tmp_path / "out", steps, log="mcap") == 0
    before, after = delays(bag), delays(tmp_path / "out")
    for topic in ONE_EACH:
        assert after[topic] == before[topic], topic
    assert set(after["/joint_states"]) == {7_000_000}
    assert is_in_order(tmp_path / "out")


def is_in_order(root: Path) -> bool:
    """Whether messages lie in every file by their log times."""
    from mcap.reader import make_reader

    times = []
    for path in sorted(root.rglob("*.mcap")):
        with path.open("rb") as file:
            times.append([m.log_time for *_, m in make_reader(file).iter_messages(log_time_order=False)])
    return bool(times) and all(own == sorted(own) and own for own in times)


def test_windows_begin_with_what_holds_in_them(tmp_path: Path) -> None:
    """The last window holds no stream, only what arrived late of the calibration."""
    bag, words = late_recording(tmp_path / "bag"), ["log.window=0.4", "log.exclude=[/alone/camera_info]"]
    slow = {"_target_": "fusion_aug.SpeedWarp", "speed": 0.5}
    assert run(bag, tmp_path / "out", [slow], *words, log="mcap") == 0
    assert is_in_order(tmp_path / "out") and len(list((tmp_path / "out").rglob("*.mcap"))) == 4
    assert len(read_bag(tmp_path / "out")["/tf_static"]) == 4


def test_pictures_that_are_left_out_take_their_calibration_along(tmp_path: Path) -> None:
    bag = late_recording(tmp_path / "bag")
    dropped = {"_target_": "fusion_aug.DropFrames", "share": 0.5, "sensors": ["cam"]}
    assert run(bag, tmp_path / "out", [FAST, dropped], log="mcap") == 0
    found = read_bag(tmp_path / "out")
    stamps = {t: [stamp(m) for _, m in found[t]] for t in ("/cam/image_raw", "/cam/camera_info")}
    assert 0 < len(stamps["/cam/image_raw"]) < COUNT and stamps["/cam/image_raw"] == stamps["/cam/camera_info"]
    assert len(found["/alone/camera_info"]) == COUNT


SIMULATED = 100_000_000_000  # ns: what the simulator's clock shows at T0


def simulated(folder: Path, *, with_words: bool) -> Path:
    """A recording of a simulator that runs at half the speed of the wall, whose clock the log times are of."""
    sent: list[Any] = [("/tf_static", T0, tf(0, "base", "cam", 0.1, 0.0, 0.3))]
    for k in range(COUNT):
        at, log = SIMULATED + k * STEP // 2, T0 + k * STEP
        sent.append(("/cam/image_raw", log, image(at, np.full((6, 8, 3), 7 * k, np.uint8), "rgb8")))
        sent.append(("/tf", log + 1, tf(at, "odom", "base", k, 0, 0)))
        if with_words:
            sent.append(("/said", log + STEP // 2, make("std_msgs/String", data=str(k))))
    return write_bag(folder, sent)


def test_another_clock_in_the_stamps_than_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(simulated(tmp_path / "bag", with_words=False), tmp_path / "out", [FAST], log="mcap") == 0
    found = read_bag(tmp_path / "out")
    assert [ns for ns, _ in found["/tf_static"]] == [T0]
    stamps = [stamp(m) for _, m in found["/cam/image_raw"]]
    assert np.abs(np.diff(stamps) - STEP // 4).max() <= 1
    # half of what the simulator's clock went on by is gone, a quarter of the wall's time
    logged = np.array([ns for ns, _ in found["/cam/image_raw"]]) - T0
    assert np.abs(logged - np.arange(COUNT) * STEP * 3 // 4).max() <= 2
    capsys.readouterr()
    assert run(simulated(tmp_path / "words", with_words=True), tmp_path / "no", [FAST], log="mcap") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "messages of /said have no stamps" in said and "log.exclude=[/said]" in said, said
