"""RLDS: episodes in TFRecord files, as tensorflow-datasets and Open X-Embodiment keep them."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.core.read_only import ReadOnly
from fusion_aug.logs.rlds.contents import CONTENTS
from fusion_aug.logs.rlds.reader import RLDS_OPTIONS, RldsLog

FORMAT = register_format(
    Format(
        "rlds",
        RldsLog,
        ReadOnly,
        RLDS_OPTIONS,
        "RLDS sets of tensorflow-datasets (Open X-Embodiment), without TensorFlow; a sample is an episode; read only",
        CONTENTS,
    )
)
