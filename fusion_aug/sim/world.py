"""``MujocoWorld``: which figures of a simulated world are drawn, and a model that gets them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from fusion_aug.core.random import Keys
from fusion_aug.core.ranges import Range, check_range, draw_several
from fusion_aug.errors import ConfigError
from fusion_aug.sim import world_forces  # noqa: F401  (registers)
from fusion_aug.sim.packages import mujoco
from fusion_aug.sim.world_fields import BOXES, CONSTANTS, FIELDS, TEXTURES, WorldField

Draws = dict[str, dict[str, list[float]]]  # field -> thing -> numbers
SAME = 1e-9  # relative; what mj_setConst gives otherwise was set by hand
# what mj_setConst works out and somebody may have set otherwise before
WORKED_OUT = (
    "eq_data", "actuator_length0", "actuator_acc0", "tendon_length0", "tendon_invweight0", "body_subtreemass",
    "body_invweight0", "dof_invweight0", "dof_M0", "cam_pos0", "cam_poscom0", "cam_mat0", "light_pos0", "light_poscom0",
    "light_dir0", "stat.center", "stat.extent", "stat.meaninertia", "stat.meanmass", "stat.meansize",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MujocoWorld:
    """Figures of a MuJoCo model that are drawn for each episode.

    Every field is a ``Range`` for all things of its kind, or a mapping from names (with ``*``) to ranges; the last name
    that fits a thing counts. Each thing has a draw of its own, of as many numbers as the field has. "times" is a factor
    on the model's own figure, other units are added. docs/sim_to_real.md has the table.

    Attributes:
        size, mass, inertia: of bodies, times. com: of bodies, m.
        friction, softness: of geoms, times.
        damping, armature, dry_friction, stiffness, limits: of joints, times.
        gain, force_limit: of actuators, times.
        gravity: times. gravity_tilt_deg: degrees.
        light_pos: m. light_deg: degrees. light_level, headlight: times.
        colour: of geoms, material_colour, texture: times, red, green and blue.
        force, torque: on bodies, N and Nm; joint_effort: on joints, Nm or N; during the whole episode.
        camera_pos: m. camera_deg: degrees. focal: times. principal: pixels.

    Raises:
        ConfigError: a range is none or leaves the field's limits.
    """

    size: Range | Mapping[str, Range] | None = None
    mass: Range | Mapping[str, Range] | None = None
    inertia: Range | Mapping[str, Range] | None = None
    com: Range | Mapping[str, Range] | None = None
    friction: Range | Mapping[str, Range] | None = None
    softness: Range | Mapping[str, Range] | None = None
    damping: Range | Mapping[str, Range] | None = None
    armature: Range | Mapping[str, Range] | None = None
    dry_friction: Range | Mapping[str, Range] | None = None
    stiffness: Range | Mapping[str, Range] | None = None
    limits: Range | Mapping[str, Range] | None = None
    gain: Range | Mapping[str, Range] | None = None
    force_limit: Range | Mapping[str, Range] | None = None
    gravity: Range | None = None
    gravity_tilt_deg: Range | None = None
    light_pos: Range | Mapping[str, Range] | None = None
    light_deg: Range | Mapping[str, Range] | None = None
    light_level: Range | Mapping[str, Range] | None = None
    headlight: Range | None = None
    colour: Range | Mapping[str, Range] | None = None
    material_colour: Range | Mapping[str, Range] | None = None
    texture: Range | Mapping[str, Range] | None = None
    camera_pos: Range | Mapping[str, Range] | None = None
    camera_deg: Range | Mapping[str, Range] | None = None
    focal: Range | Mapping[str, Range] | None = None
    principal: Range | Mapping[str, Range] | None = None
    force: Range | Mapping[str, Range] | None = None
    torque: Range | Mapping[str, Range] | None = None
    joint_effort: Range | Mapping[str, Range] | None = None

    def __post_init__(self) -> None:
        for name in self.chosen():
            said, spec = getattr(self, name), FIELDS[name]
            named = isinstance(said, Mapping) and "distribution" not in said
            pairs = said.items() if named else [("*", said)]
            where = f"MujocoWorld.{name}"
            ranges = {str(n): check_range(r, f"{where}.{n}" if named else where, spec.low, spec.high) for n, r in pairs}
            object.__setattr__(self, name, ranges)

    def chosen(self) -> list[str]:
        """Names of the fields that are given."""
        return [f.name for f in fields(self) if getattr(self, f.name) is not None]


class BoundWorld:
    """A world's draws on one model. The model is changed in place, from its nominal values each time.

    Args:
        world: what is drawn. model: of MuJoCo, with its nominal values.

    Attributes:
        textures: numbers of the textures that the last draw changed, which a renderer has to load.

    Raises:
        ConfigError: the model has nothing that a field or a name in it means; the message says what it has.
    """

    def __init__(self, world: MujocoWorld, model: Any):
        self.model = model
        self._parts = {name: _Things(FIELDS[name], getattr(world, name), model) for name in world.chosen()}
        specs = [FIELDS[name] for name in self._parts]
        arrays = {a for spec in specs if spec.on == "model" for a in spec.arrays}
        self._stale = {s for spec in specs for s in spec.stale}
        if BOXES in self._stale:
            arrays |= {"bvh_aabb", "body_ipos"}
        self._nominal = {name: np.array(value_of(model, name)) for name in sorted(arrays)}
        self._kept: dict[str, np.ndarray] = {}
        if CONSTANTS in self._stale:
            self._scratch = mujoco().MjData(model)
            self._kept = set_by_hand(model)
        self.textures: list[int] = []

    def draw(self, keys: Keys, owner: str) -> Draws:
        """Numbers of an episode, JSON-able; keyed by (seed, epoch, owner, field)."""
        return {name: part.draw(keys.generator(owner, f"world/{name}", "params")) for name, part in self._parts.items()}

    def apply(self, draws: Draws) -> None:
        """Bring the model to its nominal values, change it by draws, and work out what they made stale.

        Raises:
            ConfigError: the draws are of another world.
        """
        for name, value in self._nominal.items():
            set_value(self.model, name, value)
        if set(draws) != set(self._parts):
            raise ConfigError(f"world: the draws are of {sorted(draws)}, and this world has {sorted(self._parts)}")
        self._set("model", self.model, draws)
        if BOXES in self._stale:
            self._move_boxes(draws)
        if CONSTANTS in self._stale:
            mujoco().mj_setConst(self.model, self._scratch)
            for name, value in self._kept.items():
                set_value(self.model, name, value)
        self.textures = self._parts["texture"].ids.tolist() if "texture" in self._parts else []

    def push(self, data: Any, draws: Draws) -> None:
        """Apply the forces of an episode, once its data are reset."""
        used = {a for n in draws if FIELDS[n].on == "data" for a in FIELDS[n].arrays}
        for array in used:
            getattr(data, array)[...] = 0.0
        self._set("data", data, draws)

    def _set(self, on: str, target: Any, draws: Draws) -> None:
        for name, spec in FIELDS.items():
            if name in draws and spec.on == on:
                self._parts[name].apply(target, draws[name])

    def stale_fields(self) -> list[str]:
        """What is drawn, and what each makes stale, as ``mass: constants``."""
        return [f"{n}: {', '.join(FIELDS[n].stale) or 'nothing'}" for n in self._parts]

    def _move_boxes(self, draws: Draws) -> None:
        """Boxes of a body's geometry lie in the axes of its inertia: they scale with it and move against it."""
        model, scales = self.model, draws.get("size", {})
        moved = model.body_ipos - self._nominal["body_ipos"]
        R = np.zeros(9)
        for body in range(model.nbody):
            scale = scales.get(name_of(model, "body", body), [1.0])[0]
            first, count = int(model.body_bvhadr[body]), int(model.body_bvhnum[body])
            if count == 0 or (scale == 1.0 and not moved[body].any()):
                continue
            shift = moved[body] - (scale - 1.0) * self._nominal["body_ipos"][body]
            mujoco().mju_quat2Mat(R, np.array(model.body_iquat[body]))
            boxes = model.bvh_aabb[first : first + count]
            boxes *= scale
            boxes[:, :3] -= shift @ R.reshape(3, 3)


