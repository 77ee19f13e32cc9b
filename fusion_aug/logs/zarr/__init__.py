"""Replay buffers in Zarr 2, as diffusion policy and UMI keep them."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.core.read_only import ReadOnly
from fusion_aug.logs.zarr.contents import CONTENTS
from fusion_aug.logs.zarr.reader import ZARR_OPTIONS, ZarrLog

FORMAT = register_format(
    Format(
        "zarr",
        ZarrLog,
        ReadOnly,
        ZARR_OPTIONS,
        "replay buffers in Zarr 2 (diffusion policy, UMI), folders and zips; a sample is an episode; read only",
        CONTENTS,
    )
)
