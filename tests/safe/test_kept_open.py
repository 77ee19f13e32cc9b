"""What is kept open stays in the process that opened it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

import fusion_aug as fa
from fusion_aug.safe.kept_open import KeptOpen

ARM = Path(__file__).resolve().parents[2] / "datasets" / "arm"


def test_what_was_put_back_first_is_closed() -> None:
    closed: list[str] = []
    kept = KeptOpen(2, closed.append)
    for name in "abc":
        with kept.lent() as found:
            found[name] = found.pop(name, name.upper())
    with kept.lent() as found:
        assert list(found) == ["b", "c"] and closed == ["A"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_neither_uses_nor_frees_what_is_open() -> None:
    freed: list[int] = []

    class Decoder:
        def __del__(self) -> None:
            freed.append(os.getpid())

    kept: KeptOpen[Decoder] = KeptOpen(2)
    with kept.lent() as found:
        found["a"] = Decoder()
        child = os.fork()  # by another thread, for all that the child knows
        if child == 0:
            with kept.lent() as own:
                os._exit(len(own) + len(freed))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and not freed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_workers_decode_videos_that_were_looked_at_before() -> None:
    starts = fa.AugmentedDataset(
        fa.open_log("lerobot", ARM / "lerobot"), fa.Compose([]), observe=[0.0], chunk=0.5, seed=0
    )
    first = starts[0]
    camera = next(n for n, s in first.of_type(fa.Camera).items())
    loader = DataLoader(
        starts, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=120, sampler=[0, 40, 3, 20]
    )
    for k, sample in zip([0, 40, 3, 20], loader, strict=True):
        assert np.array_equal(sample[camera].image(0).numpy(), starts[k][camera].image(0).numpy()), k
