"""A small log of every format, made with NumPy, JSON and the libraries of the formats alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from infos import write_infos
from places import ARM, DATA

SIZE = (96, 320)  # height, width of pictures
K = np.array([[160.0, 0, 159.5], [0, 160, 47.5], [0, 0, 1]])
R_CAM_BODY = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])  # camera axes of x forward, y left, z up
BOXES = 14


def picture(seed: int) -> np.ndarray:
    """Coloured blocks (H, W, 3) uint8."""
    small = np.random.default_rng(seed).integers(30, 226, (SIZE[0] // 8, SIZE[1] // 8, 3), np.uint8)
    return cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_NEAREST)


def cloud(seed: int, count: int = 600) -> np.ndarray:
    """Points ahead (n, 4) float32: x y z, and an intensity within 0 to 1."""
    return np.random.default_rng(seed).uniform([5, -8, -1.5, 0], [40, 8, 1, 1], (count, 4)).astype(np.float32)


def centres(seed: int) -> np.ndarray:
    """Centres of boxes (n, 3) in a vehicle's frame: a row of cars ahead, all of them in the picture."""
    rng = np.random.default_rng(seed + 100)
    ahead = np.linspace(12, 38, BOXES)
    return np.stack([ahead, rng.uniform(-0.4, 0.4, BOXES) * ahead, np.full(BOXES, -0.7)], axis=1)


