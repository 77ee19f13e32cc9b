"""Who may write an output in a store: claims that are made by one writer only, and lapse without signs of life.

``.work/claims/SCOPE-N.json`` is made exclusively, for N counted up; the highest of a scope counts. ``.work/beats/``
holds an object for each that its owner renews. Ages are differences of the store's own dates, so no clock of ours
matters.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import threading
import uuid
from typing import Any, NamedTuple

from fusion_aug.errors import ConfigError, FusionAugError
from fusion_aug.logs.core.writer import WORK
from fusion_aug.logs.remote.store import StoreError
from fusion_aug.logs.remote.writing import WritableStore

CLAIMS, BEATS, CLOCKS = f"{WORK}/claims", f"{WORK}/beats", f"{WORK}/clocks"
ALL = "all"  # the scope of a run without shard=
BEATS_PER_LAPSE = 4


class ClaimName(NamedTuple):
    """Name of a claim: what it is for, and the how manieth."""

    scope: str
    number: int

    @property
    def text(self) -> str:
        return f"{self.scope}-{self.number:06d}.json"

    @classmethod
    def of(cls, text: str) -> ClaimName | None:
        found = re.fullmatch(r"(all|\d+-of-\d+)-(\d+)\.json", text)
        return cls(found[1], int(found[2])) if found else None


class Claim:
    """The right to write an output, or a shard of it, from ``take`` to ``release``.

    Args:
        store: of the output. shard: as ``shard=3/64``, or None. seconds: without a sign after which it lapses.
    """

    def __init__(self, store: WritableStore, shard: str | None, seconds: float):
        self.store, self.seconds = store, seconds
        self.scope = ALL if shard is None else str(shard).replace("/", "-of-")
        self.name = ClaimName(self.scope, 0)
        self.lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def take(self) -> None:
        """Make the claim and keep it alive.

        Raises:
            ConfigError: another run holds one, or the store cannot make a file exclusively.
            StoreError: the store does not answer.
        """
        highest = self._highest()
        held = highest.get(self.scope)
        if held is not None:
            self._refuse_alive(held)
        self.name = ClaimName(self.scope, held.number + 1 if held else 1)
        who = {"host": platform.node(), "process": os.getpid(), "token": uuid.uuid4().hex}
        if not self.store.create(f"{CLAIMS}/{self.name.text}", json.dumps(who).encode()):
            raise self._busy("it has just begun")
        self.store.check(f"{CLAIMS}/{self.name.text}")
        self._thread.start()
        try:
            # whoever is second of two that begin at once sees the claim of the first; maybe both do
            for scope, other in self._highest().items():
                if scope != self.scope and ALL in (scope, self.scope):
                    self._refuse_alive(other)
        except BaseException:
            self.release()
            raise

    def _highest(self) -> dict[str, ClaimName]:
        """Scope -> its claim that counts."""
        found: dict[str, ClaimName] = {}
        for name in sorted(n for text in self.store.names(CLAIMS) if (n := ClaimName.of(text)) is not None):
            found[name.scope] = name
        return found

    def _refuse_alive(self, name: ClaimName) -> None:
        """Raise unless a claim was released or has lapsed."""
        beat = f"{BEATS}/{name.text}"
        sign = f"{CLAIMS}/{name.text}"
        with contextlib.suppress(FileNotFoundError):
            if json.loads(self.store.content(beat)).get("released"):
                return
            sign = beat
        age = self._age(sign)
        if age is not None and age > self.seconds:
            return
        raise self._busy(f"its last sign is {age:.0f} s old" if age is not None else "it has just ended")

    def _busy(self, said: str) -> ConfigError:
        return ConfigError(
            f"out: another run is writing {self.store.address.url} ({said}; without a sign for {self.seconds:g} s "
            f"another may take over); wait until it ends, or stop it"
        )

    def _age(self, name: str) -> float | None:
        """Seconds since a file was written, by the clock of the store; None where it is gone."""
        clock = f"{CLOCKS}/{uuid.uuid4().hex}"
        self.store.put(clock, b"{}")
        try:
            return (self.store.modified(clock) - self.store.modified(name)).total_seconds()
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        finally:
            self.store.delete(clock)

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / BEATS_PER_LAPSE):
            with contextlib.suppress(Exception):  # the next time, or the claim lapses
                self._beat()
                self.lost = self.lost or not self._counts()

    def _beat(self, **facts: Any) -> None:
        self.store.put(f"{BEATS}/{self.name.text}", json.dumps(facts).encode())

    def _counts(self) -> bool:
        return self._highest().get(self.scope) == self.name

    def refuse_lost(self, look: bool = False) -> None:
        """Raise if another run has taken over.

        Args:
            look: in the store, and not only at what the last sign of life found.

        Raises:
            FusionAugError: it has.
        """
        self.lost = self.lost or (look and not self._counts())
        if self.lost:
            raise FusionAugError(
                f"out: {self.store.address.url}: this run gave no sign for {self.seconds:g} s and another one has "
                f"taken over; this one stops, its samples are kept"
            )

    def withdraw(self) -> None:
        """Leave nothing of the claim."""
        self.release(finished=True)
        for folder in (CLAIMS, BEATS):
            self.store.delete(f"{folder}/{self.name.text}")

    def release(self, finished: bool = False) -> None:
        """Let others write, at once where the store can be told so, else when the claim lapses.

        Args:
            finished: all claims are gone already.
        """
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if not self.lost and not finished:
            with contextlib.suppress(Exception):
                self._beat(released=True)
