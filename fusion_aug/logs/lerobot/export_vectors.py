"""Streams of numbers as vectors of LeRobotDataset: which column goes where, and what each number is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from calib.rotation_forms import WIDTHS, form_from_rotation
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.episodes import Undeclared
from fusion_aug.logs.lerobot.export_options import Chosen
from fusion_aug.sample import REF, Sample
from fusion_aug.streams import JointState, RobotVector, Stream

ROTATION = "quaternion_xyzw"  # form in which a pose is written
# words of a state of joints -> those of states and commands of any kind, and back
OF_JOINTS = {"position": "joint_position", "velocity": "joint_velocity", "effort": "joint_effort"}
TO_JOINTS = {word: column for column, word in OF_JOINTS.items()}
JOINED = (
    "joint_position",
    "joint_velocity",
    "joint_delta",
    "joint_effort",
    "gripper",
    "gripper_velocity",
    "command",
    "value",
)  # fmt: skip  columns that several streams may share; of the others there is one
UNMOVED = ("gripper", "gripper_velocity", "command", "value")
ORDER = ("joint_position", "joint_velocity", "joint_delta", "joint_effort", "position", *WIDTHS)
LETTERS = {
    "position": "xyz", "velocity": ("vx", "vy", "vz"), "angular_velocity": ("wx", "wy", "wz"),
    "rpy": ("roll", "pitch", "yaw"), "quaternion_xyzw": ("qx", "qy", "qz", "qw"),
    "quaternion_wxyz": ("qw", "qx", "qy", "qz"), "force": ("fx", "fy", "fz"), "torque": ("tx", "ty", "tz"),
    "gyro": ("gx", "gy", "gz"), "accel": ("ax", "ay", "az"), "orientation": ("ow", "ox", "oy", "oz"),
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A column of a stream that is a part of a vector.

    Attributes:
        stream, column: where it is from. word: its column in the vector. names: of its numbers.
    """

    stream: str
    column: str
    word: str
    names: tuple[str, ...]

    def rows(self, stream: Stream) -> Tensor:
        """Its numbers (n, k) of a stream; rotations of a pose go on from frame to frame without a change of sign."""
        values: Tensor = stream[self.column]
        if self.column == "pose":
            if self.word == "position":
                return values[:, :3, 3]
            rows = form_from_rotation(ROTATION, values[:, :3, :3], _identity(len(values)))
            turned = torch.cat([torch.ones(1, dtype=rows.dtype), (rows[1:] * rows[:-1]).sum(1).sign()])
            return rows * torch.where(turned == 0, 1.0, turned).cumprod(0)[:, None]
        return values[:, None] if values.ndim == 1 else values


@dataclass(frozen=True)
class Vector:
    """A vector of the output.

    Attributes:
        pieces: in their order. declared: their meaning, as ``log.parts`` has it. shift: frames by which it is ahead.
    """

    pieces: tuple[Piece, ...]
    declared: Mapping[str, Any] = field(default_factory=dict)
    shift: int = 0

    @property
    def names(self) -> list[str]:
        """Names of its numbers."""
        return [n for piece in self.pieces for n in piece.names]


def _identity(count: int) -> Tensor:
    return torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64).expand(count, 4)


# --- the parts of a vector --------------------------------------------------------------------------------------------
def pieces_of(sample: Sample, chosen: Chosen, option: str) -> list[Piece]:
    """The columns of chosen streams, by their words in states and commands.

    Raises:
        ConfigError: one has no place in a vector.
    """
    out = []
    for name, columns in chosen.items():
        stream = sample[name]
        for column in columns or usual_columns(stream):
            found = pieces_of_column(stream, name, column)
            if not found:
                known = ", ".join(usual_columns(stream)) or "none of its columns does"
                raise ConfigError(f"output.{option}: {name}: {column!r} has no place in a vector (there are: {known})")
            out += found
        if not columns and not usual_columns(stream):
            raise ConfigError(f"output.{option}: {name}: a {type(stream).__name__} has no place in a vector")
    return out


def usual_columns(stream: Stream) -> list[str]:
    """Columns of a stream that a state or a command holds."""
    if isinstance(stream, JointState):
        return [c for c in ("position", "velocity", "gripper") if c in stream.values]
    if "pose" in stream.values:
        return ["pose"]
    return [c for c in stream.values if pieces_of_column(stream, "", c)]


def pieces_of_column(stream: Stream, name: str, column: str) -> list[Piece]:
    """The pieces that a column becomes; none where a vector has no place for it."""
    value = stream.values.get(column)
    if not isinstance(value, Tensor) or value.ndim > 3:
        return []
    of = stream.child or name.strip("/").replace("/", "_")
    if column == "pose" and value.ndim == 3:
        return [Piece(name, column, w, names_of(stream, w, k, of)) for w, k in (("position", 3), (ROTATION, 4))]
    word = OF_JOINTS.get(column, column) if isinstance(stream, JointState) else column
    known = isinstance(stream, Undeclared) or word in RobotVector.column_table() or word == "joint_effort"
    if not known or value.ndim > 2:
        return []
    return [Piece(name, column, word, names_of(stream, word, value.shape[1] if value.ndim == 2 else 1, of))]


