"""The simulator and the interface of environments, which are imported when they are used."""

from __future__ import annotations

import os
import sys
from ctypes.util import find_library
from typing import Any

from fusion_aug.errors import MissingPackage


def mujoco() -> Any:
    """MuJoCo, which renders without a screen where it can.

    Raises:
        MissingPackage: it is not installed.
    """
    if "mujoco" not in sys.modules and "MUJOCO_GL" not in os.environ and find_library("EGL"):
        os.environ["MUJOCO_GL"] = "egl"  # it is asked once, at the import; without a screen nothing else works
    try:
        import mujoco as module
    except ImportError:
        raise MissingPackage("simulated worlds need the package mujoco: pip install '.[sim]'") from None
    return module


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
