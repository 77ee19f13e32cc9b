"""Placeholders are filled when they are opened, or refused; zeros are never read as data."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from calib import CalibrationError
from calib.mirrored import as_given, register_mirror
from calib.regular_files import check_regular, open_regular, read_regular, same_content
from fusion_aug import DataError

pytestmark = pytest.mark.quick


def placeholder(path: Path, size: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0))
    os.truncate(path, size) if os.access(path, os.W_OK) else None
    return path


@pytest.mark.parametrize("opened", [check_regular, open_regular, read_regular, lambda p: same_content(p, p)])
def test_it_is_filled_when_it_is_opened_and_once(tmp_path: Path, opened: object) -> None:
    filled = []

    def fill(path: Path) -> None:
        filled.append(path)
        new = tmp_path / "new"
        new.write_bytes(b"bytes")
        new.replace(path)

    register_mirror(tmp_path / "mirror", "s3://bucket/log", fill)
    path = placeholder(tmp_path / "mirror/a/b.bin")
    opened(path)  # type: ignore[operator]
    assert filled == [path] and path.read_bytes() == b"bytes"
    opened(path)  # type: ignore[operator]
    assert len(filled) == 1


def test_what_no_mirror_fills_is_refused_also_to_the_superuser(tmp_path: Path) -> None:
    register_mirror(tmp_path / "mirror", "s3://bucket/log", Path.unlink)
    path = placeholder(tmp_path / "mirror2/a.bin")  # its name begins as the other's
    with pytest.raises(OSError, match="open the log by its URL"):
        open_regular(path)
    assert path.exists()


def test_why_it_cannot_be_filled_is_why_it_cannot_be_opened(tmp_path: Path) -> None:
    def fill(path: Path) -> None:
        raise OSError(errno.ESTALE, "the object was changed")

    register_mirror(tmp_path, "s3://bucket/log", fill)
    with pytest.raises(OSError, match="the object was changed"):
        check_regular(placeholder(tmp_path / "a.bin"))


def test_messages_name_the_place_as_it_was_given(tmp_path: Path) -> None:
    register_mirror(tmp_path / "m", "s3://bucket/log", Path.unlink)
    for kind in (DataError, CalibrationError):
        assert str(kind(f"{tmp_path / 'm' / 'calib.txt'}: is damaged")) == "s3://bucket/log/calib.txt: is damaged"
    assert as_given("nothing of it") == "nothing of it"
