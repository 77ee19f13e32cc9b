"""The simulator and the interface of environments, which are imported when they are used."""

from __future__ import annotations

import os
from ctypes.util import find_library
from typing import Any

from fusion_aug.errors import MissingPackage
from fusion_aug.synth.arm import scene


def mujoco() -> Any:
    """MuJoCo, which renders without a screen where it can.

    Raises:
        MissingPackage: it is not installed.
    """
    return scene.mujoco("simulated worlds need", "sim")


def gl_context() -> Any:
    """The class of contexts to render in: EGL, also where MuJoCo was imported before anybody asked for it."""
    module, asked = mujoco(), os.environ.get("MUJOCO_GL", "")
    if asked == "egl" or (not asked and find_library("EGL")):
        from mujoco.egl import GLContext

        return GLContext
    return module.GLContext


def gymnasium() -> Any:
    """Gymnasium.

    Raises:
        MissingPackage: it is not installed.
    """
    mujoco()  # first, since environments import it and it asks for the way to render then
    try:
        import gymnasium as module
    except ImportError:
        raise MissingPackage("environments need the package gymnasium: pip install '.[sim]'") from None
    return module
