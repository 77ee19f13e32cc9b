"""Batches of samples: packed, not padded."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_aug.sample import Sample, merge


def collate(samples: Sequence[Sample]) -> Sample:
    """Join samples to one batch, for ``DataLoader(collate_fn=collate)``.

    A batch is a Sample with several ``metas``. Every stream holds the items of all samples one after another;
    ``sample_index`` gives the sample of each, and points and boxes are packed with row offsets. Sweeps are items like
    keyframes, so ``bounds`` of a cloud has an entry for every sweep; ``to_dense`` makes one table of each sample. A
    pipeline takes a batch as it takes a sample, and draws for each sample what it would draw for it alone.

    Args:
        samples: samples whose streams of one name are of one class. Pictures may differ in size.

    Returns:
        The batch.
    """
    return merge(list(samples))
