"""Runs over small logs of every format, checks of them, and things that are lost from what they wrote."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from places import ARM
from small_logs import copy_mcap

from fusion_aug.cli import main

DRIVING, ROBOTS = ("argoverse2", "folder", "kitti", "mmdet3d", "nuscenes"), ("lerobot", "mcap", "robomimic")
LOST = 10


def first(out: Path, pattern: str) -> Path:
    return sorted(out.glob(pattern))[0]


def unlink(pattern: str) -> Callable[[Path], None]:
    return lambda out: first(out, pattern).unlink()


def kitti_boxes(out: Path) -> None:
    path = first(out, "training/label_2/*.txt")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[LOST:]))


def nuscenes_boxes(out: Path) -> None:
    path = first(out, "v1.0-*/sample_annotation.json")
    path.write_text(json.dumps(json.loads(path.read_text())[LOST:]))


def argoverse_boxes(out: Path) -> None:
    from pyarrow import feather

    path = first(out, "val/*/annotations.feather")
    feather.write_feather(feather.read_table(path).slice(LOST), path)


def mmdet3d_boxes(out: Path) -> None:
    path = first(out, "*.pkl")
    data = pickle.loads(path.read_bytes())
    most = max(data["data_list"], key=lambda row: len(row["instances"]))
    del most["instances"][:LOST]
    path.write_bytes(pickle.dumps(data))


def npz_rows(folder: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        path = first(out, f"samples/**/streams/{folder}/arrays.npz")
        with np.load(path) as data:
            arrays = {k: v[LOST:] if k.startswith("values/") else v for k, v in data.items()}
        arrays["fields/offsets"] = np.maximum(arrays["fields/offsets"] - LOST, 0)
        np.savez(path, **arrays)

    return change


def lerobot_picture(out: Path) -> None:
    import av

    path = first(out, "videos/*front/**/*.mp4")
    with av.open(str(path)) as old, av.open(str(out / "cut.mp4"), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream, opaque=True)
        for packet in [p for p in old.demux(stream) if p.pts is not None][:-1]:
            packet.stream = copy
            new.mux(packet)
    (out / "cut.mp4").replace(path)


def mcap_message(topic: str) -> Callable[[Path], None]:
    """The first message of a topic."""

    def change(out: Path) -> None:
        path, numbers = first(out, "**/*.mcap"), count()
        copy_mcap(path, out / "cut.mcap", lambda name, time: name != topic or next(numbers) > 0)
        (out / "cut.mcap").replace(path)

    return change


def robomimic_rows(name: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        import h5py

        with h5py.File(first(out, "*.hdf5"), "a") as file:
            rows = file[f"data/demo_0/{name}"][:-1]
            del file[f"data/demo_0/{name}"]
            file[f"data/demo_0/{name}"] = rows

    return change


PLANTED = {
    ("kitti", "boxes", "boxes"): kitti_boxes,
    ("kitti", "pictures", "image_2"): unlink("training/image_2/*.png"),
    ("kitti", "sweeps", "velodyne"): unlink("training/velodyne/*.bin"),
    ("semantickitti", "pictures", "image_2"): unlink("sequences/00/image_2/*.png"),
    ("semantickitti", "sweeps", "velodyne"): unlink("sequences/00/velodyne/*.bin"),
    ("semantickitti", "poses", "ego"): unlink("sequences/00/poses.txt"),
    ("semantickitti", "labels", "velodyne"): unlink("sequences/00/labels/*.label"),
    ("nuscenes", "boxes", "boxes"): nuscenes_boxes,
    ("nuscenes", "pictures", "CAM_BACK"): unlink("samples/CAM_BACK/*.jpg"),
    ("nuscenes", "sweeps", "LIDAR_TOP"): unlink("sweeps/LIDAR_TOP/*.bin"),
    ("argoverse2", "boxes", "boxes"): argoverse_boxes,
    ("argoverse2", "pictures", "ring_front_center"): unlink("val/*/sensors/cameras/ring_front_center/*.jpg"),
    ("argoverse2", "sweeps", "lidar"): unlink("val/*/sensors/lidar/*.feather"),
    ("mmdet3d", "boxes", "boxes"): mmdet3d_boxes,
    ("mmdet3d", "pictures", "CAM_BACK"): unlink("samples/CAM_BACK/*.jpg"),
    ("mmdet3d", "sweeps", "lidar"): unlink("samples/LIDAR_TOP/*.bin"),
    ("folder", "boxes", "boxes"): npz_rows("boxes"),
    ("folder", "points", "velodyne"): npz_rows("velodyne"),
    ("folder", "pictures", "image_2"): unlink("samples/**/streams/image_2/*.png"),
    ("mcap", "pictures", "front"): mcap_message("/front/image/compressed"),
    ("mcap", "messages", "joint_states"): mcap_message("/joint_states"),
    ("mcap", "calibrations", "tf_static"): mcap_message("/tf_static"),
    ("lerobot", "pictures", "front"): lerobot_picture,
    ("robomimic", "pictures", "front"): robomimic_rows("obs/front_image"),
    ("robomimic", "frames", "gripper"): robomimic_rows("obs/gripper"),
}


def run(logs: Path, kind: str, out: Path, *words: str) -> int:
    """A run over the small log of a format; an identity of two samples where no words are given."""
    rig = [f"log.rig={ARM / f'{kind}_rig.yaml'}"] if kind in ("mcap", "lerobot") else []
    words = words or ("pipeline=identity", "limit=2")
    return main(["run", f"log={kind}", f"log.root={logs / kind}", *rig, f"out={out}", *words])


def failed(out: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Failed lines of a check; it exits with 1 where there are any."""
    capsys.readouterr()
    code = main(["check", str(out)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert code == (1 if lines else 0)
    return lines


def names(lines: list[str], what: str, stream: str = "") -> bool:
    """Whether a line is of a measurement and a stream."""
    return any(line.startswith(what) and f" {stream}" in line for line in lines)
