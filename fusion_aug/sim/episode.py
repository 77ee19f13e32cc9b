"""One episode's readings: captured at physics steps, held until they arrive, changed by the pipeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fusion_aug.sim.physics import NEVER
from fusion_aug.sim.pictures import Eyes
from fusion_aug.sim.report import ReportedCamera
from fusion_aug.sim.sensing import Signal
from fusion_aug.sim.stepper import Stepper
from fusion_aug.sim.template import T0
from fusion_aug.sim.timing import Timeline

Columns = dict[str, np.ndarray]
Told = Callable[[str, int, Columns], None]  # (stream, time in ns, columns) of what a sensor read, before any transform


class Channel:
    """One sensor of an episode.

    Attributes:
        now: the next row whose state is captured as it is. later: the next one of which is captured, a step later, what
            MuJoCo works out for a state within the step that leaves it. due: when the physics has to stop for either.
    """

    def __init__(self, name: str, timeline: Timeline, stepper: Stepper, period: int, told: Told | None):
        self.name, self._timeline, self._stepper, self._period, self._told = name, timeline, stepper, period, told
        self._held: deque[tuple[int, Any]] = deque()
        self._records = told is not None
        self._half: dict[int, Columns] = {}
        self._row = -1
        self._read: Columns | None = None
        self.now, self.later = NEVER, NEVER

    @property
    def due(self) -> int:
        """The physics step after which something is captured."""
        return self.now if self.now <= self.later else self.later + 1

    def capture(self, row: int) -> None:
        """Capture what is due after a physics step."""
        if self.later == row - 1:
            self.take_later(self.later)
        if self.now == row:
            self.take_now(row)

    def take_now(self, row: int) -> None:
        """Read the state."""
        raise NotImplementedError

    def take_later(self, row: int) -> None:
        """Read what was worked out for the state before."""
        raise NotImplementedError

    def begin(self) -> None:
        """Capture the first reading."""
        raise NotImplementedError

    def keep(self, row: int, reading: Any) -> None:
        """Hold a reading until it arrives."""
        self._held.append((row, reading))

    def following(self, row: int) -> int:
        """The next row to capture: one that will be seen, or every one where all are recorded."""
        return row + 1 if self._records else self._timeline.next_wanted(row)

    def newest(self, time: int) -> Any:
        """The newest reading that has arrived, as it was captured; None where it is the one of last time."""
        row = self._timeline.row_at(time)
        if row == self._row:
            return None
        while self._held[0][0] != row:
            self._held.popleft()
        self._row = row
        return self._held[0][1]

    def stamp(self) -> int:
        """When the newest reading was captured, ns."""
        return T0 + self._row * self._period


class SignalChannel(Channel):
    """A stream of numbers."""

    def __init__(self, signal: Signal, *given: Any):
        super().__init__(signal.name, *given)
        self._signal = signal

    def begin(self) -> None:
        self.now = self.later = 0
        if self._signal.now:
            self.take_now(0)
        else:
            self.now = NEVER
        if self._signal.later:
            self.take_later(0)
        else:
            self.later = NEVER

    def take_now(self, row: int) -> None:
        """Read the state."""
        columns = {c: read() for c, read in self._signal.now.items()}
        self.now = self.following(row)
        if self._signal.later:
            self._half[row] = columns
        else:
            self._complete(row, columns)

    def take_later(self, row: int) -> None:
        """Read what was worked out for the state before."""
        columns = self._half.pop(row, {})
        for column, read in self._signal.later.items():
            columns[column] = read()
        self.later = self.following(row)
        self._complete(row, columns)

    def _complete(self, row: int, columns: Columns) -> None:
        if self._told is not None:
            self._told(self.name, T0 + row * self._period, columns)
        self.keep(row, columns)

    def columns(self, time: int) -> Columns:
        """What the sensor tells at a time, after the transforms; it is overwritten by the next call."""
        newest = self.newest(time)
        if newest is not None:
            read = self._stepper.read(self.name, self.stamp(), newest)
            self._read = read if read is not None else self._read
        assert self._read is not None
        return self._read


class PictureChannel(Channel):
    """A camera's pictures, with their calibration."""

    def __init__(self, name: str, eyes: Eyes, reported: ReportedCamera, *given: Any):
        super().__init__(name, *given)
        self._eyes, self._reported = eyes, reported

    def begin(self) -> None:
        self.take_later(0)

    def take_now(self, row: int) -> None:
        """Nothing: a picture shows the state whose places are worked out."""

    def following(self, row: int) -> int:
        """Pictures are taken only where they will be seen, also where they are recorded."""
        return self._timeline.next_wanted(row)

    def take_later(self, row: int) -> None:
        """Take a picture, and note where the camera is."""
        picture = self._eyes.picture(self.name)
        if self._told is not None:
            self._told(self.name, T0 + row * self._period, {"image": picture})
        self.keep(row, (picture, self._reported.pose(self._eyes.data)))
        self.later = self.following(row)

    def look(self, time: int) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """The picture (H, W, 3) that has arrived, after the transforms, and its calibration."""
        newest = self.newest(time)
        if newest is not None:
            picture, T = newest
            read = self._stepper.read(self.name, self.stamp(), {"image": picture})
            if read is not None or self._read is None:  # a picture that a transform drops leaves the one before
                shown = read["image"] if read is not None else np.zeros_like(picture)
                self._read = {"image": shown.copy(), **self._reported.params(T)}
        assert self._read is not None
        told = dict(self._read)
        return told.pop("image").copy(), told
