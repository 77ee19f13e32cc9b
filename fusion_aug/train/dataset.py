"""A log and a pipeline as a map-style dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset

from fusion_aug.core.engine import run
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.train.occurrences import OccurrenceIndex


class AugmentedDataset(Dataset[Any]):
    """Augmented samples of a log.

    The draws depend on seed, epoch and the sample's id alone: any number of workers, any order and any batch size
    give the same bytes, and so does a sample that comes several times in an epoch, unless ``by_occurrence`` is set.
    Call ``set_epoch`` before each epoch; running workers see it, since the number is in shared memory.

    Args:
        log: a sequence of samples, such as ``open_log`` gives.
        pipeline: a transform or a Compose.
        seed: of the draws.
        convert: applied last, such as an adapter to a model's own dictionaries. By default the sample comes with its
            files decoded and its pending maps applied.
        resources: for transforms that need other samples.
        by_occurrence: draw a sample that comes several times in an epoch (oversampling) anew each time. The loader's
            sampler has to be in ``Occurrences``, which number them; ``SampleMeta.occurrence`` tells which it was.
    """

    def __init__(
        self,
        log: Sequence[Sample],
        pipeline: Transform,
        seed: int = 0,
        *,
        convert: Callable[[Sample], Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        by_occurrence: bool = False,
    ):
        self.log, self.pipeline, self.seed = log, pipeline, seed
        self.convert = convert or Sample.realized
        self.resources = resources
        self.by_occurrence = by_occurrence
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
        """One augmented sample.

        Raises:
            ConfigError: the index tells an occurrence and ``by_occurrence`` is not set, or the other way round.
        """
        occurrence = self._occurrence(index)
        sample = self.log[int(index)].with_meta(0, occurrence=occurrence)
        return self.convert(run(self.pipeline, sample, seed=self.seed, epoch=self.epoch, resources=self.resources))

    def _occurrence(self, index: int) -> int:
        numbered = isinstance(index, OccurrenceIndex)
        if numbered and not self.by_occurrence:
            raise ConfigError(
                f"AugmentedDataset.by_occurrence: index {index!r} comes from Occurrences, but every occurrence of a "
                f"sample would be drawn alike; set by_occurrence=True, or give the loader the sampler itself"
            )
        if self.by_occurrence and not numbered:
            raise ConfigError(
                f"AugmentedDataset.by_occurrence: index {index} does not tell how often the sample came before in the "
                f"epoch; give the loader sampler=Occurrences(sampler), and put torch's Subset or another data set that "
                f"looks indices up around the log, AugmentedDataset(Subset(log, indices), ...)"
            )
        return index.occurrence if isinstance(index, OccurrenceIndex) else 0
