"""The same results on the code paths of other processors: ``make processors``.

The libraries below us choose code by what the processor can do, and environment variables make them choose as if it
could less. Every case of the registry is run in a child process under each of these settings, and the results are
compared with each other by the limits of tests/support/results.py. A probe of primitives tells which settings change
a bit on this machine at all: one that changes none, neither of them nor of the results, has shown nothing.

Exits with 1 where two settings differ by more than a limit, or a child fails.
"""

from __future__ import annotations

import os
import pickle
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

SEEDS = range(3)
DEFAULT = "default"
Array = np.ndarray


def settings() -> dict[str, dict[str, str]]:
    """Name -> environment. OPENBLAS_CORETYPE stays as the machine has it."""
    dispatched = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    pairs = [
        ("MKL_CBWR", "COMPATIBLE"),
        ("MKL_CBWR", "AVX2"),
        ("ATEN_CPU_CAPABILITY", "default"),
        ("OPENCV_CPU_DISABLE", "AVX2,AVX512-SKX,FMA3"),
        ("NPY_DISABLE_CPU_FEATURES", ",".join(dispatched)),
    ]
    return {DEFAULT: {}, **{f"{name}={value}": {name: value} for name, value in pairs}}


# --- in a child ------------------------------------------------------------------------------------------------------
def work(out: Path) -> None:
    """Run the probe and every case under the settings of this process, and leave the results in a file."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {"probe": probe(), "results": dict(every_case())}
    with out.open("wb") as file:
        pickle.dump(found, file)


def every_case() -> Iterator[tuple[str, dict[str, Array]]]:
    """Name of a case with its seed, and its results."""
    from cases import CASES
    from donating import GivenDonors
    from generic import build
    from results import results
    from samples import make_sample

    from fusion_aug.core.registry import own_transforms

    for name in own_transforms():
        resources = {"donors": GivenDonors()}
        for number, fields in enumerate(CASES[name]):
            for seed in SEEDS:
                yield (
                    f"{name}-{number} seed {seed}",
                    results(build((name, fields))(make_sample(), seed=seed, resources=resources)),
                )


def probe() -> dict[str, str]:
    """Primitive -> digest of what it gives."""
    import cv2
    import torch

    rng = np.random.default_rng(0)
    square = {n: rng.normal(size=(40, n, n)) for n in (3, 4, 16)}
    points, line = rng.normal(size=(1000, 3)), rng.normal(size=10_001)
    picture = rng.integers(0, 256, (90, 121, 3), dtype=np.uint8)
    P = np.array([[0.83, 0.1, 3.3], [-0.12, 0.9, 1.7], [1e-4, -2e-4, 1.0]])
    grid = [x.astype(np.float32) for x in np.meshgrid(np.linspace(0, 110, 80), np.linspace(0, 80, 60))]
    t = torch.from_numpy
    primitives: dict[str, Callable[[], Any]] = {
        **{f"torch {n}x{n} @": lambda n=n: torch.stack([x @ x for x in t(square[n])]) for n in square},
        **{f"torch {n}x{n} batch @": lambda n=n: t(square[n]) @ t(square[n]) for n in square},
        **{f"torch {n}x{n} @ vector": lambda n=n: torch.stack([x @ x[0] for x in t(square[n])]) for n in square},
        "torch points @": lambda: t(points) @ t(square[3][0]),
        "torch float32 points @": lambda: t(points).float() @ t(square[3][0]).float(),
        "torch inv": lambda: torch.linalg.inv(t(square[4])),
        "torch det": lambda: torch.linalg.det(t(square[4])),
        "torch solve": lambda: torch.linalg.solve(t(square[16]), t(square[16][::-1].copy())),
        "torch matrix_exp": lambda: torch.linalg.matrix_exp(t(square[4])),
        "torch sum": lambda: torch.stack([t(line).sum(), t(line).float().sum()]),
        "torch norm": lambda: torch.linalg.norm(t(points), dim=1),
        "torch exp": lambda: torch.cat([t(line).exp(), t(line).float().exp()]),
        "torch sin": lambda: torch.cat([t(line).sin(), t(line).float().sin()]),
        **{f"NumPy {n}x{n} @": lambda n=n: square[n] @ square[n] for n in square},
        "NumPy points @": lambda: points @ square[3][0],
        "NumPy inv": lambda: np.linalg.inv(square[4]),
        "NumPy det": lambda: np.linalg.det(square[4]),
        "NumPy solve": lambda: np.linalg.solve(square[16], square[16][::-1]),
        "NumPy sum": lambda: np.array([line.sum(), line.astype(np.float32).sum()]),
        "NumPy exp": lambda: np.concatenate([np.exp(line), np.exp(line.astype(np.float32))]),
        "NumPy sin": lambda: np.concatenate([np.sin(line), np.sin(line.astype(np.float32))]),
        "NumPy arctan2": lambda: np.arctan2(points[:, 0], points[:, 1]),
        "OpenCV warpAffine": lambda: cv2.warpAffine(picture, P[:2], (100, 80)),
        "OpenCV warpPerspective": lambda: cv2.warpPerspective(picture, P, (100, 80)),
        "OpenCV remap": lambda: cv2.remap(picture.astype(np.float32), *grid, cv2.INTER_LINEAR),
        "OpenCV resize": lambda: cv2.resize(picture.astype(np.float32), (57, 43), interpolation=cv2.INTER_AREA),
        "OpenCV GaussianBlur": lambda: cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.3),
        "OpenCV transform": lambda: cv2.transform(points.astype(np.float32).reshape(-1, 1, 3), P @ np.eye(3, 4)),
        "OpenCV exp": lambda: cv2.exp(line.astype(np.float32)),
    }
    return {name: digest(np.asarray(primitive())) for name, primitive in primitives.items()}


def digest(array: Array) -> str:
    """Digest of the bytes of an array."""
    return blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).hexdigest()


# --- in the parent ---------------------------------------------------------------------------------------------------
def run_child(name: str, environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """What a child gives under a setting.

    Raises:
        SystemExit: the child failed.
    """
    out = folder / f"{digest(np.frombuffer(name.encode(), np.uint8))}.pickle"
    changed = {"OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(out)], env={**os.environ, **changed}, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{name}: the child failed:\n{done.stderr.strip()}")
    with out.open("rb") as file:
        found: dict[str, Any] = pickle.load(file)
    return found


def compared(found: dict[str, dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Where two settings differ by more than a limit: the two, and a line that says where."""
    from results import differences

    out = []
    for one, other in combinations(found, 2):
        a, b = found[one]["results"], found[other]["results"]
        for case in sorted(a.keys() | b.keys()):
            apart = differences(a[case], b[case]) if case in a and case in b else ["only one of them has this case"]
            out += [(one, other, f"{case}: {line}") for line in apart]
    return out