def names_of(stream: Stream, word: str, width: int, of: str) -> tuple[str, ...]:
    """Names of the numbers of a column."""
    if word.startswith("joint_"):
        ending = "" if word == "joint_position" else f".{word.removeprefix('joint_')}"
        return tuple(f"{joint}{ending}" for joint in stream.names)  # type: ignore[attr-defined]
    if word in LETTERS and len(LETTERS[word]) == width:
        return tuple(f"{of}.{letter}" for letter in LETTERS[word])
    what = of if word in ("value", "event") else f"{of}.{word}"
    return (what,) if width == 1 else tuple(f"{what}_{i}" for i in range(width))


# --- their order ------------------------------------------------------------------------------------------------------
def vector_of(sample: Sample, pieces: Sequence[Piece], option: str, *, command: bool) -> tuple[Vector, list[Piece]]:
    """Put pieces in order, and say what they mean.

    Returns:
        the vector, and pieces that it cannot hold: of readings that other joints do not have.

    Raises:
        ConfigError: two are the same, or lie in different frames.
    """
    streams = {p.stream: sample[p.stream] for p in pieces}
    unknown = [n for n, s in streams.items() if isinstance(s, Undeclared)]
    if unknown:
        if len(unknown) < len(streams):
            raise ConfigError(
                f"output.{option}: nothing is known of the numbers of {unknown[0]!r}, which cannot be joined with "
                f"{next(n for n in streams if n not in unknown)!r}; {Undeclared.remedy}"
            )
        return Vector(tuple(pieces), _frame_of(sample, streams.values())), []
    words = sorted(dict.fromkeys(p.word for p in pieces), key=lambda w: (_rank(w), w in UNMOVED))
    lead = next((w for w in words if w.startswith("joint_")), None)
    leading = [p.stream for p in pieces if p.word == lead]
    kept: list[Piece] = []
    for word in words:
        mine = [p for p in pieces if p.word == word]
        if word.startswith("joint_") and [p.stream for p in mine] != leading:
            continue
        if word not in JOINED and len(mine) > 1:
            names = " and ".join(p.stream for p in mine)
            raise ConfigError(f"output.{option}: {names} have a {word} each, and a vector has one; name one of them")
        kept += mine
    joints = [j for p in kept if p.word == lead for j in streams[p.stream].names]  # type: ignore[attr-defined]
    twice = sorted({j for j in joints if joints.count(j) > 1})
    if twice:
        names = " and ".join(dict.fromkeys(p.stream for p in kept if p.word == lead))
        raise ConfigError(f"output.{option}: joint {twice[0]!r} is read from {names}; name the streams that are meant")
    plain = not command and {p.word for p in kept} <= {*TO_JOINTS, "gripper"}
    declared: dict[str, Any] = {}
    at = 0
    for piece in kept:
        word = TO_JOINTS.get(piece.word, piece.word) if plain else piece.word
        declared[word] = [declared.get(word, [at])[0], at + len(piece.names)]
        at += len(piece.names)
    moving = [streams[p.stream] for p in kept if not p.word.startswith("joint_") and p.word not in UNMOVED]
    if moving:
        declared |= _frame_of(sample, moving)
        places = {(s.frame, s.child) for s in moving}
        if len(places) > 1:
            raise ConfigError(f"output.{option}: its poses are of several frames, {sorted(places)}; name one stream")
    if joints:
        declared["joints"] = joints
    return Vector(tuple(kept), declared), [p for p in pieces if p not in kept]


def _rank(word: str) -> int:
    return ORDER.index(word) if word in ORDER else len(ORDER)


def _frame_of(sample: Sample, streams: Any) -> dict[str, str]:
    """``frame`` and ``tool`` of the declared meaning."""
    first = next(iter(streams))
    frame = sample.ref.frame if first.frame == REF else first.frame
    return {n: v for n, v in (("frame", frame), ("tool", first.child)) if v}


def own_vector(sample: Sample, name: str) -> Vector | None:
    """A vector of all numbers of a stream; None where a column is no such.

    Covariances are not in it, and of an attitude that is not known nothing.
    """
    stream = sample[name]
    pieces = []
    for column, value in stream.values.items():
        kind = stream.column_types[column].kind if column in stream.column_types else ""
        if kind == "covariance":
            continue
        many = isinstance(stream, Undeclared)
        if not isinstance(value, Tensor) or not 1 <= value.ndim <= (3 if many else 2) or not len(value):
            return None
        width = 1 if value.ndim == 1 else value.shape[1]
        of = "" if column in LETTERS else name.strip("/").replace("/", "_")
        names = names_of(stream, column, width, of) if value.ndim < 3 else ()
        pieces.append(Piece(name, column, column, tuple(n.lstrip(".") for n in names)))
    if not pieces:
        return None
    declared: dict[str, Any] = _frame_of(sample, [stream])
    at = 0
    for piece in pieces if not isinstance(stream, Undeclared) else ():
        declared[piece.word] = [at, at + len(piece.names)]
        at += len(piece.names)
    if getattr(stream, "names", ()):
        declared["joints"] = list(stream.names)  # type: ignore[attr-defined]
    return Vector(tuple(pieces), declared)
