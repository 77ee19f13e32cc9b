"""Motions of the whole scene. They are accumulated, and applied once to frames, boxes and pending points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib.se3 import as_f64, rotation_about, se3
from fusion_aug.core.parameters import DrawnParameters, ParameterRows
from fusion_aug.core.ranges import Range, can_differ_from
from fusion_aug.core.registry import Call, Context, find_transform, handler_for
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample, merge
from fusion_aug.sample.history import History
from fusion_aug.streams import Stream, TactileImage, Taxels
from fusion_aug.streams.families import Scene
from fusion_aug.transforms.scene import grids, readings, robot, rules, touch, vector_maps  # noqa: F401  (registers)
from fusion_aug.transforms.scene.maps import SceneMaps, scale_and_mirror
from fusion_aug.transforms.scene.renamed_streams import with_renamed_streams
from fusion_aug.transforms.scene.rig import moved_rig
from fusion_aug.transforms.scene.state import SceneState


def _alike(pending: list[SceneMaps]) -> list[list[int]]:
    """Numbers of the samples of a batch whose sensors swap the same names, group by group."""
    groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for u, m in enumerate(pending):
        groups.setdefault(tuple(sorted(m.names.items())), []).append(u)
    return list(groups.values())


def _partners_meet(sample: Sample, pending: list[SceneMaps]) -> bool:
    """Whether what swaps names also swaps values, as joints and pads of a robot do: one stream then holds one rule."""
    touches = any(isinstance(s, Taxels | TactileImage) for s in sample.streams.values())
    return touches or any(m.state.robot is not None for m in pending)


@dataclass(frozen=True, kw_only=True)
class SceneTransform(Transform, Scene, abstract=True):
    """A motion of the scene, defined by the subclass. Draws are per sample or per scene."""

    scopes = ("scene", "sample")
    inverse: ClassVar[str] = "exact"
    accumulates: ClassVar[bool] = True

    @classmethod
    def motion(cls, params: Mapping[str, Any]) -> tuple[Tensor, Tensor, str | None]:
        """Return the motion of drawn parameters.

        Returns:
            H (4, 4) float64, x' = H x in the reference frame; the uniform scale s, a float64 scalar tensor, 1 for rigid
            motions; and the mirrored axis, "x" or "y", or None.
        """
        raise NotImplementedError

    @classmethod
    def maps(cls, params: Mapping[str, Any], state: SceneState) -> SceneMaps:
        """The maps of all frames of one sample."""
        return SceneMaps(*cls.motion(params), state)

    @classmethod
    def accumulate(
        cls,
        sample: Sample,
        drawn: DrawnParameters,
        pending: list[SceneMaps] | None,
        told: Sequence[Mapping[str, Any]] = (),
    ) -> tuple[list[SceneMaps], list[dict[str, Any]]]:
        """Multiply the drawn motions into what is pending, without touching the sample.

        Args:
            sample: a sample or a batch. drawn: parameters of every sample, None of one that is left as it is.
            pending: maps so far, None at first. told: nothing of it is needed.

        Returns:
            the pending maps, one per sample, and for every sample its state before, for ``Record.before``.
        """
        maps: list[SceneMaps] = []
        before: list[dict[str, Any]] = []
        for u, meta in enumerate(sample.metas):
            params = drawn[u]
            if params is None and pending is not None:
                maps.append(pending[u])
                before.append({})
                continue
            state = SceneState.of(meta, sample.streams) if pending is None else pending[u].state_after
            step = SceneMaps.nothing(state) if params is None else cls.maps(params[""], state)
            before.append({} if params is None else state.to_json(step.names, step.rows))
            maps.append(step if pending is None else pending[u].then(step))
        return maps, before

    @classmethod
    def apply(cls, sample: Sample, pending: list[SceneMaps], context: Context) -> Sample:
        """Move reported and true rigs and the streams by all pending motions at once."""
        groups = _alike(pending)
        # on a device no batch is taken apart: what holds a rule for a whole stream has none there
        if len(groups) > 1 and context.program is None and _partners_meet(sample, pending):
            parts = [cls.apply(sample.take(g), [pending[u] for u in g], context) for g in groups]
            return merge(parts, order=[u for g in groups for u in g])
        out = cls.visit(sample, ParameterRows([]), context, pending)
        for u, m in enumerate(pending):
            if m.moves_nothing:
                continue
            meta = sample.metas[u]
            rig = moved_rig(meta.rig, m)
            true_rig = rig if meta.true_rig is meta.rig else moved_rig(meta.true_rig, m)
            clock = m.names.get(meta.clock, meta.clock)
            out = out.with_meta(u, rig=rig, true_rig=true_rig, anchor=m.state_after.anchor, clock=clock)
        for g in groups:
            out = with_renamed_streams(out, pending[g[0]].names, g)
        return out

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """The stream as it was before the motion."""
        maps = cls.maps(params, SceneState.from_json(before)).inverted()
        camera = getattr(stream, "camera", "")
        if camera:
            stream = replace(stream, camera=maps.names.get(camera, camera))  # type: ignore[call-arg]
        stream = replace(stream, frame=maps.names.get(stream.frame, stream.frame))
        maps_per_sample = [maps] * (int(stream.sample_index.max()) + 1 if len(stream) else 1)
        name = maps.names.get(name, name)
        handler = handler_for(cls, stream, name)
        call = Call(cls, Sample(metas=(), streams={}), name, None, Context({}), maps_per_sample)
        return stream if handler is None else handler(stream, call)


ONE = torch.ones((), dtype=torch.float64)
DEGREE = math.pi / 180


@dataclass(frozen=True, kw_only=True)
class RotateScene(SceneTransform):
    """Rotate the scene about the reference frame's origin: yaw about z, then pitch about y, then roll about x.

    ``R = Rz(yaw) Ry(pitch) Rx(roll)``, degrees. Yaw alone keeps boxes upright, which some formats need.
    """

    yaw_deg: Range = 0.0
    pitch_deg: Range = 0.0
    roll_deg: Range = 0.0

    strengths: ClassVar[Strengths] = {
        "yaw_deg": Strength(
            0.0, (-180.0, 180.0), "linear", "declared: loses nothing; half a turn either way", "degrees"
        ),
        "pitch_deg": Strength(0.0, (-10.0, 10.0), "linear", "declared: loses nothing; a slope of 18 %", "degrees"),
        "roll_deg": Strength(0.0, (-10.0, 10.0), "linear", "declared: loses nothing; a slope of 18 %", "degrees"),
    }
    example: ClassVar[dict[str, Any]] = {"yaw_deg": [-45, 45]}

    @classmethod
    def motion(cls, params: Mapping[str, Any]) -> tuple[Tensor, Tensor, str | None]:
        """H = Rz(yaw) Ry(pitch) Rx(roll) about the reference frame's origin, degrees; scale 1, no mirror."""
        R = rotation_about("z", params["yaw_deg"] * DEGREE)
        for axis, name in (("y", "pitch_deg"), ("x", "roll_deg")):
            if isinstance(params[name], Tensor) or params[name] != 0:
                R = R @ rotation_about(axis, params[name] * DEGREE)
        return se3(R), ONE, None

    def effects(self) -> dict[str, str]:
        """Pitch and roll tilt boxes."""
        tilted = [f for f in ("pitch_deg", "roll_deg") if can_differ_from(getattr(self, f), 0.0)]
        return {"box_tilt": f"{type(self).__name__}.{tilted[0]}"} if tilted else {}


