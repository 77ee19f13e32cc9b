"""The ``metadata.yaml`` that rosbag2 expects beside the files of a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from calib.regular_files import is_there
from calib.yaml_text import load_yaml
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_text
from fusion_aug.logs.core.new_files import write_new_text

NAME, ROOT = "metadata.yaml", "rosbag2_bagfile_information"


class BagFile(NamedTuple):
    """A file of a recording: its name, first and last log time (ns), and messages by topic."""

    name: str
    start: int
    end: int
    counts: Mapping[str, int]


def write_bag(folder: Path, files: Sequence[BagFile], kinds: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    """Write ``metadata.yaml``.

    Args:
        folder: of the files. files: in order.
        kinds: topic -> type of its messages. hashes: topic -> hash of the type, where known.
    """
    counts: Counter[str] = Counter()
    for file in files:
        counts.update(file.counts)
    topics = [
        {
            "topic_metadata": {"name": t, "type": kinds[t], "serialization_format": "cdr", "offered_qos_profiles": [],
                               "type_description_hash": hashes.get(t, "")},
            "message_count": n,
        }
        for t, n in sorted(counts.items())
    ]  # fmt: skip
    start, end = min(f.start for f in files), max(f.end for f in files)
    file_entries = [{"path": f.name, **_span(f.start, f.end), "message_count": sum(f.counts.values())} for f in files]
    bag = {
        "version": 9, "storage_identifier": "mcap", **_span(start, end), "message_count": sum(counts.values()),
        "topics_with_message_count": topics, "compression_format": "", "compression_mode": "",
        "relative_file_paths": [f.name for f in files], "files": file_entries, "custom_data": None,
        "ros_distro": "humble",
    }  # fmt: skip
    write_new_text(folder / NAME, yaml.safe_dump({ROOT: bag}, sort_keys=False, width=200))


def _span(start: int, end: int) -> dict[str, Any]:
    return {"duration": {"nanoseconds": end - start}, "starting_time": {"nanoseconds_since_epoch": start}}


def split_files(folder: Path) -> list[str]:
    """Names of the files of a recording, in order, from its metadata; empty where there is none."""
    names = metadata_of(folder).get("relative_file_paths", [])
    return [str(name) for name in names] if isinstance(names, list) else []


def type_hashes(folder: Path) -> dict[str, str]:
    """Type hashes by topic, from the metadata of a recording; empty where there is none."""
    try:
        topics = [t["topic_metadata"] for t in metadata_of(folder).get("topics_with_message_count", [])]
        return {t["name"]: t.get("type_description_hash", "") for t in topics}
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{folder / NAME}: {ROOT}: is not what rosbag2 writes") from None


def metadata_of(folder: Path) -> dict[str, Any]:
    """Return the content of ``metadata.yaml``; empty if there is none.

    Raises:
        DataError: it is not what rosbag2 writes.
    """
    path = folder / NAME
    if not is_there(path):
        return {}
    try:
        content = load_yaml(read_text(path))[ROOT]
    except (yaml.YAMLError, KeyError, TypeError):
        content = None
    if not isinstance(content, dict):
        raise DataError(f"{path}: {ROOT}: is not what rosbag2 writes")
    return content
