"""Files of kinds that nothing knows, and fields, columns, topics and attributes of the same, planted in small logs."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np


def in_kitti(root: Path) -> list[str]:
    with (root / "training/calib/000000.txt").open("a") as file:
        file.write("Tr_thermal_to_cam: 1 0 0 0 0 1 0 0 0 0 1 0\n")
    return ["Tr_thermal_to_cam"]


def in_semantickitti(root: Path) -> list[str]:
    with (root / "sequences/00/calib.txt").open("a") as file:
        file.write("Tr_thermal: 1 0 0 0 0 1 0 0 0 0 1 0\n")
    return ["Tr_thermal"]


def in_nuscenes(root: Path) -> list[str]:
    for table, field in (("sample_annotation", "my_mood"), ("sample", "my_road")):
        path = root / f"v1.0-mini/{table}.json"
        rows = json.loads(path.read_text())
        rows[-1][field] = 1
        path.write_text(json.dumps(rows))
    return ["my_mood", "my_road"]


def in_argoverse2(root: Path) -> list[str]:
    from pyarrow import feather

    cloud = next(root.glob("val/*/sensors/lidar/*.feather"))
    for path, name in ((cloud, "my_echo"), (root / "val/log-a/annotations.feather", "my_mood")):
        table = feather.read_table(path)
        feather.write_feather(table.append_column(name, [np.zeros(len(table))]), path)
    return ["my_echo", "my_mood"]


def in_mmdet3d(root: Path) -> list[str]:
    path = next(root.glob("*.pkl"))
    data = pickle.loads(path.read_bytes())
    data["data_list"][0]["my_road"] = 1
    data["data_list"][0]["instances"][0]["my_mood"] = 1
    path.write_bytes(pickle.dumps(data))
    return ["my_road", "my_mood"]


def in_mcap(root: Path) -> list[str]:
    """Another recording in place of the first, with a topic of a type of its own."""
    from mcap.writer import Writer

    from fusion_aug.logs.mcap.file import McapFile

    source = next(root.glob("*.mcap"))
    messages = list(McapFile(source).messages(topics=["/joint_states", "/tf_static"]))
    with (root / "second.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        ids: dict[str, int] = {}
        for m in messages[:50]:
            if m.topic not in ids:
                schema = writer.register_schema(m.kind, "ros2msg", m.definition.encode())
                ids[m.topic] = writer.register_channel(m.topic, "cdr", schema)
            writer.add_message(ids[m.topic], m.log_time, m.data, m.publish_time)
        schema = writer.register_schema("my_msgs/msg/Mood", "ros2msg", b"uint8 mood")
        mine = writer.register_channel("/my_mood", "cdr", schema)
        writer.add_message(mine, messages[0].log_time, b"\0\1\0\0\1", messages[0].log_time)
        writer.finish()
    source.unlink()
    (root / "metadata.yaml").unlink()
    return ["/my_mood"]


def in_lerobot(root: Path) -> list[str]:
    import pyarrow.parquet as pq

    path = next(root.glob("data/**/*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.append_column("my_mood", [np.zeros(len(table))]), path)
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | {"my_lab": "east"}))
    tasks = pq.read_table(root / "meta/tasks.parquet")
    pq.write_table(tasks.append_column("my_words", [["x"] * len(tasks)]), root / "meta/tasks.parquet")
    return ["my_mood", "my_lab", "my_words"]


def in_robomimic(root: Path) -> list[str]:
    import h5py

    with h5py.File(next(root.glob("*.hdf5")), "a") as file:
        file["my_notes"] = np.zeros(3)
        file["data/demo_0/obs/gripper"].attrs["my_unit"] = "mm"
    return ["my_notes", "my_unit"]


def in_aloha(root: Path) -> list[str]:
    import h5py

    with h5py.File(next(root.glob("*.hdf5")), "a") as file:
        file["observations/qpos"].attrs["my_unit"] = "rad"
    return ["my_unit"]


def in_rosbag(root: Path) -> list[str]:
    import sqlite3

    with sqlite3.connect(next(root.rglob("*.db3"))) as base:
        base.execute("ALTER TABLE messages ADD COLUMN my_road INTEGER")
        base.execute("CREATE TABLE my_mood(x INTEGER)")
    base.close()
    return ["my_road", "my_mood"]


def in_folder(root: Path) -> list[str]:
    path = next(root.glob("samples/*/sample.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"my_road": 1}))
    arrays = path.parent / "streams/boxes/arrays.npz"
    with np.load(arrays) as data:
        columns = dict(data)
    columns["values/my_mood"] = np.zeros(len(columns["values/pose"]))
    with zipfile.ZipFile(arrays, "w") as archive:
        for name, array in columns.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array)
    return ["my_road", "my_mood"]


# format -> function that plants in a log of it and returns the names of what nothing knows
PLANTS = {
    "kitti": in_kitti, "nuscenes": in_nuscenes, "argoverse2": in_argoverse2, "mmdet3d": in_mmdet3d,
    "mcap": in_mcap, "lerobot": in_lerobot, "robomimic": in_robomimic, "folder": in_folder,
    "semantickitti": in_semantickitti, "aloha": in_aloha, "rosbag": in_rosbag,
}  # fmt: skip
