"""Pictures of a model's cameras, rendered without a window."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sim.packages import gl_context, mujoco

NEED = "pictures need EGL: apt-get install libegl1 libgl1 (or MUJOCO_GL=osmesa with libosmesa6)"
MOST = 10000  # things in a picture
LARGEST = 8192  # pixels of a side
_RENDERED_IN: set[int] = set()  # processes; a fork of one knows of it


def sizes_of(cameras: Any, model: Any) -> dict[str, tuple[int, int]]:
    """Camera -> size (height, width) as users give them, and as the resolution of the model's cameras from now on.

    Raises:
        ConfigError: the model has no such camera, or one that is no pinhole, so that its pictures have no calibration.
    """
    if not isinstance(cameras or {}, Mapping):
        raise ConfigError(f"Randomized.cameras: expected camera: [height, width], got {cameras!r}")
    sizes = {}
    for name, size in (cameras or {}).items():
        where = f"Randomized.cameras.{name}"
        number = int(mujoco().mj_name2id(model, int(mujoco().mjtObj.mjOBJ_CAMERA), str(name)))
        if number < 0:
            has = ", ".join(model.camera(i).name for i in range(model.ncam)) or "none"
            raise ConfigError(f"{where}: the model has no such camera ({has}), so its pictures have no calibration")
        flat = getattr(model, "cam_projection", getattr(model, "cam_orthographic", None))
        if flat is not None and int(flat[number]) != (0 if hasattr(model, "cam_orthographic") else _perspective()):
            raise ConfigError(f"{where}: it sees in parallel rays, which no camera matrix describes; leave it out")
        fine = isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(n, int) for n in size)
        if not fine or not all(0 < n <= LARGEST for n in size):
            raise ConfigError(f"{where}: expected [height, width] in pixels, got {size!r}")
        sizes[str(name)] = (int(size[0]), int(size[1]))
        model.cam_resolution[number] = (int(size[1]), int(size[0]))
    for k, side in enumerate(("offheight", "offwidth")):
        most = max([getattr(model.vis.global_, side), *(s[k] for s in sizes.values())])
        setattr(model.vis.global_, side, most)
    return sizes


def _perspective() -> int:
    """The number of central projections, where MuJoCo tells them apart."""
    return int(mujoco().mjtProjection.mjPROJ_PERSPECTIVE)


class Eyes:
    """The renderer of an environment's cameras. It is made when the first picture is taken, in the process and thread
    that takes it, which has to take all others and to close it.

    Args:
        model, data: of MuJoCo. sizes: camera -> (height, width).
    """

    def __init__(self, model: Any, data: Any, sizes: Mapping[str, tuple[int, int]]):
        self.model, self.data, self.sizes = model, data, sizes
        self.ids = {n: int(model.camera(n).id) for n in sizes}
        self._process = 0
        self._opened: tuple[Any, Any, Any, Any, Any] | None = None

    def picture(self, name: str, marks: Sequence[tuple[np.ndarray, float]] = ()) -> np.ndarray:
        """(H, W, 3) uint8 of a camera, of the state that the model's places were last worked out for.

        Args:
            name: of the camera. marks: places (3,) and radii, metres, of balls that shine; they are then shown alone.
        """
        module, (height, width) = mujoco(), self.sizes[name]
        gl, context, scene, option, view = self._open()
        gl.make_current()
        view.type, view.fixedcamid = int(module.mjtCamera.mjCAMERA_FIXED), self.ids[name]
        module.mjv_updateScene(
            self.model, self.data, option, None, view, int(module.mjtCatBit.mjCAT_ALL), scene
        )  # fmt: skip
        sky = int(module.mjtRndFlag.mjRND_SKYBOX)
        scene.flags[sky] = not marks
        if marks:
            _only(scene, marks)
        rect, out = module.MjrRect(0, 0, width, height), np.empty((height, width, 3), np.uint8)
        module.mjr_render(rect, scene, context)
        module.mjr_readPixels(out, None, rect, context)
        return np.ascontiguousarray(out[::-1])

    def upload(self, textures: Iterable[int]) -> None:
        """Hand changed textures to the renderer; one that is made later reads them from the model."""
        if self._opened is not None:
            gl, context, *_ = self._opened
            gl.make_current()
            for number in textures:
                mujoco().mjr_uploadTexture(self.model, context, number)

    def close(self) -> None:
        """Release the renderer; a further picture makes another one."""
        if self._opened is not None and self._process == os.getpid():
            gl, context, *_ = self._opened
            gl.make_current()
            context.free()
            gl.free()
        self._opened = None

    def _open(self) -> tuple[Any, Any, Any, Any, Any]:
        if self._opened is not None and self._process == os.getpid():
            return self._opened
        if _RENDERED_IN - {os.getpid()}:  # it would wait for threads that a fork does not have
            raise DataError(
                "pictures: this process was forked from one that had rendered; start environments in processes of "
                'their own, AsyncVectorEnv(..., context="spawn")'
            )
        _RENDERED_IN.add(os.getpid())
        module = mujoco()
        try:
            gl = gl_context()(self.model.vis.global_.offwidth, self.model.vis.global_.offheight)
            gl.make_current()
            context = module.MjrContext(self.model, int(module.mjtFontScale.mjFONTSCALE_100))
        except Exception as error:  # of OpenGL's many bindings
            raise DataError(f"{NEED} ({type(error).__name__}: {error})") from None
        module.mjr_setBuffer(int(module.mjtFramebuffer.mjFB_OFFSCREEN), context)
        scene = module.MjvScene(self.model, maxgeom=MOST)
        self._process = os.getpid()
        self._opened = (gl, context, scene, module.MjvOption(), module.MjvCamera())
        return self._opened


def _only(scene: Any, marks: Sequence[tuple[np.ndarray, float]]) -> None:
    """Put balls that shine into a scene, and nothing else."""
    module = mujoco()
    scene.ngeom, scene.nlight = len(marks), 0
    for geom, (place, radius) in zip(scene.geoms, marks, strict=False):
        ball, turn = int(module.mjtGeom.mjGEOM_SPHERE), np.eye(3).ravel()
        module.mjv_initGeom(geom, ball, np.full(3, radius), np.asarray(place, float), turn, np.ones(4, np.float32))
        geom.emission, geom.specular, geom.shininess = 1.0, 0.0, 0.0
