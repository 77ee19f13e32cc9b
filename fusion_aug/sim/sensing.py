"""Streams that are read from the simulated model at its physics steps, as the rig file maps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from fusion_aug.errors import ConfigError
from fusion_aug.sim.packages import mujoco
from fusion_aug.sim.world import name_of
from fusion_aug.streams import Imu, JointState, Stream, Taxels, Wrench

Read = Callable[[], np.ndarray]
KINDS = {
    "joints": ("joints", "columns"), "wrench": ("force", "torque"), "imu": ("gyro", "accel"),
    "taxels": ("sensors", "geoms"),
}  # fmt: skip
OF_STATE = (
    "position",
    "velocity",
)  # columns that are known at once; what MuJoCo works out of a state comes a step later


@dataclass(frozen=True)
class Signal:
    """A stream of numbers that is read from the model.

    Attributes:
        name: of the stream. now: column -> read of the state as it is. later: column -> read of what MuJoCo worked out
            for the state before the last physics step. example: one reading, as a stream.
        to: column -> (key of the observation, first, end), where the environment's observation holds it.
    """

    name: str
    now: Mapping[str, Read]
    later: Mapping[str, Read]
    example: Stream
    to: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)


def read_rig(rig: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """``streams`` and ``parts`` of a rig file, or of a mapping like one.

    Raises:
        ConfigError: it cannot be read, or is no such mapping.
    """
    if rig is None:
        return {}, {}
    where = "Randomized.rig"
    if isinstance(rig, str | Path):
        where = f"rig {Path(rig).name}"
        try:
            rig = yaml.safe_load(Path(rig).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{where}: cannot be read ({type(error).__name__}); give a rig file in YAML") from None
    if not isinstance(rig, Mapping):
        raise ConfigError(f"{where}: expected a mapping with streams and parts, got {type(rig).__name__}")
    streams, parts = rig.get("streams", {}), rig.get("parts", {})
    for name, told in (("streams", streams), ("parts", parts)):
        if not isinstance(told, Mapping) or not all(isinstance(v, Mapping) for v in told.values()):
            raise ConfigError(f"{where}: {name}: expected a mapping of names to mappings")
    return dict(streams), dict(parts)


def signals(model: Any, data: Any, streams: Mapping[str, Any], parts: Mapping[str, Any], dtypes: Any) -> list[Signal]:
    """The streams of a rig file.

    Args:
        model, data: of MuJoCo. streams: name -> kind and the model's things. parts: key of the observation ->
            "stream.column" -> [first, end]. dtypes: key -> dtype of the observation, which decides a
            stream's.

    Raises:
        ConfigError: a kind, a thing or a column is unknown; the message names it.
    """
    to: dict[str, dict[str, tuple[str, int, int]]] = {}
    for key, told in parts.items():
        for part, span in told.items():
            stream, _, column = str(part).rpartition(".")
            where = f"rig: parts.{key}.{part}"
            if stream not in streams:
                raise ConfigError(f"{where}: there is no stream {stream!r} (there are {', '.join(streams)})")
            if not (isinstance(span, list | tuple) and len(span) == 2 and all(isinstance(n, int) for n in span)):
                raise ConfigError(f"{where}: expected [first, end], got {span!r}")
            to.setdefault(stream, {})[column] = (str(key), int(span[0]), int(span[1]))
    return [_signal(model, data, str(n), s, to.get(str(n), {}), dtypes) for n, s in streams.items()]


def _signal(
    model: Any, data: Any, name: str, said: Mapping[str, Any], to: Mapping[str, tuple[str, int, int]], dtypes: Any
) -> Signal:
    where, kind = f"rig: streams.{name}", said.get("kind")
    if kind not in KINDS:
        raise ConfigError(f"{where}.kind: {kind!r} is not one of {', '.join(KINDS)}")
    unknown = [k for k in said if k not in ("kind", *KINDS[kind])]
    if unknown:
        raise ConfigError(f"{where}.{unknown[0]}: unknown, {kind} has {', '.join(KINDS[kind])}")
    frame, reads, extra = READERS[kind](model, data, where, said)
    asked = [c for c in to if c not in reads]
    if asked:
        raise ConfigError(f"rig: parts: {name}.{asked[0]}: the stream has {', '.join(reads)}")
    wide = [d for d in (dtypes.get(to[c][0]) for c in to) if d == np.float64]
    dtype = torch.float64 if wide else torch.float32
    values = {c: torch.from_numpy(np.array(r())[None]).to(dtype) for c, r in reads.items()}
    for column, (key, first, end) in to.items():
        if end - first != values[column].shape[1]:
            raise ConfigError(
                f"rig: parts.{key}.{name}.{column}: [{first}, {end}] does not hold {values[column].shape[1]} numbers"
            )
    example = STREAMS[kind](frame=frame, capture_times=torch.zeros(1, dtype=torch.int64), values=values, **extra)
    now = {c: r for c, r in reads.items() if kind == "joints" and c in OF_STATE}
    return Signal(name, now, {c: r for c, r in reads.items() if c not in now}, example, to)


STREAMS: dict[str, Any] = {"joints": JointState, "wrench": Wrench, "imu": Imu, "taxels": Taxels}
Found = tuple[str, dict[str, Read], dict[str, Any]]


def _joints(model: Any, data: Any, where: str, said: Mapping[str, Any]) -> Found:
    """Positions, velocities and efforts of sliding and turning joints."""
    names, kinds = list(said.get("joints", ())), mujoco().mjtJoint
    ids = [_find(model, "joint", n, f"{where}.joints") for n in names]
    for name, number in zip(names, ids, strict=True):
        if int(model.jnt_type[number]) not in (int(kinds.mjJNT_HINGE), int(kinds.mjJNT_SLIDE)):
            raise ConfigError(f"{where}.joints: {name!r} neither slides nor turns about an axis; leave it out")
    if not names:
        raise ConfigError(f"{where}.joints: expected names of joints")
    q, v = (np.array([int(a[i]) for i in ids]) for a in (model.jnt_qposadr, model.jnt_dofadr))
    every = {
        "position": _taking(data.qpos, q), "velocity": _taking(data.qvel, v), "effort": _taking(data.qfrc_actuator, v),
    }  # fmt: skip
    columns = list(said.get("columns", OF_STATE))
    wrong = [c for c in columns if c not in every]
    if wrong or not columns:
        raise ConfigError(f"{where}.columns: expected some of {', '.join(every)}, got {columns}")
    return "world", {c: every[c] for c in columns}, {"names": tuple(map(str, names))}


def _of_sensors(model: Any, data: Any, where: str, said: Mapping[str, Any]) -> Found:
    """Columns that are sensors of the model, of three numbers each, on one body."""
    reads, frame = {}, ""
    for column in (c for c in said if c != "kind"):
        number = _find(model, "sensor", said[column], f"{where}.{column}")
        first, count = int(model.sensor_adr[number]), int(model.sensor_dim[number])
        if count != 3:
            raise ConfigError(f"{where}.{column}: sensor {said[column]!r} has {count} numbers, not 3")
        reads[column] = _taking(data.sensordata, slice(first, first + 3))
        frame = _body_of_sensor(model, number)
    if not reads:
        raise ConfigError(f"{where}: expected names of the model's sensors")
    return frame, reads, {}


def _taxels(model: Any, data: Any, where: str, said: Mapping[str, Any]) -> Found:
    """Touch sensors, or geometry whose contacts press on it."""
    poses = mujoco().MjData(model)
    mujoco().mj_kinematics(model, poses)
    if ("sensors" in said) == ("geoms" in said):
        raise ConfigError(f"{where}: expected either sensors, names of touch sensors, or geoms")
    if "sensors" in said:
        ids = [_find(model, "sensor", n, f"{where}.sensors") for n in said["sensors"]]
        wide = [n for n, i in zip(said["sensors"], ids, strict=True) if int(model.sensor_dim[i]) != 1]
        if wide:
            raise ConfigError(f"{where}.sensors: {wide[0]!r} has more than one number")
        sites = [int(model.sensor_objid[i]) for i in ids]
        bodies = [int(model.site_bodyid[s]) for s in sites]
        places = [(poses.site_xpos[s], poses.site_xmat[s]) for s in sites]
        read = _taking(data.sensordata, np.array([int(model.sensor_adr[i]) for i in ids]))
    else:
        ids = [_find(model, "geom", n, f"{where}.geoms") for n in said["geoms"]]
        bodies = [int(model.geom_bodyid[i]) for i in ids]
        places = [(poses.geom_xpos[i], poses.geom_xmat[i]) for i in ids]
        read = _pressed(model, data, ids)
    if not ids:
        raise ConfigError(f"{where}: expected at least one name")
    T = np.tile(np.eye(4), (len(ids), 1, 1))
    for k, (place, R) in enumerate(places):
        T[k, :3, :3], T[k, :3, 3] = R.reshape(3, 3), place
    frame = "world"
    if len(set(bodies)) == 1 and bodies[0] != 0:
        frame, body = name_of(model, "body", bodies[0]), np.eye(4)
        body[:3, :3], body[:3, 3] = poses.xmat[bodies[0]].reshape(3, 3), poses.xpos[bodies[0]]
        T = np.linalg.inv(body) @ T
    return frame, {"force": read}, {"poses": torch.from_numpy(T)}


READERS = {"joints": _joints, "wrench": _of_sensors, "imu": _of_sensors, "taxels": _taxels}


def _taking(array: np.ndarray, which: Any) -> Read:
    if isinstance(which, slice):
        view = array[which]
        return view.copy
    return lambda: array.take(which)


def _pressed(model: Any, data: Any, geoms: list[int]) -> Read:
    """Normal forces of contacts, newtons on each of some geoms."""
    module, place, wrench = mujoco(), {g: k for k, g in enumerate(geoms)}, np.zeros(6)

    def read() -> np.ndarray:
        out = np.zeros(len(geoms))
        for number in range(data.ncon):
            pair = data.contact[number]
            for geom in (int(pair.geom1), int(pair.geom2)):
                if geom in place:
                    module.mj_contactForce(model, data, number, wrench)
                    out[place[geom]] += wrench[0]
        return out

    return read


def _find(model: Any, kind: str, name: Any, where: str) -> int:
    sort = getattr(mujoco().mjtObj, f"mjOBJ_{kind.upper()}")
    number = int(mujoco().mj_name2id(model, sort, str(name)))
    if number < 0:
        raise ConfigError(f"{where}: the model has no {kind} {name!r}")
    return number


def _body_of_sensor(model: Any, number: int) -> str:
    sites = int(mujoco().mjtObj.mjOBJ_SITE)
    if int(model.sensor_objtype[number]) != sites:
        return "world"
    return name_of(model, "body", int(model.site_bodyid[int(model.sensor_objid[number])]))
