"""One sample of a batch, to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample.sample import Sample
from fusion_aug.streams import Stream


def one_of(batch: Sample, index: int) -> Sample:
    """What ``batch.take([index])`` gives, of which each stream is taken when it is asked for.

    Draws look at the metadata and at little else, so that no row of a cloud is copied for them.
    """
    if len(batch.metas) == 1:
        return batch
    return Sample(metas=(batch.metas[index],), streams=_Streams(batch, index))


class _Streams(Mapping[str, Stream]):
    """Streams of one sample of a batch."""

    def __init__(self, batch: Sample, index: int):
        self._batch, self._index = batch, index
        self._taken: dict[str, Stream] = {}
        self._names = [n for n, s in batch.streams.items() if bool((s.sample_index == index).any())]

    @standard_modes()
    def __getitem__(self, name: str) -> Stream:
        if name not in self._taken:
            if name not in self._names:
                raise KeyError(name)
            alone = self._batch.with_streams({name: self._batch.streams[name]}).take([self._index])
            self._taken[name] = alone.streams[name]
        return self._taken[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names
