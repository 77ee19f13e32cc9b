"""What the command line says of wrong input."""

from __future__ import annotations

import pytest

from fusion_aug.cli import main


def fails(capsys: pytest.CaptureFixture[str], words: list[str], *parts: str) -> str:
    code = main(words)
    captured = capsys.readouterr()
    message = captured.err.strip()
    assert code == 2, (code, captured.out, message)
    assert message.startswith("fusion-aug: ") and "\n" not in message and "Traceback" not in message, message
    for part in parts:
        assert part in message, message
    return message
