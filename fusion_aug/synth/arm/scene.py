"""The arm and its table as a MuJoCo model: six rotary joints, two fingers with taxels, two cameras, a wrench, an IMU.

The arm is its own mirror image about the xz plane of its base. Explicit integration without implicit damping makes the
accelerations that MuJoCo reports the very ones that it integrates, so that an accelerometer agrees with its motion.
"""

from __future__ import annotations

import os
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import torch

from calib import Inertia, Joint, Robot
from calib.se3 import rotation_from_quaternion, se3
from fusion_aug.errors import MissingPackage

JOINTS = ("j1", "j2", "j3", "j4", "j5", "j6", "slide_left", "slide_right")
TAXELS = 4  # along each side of a pad
PITCH = 0.005  # metres between taxels
DOME = 0.004  # metres, radius of a taxel
PAD = 0.045  # metres from a finger's joint to the middle of its pad


def mujoco(who: str = "the arm world needs", extra: str = "arm") -> Any:
    """MuJoCo, which renders without a screen where it can.

    Args:
        who: asks for it, and extra: what installs it, for the message.

    Raises:
        MissingPackage: it is not installed.
    """
    if "mujoco" not in sys.modules and "MUJOCO_GL" not in os.environ and find_library("EGL"):
        os.environ["MUJOCO_GL"] = "egl"  # it is asked once, at the import; without a screen nothing else works
    try:
        import mujoco as module
    except ImportError:
        raise MissingPackage(f"{who} the package mujoco: pip install '.[{extra}]'") from None
    return module


def arm_xml() -> str:
    """The model as MJCF."""
    text = (Path(__file__).parent / "arm.xml").read_text(encoding="utf-8")
    return text.replace("@FINGER_L@", finger("left", 1)).replace("@FINGER_R@", finger("right", -1))


def finger(side: str, sign: int) -> str:
    """A finger with its pad of taxels, MJCF. ``sign`` is its side of the hand."""
    taxels = "".join(
        f'<geom name="taxel_{side}_{i}{j}" class="taxel" '
        f'pos="{PAD + (i - 1.5) * PITCH:.4f} {sign * DOME:.4f} {(j - 1.5) * PITCH:.4f}"/>'
        for i in range(TAXELS)
        for j in range(TAXELS)
    )
    return f"""<body name="finger_{side}" pos="0.055 0 0">
      <joint name="slide_{side}" type="slide" axis="0 {sign} 0" range="0 0.045" damping="4"/>
      <geom name="finger_{side}_body" class="arm" type="box" pos="0.032 {sign * 0.009:.4f} 0"
        size="0.030 0.006 0.011" mass="0.040" material="dark"/>
      <geom name="finger_{side}_root" class="arm" type="box" pos="0.003 {sign * 0.012:.4f} 0"
        size="0.008 0.010 0.013" mass="0.020" material="orange"/>
      {taxels}</body>"""


def load_arm() -> tuple[Any, Any]:
    """Model and data of MuJoCo, at rest."""
    module = mujoco()
    model = module.MjModel.from_xml_string(arm_xml())
    return model, module.MjData(model)


def robot_of(model: Any) -> Robot:
    """The arm as a Robot: the bodies below "base" with their joints and inertias."""
    edges: dict[str, Any] = {}
    inertias = {}
    for i in range(model.nbody):
        body = model.body(i)
        above = model.body(int(body.parentid[0])).name
        if body.name == "base" or above in edges or above == "base":
            about = rotation_from_quaternion(np.array(body.iquat))
            inertias[body.name] = Inertia(
                mass=float(body.mass[0]), center=torch.from_numpy(np.array(body.ipos)),
                about_center=about @ torch.diag(torch.from_numpy(np.array(body.inertia))) @ about.T,
            )  # fmt: skip
        if body.name == "base" or not (above in edges or above == "base"):
            continue
        place = se3(rotation_from_quaternion(np.array(body.quat)), torch.from_numpy(np.array(body.pos)))
        if int(body.jntnum[0]) == 0:
            edges[body.name] = (above, place)
            continue
        joint = model.joint(int(body.jntadr[0]))
        kind = "prismatic" if int(joint.type[0]) == int(mujoco().mjtJoint.mjJNT_SLIDE) else "revolute"
        low, high = (float(v) for v in joint.range)
        axis = torch.from_numpy(np.array(joint.axis))
        edges[body.name] = (above, Joint(name=joint.name, kind=kind, axis=axis, origin=place, lower=low, upper=high))
    return Robot(root="base", edges=edges, inertias=inertias, name="arm")
