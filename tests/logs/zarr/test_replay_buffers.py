"""Replay buffers in Zarr 2, of which ``tests/data`` holds two that zarr 2 made: PushT's layout, and UMI's in a zip."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.safe import zarr as safe_zarr

zarr = pytest.importorskip("zarr")
pytest.importorskip("imagecodecs")
DARKER = "+pipeline.transforms.dark={_target_: fusion_aug.Brightness, factor: 0.8}"
MIRROR = "+pipeline.transforms.mirror={_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
WARP = "+pipeline.transforms.warp={_target_: fusion_aug.TimeWarp, slowest: 0.5, fastest: 0.5, period: [2, 6]}"
PARTS = "log.parts={state: {other: [0, 5]}, action: {other: [0, 2]}}"
NO_KEYPOINTS = "log.exclude=[keypoint]"


@pytest.fixture
def pusht(tmp_path: Path) -> Path:
    return small_logs.zarr(tmp_path / "log")


@pytest.fixture
def umi(tmp_path: Path) -> Path:
    return small_logs.umi(tmp_path / "log")


def stored(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a store, by the package alone."""
    safe_zarr.codecs_are_there()
    store = zarr.storage.ZipStore(path, mode="r") if path.suffix == ".zip" else zarr.storage.LocalStore(path)
    group = zarr.open_group(store, mode="r", zarr_format=2)
    return {n: np.asarray(group[n][:]) for n in (*(f"data/{k}" for k in group["data"]), "meta/episode_ends")}


def test_what_is_read_is_what_lies_there(pusht: Path) -> None:
    data = stored(pusht / "pusht.zarr")
    for root in (pusht, pusht / "pusht.zarr"):
        log = fa.open_log("zarr", root)
        assert list(log.ids) == ["episode_000000", "episode_000001"]
        for sample, rows in zip(log, (slice(0, 8), slice(8, 14)), strict=True):
            for name in ("state", "action", "keypoint"):
                assert np.array_equal(sample[name]["value"].numpy(), data[f"data/{name}"][rows]), name
            levels = np.stack([sample["img"].image(k).numpy() for k in range(len(sample["img"]))])
            assert levels.dtype == np.uint8 and np.array_equal(levels, data["data/img"][rows])
    assert sample["img"].capture_times[1] == 100_000_000


def test_a_zip_with_jpeg_xl(umi: Path) -> None:
    data = stored(umi / "dataset.zarr.zip")
    sample = fa.open_log("zarr", umi, rate=60)[1]
    levels = np.stack([sample["camera0_rgb"].image(k).numpy() for k in range(6)])
    assert np.array_equal(levels, data["data/camera0_rgb"][8:])
    assert len(sample["robot0_eef_pos"]) == 6 and sample["camera0_rgb"].capture_times[3] == 50_000_000


