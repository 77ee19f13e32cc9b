"""Base of the writers of packed formats: samples are staged as the folder format has them, and packed at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.files import inside, read_json
from fusion_aug.logs.core.writer import PARTS_FOLDER, Writer
from fusion_aug.logs.folder.writer import write_sample
from fusion_aug.logs.packed.members import packed_files
from fusion_aug.sample import Sample

MIB = 2**20


class PackedWriter(Writer):
    """Writer of a packed format, for samples of any log. It holds everything, so ``lossy`` has no effect.

    Raises:
        ConfigError: ``shard_mb`` is no whole number above 0.
    """

    name: ClassVar[str]

    def __init__(self, log: Any, out: Path, **kwargs: Any):
        super().__init__(log, out, **kwargs)
        size = self.options["shard_mb"]
        if type(size) is not int or size < 1:
            raise ConfigError(f"output.shard_mb: expected a whole number of at least 1, got {size!r}")
        self.shard_bytes = size * MIB

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write the sample to the parts; there are no table rows."""
        target = inside(folder / PARTS_FOLDER / "samples", out_id, "sample id")
        write_sample(self.as_read_back(sample, source), out_id, target)
        packed_files(target)  # what cannot be packed is told here, where it can be skipped
        return {}

    def files_of(self, out_id: str) -> list[tuple[str, Path]]:
        """Name in the pack and path of the files of a staged sample."""
        return packed_files(self._folder(out_id))

    def _folder(self, out_id: str) -> Path:
        return self.part(f"{PARTS_FOLDER}/samples/{out_id}/sample.json").parent

    def scene(self, out_id: str) -> str:
        """Scene of a staged sample."""
        return str(read_json(self._folder(out_id) / "sample.json")["scene"])
