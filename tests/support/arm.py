"""A small arm on the vehicle of the test samples: three rotary joints, two fingers, a camera, touch and a wrench."""

from __future__ import annotations

import numpy as np
import torch

import fusion_aug as fa
from calib import CameraSensor, Frame, GelModel, Inertia, Joint, Pinhole, Rig, Robot, TactileSensor, TaxelSensor
from calib.se3 import rotation_about, se3
from fusion_aug.physics.gel import render_tactile
from fusion_aug.streams import strings

JOINTS = ("turn", "lift", "bend", "finger_left_joint", "finger_right_joint")
AXES = {"z": [0.0, 0, 1], "y": [0.0, 1, 0]}
STEP = 4_000_000  # ns
GEL = (24, 32)  # pixels
ARM_BASE = se3(rotation_about("z", 0.2), [2.0, 0.3, 0.7])  # anywhere on the vehicle
FORWARD = rotation_about("z", -np.pi / 2) @ rotation_about("x", -np.pi / 2)


def arm_robot() -> Robot:
    """Links in the xz plane of the vehicle, so that it is its own mirror image."""

    def joint(name: str, kind: str, axis: list[float], place: list[float], turn: float = 0.0) -> Joint:
        origin = se3(rotation_about("y", turn), place)
        return Joint(name=name, kind=kind, axis=torch.tensor(axis, dtype=torch.float64), origin=origin)

    edges = {
        "link1": ("arm_base", joint("turn", "revolute", AXES["z"], [0.0, 0, 0.3])),
        "link2": ("link1", joint("lift", "revolute", AXES["y"], [0.1, 0, 0.3], -0.4)),
        "hand": ("link2", joint("bend", "revolute", AXES["y"], [0.5, 0, 0.0], 0.3)),
        "finger_left": ("hand", joint("finger_left_joint", "prismatic", AXES["y"], [0.2, 0, 0])),
        "finger_right": ("hand", joint("finger_right_joint", "prismatic", [0.0, -1, 0], [0.2, 0, 0])),
    }
    about = torch.diag(torch.tensor([0.02, 0.03, 0.04], dtype=torch.float64))
    inertias = {n: Inertia(mass=1.0 + i, center=torch.tensor([0.1, 0.0, 0.02]).double(), about_center=about)
                for i, n in enumerate(edges)}  # fmt: skip
    return Robot(root="arm_base", edges=edges, inertias=inertias, name="test arm")


def readings(times: torch.Tensor, time: int) -> torch.Tensor:
    """(n, J) smooth motion of the joints."""
    t = ((times - time).double() * 1e-9)[:, None]
    speed = torch.tensor([0.7, -0.4, 0.9, 0.02, 0.03], dtype=torch.float64)
    start = torch.tensor([0.2, 0.3, -0.5, 0.03, 0.02], dtype=torch.float64)
    return start + speed * t + 0.3 * speed * torch.sin(5 * t)


