"""A training in one of several real processes, whose losses are gathered."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from loading import MadeLog
from torch.utils.data import DataLoader

import fusion_aug as fa

PIPELINE = fa.Compose({"bright": fa.Brightness(factor=[0.5, 1.5]), "thin": fa.PointDropout(share=[0.0, 0.4])})
EPOCHS, PROCESSES = 2, 2


class Ids(MadeLog):
    """A log that knows its ids."""

    ids = tuple(f"s{i}" for i in range(4))


def loss_of(name: str, magnitude: float) -> float:
    """A loss of a sample that follows from what was done to it."""
    return 1.0 + int(name[1:]) % 3 + magnitude


def train(rank: int, store: Path, workers: int) -> dict[str, Any]:
    """Two epochs in one of ``PROCESSES`` processes that find each other by a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=PROCESSES)
    table = fa.HardExamples(Ids.ids, memory=0.5)
    data = fa.AugmentedDataset(
        Ids("s", gels=False), fa.ByDifficulty(PIPELINE), seed=5, by_occurrence=True, resources={"hard_examples": table}
    )
    sampler = fa.Occurrences(table.sampler(length=8, seed=1), num_replicas=PROCESSES, rank=rank)
    loader = DataLoader(
        data, batch_size=2, sampler=sampler, collate_fn=fa.collate, num_workers=workers, persistent_workers=workers > 0
    )
    seen = []
    for epoch in range(EPOCHS):
        fa.set_epoch(loader, epoch)
        for batch in loader:
            names = [m.id for m in batch.metas]
            magnitudes = [m.history[-1].params[""]["magnitude"] for m in batch.metas]
            table.update(names, [loss_of(n, m) for n, m in zip(names, magnitudes, strict=True)], gather=True)
            seen.append([names, magnitudes])
    table.set_epoch(EPOCHS)
    refused = ""
    try:
        table.update(["s0"], [float("nan") if rank == 0 else 1.0], gather=True)
    except fa.DataError as error:
        refused = str(error)
    torch.distributed.destroy_process_group()
    return {"seen": seen, "means": table.means.tolist(), "hard": table.difficulties.tolist(), "refused": refused}


def run(rank: int, folder: Path, workers: int) -> None:
    """Train, and write what came of it."""
    result = train(rank, folder / "store", workers)
    (folder / f"{rank}.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
