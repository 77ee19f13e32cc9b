"""What is a reason for a loss: transforms that may lose things, what the reader was told, what the writer declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fusion_aug.core.registry import find_transform
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.writer import MADE_OF, WRITTEN_AS, Writer
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import Entry
from fusion_aug.streams.naming import message_of

OPTION = re.compile(r"\blog\.(\w+)")
JOINED = " + "  # between the paths of transforms that were applied together
KEEPS = "keeps_rows"  # the promise of transforms that lose nothing
KINDS = ("lost", "added", "items_lost", "items_added")
Account = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Reasons:
    """Reasons that hold for one sample.

    Attributes:
        source: the log. writer: of the output. same_format: whether the output is of the source's format.
        entry: of the manifest. before: the source's sample. account: of the sample, by stream.
    """

    source: Log
    writer: Writer
    same_format: bool
    entry: Entry
    before: Sample
    account: Account

    def of_stream(self, name: str, gone: bool) -> set[str]:
        """What may be a reason for a stream, which may be gone as a whole.

        What a writer says of all streams explains a stream that is gone as a whole, and whole items with their rows,
        but no rows where all items are left; that a format has no place for something is no reason where its own log
        held it.
        """
        account, declared = self.account.get(name, {}), self.writer.loss_reasons
        general = {declared[""]} if "" in declared else set()
        if self.same_format:
            general -= set(Writer.loss_reasons.values())
        if not gone and "rows" in account and not ("items_lost" in account or "items_added" in account):
            general = set()
        own = {self.writer.loss_reason(name)} - {declared.get("", Writer.loss_reasons[""])}
        told = (*self.before.meta.left_out.get(name, ()), *own, *general)
        renamed = {r for kind in KINDS for r in account.get(kind, ()) if self.is_renaming(r)}
        return self.of_transforms | renamed | {reason for reason in told if self.is_asked_for(reason)}

    def is_renaming(self, reason: str) -> bool:
        """Whether a reason says under which names a stream is written, or of which it is made, and these are there."""
        for start, which in ((MADE_OF, 0), (WRITTEN_AS, 1)):
            if reason.startswith(start) and not self.same_format:
                named = reason.removeprefix(start).split(", ")
                held = [self.account.get(n) or self.account.get(message_of(n), {}) for n in named]
                return all(own.get("items", (0, 0))[which] for own in held)
        return False

    @cached_property
    def of_transforms(self) -> set[str]:
        """Reasons in the account that are transforms of the history, applied alone or together.

        One that promises to keep rows and items can only give them to another stream, as a mirror does.
        """
        exempt = {r.path: KEEPS in find_transform(r.name).exemptions for r in self.entry.history}
        named = {reason for stream in self.account.values() for kind in KINDS for reason in stream.get(kind, ())}
        ours = {reason: reason.split(JOINED) for reason in named if all(p in exempt for p in reason.split(JOINED))}
        return {r for r, paths in ours.items() if any(exempt[p] for p in paths) or self.is_swap(r)}

    def is_swap(self, reason: str) -> bool:
        """Whether as much came to some streams by a reason as went from others."""
        sums = [sum(stream.get(kind, {}).get(reason, 0) for stream in self.account.values()) for kind in KINDS]
        return sums[0] == sums[1] and sums[2] == sums[3]

    def is_asked_for(self, reason: str) -> bool:
        """Whether the options that a reason names (``log.classes``) were given."""
        return all(getattr(self.source.options, name, None) for name in OPTION.findall(reason))
