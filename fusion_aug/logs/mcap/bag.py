"""What rosbag2 writes of a recording: ``metadata.yaml`` beside its files, and the same as a record in each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from calib.regular_files import is_there
from calib.yaml_text import load_yaml
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_text
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.logs.mcap.recording import BAG_VERSION, Channel

NAME, ROOT = "metadata.yaml", "rosbag2_bagfile_information"
BAG_RECORD, BAG_TEXT = "rosbag2", "serialized_metadata"  # metadata record of an MCAP file, and its entry
DISTRO = "humble"  # of a recording that comes without metadata.yaml
OFFERED, HASH = "offered_qos_profiles", "topic_type_hash"  # metadata of channels
STORAGES = {".mcap": "mcap", ".db3": "sqlite3"}  # ending of a file -> what rosbag2 calls it
TEXT_BEFORE = 9  # version from which profiles are a list and no longer the YAML text of one


class BagFile(NamedTuple):
    """A file of a recording: its name, first and last log time (ns), and messages by topic."""

    name: str
    start: int
    end: int
    counts: Mapping[str, int]


def write_bag(
    folder: Path, files: Sequence[BagFile], channels: Iterable[Channel], before: Mapping[str, Any],
    version: int = BAG_VERSION,
) -> None:  # fmt: skip
    """Write ``metadata.yaml``.

    Args:
        folder: of the files. files: in order. channels: of all topics. before: content of the source's, empty if none.
        version: of the content where the source tells none.
    """
    bag = bag_content(files, channels, before, version)
    write_new_text(folder / NAME, yaml.safe_dump({ROOT: bag}, sort_keys=False, width=200))


def bag_content(
    files: Sequence[BagFile], channels: Iterable[Channel], before: Mapping[str, Any], version: int = BAG_VERSION
) -> dict[str, Any]:
    """Content of ``metadata.yaml``, in the version of the source; what does not describe its messages stays."""
    told = before.get("version")
    version = told if type(told) is int else version
    counts: Counter[str] = Counter()
    for file in files:
        counts.update(dict(file.counts))
    entries = {e["topic_metadata"]["name"]: e["topic_metadata"] for e in _topics(before)}
    by_topic = {c.topic: c for c in channels}
    topics = [
        {"topic_metadata": _topic(by_topic[t], entries.get(t), version), "message_count": counts[t]}
        for t in sorted(counts)
    ]
    own = {
        "version": version, "storage_identifier": STORAGES[Path(files[0].name).suffix],
        **_span(min(f.start for f in files), max(f.end for f in files)),
        "message_count": sum(counts.values()), "topics_with_message_count": topics,
        "compression_format": "", "compression_mode": "", "relative_file_paths": [f.name for f in files],
        "files": [{"path": f.name, **_span(f.start, f.end), "message_count": sum(f.counts.values())} for f in files],
    }  # fmt: skip
    if version >= 6:
        own |= {"custom_data": None} | ({"ros_distro": DISTRO} if version >= 8 else {})
    kept = {n: v for n, v in before.items() if n not in own or n in ("custom_data", "ros_distro")}
    if "files" not in before and (before or version < 5):  # of an older version
        del own["files"]
    return own | kept


def _topic(channel: Channel, before: Mapping[str, Any] | None, version: int) -> dict[str, Any]:
    """Entry of a topic: that of the source, else of what its channel tells."""
    if before is not None:
        return {**before, "type": channel.kind}
    offered: Any = channel.metadata.get(OFFERED, "")
    if version >= TEXT_BEFORE:
        try:
            offered = load_yaml(offered) if offered else []
        except yaml.YAMLError:
            offered = []
    entry = {"name": channel.topic, "type": channel.kind, "serialization_format": channel.encoding, OFFERED: offered}
    return entry | ({"type_description_hash": channel.metadata.get(HASH, "")} if version >= 7 else {})


def _topics(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Entries of the topics in ``metadata.yaml``, those that are ones."""
    entries = content.get("topics_with_message_count")
    found = entries if isinstance(entries, list) else []
    return [e for e in found if isinstance(e, dict) and isinstance(e.get("topic_metadata"), dict)
            and isinstance(e["topic_metadata"].get("name"), str)]  # fmt: skip


def _span(start: int, end: int) -> dict[str, Any]:
    return {"duration": {"nanoseconds": end - start}, "starting_time": {"nanoseconds_since_epoch": start}}


def bag_record(
    before: Mapping[str, str], name: str, channels: Iterable[Channel], span: Sequence[int], counts: Mapping[str, int]
) -> dict[str, str]:
    """The record that rosbag2 keeps in an MCAP file, for what was written; as it is where it cannot be read.

    Args:
        before: that of the source. name: of the file. channels: of its topics. span: first and last log time, ns.
        counts: of messages by topic.
    """
    try:
        content = load_yaml(before[BAG_TEXT])
    except (yaml.YAMLError, KeyError):
        return dict(before)
    if not isinstance(content, dict):
        return dict(before)
    new = bag_content([BagFile(name, span[0], span[1], counts)], channels, content)
    return {**before, BAG_TEXT: yaml.safe_dump(new, sort_keys=False, width=200).strip()}


def split_files(folder: Path) -> list[str]:
    """Names of the files of a recording, in order, from its metadata; empty where there is none."""
    names = metadata_of(folder).get("relative_file_paths", [])
    return [str(name) for name in names] if isinstance(names, list) else []


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
