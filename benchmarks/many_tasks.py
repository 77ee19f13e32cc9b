"""``python -m benchmarks.many_tasks [SIZES]``: planning and merging a run, per task, by how many tasks it has.

The tasks are made: a log of one small file for each, and a writer without tables, so that what is measured is what a
run itself does and keeps for every sample. Every size is a process of its own. Seconds are of processor time.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.alone import alone
from calib import Frame, Rig
from fusion_aug import extend as ext
from fusion_aug.run.beginning import begun
from fusion_aug.run.config import compose_config
from fusion_aug.run.ending import end
from fusion_aug.run.job import Job
from fusion_aug.run.publishing import Publisher
from fusion_aug.run.usage import Usage, peak_memory
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Signal

SIZES = (10**3, 10**4)  # the limits are those of 10**3 against 10**5
MOST_TIMES, MOST_KIB = 1.3, 4.0  # time per task against that of the smallest size; memory of every further task


class MadeLog(ext.Log):
    """Samples of three numbers, whose files lie in folders of a thousand."""

    @property
    def all_ids(self) -> Sequence[str]:
        """Names of the files."""
        return sorted(p.stem for p in self.root.glob("*/*.txt"))

    def read(self, sample_id: str) -> Sample:
        """The same numbers, whatever the file holds."""
        times = torch.arange(3)
        stream = Signal(frame="base", capture_times=times, values={"value": torch.zeros(3, 1)})
        rig = Rig({"base": Frame()}, {})
        meta = SampleMeta(id=sample_id, scene=sample_id, ref=Ref("base", 0), rig=rig, true_rig=rig, clock="signal")
        return Sample(metas=(meta,), streams={"signal": stream})


class MadeWriter(ext.Writer):
    """Writes a file for each sample."""

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write the name of the sample."""
        (folder / f"{out_id}.txt").write_text(out_id)
        return {"id": out_id}


def make(root: Path, count: int) -> None:
    """Write the files of a log."""
    for first in range(0, count, 1000):
        folder = root / f"{first // 1000:06d}"
        folder.mkdir(parents=True)
        for k in range(first, min(first + 1000, count)):
            (folder / f"sample-{k:08d}.txt").touch()


def measured(work: Callable[[], Any]) -> tuple[float, int]:
    """Seconds of processor time, and the most memory (bytes) that was held meanwhile."""
    Usage()  # from here on
    start = time.process_time()
    work()
    return time.process_time() - start, peak_memory()


def figures(count: int) -> dict[str, float]:
    """Plan and merge so many tasks in this process."""
    ext.register_format(ext.Format("made", MadeLog, MadeWriter, contents=(ext.Part("*/*.txt", ext.CHANGED, "names"),)))
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder, "log"), Path(folder, "out")
        make(root, count)
        words = ["log=made", f"log.root={root}", "pipeline=identity", f"out={out}"]
        job = Job(compose_config("run", words, None))

        def plan() -> None:
            with begun(job):
                job.process(0)

        seconds, memory = measured(plan)
        first = job.marker(0)
        for number, (name, _, _) in enumerate(job.tasks):
            line = first["line"] | {"id": name, "source": name}
            job.write_marker(number, first | {"line": line, "rows": {"id": name}})
        job = Job(job.config)  # as ``fusion-aug merge`` has it
        more, peak = measured(lambda: end(job, time.monotonic(), 0, [], Publisher()))
        return {"plan": seconds / count, "merge": more / count, "plan_peak": memory, "merge_peak": peak}


def main(sizes: Sequence[int]) -> int:
    """Measure and print; returns 1 where a limit does not hold."""
    print("              ms per task        KiB of every task beyond the first size")
    print("tasks         plan     merge     plan     merge", flush=True)
    least, holds = alone("many_tasks", "alone", sizes[0]), True
    for size in sizes:
        own, more = least if size == sizes[0] else alone("many_tasks", "alone", size), max(size - sizes[0], 1)
        memory = [(own[f"{step}_peak"] - least[f"{step}_peak"]) / 1024 / more for step in ("plan", "merge")]
        times = [1e3 * own[step] for step in ("plan", "merge")]
        print(f"{size:<13} {times[0]:<8.3f} {times[1]:<9.3f} {memory[0]:<8.2f} {memory[1]:.2f}", flush=True)
        holds &= max(own[step] / least[step] for step in ("plan", "merge")) <= MOST_TIMES and max(memory) <= MOST_KIB
    print(f"limits: {MOST_TIMES} x the time per task of the first size, {MOST_KIB:g} KiB of every further task")
    return 0 if holds else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        print(json.dumps(figures(int(sys.argv[2]))))
    else:
        sys.exit(main([int(word) for word in sys.argv[1:]] or list(SIZES)))
