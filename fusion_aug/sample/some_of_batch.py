"""Some samples of a batch, whose streams are copied out of it only where somebody needs their values.

Transforms run on some samples of a batch and look at metadata and at a few streams; a batch of clouds is not copied for
that. What such a transform left alone stays in the batch as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample.sample import Sample, merge
from fusion_aug.streams import Stream


class _Taken(Mapping[str, Stream]):
    """Streams of some samples of a batch, each taken out of it when it is asked for.

    Args:
        batch: of all. indices: of the samples.
    """

    def __init__(self, batch: Sample, indices: Sequence[int]):
        self.batch, self.indices = batch, list(indices)
        self.taken: dict[str, Stream] = {}
        self.changed: dict[str, Stream] = {}
        wanted = set(self.indices)
        self.names = [n for n, s in batch.streams.items() if not wanted.isdisjoint(s.sample_index.tolist())]

    @standard_modes()
    def __getitem__(self, name: str) -> Stream:
        if name in self.changed:
            return self.changed[name]
        if name not in self.taken:
            if name not in self.names:
                raise KeyError(name)
            alone = self.batch.with_streams({name: self.batch.streams[name]}).take(self.indices)
            self.taken[name] = alone.streams[name]
        return self.taken[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def look(self, name: str) -> Stream:
        """A stream of that name and kind, with rows of other samples besides."""
        return self.changed[name] if name in self.changed else self.batch.streams[name]

    def with_changed(self, streams: Mapping[str, Stream]) -> _Taken:
        """The same with some streams replaced; none is added."""
        out = object.__new__(_Taken)
        out.__dict__.update(self.__dict__)
        out.changed = {**self.changed, **streams}
        return out

    def differences(self, streams: Mapping[str, Stream]) -> set[str]:
        """Names of the streams that are not those of the batch any more, are new or gone."""
        if type(streams) is _Taken and streams.taken is self.taken:
            return set(streams.changed)
        mine = {n for n in self.names if streams.get(n) is not self.taken.get(n)}
        return mine | {n for n in streams if n not in self.names}


def some_of(batch: Sample, indices: Sequence[int]) -> Sample:
    """What ``batch.take(indices)`` gives, of which each stream is taken when it is asked for."""
    if list(indices) == list(range(len(batch.metas))):
        return batch
    metas, streams = tuple(batch.metas[u] for u in indices), batch.streams
    if type(streams) is _Taken and not streams.changed:
        return Sample(metas=metas, streams=_Taken(streams.batch, [streams.indices[u] for u in indices]))
    return Sample(metas=metas, streams=_Taken(batch, indices))


def looked_at(sample: Sample) -> Iterator[tuple[str, Stream]]:
    """Name and stream of all streams, whose kind may be asked for: they may hold rows of other samples besides."""
    streams = sample.streams
    yield from ((n, streams.look(n)) for n in streams) if type(streams) is _Taken else streams.items()


def names_in(sample: Sample, index: int) -> list[str]:
    """Names of the streams that have an item in one sample of a batch."""
    streams = sample.streams
    if type(streams) is not _Taken:
        alone = len(sample.metas) == 1  # then all items are of it
        return [n for n, s in streams.items() if (len(s) if alone else bool((s.sample_index == index).any()))]
    own = streams.indices[index]
    there = ((n, (streams.changed[n], index) if n in streams.changed else (streams.look(n), own)) for n in streams)
    return [n for n, (s, i) in there if bool((s.sample_index == i).any())]


def with_changed_streams(sample: Sample, changed: Mapping[str, Stream]) -> Sample:
    """The sample with some of its streams replaced, the others left where they are."""
    streams = sample.streams
    return sample.with_streams(streams.with_changed(changed) if type(streams) is _Taken else {**streams, **changed})


def put_back(batch: Sample, indices: Sequence[int], part: Sample, out: Sample) -> Sample:
    """The batch with some of its samples replaced.

    Args:
        batch: of all. indices: of the samples. part: ``some_of`` them. out: what became of it.
    """
    if type(part.streams) is not _Taken:
        return out
    names = part.streams.differences(out.streams)
    rest = [u for u in range(len(batch.metas)) if u not in set(indices)]
    mine = out.with_streams({n: out.streams[n] for n in out.streams if n in names})
    others = batch.with_streams({n: s for n, s in batch.streams.items() if n in names}).take(rest)
    joined = merge([mine, others], order=[*indices, *rest])
    order = dict.fromkeys((*out.streams, *batch.streams))
    kept = {n: batch.streams[n] for n in batch.streams if n not in names}
    streams = {n: joined.streams.get(n, kept.get(n)) for n in order}
    return joined.with_streams({n: s for n, s in streams.items() if s is not None})
