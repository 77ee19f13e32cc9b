"""Our own folder format."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.folder.contents import CONTENTS
from fusion_aug.logs.folder.reader import FolderLog
from fusion_aug.logs.folder.writer import FolderWriter

FORMAT = register_format(
    Format(
        "folder",
        FolderLog,
        FolderWriter,
        {},
        "our own folders, which hold every stream",
        CONTENTS,
        exporter=FolderWriter,
    )
)
