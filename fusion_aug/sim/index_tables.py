"""Maps of vectors that a mirror gives: which number comes from where, and with which sign.

Libraries that augment a batch by symmetry (as those of the kind of ``rsl_rl``) take such tables, or a function that
appends the mirrored batch to the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError


@dataclass(frozen=True, eq=False)
class IndexTable:
    """``mirrored = sign * value[..., index] + offset``.

    Attributes:
        index: (n,) int64. sign: (n,) float64, 1 or -1. offset: (n,) float64.
    """

    index: np.ndarray
    sign: np.ndarray
    offset: np.ndarray

    @staticmethod
    def identity(width: int) -> IndexTable:
        """The table that changes nothing."""
        return IndexTable(np.arange(width), np.ones(width), np.zeros(width))

    def __call__(self, value: Any) -> Any:
        """The mirrored vectors (..., n), an array or tensor as given.

        Raises:
            DataError: they have another width.
        """
        if value.shape[-1] != len(self.index):
            raise DataError(f"mirror: expected vectors of {len(self.index)} numbers, got shape {tuple(value.shape)}")
        if isinstance(value, Tensor):
            index, sign, offset = self.tensors(value.device)
            return value[..., index] * sign.to(value) + offset.to(value)
        value = np.asarray(value)
        return (value[..., self.index] * self.sign + self.offset).astype(value.dtype)

    def tensors(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
        """Index (n,) int64, sign and offset (n,) float32, as tables of a policy on a device."""
        index = torch.from_numpy(self.index).to(device)
        return index, *(torch.from_numpy(v).to(device, torch.float32) for v in (self.sign, self.offset))  # type: ignore[return-value]

    def is_involution(self, tolerance: float = 1e-9) -> bool:
        """Whether mirroring twice gives the vector back."""
        probe = np.linspace(-1.0, 2.0, len(self.index))
        return bool(np.allclose(self(self(probe)), probe, rtol=0, atol=tolerance))

    def part(self, first: int, stop: int) -> IndexTable:
        """The table of a range of the numbers, which come from that range alone.

        Raises:
            DataError: one comes from elsewhere.
        """
        index = self.index[first:stop] - first
        if ((index < 0) | (index >= stop - first)).any():
            raise DataError(f"mirror: numbers {first} to {stop} come from others; mirror the whole observation")
        return IndexTable(index, self.sign[first:stop], self.offset[first:stop])


Augment = Callable[..., tuple[Any, Any]]


def augmentation(observation: IndexTable | Mapping[str, IndexTable], action: IndexTable) -> Augment:
    """A function that appends the mirrored batch to a batch of observations and actions (torch).

    It takes ``obs`` (B, n), or a mapping of such (``observation`` then is a mapping of its groups), and ``actions``
    (B, m), each of which may be None, and anything else by name, which it ignores. It returns both with 2 B rows: the
    batch, then its mirror image. Groups without a table are refused.
    """

    def augment(obs: Any = None, actions: Any = None, **others: Any) -> tuple[Any, Any]:
        both: Any = None
        if isinstance(observation, IndexTable):
            both = None if obs is None else torch.cat([obs, observation(obs)])
        elif obs is not None:
            missing = [k for k in obs if k not in observation]
            if missing:
                raise DataError(f"mirror: there is no table for the group {missing[0]!r} of the observation")
            both = {k: torch.cat([v, observation[k](v)]) for k, v in obs.items()}
        return both, None if actions is None else torch.cat([actions, action(actions)])

    return augment
