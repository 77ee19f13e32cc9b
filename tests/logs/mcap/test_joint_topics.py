"""Joint states as drivers share topics, commands beside them, and wrenches with and without a frame and a sign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bags import HALF, T0, Messages, header, messages, open_recording, recording, ros, run
from places import ARM

import fusion_aug as fa
from calib import Rig, WrenchSensor, load_urdf
from calib.symmetry import find_mirror
from fusion_aug.errors import ConfigError, DataError, Obstacle
from fusion_aug.logs.core.parts import Parts
from fusion_aug.logs.core.vectors import vector_stream
from fusion_aug.logs.mcap.file import stamp_of
from fusion_aug.logs.mcap.joints import is_command_topic
from fusion_aug.streams import JointTarget

pytest.importorskip("mcap")
SECONDS = 0.7  # of the recordings
JOINTS, WRENCH = "sensor_msgs/msg/JointState", "geometry_msgs/msg/WrenchStamped"
MIRROR, FAST = "{_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}", "{_target_: fusion_aug.SpeedWarp, speed: 2.0}"


def of_joints(message: Any, names: list[str], bare: bool = False, offset: float = 0.0) -> Any:
    """The message with some joints alone, in this order, without velocities and efforts if ``bare``."""
    rows = [message.name.index(n) for n in names]
    none = np.zeros(0)
    return replace(
        message, name=names, position=message.position[rows] + offset,
        velocity=none if bare else message.velocity[rows], effort=none if bare else message.effort[rows],
    )  # fmt: skip


def readings() -> list[tuple[int, Any]]:
    return [(t, m) for t, m in messages(ARM / "mcap" / "arm.mcap", "/joint_states") if t < SECONDS * 1e9]


def stamp(message: Any) -> int:
    """ns after T0."""
    return stamp_of(message) - T0  # type: ignore[operator]


def shared_topic(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """A recording whose arm and gripper are told in turns on one topic; the gripper's order changes."""
    arm = [n for n in readings()[0][1].name if not n.startswith("slide")]
    fingers = [n for n in readings()[0][1].name if n.startswith("slide")]
    extra: Messages = [
        ("/joint_states", JOINTS, of_joints(m, fingers[:: 1 if k % 2 else -1], bare=True), T0 + t + 1000)
        for k, (t, m) in enumerate(readings())
    ]

    def arm_alone(topic: str, message: Any, number: int) -> Any:
        return of_joints(message, arm) if topic == "/joint_states" else message

    return recording(tmp_path / "log" / "a.mcap", extra, arm_alone, SECONDS), arm, fingers


def test_drivers_that_share_a_topic_are_read_by_name(tmp_path: Path) -> None:
    folder, arm, fingers = shared_topic(tmp_path)
    sample = open_recording(folder)[0]
    whole = open_recording(recording(tmp_path / "whole" / "a.mcap", seconds=SECONDS))[0]
    names = [n for n in sample.streams if n.startswith("joint_states")]
    assert sorted(names) == sorted([f"joint_states:{arm[0]}", f"joint_states:{fingers[1]}"])
    assert set(sample[f"joint_states:{fingers[1]}"].values) == {"position"}
    for frame in ("hand", "finger_left", "finger_right"):
        off = sample.rig.T("base", frame, T0 + HALF) - whole.rig.T("base", frame, T0 + HALF)
        assert float(off.abs().max()) < 1e-12, frame


