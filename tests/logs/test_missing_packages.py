"""Packages of extras that are not installed: one sentence says what to install, and nothing is written or printed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import small_logs
from places import ARM

from fusion_aug.cli import main
from fusion_aug.errors import ConfigError
from fusion_aug.logs.remote.address import address_of
from fusion_aug.logs.remote.store import Store
from fusion_aug.safe import tfrecord
from fusion_aug.safe import zarr as safe_zarr

Missing = Callable[[str], None]


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Missing:
    """Lets packages be missing for a test."""

    def without(package: str) -> None:
        for module in [m for m in sys.modules if m.startswith(f"{package}.")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, package, None)

    return without


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The sentence of a command that ends with exit code 2 and prints nothing else."""
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.strip().splitlines()) == 1
    return told.err.strip()


def test_inspect_of_argoverse(missing: Missing, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    root = small_logs.argoverse2(tmp_path / "log")
    missing("pyarrow")
    assert "[argoverse]'" in refused(["inspect", "log=argoverse2", f"log.root={root}"], capsys)


def test_inspect_of_lerobot(missing: Missing, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    missing("av")
    words = ["inspect", "log=lerobot", f"log.root={ARM / 'lerobot'}", f"log.rig={ARM / 'lerobot_rig.yaml'}"]
    told = refused(words, capsys)
    assert "the package av: pip install" in told and "[lerobot]'" in told


@pytest.mark.parametrize(("kind", "package", "extra"), [
    ("aloha", "h5py", "robomimic"), ("rlds", "google_crc32c", "rlds"), ("rlds", "google.protobuf", "rlds"),
    ("zarr", "zarr", "zarr"),
])  # fmt: skip
def test_inspect_of_arrays(
    kind: str, package: str, extra: str, missing: Missing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(package)
    root = getattr(small_logs, kind)(tmp_path / "log")
    tfrecord._example_class.cache_clear()
    safe_zarr._opened.cache_clear()
    missing(package)
    assert f"[{extra}]'" in refused(["inspect", f"log={kind}", f"log.root={root}"], capsys)


def test_what_unpacks_a_recording(missing: Missing, capsys: pytest.CaptureFixture[str]) -> None:
    """It comes with mcap, and may be missing alone."""
    pytest.importorskip("mcap")
    missing("zstandard")
    words = ["inspect", "log=mcap", f"log.root={ARM / 'mcap'}", f"log.rig={ARM / 'mcap_rig.yaml'}"]
    told = refused(words, capsys)
    assert "pip install zstandard" in told and "not a readable" not in told and "damaged" not in told


@pytest.mark.parametrize(("package", "extra"), [
    ("mujoco", "arm"), ("av", "lerobot"), ("pyarrow", "lerobot"), ("mcap", "ros"), ("zstandard", "ros"),
])  # fmt: skip
def test_the_arm_world_writes_all_or_nothing(
    package: str, extra: str, missing: Missing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mujoco")
    missing(package)
    told = refused(["synth", "arm", f"out={tmp_path / 'arm'}"], capsys)
    assert f"{package}: pip install" in told and told.endswith(f"[{extra}]'")
    assert list(tmp_path.iterdir()) == []


def test_a_drive_that_cannot_be_made_leaves_nothing(
    missing: Missing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing("open3d")
    assert main(["synth", "drive", "frames=1", f"out={tmp_path / 'drive'}"]) == 2
    assert "Open3D cannot be imported" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("url", "package"), [("gs://bucket/log", "gcsfs"), ("abfs://box/log", "adlfs")])
def test_stores_name_the_package_of_their_protocol(url: str, package: str, missing: Missing) -> None:
    pytest.importorskip("fsspec")
    missing(package)
    with pytest.raises(ConfigError, match=rf"^{url}: no package for \w+:// is installed: .*\b{package}\b"):
        list(Store(address_of(url, "log.root")).listing())
