"""Completed distances of real frames, whole and with a fifth of the points held out, five times.

``python -m benchmarks.real_distances DATA OUT.npz``. It needs little of the package, so that it runs in the tree of an
earlier revision too: ``benchmarks.real_depth --before`` copies it there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.sample.depth import camera_range
from fusion_aug.streams import Camera, Depth, Points, Stream

FOLDS = 5


def frames(data: Path) -> Iterator[tuple[str, fa.Sample]]:
    """The real keyframes, by their format, without depth streams."""
    for kind in ("nuscenes", "kitti"):
        sample = fa.open_log(kind, data / kind)[0]
        yield kind, sample.with_streams({n: s for n, s in sample.streams.items() if not isinstance(s, Depth)})


def folds(sample: fa.Sample) -> Iterator[tuple[fa.Sample, fa.Sample]]:
    """The sample with four fifths of every cloud's points, and with the rest, five times."""
    for fold in range(FOLDS):
        known: dict[str, Stream] = {}
        rest: dict[str, Stream] = {}
        for name, stream in sample.streams.items():
            known[name] = rest[name] = stream
            if isinstance(stream, Points):
                cloud = stream.realized()
                out = torch.from_numpy(np.random.default_rng(0).permutation(cloud.rows) % FOLDS == fold)
                known[name], rest[name] = cloud.select(~out), cloud.select(out)
        yield sample.with_streams(known), sample.with_streams(rest)


def distances(data: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Format, camera and fold, ``all`` for none -> (H, W) metres; and per format the processor seconds of ``all``."""
    for kind, sample in frames(data):
        spent = 0.0
        for camera in sample.of_type(Camera):
            start = time.process_time()
            yield f"{kind} {camera} all", camera_range(sample, camera, 0).numpy()
            spent += time.process_time() - start
            for fold, (known, _) in enumerate(folds(sample)):
                yield f"{kind} {camera} {fold}", camera_range(known, camera, 0).numpy()
        yield f"{kind} seconds", np.array(spent)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    np.savez(sys.argv[2], **dict(distances(Path(sys.argv[1]))))
