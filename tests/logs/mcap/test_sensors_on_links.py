"""Sensors on the links of a described robot, mirrored: cameras, inertial units and force sensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ros_pictures import T0, Message, bag, changed, header, image, info, make
from scipy.spatial.transform import Rotation

import fusion_aug as fa
from fusion_aug.errors import Obstacle

pytest.importorskip("mcap")
S = np.diag([1.0, -1.0, 1.0, 1.0])
SIGNS = {"pan": -1.0, "lift": 1.0, "roll": -1.0}  # of the readings, by the axes z, y and x
JOINTS = {"pan": ("base_link", "arm", (0, 0, 0.4), "z"), "lift": ("arm", "fore", (0, 0, 0.1), "y"),
          "roll": ("fore", "hand", (0.3, 0, 0), "x")}  # fmt: skip
OPTICAL_RPY = (-np.pi / 2, 0.0, -np.pi / 2)
K = np.array([[150.0, 0, 78.3], [0, 152.0, 61.7], [0, 0, 1]])
DOTS = np.array([[2.6, -0.25, 0.55], [2.5, 0.35, 0.2], [2.4, 0.3, 0.65], [2.6, -0.2, 0.15]])
COLOURS = np.eye(4, 3) * 220 + np.array([[0, 0, 0]] * 3 + [[200, 200, 0]])
FORCE, CONTACT, GRAVITY = np.array([2.0, -1.0, 3.0]), np.array([0.1, 0.02, 0.01]), np.array([0, 0, -9.81])
OPTICS = {"optical": ("housing", (0, 0.015, 0), OPTICAL_RPY)}
CAMERAS = {
    "in a housing on the hand": {"housing": ("hand", (0, 0.02, 0.06), (0, 0.25, 0)), **OPTICS},
    "on the hand itself": {"optical": ("hand", (0, 0.02, 0.06), OPTICAL_RPY)},
    "beside the robot": {"housing": ("base_link", (0.3, 0.2, 0.7), (0, 0.2, 0)), **OPTICS},
}
OTHERS = {
    "imu_beside": ("hand", (0.05, 0.03, 0.02), (0.1, 0.2, 0.3)),
    "imu_amid": ("hand", (0.05, 0, 0.02), (0, 0, np.pi / 2)),
    "force_link": ("hand", (0.02, 0.03, 0), (0, 0, np.pi / 4)),
}
Fixed = dict[str, tuple[str, tuple[float, ...], tuple[float, ...]]]
Poses = dict[str, tuple[str, np.ndarray]]


def placed(xyz: Any, rpy: Any = (0, 0, 0)) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_euler("xyz", rpy).as_matrix(), xyz
    return T


def readings(t: float) -> dict[str, float]:
    return {"pan": 0.1 + 0.1 * np.sin(9 * t), "lift": 0.1 * np.cos(4 * t) - 0.08, "roll": 0.3 * np.sin(6 * t) - 0.1}


def mirrored(t: float) -> dict[str, float]:
    return {n: SIGNS[n] * q for n, q in readings(t).items()}


def poses(q: dict[str, float], fixed: Poses) -> dict[str, np.ndarray]:
    """``T_base_link`` of all links."""
    out = {"base_link": np.eye(4)}
    for name, (parent, child, xyz, axis) in JOINTS.items():
        out[child] = out[parent] @ placed(xyz, Rotation.from_euler(axis, q[name]).as_euler("xyz"))
    for child, (parent, T) in fixed.items():
        out[child] = out[parent] @ T
    return out


def specific_force(q: Any, fixed: Poses, link: str, t: float) -> np.ndarray:
    """R^T (a - g) by differences, m/s^2."""
    h = 1e-4
    p = [poses(q(t + k * h), fixed)[link] for k in (-1, 0, 1)]
    return p[1][:3, :3].T @ ((p[0] - 2 * p[1] + p[2])[:3, 3] / h**2 - GRAVITY)


def torque_about(link: np.ndarray, force: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """(2, 3) force and torque at a link (4, 4) in the hand, of a force of the hand at a contact, in the hand's axes."""
    return np.stack([force, np.cross(contact - link[:3, 3], force)]) @ link[:3, :3]


def projected(T_base_camera: np.ndarray, K: np.ndarray, dots: np.ndarray) -> np.ndarray:
    points = (dots - T_base_camera[:3, 3]) @ T_base_camera[:3, :3]
    assert (points[:, 2] > 0.2).all()
    return (points @ K.T)[:, :2] / points[:, 2:]


def picture(pixels: np.ndarray) -> np.ndarray:
    out = np.zeros((120, 160, 3), np.uint8)
    for (u, v), colour in zip(pixels, COLOURS, strict=True):
        cv2.circle(out, (round(u * 16), round(v * 16)), 4 * 16, colour.tolist(), -1, cv2.LINE_AA, 4)
    return out