@dataclass(frozen=True, kw_only=True)
class TranslateScene(SceneTransform):
    """Shift the scene by x, y, z metres in the reference frame."""

    x: Range = 0.0
    y: Range = 0.0
    z: Range = 0.0

    strengths: ClassVar[Strengths] = {
        "x": Strength(0.0, (-5.0, 5.0), "linear", "declared: loses nothing; a vehicle's length", "m"),
        "y": Strength(0.0, (-5.0, 5.0), "linear", "declared: loses nothing; a vehicle's length", "m"),
        "z": Strength(0.0, (-0.5, 0.5), "linear", "declared: loses nothing; a wheel's height", "m"),
    }
    example: ClassVar[dict[str, Any]] = {"x": [-2.0, 2.0], "y": 1.0, "z": [-0.2, 0.2]}

    @classmethod
    def motion(cls, params: Mapping[str, Any]) -> tuple[Tensor, Tensor, str | None]:
        """H shifts by (x, y, z) metres; scale 1, no mirror."""
        return se3(translation=torch.stack([as_f64(params[k]) for k in "xyz"])), ONE, None


@dataclass(frozen=True, kw_only=True)
class ScaleScene(SceneTransform):
    """Scale the scene uniformly about the reference frame's origin. Velocities and Doppler scale, angles do not."""

    scale: Range

    version: ClassVar[int] = 2  # since 2026-11: torques and efforts grow with their levers
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "accelerometer readings need the attitude, which the record does not hold; all else comes back"
    }

    limits: ClassVar[dict[str, tuple[float, float]]] = {"scale": (1e-3, 1e3)}
    strengths: ClassVar[Strengths] = {
        "scale": Strength(1.0, (0.8, 1.25), "log", "declared: loses nothing; as large as vehicles of one kind differ"),
    }
    example: ClassVar[dict[str, Any]] = {"scale": [0.8, 1.25]}

    def effects(self) -> dict[str, str]:
        """Lengths grow, which what describes a body of fixed size does not."""
        return {"scale": "ScaleScene.scale"} if can_differ_from(self.scale, 1.0) else {}

    @classmethod
    def motion(cls, params: Mapping[str, Any]) -> tuple[Tensor, Tensor, str | None]:
        """H = diag(s, s, s, 1); scale s, no mirror."""
        scale = as_f64(params["scale"])
        return scale_and_mirror(scale, None), scale, None


