"""Robots as URDF text."""

from __future__ import annotations

import math
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from torch import Tensor

from calib.errors import CalibrationError
from calib.joints import EYE, Joint
from calib.kinematics import Robot
from calib.rig import Inertia
from calib.se3 import same_pose, se3


def robot_to_urdf(robot: Robot) -> str:
    """Links, joints, limits and inertias of a robot as URDF, with numbers that are read back exactly.

    Raises:
        CalibrationError: a joint follows another joint's reading, or has an offset or a tail, which are not written.
    """
    root = Element("robot", name=robot.name)
    for link in (robot.root, *robot.edges):
        element = SubElement(root, "link", name=link)
        if link in robot.inertias:
            _inertial(element, robot.inertias[link])
    for link, (parent, edge) in robot.edges.items():
        kind, name = (edge.kind, edge.name) if isinstance(edge, Joint) else ("fixed", f"{link}_mount")
        element = SubElement(root, "joint", name=name, type=kind)
        SubElement(element, "parent", link=parent)
        SubElement(element, "child", link=link)
        if isinstance(edge, Joint):
            if edge.multiplier != 1 or edge.bias != 0 or not same_pose(edge.tail, EYE):
                raise CalibrationError(f"joint {edge.name!r}: follows another reading, which is not written as URDF")
            _origin(element, edge.origin)
            SubElement(element, "axis", xyz=_numbers(edge.axis))
            if math.isfinite(edge.lower) and math.isfinite(edge.upper):
                SubElement(element, "limit", lower=repr(edge.lower), upper=repr(edge.upper), effort="0", velocity="0")
        else:
            _origin(element, edge)
    ElementTree.indent(root)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _inertial(element: Element, inertia: Inertia) -> None:
    inertial = SubElement(element, "inertial")
    _origin(inertial, se3(translation=inertia.center))
    SubElement(inertial, "mass", value=repr(inertia.mass))
    about = inertia.about_center.tolist()
    names = {"ixx": (0, 0), "ixy": (0, 1), "ixz": (0, 2), "iyy": (1, 1), "iyz": (1, 2), "izz": (2, 2)}
    SubElement(inertial, "inertia", {n: repr(about[i][j]) for n, (i, j) in names.items()})


def _origin(element: Element, T: Tensor) -> None:
    """``rpy`` are rotations about the fixed axes x, y, z: R = Rz(yaw) Ry(pitch) Rx(roll)."""
    R = T[:3, :3].tolist()
    flat = math.hypot(R[0][0], R[1][0])
    pitch = math.atan2(-R[2][0], flat)
    if flat > 1e-9:
        roll, yaw = math.atan2(R[2][1], R[2][2]), math.atan2(R[1][0], R[0][0])
    else:  # looking straight up or down: one of the two is free
        roll, yaw = math.atan2(-R[1][2], R[1][1]), 0.0
    SubElement(element, "origin", xyz=_numbers(T[:3, 3]), rpy=" ".join(map(repr, (roll, pitch, yaw))))


def _numbers(vector: Tensor) -> str:
    return " ".join(repr(float(v)) for v in vector)
