"""Format: reader, writer and options of one kind of log, and the registry of all formats."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.contents import Part
from fusion_aug.logs.core.options import EVERY_LOG, LogOptions, Option, at_home
from fusion_aug.logs.core.writer import Writer
from fusion_aug.logs.remote.address import is_url
from fusion_aug.logs.remote.mirror import open_mirror
from fusion_aug.names import Registry
from fusion_aug.ops.modes import standard_modes


@dataclass(frozen=True)
class Format:
    """One kind of log on disk.

    Attributes:
        name: what ``log=`` and ``open_log`` call it.
        reader: class of its logs.
        writer: class of its writers.
        options: name -> option, besides ``select`` and ``rig``, or in place of them where they mean more.
        about: one line of help.
        contents: every kind of file and of field that it knows, and what a run makes of each; the first that matches.
        exporter: class of its writers for samples of other logs, which asks nothing of the log that they are from;
            None where it is written from logs of its own only.
        output_options: name -> option of that exporter, given as ``output.NAME=VALUE``.
    """

    name: str
    reader: type[Any]  # a Log, which imports this
    writer: type[Writer]
    options: Mapping[str, Option] = field(default_factory=dict)
    about: str = ""
    contents: tuple[Part, ...] = ()
    exporter: type[Writer] | None = None
    output_options: Mapping[str, Option] = field(default_factory=dict)

    @property
    def all_options(self) -> dict[str, Option]:
        """Its own options and those of every log."""
        return {**EVERY_LOG, **self.options}

    @property
    def file_options(self) -> list[str]:
        """Names of the options that name files or folders."""
        return [name for name, option in self.all_options.items() if option.is_file]

    @standard_modes()
    def open(
        self, root: str | Path, *, cache: str | Path | None = None, listing: str | None = None, **given: Any
    ) -> Any:
        """Open a log.

        Args:
            root: its folder, or its URL in a store.
            cache: folder of this computer that a store is read through.
            listing: digest of the listing of the store that other processes work by.
            given: options.

        Raises:
            ConfigError: an option is not one of the format's.
            DataError: the folder or its tables are missing or damaged.
        """
        known = self.all_options
        for name, value in given.items():
            if name not in known and (value is not None or not any(name in f.options for f in FORMATS.values())):
                raise ConfigError(
                    f"log.{name}: the format {self.name!r} has no such option (it has {', '.join(known)})"
                )
        values = {n: given.get(n) if given.get(n) is not None else o.default for n, o in known.items()}
        values |= {n: at_home(values[n]) for n, o in known.items() if o.is_file or o.or_file}
        mirror = open_mirror(str(root), cache, "log.root", listing) if is_url(root) else None
        log = self.reader(mirror.files if mirror else at_home(root), LogOptions(**values), self)
        log.mirror = mirror
        return log


FORMATS: Registry[Format] = Registry("format")


def register_format(format: Format) -> Format:
    """Register a format under its name.

    Raises:
        ConfigError: the name belongs to another format.
    """
    return FORMATS.add(format.name, format, module=sys._getframe(1).f_globals["__name__"])


def find_format(name: str) -> Format:
    """Return the format of a name.

    Raises:
        ConfigError: there is none; the message lists all names.
    """
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigError(f"log: unknown format {name!r}, expected one of {known}, or one that a plugin registers")
    return FORMATS[name]


def find_exporter(name: str) -> type[Writer]:
    """Return the class that writes samples of any log in the format of a name.

    Raises:
        ConfigError: there is none; the message lists the formats that have one.
    """
    kind = FORMATS[name].exporter if name in FORMATS else None
    if kind is None:
        *others, last = (f.name for f in FORMATS.values() if f.exporter is not None)
        known = f"{', '.join(others)} or {last}"
        why = "is written from logs of its own only" if name in FORMATS else "is no format"
        raise ConfigError(f"output: {name!r} {why}; samples of any log are written as {known}")
    return kind


def output_options(format: Format, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the options of an output of a name, those that are not given by default.

    Raises:
        ConfigError: the format has no such option.
    """
    known = format.output_options
    for option in given:
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"output.{option}: the format {format.name!r} has no such option ({has})")
    return {n: given.get(n, o.default) for n, o in known.items()}