class _Things:
    """The things of a model that a field means, and their ranges."""

    def __init__(self, spec: WorldField, ranges: Mapping[str, Any], model: Any):
        self.spec = spec
        there = things_of(model, spec.of)
        self.ranges: list[Any] = []
        self.names, ids = [], []
        for number, name in there.items():
            fitting = [r for pattern, r in ranges.items() if fnmatchcase(name, pattern)]
            if fitting:
                ids.append(number)
                self.names.append(name)
                self.ranges.append(fitting[-1])
        for pattern in ranges:
            if not any(fnmatchcase(name, pattern) for name in there.values()):
                has = f"it has {', '.join(list(there.values())[:12])}" if there else f"it has no {spec.of}"
                raise ConfigError(
                    f"MujocoWorld.{spec.name}: the model has no {spec.of} {pattern!r} ({has}); leave the field out or "
                    "give another name"
                )
        self.ids = np.array(ids, np.int64)

    def draw(self, rng: np.random.Generator) -> dict[str, list[float]]:
        count = self.spec.numbers
        return {n: draw_several(r, rng, count) for n, r in zip(self.names, self.ranges, strict=True)}

    def apply(self, target: Any, drawn: Mapping[str, Any]) -> None:
        if list(drawn) != self.names:
            raise ConfigError(f"world: {self.spec.name}: the draws are of other things than this model has")
        self.spec.set(target, self.ids, np.array([drawn[n] for n in self.names], np.float64))