def with_arm(rig: Rig, time: int, size: tuple[int, int], gels: bool = True) -> tuple[Rig, dict[str, fa.Stream]]:
    """The rig with the arm, and the arm's streams."""
    times = time + STEP * torch.arange(-18, 19)
    q = readings(times, time)
    t = (times - time).double()[:, None] * 1e-9
    speed = torch.tensor([0.7, -0.4, 0.9, 0.02, 0.03], dtype=torch.float64)
    v = speed * (1 + 1.5 * torch.cos(5 * t))
    a = -7.5 * speed * torch.sin(5 * t)
    links = arm_robot().to_frames("ego", ARM_BASE, {n: (times, q[:, i]) for i, n in enumerate(JOINTS)})
    frames = {**rig.frames, **links}
    frames["WRIST"] = Frame(parent="hand", pose=se3(FORWARD, [0.05, 0.0, 0.1]), axis_convention="camera")
    frames["ft"] = Frame(parent="hand", pose=se3(rotation_about("z", 0.4), [0.02, 0.01, 0]))
    w = size[1]
    model = Pinhole.from_focal(0.8 * w, 0.8 * w, (w - 1) / 2, (size[0] - 1) / 2, size)
    touch = {f"TOUCH_{a}": TaxelSensor(frame=f"finger_{a.lower()}", mirror_of=f"TOUCH_{b}")
             for a, b in (("LEFT", "RIGHT"), ("RIGHT", "LEFT"))}  # fmt: skip
    partners = {f"GEL_{a}": f"GEL_{b}" for a, b in (("LEFT", "RIGHT"), ("RIGHT", "LEFT"))}
    seen = {}
    for k, (name, partner) in enumerate(partners.items() if gels else ()):
        side = 1 - 2 * k
        frames[name] = Frame(
            parent=f"finger_{name[4:].lower()}",
            pose=se3(rotation_about("x", side * np.pi / 2), [0.03, side * 0.01, 0]),
            axis_convention="camera",
        )
        seen[name] = TactileSensor(frame=name, mm_per_pixel=0.5, size=GEL, gel=gel(k), mirror_of=partner,
                                   background=torch.full((*GEL, 3), 90 + 20 * k, dtype=torch.uint8))  # fmt: skip
    sensors = {**rig.sensors, "WRIST": CameraSensor(frame="WRIST", model=model), **touch, **seen}
    rng = np.random.default_rng(5)

    def noise(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    n = len(times)
    picture = torch.from_numpy(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    depth = torch.from_numpy(rng.uniform(1, 9, size).astype(np.float32))
    picture_time = torch.tensor([time + 9_000_000])
    taxels = se3(rotation_about("x", -np.pi / 2), torch.tensor([[0.0, 0.01, 0.01], [0.0, 0.01, -0.01]]).double())
    step = times[::6]
    streams: dict[str, fa.Stream] = {
        "WRIST": fa.Camera(frame="WRIST", capture_times=picture_time, items=(picture,)),
        "WRIST/depth": fa.Depth(frame="WRIST", camera="WRIST", capture_times=picture_time, items=(depth,)),
        "joints": fa.JointState(frame="ego", capture_times=times, names=JOINTS,
                                values={"position": q, "velocity": v, "acceleration": a, "effort": noise(n, 5)}),
        "wrench": fa.Wrench(frame="ft", capture_times=times[::2],
                            values={"force": noise(len(times[::2]), 3), "torque": noise(len(times[::2]), 3)}),
        **{name: fa.Taxels(frame=touch[name].frame, capture_times=times, values={"force": noise(n, 2).abs()},
                           poses=taxels) for name in touch},
        "tip": fa.BodyPose(frame="ego", capture_times=step, values={"pose": rig_poses(Rig(frames, sensors), step)}),
        "action": fa.Action(
            frame="ego", capture_times=step, names=JOINTS[:3],
            values={"joint_position": q[::6, :3].contiguous(), "delta_position": noise(len(step), 3),
                    "delta_rotation": noise(len(step), 3), "command": torch.ones(len(step), 1, dtype=torch.int64)}),
        "skeleton": fa.Keypoints3D(
            frame="ref", capture_times=torch.tensor([time]),
            values={"xyz": noise(3, 3) * 3, "name": strings(["left_hand", "right_hand", "head"]),
                    "visible": torch.ones(3)}),
        "WRIST/points": fa.Keypoints2D(
            frame="WRIST", camera="WRIST", capture_times=picture_time,
            values={"pixel": torch.from_numpy(rng.uniform(0.3, 0.6, (2, 2))) * torch.tensor([size[1], size[0]]),
                    "name": strings(["left_hand", "head"]), "visible": torch.ones(2)}),
        "reward": fa.Signal(frame="ego", capture_times=step, values={"value": noise(len(step))}),
    }  # fmt: skip
    for k, (name, sensor) in enumerate(seen.items()):
        presses = [bump(0.3 + 0.2 * k, 0.6), bump(0.5, 0.35)]
        shown = [render_tactile(p * 1000, sensor.gel, sensor.background, 0.5, relax=False) for p in presses]
        streams[name] = fa.TactileImage(
            frame=name, capture_times=picture_time[0] + STEP * torch.arange(2), items=tuple(shown), mm_per_pixel=0.5,
            gels=sensor.gel, backgrounds=sensor.background,
        )  # fmt: skip
        if k == 0:
            streams[f"{name}/height"] = fa.HeightMap(
                frame=name, camera=name, capture_times=streams[name].capture_times, items=tuple(presses)
            )
    return Rig(frames, sensors), streams


def gel(number: int) -> GelModel:
    """A gel that is lit from three sides."""
    lights = torch.zeros(10, 3, dtype=torch.float64)
    lights[:3] = torch.tensor([[60.0, -30, -30], [0, 50, -50], [40, 40, 40]])
    lights[3:9] = torch.from_numpy(np.random.default_rng(number).normal(size=(6, 3)) * 4)
    lights[9] = -40
    return GelModel(lights)


def bump(x: float, y: float) -> torch.Tensor:
    """A soft press (H, W) float32, metres, at a place of the gel (shares of its size)."""
    v, u = np.mgrid[: GEL[0], : GEL[1]]
    r2 = ((u - x * (GEL[1] - 1)) ** 2 + (v - y * (GEL[0] - 1)) ** 2) / 5.0**2
    return torch.from_numpy((0.0012 * np.exp(-r2)).astype(np.float32))


def rig_poses(rig: Rig, times: torch.Tensor) -> torch.Tensor:
    """Pose of a tool on the hand."""
    return rig.T_at_times("ego", "hand", times) @ se3(rotation_about("x", 0.3), [0.25, 0.0, 0.0])