def centre(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Pixel (u, v) of the centre of the dot of a colour, by its brightness."""
    size = np.linalg.norm(pixels, axis=2)
    bright = np.where(pixels @ colour > 0.99 * size * np.linalg.norm(colour), size, 0.0)
    assert (bright > 0).sum() > 30
    v, u = np.mgrid[: len(pixels), : len(pixels[0])]
    return np.array([(u * bright).sum(), (v * bright).sum()]) / bright.sum()


def vector(values: Any) -> Any:
    return make("geometry_msgs/Vector3", **dict(zip("xyz", map(float, values), strict=True)))


def transform(time: int, parent: str, child: str, T: np.ndarray) -> Any:
    turn = make("geometry_msgs/Quaternion", **dict(zip("xyzw", Rotation.from_matrix(T[:3, :3]).as_quat(), strict=True)))
    pose = make("geometry_msgs/Transform", translation=vector(T[:3, 3]), rotation=turn)
    return make("geometry_msgs/TransformStamped", header=header(time, parent), child_frame_id=child, transform=pose)


def described(fixed: Fixed) -> str:
    links = ["base_link", *(j[1] for j in JOINTS.values()), *fixed]
    rows = [f'<link name="{n}"/>' for n in links]
    row = '<joint name="{}" type="{}"><parent link="{}"/><child link="{}"/><origin xyz="{}" rpy="{}"/>{}</joint>'
    for name, (parent, child, xyz, axis) in JOINTS.items():
        along = " ".join("1" if a == axis else "0" for a in "xyz")
        moving = f'<axis xyz="{along}"/><limit lower="-3" upper="3" effort="1" velocity="1"/>'
        rows.append(row.format(name, "revolute", parent, child, " ".join(map(str, xyz)), "0 0 0", moving))
    for child, (parent, *place) in fixed.items():
        rows.append(row.format(f"to_{child}", "fixed", parent, child, *(" ".join(map(str, v)) for v in place), ""))
    return f'<robot name="own">{"".join(rows)}</robot>'


def joint_state(time: int, q: dict[str, float]) -> Any:
    none, position = np.zeros(0), np.array(list(q.values()))
    fields = {"name": list(q), "position": position, "velocity": none, "effort": none}
    return make("sensor_msgs/JointState", header=header(time, ""), **fields)


def inertial(time: int, link: str, accel: np.ndarray) -> Any:
    unknown, zeros = np.array([-1.0, *[0.0] * 8]), np.zeros(9)
    turn = make("geometry_msgs/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    fields = {"orientation": turn, "angular_velocity": vector((0, 0, 0)), "linear_acceleration": vector(accel)}
    fields |= {"orientation_covariance": unknown, "angular_velocity_covariance": zeros}
    return make("sensor_msgs/Imu", header=header(time, link), linear_acceleration_covariance=zeros, **fields)


def pushed(time: int, link: np.ndarray) -> Any:
    force, torque = map(vector, torque_about(link, FORCE, CONTACT))
    wrench = make("geometry_msgs/Wrench", force=force, torque=torque)
    return make("geometry_msgs/WrenchStamped", header=header(time, "force_link"), wrench=wrench)


def recorded(fixed: Fixed) -> list[Message]:
    """Half a second: joints, inertial units and forces at 100 Hz, pictures and tf at 20 Hz."""
    at = {n: (parent, placed(*place)) for n, (parent, *place) in fixed.items()}
    tf_static = make("tf2_msgs/TFMessage", transforms=[transform(T0, p, n, T) for n, (p, T) in at.items()])
    out: list[Message] = [("/tf_static", T0, tf_static)]
    for k in range(51):
        time, t = T0 + k * 10_000_000, k * 0.01
        P = poses(readings(t), at)
        out.append(("/joint_states", time, joint_state(time, readings(t))))
        for link in [n for n in fixed if n.startswith("imu")]:
            out.append((f"/{link}", time, inertial(time, link, specific_force(readings, at, link, t))))
        if "force_link" in fixed:
            out.append(("/wrench", time, pushed(time, at["force_link"][1])))
        if k % 5 == 0 and "optical" in fixed:
            moving = [transform(time, p, c, np.linalg.inv(P[p]) @ P[c]) for p, c, *_ in JOINTS.values()]
            seen = picture(projected(P["optical"], K, DOTS))
            out.append(("/tf", time, make("tf2_msgs/TFMessage", transforms=moving)))
            out.append(("/wrist/image_raw", time, image(seen, "rgb8", time, "optical")))
            out.append(("/wrist/camera_info", time, info((120, 160), k=K, time=time, frame="optical")))
    return out


def matrix(one: Any) -> np.ndarray:
    p, q = one.transform.translation, one.transform.rotation
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), (p.x, p.y, p.z)
    return T


def mounts(out: dict[str, list[Any]]) -> Poses:
    """Fixed link -> its parent and its pose there, as written."""
    return {t.child_frame_id: (t.header.frame_id, matrix(t)) for m in out["/tf_static"] for t in m.transforms}


def opened(tmp_path: Path, fixed: Fixed) -> Any:
    (tmp_path / "own.urdf").write_text(described(fixed))
    return fa.open_log("mcap", bag(tmp_path / "log", recorded(fixed)), urdf=str(tmp_path / "own.urdf"))


@pytest.mark.parametrize("where", CAMERAS)
@pytest.mark.parametrize("mirror", [fa.MirrorScene(axis="y", p=1.0), fa.MirrorRobot(p=1.0)], ids=["scene", "robot"])
def test_a_camera_that_only_the_recording_names_sees_the_mirrored_world(
    tmp_path: Path, where: str, mirror: fa.Transform
) -> None:
    """Mirrored dots, projected through the written tf and CameraInfo, lie on the dots of the written pictures."""
    log = opened(tmp_path, CAMERAS[where])
    out = changed(log, tmp_path / "out", mirror)
    fixed, off = mounts(out), []
    assert len(out["/tf"]) == len(out["/wrist/image_raw"]) == 11
    rig = fa.open_log("mcap", tmp_path / "out", urdf=str(tmp_path / "own.urdf"))[0].rig
    for tf, shown, lens in zip(out["/tf"], out["/wrist/image_raw"], out["/wrist/camera_info"], strict=True):
        edges = fixed | {t.child_frame_id: (t.header.frame_id, matrix(t)) for t in tf.transforms}
        link, T = "optical", np.eye(4)
        while link != "base_link":
            link, edge = edges[link]
            T = edge @ T
        stamp = shown.header.stamp
        again = rig.T("base_link", "optical", stamp.sec * 10**9 + stamp.nanosec).numpy()
        assert np.allclose(again, T, atol=1e-6)
        pixels = np.asarray(shown.data).reshape(120, 160, 3).astype(float)
        for place, colour in zip(projected(T, np.reshape(lens.k, (3, 3)), DOTS @ S[:3, :3]), COLOURS, strict=True):
            off.append(np.hypot(*(centre(pixels, colour) - place)))
    assert max(off) < 0.1


def test_inertial_units_read_what_their_written_places_make_them_read(tmp_path: Path) -> None:
    """A lever arm: a unit beside the hand's plane is on its other side in a mirror; one in the plane stays as it is."""
    log = opened(tmp_path, OTHERS)
    before = {n: placed(*place) for n, (_, *place) in OTHERS.items()}
    out = changed(log, tmp_path / "out", fa.MirrorScene(axis="y", p=1.0))
    fixed = mounts(out)
    assert np.allclose(fixed["imu_beside"][1], S @ before["imu_beside"] @ S, atol=1e-9)
    assert np.allclose(fixed["imu_amid"][1], before["imu_amid"], atol=1e-9)
    wrong = {"imu_amid": 0.0, "imu_beside": 0.0}
    for link in wrong:
        for k, m in enumerate(out[f"/{link}"]):
            a = m.linear_acceleration
            assert np.allclose((a.x, a.y, a.z), specific_force(mirrored, fixed, link, k * 0.01), atol=1e-4)
            there = specific_force(mirrored, {link: ("hand", before[link])}, link, k * 0.01)
            wrong[link] = max(wrong[link], float(np.abs((a.x, a.y, a.z) - there).max()))
    assert wrong["imu_beside"] > 0.2  # had it stayed


def test_a_wrench_beside_the_plane_of_its_link_is_that_of_the_mirrored_push(tmp_path: Path) -> None:
    log = opened(tmp_path, OTHERS)
    out = changed(log, tmp_path / "out", fa.MirrorScene(axis="y", p=1.0))
    at = mounts(out)["force_link"][1]
    told = torque_about(at, S[:3, :3] @ FORCE, S[:3, :3] @ CONTACT)
    for message in out["/wrench"]:
        force, torque = message.wrench.force, message.wrench.torque
        assert np.allclose([[v.x, v.y, v.z] for v in (force, torque)], told, atol=1e-9)


@pytest.mark.parametrize("beside", [0.0, 0.05])
def test_a_unit_in_a_link_that_cannot_change_sides_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: float
) -> None:
    """A joint hangs on the unit's own link, which is fixed beside the plane of the arm."""
    monkeypatch.setitem(JOINTS, "roll", ("imu_link", "hand", (0.3, -beside, 0), "x"))
    (tmp_path / "own.urdf").write_text(described({"imu_link": ("fore", (0, beside, 0), (0, 0, 0))}))
    messages: list[Message] = []
    for time in range(T0, T0 + 100_000_000, 10_000_000):
        messages.append(("/joint_states", time, joint_state(time, readings((time - T0) * 1e-9))))
        messages.append(("/imu", time, inertial(time, "imu_link", -GRAVITY)))
    sample = fa.open_log("mcap", bag(tmp_path / "log", messages), urdf=str(tmp_path / "own.urdf"))[0]
    mirror = fa.MirrorScene(axis="y", p=1.0)
    if beside:
        with pytest.raises(Obstacle, match="'imu_link' lies beside the robot's mirror plane, and carries joints"):
            mirror(sample, seed=0)
    else:
        assert np.allclose(mirror(sample, seed=0)["imu"]["accel"], -GRAVITY)
