"""What decides the last bits of computed numbers on a machine: its processor's instructions, settings and libraries."""

from __future__ import annotations

import os

import cv2
import numpy as np
import scipy
import torch

SETTINGS = (
    "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE", "OPENCV_CPU_DISABLE", "NPY_DISABLE_CPU_FEATURES",
)  # fmt: skip
LIBRARIES = (torch, np, cv2, scipy)


def kernels() -> dict[str, str]:
    """Name of a fact -> what it is here. Processes that agree in all of them compute the same bits."""
    numpy_found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "torch's instructions": torch.backends.cpu.get_cpu_capability(),
        "NumPy's instructions": " ".join(numpy_found),
        "OpenCV's instructions": cv2.getCPUFeaturesLine(),
        **{name: os.environ[name] for name in SETTINGS if name in os.environ},
        **{library.__name__: str(library.__version__) for library in LIBRARIES},
    }


def kernel_note(planned: dict[str, str], out: str) -> list[str]:
    """What to tell where a run goes on with other kernels than it began with: one sentence, or none."""
    now = kernels()
    apart = [name for name in (*planned, *(n for n in now if n not in planned)) if planned.get(name) != now.get(name)]
    if not apart:
        return []
    name = apart[0]
    more = f" and {len(apart) - 1} more" if len(apart) > 1 else ""
    return [
        f"{out} was begun on another processor or with other settings ({name}: {planned.get(name, 'not set')} then, "
        f"{now.get(name, 'not set')} now{more}); computed bytes may differ in the last bit"
    ]
