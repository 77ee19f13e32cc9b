"""``python -m benchmarks.noise``: dense noise by rows against Philox of NumPy and the generator of torch.

Also part of ``make bench``. Where there is a GPU, the same numbers are made there and compared bit by bit.
"""

from __future__ import annotations

import numpy as np
import torch

import fusion_aug as fa
from benchmarks.timing import Figure, measured
from fusion_aug.ops import color
from fusion_aug.ops.hashed import cells, chance, row_key, uniform, words
from fusion_aug.ops.normals import normal
from fusion_aug.ops.random import noise

SIZE = (900, 1600, 3)
POINTS, JOINTS = 35_000, 7
STAMP = 1_760_000_000_000_000_000


def measure() -> list[Figure]:
    """A picture, a cloud and one reading."""
    key, values = row_key("key", "CAM_FRONT", STAMP), int(np.prod(SIZE))
    philox, torch_rng = noise("key", "CAM_FRONT", STAMP), torch.Generator().manual_seed(0)
    beside = [
        ("torch", lambda: torch.randn(SIZE, generator=torch_rng)),
        ("PCG64", lambda: np.random.default_rng(0).standard_normal(SIZE, np.float32)),
    ]
    picture = torch.from_numpy(np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8))
    stamps = STAMP + 10_000_000 * np.arange(100)
    return [
        measured(
            "noise: normals of a picture", lambda: normal(key, values),
            ("Philox", lambda: philox.standard_normal(SIZE, np.float32)), 1.3, 20, beside,
        ),
        measured(
            "noise: GaussianNoise", lambda: color.add_noise(picture, 0.02, key),
            ("Philox normals", lambda: philox.standard_normal(SIZE, np.float32)), 2.0, 20,
        ),
        measured(
            "noise: normals of a cloud", lambda: normal(key, cells(np.arange(POINTS), 3)),
            ("Philox", lambda: philox.standard_normal((POINTS, 3))), 1.3,
        ),
        measured(
            "noise: mask of a cloud", lambda: chance(key, POINTS, 0.3),
            ("Philox", lambda: philox.random(POINTS) < 0.3), 2.0,
        ),
        measured(
            "noise: 100 readings", lambda: normal(row_key("key", "arm"), cells(stamps, JOINTS)),
            ("a generator each", lambda: [noise("key", "arm", int(t)).standard_normal(JOINTS) for t in stamps]), 0.2,
        ),
        measured(
            "noise: one reading", lambda: normal(row_key("key", "arm"), cells(stamps[:1], JOINTS)),
            ("a generator", lambda: noise("key", "arm", STAMP).standard_normal(JOINTS)), 4.0, 300,
        ),
    ]  # fmt: skip


def device_line() -> str:
    """Whether a GPU gives the bits of the CPU, and the time it takes; or that there is none."""
    if not torch.cuda.is_available():
        return "no GPU: nothing was run on one"
    key, values, device = row_key("key", "CAM_FRONT", STAMP), int(np.prod(SIZE)), torch.device("cuda")
    same = [
        np.array_equal(function(key, values), function(key, values, device).cpu().numpy())
        for function in (words, uniform, normal)
    ]
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(20):
        normal(key, values, device)
    stop.record()
    torch.cuda.synchronize()
    return (
        f"{torch.cuda.get_device_name()}: the same bits: {all(same)}, {start.elapsed_time(stop) / 20:.2f} ms a picture"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"fusion_aug {fa.__version__}, numpy {np.__version__}, torch {torch.__version__}")
    for figure in measure():
        limit = "" if figure.limit is None else f" (limit {figure.limit:g})"
        print(
            f"{figure.name}: {figure.milliseconds:.2f} ms, {figure.ratio:.2f} of {figure.against}{limit}; {figure.note}"
        )
    print(device_line())
