"""URDF: the robot descriptions of ROS."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.joints import EYE, Joint
from calib.kinematics import Mimic, Robot
from calib.regular_files import read_regular_text, status
from calib.rig import Inertia
from calib.se3 import rotation_about, se3

MAX_BYTES = 4 * 2**20
MAX_LINKS, MAX_FOLLOWED = 1000, 32  # of a robot; joints that a joint follows, one by another
MOVING = {"revolute": "revolute", "continuous": "continuous", "prismatic": "prismatic"}


def load_urdf(path: str | Path, joint_map: Mapping[str, str] | None = None) -> Robot:
    """Read links, joints and inertias of a URDF file. Meshes are not looked at.

    Args:
        path: the file.
        joint_map: name of a reading in the log -> name of the joint in the file, where they differ. A leading "-" on
            the joint's name reverses the sign of the log's readings. A mimic joint that is named here follows
            its own reading.

    Raises:
        CalibrationError: the file is missing, not URDF, or holds a joint that is not supported; file and element are
            named.
    """
    path = Path(path)
    try:
        if status(path).st_size > MAX_BYTES:
            raise CalibrationError(f"{path}: larger than the {MAX_BYTES >> 20} MiB a URDF file may have")
        text = read_regular_text(path, most=MAX_BYTES)
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise CalibrationError(f"{path}: is not a text file") from None
    return robot_from_urdf(text, str(path), joint_map)


def robot_from_urdf(text: str, where: str = "URDF", joint_map: Mapping[str, str] | None = None) -> Robot:
    """The robot of a URDF text.

    Args:
        text: the XML.
        where: its file, for messages.
        joint_map: name of a reading in the log -> name of the joint in the text, "-" before it where the sign differs.

    Raises:
        CalibrationError: it is not URDF, or holds a joint type that is not supported; the element is named.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can grow without bound
        raise CalibrationError(f"{where}: document type declarations are not allowed")
    try:
        tree = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise CalibrationError(f"{where}: is not valid XML ({error})") from None
    if tree.tag != "robot":
        raise CalibrationError(f"{where}: the top element is <{tree.tag}>, not <robot>")
    links = dict.fromkeys(_name(e, where) for e in tree.findall("link"))
    if max(len(links), len(tree.findall("joint"))) > MAX_LINKS:
        raise CalibrationError(f"{where}: a robot of more than {MAX_LINKS:,} links or joints is not read")
    named_joints = {str(j).removeprefix("-") for j in (joint_map or {}).values()}
    edges: dict[str, tuple[str, Joint | Tensor]] = {}
    seen: set[str] = set()
    for element in tree.findall("joint"):
        name = _name(element, where)
        if name in seen:
            raise CalibrationError(f"{where}: joint {name!r}: there are two of this name")
        seen.add(name)
        parent, child, edge = _joint(element, where, named_joints)
        for end, link in (("parent", parent), ("child", child)):
            if link not in links:
                raise CalibrationError(f"{where}: joint {_name(element, where)!r}: {end}: there is no link {link!r}")
        if child in edges:
            raise CalibrationError(f"{where}: link {child!r} is the child of two joints")
        edges[child] = (parent, edge)
    roots = [n for n in links if n not in edges]
    if len(roots) != 1:
        raise CalibrationError(f"{where}: expected one root link, found {', '.join(roots) or 'none'}")
    inertias = {_name(e, where): i for e in tree.findall("link") if (i := _inertia(e, where)) is not None}
    ordered = _parents_first(_resolve_mimic_chains(edges, where), roots[0])
    mimics = tuple(_mimic(e, where, named_joints) for e in tree.findall("joint") if e.find("mimic") is not None)
    robot = Robot(root=roots[0], edges=ordered, inertias=inertias, name=tree.get("name", "robot"), mimics=mimics)
    return with_joint_names(robot, joint_map, where) if joint_map else robot


Edges = dict[str, tuple[str, Joint | Tensor]]


