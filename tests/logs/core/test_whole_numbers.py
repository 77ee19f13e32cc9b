"""Whole intensities stay whole on disk, in every format with clouds, read with NumPy and the formats' libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import small_logs
import torch
from bags import T0, messages, recording
from intensities import BYTES, WORDS, Array, cloud_message, tree
from steps import step_words

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.core.whole_numbers import with_whole_intensities
from fusion_aug.run.checking import check_written

STEPS = {
    "fog": "{_target_: fusion_aug.Fog, mor: 60, overcast: 0}",
    "gain": "{_target_: fusion_aug.IntensityGain, gain: 0.7}",
}


def run(tmp_path: Path, words: list[str]) -> Path:
    """A run with fog and a gain; ``check`` finds the intensities that it should find, and no others."""
    out = tmp_path / "out"
    assert main(["run", *step_words(STEPS), f"out={out}", *words]) == 0
    rows = [r for r in check_written(out, [], None).rows if r.measurement in ("intensity", "unreadable")]
    assert rows and {r.status for r in rows} == {"PASS"} and all(r.limit <= 0.5 + 1e-6 for r in rows)
    return out


def kitti_log(root: Path, street: Path) -> Path:
    return tree(root, BYTES, BYTES)


def flat(out: Path, pattern: str, width: int) -> Iterator[Array]:
    return (np.fromfile(p, "<f4").reshape(-1, width)[:, 3] for p in sorted(out.glob(pattern)))


def feather_clouds(out: Path) -> Iterator[Array]:
    from pyarrow import feather

    return (feather.read_table(p)["intensity"].to_numpy() for p in sorted(out.glob("val/*/sensors/lidar/*")))


def folder_clouds(out: Path) -> Iterator[Array]:
    return (np.load(p)["values/intensity"] for p in sorted(out.glob("samples/**/velodyne/arrays.npz")))


CASES: dict[str, tuple[str, Callable[[Path, Path], Path], Callable[[Path], Iterator[Array]], list[str]]] = {
    "kitti": ("kitti", kitti_log, lambda out: flat(out, "training/velodyne/*", 4), []),
    "kitti as folder": ("kitti", kitti_log, folder_clouds, ["output=folder"]),
    "nuscenes": ("nuscenes", lambda _, street: street, lambda out: flat(out, "samples/LIDAR_TOP/*", 5), ["limit=2"]),
    "mmdet3d": ("mmdet3d", small_logs.mmdet3d, lambda out: flat(out, "samples/LIDAR_TOP/*", 5), ["limit=2"]),
    "argoverse2": ("argoverse2", lambda root, _: small_logs.argoverse2(root), feather_clouds, []),
}


@pytest.mark.parametrize("layout", CASES)
def test_written_intensities_are_whole_where_those_of_the_source_are(tmp_path: Path, street: Path, layout: str) -> None:
    format, make, read, more = CASES[layout]
    out = run(tmp_path, [f"log={format}", f"log.root={make(tmp_path / 'log', street)}", *more])
    clouds = list(read(out))
    assert clouds and all(len(c) and (c == np.round(c)).all() and c.max() > 1 for c in clouds)


@pytest.mark.parametrize(("kind", "values"), [("u1", BYTES), ("<f4", BYTES), ("<u2", WORDS)])
def test_of_recordings(tmp_path: Path, kind: str, values: Array) -> None:
    """Also where the field is of whole numbers: they are rounded, not cut off."""
    type_name = "sensor_msgs/msg/PointCloud2"
    extra = [("/lidar", type_name, cloud_message(T0 + k * 10**8, values, kind), T0 + k * 10**8) for k in range(3)]
    folder = recording(tmp_path / "bag/bag.mcap", extra)
    rig = f"log.rig={folder.parent / 'rig.yaml'}"
    out = run(tmp_path, ["log=mcap", f"log.root={folder}", rig])
    source = fa.open_log("mcap", folder, rig=str(folder.parent / "rig.yaml"))[0]
    chain = fa.Compose({"fog": fa.Fog(mor=60, overcast=0), "gain": fa.IntensityGain(gain=0.7)})
    expected = chain(source, seed=0)["lidar"]["intensity"].double().numpy()
    written = []
    for _, message in messages(next(out.glob("*.mcap")), "/lidar"):
        place = {f.name: f.offset for f in message.fields}["intensity"]
        rows = np.asarray(message.data).reshape(-1, message.point_step)
        size = np.dtype(kind).itemsize
        written.append(np.frombuffer(rows[:, place : place + size].tobytes(), kind).astype(float))
    found = np.concatenate(written)
    assert (found == np.round(found)).all() and np.abs(found - expected).max() <= 0.5 + 1e-6


def test_shares_are_left_as_they_are(tmp_path: Path, street: Path) -> None:
    out = run(tmp_path, ["log=kitti", f"log.root={tree(tmp_path / 'log', BYTES / 255)}"])
    assert all((c != np.round(c)).mean() > 0.5 for c in flat(out, "training/velodyne/*", 4))


def test_fractions_of_a_declared_scale_are_left_as_they_are(tmp_path: Path) -> None:
    words = ["log=kitti", f"log.root={tree(tmp_path / 'log', BYTES + 0.25)}", "log.intensity_scale=255"]
    assert all((c != np.round(c)).mean() > 0.5 for c in flat(run(tmp_path, words), "training/velodyne/*", 4))


@pytest.mark.quick
def test_a_half_goes_up_on_every_processor(tmp_path: Path) -> None:
    """Half of whole numbers are exact halves; what another processor leaves of them in the last bits goes up too."""
    source = fa.open_log("kitti", tree(tmp_path / "log", BYTES))[0]
    cloud = source["velodyne"]
    half = torch.floor(cloud["intensity"].double()) + 0.5
    for moved in (half, half - 1e-9, half + 1e-9):
        sample = source.with_streams({**source.streams, "velodyne": cloud.with_values(intensity=moved)})
        assert torch.equal(with_whole_intensities(sample, source)["velodyne"]["intensity"], half + 0.5)


def test_the_same_points_are_lost_whatever_the_scale(tmp_path: Path) -> None:
    """Fog over k/255, k and 257 k of the same whole numbers k: all but 1 of 10^4 points have the same fate."""
    rng = np.random.default_rng(1)
    whole = rng.integers(0, 256, 40_000).astype(float)
    fates = []
    for factor in (1 / 255, 1.0, 257.0):
        source = fa.open_log("kitti", tree(tmp_path / f"log{factor:.3f}", whole * factor))[0]
        cloud = source["velodyne"].with_values(number=torch.arange(len(whole)))
        out = fa.Fog(mor=60, report=True)(source.with_streams({"velodyne": cloud}), seed=3)["velodyne"]
        fate = np.full(len(whole), -1)
        fate[out["number"].numpy()] = out["status"].numpy()
        fates.append(fate)
    assert 0.2 < (fates[0] == 0).mean() < 0.9
    for other in fates[1:]:
        assert (other != fates[0]).sum() <= len(whole) / 1e4
