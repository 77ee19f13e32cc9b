"""Losses of samples: functions by name, their numbers, and which of several is the highest."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.named_errors import named
from fusion_aug.core.registry import Context
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera

Loss = Callable[[Sample], Any]
EQUAL = 1e-6  # relative difference of losses below which they count as equal


def checked_loss(loss: Any, where: str) -> Loss | str:
    """A loss as it was given: a function, ``module:function``, or the name of a resource.

    Nothing is imported because a configuration names it: the module is one that the program or ``plugins`` imported.

    Args:
        loss: as given. where: transform and field, for messages.

    Returns:
        the function, or the name of the resource that will be one.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(loss, str) and ":" in loss:
        module, _, name = loss.partition(":")
        found = getattr(sys.modules.get(module), name, None)
        if not callable(found) or getattr(found, "__module__", None) != module:
            raise ConfigError(
                f"{where}: {loss!r} is no function of a module that is imported; name its module in plugins, or import "
                f"it first"
            )
        return found
    if callable(loss) or (isinstance(loss, str) and loss):
        return loss
    raise ConfigError(f"{where}: expected a function of a sample, 'module:function' or a resource's name, got {loss!r}")


def name_of_loss(loss: Loss | str, where: str) -> str:
    """A loss as a configuration names it.

    Raises:
        ConfigError: it has no name that another process would find it by.
    """
    if isinstance(loss, str):
        return loss
    module, name = getattr(loss, "__module__", None), getattr(loss, "__qualname__", "")
    if module in (None, "__main__") or getattr(sys.modules.get(str(module)), name, None) is not loss:
        raise ConfigError(
            f"{where}: {loss!r} has no name in a module, so no configuration can hold it; define it in a module, or "
            f"name a resource"
        )
    return f"{module}:{name}"


def function_of(loss: Loss | str, context: Context, who: str) -> Loss:
    """The function of a loss that was checked, which may be a resource.

    Raises:
        ConfigError: there is no such resource, or it is no function.
    """
    found = context.resource(loss, who) if isinstance(loss, str) else loss
    if not callable(found):
        raise ConfigError(f"{who}: the resource {loss!r} is no function of a sample, but {found!r}")
    return found


def loss_of(sample: Sample, loss: Loss, who: str) -> Any:
    """The loss of a sample: a finite number, or a 0-dim tensor of one.

    Args:
        sample: with everything decoded and applied. loss: the function. who: how messages name what asks for it.

    Raises:
        DataError: it is none. FusionAugError: the function raises an error.
    """
    with named(f"{who}: loss", sample):
        value = loss(sample.clone())  # what it changes in place belongs to nobody else; gradients go through copies
    array = isinstance(value, np.ndarray | Tensor)
    if isinstance(value, bool) or not (value.ndim == 0 if array else isinstance(value, int | float | np.number)):
        raise DataError(f"{who}: expected a number or a 0-dim tensor as the loss, got {_shortly(value)}")
    if not math.isfinite(number := as_number(value)):
        raise DataError(f"{who}: the loss is {number}, which cannot be compared; give a finite one")
    return value


def as_number(loss: Any) -> float:
    """A loss, a number or a 0-dim tensor that may have a gradient, as a float."""
    return float(loss.detach() if isinstance(loss, Tensor) else loss)


def number_of_loss(sample: Sample, loss: Loss, who: str) -> float:
    """The loss of a sample as a number, computed without gradients; arguments as of ``loss_of``."""
    with torch.no_grad():
        return as_number(loss_of(sample, loss, who))


def highest(losses: Sequence[float]) -> int:
    """Index of the highest loss; the first of those that equal it to ``EQUAL``, so that no last bit decides."""
    best = max(losses)
    return next(i for i, loss in enumerate(losses) if loss >= best - EQUAL * abs(best))


def darkness(sample: Sample) -> float:
    """One minus the mean level of all pictures of cameras, share of full scale: a loss for examples and tests.

    Args:
        sample: with pictures of uint8 levels, or of floats from 0 to 1; the tactile ones count too.
    """
    pictures = [p for stream in sample.of_type(Camera).values() for p in stream.pictures]
    means = [p.detach().double().mean() / (1 if p.is_floating_point() else 255) for p in pictures]
    return 1 - float(torch.stack(means).mean()) if means else 0.0


def _shortly(value: Any) -> str:
    return (
        f"a tensor of shape {tuple(value.shape)}"
        if isinstance(value, Tensor)
        else f"{type(value).__name__} {value!r}"[:80]
    )