def _resolve_mimic_chains(edges: Edges, where: str) -> Edges:
    """Joints that mimic a mimic follow the joint at the end of the chain.

    Raises:
        CalibrationError: the joint that is mimicked does not move, or mimics the joint that mimics it.
    """
    by_name = {e.own or e.name: e for _, e in edges.values() if isinstance(e, Joint)}
    out: Edges = {}
    for link, (parent, edge) in edges.items():
        if isinstance(edge, Joint) and edge.own:
            followed = [edge.own]
            while edge.own and edge.name not in followed and edge.name in by_name and by_name[edge.name].own:
                if len(followed) > MAX_FOLLOWED:
                    here = f"{where}: joint {edge.own!r}: mimic"
                    raise CalibrationError(f"{here}: follows more than {MAX_FOLLOWED} others")
                leader = by_name[edge.name]
                followed.append(edge.name)
                bias = edge.multiplier * leader.bias + edge.bias
                edge = replace(edge, name=leader.name, multiplier=edge.multiplier * leader.multiplier, bias=bias)
            if edge.name in followed or edge.name not in by_name:
                raise CalibrationError(f"{where}: joint {edge.own!r}: mimic: there is no joint {edge.name!r} to follow")
        out[link] = (parent, edge)
    return out


def with_joint_names(robot: Robot, joint_map: Mapping[str, str], where: str = "joint_map") -> Robot:
    """The robot with the joint names of a log.

    Args:
        robot: with the names of its description.
        joint_map: name in the log -> name in the description, with a leading "-" where the sign of readings differs.
        where: file, for messages.

    Raises:
        CalibrationError: the robot has no such joint, or two joints would have one name.
    """
    mapping = {
        str(v).removeprefix("-"): (str(k), -1.0 if str(v).startswith("-") else 1.0) for k, v in joint_map.items()
    }
    unknown = [j for j in mapping if j not in robot.joints]
    if unknown:
        raise CalibrationError(f"{where}: joint_map: the robot has no joint {unknown[0]!r} ({', '.join(robot.joints)})")
    if len(mapping) < len(joint_map):
        twice, _ = Counter(str(v).removeprefix("-") for v in joint_map.values()).most_common(1)[0]
        raise CalibrationError(f"{where}: joint_map: two names of the log map to joint {twice!r}; keep one of them")
    for name in sorted(set(joint_map) & (set(robot.joints) - set(mapping))):
        raise CalibrationError(f"{where}: joint_map: the robot has another joint called {name!r}; name it too")
    edges: Edges = {}
    for link, (parent, edge) in robot.edges.items():
        if isinstance(edge, Joint) and edge.name in mapping:
            name, sign = mapping[edge.name]
            edge = replace(edge, name=name, multiplier=edge.multiplier * sign)
        edges[link] = (parent, edge)
    return replace(robot, edges=edges, mimics=tuple(_renamed(m, mapping) for m in robot.mimics))


def _renamed(mimic: Mimic, mapping: Mapping[str, tuple[str, float]]) -> Mimic:
    follower, sign = mapping.get(mimic.follower, (mimic.follower, 1.0))
    leader, leader_sign = mapping.get(mimic.leader, (mimic.leader, 1.0))
    multiplier = sign * mimic.multiplier * leader_sign
    return mimic._replace(follower=follower, leader=leader, multiplier=multiplier, offset=sign * mimic.offset)


def _parents_first(edges: Edges, root: str) -> Edges:
    number = {child: i for i, child in enumerate(edges)}
    children: dict[str, list[str]] = {}
    for child, (parent, _) in edges.items():
        children.setdefault(parent, []).append(child)
    out: Edges = {}
    level = [root]
    while level:
        level = sorted((c for parent in level for c in children.get(parent, ())), key=number.__getitem__)
        out |= {child: edges[child] for child in level}
    if len(out) < len(edges):
        raise CalibrationError(f"URDF: links {', '.join(c for c in edges if c not in out)} form a cycle")
    return out


