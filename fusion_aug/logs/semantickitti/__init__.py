"""SemanticKITTI: sequences of scans with a class and an instance for every point."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.semantickitti.contents import CONTENTS
from fusion_aug.logs.semantickitti.reader import SemanticKittiLog
from fusion_aug.logs.semantickitti.writer import SemanticKittiWriter

FORMAT = register_format(
    Format(
        "semantickitti",
        SemanticKittiLog,
        SemanticKittiWriter,
        {},
        "SemanticKITTI: sequences of scans, with labels of points, poses and pictures where they are",
        CONTENTS,
    )
)
