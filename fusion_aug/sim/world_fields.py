"""What can be drawn of a MuJoCo model: a table, in which every field says what it changes and what it makes stale.

A function changes the model's arrays in place; they hold their nominal values then, or what fields further up in the
table made of them. So a draw never hangs on the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.sim.camera_figures import camera_rotation, figures, resolution, rotation, set_figures
from fusion_aug.sim.packages import mujoco

CONSTANTS = (
    "constants"  # mj_setConst: inertia at rest, inverse weights, subtree masses, reference poses of cameras, lights
)
BOXES = "boxes"  # boxes of a body's geometry (bvh_aabb), which lie in the axes of its inertia
TEXTURES = "textures"  # copies in the renderer's memory

Setter = Callable[[Any, np.ndarray, np.ndarray], None]  # (model, ids (n,), values (n, k)) -> None


@dataclass(frozen=True)
class WorldField:
    """One field.

    Attributes:
        name, unit: as users meet them. of: kind of the model's things that each have a draw, or "world" for one draw.
        numbers: how many are drawn for each. arrays: of the model that are changed, and restored before.
        stale: what has to be worked out anew. on: "model", or "data" of what acts in an episode.
        low, high: limits of a number. nominal: the number that changes nothing.
    """

    name: str
    unit: str
    of: str
    numbers: int
    arrays: tuple[str, ...]
    stale: tuple[str, ...]
    low: float
    high: float
    nominal: float
    set: Setter
    on: str = "model"


FIELDS: dict[str, WorldField] = {}
SCALE = ("times", 0.01, 100.0, 1.0)
METRES = ("m", -10.0, 10.0, 0.0)
DEGREES = ("degrees", -180.0, 180.0, 0.0)


def field(
    of: str,
    arrays: str,
    said: tuple[str, float, float, float],
    *,
    numbers: int = 1,
    stale: tuple[str, ...] = (),
    on: str = "model",
) -> Callable[[Setter], Setter]:
    """Put a function into the table under its own name; arguments as ``WorldField`` has them, ``said`` the unit,
    limits and nominal value."""

    def add(function: Setter) -> Setter:
        unit, low, high, nominal = said
        name = function.__name__
        FIELDS[name] = WorldField(
            name, unit, of, numbers, tuple(arrays.split()), stale, low, high, nominal, function, on
        )  # fmt: skip
        return function

    return add


@field("body", "geom_size geom_pos geom_rbound geom_aabb body_ipos body_inertia", SCALE, stale=(CONSTANTS, BOXES))
def size(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Geometry of a body about its own frame, and its inertia; the mass stays, joints and sites stay where they are."""
    shapes = mujoco().mjtGeom
    fixed = [int(s) for s in (shapes.mjGEOM_MESH, shapes.mjGEOM_HFIELD, shapes.mjGEOM_SDF)]
    for body, (scale,) in zip(ids, values, strict=True):
        first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
        geoms = slice(first, first + count) if count else slice(0, 0)
        if np.isin(model.geom_type[geoms], fixed).any():
            raise ConfigError(
                f"MujocoWorld.size: body {model.body(int(body)).name!r} has a mesh, whose vertices other bodies may "
                "share; name bodies of boxes, spheres, capsules, cylinders and ellipsoids"
            )
        for array in (model.geom_size, model.geom_pos, model.geom_rbound, model.geom_aabb):
            array[geoms] *= scale
        model.body_ipos[body] *= scale
        model.body_inertia[body] *= scale * scale