@pytest.mark.parametrize("transform", [MIRROR, FAST])
def test_every_message_is_written_with_its_own_joints(tmp_path: Path, transform: str) -> None:
    folder, arm, fingers = shared_topic(tmp_path)
    assert run(folder, tmp_path / "out", transform) == 0
    before, after = (messages(p / "a.mcap", "/joint_states") for p in (folder, tmp_path / "out"))
    assert {tuple(m.name) for _, m in after} <= {tuple(m.name) for _, m in before}
    assert all(len(m.velocity) == len(m.effort) == (0 if m.name[0] in fingers else len(arm)) for _, m in after)
    values = {n: [(stamp(m), m.position[m.name.index(n)]) for _, m in after if n in m.name] for n in (*arm, *fingers)}
    source = {n: np.array([(stamp(m), m.position[m.name.index(n)]) for _, m in readings()]) for n in (*arm, *fingers)}
    mirror = find_mirror(load_urdf(ARM / "arm.urdf"))
    for name, found in values.items():
        times, told = np.array(found).T
        partner, sign, offset = mirror.joints[name]
        known = sign * source[partner][:, 1] + offset if transform == MIRROR else source[name][:, 1]
        at = times if transform == MIRROR else 2 * times
        inside = at < (SECONDS - 0.1) * 1e9
        assert np.abs(told - np.interp(at, source[name][:, 0], known))[inside].max() < 1e-3, name
    if transform == MIRROR:
        assert [(t, m.name) for t, m in after] == [(t, m.name) for t, m in before]


def test_messages_without_a_column_stay_so(tmp_path: Path) -> None:
    """Of one driver, every third message holds no velocities and no efforts; all of them move the links."""

    def sparse(topic: str, message: Any, number: int) -> Any:
        return of_joints(message, list(message.name), bare=number % 3 == 0) if topic == "/joint_states" else message

    folder = recording(tmp_path / "log" / "a.mcap", edit=sparse, seconds=SECONDS)
    sample, whole = (
        open_recording(folder)[0],
        open_recording(recording(tmp_path / "whole" / "a.mcap", seconds=SECONDS))[0],
    )
    assert len([n for n in sample.streams if n.startswith("joint_states")]) == 2
    off = sample.rig.T("base", "hand", T0 + HALF) - whole.rig.T("base", "hand", T0 + HALF)
    assert float(off.abs().max()) < 1e-12
    assert run(folder, tmp_path / "out", MIRROR) == 0
    bare = [len(m.effort) == 0 for _, m in messages(tmp_path / "out" / "a.mcap", "/joint_states")]
    assert bare == [k % 3 == 0 for k in range(len(bare))]


def test_joints_of_no_description_are_kept(tmp_path: Path) -> None:
    wheel = ros("sensor_msgs/JointState")(
        header=header(T0 + HALF), name=["wheel"], position=np.zeros(1), velocity=np.ones(1), effort=np.zeros(0)
    )
    folder = recording(tmp_path / "log" / "a.mcap", [("/wheels", JOINTS, wheel, T0 + HALF)])
    sample = open_recording(folder)[0]
    assert sample["wheels"].names == ("wheel",)
    with pytest.raises(Exception, match="'wheel' has no mirror partner"):
        fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)


def commanded(tmp_path: Path, topic: str) -> Path:
    names = list(readings()[0][1].name)
    extra: Messages = [(topic, JOINTS, of_joints(m, names, offset=0.02), T0 + t) for t, m in readings()]
    return recording(tmp_path / "log" / "a.mcap", extra, seconds=SECONDS)


def test_commands_follow_the_readings_and_move_no_link(tmp_path: Path) -> None:
    folder = commanded(tmp_path, "/leader/joint_states")
    with pytest.raises(ConfigError, match=r"log.targets: joint .* is read from both"):
        open_recording(folder)[0]
    with pytest.raises(ConfigError, match=r"log.targets: 'lead' matches nothing"):
        open_recording(folder, targets=["lead"])
    (tmp_path / "rig.yaml").write_text((tmp_path / "rig.yaml").read_text() + "targets: ['/leader/*']\n")
    sample = open_recording(folder)[0]
    plain = open_recording(recording(tmp_path / "plain" / "b" / "a.mcap", seconds=SECONDS))[0]
    assert isinstance(sample["leader/joint_states"], JointTarget)
    assert torch.equal(sample.rig.T("base", "hand", T0 + HALF), plain.rig.T("base", "hand", T0 + HALF))
    assert run(folder, tmp_path / "out", MIRROR, "log.targets=[/leader/joint_states]") == 0
    mirror, names = find_mirror(load_urdf(ARM / "arm.urdf")), list(readings()[0][1].name)
    written = messages(tmp_path / "out" / "a.mcap", "/leader/joint_states")
    for (_, source), (_, told) in zip(readings(), written, strict=True):
        wanted = mirror.readings(torch.from_numpy(source.position + 0.02), tuple(names)).numpy()
        assert told.name == names and np.abs(told.position - wanted).max() < 1e-12


