"""Which features a sample of another log becomes, worked out from the sample as it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from calib import TaxelSensor
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.episodes import Undeclared
from fusion_aug.logs.core.parts import read_parts
from fusion_aug.logs.core.vectors import vector_stream
from fusion_aug.logs.lerobot.contents import INDEX
from fusion_aug.logs.lerobot.export_features import (
    ACTION,
    EFFORT,
    IMAGE,
    IMAGES,
    STATE,
    VIDEO,
    Pictures,
    feature_name,
    found,
    pictures_of,
)
from fusion_aug.logs.lerobot.export_options import Chosen, ExportOptions
from fusion_aug.logs.lerobot.export_vectors import (
    OF_JOINTS,
    Piece,
    Vector,
    own_vector,
    pieces_of,
    usual_columns,
    vector_of,
)
from fusion_aug.logs.lerobot.reader import stream_name
from fusion_aug.sample import Sample
from fusion_aug.streams import (
    Action,
    ImageStream,
    JointState,
    Opaque,
    RobotState,
    Stream,
    Taxels,
    Text,
)

STATES = ("state", "observation.state", "qpos", "agent_pos")  # streams without a declared meaning that are states
ACTIONS = ("action", "actions")
NEAR = 0.01  # of a rate: within it a whole number of frames per second is meant


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Features of the output, by their names.

    Attributes:
        fps: frames per second. base: frame of streams of which nothing else is said.
        pictures, vectors: feature -> where it is from. taxels: features of vectors that are forces on taxels.
        left_out: sentences of what is not written, and why.
    """

    fps: float
    base: str
    pictures: Mapping[str, Pictures] = field(default_factory=dict)
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    taxels: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()

    @property
    def features(self) -> list[str]:
        """Names of all features but the index columns."""
        return [*self.pictures, *self.vectors]

    def name(self, feature: str) -> str:
        """Name of a feature's stream where it is read."""
        return stream_name(feature, [*self.features, *INDEX])

    def names_of(self, stream: str) -> list[str]:
        """Streams of the output that are made of a stream of the source."""
        made = [f for f, p in self.pictures.items() if p.stream == stream]
        made += [f for f, v in self.vectors.items() if any(p.stream == stream for p in v.pieces)]
        return [self.name(f) for f in made]

    def sources_of(self, name: str) -> list[str]:
        """Streams of the source that a stream of the output is made of."""
        made = [p.stream for f, p in self.pictures.items() if self.name(f) == name]
        made += [p.stream for f, v in self.vectors.items() if self.name(f) == name for p in v.pieces]
        return list(dict.fromkeys(made))

    @property
    def used(self) -> set[str]:
        """Streams of the source that features are made of."""
        pieces = (p.stream for v in self.vectors.values() for p in v.pieces)
        return {*(p.stream for p in self.pictures.values()), *pieces}

    @property
    def cameras(self) -> dict[str, str]:
        """Camera of the source -> its name in the output."""
        return {p.stream: self.name(f) for f, p in self.pictures.items() if p.kind in (VIDEO, IMAGE)}

    def told(self) -> dict[str, Any]:
        """What has to be the same in all episodes."""
        sizes = {f: f"{p.kind} {p.size[1]}x{p.size[0]}" for f, p in self.pictures.items()}
        return {"fps": self.fps, **sizes, **{f: ", ".join(v.names) for f, v in self.vectors.items()}}


def plan_of(sample: Sample, options: ExportOptions) -> Plan:
    """The features of a sample as it is read.

    Raises:
        ConfigError: an option names what the sample does not have, or the sample has nothing that a feature holds.
    """
    left_out: list[str] = []
    pictures = pictures_of(sample, options)
    vectors, lost = _states_and_actions(sample, options)
    left_out += [f"{p.stream}.{p.column} (not of all joints)" for p in lost]
    taken = {p.stream for v in vectors.values() for p in v.pieces}
    taxels = set()
    for name in (n for n in sample.streams if n not in taken):
        feature = feature_name(name, sample[name])
        vector = _of_its_own(sample, name)
        if vector is not None and feature not in vectors:
            vectors[feature] = vector
            taxels |= {feature} if isinstance(sample[name], Taxels) else set()
    if not pictures and not vectors:
        raise ConfigError(
            f"sample {sample.id!r}: holds neither pictures nor numbers of a robot that LeRobot has features for"
        )
    _refuse_clashes([*pictures, *vectors])
    base = next((sample[p.stream].frame for v in vectors.values() for p in v.pieces), "")
    base = base if base in sample.rig.frames else sample.ref.frame
    fps = options.fps or usual_rate(sample, pictures.values(), vectors)
    return Plan(fps=fps, base=base, pictures=pictures, vectors=vectors, taxels=frozenset(taxels),
                left_out=(*left_out, *_partly_used(sample, vectors)))  # fmt: skip


def _refuse_clashes(features: list[str]) -> None:
    names = [stream_name(f, [*features, *INDEX]) for f in features]
    for i, name in enumerate(names):
        if name in names[:i] or "/" in features[i]:
            raise ConfigError(
                f"output: {features[names.index(name)]} and {features[i]} cannot both be features, or one of them "
                f"holds a slash; give output.cameras={{CAMERA: {IMAGES}NAME}}, or leave one out with log.exclude"
            )