@field("body", "body_mass body_inertia", SCALE, stale=(CONSTANTS,))
def mass(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Mass and inertia of a body, as of another density."""
    model.body_mass[ids] *= values[:, 0]
    model.body_inertia[ids] *= values


@field("body", "body_inertia", SCALE, stale=(CONSTANTS,))
def inertia(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Inertia about all axes alike, so that it stays that of a body; the mass stays."""
    model.body_inertia[ids] *= values


@field("body", "body_ipos", METRES, numbers=3, stale=(CONSTANTS, BOXES))
def com(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Centre of mass, along the body's axes."""
    model.body_ipos[ids] += values


@field("geom", "geom_friction", SCALE)
def friction(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Sliding, spinning and rolling friction."""
    model.geom_friction[ids] *= values


@field("geom", "geom_solref", SCALE)
def softness(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Time constant of contacts; of stiffness and damping given as such (negative), these."""
    model.geom_solref[ids, 0] *= values[:, 0]


@field("joint", "dof_damping", SCALE)
def damping(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Damping of joints."""
    _scale_dofs(model, model.dof_damping, ids, values)


@field("joint", "dof_armature", SCALE, stale=(CONSTANTS,))
def armature(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Inertia of joints' rotors."""
    _scale_dofs(model, model.dof_armature, ids, values)


@field("joint", "dof_frictionloss", SCALE)
def dry_friction(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Dry friction of joints."""
    _scale_dofs(model, model.dof_frictionloss, ids, values)


@field("joint", "jnt_stiffness", SCALE)
def stiffness(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Stiffness of joints' springs."""
    rows = model.jnt_stiffness[ids]
    model.jnt_stiffness[ids] = (rows.T * values[:, 0]).T


@field("joint", "jnt_range", SCALE)
def limits(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Width of joints' ranges about their middle."""
    middle = model.jnt_range[ids].mean(1, keepdims=True)
    model.jnt_range[ids] = middle + (model.jnt_range[ids] - middle) * values


@field("actuator", "actuator_gainprm actuator_biasprm", SCALE)
def gain(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Gains of drives: of a motor its strength, of a servo stiffness and damping alike."""
    model.actuator_gainprm[ids, 0] *= values[:, 0]
    model.actuator_biasprm[ids, 1:3] *= values


@field("actuator", "actuator_forcerange", SCALE)
def force_limit(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Greatest force or torque of drives."""
    model.actuator_forcerange[ids] *= values


@field("world", "opt.gravity", SCALE)
def gravity(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Strength of gravity."""
    model.opt.gravity[:] *= values[0, 0]


@field("world", "opt.gravity", DEGREES, numbers=2)
def gravity_tilt_deg(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Direction of gravity, turned about the world's x and y: a floor that is not level."""
    x, y = np.radians(values[0])
    model.opt.gravity[:] = rotation(np.array([x, y, 0.0])) @ model.opt.gravity


@field("light", "light_pos", METRES, numbers=3, stale=(CONSTANTS,))
def light_pos(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Places of lights."""
    model.light_pos[ids] += values


@field("light", "light_dir", DEGREES, numbers=3, stale=(CONSTANTS,))
def light_deg(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Directions of lights, turned about the axes of their body."""
    for light, turn in zip(ids, np.radians(values), strict=True):
        model.light_dir[light] = rotation(turn) @ model.light_dir[light]


@field("light", "light_ambient light_diffuse light_specular", SCALE)
def light_level(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Brightness of lights."""
    for array in (model.light_ambient, model.light_diffuse, model.light_specular):
        array[ids] *= values


@field("world", "vis.headlight.ambient vis.headlight.diffuse", SCALE)
def headlight(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Brightness of the light that goes with the camera."""
    for array in (model.vis.headlight.ambient, model.vis.headlight.diffuse):
        array[:] *= values[0, 0]


@field("geom", "geom_rgba", SCALE, numbers=3)
def colour(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Red, green and blue of geometry without a material; 1 is the most."""
    model.geom_rgba[ids, :3] = np.clip(model.geom_rgba[ids, :3] * values, 0, 1)


@field("material", "mat_rgba", SCALE, numbers=3)
def material_colour(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Red, green and blue of materials; 1 is the most."""
    model.mat_rgba[ids, :3] = np.clip(model.mat_rgba[ids, :3] * values, 0, 1)


@field("texture", "tex_data", SCALE, numbers=3, stale=(TEXTURES,))
def texture(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Red, green and blue of textures; 255 is the most."""
    for one, gains in zip(ids, values, strict=True):
        channels = int(model.tex_nchannel[one])
        first = int(model.tex_adr[one])
        end = first + int(model.tex_height[one]) * int(model.tex_width[one]) * channels
        pixels = model.tex_data[first:end].reshape(-1, 1, channels)
        factors = np.ones(channels)
        factors[: min(channels, 3)] = gains[:channels]
        levels = np.clip(np.rint(np.arange(256.0)[:, None] * factors), 0, 255).astype(np.uint8)
        pixels[...] = cv2.LUT(pixels, levels[None]).reshape(pixels.shape)


@field("camera", "cam_pos", METRES, numbers=3, stale=(CONSTANTS,))
def camera_pos(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Places of cameras, along their own axes: right, down, forward."""
    for camera, shift in zip(ids, values, strict=True):
        model.cam_pos[camera] += camera_rotation(model, camera) @ shift


@field("camera", "cam_quat", DEGREES, numbers=3, stale=(CONSTANTS,))
def camera_deg(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Directions of cameras, turned about their own axes: right, down, forward."""
    for camera, turn in zip(ids, np.radians(values), strict=True):
        R = camera_rotation(model, camera) @ rotation(turn) @ np.diag([1.0, -1, -1])
        mujoco().mju_mat2Quat(model.cam_quat[camera], R.ravel())


@field("camera", "cam_intrinsic cam_sensorsize cam_fovy", SCALE)
def focal(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Focal lengths of cameras."""
    for camera, (scale,) in zip(ids, values, strict=True):
        fx, fy, px, py = figures(model, int(camera), resolution(model, camera))
        set_figures(model, int(camera), fx * scale, fy * scale, px, py)


@field("camera", "cam_intrinsic cam_sensorsize cam_fovy", ("pixels", -1000.0, 1000.0, 0.0), numbers=2)
def principal(model: Any, ids: np.ndarray, values: np.ndarray) -> None:
    """Principal points of cameras, to the right and downwards."""
    for camera, shift in zip(ids, values, strict=True):
        fx, fy, px, py = figures(model, int(camera), resolution(model, camera))
        set_figures(model, int(camera), fx, fy, px - shift[0], py - shift[1])


def _scale_dofs(model: Any, array: np.ndarray, ids: np.ndarray, values: np.ndarray) -> None:
    """Scale rows of the degrees of freedom of joints."""
    joints = {int(j): float(v) for j, (v,) in zip(ids, values, strict=True)}
    for dof, joint in enumerate(model.dof_jntid.tolist()):
        array[dof] *= joints.get(joint, 1.0)
