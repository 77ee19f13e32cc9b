"""A log and a pipeline as a map-style dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from fusion_aug.core.engine import run
from fusion_aug.core.transform import Transform
from fusion_aug.sample import Sample


class AugmentedDataset(Dataset[Any]):
    """Augmented samples of a log.

    The draws depend on seed, epoch and the sample's id alone: any number of workers, any order and any batch size
    give the same bytes. Call ``set_epoch`` before each epoch; running workers see it, since the number is in
    shared memory.

    Args:
        log: a sequence of samples, such as ``open_log`` gives.
        pipeline: a transform or a Compose.
        seed: of the draws.
        convert: applied last, such as an adapter to a model's own dictionaries. By default the sample comes with its
            files decoded and its pending maps applied.
        resources: for transforms that need other samples.
    """

    def __init__(
        self,
        log: Sequence[Sample],
        pipeline: Transform,
        seed: int = 0,
        *,
        convert: Callable[[Sample], Any] | None = None,
        resources: Mapping[str, Any] | None = None,
    ):
        self.log, self.pipeline, self.seed = log, pipeline, seed
        self.convert = convert or Sample.realized
        self.resources = resources
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch that is drawn now."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw another epoch from now on, in running workers too."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.log)

    def __getitem__(self, index: int) -> Any:
        """One augmented sample."""
        sample = run(self.pipeline, self.log[index], seed=self.seed, epoch=self.epoch, resources=self.resources)
        return self.convert(sample)
