"""ALOHA HDF5, of which ``tests/data`` holds episodes that h5py made as ACT and Mobile ALOHA do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from places import DATA

import fusion_aug as fa
from fusion_aug.cli import main

h5py = pytest.importorskip("h5py")
FLIP = "+pipeline.transforms.flip={_target_: fusion_aug.FlipImage}"
DARKER = "+pipeline.transforms.dark={_target_: fusion_aug.Brightness, factor: 0.8}"
WARP = "+pipeline.transforms.warp={_target_: fusion_aug.TimeWarp, slowest: 0.5, fastest: 0.5, period: [2, 6]}"
NO_BASE = "log.exclude=[base_action]"
HIGH = "observations/images/cam_high"


@pytest.fixture(params=["sim", "mobile"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "aloha" / request.param, tmp_path / "log"))


@pytest.fixture
def mobile(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "aloha" / "mobile", tmp_path / "log"))


def run(root: Path, out: Path, *words: str) -> Path:
    assert main(["run", "log=aloha", f"log.root={root}", f"out={out}", *words]) == 0
    return out


def contents(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Datasets of a file, and all of its attributes."""
    data: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        attributes = dict(file.attrs)

        def look(name: str, item: Any) -> None:
            attributes.update({f"{name}@{n}": v for n, v in item.attrs.items()})
            if isinstance(item, h5py.Dataset):
                data[name] = item[...]

        file.visititems(look)
    return data, attributes


def pictures(rows: np.ndarray) -> np.ndarray:
    """Pictures (n, H, W, 3) RGB of a dataset, raw or compressed."""
    return rows if rows.ndim == 4 else np.stack([cv2.imdecode(r, cv2.IMREAD_COLOR_RGB) for r in rows])


def test_what_is_read_is_what_lies_there(root: Path) -> None:
    sample, (data, _) = fa.open_log("aloha", root)[0], contents(root / "episode_0.hdf5")
    joints = sample["qpos"]
    for column, name in (("position", "qpos"), ("velocity", "qvel"), ("effort", "effort")):
        assert np.array_equal(joints[column].numpy(), data[f"observations/{name}"])
    assert joints.names[0] == "left_waist" and joints.names[13] == "right_gripper"
    assert np.array_equal(sample["action"]["joint_position"].numpy(), data["action"])
    assert joints.capture_times[1] == 20_000_000, "50 frames a second, if nothing is said"
    for name in (n for n in data if "/images/" in n):
        stored = pictures(data[name])
        assert all(np.array_equal(sample[Path(name).name].image(k).numpy(), stored[k]) for k in range(len(stored)))


def test_identity_copies_every_byte(root: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path / "out", "pipeline=identity")
    assert [p.name for p in out.glob("*.hdf5")] == [p.name for p in root.glob("*.hdf5")]
    assert all((out / p.name).read_bytes() == p.read_bytes() for p in root.glob("*.hdf5"))
    assert main(["check", str(out)]) == 0


def test_light_changes_pictures_alone(root: Path, tmp_path: Path) -> None:
    with h5py.File(root / "episode_0.hdf5", "a") as file:
        file["observations/qpos"].attrs["my_unit"] = np.float32(2)
    out = run(root, tmp_path / "out", "pipeline=identity", DARKER)
    (old, was), (new, now) = (contents(r / "episode_0.hdf5") for r in (root, out))
    assert set(old) == set(new) and {n: (v, type(v)) for n, v in was.items()} == {
        n: (v, type(v)) for n, v in now.items()
    }
    for name in old:
        if "/images/" in name:
            assert np.abs(pictures(new[name]) - 0.8 * pictures(old[name]).astype(float)).mean() < 2, name
        elif name != "compress_len":
            assert np.array_equal(new[name], old[name]) and new[name].dtype == old[name].dtype, name
    with h5py.File(out / "episode_0.hdf5") as file:
        cameras = file["observations/images"]
        assert all(cameras[n].chunks == (1, *cameras[n].shape[1:]) for n in cameras)
    assert main(["check", str(out)]) == 0


def test_lengths_of_compressed_pictures_are_counted_again(mobile: Path, tmp_path: Path) -> None:
    """Of the rows of cameras in the order of the file, as loaders read them."""
    out = run(mobile, tmp_path / "out", "pipeline=identity", DARKER[:-1] + ", cameras: [cam_high]}")
    (old, _), (new, _) = (contents(r / "episode_1.hdf5") for r in (mobile, out))
    lengths = new["compress_len"]
    assert lengths.dtype == old["compress_len"].dtype and np.array_equal(lengths[1:], old["compress_len"][1:])
    for k, name in enumerate(("cam_high", "cam_left_wrist", "cam_right_wrist")):
        for row, length in zip(new[f"observations/images/{name}"], lengths[k].astype(int), strict=True):
            assert not row[length:].any() and row[:length].tobytes().endswith(b"\xff\xd9")
    other = "observations/images/cam_left_wrist"
    assert np.array_equal(new[other], old[other]) and not np.array_equal(new[HIGH], old[HIGH])


