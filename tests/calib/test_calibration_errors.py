"""Messages are one line, whatever the names in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from calib import CalibrationError, load_rig, load_urdf
from fusion_aug.errors import ConfigError, DataError


@pytest.mark.quick
@pytest.mark.parametrize("kind", [CalibrationError, ConfigError, DataError])
def test_names_do_not_steer_a_terminal(kind: type[ValueError]) -> None:
    said = str(kind("/log/\x1b[31mé\n.bin: cannot be read\r"))
    assert said == "/log/\ufffd[31mé\ufffd.bin: cannot be read\ufffd"


@pytest.mark.quick
@pytest.mark.parametrize("load", [load_rig, load_urdf])
def test_a_name_that_no_file_can_have(load: Callable[[Path], object]) -> None:
    with pytest.raises(CalibrationError, match="its name holds a null byte"):
        load(Path("a\0b"))