def test_names_say_what_commands_are_where_nobody_does() -> None:
    commands = ["/joint_commands", "/arm/joint_command", "/cmd/joints", "/desired_joint_states", "/gripper/target"]
    readings = ["/joint_states", "/commander/joint_states", "/leader/joint_states"]
    assert all(is_command_topic(t, (), False) for t in commands)
    assert not any(is_command_topic(t, (), False) for t in readings)
    assert not is_command_topic("/joint_commands", ("/leader",), False)
    assert is_command_topic("/leader", ("/leader",), True)


# --- wrenches -------------------------------------------------------------------------------------------------------
def with_wrench(tmp_path: Path, frame: str, sign: float = 0.0, rig: str = "") -> Path:
    """The arm with a wrench on the hand; efforts are what holds the links up and ``sign`` J^T w, by pinocchio."""
    pin = pytest.importorskip("pinocchio")
    model = pin.buildModelFromUrdf(str(ARM / "arm.urdf"))
    data, hand = model.createData(), model.getFrameId("hand")
    rng = np.random.default_rng(0)
    vector = ros("geometry_msgs/Vector3")
    extra: Messages = []
    efforts = []
    for t, m in readings():
        w = rng.normal(size=6) * [20, 20, 20, 2, 2, 2]
        force, torque = (vector(*(float(v) for v in part)) for part in (w[:3], w[3:]))
        told = ros("geometry_msgs/WrenchStamped")(
            header=header(T0 + stamp(m), frame), wrench=ros("geometry_msgs/Wrench")(force=force, torque=torque)
        )
        extra.append(("/wrench", WRENCH, told, T0 + t))
        q = np.zeros(model.nq)
        places = [model.joints[model.getJointId(n)].idx_q for n in m.name]
        q[places] = m.position
        J = pin.computeFrameJacobian(model, data, q, hand, pin.ReferenceFrame.LOCAL)
        efforts.append((pin.computeGeneralizedGravity(model, data, q) + sign * J.T @ w)[places])

    def with_efforts(topic: str, message: Any, number: int) -> Any:
        return replace(message, effort=efforts[number]) if topic == "/joint_states" and sign else message

    folder = recording(tmp_path / "log" / "a.mcap", extra, with_efforts, SECONDS)
    (tmp_path / "rig.yaml").write_text(f"{(tmp_path / 'rig.yaml').read_text()}{rig}")
    return folder


def test_a_wrench_without_a_frame_is_refused_by_what_would_turn_it(tmp_path: Path) -> None:
    sample = open_recording(with_wrench(tmp_path, ""))[0]
    assert sample["wrench"].frame == "" and "" not in sample.rig.frames
    with pytest.raises(Obstacle, match=r"'wrench'.*axes are not known.*kind: wrench, frame: LINK"):
        fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)
    with pytest.raises(DataError, match=r"'wrench'.*axes are not known.*joint_states"):
        fa.ForceNoise(force=1.0)(sample, seed=0)
    turned = fa.RotateScene(yaw_deg=30.0)(sample, seed=0)
    assert torch.equal(turned["wrench"]["force"], sample["wrench"]["force"])
    told = "sensors: {wrench: {kind: wrench, frame: hand}}\n"
    sample = open_recording(with_wrench(tmp_path / "told", "", rig=told))[0]
    mirrored = fa.MirrorScene(axis="y", p=1.0)(sample, seed=0)
    assert torch.allclose(mirrored["wrench"]["force"], sample["wrench"]["force"] * torch.tensor([1.0, -1.0, 1.0]))


