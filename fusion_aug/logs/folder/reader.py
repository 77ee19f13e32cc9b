"""Reader of the folder format, the project's own, which holds every stream and calibration exactly.

``log.json`` lists the samples; ``samples/<id>/sample.json`` holds reference, both rigs and history,
``samples/<id>/streams/`` the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from urllib.parse import quote

from calib import rig_from_dict
from calib.se3 import as_f64
from fusion_aug.errors import USER_ERRORS, DataError
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.intensity import Clouds, clouds_of_samples
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.store import read_streams
from fusion_aug.logs.core.stored import Stored, StoredFolder
from fusion_aug.logs.folder.contents import fields_of
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Boxes3D, EgoPose, Points, Stream

VERSION = 2


class FolderLog(Log):
    """Reader of the folder format. ``log.select`` takes ids, scenes, or shell patterns."""

    @cached_property
    def all_ids(self) -> list[str]:
        """Ids of all samples, in the order in which they were written."""
        where = self.path_in("log.json", "log.root")
        index = read_json(where)
        if not isinstance(index, dict) or not isinstance(index.get("samples"), list):
            raise DataError(f"{where}: samples: expected a list of ids")
        if index.get("version") != VERSION:
            got = index.get("version")
            raise DataError(f"{where}: version: this reads version {VERSION}, got {got!r}; write the log again")
        return [str(i) for i in index["samples"]]

    def names_of(self, sample_id: str) -> Sequence[str]:
        """A sample is called by its id and its scene; by its id alone where it cannot be read."""
        try:
            return super().names_of(sample_id)
        except USER_ERRORS:
            return [sample_id]

    def fields(self) -> Mapping[str, Fields]:
        """Fields of the descriptions, and names of arrays."""
        return fields_of(self.tree, map(self._folder, self.ids))

    def is_selected_file(self, path: str) -> bool:
        """Whether a file belongs to a selected sample, or to none."""
        parts = path.split("/")[1:]
        return not any("/".join(parts[:n]) in self._not_selected for n in range(1, len(parts)))

    @cached_property
    def _not_selected(self) -> set[str]:
        return set(self.all_ids) - set(self.ids)

    def read(self, sample_id: str) -> Sample:
        """Read one sample."""
        return read_sample(self._stored(sample_id), sample_id)

    def clouds(self, count: int) -> Clouds:
        """Clouds without the streams beside them."""
        read = partial(read_sample, kind=Points)
        return clouds_of_samples(self.all_ids, lambda i: read(self._stored(i), i), count, self.cloud_file)

    def boxes_and_ego(self, sample_id: str) -> Sample:
        """A sample with its boxes and ego poses alone."""
        boxes, ego = (read_sample(self._stored(sample_id), sample_id, kind) for kind in (Boxes3D, EgoPose))
        return boxes.with_streams({**boxes.streams, **ego.streams})

    def cloud_file(self, sample_id: str, stream: str) -> Path:
        """The arrays of the stream."""
        return self._folder(sample_id) / "streams" / quote(stream, safe=" ") / "arrays.npz"

    def scene_of(self, sample_id: str) -> str:
        """Scene of a sample."""
        return str(read_json(self._folder(sample_id) / "sample.json").get("scene"))

    def _stored(self, sample_id: str) -> Stored:
        return StoredFolder(self._folder(sample_id), self.tree)

    def _folder(self, sample_id: str) -> Path:
        return self.tree.path(sample_id, str(self.root / "log.json"), self.root / "samples")


def read_sample(stored: Stored | Path, sample_id: str, kind: type[Stream] = Stream) -> Sample:
    """Read one sample. It starts with an empty history: it is a source of its own.

    Args:
        stored: its files, or their folder. kind: class of the streams that are read.

    Raises:
        DataError: a file is missing or damaged.
    """
    if isinstance(stored, Path):
        stored = StoredFolder(stored)
    where, data = stored.where("sample.json"), stored.json("sample.json")
    if isinstance(data, dict) and "truth" in data:
        raise DataError(f"{where}: truth: is called true_rig now; write the log again")
    try:
        frame, time = data["ref"]
        rig = rig_from_dict(data["rig"], f"{where}: rig")
        true_rig = rig if data["true_rig"] is None else rig_from_dict(data["true_rig"], f"{where}: true_rig")
        meta = SampleMeta(
            id=sample_id, scene=str(data["scene"]), ref=Ref(str(frame), int(time)), rig=rig, true_rig=true_rig,
            anchor=as_f64(data["anchor"]), clock=str(data["clock"]),
            start=None if data.get("start") is None else int(data["start"]),
        )  # fmt: skip
        order = [str(n) for n in data["order"]]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError) or type(error).__name__ == "CalibrationError":
            raise
        raise DataError(f"{where}: is missing a field or holds a wrong type ({error})") from None
    streams = read_streams(stored.below("streams"), kind)
    return Sample(metas=(meta,), streams={n: streams[n] for n in order if n in streams} | streams)
