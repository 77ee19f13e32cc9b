"""ALOHA HDF5."""

from fusion_aug.logs.aloha.contents import CONTENTS
from fusion_aug.logs.aloha.reader import ALOHA_OPTIONS, AlohaLog
from fusion_aug.logs.aloha.writer import AlohaWriter
from fusion_aug.logs.core.log import Format, register_format

FORMAT = register_format(
    Format(
        "aloha",
        AlohaLog,
        AlohaWriter,
        ALOHA_OPTIONS,
        "ALOHA HDF5 episodes, raw and compressed; a sample is an episode",
        CONTENTS,
    )
)
