"""Searches killed at random moments: each engine ends with the bytes of one that nobody killed.

    python tools/kill_search.py [ENGINE ...] [--kills 5] [--seed 0]

A search runs in a child process that is killed with SIGKILL at a random moment, again and again; then the same call
ends it. Journal, results, preset and report must be those of a search without a kill. One thread. Exits with 1 where an
engine fails.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY)]

import fusion_aug as fa  # noqa: E402
from fusion_aug.ops.random import digest, generator  # noqa: E402
from fusion_aug.policy.search import Checkpoint, search_policy  # noqa: E402

PIPELINE = {"bright": fa.Brightness(factor=[0.5, 1.5]), "turn": fa.RotateScene(yaw_deg=[-45, 45]),
            "points": fa.PointDropout(share=[0, 0.5])}  # fmt: skip
SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {"trials": 9}, "random": {"trials": 9}, "pbt": {"trials": 12, "population": 4, "epochs": 3},
    "optuna": {"trials": 9}, "nsga2": {"engine": "optuna", "trials": 9, "score": ["clean", "fog"]},
    "density": {"levels": [0.5, 1.0]}, "reinforce": {"trials": 12},
}  # fmt: skip
PAUSE = 0.002  # seconds that a training takes at least, twice


def objective(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Checkpoint) -> dict[str, float]:
    """Scores from the pipeline, the seed and what the checkpoint before holds; the new one is written in two parts."""
    before = "" if checkpoint.before is None else checkpoint.before.read_text()
    key = digest(str(pipeline.to_config()), seed, epochs, before)
    with checkpoint.after.open("w") as file:
        file.write(key[:16])
        file.flush()
        time.sleep(PAUSE)
        file.write(key[16:])
    time.sleep(PAUSE)
    clean, fog = generator(key).random(2).tolist()
    return {"clean": clean, "fog": fog, "loss": 0.5 + clean}


def search(name: str, out: Path) -> None:
    """One of the searches, two seeds a trial."""
    given = {"engine": name, "seeds": 2, "score": None if name == "density" else "clean"} | SEARCHES[name]
    search_policy(objective, fa.Space.of(fa.Compose(PIPELINE)), out=out, seed=3, **given)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file by its name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def killed(name: str, out: Path, kills: int, seed: int, run: Callable[[str, Path], None] = search) -> float:
    """Run a search that is killed some times, then to its end; returns the seconds that one without a kill takes."""
    start = time.monotonic()
    run(name, out.with_name(f"{out.name}-whole"))
    lasts = time.monotonic() - start
    rng, hit = generator(digest(seed, name)), 0
    while hit < kills:
        child = os.fork()
        if child == 0:
            try:
                run(name, out)
            finally:
                os._exit(0)
        time.sleep(float(rng.uniform(0, lasts / 2)))
        os.kill(child, signal.SIGKILL)
        hit += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    run(name, out)
    return lasts


def differing(name: str, folder: Path, kills: int, seed: int) -> list[str]:
    """Names of the files that are not those of a search without a kill."""
    killed(name, folder / name, kills, seed)
    one, other = files_of(folder / f"{name}-whole"), files_of(folder / name)
    return sorted(n for n in {*one, *other} if one.get(n) != other.get(n))


def main(words: Sequence[str] | None = None) -> int:
    """Kill, print a line for each engine, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engines", nargs="*", help=f"of {', '.join(SEARCHES)}; all by default")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(words)
    failed = 0
    for name in given.engines or SEARCHES:
        with tempfile.TemporaryDirectory() as folder:
            wrong = differing(name, Path(folder), given.kills, given.seed)
        failed += bool(wrong)
        print(
            f"{name:10} {given.kills} kills: {'differs in ' + ', '.join(wrong) if wrong else 'the same bytes'}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
