"""What is gone without a reason FAILS in ``check OUT``, in every format and wherever it was lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from lost import DRIVING, LOST, PLANTED, failed, names, run

from fusion_aug.cli import main
from fusion_aug.logs import FORMATS, Writer
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, Boxes3D, Points


@pytest.fixture(scope="module")
def sound(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An output of each format that a check has found sound."""

    @cache
    def output_of(kind: str) -> Path:
        out = tmp_path_factory.mktemp("sound") / "out"
        assert run(small, kind, out) == 0 and main(["check", str(out)]) == 0
        return out

    return output_of


@pytest.mark.parametrize(("kind", "what", "stream"), PLANTED)
def test_what_an_output_has_lost_is_named(
    sound: Callable[[str], Path], kind: str, what: str, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(sound(kind), out)
    PLANTED[kind, what, stream](out)
    lines = failed(out, capsys)
    assert names(lines, f"{what} missing", stream), lines


# --- lost by a writer that says nothing of it ------------------------------------------------------------------------
class Forget:
    """Leaves the first ten boxes or points, or the last picture, out of a sample, however often it is asked.

    Args:
        sensor: whose picture or points; boxes where there is none.
    """

    def __init__(self, sensor: str = ""):
        self.sensor, self.known = sensor, {}

    def __call__(self, sample: Sample) -> Sample:
        return sample.with_streams({n: self.less(sample.id, n, s) for n, s in sample.streams.items()})

    def less(self, sample_id: str, name: str, stream: Any) -> Any:
        if name == self.sensor and isinstance(stream, Points):
            whole = self.known.setdefault((sample_id, name), stream.rows)
            return stream.select(torch.arange(whole) >= LOST) if stream.rows == whole else stream
        if name == self.sensor:
            whole = self.known.setdefault((sample_id, name), len(stream))
            return stream.take_items(torch.arange(whole - 1)) if len(stream) == whole else stream
        if self.sensor or not isinstance(stream, Boxes2D | Boxes3D):
            return stream
        gone = self.known.setdefault((sample_id, name), list(stream["instance"][:LOST]))
        return stream.select(torch.tensor([i not in gone for i in stream["instance"]], dtype=torch.bool))


def forgetful(writer: type[Writer], sensor: str) -> dict[str, Any]:
    """Methods of a writer that loses things and says that this is what it wrote."""
    stage, back, change = writer.stage, writer.as_read_back, Forget(sensor)

    def forget(self: Writer, sample: Sample, *args: Any) -> dict[str, Any]:
        return stage(self, change(sample), *args)

    def as_read_back(self: Writer, *args: Any, **kwargs: Any) -> Sample:
        return change(back(self, *args, **kwargs))

    return {"stage": forget, "as_read_back": as_read_back}


def careless(writer: type[Writer], pattern: str) -> dict[str, Any]:
    """Methods of a writer that loses the first file of a kind, of one sample, before anybody has counted it."""
    before, owners = writer.stage, set[str]()

    def stage(self: Writer, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        rows = before(self, sample, source, out_id, folder)
        found = sorted(folder.glob(pattern))
        if found and owners <= {source.id}:
            owners.add(source.id)
            found[0].unlink()
        return rows

    return {"stage": stage}


CLOUDS = {"argoverse2": "lidar", "folder": "velodyne", "kitti": "velodyne", "mmdet3d": "lidar", "nuscenes": "LIDAR_TOP"}
WRITERS = {
    **{(kind, "boxes", "boxes"): (forgetful, "") for kind in DRIVING},
    **{(kind, "points", name): (forgetful, name) for kind, name in CLOUDS.items()},
    ("kitti", "pictures", "image_2"): (careless, "training/image_2/*.png"),
    ("kitti", "sweeps", "velodyne"): (careless, "training/velodyne/*.bin"),
    ("nuscenes", "pictures", "CAM_BACK"): (careless, "samples/CAM_BACK/*.jpg"),
    ("nuscenes", "sweeps", "LIDAR_TOP"): (careless, "sweeps/LIDAR_TOP/*.bin"),
    ("argoverse2", "pictures", "ring_front_center"): (careless, "**/ring_front_center/*.jpg"),
    ("argoverse2", "sweeps", "lidar"): (careless, "**/lidar/*.feather"),
    ("mmdet3d", "pictures", "CAM_BACK"): (careless, "samples/CAM_BACK/*.jpg"),
    ("mmdet3d", "sweeps", "lidar"): (careless, "samples/LIDAR_TOP/*.bin"),
    ("folder", "pictures", "image_2"): (careless, "samples/**/image_2/*.png"),
    **{(kind, "pictures", "front"): (forgetful, "front") for kind in ("lerobot", "mcap", "robomimic")},
}


@pytest.mark.parametrize(("kind", "what", "stream"), WRITERS)
def test_a_writer_that_loses_things_is_found_out(
    small: Path, kind: str, what: str, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Also ``check`` runs with the same writer, so that all that this package says of itself agrees."""
    fault, how = WRITERS[kind, what, stream]
    writer, out = FORMATS[kind].writer, tmp_path / "out"
    for name, method in fault(writer, how).items():
        monkeypatch.setattr(writer, name, method)
    assert run(small, kind, out) == 0
    lines = failed(out, capsys)
    assert names(lines, f"{what} missing", stream), lines


def test_a_reader_that_overlooks_things_is_found_out(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Source and output read alike, without a camera and without ten boxes."""
    reader = FORMATS["kitti"].reader
    read = reader.read

    @wraps(read)
    def blind(log: Any, sample_id: str) -> Sample:
        sample = Forget()(read(log, sample_id))
        return sample.with_streams({n: s for n, s in sample.streams.items() if n != "image_3"})

    monkeypatch.setattr(reader, "read", blind)
    assert run(small, "kitti", tmp_path / "out", "pipeline=geometry") == 0
    lines = failed(tmp_path / "out", capsys)
    assert names(lines, "boxes missing", "boxes") and names(lines, "pictures missing", "image_3")