def effect(found: dict[str, Any], default: dict[str, Any]) -> tuple[list[str], int]:
    """Primitives of which a setting changes a bit, and of how many results of the cases it does."""
    probes = [n for n, d in default["probe"].items() if found["probe"][n] != d]
    mine, theirs = (
        {(case, path): digest(x) for case, result in f["results"].items() for path, x in result.items()}
        for f in (found, default)
    )
    return probes, sum(mine.get(key) != theirs.get(key) for key in mine.keys() | theirs.keys())


def processor() -> str:
    """What this machine calls its processor."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def main() -> int:
    """Run all settings, print a table and return the exit code."""
    print(f"processor: {processor()}")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        jobs = {name: pool.submit(run_child, name, env, Path(folder)) for name, env in settings().items()}
        found = {name: job.result() for name, job in jobs.items()}
    wrong = compared(found)
    runs, width = len(found[DEFAULT]["results"]), max(map(len, found))
    print(f"{runs} runs ({len(SEEDS)} seeds of every case) under each setting, compared with one another\n")
    print(f"{'setting':{width}}  {'verdict':18}  results and primitives of which a bit changes")
    for name, result in found.items():
        probes, changed = effect(result, found[DEFAULT])
        failed = sum(name in pair for *pair, _ in wrong)
        verdict = "within the limits" if probes or changed else "compared with" if name == DEFAULT else "no effect"
        verdict = f"{failed} over a limit" if failed else verdict
        print(f"{name:{width}}  {verdict:18}  {changed} results{''.join(f', {p}' for p in probes)}")
    for one, other, line in wrong[:40]:
        print(f"{one} and {other}: {line}")
    if len(wrong) > 40:
        print(f"... and {len(wrong) - 40} more")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        work(Path(sys.argv[2]))
    else:
        sys.exit(main())
