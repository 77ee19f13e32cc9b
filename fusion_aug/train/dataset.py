"""A log and a pipeline as a map-style dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from fusion_aug.core.engine import run
from fusion_aug.core.random import whole_number
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.train.occurrences import OccurrenceIndex
from fusion_aug.train.shared_epoch import SharedEpoch


class AugmentedDataset(Dataset[Any]):
    """Augmented samples of a log.

    The draws depend on seed, epoch and the sample's id alone: any number of workers, any order and any batch size
    give the same bytes, and so does a sample that comes several times in an epoch, unless ``by_occurrence`` is set.
    Call ``set_epoch`` before each epoch; running workers see it, since the number is in shared memory.

    An item is a copy, with or without workers: it shares no tensor with the log, so it may be edited in place. A log
    that is a list of samples whose files were not read stays so: every item reads its own.

    Args:
        log: a sequence of samples, such as ``open_log`` gives.
        pipeline: a transform or a Compose.
        seed: of the draws.
        convert: applied last, such as an adapter to a model's own dictionaries. By default the sample comes with its
            files decoded and its pending maps applied.
        resources: for transforms that need other samples.
        by_occurrence: draw a sample that comes several times in an epoch (oversampling) anew each time. The loader's
            sampler has to be in ``Occurrences``, which number them; ``SampleMeta.occurrence`` tells which it was.

    Raises:
        ConfigError: the log is a path or no sequence, the pipeline no transform, or the seed no whole number.
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
        if isinstance(log, str | bytes | Path) or not (hasattr(log, "__getitem__") and hasattr(log, "__len__")):
            raise ConfigError(f"AugmentedDataset.log: expected samples, as open_log(format, path) gives, got {log!r}")
        if not isinstance(pipeline, Transform):
            raise ConfigError(
                f"AugmentedDataset.pipeline: expected a transform or Compose([...]), got a {type(pipeline).__name__}"
            )
        self.log, self.pipeline, self.seed = log, pipeline, whole_number(seed, "AugmentedDataset.seed")
        self.convert = convert or Sample.realized
        self.resources = resources
        self.by_occurrence = by_occurrence
        self._epoch = SharedEpoch()

    @property
    def epoch(self) -> int:
        """The epoch that is drawn now."""
        return self._epoch.value

    def set_epoch(self, epoch: int) -> None:
        """Draw another epoch from now on, in running workers too.

        Raises:
            ConfigError: it is no whole number.
        """
        self._epoch.value = whole_number(epoch, "epoch")

    def __len__(self) -> int:
        return len(self.log)

    def __getitem__(self, index: int) -> Any:
        """One augmented sample.

        Raises:
            ConfigError: the index is no whole number, the log has something else than a sample there, or the index
                tells an occurrence and ``by_occurrence`` is not set, or the other way round.
        """
        occurrence = self._occurrence(index)
        sample = self.log[whole_number(index, "AugmentedDataset: index")]
        if not isinstance(sample, Sample):
            raise ConfigError(f"AugmentedDataset.log: expected a sample at {index}, got a {type(sample).__name__}")
        sample = sample.clone().with_meta(0, occurrence=occurrence)  # the log may hold it, or share its rigs
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
