"""A picture or cloud in the middle of a recording that cannot be decoded: which it is, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from robot_bag import ARMLESS, MIRROR, STILL, robot, run
from ros_bags import T0, raw_bag, write_bag

pytest.importorskip("rosbags")


@pytest.mark.parametrize(("topic", "delay"), [("/cam/image_raw", 1), ("/points", 3)])
def test_it_is_named_with_its_time_and_a_remedy(
    tmp_path: Path, topic: str, delay: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = robot()
    damaged = [m for t, _, m in sent if t == topic][4]
    damaged.data = damaged.data[:-30].copy()
    root = tmp_path / "bag"
    write_bag(root, sent)
    assert run(root, tmp_path / "copy", [], log="mcap", check=False) == 0
    assert raw_bag(root) == raw_bag(tmp_path / "copy")
    capsys.readouterr()
    assert run(root, tmp_path / "out", [MIRROR], STILL, ARMLESS, log="mcap") == 2
    told, time = capsys.readouterr().err, T0 + (4 * 50 + delay) * 1_000_000
    assert f"topic {topic}: the message at log time {time} ns: data: " in told and "bytes are too few" in told
    assert told.count(topic) == 1 and "log.exclude" in told and "on_error=skip" in told
