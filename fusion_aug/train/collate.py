"""Samples to a batch: rows, not padding."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_aug.sample import Sample, merge


def collate(samples: Sequence[Sample]) -> Sample:
    """Join samples to one batch, for ``DataLoader(collate_fn=collate)``.

    A batch is a Sample with several units. Every stream holds the items of all of them one after another;
    ``sample_index`` says whose each is, and points and boxes are packed with ``offsets``. A pipeline takes a batch
    as it takes a sample, and draws for each unit what it would have drawn for it alone.

    Args:
        samples: samples whose streams of one name are of one kind. Pictures may differ in size; ``images`` stacks
            them where they do not.

    Returns:
        The batch.
    """
    return merge(list(samples))
