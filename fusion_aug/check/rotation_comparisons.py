"""How rotations in the forms of logs of robots are compared: by the angle between them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from calib.rotation_forms import WIDTHS, rotation_from_form
from fusion_aug.check.comparisons import register_comparison, turns
from fusion_aug.streams.rotations import CHANGE


def turned(form: str, expected: Any, found: Any) -> np.ndarray:
    """(n,) angle in radians between rotations (n, k) of one form."""
    a, b = (torch.as_tensor(v).detach().cpu() for v in (expected, found))
    if torch.equal(a, b):
        return np.zeros(len(a))
    return turns(rotation_from_form(form, a), rotation_from_form(form, b))


for _form in WIDTHS:
    register_comparison(_form, partial(turned, _form), "rad", 1e-5)
    register_comparison(CHANGE + _form, partial(turned, _form), "rad", 1e-5)
