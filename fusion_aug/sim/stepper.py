"""Sensor transforms on one reading at a time, with the bits that they give in a recorded log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from calib import Rig
from fusion_aug.core.compose import named_leaves
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context, handler_for
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History
from fusion_aug.sim import step_clocks, step_forces, step_noise, step_refusals, step_touch  # noqa: F401  (register)
from fusion_aug.sim.step_drawing import DrawingRun, Drawn
from fusion_aug.sim.step_pictures import IMAGE
from fusion_aug.sim.step_rules import (
    BLOCK,
    Blocks,
    Columns,
    Kernel,
    Later,
    Raw,
    Rows,
    Silent,
    StepCall,
    check_steps,
    rule_for,
)
from fusion_aug.streams import ImageStream, Stream


class Stepper:
    """One episode of a robot's sensors: a pipeline is drawn once, and changes readings one by one as they come.

    Draws, keys and records are those of ``pipeline(sample)``. So the same pipeline with the same seed on the recorded
    episode, whose sample has the same id, gives the same bits: noise is keyed by stamps, and a reading needs nothing of
    the readings before but how many there could have been. Transforms that need later ones are refused by name.

    Args:
        pipeline: of sensor transforms.
        template: the sample that the episode will be, with one reading of every stream: what its columns are (shape,
            dtype), frames, names of joints, poses of taxels, gels. Its ``capture_times`` are the stamps of row 0.
        periods: stream -> ns from one row to the next; one number for all streams. A bias walks row by row.
        seed, epoch: with the sample's id and the transforms' paths they decide every draw.
        resources: read-only things by name that some transforms need.

    Raises:
        ConfigError: a transform looks ahead or has no rule for single readings of a stream; the message names both.
        DataError: a stream of the template has no reading, or no period.
    """

    @standard_modes()
    def __init__(
        self,
        pipeline: Transform,
        template: Sample,
        *,
        periods: Mapping[str, int] | int,
        seed: int = 0,
        epoch: int = 0,
        resources: Mapping[str, Any] | None = None,
    ):
        every = dict.fromkeys(template.streams, periods) if isinstance(periods, int) else periods
        for name, stream in template.streams.items():
            if len(stream) != 1 or every.get(name, 0) < 1:
                raise DataError(f"Stepper: stream {name!r}: give one reading of it, and its period in ns (periods)")
        for path, leaf in named_leaves(pipeline):
            check_steps(path, leaf, template)
        context = Context(resources or {}, None)
        run = DrawingRun(Keys(seed, epoch), context)
        self.sample = pipeline.walk(template, run, "")
        self._chains = {
            name: _Chain(name, template, self.sample.streams[name], every, run.drawn, context)
            for name in template.streams
        }

    @property
    def history(self) -> History:
        """Records of what was drawn, as the recorded episode would get them."""
        return self.sample.metas[0].history

    @property
    def rig(self) -> Rig:
        """The reported calibration."""
        return self.sample.metas[0].rig

    @property
    def true_rig(self) -> Rig:
        """The calibration that the data obey."""
        return self.sample.metas[0].true_rig

    def read(self, name: str, time_ns: int, values: Mapping[str, Any]) -> Columns | None:
        """What a sensor reports of a reading.

        Args:
            name: of the stream. time_ns: its true capture time, a whole number of periods after row 0's. Rows may be
                left out, and are cheapest in order.
            values: column -> (...) numbers of the one reading; of pictures ``image`` (H, W, 3). They are not modified.

        Returns:
            column -> array, which the next reading of the stream overwrites; None of a picture that is dropped.

        Raises:
            DataError: the stream is unknown, a column is missing, or the time is not on its grid.
        """
        chain = self._chain(name)
        return chain.read(chain.row(time_ns), values)

    def stamps(self, name: str, time_ns: int) -> tuple[int, int]:
        """Reported capture time and arrival time, ns, of the reading that was truly captured at a time."""
        chain = self._chain(name)
        row = chain.row(time_ns)
        return time_ns + chain.clock_offset, int(chain.arrivals.at(row))

    def arrivals(self, name: str, first: int, count: int) -> np.ndarray:
        """Arrival times (count,) int64 ns of the rows of a stream from ``first`` on."""
        chain, rows = self._chain(name), range(first, first + count)
        if not chain.is_late:
            return chain.start + chain.period * np.arange(first, first + count)
        return np.array([chain.arrivals.at(row) for row in rows], np.int64)

    def _chain(self, name: str) -> _Chain:
        try:
            return self._chains[name]
        except KeyError:
            known = ", ".join(self._chains)
            raise DataError(f"Stepper: there is no stream {name!r} (there are {known})") from None


class _Chain:
    """Everything that happens to one stream.

    Attributes:
        clock_offset: ns, reported minus true capture times. arrivals: ns, by rows. is_late: whether they are
            others than the capture times.
    """

    def __init__(
        self,
        name: str,
        template: Sample,
        after: Stream,
        periods: Mapping[str, int],
        drawn: list[Drawn],
        context: Context,
    ):
        stream = template.streams[name]
        self.name, self.period, self._raw = name, periods[name], Raw({})
        self.start = int(stream.capture_times[0])
        self.clock_offset = int(after.capture_times[0]) - self.start
        self._kernels: list[Kernel] = []
        changes: list[Callable[[Blocks], Blocks]] = []
        silent = False
        for step in drawn:
            done = _planned(step, name, periods, context, self._raw)
            if isinstance(done, Later):
                changes.append(done.change)
            elif isinstance(done, Silent):
                silent = True
            elif done is not None:
                self._kernels.append(done)
        self.is_late = bool(changes)
        self.arrivals = Rows(lambda: _arrivals(self.start, self.period, changes))
        self._out, self._blank = _buffers(stream)
        if silent:
            self._kernels = [self._nothing]

    def row(self, time_ns: int) -> int:
        """Number of the reading at a time."""
        row, rest = divmod(time_ns - self.start, self.period)
        if rest or row < 0:
            raise DataError(
                f"Stepper: stream {self.name!r}: {time_ns} ns is not a whole number of periods ({self.period} ns) "
                f"after its first reading at {self.start} ns"
            )
        return row

    def read(self, row: int, values: Mapping[str, Any]) -> Columns | None:
        """The reading of a row after all transforms."""
        self._raw.values = values
        out = dict(self._out) if IMAGE in self._out else self._out
        try:
            for column, buffer in out.items():
                buffer[...] = values[column]
        except (KeyError, ValueError) as error:
            raise DataError(
                f"Stepper: stream {self.name!r}: expected {', '.join(f'{c} {b.shape}' for c, b in self._out.items())}, "
                f"got {', '.join(f'{c} {np.shape(v)}' for c, v in values.items())}"
            ) from error
        for kernel in self._kernels:
            if kernel(row, out):
                return None
        return out

    def _nothing(self, row: int, columns: Columns) -> None:
        for value in columns.values():
            value[...] = self._blank


def _planned(
    step: Drawn, name: str, periods: Mapping[str, int], context: Context, raw: Raw
) -> Kernel | Later | Silent | None:
    """What a drawn transform does to readings of a stream; None where it passes the stream by."""
    stream = step.sample.streams[name]
    rule = rule_for(step.transform, type(stream))
    if rule is None or handler_for(step.transform, stream, name) is None:
        return None  # ``check_steps`` has refused all others
    params = step.params[stream.instance(name) if stream.instance(name) in step.params else ""]
    return rule(StepCall(step.transform, step.path, params, name, step.sample, periods, context, raw, step.params))


def _arrivals(start: int, period: int, changes: list[Callable[[Blocks], Blocks]]) -> Blocks:
    def captured() -> Blocks:
        first = 0
        while True:
            yield start + period * np.arange(first, first + BLOCK)
            first += BLOCK

    blocks = captured()
    for change in changes:
        blocks = change(blocks)
    return blocks


def _buffers(stream: Stream) -> tuple[Columns, Any]:
    """Arrays like one reading of a stream, and what one holds that was not sent."""
    if isinstance(stream, ImageStream):
        return {IMAGE: stream.image(0).numpy().copy()}, stream.blank
    return {c: v[0].numpy().copy() for c, v in stream.values.items()}, 0


__all__ = ["Stepper"]
