"""Pictures, boxes and joints that cannot be what is declared of them."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_infos
import small_logs
import torch
import yaml
from bags import T0, header, open_recording, recording, ros
from nuscenes_files import tables
from places import ARM

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.streams.source import Source

ORIENTATION = struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x112, 3, 1, 6, 0)  # one tag of TIFF: turned by 90 degrees


# --- pictures --------------------------------------------------------------------------------------------------------
def with_orientation(raw: bytes) -> bytes:
    """A JPEG or PNG with the EXIF tag "turned by 90 degrees"."""
    if raw[:2] == b"\xff\xd8":
        body = b"Exif\0\0" + ORIENTATION
        return raw[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + raw[2:]
    chunk = b"eXIf" + ORIENTATION
    return raw[:33] + struct.pack(">I", len(ORIENTATION)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + raw[33:]


@pytest.mark.quick
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pixels_are_read_as_they_are_stored(tmp_path: Path, suffix: str) -> None:
    raw = cv2.imencode(suffix, small_logs.picture(0)[..., ::-1])[1].tobytes()
    plain, tagged = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    plain.write_bytes(raw)
    tagged.write_bytes(with_orientation(raw))
    turned = cv2.imread(str(tagged), cv2.IMREAD_COLOR)
    assert turned.shape[:2] == small_logs.SIZE[::-1] or suffix == ".png", "the tag means nothing to OpenCV"
    assert torch.equal(Source(tagged, "image").value, Source(plain, "image").value)
    assert Source(tagged, "image", options={"size": small_logs.SIZE}).value.shape[:2] == small_logs.SIZE
    with pytest.raises(fa.DataError, match=r"calibrated for 96x320, which looks turned.*EXIF"):
        _ = Source(tagged, "image", options={"size": small_logs.SIZE[::-1]}).value


def nuscenes(street: Path, root: Path, table: str, change: Callable[[list[dict]], Any]) -> Path:
    """A copy of the log with a table changed."""
    shutil.copytree(street, root)
    path = root / f"v1.0-mini/{table}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))
    return root


def test_two_sizes_of_one_camera(street: Path, tmp_path: Path) -> None:
    def shrink(rows: list[dict]) -> None:
        last = [r for r in rows if "CAM_FRONT/" in r["filename"]][-1]
        last.update(height=90, width=160)

    log = fa.open_log("nuscenes", nuscenes(street, tmp_path / "log", "sample_data", shrink))
    assert "CAM_FRONT" in log[0].streams
    with pytest.raises(fa.DataError, match=r"sample_data\.json: \w+: height, width: .*160x90, others .*320x180"):
        _ = log[len(log) - 1]


def test_an_info_file_for_pictures_of_another_size(tmp_path: Path) -> None:
    def halved(content: dict) -> None:
        camera = content["data_list"][0]["images"]["CAM_FRONT"]
        camera.update(height=small_infos.HEIGHT // 2, width=small_infos.WIDTH // 2)

    small_infos.write_small(tmp_path / "log", change=halved)
    with pytest.raises(fa.DataError, match=r"images\.CAM_FRONT: height, width: 40x30 .* 80x60; cam2img"):
        _ = fa.open_log("mmdet3d", tmp_path / "log")[0]


def test_a_rig_file_for_pictures_of_another_size(tmp_path: Path) -> None:
    rig = yaml.safe_load((ARM / "lerobot_rig.yaml").read_text())
    camera = next(s for s in rig["sensors"].values() if s["kind"] == "camera")
    height, width = camera["size"]
    camera["size"] = camera["camera"]["size"] = [2 * height, 2 * width]
    rig["urdf"] = str(ARM / "arm.urdf")
    for sensor in rig["sensors"].values():
        if isinstance(sensor.get("background"), str):
            shutil.copy(ARM / sensor["background"], tmp_path)
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(rig))
    sizes = rf"{2 * width}x{2 * height}, .* {width}x{height}"
    with pytest.raises(fa.DataError, match=rf"rig\.yaml: sensors\.\w+: .* {sizes}"):
        _ = fa.open_log("lerobot", ARM / "lerobot", rig=str(tmp_path / "rig.yaml"))[0]


def test_a_camera_info_of_another_size(tmp_path: Path) -> None:
    def info(time: int) -> Any:
        zero = ros("sensor_msgs/RegionOfInterest")(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        K = np.array([300.0, 0, 320, 0, 300, 240, 0, 0, 1])
        return ros("sensor_msgs/CameraInfo")(
            header=header(time, "hand"), height=480, width=640, distortion_model="plumb_bob", d=np.zeros(5), k=K,
            r=np.eye(3).reshape(-1), p=np.insert(K, [3, 6, 9], 0), binning_x=0, binning_y=0, roi=zero,
        )  # fmt: skip

    picture = ros("sensor_msgs/Image")(
        header=header(T0, "hand"), height=240, width=320, encoding="rgb8", is_bigendian=0, step=960,
        data=np.zeros(240 * 960, np.uint8),
    )  # fmt: skip
    extra = [("/cam/image_raw", "sensor_msgs/msg/Image", picture, T0),
             ("/cam/camera_info", "sensor_msgs/msg/CameraInfo", info(T0), T0)]  # fmt: skip
    sample = open_recording(recording(tmp_path / "bag/bag.mcap", extra))[0]  # it can be copied
    with pytest.raises(fa.FusionAugError, match=r"topic /cam/camera_info .*640x480, .*320x240"):
        fa.FlipImage()(sample)


def test_pictures_of_a_sample_made_by_hand(street: Path) -> None:
    sample = fa.open_log("nuscenes", street)[0]
    small = replace(sample["CAM_FRONT"], items=(torch.zeros(90, 160, 3, dtype=torch.uint8),))
    made = sample.with_streams({**sample.streams, "CAM_FRONT": small})
    for transform in (fa.FlipImage(), fa.RotateScene(yaw_deg=10), fa.Brightness(factor=0.5)):
        with pytest.raises(fa.DataError, match=r"'CAM_FRONT': the picture of item 0 is 160x90, .*320x180"):
            transform(made, seed=0)
    halved = fa.Resize(size=(90, 160))(sample, seed=0).realized()
    assert fa.FlipImage()(halved, seed=0)["CAM_FRONT"].images.shape[1:3] == (90, 160)  # type: ignore[attr-defined]


# --- boxes -----------------------------------------------------------------------------------------------------------
WRONG = {"zero": [0.0, 4.0, 1.5], "negative": [2.0, -4.0, 1.5], "nan": [2.0, 4.0, float("nan")]}


@pytest.mark.parametrize("kind", WRONG)
def test_a_box_that_cannot_be(street: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture) -> None:
    """It is refused by file and record; or its sample is skipped; or it is left out and counted."""
    bad: list[dict] = []

    def change(rows: list[dict]) -> None:
        bad.append(rows[0])
        rows[0]["size"] = WRONG[kind]

    root = nuscenes(street, tmp_path / "log", "sample_annotation", change)
    token, sample_id = bad[0]["token"], bad[0]["sample_token"]
    with pytest.raises(fa.DataError, match=rf"sample_annotation\.json: {token}: size: .*log\.bad_boxes=leave_out"):
        fa.open_log("nuscenes", root).read(sample_id)
    words = ["run", "log=nuscenes", f"log.root={root}", "pipeline=identity"]
    assert main([*words, f"out={tmp_path / 'a'}"]) == 2 and token in capsys.readouterr().err
    assert main([*words, f"out={tmp_path / 'b'}", "on_error=skip"]) == 0
    assert sample_id not in tables(tmp_path / "b")["sample"] and len(tables(tmp_path / "b")["sample"]) == 4
    capsys.readouterr()
    assert main([*words, f"out={tmp_path / 'c'}", "log.bad_boxes=leave_out"]) == 0
    written = tables(tmp_path / "c")
    assert token not in written["sample_annotation"] and sample_id in written["sample"]
    assert len(written["sample_annotation"]) == len(tables(root)["sample_annotation"]) - 1
    line = json.loads((tmp_path / "c/manifest.jsonl").read_text().splitlines()[1])
    assert line["account"]["boxes"]["lost"] == {"boxes that cannot be (log.bad_boxes)": 1}


def test_a_box_of_an_info_file(tmp_path: Path) -> None:
    def flat(content: dict) -> None:
        content["data_list"][0]["instances"][1]["bbox_3d"][5] = 0.0

    root = small_infos.write_small(tmp_path / "log", change=flat)
    with pytest.raises(fa.DataError, match=r"small_infos\.pkl: sample \w+: box 1: size: 4 x 1.8 x 0 m"):
        _ = fa.open_log("mmdet3d", root)[0]
    words = ["run", "log=mmdet3d", f"log.root={root}", "log.bad_boxes=leave_out", "pipeline=geometry"]
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0
    written = pickle.loads(next((tmp_path / "out").glob("*.pkl")).read_bytes())
    assert len(written["data_list"][0]["instances"]) == 1


def test_boxes_of_other_formats(tmp_path: Path) -> None:
    from pyarrow import feather

    root = small_logs.argoverse2(tmp_path / "log")
    path = next(root.rglob("annotations.feather"))
    table = feather.read_table(path)
    widths = table["width_m"].to_numpy().copy()
    widths[3] = 0.0
    feather.write_feather(table.set_column(table.column_names.index("width_m"), "width_m", [widths]), path)
    log = fa.open_log("argoverse2", root)
    with pytest.raises(fa.DataError, match=r"annotations\.feather: row 3: size: 4 x 0 x 1.5 m .* REGULAR_VEHICLE"):
        _ = log[0]
    assert len(log[1].boxes()["size"]) == small_logs.BOXES
    left = fa.open_log("argoverse2", root, bad_boxes="leave_out")[0]
    assert left.boxes().rows == small_logs.BOXES - 1
    words = ["run", "log=argoverse2", f"log.root={root}", "log.bad_boxes=leave_out", "pipeline=identity"]
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0
    written = feather.read_table(next((tmp_path / "out").rglob("annotations.feather")))
    assert len(written) == len(table) - 1 and written["width_m"].to_numpy().min() > 0
    with pytest.raises(fa.ConfigError, match=r"log\.bad_boxes: expected refuse or leave_out, got 'drop'"):
        fa.open_log("argoverse2", root, bad_boxes="drop")


def test_a_line_of_kitti_that_is_left_out(tmp_path: Path) -> None:
    """The line goes, and so does what it says of the picture; its neighbours stay as they are."""
    root = small_logs.kitti(tmp_path / "log", 1)
    path = root / "training/label_2/000000.txt"
    lines = path.read_text().splitlines()
    words = lines[2].split()
    words[9] = "0"
    path.write_text("\n".join([*lines[:2], " ".join(words), *lines[3:]]) + "\n")
    with pytest.raises(fa.DataError, match=r"000000\.txt: line 3: size: 4 x 0 x 1.5 m"):
        _ = fa.open_log("kitti", root)[0]
    words = ["run", "log=kitti", f"log.root={root}", "log.bad_boxes=leave_out", "pipeline=identity"]
    assert main([*words, f"out={tmp_path / 'out'}"]) == 0
    written = (tmp_path / "out/training/label_2/000000.txt").read_text().splitlines()
    assert written == [*lines[:2], *lines[3:]]
    assert main(["check", str(tmp_path / "out")]) == 0