@dataclass(frozen=True, kw_only=True)
class MirrorScene(SceneTransform):
    """Mirror the scene: ``axis`` names the coordinate of the reference frame that changes sign.

    "y" swaps left and right: sensors whose rig entry names a mirror partner swap names, and words in texts swap.
    "x" swaps front and back. "z" is refused: gravity would point up.
    """

    axis: str = "y"

    example: ClassVar[dict[str, Any]] = {"axis": "y"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axis not in ("x", "y"):
            why = "a mirror along z would turn gravity around" if self.axis == "z" else "expected 'x' or 'y'"
            raise ConfigError(f"{type(self).__name__}.axis: {self.axis!r} is refused: {why}")

    @classmethod
    def motion(cls, params: Mapping[str, Any]) -> tuple[Tensor, Tensor, str | None]:
        """H reverses the coordinate ``axis``; scale 1, mirror ``axis``."""
        axis = str(params["axis"])
        return scale_and_mirror(ONE, axis), ONE, axis

    @classmethod
    def maps(cls, params: Mapping[str, Any], state: SceneState) -> SceneMaps:
        """The maps of all frames of one sample, the same for all that are alike."""
        return SceneMaps.mirror(state, str(params["axis"]))


def scene_motion(history: History) -> Tensor:
    """The whole motion H (4, 4) of the reference frame that the applied records of a history imply."""
    H = torch.eye(4, dtype=torch.float64)
    for record in history:
        cls = find_transform(record.name)
        if record.applied and cls is not None and issubclass(cls, SceneTransform):
            H = cls.motion(record.params[""])[0] @ H
    return H


def world_motion(history: History) -> Tensor | None:
    """The map W (4, 4) of the world that the applied records of a history imply; None where it stays as it is.

    It is upright, and the same for all samples of a scene where these were drawn per scene. Rigid motions change no
    world coordinate, so only mirrors and scales count.
    """
    W = torch.eye(4, dtype=torch.float64)
    for record in history:
        cls = find_transform(record.name)
        if record.applied and cls is not None and issubclass(cls, SceneTransform):
            motion = cls.maps(record.params[""], SceneState.from_json(record.before)).by_role["world"]
            W = W if motion is None else motion.matrix[0] @ W
    return None if torch.allclose(W, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-9) else W


__all__ = [
    "MirrorScene", "RotateScene", "ScaleScene", "SceneTransform", "TranslateScene", "scene_motion", "world_motion",
]  # fmt: skip
