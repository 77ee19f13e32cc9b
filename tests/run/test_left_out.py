"""How a run says what it leaves out."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from fusion_aug.logs.core.account import Account, Group
from fusion_aug.run import report
from fusion_aug.run.account_report import left_out_lines

FIRST = "arm.mcap:excluded /front/camera_info (sensor_msgs/msg/CameraInfo)"
TOPICS = Group("**/*.mcap:excluded **", "left out", "topics that log.exclude names", 10, 0, FIRST, True)
FILES = Group("extra/*", "left out", "not understood: nothing reads these files", 2, 1, "extra/a.txt", False)
ACCOUNT = Account((FILES,), (TOPICS,))


@pytest.mark.quick
def test_an_example_is_a_whole_name() -> None:
    unknown, files, excluded, topics = left_out_lines(ACCOUNT)
    assert "not understood" in unknown and "2 (and 1 not selected) extra/*, such as a.txt[" in files
    assert "left out: topics that log.exclude names" in excluded
    assert "such as excluded /front/camera_info (sensor_msgs/msg/CameraInfo)[" in topics


@pytest.mark.quick
def test_lines_end_between_words_on_a_terminal_and_are_whole_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.rstrip() for line in printed(monkeypatch, terminal=True)]
    assert max(map(len, lines)) <= 50 and len(lines) > 4
    assert " ".join(" ".join(lines).split()).count("/front/camera_info (sensor_msgs/msg/CameraInfo)") == 1
    first = next(i for i, line in enumerate(lines) if line.startswith("  10 **/*.mcap"))
    assert all(line.startswith("  ") for line in lines[first:])
    assert [line.rstrip() for line in printed(monkeypatch, terminal=False)][-1].endswith("CameraInfo)")


def printed(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> list[str]:
    """What is printed to a terminal of 50 columns, or to a file, without its colours."""
    file = StringIO()
    monkeypatch.setattr(report, "OUT", Console(file=file, width=50, force_terminal=terminal, color_system=None))
    report.print_lines(left_out_lines(ACCOUNT))
    return file.getvalue().splitlines()
