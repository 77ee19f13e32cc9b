"""Writer of LitData chunks, by LitData's own writer, since their layout belongs to its version."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.logs.core.files import read_json, write_json
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.packed.writer import PackedWriter

INDEX = "index.json"
WRITTEN = "0"  # when the chunks were written: LitData compares it only, and the same samples are to give the same bytes


class LitDataLog(Log):
    """There is no reader: says what reads the chunks."""

    written_only = True

    def __init__(self, root: str | Path, *_: Any):
        raise DataError(
            f"{root}: LitData chunks are written here, not read; litdata.StreamingDataset reads them, and a run of the "
            f"same input with output=webdataset writes shards that are read here too"
        )

    @property
    def all_ids(self) -> Sequence[str]:
        """There are none."""
        return []

    def read(self, sample_id: str) -> Any:
        """Nothing is read."""
        raise NotImplementedError


class LitDataWriter(PackedWriter):
    """Writer of LitData chunks: an item is ``{"id": text, "CAM_FRONT.000000.jpg": bytes, ...}``.

    All items of a dataset have the same keys: a file that a sample does not have is empty.

    Raises:
        ConfigError: ``shard_mb`` is no whole number above 0. MissingPackage: litdata is not installed.
    """

    name: ClassVar[str] = "litdata"

    def __init__(self, log: Any, out: Path, **kwargs: Any):
        super().__init__(log, out, **kwargs)
        try:
            from litdata.streaming.writer import BinaryWriter
        except ImportError:
            raise MissingPackage("output: litdata needs the package litdata: pip install '.[litdata]'") from None
        self._chunks = BinaryWriter

    def finish(self, rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the chunks in the order of the samples, one of them in memory, and the index last."""
        work = self.out / WORK / "litdata"
        shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
        names = sorted({name for out_id, _ in ids for name, _ in self.files_of(out_id)})
        writer = self._chunks(str(work), chunk_bytes=self.shard_bytes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a sample may be larger than a chunk
            for number, (out_id, _) in enumerate(ids):
                files = dict(self.files_of(out_id))
                held = {name: files[name].read_bytes() if name in files else b"" for name in names}
                writer.add_item(number, {"id": out_id, **held})
            writer.done()
        writer.merge(1)
        index = read_json(work / INDEX)
        for chunk in index["chunks"]:
            (work / chunk["filename"]).replace(self.out / chunk["filename"])
        write_json({**index, "updated_at": WRITTEN}, self.out / INDEX)
        shutil.rmtree(work)
