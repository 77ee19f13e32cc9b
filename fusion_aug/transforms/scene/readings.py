"""What a motion of the scene does to twists, inertial units, planar scans, distances and satellite fixes."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.se3 import skew
from fusion_aug.core.registry import Call, handles
from fusion_aug.errors import Obstacle
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams import BodyPose, BodyTwist, Imu, PlanarScan, RangeReading, SatelliteFix, Stream
from fusion_aug.streams.columns import is_known_covariance
from fusion_aug.streams.families import Scene
from fusion_aug.streams.readings import TILT
from fusion_aug.transforms.scene.roles import LINK
from fusion_aug.transforms.scene.rules import motion_per_item, move_columns


@handles(Scene, BodyPose)
def move_body_pose(stream: BodyPose, call: Call) -> Stream:
    """By the columns; the velocity is that of the child frame's origin, which a motion may shift on the body."""
    child = motion_per_item(call.family_state, stream.child, stream) if stream.child else None
    return with_shifted_origin(move_columns(stream, call), child, "twist_covariance")


@handles(Scene, BodyTwist)
def move_twist(stream: BodyTwist, call: Call) -> Stream:
    """By the columns; the velocity is that of the frame's origin, which a motion may shift on the body."""
    own = motion_per_item(call.family_state, stream.frame, stream)
    return with_shifted_origin(move_columns(stream, call), own, "covariance")


@handles(Scene, Imu)
def move_imu(stream: Imu, call: Call) -> Stream:
    """By the columns, in the frame of the unit.

    Raises:
        Obstacle: that is a link whose mirror image lies beside it, at another lever arm, and which carries joints.
    """
    check_lever_arm(stream, call)
    return move_columns(stream, call)


def check_lever_arm(stream: Imu, call: Call) -> None:
    """Raise where a unit would have to measure at another lever arm.

    Raises:
        Obstacle: see ``move_imu``.
    """
    for maps in call.family_state:
        own = maps(stream.frame)
        is_link = maps.state.roles.get(stream.frame, "").startswith(LINK)
        if is_link and own is not None and float(own.matrix[:, :3, 3].abs().max()) > TILT:
            reason = f"its frame {stream.frame!r} lies beside the robot's mirror plane, and carries joints that stay"
            raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, stream.remedy)


def with_shifted_origin(stream: Stream, motion: Motion | None, covariance: str) -> Stream:
    """A moved twist at the new origin of its frame: v' = v - omega x t, and so its covariance.

    Args:
        stream: with the columns velocity and angular_velocity, after the motion. motion: of the frame they are in.
        covariance: name of the column of both.
    """
    if motion is None or not bool(motion.matrix[:, :3, 3].any()):
        return stream
    if not {"velocity", "angular_velocity"} <= set(stream.values):
        return stream
    spin = stream.values["angular_velocity"]
    shift = motion.matrix[:, :3, 3].to(spin)
    out = {"velocity": stream.values["velocity"] - torch.linalg.cross(spin, shift.expand_as(spin))}
    known = stream.values.get(covariance)
    if known is not None:
        A = torch.eye(6, dtype=known.dtype, device=known.device).repeat(len(shift), 1, 1)
        A[:, :3, 3:] = skew(shift).to(known)  # -omega x t is t x omega
        out[covariance] = torch.where(is_known_covariance(known)[:, None, None], A @ known @ A.transpose(1, 2), known)
    return stream.with_values(**out)


@handles(Scene, SatelliteFix)
def keep_fix(stream: SatelliteFix, call: Call) -> SatelliteFix:
    """The stream itself under rigid motions, which move the frame of reference and not the world.

    Raises:
        Obstacle: the scene is mirrored or scaled: the place would no longer be one of the earth.
    """
    if any(m.flips_images or m.scale.requires_grad or float(m.scale) != 1.0 for m in call.family_state):
        reason = "a position on the earth cannot be mirrored or scaled"
        raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, stream.remedy)
    return stream


@handles(Scene, RangeReading)
def move_range(stream: RangeReading, call: Call) -> Stream:
    """Lengths scale.

    Raises:
        Obstacle: the frame itself is turned or shifted, so that the sensor would have to look elsewhere.
    """
    check_looks_ahead(stream, call)
    return move_columns(stream, call)


def check_looks_ahead(stream: RangeReading, call: Call) -> None:
    """Raise where the frame of a distance sensor is turned or shifted.

    Raises:
        Obstacle: see ``move_range``.
    """
    motion = motion_per_item(call.family_state, stream.frame, stream)
    if motion is not None:
        ahead = motion.Q[:, :, 0] - motion.Q.new_tensor([1.0, 0.0, 0.0])
        if max(float(ahead.abs().max()), float(motion.matrix[:, :3, 3].abs().max())) > TILT:
            raise _not_in_this_frame(stream, call)


@handles(Scene, PlanarScan)
def move_planar_scan(stream: PlanarScan, call: Call) -> Stream:
    """Lengths scale. A turn about z shifts the angles; a mirror of y negates them.

    Where all rays of a sweep are of one time (``time_increment`` 0), a mirror reverses the order of the rays, so that
    the angles still grow. Otherwise the mirrored scanner turns the other way: the rays keep their order and their
    times, and ``angle_increment`` changes its sign.

    Raises:
        Obstacle: the scan's own frame is tilted or shifted, so that other rays would have to be known.
    """
    found = turns_of_scans(stream, call)
    return stream if found is None else move_columns(stream, call).turned(*found)  # type: ignore[attr-defined]


def turns_of_scans(stream: PlanarScan, call: Call) -> tuple[Tensor, Tensor] | None:
    """By how much every sweep turns, (n,) rad, and whether it is mirrored, (n,); None where all stay.

    Raises:
        Obstacle: see ``move_planar_scan``.
    """
    motion = motion_per_item(call.family_state, stream.frame, stream)
    if motion is None:
        return None
    Q = motion.Q
    tilt = (Q[:, 2] - Q.new_tensor([0.0, 0.0, 1.0])).abs().max()
    if max(float(tilt), float(motion.matrix[:, :3, 3].abs().max())) > TILT:
        raise _not_in_this_frame(stream, call)
    turn = torch.atan2(Q[:, 1, 0], Q[:, 0, 0])
    turn = torch.where(turn.abs() <= TILT, torch.zeros_like(turn), turn)
    return turn.expand(len(stream)), (motion.sign < 0).expand(len(stream))


def _not_in_this_frame(stream: Stream, call: Call) -> Obstacle:
    reason = f"its frame {stream.frame!r} is the one that the motion turns or shifts, and its rays cannot follow"
    return Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, stream.remedy)