COUNTS = {
    "body": "nbody", "geom": "ngeom", "joint": "njnt", "actuator": "nu", "light": "nlight", "camera": "ncam",
    "material": "nmat", "texture": "ntex",
}  # fmt: skip


def things_of(model: Any, kind: str) -> dict[int, str]:
    """Number -> name of a model's things of a kind, the static world left out; those without a name as ``geom#3``."""
    if kind == "world":
        return {0: "world"}
    return {i: name_of(model, kind, i) for i in range(1 if kind == "body" else 0, getattr(model, COUNTS[kind]))}


def name_of(model: Any, kind: str, number: int) -> str:
    """Name of a thing, or its kind and number where it has none."""
    sort = getattr(mujoco().mjtObj, f"mjOBJ_{kind.upper()}")
    return mujoco().mj_id2name(model, sort, number) or f"{kind}#{number}"


def set_by_hand(model: Any) -> dict[str, np.ndarray]:
    """What a model holds otherwise than mj_setConst gives: somebody set it, so it is kept."""
    fresh = copy.copy(model)
    mujoco().mj_setConst(fresh, mujoco().MjData(fresh))
    names = [n for n in WORKED_OUT if hasattr(value_owner(model, n)[0], value_owner(model, n)[1])]
    pairs = {n: (np.array(value_of(model, n)), np.array(value_of(fresh, n))) for n in names}
    return {n: own for n, (own, other) in pairs.items() if not np.allclose(own, other, SAME, SAME)}


def stale_residue(model: Any) -> float:
    """Largest relative difference of what a model holds and what mj_setConst works out of it; statistics left out."""
    fresh = copy.copy(model)
    mujoco().mj_setConst(fresh, mujoco().MjData(fresh))
    names = ("body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0", "cam_pos0", "light_pos0")
    worst = 0.0
    for own, other in ((np.array(value_of(m, n)) for m in (model, fresh)) for n in names):
        if own.size:
            worst = max(worst, float(np.abs(own - other).max() / max(float(np.abs(other).max()), 1e-12)))
    return worst


def value_owner(model: Any, name: str) -> tuple[Any, str]:
    """The struct that holds a value, and the value's own name: ``opt.gravity`` is in ``model.opt``."""
    *above, last = name.split(".")
    for part in above:
        model = getattr(model, part)
    return model, last


def value_of(model: Any, name: str) -> Any:
    """A value of a model by its name."""
    owner, last = value_owner(model, name)
    return getattr(owner, last)


def set_value(model: Any, name: str, value: np.ndarray) -> None:
    """Set a value of a model by its name."""
    owner, last = value_owner(model, name)
    if value.ndim:
        getattr(owner, last)[...] = value
    else:
        setattr(owner, last, value.item())


__all__ = ["TEXTURES", "BoundWorld", "Draws", "MujocoWorld"]
