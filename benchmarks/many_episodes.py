"""``python -m benchmarks.many_episodes [SIZES]``: runs over many short episodes, and their last step.

LeRobotDataset and robomimic join what every sample wrote, so that their last step is the largest. The logs are made.
Every size is a process of its own; seconds are of processor time. Memory is what a process held at the most while one
sample was made, after a tenth of them and at the end, and in the last step beyond what it held before.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.alone import alone
from benchmarks.many_tasks import measured
from fusion_aug.run.config import compose_config
from fusion_aug.run.ending import end
from fusion_aug.run.execute import execute
from fusion_aug.run.job import Job
from fusion_aug.run.publishing import Publisher

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))
SIZES = (100, 300)
FORMATS = ("lerobot", "robomimic")
MIB = 2**20


def figures(kind: str, count: int) -> dict[str, float]:
    """A run over so many episodes in this process."""
    import episodes

    makers: dict[str, tuple[Callable[[Path, int], Path], str]] = {
        "lerobot": (episodes.lerobot, episodes.LEROBOT), "robomimic": (episodes.robomimic, episodes.ROBOMIMIC)
    }  # fmt: skip
    make, parts = makers[kind]
    with tempfile.TemporaryDirectory() as folder:
        root = make(Path(folder, "log"), count)
        words = [f"log={kind}", f"log.root={root}", parts, "pipeline=identity", f"out={folder}/out"]
        start = time.process_time()
        execute(Job(compose_config("run", [*words, "shard=1/1"], None)))
        staging = time.process_time() - start
        job = Job(compose_config("run", words, None))
        memory = [job.marker(number)["used"][2] for number in (count // 10, count - 1)]
        job.log.read(job.tasks[0][0])
        _, before = measured(lambda: None)
        merging, peak = measured(lambda: end(job, time.monotonic(), count, [], Publisher()))
        return {
            "staging": staging / count, "tenth": memory[0], "last": memory[1],
            "merging": merging / count, "more": peak - before,
        }  # fmt: skip


def main(sizes: Sequence[int]) -> int:
    """Measure and print."""
    print("                      ms per episode       MiB of a process        MiB more")
    print("format      episodes  sample    last step  at a tenth  at the end  last step", flush=True)
    for kind in FORMATS:
        for size in sizes:
            f = alone("many_episodes", kind, size)
            print(
                f"{kind:<11} {size:<9} {1e3 * f['staging']:<9.2f} {1e3 * f['merging']:<10.2f} "
                f"{f['tenth'] / MIB:<11.1f} {f['last'] / MIB:<11.1f} {f['more'] / MIB:.1f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in FORMATS:
        print(json.dumps(figures(sys.argv[1], int(sys.argv[2]))))
    else:
        sys.exit(main([int(word) for word in sys.argv[1:]] or list(SIZES)))
