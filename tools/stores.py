"""Runs into an object store on this machine, interrupted and raced: ``make stores``.

The 21 keyframes of datasets/drive are read from the store and written to it, whole, killed five times, and where puts
are lost, and have to come to the bytes of a run on disk. Then pairs of runs of one small log into one place are begun
at once: one of each pair has to finish, and the other to say why it does not.

    python tools/stores.py [--races 100] [--kills 5]
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

import pytest  # noqa: E402
import small_logs  # noqa: E402
from stores import Bucket, Fault, bucket_of, store_process  # noqa: E402

DRIVE = REPOSITORY / "datasets" / "drive"
OF_A_RUN = ("run.json", "run.csv")  # in which two runs differ
LOST = ("LIDAR_TOP", "CAM_FRONT", "/done/", "manifest", "sample_data", "run.json")
CLAIM = "storage.claim_seconds=2"


def digest_of(files: dict[str, bytes]) -> str:
    """Of the names and bytes of what a run wrote."""
    whole = hashlib.blake2b(digest_size=8)
    for name in sorted(set(files) - set(OF_A_RUN)):
        whole.update(f"{name}\0{hashlib.blake2b(files[name]).hexdigest()}\n".encode())
    return whole.hexdigest()


def command(*words: str) -> list[str]:
    """The command line of a run."""
    return [sys.executable, "-m", "fusion_aug", "run", *words]


def run(*words: str) -> None:
    """A run that has to succeed."""
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr}")


def killed(bucket: Bucket, out: str, words: Sequence[str], times: int) -> None:
    """Kill a run as often, each time at some file of a sample, and let it finish."""
    for number in range(times):
        process = subprocess.Popen(command(*words, CLAIM), stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
        start = len(bucket.proxy.requests)
        while sum("samples/" in p for m, p in bucket.proxy.requests[start:] if m == "PUT") < 30 + 7 * number:
            if process.poll() is not None:
                sys.exit(f"{out}: the run ended before it was killed: {process.communicate()[1]}")
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(4)  # its claim lapses; dates of a store are whole seconds
    run(*words, CLAIM)


def of_keyframes(bucket: Bucket, folder: Path, kills: int) -> bool:
    """Compare runs from and into the store with one on disk, and print the digests and the requests."""
    same = ["log=nuscenes", "pipeline=driving"]
    run(*same, f"log.root={DRIVE}", f"out={folder / 'disk'}")
    paths = [p for p in (folder / "disk").rglob("*") if p.is_file()]
    here = digest_of({p.relative_to(folder / "disk").as_posix(): p.read_bytes() for p in paths})
    print(f"on disk: {len(paths)} files, digest {here}", flush=True)
    root, held = bucket.put(DRIVE, "drive"), True
    for name in ("whole", "killed", "lost"):
        words = [*same, f"log.root={root}", f"out={bucket.url}/{name}", f"storage.cache={folder / name}"]
        bucket.proxy.requests.clear()
        if name == "killed":
            killed(bucket, name, words, kills)
        else:
            bucket.proxy.faults[:] = [Fault("dropped", "PUT", f"/{name}/.*{p}") for p in LOST if name == "lost"]
            run(*words)
        counts, there = bucket.proxy.counts(), digest_of(bucket.tree(name))
        per = ", ".join(f"{n / 21:.1f} {method}" for method, n in sorted(counts.items()))
        print(f"{name}: digest {there}; for each keyframe {per}", flush=True)
        held &= there == here and not any(f.times for f in bucket.proxy.faults)
    return held


def one_of_two(words: list[str], said: str, gate: Any) -> None:
    """A run in a process of its own, which begins with another."""
    from fusion_aug.cli import main

    with Path(said).open("w") as file:
        os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        gate.wait()
        code = main(words)
    os._exit(code)


def raced(bucket: Bucket, folder: Path, races: int) -> int:
    """Begin two runs at once, so often; returns how often one finished and the other said why not."""
    root, held = small_logs.kitti(folder / "log"), 0
    bucket.proxy.faults[:] = [Fault("slow", "PUT", "/training/", 10**9)]  # the second begins while the first is at work
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fusion_aug.cli", "fusion_aug.run.execute", "s3fs"])
    for number in range(races):
        gate, pair = context.Barrier(2), []
        for side in "ab":
            words = ["run", "log=kitti", f"log.root={root}", "pipeline=identity", f"out={bucket.url}/race{number}"]
            words.append(f"storage.cache={folder / side}")
            pair.append(context.Process(target=one_of_two, args=(words, f"{folder / side}.txt", gate)))
        for process in pair:
            process.start()
        for process in pair:
            process.join()
        codes = [p.exitcode for p in pair]
        lines = [(folder / f"{side}.txt").read_text() for side in "ab"]
        right = sorted(codes) == [0, 2] and "another run is writing" in lines[codes.index(2)]
        held += right
        if not right:
            print(f"race {number}: exit codes {codes}: {lines}", flush=True)
    return held


def main(words: Sequence[str] | None = None) -> int:
    """Try it all and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--races", type=int, default=100)
    parser.add_argument("--kills", type=int, default=5)
    given = parser.parse_args(words)
    with (
        tempfile.TemporaryDirectory() as name, store_process() as port, pytest.MonkeyPatch.context() as patch,
        bucket_of(port, patch) as bucket,
    ):  # fmt: skip
        held = of_keyframes(bucket, Path(name), given.kills)
        won = raced(bucket, Path(name), given.races)
    print(f"digests {'agree' if held else 'DIFFER'}; {won} of {given.races} races: one finished, the other said why")
    return 0 if held and won == given.races else 1


if __name__ == "__main__":
    sys.exit(main())
