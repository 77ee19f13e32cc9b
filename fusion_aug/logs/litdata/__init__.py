"""LitData: chunks that PyTorch training streams from object stores."""

from fusion_aug.logs.core.contents import CHANGED, Part
from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.litdata.writer import LitDataLog, LitDataWriter

FORMAT = register_format(
    Format(
        "litdata",
        LitDataLog,
        LitDataWriter,
        {},
        "chunks of samples for the package litdata, which hold every stream; written only",
        (
            Part("index.json", CHANGED, "the chunks"),
            Part("chunk-*.bin", CHANGED, "files of the samples"),
            *(Part(f"index.json:{n}", CHANGED, "of LitData") for n in ("chunks", "config", "updated_at")),
        ),
        exporter=LitDataWriter,
        output_options={"shard_mb": Option("size that a chunk may have (MiB), but for a sample that is larger", 64)},
    )
)
