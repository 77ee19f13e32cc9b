"""Loaders of 8 workers with batches of 8, and what they take: descriptors, seconds, memory."""

from __future__ import annotations

import gc
import itertools
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate

import fusion_aug as fa

DRIVE = Path(__file__).parents[1] / "datasets" / "drive"
WORKERS, BATCH = 8, 8
PIPELINE = [
    fa.RotateScene(yaw_deg=[-45, 45]), fa.MirrorScene(axis="y", p=0.5), fa.Brightness(factor=[0.7, 1.3]),
]  # fmt: skip
TENSORS = 60
DROPPED = 16  # batches of an epoch before any is kept


class Repeated:
    """The sample log over and over, with ids of its own; read from its files, or one small sample in memory."""

    def __init__(self, length: int, small: bool):
        self.length = length
        self.log = fa.open_log("nuscenes", DRIVE)
        resized = fa.Compose([fa.ResizeCrop(size=(48, 64), scale=1.0)])
        self.one = resized(self.log[7]).realized().with_meta(0, history=()) if small else None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> fa.Sample:
        sample = self.log[index % len(self.log)] if self.one is None else self.one
        return sample.with_meta(0, id=f"{sample.id}_{index}")


def as_tensors(sample: fa.Sample) -> dict[str, torch.Tensor]:
    """Many tensors of one shape for all samples."""
    return {f"t{i}": sample["CAM_FRONT"].images + i for i in range(TENSORS)}  # type: ignore[attr-defined]


def as_dict(sample: fa.Sample) -> dict[str, Any]:
    """A sample and tensors beside it."""
    return {"sample": sample, "id": sample.id, "points": sample["LIDAR_TOP"]["xyz"]}


def as_tuple(sample: fa.Sample) -> tuple[Any, ...]:
    """The same, by place."""
    return tuple(as_dict(sample).values())


def as_list(sample: fa.Sample) -> list[Any]:
    """The same, which ``collate`` does not join."""
    return list(as_dict(sample).values())


FORMS: dict[str, tuple[Callable[[fa.Sample], Any] | None, Callable[[list[Any]], Any]]] = {
    "sample": (None, fa.collate), "tuple": (as_tuple, fa.collate), "list": (as_list, fa.collate),
    "dict": (as_dict, fa.collate), f"dict of {TENSORS} tensors": (as_tensors, fa.in_one_buffer(default_collate)),
}  # fmt: skip


def loader_of(log: str, length: int, form: str = "sample") -> DataLoader[Any]:
    """The README's loader."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    small = log == "small"
    size = (48, 64) if small else (256, 704)
    pipeline = fa.Compose([*PIPELINE[:2], fa.ResizeCrop(size=size, scale=[0.8, 1.0]), *PIPELINE[2:]])
    convert, collate = FORMS[form]
    made: Any = Repeated(length, small)
    return DataLoader(
        fa.AugmentedDataset(made, pipeline, seed=7, convert=convert), batch_size=BATCH, collate_fn=collate,
        num_workers=WORKERS, multiprocessing_context="fork",
    )  # fmt: skip


# --- descriptors ----------------------------------------------------------------------------------------------------
def open_descriptors() -> int:
    """Of this process, without the one that lists them."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1


@contextmanager
def peak_of(count: Callable[[], int]) -> Iterator[list[int]]:
    """The largest count seen every 2 ms."""
    peak, stop = [count()], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            peak[0] = max(peak[0], count())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def descriptors(log: str, form: str, kept: str) -> dict[str, float]:
    """An epoch: the most descriptors that were open in the parent, and how many each kept batch holds open.

    Args:
        log: "drive" or "small". form: of a batch, of ``FORMS``.
        kept: batches that the training keeps, the last ones of the epoch.
    """
    loader, held = loader_of(log, (DROPPED + int(kept)) * BATCH, form), []
    batches, peak = iter(loader), {}
    with peak_of(open_descriptors) as most:
        for batch in itertools.islice(batches, DROPPED):
            del batch
        peak["peak"] = most[0]
        held += batches
        peak["peak_with_kept"] = most[0]
    if not held:
        return {"batches": DROPPED, "peak": peak["peak"]}
    gc.collect()  # the pipes of workers that have ended
    with_all = open_descriptors()
    del held[:]
    gc.collect()
    return {
        "batches": DROPPED,
        **peak,
        "kept": int(kept),
        "of_a_kept_batch": (with_all - open_descriptors()) / int(kept),
    }


# --- throughput -----------------------------------------------------------------------------------------------------
@contextmanager
def not_packed() -> Iterator[None]:
    """Samples are pickled as any dataclass is, and batches laid into no block, by workers that are forked meanwhile."""
    packing, batching = fa.Sample.__reduce__, sys.modules[fa.collate.__module__]
    worker_info = batching.get_worker_info
    del fa.Sample.__reduce__
    batching.get_worker_info = lambda: None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        fa.Sample.__reduce__, batching.get_worker_info = packing, worker_info  # type: ignore


def epoch(loader: DataLoader[Any]) -> tuple[float, float]:
    """Seconds of an epoch by the clock, and of the processor in parent and workers together."""
    gc.collect()
    start, worked = time.perf_counter(), processor_seconds()
    for batch in loader:
        del batch
    return time.perf_counter() - start, processor_seconds() - worked


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def throughput(log: str, rounds: str) -> dict[str, float]:
    """Epochs with and without packing in turn: medians, and the ratio with / without (below 1: packing is faster).

    Args:
        log: "drive" or "small". rounds: how many of each.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # without packing the usual limit is not enough
    length = BATCH * (8 if log == "drive" else 20)
    loader = loader_of(log, length)
    epoch(loader)  # files and libraries into memory
    packed, bare = [], []
    for _ in range(int(rounds)):
        packed.append(epoch(loader))
        with not_packed():
            bare.append(epoch(loader))
    (wall, work), (bare_wall, bare_work) = (np.median(np.array(t), 0).tolist() for t in (packed, bare))
    return {
        "samples": length, "rounds": int(rounds), "samples_per_s": length / wall,
        "samples_per_s_not_packed": length / bare_wall, "wall_ratio": wall / bare_wall,
        "processor_ms_per_sample": 1e3 * work / length, "processor_ms_not_packed": 1e3 * bare_work / length,
        "processor_ratio": work / bare_work,
    }  # fmt: skip


# --- memory ---------------------------------------------------------------------------------------------------------
def resident_mib(pid: int | str) -> float:
    """Resident memory of a process, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def memory() -> dict[str, float]:
    """Resident memory of parent and workers after 200 and after 2,000 small samples, and how much the worse grew."""
    loaded, out = iter(loader_of("small", 2200)), {}
    for number, _ in enumerate(loaded, 1):
        if number * BATCH in (200, 2000):
            own = [resident_mib(w.pid) for w in loaded._workers]  # type: ignore[attr-defined]
            at = f"at_{number * BATCH}"
            out |= {f"parent_mib_{at}": resident_mib("self"), f"largest_worker_mib_{at}": max(own)}
            out |= {f"mean_worker_mib_{at}": sum(own) / len(own)}
    growth = [out[f"{who}_mib_at_2000"] / out[f"{who}_mib_at_200"] for who in ("parent", "mean_worker")]
    return out | {"growth": max(growth)}
