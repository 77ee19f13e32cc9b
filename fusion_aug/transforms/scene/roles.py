"""What every frame of a rig is to a motion of the scene, and so which map it gets."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from calib.rig import Rig
from calib.sensors import TactileSensor
from calib.symmetry import RobotMirror
from calib.touch_sensors import TaxelSensor, WrenchSensor
from fusion_aug.streams import Imu, PlanarScan, Points, RangeReading, Stream

LINK = "link:"  # role of a frame that has a mirror of its own
ON_THE_SKIN = (TactileSensor, TaxelSensor, WrenchSensor)  # what they measure can be told in any frame of their body


def roles_of(rig: Rig, reference: str) -> dict[str, str]:
    """What every frame of a rig is to a motion of the scene."""
    above = set(rig.ancestors(reference)[1:])
    out = {}
    for n, f in rig.frames.items():
        out[n] = (
            "ref" if n == reference else "world" if n in above or f.axis_convention == "world" else f.axis_convention
        )
    return out


def roles_with_robot(
    roles: Mapping[str, str], rig: Rig, robot: RobotMirror, streams: Mapping[str, Stream]
) -> dict[str, str]:
    """The roles where a robot has a mirror: its links have maps of their own, which keep their mountings.

    A device and the housing that holds it on a link keep theirs only where their mirror image is one, of themselves or
    of their partner. Elsewhere they change sides: what they read depends on where they are.
    """
    out = dict(roles)
    moved = _mounted(rig, _devices(roles, rig, streams))
    for name in robot.links:
        if roles[name] == "body" and (name not in moved or name in robot.own_images):
            out[name] = f"{LINK}{name}"
    return out


def _devices(roles: Mapping[str, str], rig: Rig, streams: Mapping[str, Stream]) -> set[str]:
    """Frames of what sees, or feels its own motion."""
    found = {n for n, role in roles.items() if role == "camera"}
    found |= {s.frame for s in rig.sensors.values() if not isinstance(s, ON_THE_SKIN)}
    for stream in streams.values():
        if isinstance(stream, Imu | Points | PlanarScan | RangeReading):
            found.add(stream.frame)
        if isinstance(stream, Points):
            found.update(stream.origins)
    return found & set(roles)


def _mounted(rig: Rig, devices: set[str]) -> set[str]:
    """Devices and the frames that hold them, down from the last frame that moves or that carries a joint."""
    carrying = {a for n, f in rig.frames.items() if f.pose_kind == "joint" for a in rig.ancestors(n)}
    out: set[str] = set()
    for device in devices:
        for name in rig.ancestors(device):
            if name in carrying or not isinstance(rig.frames[name].pose, Tensor):
                break
            out.add(name)
    return out