def test_a_flip_moves_every_camera(root: Path, tmp_path: Path) -> None:
    out = run(root, tmp_path / "out", "pipeline=identity", FLIP)
    (old, _), (new, _) = (contents(r / "episode_0.hdf5") for r in (root, out))
    for name in (n for n in old if "/images/" in n):
        off = np.abs(pictures(new[name]).astype(int) - pictures(old[name])[:, :, ::-1])
        assert off.max() == 0 if old[name].ndim == 4 else off.mean() < 2, name
    assert main(["check", str(out)]) == 0


def test_a_warp_resamples_every_dataset(mobile: Path, tmp_path: Path) -> None:
    out = run(mobile, tmp_path / "out", "pipeline=identity", WARP, NO_BASE)
    (old, _), (new, _) = (contents(r / "episode_0.hdf5") for r in (mobile, out))
    assert {len(v) for n, v in new.items() if n != "compress_len"} == {15} and new["compress_len"].shape == (3, 15)
    assert "base_action" not in new
    at, before = np.arange(15) / 2, np.arange(8)
    for j in (0, 9):
        knots = np.interp(at, before, old["observations/qpos"][:, j])
        np.testing.assert_allclose(new["observations/qpos"][:, j], knots, atol=5e-3)
        slower = np.interp(at, before, old["observations/qvel"][:, j]) / 2
        np.testing.assert_allclose(new["observations/qvel"][:, j], slower, atol=5e-3)
    assert main(["check", str(out), NO_BASE]) == 0


def test_copies_get_the_next_numbers(mobile: Path, tmp_path: Path) -> None:
    out = run(mobile, tmp_path / "out", "pipeline=identity", "copies=2", "log.select=episode_1")
    assert sorted(p.name for p in out.glob("*.hdf5")) == ["episode_1.hdf5", "episode_2.hdf5"]
    assert main(["check", str(out)]) == 0


def test_an_excluded_camera_takes_its_lengths_along(mobile: Path, tmp_path: Path) -> None:
    out = run(mobile, tmp_path / "out", "pipeline=identity", f"log.exclude=[{HIGH}]")
    (old, _), (new, _) = (contents(r / "episode_0.hdf5") for r in (mobile, out))
    assert HIGH not in new and np.array_equal(new["compress_len"], old["compress_len"][1:])
    assert main(["check", str(out)]) == 0


def test_red_and_blue_exchanged(mobile: Path, tmp_path: Path) -> None:
    plain, swapped = (fa.open_log("aloha", mobile, swapped=s)[0]["cam_high"].image(0).numpy() for s in (False, True))
    assert np.array_equal(swapped, plain[..., ::-1])
    out = run(mobile, tmp_path / "out", "pipeline=identity", DARKER, "log.swapped=true")
    old, new = (pictures(contents(r / "episode_0.hdf5")[0][HIGH]) for r in (mobile, out))
    assert np.abs(new - 0.8 * old.astype(float)).mean() < 2


def test_what_nothing_reads_is_copied_or_refused(
    mobile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in mobile.glob("*.hdf5"):
        with h5py.File(path, "a") as file:
            file["my_notes"] = np.zeros(3)
    out = run(mobile, tmp_path / "out", "pipeline=identity")
    assert "my_notes" in contents(out / "episode_0.hdf5")[0]
    words = ["run", "log=aloha", f"log.root={mobile}", f"out={tmp_path / 'dark'}", "pipeline=identity", DARKER]
    capsys.readouterr()
    assert main(words) == 2
    assert "my_notes" in (said := capsys.readouterr().err) and "log.exclude=[my_notes]" in said
    assert main([*words, "log.exclude=[my_notes]"]) == 0


def cut(file: Any) -> None:
    del file["observations/qvel"]
    file["observations/qvel"] = np.zeros((3, 14))


def no_jpeg(file: Any) -> None:
    file[HIGH][0] = 0


def no_action(file: Any) -> None:
    del file["action"]


@pytest.mark.parametrize(("change", "said"), [
    (cut, "observations/qvel: has 3 rows, expected 8"),
    (no_jpeg, f"{HIGH}: row 0: is neither a PNG nor a JPEG"),
    (no_action, "action"),
])  # fmt: skip
def test_what_is_wrong_is_named(mobile: Path, change: Any, said: str) -> None:
    with h5py.File(mobile / "episode_1.hdf5", "a") as file:
        change(file)
    with pytest.raises(fa.DataError, match=f"episode_1.hdf5: .*{said}"):
        fa.open_log("aloha", mobile)[1]