@pytest.mark.parametrize(("sign", "of"), [(1.0, None), (1.0, "tool"), (-1.0, "environment")])
def test_efforts_keep_the_sign_of_their_wrench(tmp_path: Path, sign: float, of: str | None) -> None:
    rig = f"sensors: {{wrench: {{kind: wrench, frame: hand, of: {of}}}}}\n" if of else ""
    sample = open_recording(with_wrench(tmp_path, "hand", sign, rig))[0]
    noisy = fa.ForceNoise(force=3.0, torque=0.3)(sample, seed=0)
    pin = pytest.importorskip("pinocchio")
    model = pin.buildModelFromUrdf(str(ARM / "arm.urdf"))
    data, hand = model.createData(), model.getFrameId("hand")
    places = [model.joints[model.getJointId(n)].idx_q for n in sample["joint_states"].names]
    change = {c: (noisy["wrench"][c] - sample["wrench"][c]).numpy() for c in ("force", "torque")}
    assert np.abs(change["force"]).max() > 1
    off = (noisy["joint_states"]["effort"] - sample["joint_states"]["effort"]).numpy()
    for k in range(5, len(off) - 5, 50):
        q = np.zeros(model.nq)
        q[places] = sample["joint_states"]["position"][k].numpy()
        J = pin.computeFrameJacobian(model, data, q, hand, pin.ReferenceFrame.LOCAL)
        wanted = sign * J.T @ np.concatenate([change["force"][k], change["torque"][k]])
        assert np.abs(off[k] - wanted[places]).max() < 1e-6


def test_a_log_that_disagrees_with_its_own_efforts_is_told(tmp_path: Path) -> None:
    sample = open_recording(with_wrench(tmp_path, "hand", -1.0))[0]
    with pytest.raises(ConfigError, match=r"opposite sign.*of: environment"):
        fa.ForceNoise(force=1.0)(sample, seed=0)


def test_a_change_of_speed_knows_the_sign(tmp_path: Path) -> None:
    """What the environment does to the tool is the opposite of what the tool does to it, at any speed."""
    rig = "sensors: {wrench: {kind: wrench, frame: hand, of: tool}}\n"
    sample = open_recording(with_wrench(tmp_path, "hand", rig=rig))[0]
    opposite = Rig(sample.rig.frames, {**sample.rig.sensors, "wrench": WrenchSensor(frame="hand", of="environment")})
    turned = sample["wrench"].with_values(**{c: -sample["wrench"][c] for c in ("force", "torque")})
    other = sample.with_streams({**sample.streams, "wrench": turned}).with_meta(0, rig=opposite, true_rig=opposite)
    fast, fast_other = (fa.SpeedWarp(speed=2.0)(s, seed=0)["wrench"] for s in (sample, other))
    for c in ("force", "torque"):
        assert torch.allclose(fast[c], -fast_other[c], atol=1e-9)
    assert float((fast["force"][5:170] - sample["wrench"]["force"][10:340:2]).abs().max()) > 1e-3  # its inertial part


def test_a_wrench_of_a_data_set_has_no_axes_until_they_are_told() -> None:
    fields = {"frame": "base", "capture_times": torch.arange(4), "records": ()}
    columns = {"force": (0, 3, 1.0), "torque": (3, 6, 1.0)}
    for told, frame in (("", ""), ("base", "base"), ("hand", "hand")):
        parts = Parts(columns=columns, frame=told)
        made = vector_stream("observation.wrench", torch.ones(4, 6).double(), parts, [], (), fields)
        assert made.frame == frame and type(made).__name__ == "Wrench"
