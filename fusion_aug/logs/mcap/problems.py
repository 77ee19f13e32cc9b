"""What the first message of a topic shows that is not understood."""

from __future__ import annotations

from typing import Any

from fusion_aug.logs.mcap.cloud_layout import cloud_problem
from fusion_aug.logs.mcap.clouds import CLOUD
from fusion_aug.logs.mcap.opaque import Unread
from fusion_aug.logs.mcap.pictures import PICTURES, picture_problem


def message_problem(message: Any, kind: str, topic: str) -> Unread | None:
    """Why the messages of a topic are not understood, by one of them; None where they are."""
    if kind in PICTURES:
        found = picture_problem(message, topic)
        return None if found is None else Unread(*found, like="Camera", untouched_by=("Temporal",))
    if kind == CLOUD:
        found = cloud_problem(message, topic)
        return None if found is None else Unread(*found, like="Lidar")
    return None
