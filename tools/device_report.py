"""``python tools/device_report.py [--batch N] [--p P] [--alone] [--roofline]``: the cost of six transforms on a GPU.

A batch of sample keyframes (six cameras with depth, LiDAR, three radars, boxes, ego and IMU) goes through the pipeline
on the mock device; transforms that refuse a device are named and left out. Printed are launches, ways back to the host
by the line that asks for them, and bytes of eager kernels against the least: every input column read once, every output
column written once. ``--alone`` looks at each transform by itself too. ``--roofline`` prints instead what the counted
launches and bytes come to on some cards at best: a launch takes as long as its bytes at the card's bandwidth, and not
less than ``LAUNCH``.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

import fusion_aug as fa
from fusion_aug.testing import CopyIn, DeviceLog, Sync, mock_device

DRIVE = Path(__file__).resolve().parents[1] / "datasets" / "drive"
WITH_DEPTH = (7, 14)  # keyframes that have depth streams
LAUNCH = 4e-6  # s, of a kernel from PyTorch
CARDS = {"H200": 4.8e12, "H100 SXM": 3.35e12, "RTX 4090": 1.008e12}  # bytes/s of their data sheets


@dataclass(frozen=True)
class Measured:
    """A pipeline on a batch on the mock device.

    Attributes:
        log: of the pipeline alone. brought: bytes that came to the device before it, and in how many copies.
        home: the result, on the CPU. least: bytes of all columns of the batch and of the result.
    """

    log: DeviceLog
    brought: tuple[int, int]
    home: fa.Sample
    least: int

    def row(self, title: str) -> str:
        """A line of the table."""
        log, copied = self.log, sum(c.bytes for c in self.log.copies_in)
        return (
            f"{title:14s} {len(log.launches):8d} {len(log.syncs):6d} {len(log.copies_in):9d} {copied / 1e6:9.3f} "
            f"{log.bytes / 1e6:10.1f} {log.bytes / self.least:8.1f}"
        )


def six(p: float = 1.0) -> list[fa.Transform]:
    """The transforms that are looked at."""
    return [
        fa.RotateScene(yaw_deg=[-22.5, 22.5], p=p), fa.MirrorScene(axis="y", p=p),
        fa.ResizeCrop(size=(256, 640), scale=[0.65, 0.9], x=[0, 1], y=[0, 1], p=p),
        fa.Brightness(factor=[0.8, 1.2], p=p), fa.PointDropout(share=[0.05, 0.3], p=p), fa.Fog(mor=[60, 200], p=p),
    ]  # fmt: skip


def keyframes(count: int) -> fa.Sample:
    """A batch of the keyframes of the sample log that have depth, over and over, all pictures of one size."""
    log = fa.open_log("nuscenes", DRIVE)
    samples = [log[WITH_DEPTH[i % len(WITH_DEPTH)]] for i in range(count)]
    samples = [s.with_meta(0, id=f"{s.id}, time {i}") for i, s in enumerate(samples)]  # with draws of its own
    kept = [{n: s for n, s in sample.streams.items() if not n.startswith("FISHEYE")} for sample in samples]
    return fa.collate([s.with_streams(k) for s, k in zip(samples, kept, strict=True)]).realized()


def tensors(sample: fa.Sample) -> dict[str, Tensor]:
    """All values of a batch by stream and column."""
    found = {}
    for name, stream in sample.streams.items():
        columns = [*stream.values.items(), *enumerate(getattr(stream, "items", ()))]
        found |= {f"{name}/{column}": v for column, v in columns if isinstance(v, Tensor)}
    return found


def size(sample: fa.Sample) -> int:
    """Bytes of all values of a batch."""
    return sum(t.numel() * t.element_size() for t in tensors(sample).values())


def measured(batch: fa.Sample, pipeline: fa.Transform) -> Measured:
    """A pipeline on a batch on the mock device."""
    with mock_device() as log:
        there = batch.to(log.device)
        brought = sum(c.bytes for c in log.copies_in), len(log.copies_in)
        log.clear()
        out = pipeline(there, seed=7).realized()
        own = replace(log, launches=[*log.launches], syncs=[*log.syncs], copies_in=[*log.copies_in])
        home = out.to("cpu")
    return Measured(own, brought, home, size(batch) + size(home))


def compared(here: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> list[str]:
    """Columns that differ: levels by more than 1, all else by more than 1e-5 of itself or of 1."""
    found = [f"{n}: not in both" for n in here.keys() ^ there.keys()]
    for name in here.keys() & there.keys():
        a, b = here[name], there[name]
        if a.shape != b.shape:
            found.append(f"{name}: shape {tuple(a.shape)} on the CPU, {tuple(b.shape)} on the device")
        elif a.dtype == torch.bool or not torch.equal(a.isnan(), b.isnan()):
            found += [] if torch.equal(a, b) else [f"{name}: other flags"]
        else:
            off = (a.double() - b.double()).nan_to_num(0.0).abs()
            off = off if a.dtype == torch.uint8 else off / a.double().nan_to_num(1.0).abs().clamp(min=1)
            wrong = off > (1 if a.dtype == torch.uint8 else 1e-5)
            if wrong.any():
                found.append(f"{name}: off by up to {off.max():.3g}, {int(wrong.sum())} of {off.numel()}")
    return sorted(found)


def asked_for(title: str, entries: Sequence[Sync | CopyIn]) -> list[str]:
    """Ways between host and device by the transform or stream that asks and the line where it happens."""
    asking = [next((p for p in e.places if "/transforms/" in p.file), e.places[-1]) for e in entries]
    groups = Counter((e.places[0], by) for e, by in zip(entries, asking, strict=True))
    lines = [f"  {n:5d}  {place}  <-  {by}" for (place, by), n in groups.most_common()]
    return [f"\n{title}, and the transform's line that asks for them:", *(lines or ["  none"])]


def seconds(log: DeviceLog, bandwidth: float) -> float:
    """Least seconds of all launches at a bandwidth, bytes/s."""
    return sum(max(LAUNCH, (entry.read + entry.written) / bandwidth) for entry in log.launches)


def roofline(log: DeviceLog, batch: int) -> list[str]:
    """The table of the cards, in Markdown."""
    rows = [f"| {batch} keyframes | launches | MB moved | ms at best | keyframes/s at most |"]
    rows.append("|---|---:|---:|---:|---:|")
    for card, bandwidth in CARDS.items():
        time = seconds(log, bandwidth)
        cells = f"{len(log.launches)} | {log.bytes / 1e6:.0f} | {time * 1e3:.2f} | {batch / time:,.0f}"
        rows.append(f"| {card} ({bandwidth / 1e12:.2f} TB/s) | {cells} |")
    return rows


def main(arguments: list[str]) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=2, help="keyframes")
    parser.add_argument("--p", type=float, default=1.0, help="probability of each transform")
    parser.add_argument("--alone", action="store_true", help="each transform alone too")
    parser.add_argument("--leave-out", default="", metavar="NAME", help="of one of the transforms")
    parser.add_argument("--roofline", action="store_true", help="the table of cards alone")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    batch, runs, alone, refused = keyframes(asked.batch), [], {}, []
    for transform in six(asked.p):
        if type(transform).__name__ == asked.leave_out:
            continue
        try:
            alone[type(transform).__name__] = measured(batch, transform)
            runs.append(transform)
        except fa.ConfigError as error:
            refused.append(f"refuses: {error}")
    pipeline = fa.Compose(runs)
    together = measured(batch, pipeline)
    if asked.roofline:
        print(*(type(t).__name__ for t in runs), sep=", ")
        print(*roofline(together.log, asked.batch), *refused, sep="\n")
        return
    print(f"{asked.batch} keyframes, {size(batch) / 1e6:.1f} MB of values, p = {asked.p}")
    print(f"brought to the device: {together.brought[0] / 1e6:.1f} MB in {together.brought[1]} copies")
    print(f"{'':14s} launches  syncs copies in  MB copied   MB moved  x least")
    print(together.row(f"all {len(runs)}"))
    for name, one in alone.items() if asked.alone else ():
        print(one.row(name))
    print(*refused, sep="\n")
    differ = compared(tensors(pipeline(batch, seed=7).realized()), tensors(together.home))
    print("\n".join(["differ from the CPU:", *(differ or ["  nothing"])]))
    print(f"\n{together.log}")
    print(*asked_for("synchronisations", together.log.syncs), sep="\n")
    print(*asked_for("copies in", together.log.copies_in), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
