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
from fusion_aug.train.windows import Windows


class AugmentedDataset(Dataset[Any]):
    """Augmented samples of a log.

    The draws depend on seed, epoch and the sample's id alone: any number of workers, any order and any batch size
    give the same bytes, and so does a sample that comes several times in an epoch, unless ``by_occurrence`` is set.
    Call ``set_epoch`` before each epoch; running workers see it, since the number is in shared memory.

    An item is a copy, with or without workers: it shares no tensor with the log, so it may be edited in place. A log
    that is a list of samples whose files were not read stays so: every item reads its own.

    With ``observe`` or ``chunk`` an item is a window of an episode, for policies: for each time of ``observe`` the
    items of every stream that hold then, and the commands of ``chunk`` seconds. There is one for every stamp of the
    action stream at which all of it lies in the episode. Only what is observed is decoded, and it is what the whole
    episode would have given: draws of scope ``scene`` are made once per episode, those of ``sample`` once per start.
    Under a warp of time observations and commands are those of the warped episode, at its new times.

    Args:
        log: a sequence of samples, such as ``open_log`` gives.
        pipeline: a transform or a Compose.
        seed: of the draws.
        convert: applied last, such as an adapter to a model's own dictionaries. By default the sample comes with its
            files decoded and its pending maps applied.
        resources: for transforms that need other samples.
        by_occurrence: draw a sample that comes several times in an epoch (oversampling) anew each time. The loader's
            sampler has to be in ``Occurrences``, which number them; ``SampleMeta.occurrence`` tells which it was.
        observe: seconds from a start, such as [-0.1, 0]; 0 by default.
        chunk: seconds of commands from a start on; one command by default.
        pad: whether starts count whose window leaves the episode. Its first or last item is repeated then, and not
            ``present``. Under a warp of time windows may leave the episode without ``pad``, and are filled so too.
        action: name of the stream of commands; by default the first of class ``Action``, or that is called so.

    Raises:
        ConfigError: the log is a path or no sequence, the pipeline no transform, the seed no whole number, or one of
            the others is no such setting.
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
        observe: float | Sequence[float] | None = None,
        chunk: float | None = None,
        pad: bool = False,
        action: str | None = None,
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
        self.windows: Windows | None = None
        if observe is not None or chunk is not None:
            self.windows = Windows(log, pipeline, 0.0 if observe is None else observe, chunk, pad, action)
        elif pad or action is not None:
            raise ConfigError("AugmentedDataset: pad and action belong to windows; give observe= or chunk= too")

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

    @property
    def ids(self) -> list[str]:
        """Ids of all items, in order, such as ``HardExamples`` takes them; those of windows are ``episode@start``."""
        known = getattr(self.log, "ids", None)
        of_log = [self.log[i].id for i in range(len(self.log))] if known is None else list(known)
        return of_log if self.windows is None else self.windows.ids(of_log)

    def __len__(self) -> int:
        return len(self.log) if self.windows is None else len(self.windows)

    def __getitem__(self, index: int) -> Any:
        """One augmented sample, or window.

        Raises:
            ConfigError: the index is no whole number, the log has something else than a sample there, or the index
                tells an occurrence and ``by_occurrence`` is not set, or the other way round.
        """
        occurrence = self._occurrence(index)
        if self.windows is not None:
            number = whole_number(index, "AugmentedDataset: index")
            return self.convert(self.windows.window(
                number, seed=self.seed, epoch=self.epoch, occurrence=occurrence, resources=self.resources
            ))  # fmt: skip
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
