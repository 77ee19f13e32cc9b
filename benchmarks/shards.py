"""``python -m benchmarks.shards [ROUNDS]``: shards beside the folder format, over the keyframes of datasets/drive.

Every format is written by no worker, by two and by a Ray cluster, and the bytes are compared. Then its samples are
read from end to end, each way in turn: all bytes, by the loaders that are the format's own, and decoded, by ours.
Writes benchmarks/shards.json; exits with 1 where bytes differ.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

DRIVE = Path(__file__).parents[1] / "datasets" / "drive"
FORMATS = ("folder", "webdataset", "litdata")
WAYS = {"no worker": ["workers=0"], "two workers": ["workers=2"], "Ray": ["engine=ray", "workers=2"]}
OF_A_RUN = ("run.json", "run.csv")


def written(folder: Path) -> tuple[dict[str, float], list[str]]:
    """Seconds of a run in every format, and formats whose bytes differ between ways of running."""
    seconds, differing = {}, []
    for name in FORMATS:
        digests = set()
        for way, words in WAYS.items():
            out = folder / f"{name} {way}"
            command = ["run", "log=nuscenes", f"log.root={DRIVE}", "pipeline=geometry", f"output={name}", f"out={out}"]
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "fusion_aug", *command, *words], check=True, capture_output=True)
            seconds.setdefault(name, time.perf_counter() - start)
            digests.add(digest(out))
        differing += [name] if len(digests) > 1 else []
    return seconds, differing


def digest(out: Path) -> str:
    """Of names and bytes below an output."""
    whole = hashlib.blake2b()
    for path in sorted(p for p in out.rglob("*") if p.is_file() and p.name not in OF_A_RUN):
        whole.update(str(path.relative_to(out)).encode() + hashlib.blake2b(path.read_bytes()).digest())
    return whole.hexdigest()


def readers(folder: Path) -> dict[str, Callable[[], int]]:
    """Name -> what reads all samples once, and returns how many there were."""
    import litdata
    import webdataset

    from fusion_aug import open_log

    roots = {name: folder / f"{name} no worker" for name in FORMATS}
    shards = [str(p) for p in sorted(roots["webdataset"].glob("*.tar"))]

    def files() -> int:
        samples = sorted((roots["folder"] / "samples").iterdir())
        for sample in samples:
            for path in sample.rglob("*"):
                if path.is_file():
                    path.read_bytes()
        return len(samples)

    def tars() -> int:
        return sum(1 for _ in webdataset.WebDataset(shards, shardshuffle=False))

    def chunks() -> int:
        return sum(1 for _ in litdata.StreamingDataset(str(roots["litdata"])))

    def decoded(name: str) -> int:
        return sum(1 for sample in open_log(name, roots[name]) if sample.realized())

    return {
        "folder, bytes of all files": files, "webdataset, its own loader": tars, "litdata, its own loader": chunks,
        "folder, decoded by ours": lambda: decoded("folder"),
        "webdataset, decoded by ours": lambda: decoded("webdataset"),
    }  # fmt: skip


def main(rounds: int) -> int:
    """Measure, print and write."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        seconds, differing = written(Path(name))
        ways, rates = readers(Path(name)), {}
        for way in ways:
            rates[way] = []
        for number in range(rounds + 1):
            for way, read in ways.items():
                start = time.perf_counter()
                count = read()
                if number:  # the first is of cold files and imports
                    rates[way].append(count / (time.perf_counter() - start))
    found = {way: statistics.median(rate) for way, rate in rates.items()}
    table = Table("reading", "samples/s", "to the folder format", box=None, pad_edge=False)
    for way, rate in found.items():
        base = found["folder, decoded by ours" if "ours" in way else "folder, bytes of all files"]
        table.add_row(way, f"{rate:.1f}", f"{rate / base:.2f}")
    Console().print(table)
    print("written in", ", ".join(f"{s:.1f} s ({name})" for name, s in seconds.items()))
    print(f"bytes differ: {', '.join(differing)}" if differing else f"the same bytes by {', '.join(WAYS)}")
    record = {"rounds": rounds, "samples_per_s": found, "seconds_written": seconds, "differing": differing}
    Path(__file__).with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
