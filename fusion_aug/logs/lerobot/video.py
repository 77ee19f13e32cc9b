"""Video files: one frame by its number, and frames to a file. Colour only: depth would not survive 8 bits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.regular_files import check_regular
from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.logs.core.files import MAX_PIXELS
from fusion_aug.logs.lerobot.scheduling import Scheduling
from fusion_aug.safe.kept_open import KeptOpen
from fusion_aug.streams.source import Coding, Source

CONTAINER = "mp4"  # of all videos of the format
NEED = "videos need the package av: pip install '.[lerobot]'"
ENCODERS = {"av1": "libsvtav1", "h264": "libx264", "hevc": "libx265"}
OPTIONS = {
    "av1": {"crf": "30", "preset": "8", "svtav1-params": "lp=1"},
    "h264": {"crf": "18", "preset": "medium", "threads": "1", "bf": "0"},
    "hevc": {"crf": "20", "preset": "medium"},
}


def av_module() -> Any:
    """PyAV.

    Raises:
        MissingPackage: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise MissingPackage(NEED) from None
    return av


def open_video(path: Path) -> Any:
    """Open a video for reading. It is read as MP4 whatever it looks like: a list of files would open these as well."""
    return av_module().open(f"file:{path}", format=CONTAINER)


@dataclass(frozen=True, eq=False)
class FrameSource(Source):
    """A frame of a video; ``options`` hold its time in the file, ``seconds``."""

    @property
    def coding(self) -> Coding:
        """Videos change levels."""
        return Coding(lossy=True, video=True)

    @property
    def value(self) -> Tensor:
        """RGB picture (H, W, 3) uint8. It is decoded each time: a video in memory would be too large."""
        return frame_at(self.path, float(self.options["seconds"]))

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width), as the file tells without decoding a frame."""
        with opened(self.path) as reader:
            return int(reader.stream.height), int(reader.stream.width)


class Reader:
    """An open video that goes on from frame to frame and seeks only where it has to."""

    def __init__(self, path: Path):
        self.path = path
        check_regular(path)
        self.container = open_video(path)
        self.stream = self.container.streams.video[0]
        if self.stream.width * self.stream.height > MAX_PIXELS:
            raise DataError(f"{path}: picture size {self.stream.width}x{self.stream.height} is out of bounds")
        self.stream.thread_type = "NONE"
        self.rate = float(self.stream.average_rate or 30)
        self.frames: Any = iter(())
        self.last: tuple[float, Any] | None = None  # seconds and frame

    def at(self, seconds: float) -> Any:
        """The frame within a quarter of a step of ``seconds``, or the first after it; None at the end."""
        least = seconds - 0.25 / self.rate
        if self.last is not None and least <= self.last[0] < least + 1 / self.rate:
            return self.last[1]
        if self.last is None or not 0 <= least - self.last[0] < SKIPPED / self.rate:
            base = self.stream.time_base
            self.container.seek(max(0, int(Fraction(seconds) / base)), stream=self.stream, backward=True)
            self.frames = self.container.decode(self.stream)
        for frame in self.frames:
            if frame.pts is not None and float(frame.pts * self.stream.time_base) >= least:
                self.last = (float(frame.pts * self.stream.time_base), frame)
                return frame
        self.last = None
        return None


SKIPPED = 12  # up to so many frames ahead are reached by decoding instead of seeking
OPEN: KeptOpen[Reader] = KeptOpen(8, lambda reader: reader.container.close())


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """The reader of a video, which stays open for the next frame; one thread at a time.

    Raises:
        DataError: the file is missing or damaged.
    """
    av = av_module()
    try:
        with OPEN.lent() as readers:
            key = (path, path.stat().st_mtime_ns)
            reader = readers.pop(key, None) or Reader(path)
            yield reader
            readers[key] = reader
    except av.FFmpegError as error:
        raise DataError(f"{path}: is not a readable video ({error})") from None
    except (OSError, IndexError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def frame_at(path: Path, seconds: float) -> Tensor:
    """The frame that is shown at a time of a video.

    Raises:
        DataError: the file is missing or damaged, or ends before.
    """
    with opened(path) as reader:
        frame = reader.at(seconds)
        picture = None if frame is None else rgb_of(frame)
    if picture is None:
        raise DataError(f"{path}: ends before {seconds:.3f} s")
    return picture


def rgb_of(frame: Any) -> Tensor:
    """The levels (H, W, 3) uint8 of a frame of PyAV, which keeps no threads of a converter."""
    from av.video.reformatter import VideoReformatter

    return torch.from_numpy(VideoReformatter().reformat(frame, format="rgb24").to_ndarray())


def write_video(frames: Iterable[np.ndarray], path: Path, rate: Fraction, codec: str, gop: int) -> None:
    """Write RGB frames (H, W, 3) uint8; the same bytes every time."""
    av = av_module()
    if codec not in ENCODERS:
        raise DataError(f"{path}: video codec {codec!r} is not one of {', '.join(ENCODERS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SVT_LOG", "1")  # errors only
    before = Scheduling()
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = None
        for k, picture in enumerate(frames):
            if stream is None:
                stream = container.add_stream(ENCODERS[codec], rate, options={"g": str(gop), **OPTIONS[codec]})
                stream.pix_fmt = "yuv420p"
                stream.height, stream.width = picture.shape[:2]
                stream.time_base = 1 / rate
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = k, 1 / rate
            container.mux(stream.encode(frame))
            if k == 0:  # which opens the encoder
                before.restore()
        if stream is not None:
            container.mux(stream.encode())


def cut_video(source: Path, target: Path, start: float, count: int) -> bool:
    """Copy ``count`` frames from a time on without decoding them; False where that frame is no key frame."""
    av = av_module()
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_video(source) as old:
        stream = old.streams.video[0]
        base = stream.time_base
        half = Fraction(1, 4) / stream.average_rate
        packets = [p for p in old.demux(stream) if p.pts is not None and p.pts * base >= Fraction(start) - half]
        packets = packets[:count]
        if len(packets) < count or not packets[0].is_keyframe or any(p.pts != p.dts for p in packets):
            return False
        first = packets[0].pts
        with av.open(str(target), "w", options={"movflags": "faststart"}) as new:
            copy = new.add_stream_from_template(stream, opaque=True)
            for packet in packets:
                packet.pts -= first
                packet.dts -= first
                packet.stream = copy
                new.mux(packet)
    return True
