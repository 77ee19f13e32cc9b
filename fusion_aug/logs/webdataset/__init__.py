"""WebDataset: tar files that training clusters read from end to end."""

from fusion_aug.logs.core.contents import CHANGED, Part
from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.packed.reader import INDEX
from fusion_aug.logs.webdataset.reader import MEMBERS, SHARD, WebDatasetLog
from fusion_aug.logs.webdataset.writer import WebDatasetWriter

FORMAT = register_format(
    Format(
        "webdataset",
        WebDatasetLog,
        WebDatasetWriter,
        {},
        "tar files of samples for the package webdataset, which hold every stream",
        (
            Part(INDEX, CHANGED, "names and samples of the shards"),
            SHARD,
            *MEMBERS,
            *(Part(f"{INDEX}:{n}", CHANGED, "of the index") for n in ("format", "version", "pack", "samples")),
        ),
        exporter=WebDatasetWriter,
        output_options={"shard_mb": Option("size that a shard may have (MiB), but for a sample that is larger", 256)},
    )
)
