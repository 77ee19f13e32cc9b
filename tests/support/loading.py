"""Logs that are made on the fly in any process, and what comes out of loaders, byte by byte."""

from __future__ import annotations

import cases  # noqa: F401  (what the pipelines of tests use is registered in workers too)
import torch
from samples import make_sample

import fusion_aug as fa


class MadeLog:
    """Four samples of two scenes."""

    def __init__(self, prefix: str = "s", gels: bool = True):
        self.prefix, self.gels = prefix, gels

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> fa.Sample:
        name, scene = f"{self.prefix}{index}", f"scene{index // 2}"
        return make_sample(name, scene=scene, seed=index, points=100 + 20 * index, size=(32, 40), gels=self.gels)


def numbers(samples: list[fa.Sample]) -> list[tuple]:
    """Every number of samples and batches, sample by sample in the order of ids and occurrences."""
    out = []
    alone = (s.take([u]) for s in samples for u in range(len(s.metas)))
    for sample in sorted(alone, key=lambda s: (s.id, s.meta.occurrence)):
        flat: list = [sample.id, str(sample.history)]
        for name, stream in sorted(sample.streams.items()):
            flat += [
                name,
                *[v.numpy().tobytes() for v in stream.realized().values.values() if isinstance(v, torch.Tensor)],
            ]
            flat += [p.numpy().tobytes() for p in getattr(stream, "pictures", ())]
        out.append(tuple(flat))
    return out
