"""Pictures, boxes and joints that cannot be what is declared of them."""

from __future__ import annotations

import json
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
    with pytest.raises(fa.DataError, match=rf"rig\.yaml: sensors\.\w+: .* {2 * width}x{2 * height}, .* {width}x{height}"):
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
    with pytest.raises(fa.DataError, match=r"topic /cam/image_raw: .*320x240, .*640x480"):
        _ = open_recording(recording(tmp_path / "bag/bag.mcap", extra))[0]


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
    with pytest.raises(fa.DataError, match=rf"sample_annotation\.json: box {token} .* size .*log\.bad_boxes=leave_out"):
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


def test_boxes_of_other_formats(tmp_path: Path) -> None:
    from pyarrow import feather

    root = small_logs.argoverse2(tmp_path / "log")
    path = next(root.rglob("annotations.feather"))
    table = feather.read_table(path)
    widths = table["width_m"].to_numpy().copy()
    widths[3] = 0.0
    feather.write_feather(table.set_column(table.column_names.index("width_m"), "width_m", [widths]), path)
    log = fa.open_log("argoverse2", root)
    with pytest.raises(fa.DataError, match=r"annotations\.feather: box 3 \(REGULAR_VEHICLE\)"):
        _ = log[0]
    assert len(log[1].boxes()["size"]) == small_logs.BOXES
    left = fa.open_log("argoverse2", root, bad_boxes="leave_out")[0]
    assert left.boxes().rows == small_logs.BOXES - 1
    with pytest.raises(fa.ConfigError, match=r"log\.bad_boxes: expected refuse or leave_out, got 'drop'"):
        fa.open_log("argoverse2", root, bad_boxes="drop")