def kitti(root: Path, frames: int = 2) -> Path:
    """An object-detection tree."""
    for name in ("calib", "velodyne", "image_2", "image_3", "label_2"):
        (root / "training" / name).mkdir(parents=True)
    P = np.hstack([K, np.zeros((3, 1))])
    right = P.copy()
    right[0, 3] = -160 * 0.5
    rows = {"P0": P, "P1": right, "P2": P, "P3": right, "R0_rect": np.eye(3)}
    rows |= {name: np.hstack([R, np.zeros((3, 1))]) for name, R in
             (("Tr_velo_to_cam", R_CAM_BODY), ("Tr_imu_to_velo", np.eye(3)))}  # fmt: skip
    calib = "".join(f"{n}: {' '.join(f'{v:.12e}' for v in m.reshape(-1))}\n" for n, m in rows.items())
    for i in range(frames):
        part, stem = root / "training", f"{i:06d}"
        (part / "calib" / f"{stem}.txt").write_text(calib)
        cloud(i).tofile(part / "velodyne" / f"{stem}.bin")
        for k, name in enumerate(("image_2", "image_3")):
            cv2.imwrite(str(part / name / f"{stem}.png"), picture(2 * i + k))
        lines = [kitti_line(c) for c in centres(i)] + ["DontCare -1 -1 -10 5 5 60 40 -1 -1 -1 -1000 -1000 -1000 -10"]
        (part / "label_2" / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    return root


def kitti_line(centre: np.ndarray, size: tuple[float, float, float] = (4.0, 1.6, 1.5)) -> str:
    """Label of a car that heads away from the camera."""
    corners = centre + np.array([[a, b, c] for a in (-2, 2) for b in (-0.8, 0.8) for c in (-0.75, 0.75)])
    u = (corners @ R_CAM_BODY.T) @ K.T
    u = u[:, :2] / u[:, 2:]
    box = np.concatenate([u.min(0), u.max(0)])
    x, y, z = R_CAM_BODY @ centre + [0, size[2] / 2, 0]
    numbers = [*box, size[2], size[1], size[0], x, y, z, -np.pi / 2]
    return f"Car 0 0 {-np.pi / 2 - np.arctan2(x, z):.4f} " + " ".join(f"{v:.4f}" for v in numbers)


def semantickitti(root: Path, scans: int = 3) -> Path:
    """A sequence with labels, poses, times and two cameras."""
    from semantickitti_tree import write_sequence

    write_sequence(root / "sequences/00", scans=range(scans))
    return root


def argoverse2(root: Path, sweeps: int = 3) -> Path:
    """A split with one log of two cameras."""
    from pyarrow import Table, feather

    folder, stamps = root / "val" / "log-a", [1_000_000_000 + 100_000_000 * i for i in range(sweeps)]
    cameras = ("ring_front_center", "ring_side_left", "ring_side_right")
    for name in ("lidar", *(f"cameras/{c}" for c in cameras)):
        (folder / "sensors" / name).mkdir(parents=True)
    (folder / "calibration").mkdir()
    (folder / "map").mkdir()
    (folder / "map" / "log_map_archive_log-a.json").write_text('{"pedestrian_crossings": {}, "lane_segments": {}}')

    def write(path: Path, **columns: object) -> None:
        feather.write_feather(Table.from_pydict(columns), path)

    boxes: dict[str, list] = {n: [] for n in ("timestamp_ns", "track_uuid", "category", "tx_m", "ty_m", "tz_m")}
    for i, stamp in enumerate(stamps):
        points = cloud(i)
        write(
            folder / "sensors" / "lidar" / f"{stamp}.feather", **{a: points[:, k] for k, a in enumerate("xyz")},
            intensity=(points[:, 3] * 255).astype(np.uint8), laser_number=np.zeros(len(points), np.uint8),
            offset_ns=np.zeros(len(points), np.int32),
        )  # fmt: skip
        for k, camera in enumerate(cameras):
            path = folder / "sensors" / "cameras" / camera / f"{stamp + 10_000_000}.jpg"
            cv2.imwrite(str(path), picture(10 * i + k))
        for k, centre in enumerate(centres(i)):
            for name, value in zip(boxes, (stamp, f"track-{k}", "REGULAR_VEHICLE", *centre), strict=True):
                boxes[name].append(value)
    n = len(boxes["tx_m"])
    sides = {"length_m": np.full(n, 4.0), "width_m": np.full(n, 1.6), "height_m": np.full(n, 1.5)}
    turns = {"qw": np.ones(n), "qx": np.zeros(n), "qy": np.zeros(n), "qz": np.zeros(n)}
    inside = [in_box(cloud(i), c) for i in range(sweeps) for c in centres(i)]
    write(folder / "annotations.feather", **boxes, **sides, **turns, num_interior_pts=np.array(inside, np.int64))
    times = sorted({t + late for t in stamps for late in (0, 10_000_000)})
    zeros, ones = np.zeros(len(times)), np.ones(len(times))
    write(
        folder / "city_SE3_egovehicle.feather", timestamp_ns=np.array(times), qw=ones, qx=zeros, qy=zeros, qz=zeros,
        tx_m=np.arange(len(times)) * 0.5, ty_m=zeros, tz_m=zeros,
    )  # fmt: skip
    quaternion = np.array([0.5, -0.5, 0.5, -0.5])  # of a camera that looks ahead
    mounts = {name: [*quaternion, 1.0, 0.0, 0.0] for name in cameras} | {
        f"{side}_lidar": [1, 0, 0, 0, 1.0, 0, 1.6] for side in ("up", "down")
    }
    names = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
    columns = {c: np.array([m[k] for m in mounts.values()], np.float64) for k, c in enumerate(names)}
    write(folder / "calibration" / "egovehicle_SE3_sensor.feather", sensor_name=list(mounts), **columns)
    one = np.ones(len(cameras))
    write(
        folder / "calibration" / "intrinsics.feather", sensor_name=list(cameras), fx_px=160 * one, fy_px=160 * one,
        cx_px=159.5 * one, cy_px=47.5 * one, k1=0 * one, k2=0 * one, k3=0 * one,
        height_px=(SIZE[0] * one).astype(np.uint16), width_px=(SIZE[1] * one).astype(np.uint16),
    )  # fmt: skip
    return root


def in_box(points: np.ndarray, centre: np.ndarray) -> int:
    """Points in a car that heads along x."""
    return int((np.abs(points[:, :3] - centre) <= [2.0, 0.8, 0.75]).all(axis=1).sum())


def mmdet3d(root: Path, street: Path) -> Path:
    """The street with an info file of layout 2."""
    shutil.copytree(street, root)
    write_infos(root, True, "street_infos_val")
    shutil.rmtree(root / "v1.0-mini")
    shutil.rmtree(root / "fusion_aug", ignore_errors=True)
    return root


def robomimic(root: Path, demos: int = 2, frames: int = 12) -> Path:
    """Demonstrations with a camera and an end effector's action."""
    import h5py

    root.mkdir(parents=True)
    with h5py.File(root / "demos.hdf5", "w") as file:
        for k in range(demos):
            group, rng = file.create_group(f"data/demo_{k}"), np.random.default_rng(k)
            group.attrs["num_samples"] = frames
            group["actions"] = rng.normal(size=(frames, 7))
            group["rewards"] = np.arange(frames, dtype=np.float64)
            group["obs/gripper"] = rng.normal(size=(frames, 2))
            group["obs/front_image"] = np.stack([picture(i)[::2, ::2] for i in range(frames)])
    return root


def aloha(root: Path) -> Path:
    """Episodes of a mobile robot with compressed pictures, made by h5py as ALOHA's recorder does."""
    return Path(shutil.copytree(DATA / "aloha" / "mobile", root))


def rlds(root: Path) -> Path:
    """A set made by tensorflow-datasets."""
    return Path(shutil.copytree(DATA / "rlds", root))


def zarr(root: Path) -> Path:
    """A replay buffer as PushT's, made by zarr 2."""
    return Path(shutil.copytree(DATA / "zarr" / "pusht", root))


def umi(root: Path) -> Path:
    """A replay buffer as UMI's, in a zip and with JPEG XL."""
    return Path(shutil.copytree(DATA / "zarr" / "umi", root))


LEROBOT_V21_PARTS = (
    "log.parts={observation.state: {position: [0, 3], rpy: [3, 6]}, action: {position: [0, 3], rpy: [3, 6]}, "
    "observation.grip: {other: [0, 1]}}"
)


def lerobot_v21(root: Path) -> Path:
    """A set of version 2.1, made by lerobot 0.3.3."""
    return Path(shutil.copytree(DATA / "lerobot_v21", root))


def short_mcap(root: Path, seconds: float = 1.0) -> Path:
    """The beginning of the recorded arm."""
    root.mkdir(parents=True)
    begin: list[int] = []

    def is_early(topic: str, time: int) -> bool:
        begin.append(begin[0] if begin else time)
        return time < begin[0] + seconds * 1e9

    copy_mcap(ARM / "mcap" / "arm.mcap", root / "arm.mcap", is_early)
    return root


def rosbag(root: Path, frames: int = 4) -> Path:
    """A recording in SQLite and a bag of ROS 1 of a camera and an inertial unit, made by rosbags."""
    import ros_bags
    from other_bags import write_db3, write_ros1

    sent = [("/tf_static", ros_bags.T0, ros_bags.tf(ros_bags.T0, "base_link", "cam", 0.1, 0, 0.5))]
    lens = {"k": np.array([30.0, 0, 15.5, 0, 30, 11.5, 0, 0, 1]), "r": np.eye(3).ravel(), "d": np.zeros(5),
            "p": np.array([30.0, 0, 15.5, 0, 0, 30, 11.5, 0, 0, 0, 1, 0])}  # fmt: skip
    for k in range(frames):
        t = ros_bags.T0 + 50 * k * ros_bags.MS
        info = ros_bags.make("sensor_msgs/CameraInfo", header=ros_bags.header(t, "cam"), height=24, width=32,
                             distortion_model="plumb_bob", **lens)  # fmt: skip
        shown = np.random.default_rng(k).integers(0, 256, (24, 32, 3), np.uint8)
        sent += [("/cam/image_raw", t, ros_bags.image(t, shown, "rgb8")), ("/cam/camera_info", t, info)]
        sent.append(("/imu", t, ros_bags.imu(t)))
    write_ros1(root / "walk.bag", sent, compression="lz4")
    write_db3(root / "run", sent)
    return root


def copy_mcap(old: Path, new: Path, keep: Callable[[str, int], bool]) -> None:
    """Copy the messages of which ``keep`` says yes to topic and log time (ns)."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    with old.open("rb") as source, new.open("wb") as target:
        writer, channels = Writer(target), {}
        writer.start(profile="ros2")
        for schema, channel, message in make_reader(source).iter_messages():
            if channel.topic not in channels:
                known = writer.register_schema(schema.name, schema.encoding, schema.data)
                facts = (channel.topic, channel.message_encoding, known, channel.metadata)
                channels[channel.topic] = writer.register_channel(*facts)
            if keep(channel.topic, message.log_time):
                writer.add_message(channels[channel.topic], message.log_time, message.data, message.publish_time)
        writer.finish()


def arm(root: Path, kind: str) -> Path:
    """The recorded arm, as MCAP or LeRobotDataset."""
    shutil.copytree(ARM / kind, root)
    return root
