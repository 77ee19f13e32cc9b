"""Messages are one line, whatever the names in them."""

from __future__ import annotations

import pytest

from calib import CalibrationError
from fusion_aug.errors import ConfigError, DataError


@pytest.mark.quick
@pytest.mark.parametrize("kind", [CalibrationError, ConfigError, DataError])
def test_names_do_not_steer_a_terminal(kind: type[ValueError]) -> None:
    said = str(kind("/log/\x1b[31mé\n.bin: cannot be read\r"))
    assert said == "/log/\ufffd[31mé\ufffd.bin: cannot be read\ufffd"
