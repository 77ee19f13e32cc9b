"""What a program did on the mock device: launches, ways back to the host, copies in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from fusion_aug.errors import FusionAugError
from fusion_aug.testing.places import Place

MOST_LINES = 25  # places of launches that a printed log names


class SynchronizationError(FusionAugError):
    """The host would wait for the device where that is forbidden."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Attributes:
        what: happened, such as ``aten::add`` or ``item``.
        places: lines that asked for it, innermost first, without torch's own.
    """

    what: str
    places: tuple[Place, ...]

    @property
    def file(self) -> str:
        """Path of the innermost line."""
        return self.places[0].file

    @property
    def line(self) -> int:
        """Number of the innermost line."""
        return self.places[0].line


@dataclass(frozen=True)
class Launch(Entry):
    """A kernel. ``read``, ``written``: bytes of the device's memory."""

    read: int
    written: int

    @property
    def bytes(self) -> int:
        """Read and written."""
        return self.read + self.written


@dataclass(frozen=True)
class Sync(Entry):
    """The host waits: for a value, for a copy, or for a size. ``bytes``: that come back."""

    bytes: int


@dataclass(frozen=True)
class CopyIn(Entry):
    """Values of the host go to the device. ``bytes``: of them. ``pinned``: they lie in page-locked memory."""

    bytes: int
    pinned: bool
    non_blocking: bool

    @property
    def waits(self) -> bool:
        """Whether the host waits for it, as it does for pageable memory and for a blocking copy."""
        return not (self.pinned and self.non_blocking)


Logged = Launch | Sync | CopyIn


@dataclass
class DeviceLog:
    """What happened on a mock device since it was opened, or since ``clear``.

    Attributes:
        device: to bring tensors to.
        launches: of kernels; views and allocations are none, nor is what moves no bytes.
        syncs: ways back to the host. copies_in: ways in.
    """

    device: torch.device
    launches: list[Launch] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    copies_in: list[CopyIn] = field(default_factory=list)
    _forbidden: bool = False

    @property
    def bytes(self) -> int:
        """Read and written by all launches."""
        return sum(x.bytes for x in self.launches)

    def clear(self) -> None:
        """Forget what happened so far."""
        self.launches.clear()
        self.syncs.clear()
        self.copies_in.clear()

    @contextmanager
    def forbid_syncs(self) -> Iterator[None]:
        """Context: the first thing that makes the host wait raises.

        It stands for ``torch.cuda.set_sync_debug_mode("error")``.

        Raises:
            SynchronizationError: names what and where; copies in that wait count too.
        """
        before, self._forbidden = self._forbidden, True
        try:
            yield
        finally:
            self._forbidden = before

    def add(self, entry: Logged) -> None:
        """Keep an entry.

        Raises:
            SynchronizationError: it makes the host wait, which is forbidden.
        """
        if isinstance(entry, Launch):
            self.launches.append(entry)
            return
        if isinstance(entry, Sync):
            self.syncs.append(entry)
        else:
            self.copies_in.append(entry)
        if self._forbidden and (isinstance(entry, Sync) or entry.waits):
            raise SynchronizationError(
                f"{entry.places[0]}: {entry.what} makes the host wait for the device, which forbid_syncs() forbids; "
                f"keep the value on the device"
            )

    # --- as text ------------------------------------------------------------------------------------------------------
    def __str__(self) -> str:
        copied = sum(c.bytes for c in self.copies_in)
        read, written = sum(x.read for x in self.launches), sum(x.written for x in self.launches)
        head = (
            f"{self.device}: {len(self.launches)} launches ({_size(read)} read, {_size(written)} written), "
            f"{len(self.syncs)} synchronisations, {len(self.copies_in)} copies in ({_size(copied)})"
        )
        parts = [head, *_listed("synchronisations", self.syncs), *_listed("copies in", self.copies_in)]
        return "\n".join([*parts, *_listed("launches", self.launches, MOST_LINES)])


def by_place(entries: Sequence[Logged]) -> list[tuple[Place, list[Logged]]]:
    """Entries by their innermost line, the most frequent first."""
    found: dict[Place, list[Logged]] = defaultdict(list)
    for entry in entries:
        found[entry.places[0]].append(entry)
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


def _listed(title: str, entries: Sequence[Logged], most: int | None = None) -> list[str]:
    """Lines of a table: how often, bytes, where, and what."""
    groups = by_place(entries)
    if not groups:
        return []
    lines = [f"{title}:"]
    for place, mine in groups[:most]:
        names = ", ".join(dict.fromkeys(e.what for e in mine))
        lines.append(f"  {len(mine):6d}  {_size(sum(e.bytes for e in mine)):>9}  {place}  [{names}]")
    rest = groups[len(lines) - 1 :]
    if rest:
        lines.append(f"  {sum(len(mine) for _, mine in rest):6d}  of {len(rest)} more places")
    return lines


def _size(number: int) -> str:
    """Bytes as people read them."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= step:
            return f"{number / step:.1f} {unit}"
    return f"{number} B"
