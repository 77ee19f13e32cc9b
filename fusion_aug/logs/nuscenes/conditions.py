"""Weather and time of day of nuScenes scenes, as far as their descriptions tell."""

from __future__ import annotations

import re

from fusion_aug.logs.nuscenes.tables import Row

# the dataset's own logs are called by vehicle and local time; their descriptions name rain and night wherever it was so
OWN_LOG = re.compile(r"n\d{3}-\d{4}-\d{2}-\d{2}-")


def conditions_of(scene: Row, log: Row) -> dict[str, str]:
    """Words for what a scene was filmed in.

    Args:
        scene, log: rows of the tables.

    Returns:
        ``weather`` (rain or dry) and ``time_of_day`` (night or day); "" where nothing tells: descriptions of other
        makers' logs do not say what is usual.
    """
    text = str(scene.get("description", "")).lower()
    own = bool(OWN_LOG.match(str(log.get("logfile", ""))))
    weather = "rain" if re.search(r"\brain(y|s|ing|fall)?\b", text) else "dry" if own else ""
    time_of_day = "night" if re.search(r"\bnight(s|time)?\b", text) else "day" if own else ""
    return {"weather": weather, "time_of_day": time_of_day}
