"""Writer of the folder format, for samples of any log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from calib import rig_to_dict
from fusion_aug.logs.core.files import inside, write_json
from fusion_aug.logs.core.store import write_streams
from fusion_aug.logs.core.writer import Writer
from fusion_aug.logs.folder.reader import VERSION
from fusion_aug.sample import Sample, history_to_json


class FolderWriter(Writer):
    """Writer of the folder format, for samples of any log. It holds everything, so ``lossy`` has no effect."""

    copied_whole: ClassVar[tuple[str, ...]] = ("samples/**/arrays.npz",)
    unsupported_effects: ClassVar[dict[str, tuple[str, str]]] = {}

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write the sample to ``folder/samples/<out_id>``; there are no table rows."""
        sample = self.as_read_back(sample, source)
        write_sample(sample, out_id, inside(folder / "samples", out_id, "sample id"), self.link)
        return {}

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the list of samples."""
        write_json({"version": VERSION, "samples": [out for out, _ in ids]}, self.out / "log.json")


def write_sample(sample: Sample, sample_id: str, folder: Path, link: str = "copy") -> None:
    """Write one sample with everything it holds."""
    meta = sample.meta
    write_streams(dict(sample.streams), folder / "streams", link)
    data = {
        "id": sample_id,
        "scene": meta.scene,
        "ref": list(meta.ref),
        "anchor": meta.anchor.tolist(),
        "clock": meta.clock,
        "start": meta.start,
        "order": list(sample.streams),
        "rig": rig_to_dict(meta.rig, exact=True),
        "true_rig": None if meta.true_rig is meta.rig else rig_to_dict(meta.true_rig, exact=True),
        # sorted, so that a history that came from a manifest gives the same bytes
        "history": json.loads(json.dumps(history_to_json(meta.history), sort_keys=True)),
    }
    write_json(data, folder / "sample.json")