def _joint(element: Element, where: str, driven: set[str]) -> tuple[str, str, Joint | Tensor]:
    name = _name(element, where)
    here = f"{where}: joint {name!r}"
    parent, child = (_attribute(element, tag, "link", here) for tag in ("parent", "child"))
    kind, origin = element.get("type", ""), _origin(element, here)
    if kind == "fixed":
        return parent, child, origin
    if kind not in MOVING:
        raise CalibrationError(f"{here}: type: {kind!r} is not supported, only fixed, {', '.join(MOVING)}")
    axis_element = element.find("axis")
    axis = torch.tensor(_numbers(axis_element, "xyz", 3, here, "1 0 0"), dtype=torch.float64)
    length = float(torch.linalg.norm(axis))
    if not length > 0:
        raise CalibrationError(f"{here}: axis: has no length")
    limit, mimic = element.find("limit"), element.find("mimic")
    lower, upper = -math.inf, math.inf
    if limit is not None and kind != "continuous" and {"lower", "upper"} & set(limit.keys()):
        lower, upper = (_numbers(limit, end, 1, here, "0")[0] for end in ("lower", "upper"))
    source, own, multiplier, bias = name, "", 1.0, 0.0
    if mimic is not None and name not in driven:
        told = _mimic(element, where, driven)
        source, own, multiplier, bias = told.leader, name, told.multiplier, told.offset
    joint = Joint(
        name=source, kind=MOVING[kind], axis=axis / length, origin=origin, multiplier=multiplier, bias=bias,
        lower=lower, upper=upper, own=own,
    )  # fmt: skip
    return parent, child, joint


def _mimic(element: Element, where: str, driven: set[str]) -> Mimic:
    name = _name(element, where)
    mimic, here = element.find("mimic"), f"{where}: joint {name!r}"
    multiplier, offset = (_numbers(mimic, k, 1, here, d)[0] for k, d in (("multiplier", "1"), ("offset", "0")))
    leader = "" if mimic is None else mimic.get("joint", "")
    return Mimic(name, leader, multiplier, offset, element.get("type") != "prismatic", name in driven)


def _inertia(link: Element, where: str) -> Inertia | None:
    element = link.find("inertial")
    if element is None or element.find("mass") is None:
        return None
    here = f"{where}: link {_name(link, where)!r}"
    T = _origin(element, here)
    mass = _numbers(element.find("mass"), "value", 1, here, None)[0]
    if mass < 0:
        raise CalibrationError(f"{here}: mass: {mass:g} kg is below 0")
    inertia_element = element.find("inertia")
    xx, xy, xz, yy, yz, zz = (
        _numbers(inertia_element, k, 1, here, "0")[0] for k in ("ixx", "ixy", "ixz", "iyy", "iyz", "izz")
    )  # fmt: skip
    about = torch.tensor([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=torch.float64)
    return Inertia(mass=mass, center=T[:3, 3], about_center=T[:3, :3] @ about @ T[:3, :3].T)


def _origin(element: Element, where: str) -> Tensor:
    origin = element.find("origin")
    if origin is None:
        return EYE.clone()
    roll, pitch, yaw = _numbers(origin, "rpy", 3, where, "0 0 0")
    R = rotation_about("z", yaw) @ rotation_about("y", pitch) @ rotation_about("x", roll)
    return se3(R, _numbers(origin, "xyz", 3, where, "0 0 0"))


def _numbers(element: Element | None, key: str, count: int, where: str, default: str | None) -> list[float]:
    text = default if element is None else element.get(key, default)
    try:
        numbers = [float(w) for w in (text or "").split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise CalibrationError(f"{where}: {key}: expected {count} number(s), got {text!r}")
    return numbers


def _name(element: Element, where: str) -> str:
    name = element.get("name")
    if not name:
        raise CalibrationError(f"{where}: a <{element.tag}> has no name")
    return name


def _attribute(element: Element, tag: str, key: str, where: str) -> str:
    found = element.find(tag)
    value = None if found is None else found.get(key)
    if not value:
        raise CalibrationError(f"{where}: {tag}: is missing")
    return value
