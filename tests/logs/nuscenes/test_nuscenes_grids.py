"""Grids of occupancy beside a nuScenes root, in and out; the files are read by NumPy alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from nuscenes_files import tables
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.account import account_of

SHAPE, FREE = (200, 200, 16), 17
GEOMETRY = ("pipeline=geometry", "pipeline.scene_scale=1", "log.exclude=[CAM_*]")


def write_grid(path: Path, seed: int, names: tuple[str, ...] = ("semantics", "mask_lidar", "mask_camera")) -> None:
    rng = np.random.default_rng(seed)
    arrays = {n: rng.integers(0, 18 if n == "semantics" else 2, SHAPE).astype(np.uint8) for n in names}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


@pytest.fixture(scope="module")
def occupied(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All keyframes but the last have a grid."""
    root = Path(shutil.copytree(street, tmp_path_factory.mktemp("occupied") / "log"))
    found = tables(root)
    for i, (token, row) in enumerate(list(found["sample"].items())[:-1]):
        name = found["scene"][row["scene_token"]]["name"]
        write_grid(root / f"gts/{name}/{token}/labels.npz", i)
    return root


@pytest.fixture
def root(occupied: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(occupied, tmp_path / "log"))


def grid_file(root: Path, token: str) -> Path:
    return next(root.glob(f"gts/*/{token}/labels.npz"))


def test_a_grid_is_read(occupied: Path) -> None:
    log = fa.open_log("nuscenes", occupied)
    sample = log[1]
    grid = sample["occupancy"]
    assert isinstance(grid, fa.Occupancy) and grid.frame == "ref" and grid.capture_times.tolist() == [sample.ref.time]
    assert not grid.sources[0].is_decoded, "nothing is decoded early"
    found = np.load(grid_file(occupied, sample.id))
    for name, column in {"semantics": "label", "mask_lidar": "seen_by_lidar", "mask_camera": "seen_by_camera"}.items():
        assert np.array_equal(grid[column][0].numpy(), found[name])
    assert grid.label_names[grid.free] == "free" and grid.label_names[4] == "car"
    corner = np.array(grid.low) + np.array(SHAPE) * grid.cell
    assert np.allclose(grid.low, (-40, -40, -1)) and np.allclose(corner, (40, 40, 5.4))
    assert "occupancy" not in log[-1].streams


def test_untouched_grids_are_copied(occupied: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={occupied}", "pipeline=identity", "copies=2",
              "log.exclude=[CAM_*]")  # fmt: skip
    files = sorted(p.relative_to(out) for p in out.glob("gts/*/*/labels.npz"))
    assert len(files) == 8
    for path in files:
        assert (out / path).read_bytes() == grid_file(occupied, path.parts[2].removesuffix("__1")).read_bytes()
    assert not list(out.glob("fusion_aug/**/occupancy")), "the sidecar holds no second one"
    assert main(["check", str(out)]) == 0


@pytest.mark.parametrize("mirror", [0, 1])
def test_a_moved_grid_is_written_in_the_same_layout(occupied: Path, tmp_path: Path, mirror: int) -> None:
    out = run(
        tmp_path / "out", "log=nuscenes", f"log.root={occupied}", *GEOMETRY, f"pipeline.mirror={mirror}", "limit=2"
    )
    for line in manifest(out):
        found, source = np.load(grid_file(out, line["id"])), np.load(grid_file(occupied, line["id"]))
        assert sorted(found) == sorted(source) and all(found[n].dtype == np.uint8 for n in found)
        back = np.linalg.inv(drawn_motion(line))
        cells = np.random.default_rng(0).integers(0, SHAPE, (3000, 3))
        was = ((np.array([-40, -40, -1]) + (cells + 0.5) * 0.4) @ back[:3, :3].T + back[:3, 3] - [-40, -40, -1]) / 0.4
        at = np.floor(was + 1e-6).astype(int)
        inside = ((at >= 0) & (at < SHAPE)).all(1)
        assert 0.3 < inside.mean() < 1
        for name in source:
            expected = np.where(
                inside, source[name][tuple(at.clip(0, np.array(SHAPE) - 1).T)], 255 if name == "semantics" else 0
            )
            assert np.array_equal(found[name][tuple(cells.T)], expected), name
    assert {is_mirrored(line) for line in manifest(out)} == {mirror == 1}
    assert main(["check", str(out)]) == 0


