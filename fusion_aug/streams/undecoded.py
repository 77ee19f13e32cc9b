"""Streams as they were read, with nothing in memory that files hold."""

from __future__ import annotations

from dataclasses import replace

from fusion_aug.streams.base import Stream
from fusion_aug.streams.images import ImageStream
from fusion_aug.streams.lazy_columns import LazyColumns
from fusion_aug.streams.source import Source


def undecoded(stream: Stream) -> Stream:
    """A stream whose files are decoded anew: those of a stream that is kept would stay in memory one by one."""
    if isinstance(stream, ImageStream):
        return replace(stream, items=tuple(replace(i) if isinstance(i, Source) else i for i in stream.items))
    if isinstance(stream.values, LazyColumns):
        extra = [[replace(s) for s in sources] for sources in stream.values.extra_sources]
        files = [replace(s) for s in stream.values.sources]
        return replace(stream, values=LazyColumns(files, stream.values.names, extra))
    return stream
