"""``make device``: batches on a GPU. Values against the CPU, no wait for the host, and keyframes a second.

Runs with torch, NumPy, OpenCV and PyYAML alone, by the python3 of the machine, and writes
``benchmarks/device-CARD.json``. ``python tools/device.py --mock`` does the first two on the mock device, where nothing
can be timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import fusion_aug as fa  # noqa: E402  (the project need not be installed)
from fusion_aug.testing import mock_device  # noqa: E402

FIRST = 6  # keyframe of the sample log
COPIED = 1 << 28  # floats, of the copy that bandwidth is measured by


def pipeline(p: float = 1.0) -> fa.Compose:
    """The usual transforms that have rules on a device."""
    return fa.Compose([
        fa.RotateScene(yaw_deg=[-22.5, 22.5], p=p), fa.MirrorScene(axis="y", p=p),
        fa.ResizeCrop(size=(256, 640), scale=[0.65, 0.9], p=p), fa.Brightness(factor=[0.8, 1.0], p=p),
        fa.PointDropout(share=[0.05, 0.3], p=p),
    ])  # fmt: skip


def keyframes(count: int) -> fa.Sample:
    """A batch of keyframes of the sample log, in memory, over and over where it has fewer."""
    log = fa.open_log("nuscenes", REPOSITORY / "datasets" / "drive")
    batch = fa.collate([log[(FIRST + i) % len(log)] for i in range(count)])
    return batch.with_streams({n: s for n, s in batch.streams.items() if not n.startswith("FISHEYE")}).realized()


def columns(sample: fa.Sample) -> Iterator[tuple[str, Tensor]]:
    """All values of a batch, by stream and column or item."""
    for name, stream in sample.streams.items():
        parts = enumerate(stream.pictures) if hasattr(stream, "pictures") else stream.values.items()
        yield from ((f"{name}/{key}", value) for key, value in parts if isinstance(value, Tensor))


def size(sample: fa.Sample) -> int:
    """Bytes of all values."""
    return sum(t.numel() * t.element_size() for _, t in columns(sample))


def differences(here: fa.Sample, there: fa.Sample) -> dict[str, float]:
    """How far values are apart at most: share of levels off by more than 1, and metres and the like of all else."""
    found, off = {"levels off by more than 1": 0.0, "all else": 0.0}, dict(columns(there))
    for name, value in columns(here):
        apart = (value.double() - off[name].double()).abs().nan_to_num(0.0)
        if value.dtype == torch.uint8 and value.ndim == 3:
            share = float((apart > 1).double().mean())
            found["levels off by more than 1"] = max(found["levels off by more than 1"], share)
        elif apart.numel():
            found["all else"] = max(found["all else"], float((apart / value.double().abs().clamp(min=1)).max()))
    return found


@contextmanager
def no_waits(device: torch.device, log: Any) -> Iterator[None]:
    """Context: whatever makes the host wait for the device raises."""
    if log is not None:
        with log.forbid_syncs():
            yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def values(device: torch.device, log: Any, count: int) -> dict[str, Any]:
    """Differences from the CPU, every transform drawn always, and drawn by half."""
    batch, out = keyframes(count), {}
    for p in (1.0, 0.5):
        there = batch.to(device)
        with no_waits(device, log):
            moved = pipeline(p)(there, seed=7)
            fa.to_dense(moved)
        out[f"p={p}"] = differences(pipeline(p)(batch, seed=7).realized(), moved.to("cpu"))
    return out


def seconds(work: Any, rounds: int = 20) -> float:
    """Median time of some work on the GPU, after three rounds that do not count."""
    times = []
    for i in range(rounds + 3):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times += [begin.elapsed_time(end) / 1000] if i >= 3 else []
    return statistics.median(times)


def bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written, of a large copy."""
    source = torch.zeros(COPIED, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * source.element_size() / seconds(lambda: target.copy_(source))


def speed(device: torch.device, count: int) -> dict[str, float]:
    """Keyframes a second, and the bandwidth that they need at least against that of a copy."""
    copied = bandwidth(device)
    there = keyframes(count).to(device)
    least = size(there) + size(pipeline()(there, seed=0))
    epoch = iter(range(10**6))
    took = seconds(lambda: pipeline()(there, seed=7, epoch=next(epoch)))
    return {
        "keyframes": count, "keyframes per second": count / took, "ms per batch": 1000 * took,
        "bytes per second of a copy": copied, "least bytes per second": least / took,
    }  # fmt: skip


def main(arguments: list[str]) -> None:
    """Check, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mock", action="store_true", help="on the mock device: values and waits alone")
    parser.add_argument("--keyframes", type=int, default=16, help="of the batch that is timed")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if asked.mock:
        with mock_device() as log:
            print(json.dumps(values(log.device, log, 2), indent=1))
        return
    if not torch.cuda.is_available():
        sys.exit("make device: torch sees no GPU here; try python tools/device.py --mock")
    device, card = torch.device("cuda"), torch.cuda.get_device_name()
    facts = {"card": card, "torch": torch.__version__, "values": values(device, None, 2)}
    facts |= {f"speed of {n}": speed(device, n) for n in (1, 4, asked.keyframes)}
    path = REPOSITORY / "benchmarks" / f"device-{card.lower().replace(' ', '-')}.json"
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
