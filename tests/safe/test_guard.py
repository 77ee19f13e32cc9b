"""Whatever a library raises where files are read becomes one sentence; what is no fault of a file passes."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusion_aug import cli
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs import Writer
from fusion_aug.safe.guard import guard_members, reads_file
from fusion_aug.streams.source import Source

pytestmark = pytest.mark.quick


class Odd(Exception):
    """An error that nobody lists."""


@pytest.mark.parametrize(
    "error", [Odd("what\nhappened"), KeyError("x"), MemoryError(), RecursionError("deep"), AssertionError()]
)
def test_any_error_of_a_library(error: Exception, tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "fusion_aug.made", "error": error}
    exec('def read(path):\n    where = f"{path}: field"\n    raise error\n', names)
    with pytest.raises(DataError, match=f"^{tmp_path}/x: field: ") as told:
        reads_file(names["read"])(tmp_path / "x")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("error", [ConfigError("a"), KeyboardInterrupt(), SystemExit(3), OSError(errno.ENOSPC, "full")])
def test_what_is_no_fault_of_a_file_passes(error: BaseException) -> None:
    @reads_file
    def read(path: str) -> None:
        raise error

    with pytest.raises(type(error)) as told:
        read("x")
    assert told.value is error


def test_properties_and_sources_of_subclasses(tmp_path: Path) -> None:
    class Reader:
        @property
        def one(self) -> int:
            raise Odd

        @cached_property
        def two(self) -> int:
            return [1][2]

    guard_members(Reader, ("one", "two", "three"), lambda reader: "it")
    for name in ("one", "two"):
        with pytest.raises(DataError, match=r"^it: is damaged"):
            getattr(Reader(), name)

    @dataclass(frozen=True, eq=False)
    class Own(Source):
        @property
        def value(self) -> Any:
            raise Odd("no picture")

    with pytest.raises(DataError, match=r"x\.png: is damaged \(Odd: no picture\)"):
        _ = Own(tmp_path / "x.png", "image").value


def test_writers_of_others(tmp_path: Path) -> None:
    class Own(Writer):
        def stage(self, sample: Any, source: Any, out_id: str, folder: Path) -> dict[str, Any]:
            raise Odd("no\nroom")

        def finish(self, rows: Any, ids: Any) -> None:
            raise OSError(errno.EACCES, "Permission denied", str(tmp_path / "x"))

    sample = SimpleNamespace(id="a")
    with pytest.raises(DataError, match=rf"^{tmp_path}: sample 'a': cannot be written \(Odd: no room\)$"):
        Own(None, tmp_path).stage(sample, sample, "a", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(PermissionError):  # told by who knows which file of the output that is
        Own(None, tmp_path).finish([], [])


def test_the_traceback_is_there_for_who_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(command: str, words: list[str]) -> int:
        raise Odd("a fault of ours")

    monkeypatch.setattr(cli, "dispatch", broken)
    assert cli.main(["run"]) == 2
    assert (
        capsys.readouterr().err
        == "fusion-aug: run stopped at a fault of its own (Odd: a fault of ours); FUSION_AUG_DEBUG=1 shows where\n"
    )
    monkeypatch.setenv("FUSION_AUG_DEBUG", "1")
    assert cli.main(["run"]) == 2
    assert "Traceback" in capsys.readouterr().err