def test_a_lost_grid_is_noticed(occupied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={occupied}", *GEOMETRY, "limit=2")
    next(out.glob("gts/*/*/labels.npz")).unlink()
    assert main(["check", str(out)]) == 1
    assert "occupancy" in capsys.readouterr().out


def test_what_a_grid_cannot_hold_is_refused_before_the_first_byte(occupied: Path, tmp_path: Path) -> None:
    words = r"ScaleScene\.scale: stream 'occupancy': a grid of cells holds no scale; use yaw"
    with pytest.raises(ConfigError, match=words):
        run(tmp_path / "out", "log=nuscenes", f"log.root={occupied}", "pipeline=geometry", "lossy=true")
    assert not (tmp_path / "out").exists()
    out = run(tmp_path / "out", "log=nuscenes", f"log.root={occupied}", "pipeline=geometry", "limit=1",
              "log.exclude=[occupancy,CAM_*]")  # fmt: skip
    assert not (out / "gts").exists()
    assert main(["check", str(out)]) == 0


def test_the_account_knows_grids(root: Path) -> None:
    write_grid(root / "gts/scene-0000/nobody/labels.npz", 0)
    (root / "gts/annotations.json").write_text("{}")
    (root / "gts/notes.bin").write_bytes(b"1")
    groups = account_of(fa.open_log("nuscenes", root)).files
    found = {g.name: g.count for g in groups if g.understood and g.name.startswith(("gts", "grids"))}
    assert found == {"gts/*/*/labels.npz": 4, "grids of no sample": 1, "gts/annotations.json": 1}
    assert [g.count for g in groups if not g.understood and "gts" in g.name] == [1], "notes.bin"
    chosen = account_of(fa.open_log("nuscenes", root, exclude=["occupancy"])).files
    assert {g.name: g.count for g in chosen if "grids" in g.name} == {"grids of occupancy": 4, "grids of no sample": 1}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"semantics": np.zeros((100, 100, 8), np.uint8)}, r"semantics: expected \(200, 200, 16\) whole numbers"),
        ({"semantics": np.zeros(SHAPE, np.float32)}, "semantics: expected .* got .* of float32"),
        ({"mask_lidar": np.zeros(SHAPE, np.uint8)}, "holds no 'semantics'"),
        ({"semantics": np.zeros(SHAPE, np.uint8), "flow": np.zeros(3)}, "holds 'flow', which is not understood"),
        ({"semantics": np.full(SHAPE, -3, np.int8)}, "torch.int8 cannot hold unknown=255"),
        ({"semantics": np.full(SHAPE, 300, np.uint16)}, "label: torch.uint16 cannot be resampled"),
    ],
)
def test_other_grids_are_refused(root: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    log = fa.open_log("nuscenes", root)
    path = grid_file(root, log.ids[0])
    np.savez_compressed(path, **arrays)
    with pytest.raises(DataError, match=f"labels.npz: {words}"):
        log[0]["occupancy"]["label"]


def test_a_grid_of_another_log_goes_to_the_sidecar(occupied: Path, tmp_path: Path) -> None:
    """Of the folder format exactly; from there into nuScenes, whose tables of an export have no Occ3D beside them."""
    source = fa.open_log("nuscenes", occupied, exclude=["CAM_*"])
    moved = fa.RotateScene(yaw_deg=20.0)(source[0])
    folder = fa.write_log([moved], tmp_path / "folder")
    back = folder[0]["occupancy"]
    assert (back.low, back.cell, back.free, back.label_names) == (
        moved["occupancy"].low, moved["occupancy"].cell, 17, moved["occupancy"].label_names,
    )  # fmt: skip
    for column in ("label", "seen_by_camera", "seen_by_lidar"):
        assert torch.equal(back[column], moved["occupancy"][column]) and back[column].dtype == torch.uint8
    exported = fa.write_log([folder[0]], tmp_path / "nuscenes", format="nuscenes")
    assert torch.equal(exported[0]["occupancy"]["label"], back["label"])
