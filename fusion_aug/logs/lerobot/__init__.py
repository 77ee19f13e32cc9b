"""LeRobotDataset v3.0, v2.1 and v2.0."""

from fusion_aug.logs.core.episodes import EPISODE_OPTIONS
from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.lerobot.contents import CONTENTS
from fusion_aug.logs.lerobot.export import LeRobotExporter
from fusion_aug.logs.lerobot.export_options import OUTPUT_OPTIONS
from fusion_aug.logs.lerobot.reader import LeRobotLog
from fusion_aug.logs.lerobot.writer import LeRobotWriter

FORMAT = register_format(
    Format(
        "lerobot",
        LeRobotLog,
        LeRobotWriter,
        EPISODE_OPTIONS,
        "LeRobotDataset v3.0, v2.1 and v2.0: parquet tables and videos; a sample is an episode",
        CONTENTS,
        exporter=LeRobotExporter,
        output_options=OUTPUT_OPTIONS,
    )
)
