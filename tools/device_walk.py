"""``python tools/device_walk.py [--whole] [NAME ...]``: every transform of the registry on the mock device.

Each goes over a small batch of a vehicle's streams, or of every kind of stream (``--whole``), with the settings of the
generic tests. Printed is whether it runs there with the CPU's values (geometry within 1e-5, levels within 1), what it
leaves on the host, whether it refuses or how it fails, and its launches, ways back to the host and copies in.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in (".", "tests/support", "tools")]

import torch  # noqa: E402
from cases import CASES  # noqa: E402
from device_report import compared, tensors  # noqa: E402
from samples import make_batch  # noqa: E402

import fusion_aug as fa  # noqa: E402
from fusion_aug.core.registry import own_transforms  # noqa: E402
from fusion_aug.errors import FusionAugError  # noqa: E402
from fusion_aug.sample.to_device import lies_on_device  # noqa: E402
from fusion_aug.testing import DeviceLog, mock_device  # noqa: E402

MOST = 150  # characters of what is said
VEHICLE = ("lidar", "radar", "boxes", "ego", "imu", "CAM_FRONT", "CAM_LEFT", "CAM_RIGHT")


def fate(transform: fa.Transform, batch: fa.Sample) -> tuple[str, str, DeviceLog]:
    """What becomes of a transform on the device: a word, what there is to say about it, and the log."""
    with mock_device() as log:
        there = batch.to(log.device)
        log.clear()
        try:
            out = transform(there, seed=1).realized()
        except Exception as error:  # whatever it is, it is what is looked for
            cause = error.__cause__ or error
            word = "refuses" if isinstance(cause, FusionAugError) else "fails"
            return word, f"{type(cause).__name__}: {cause}".splitlines()[0][:MOST], log
        own = replace(log, launches=[*log.launches], syncs=[*log.syncs], copies_in=[*log.copies_in])
        home = out.to("cpu")
    was = {n for n, s in there.streams.items() if lies_on_device(s)}
    left = [n for n, s in out.streams.items() if n in was and not lies_on_device(s)]
    if left:
        return "leaves on the host", ", ".join(left), own
    off = compared(tensors(transform(batch, seed=1).realized()), tensors(home))
    if off:
        return "differs", "; ".join(off)[:MOST], own
    return ("as on the CPU, through the host" if own.syncs else "as on the CPU"), "", own


def main(words: list[str]) -> None:
    """Print a line for each transform and setting, then how many there are of each kind."""
    torch.set_num_threads(1)
    batch, counts = make_batch(2, gels=False), Counter[str]()
    if "--whole" not in words:
        batch = batch.with_streams({n: s for n, s in batch.streams.items() if n.split("/")[0] in VEHICLE})
    names = [w for w in words if w != "--whole"]
    print(f"{'':26s} {'launches':>8} {'syncs':>6} {'copies in':>9}")
    for name, settings in CASES.items():
        if names and name not in names:
            continue
        for k, given in enumerate(settings):
            word, said, log = fate(own_transforms()[name](**given), batch)
            counts[word] += 1
            numbers = f"{len(log.launches):8d} {len(log.syncs):6d} {len(log.copies_in):9d}"
            print(f"{name + '-' + str(k):26s} {numbers}  {word}{': ' if said else ''}{said}", flush=True)
    print(*(f"{n} {word}" for word, n in counts.most_common()), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
