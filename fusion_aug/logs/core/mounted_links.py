"""Links of a description where the log itself has them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from calib import Frame
from calib.replacing import replace_unchecked


def as_mounted(links: Mapping[str, Frame], of_log: Mapping[str, Frame]) -> dict[str, Frame]:
    """Links, those that nothing moves where the log itself says: an arm on a vehicle, after a motion of the scene.

    A description does not say that pictures are taken in a link, whose axes are then a camera's; the log does.
    """
    out = dict(links)
    for name, link in links.items():
        own = of_log.get(name)
        if own is not None and own.axis_convention == "camera":
            link = out[name] = replace_unchecked(link, axis_convention="camera")
        if own is None or own.parent != link.parent:
            continue
        here, told = own.pose, link.pose
        if not isinstance(here, Tensor) or not isinstance(told, Tensor):
            continue
        if not torch.allclose(here, told, atol=1e-6):  # not only rounded otherwise
            out[name] = replace_unchecked(link, pose=here)
    return out