@pytest.mark.parametrize("change", [MIRROR, WARP, DARKER], ids=["mirror", "warp", "light"])
def test_pipelines_hold_in_the_exact_format(pusht: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    words = [f"log.root={pusht}", f"out={out}", "pipeline=identity", change, PARTS, NO_KEYPOINTS, "output=folder"]
    assert main(["run", "log=zarr", *words]) == 0
    assert main(["check", str(out), PARTS, NO_KEYPOINTS]) == 0


def test_the_format_itself_is_refused_and_others_are_written(
    umi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "log=zarr", f"log.root={umi}", f"out={tmp_path / 'out'}", "pipeline=identity"]
    assert main(words) == 2
    assert "'zarr' are read here, not written" in (said := capsys.readouterr().err) and "output=folder" in said
    assert main([*words, "output=folder", "workers=1"]) == 0
    assert main(["check", str(tmp_path / "out")]) == 0


def test_a_codec_that_is_not_there_is_named(
    umi: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be read without it is read."""
    monkeypatch.setattr(safe_zarr, "codecs_are_there", lambda: False)
    log = fa.open_log("zarr", umi)
    assert set(log[0].streams) == {"robot0_eef_pos", "robot0_eef_rot_axis_angle", "robot0_gripper_width"}
    assert "unread camera0_rgb" in log.fields()["dataset.zarr.zip"]()
    assert "pip install '.[umi]'" in log.arrays["camera0_rgb"].problem
    assert main(["inspect", "log=zarr", f"log.root={umi}"]) == 0
    assert "camera0_rgb" in capsys.readouterr().out


# --- hostile ---------------------------------------------------------------------------------------------------------
def metadata(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(store: Path) -> None:
        path = store / name / ".zarray"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def chunk(name: str, data: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def change(store: Path) -> None:
        (store / name).write_bytes(data((store / name).read_bytes()))

    return change


UNREAD = {
    "pickles": metadata("data/state", filters=[{"id": "pickle"}]),
    "objects": metadata("data/state", dtype="|O"),
    "another codec": metadata("data/state", compressor={"id": "pickle"}),
    "other rows": metadata("data/state", shape=[15, 5]),
}


@pytest.mark.parametrize("name", UNREAD)
def test_arrays_that_are_not_understood_are_left_out_by_name(pusht: Path, name: str) -> None:
    UNREAD[name](pusht / "pusht.zarr")
    log = fa.open_log("zarr", pusht)
    assert "unread state" in log.fields()["pusht.zarr/.zgroup"]()
    assert "state" not in log[0].streams and "action" in log[0].streams


HUGE = (2**31).to_bytes(4, "little")
HOSTILE = {
    "a bomb of blosc": (chunk("data/state/0.0", lambda d: d[:4] + HUGE + d[8:]), "it declares 2,147,483,648"),
    "a chunk cut off": (chunk("data/state/0.0", lambda d: d[:6]), "state/0.0: is cut off"),
    "a chunk of nonsense": (chunk("data/img/0.0.0.0", lambda d: d[:16] + b"\xff" * 400), "img: is damaged"),
    "a row too few": (chunk("data/keypoint/0.0.0", lambda d: d[:-4]), "it declares 1,004"),
    "rows that nothing stores": (metadata("meta/episode_ends", shape=[2**34], chunks=[2**34]), "declares"),
    "chunks larger than memory": (metadata("data/state", chunks=[2**38, 5]), "declares"),
    "negative sizes": (metadata("data/state", shape=[-1, 5]), "are out of bounds"),
    "texts as sizes": (metadata("data/state", shape=["14", 5]), "expected as many whole numbers"),
    "no JSON": (chunk("data/state/.zarray", lambda d: b"{"), "is not the metadata of an array"),
    "ends that fall": (metadata("meta/episode_ends", shape=[3], fill_value=1), "expected numbers that grow"),
    "ends of floats": (metadata("meta/episode_ends", dtype="<f8"), "expected a list of whole numbers"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_stores_are_named(pusht: Path, name: str) -> None:
    change, said = HOSTILE[name]
    change(pusht / "pusht.zarr")
    with pytest.raises(fa.DataError, match=f"pusht.zarr.*{said}"):
        fa.open_log("zarr", pusht)[0]


@pytest.mark.parametrize(("change", "said"), [
    (lambda raw: b"\xff\x0a" + b"\xff" * 30, "a picture of .48, 64. was expected"),
    (lambda raw: raw[:40], "camera0_rgb: is damaged"),
    (lambda raw: b"", "got none"),
])  # fmt: skip
def test_hostile_pictures_in_a_zip(umi: Path, change: Callable[[bytes], bytes], said: str) -> None:
    path = umi / "dataset.zarr.zip"
    with zipfile.ZipFile(path) as old:
        held = {i.filename: old.read(i) for i in old.infolist()}
    held["data/camera0_rgb/0.0.0.0"] = change(held["data/camera0_rgb/0.0.0.0"])
    with zipfile.ZipFile(path, "w") as new:
        for name, data in held.items():
            new.writestr(name, data)
    with pytest.raises(fa.DataError, match=f"dataset.zarr.zip/data/.*{said}"):
        fa.open_log("zarr", umi)[0]["camera0_rgb"].image(0)


def test_a_zip_bomb_is_refused(umi: Path) -> None:
    with zipfile.ZipFile(umi / "dataset.zarr.zip", "a", zipfile.ZIP_DEFLATED) as file:
        for k in range(6):
            file.writestr(f"data/zeros/{k}", bytes(2**26))
    with pytest.raises(fa.DataError, match=r"dataset.zarr.zip: declares 40\d,\d+,\d+ bytes"):
        fa.open_log("zarr", umi)[0]


def test_two_stores_are_one_too_many(pusht: Path) -> None:
    shutil.copytree(pusht / "pusht.zarr", pusht / "other.zarr")
    with pytest.raises(fa.DataError, match=r"with one NAME\.zarr or NAME\.zarr\.zip; found 2"):
        fa.open_log("zarr", pusht)[0]
