"""robomimic HDF5."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.robomimic.contents import CONTENTS
from fusion_aug.logs.robomimic.reader import ROBOMIMIC_OPTIONS, RobomimicLog
from fusion_aug.logs.robomimic.writer import RobomimicWriter

FORMAT = register_format(
    Format(
        "robomimic",
        RobomimicLog,
        RobomimicWriter,
        ROBOMIMIC_OPTIONS,
        "robomimic HDF5 datasets; a sample is a demonstration",
        CONTENTS,
    )
)
