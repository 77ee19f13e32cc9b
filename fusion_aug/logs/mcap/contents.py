"""What a folder of MCAP recordings holds, and what a run makes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path

from calib.regular_files import is_there
from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, Fields, Part
from fusion_aug.logs.mcap.bag import NAME, metadata_of
from fusion_aug.logs.mcap.recording import Recording

BAG_FIELDS = (
    "version", "storage_identifier", "duration", "starting_time", "message_count", "topics_with_message_count",
    "compression_format", "compression_mode", "relative_file_paths", "files",
)  # fmt: skip
METADATA_PARTS = (
    Part(f"**/{NAME}", CHANGED, "list of files and topics with their quality of service, in the version of the source"),
    *(Part(f"**/{NAME}:{n}", CHANGED, "of the recording") for n in BAG_FIELDS),
    Part(f"**/{NAME}:ros_distro", KEPT, "distribution of ROS that recorded it"),
    Part(f"**/{NAME}:custom_data", KEPT, "facts that the recorder was given"),
)
CONTENTS = (
    Part("**/*.mcap", CHANGED, "recordings; messages that the pipeline does not change are copied byte by byte"),
    Part("**/*.mcap:topic **", CHANGED, "topics of known types: streams, calibration, frames"),
    Part("**/*.mcap:attachment **", KEPT, "attachments"),
    Part("**/*.mcap:metadata rosbag2", CHANGED, "the recording as rosbag2 describes it, with its new messages"),
    Part("**/*.mcap:metadata **", KEPT, "metadata records"),
    Part("**/*.mcap:excluded **", LEFT_OUT, "topics that log.exclude names"),
    *METADATA_PARTS,
)


def fields_of(
    root: Path, files: Iterable[Recording], known: Collection[str], is_excluded: Callable[[str], bool]
) -> dict[str, Fields]:
    """Topics, attachments and metadata records of recordings, and fields of their ``metadata.yaml``.

    Topics of types that nothing reads are listed as they are; they are copied, and refused where they had to change.

    Args:
        root: of the log. files: of the recordings. known: message types that are read.
        is_excluded: whether a topic is to be left out.
    """
    out: dict[str, Fields] = {}
    for file in files:
        out[file.path.relative_to(root).as_posix()] = partial(_contents_of, file, known, is_excluded)
        bag = file.path.parent / NAME
        if is_there(bag):
            out[bag.relative_to(root).as_posix()] = partial(_facts_of, file.path.parent)
    return out


def _contents_of(file: Recording, known: Collection[str], is_excluded: Callable[[str], bool]) -> list[str]:
    extras = file.extras()
    names = [f"attachment {a.name}" for a in extras.attachments]
    names += [*dict.fromkeys(f"metadata {m.name}" for m in extras.records), *extras.unknown]
    for channel in file.summary()[0]:
        word = "excluded " if is_excluded(channel.topic) else "topic " if channel.kind in known else ""
        names.append(f"{word}{channel.topic} ({channel.kind})")
    return names


def _facts_of(folder: Path) -> list[str]:
    return [n for n, v in metadata_of(folder).items() if n != "custom_data" or v]