# --- vectors ----------------------------------------------------------------------------------------------------------
def _states_and_actions(sample: Sample, options: ExportOptions) -> tuple[dict[str, Vector], list[Piece]]:
    """observation.state, observation.effort and action, and pieces that these cannot hold."""
    out: dict[str, Vector] = {}
    lost: list[Piece] = []
    states = _asked(sample, options.state, "state") or _usual(sample, (JointState, RobotState), STATES)
    if states:
        out[STATE], more = vector_of(sample, pieces_of(sample, states, "state"), "state", command=False)
        lost += more
    actions = _asked(sample, options.action, "action") or _usual(sample, (Action,), ACTIONS)
    if options.next_state:
        if not states:
            raise ConfigError("output.action: next_state needs a state, and there is none; give output.state=[STREAM]")
        out[ACTION] = next_states(out[STATE])
    elif actions:
        out[ACTION], more = vector_of(sample, pieces_of(sample, actions, "action"), "action", command=True)
        lost += more
    efforts: Chosen = {n: ("effort",) for n, columns in states.items() if not columns and "effort" in sample[n].values}
    if efforts and EFFORT not in sample.streams:
        out[EFFORT], _ = vector_of(sample, pieces_of(sample, efforts, "state"), "state", command=False)
    return out, lost


def next_states(state: Vector) -> Vector:
    """Commands that are the states of the next frame; joints are then called as those of commands are."""
    declared = {OF_JOINTS.get(w, w) if "joints" in state.declared and "joint_position" not in state.declared else w: v
                for w, v in state.declared.items()}  # fmt: skip
    return Vector(state.pieces, declared, shift=1)


def _asked(sample: Sample, chosen: Chosen | None, option: str) -> Chosen:
    return {found(sample, n, option): columns for n, columns in (chosen or {}).items()}


def _usual(sample: Sample, kinds: tuple[type[Stream], ...], names: tuple[str, ...]) -> Chosen:
    """Streams that states or commands are of by default; those of several hands keep vectors of their own."""
    out: dict[str, tuple[str, ...]] = {}
    for name, stream in sample.streams.items():
        if not isinstance(stream, kinds) or isinstance(stream, Opaque) or not len(stream) or not usual_columns(stream):
            continue
        try:
            vector_of(sample, pieces_of(sample, {**out, name: ()}, "state"), "state", command=kinds == (Action,))
        except ConfigError:
            if not out:
                raise
            continue
        out[name] = ()
    if out:
        return out
    unknown = (n for n in names if isinstance(sample.streams.get(n), Undeclared))
    return dict.fromkeys(list(unknown)[:1], ())


def _of_its_own(sample: Sample, name: str) -> Vector | None:
    """The vector of a stream that is a feature of its own: one that is read back as the same kind of stream."""
    stream = sample[name]
    if isinstance(stream, ImageStream | Text | Opaque) or len(stream) < 2:
        return None
    vector = own_vector(sample, name)
    if vector is None or isinstance(stream, Undeclared):
        return vector
    if isinstance(stream, Taxels):
        sensor = sample.rig.sensors.get(name)
        known = isinstance(sensor, TaxelSensor) and sensor.poses is not None
        return Vector(vector.pieces) if known else None
    try:
        value = torch.zeros(1, len(vector.names), dtype=torch.float64)
        fields_of = {"frame": stream.frame, "capture_times": torch.zeros(1, dtype=torch.int64)}
        parts = read_parts(vector.declared, name)
        made = vector_stream(feature_name(name, stream), value, parts, vector.names, (), fields_of)
    except ConfigError:
        return None
    same = all(getattr(made, f.name) == getattr(stream, f.name) for f in fields(stream) if _is_plain(stream, f.name))
    return vector if type(made) is type(stream) and same else None


def _is_plain(stream: Stream, name: str) -> bool:
    return name not in (*stream.item_fields, "values") and not isinstance(getattr(stream, name), Tensor)


def _partly_used(sample: Sample, vectors: Mapping[str, Vector]) -> list[str]:
    """Columns of streams that become features without them."""
    used = {(p.stream, p.column) for v in vectors.values() for p in v.pieces}
    out = []
    for name in dict.fromkeys(n for n, _ in used):
        rest = [c for c in sample[name].values if (name, c) not in used]
        out += [f"{name}.{c}" for c in rest]
    return out


# --- the rate ---------------------------------------------------------------------------------------------------------
def usual_rate(sample: Sample, pictures: Iterable[Pictures], vectors: Mapping[str, Vector]) -> float:
    """Rate of the first camera, that of the clock before others, else of commands, else of states, else of any stream.

    Raises:
        ConfigError: no stream has two items.
    """
    cameras = sorted((p.stream for p in pictures), key=lambda n: n != sample.meta.clock)
    others = [p.stream for f in (ACTION, STATE, *vectors) if f in vectors for p in vectors[f].pieces]
    for name in (*cameras, *others):
        steps = sample[name].capture_times.diff()
        if len(steps) and float(steps.double().median()) > 0:
            rate = 1e9 / float(steps.double().median())
            whole = round(rate)
            return float(whole) if whole and abs(rate / whole - 1) < NEAR else round(rate, 3)
    raise ConfigError(f"output.fps: no stream of sample {sample.id!r} has a rate; give output.fps=RATE")
