"""What docstrings say of classes and of their fields, in the Google style that all of ours have."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any

SECTION = re.compile(r"^(Attributes|Args|Raises|Returns|Example|Examples|Note):\s*$", re.MULTILINE)


def about(cls: type[Any]) -> str:
    """What a class is: its docstring without the sections, with line ends between paragraphs only."""
    text = SECTION.split(_own(cls), maxsplit=1)[0]
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", text)]
    return "\n".join(p for p in paragraphs if p).replace("``", "")


def summary(cls: type[Any]) -> str:
    """The first sentence of ``about``."""
    return about(cls).partition("\n")[0].partition(". ")[0].rstrip(".")


def meanings(cls: type[Any]) -> dict[str, str]:
    """Field -> what the docstrings say of it, of a dataclass and of those that it inherits from."""
    names = {f.name for f in fields(cls)}
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _attributes(base, names)
    return found


def _own(cls: type[Any]) -> str:
    text = cls.__dict__.get("__doc__") or ""
    return "" if text.startswith(f"{cls.__name__}(") else inspect.cleandoc(text)  # what dataclass itself writes


def _attributes(cls: type[Any], names: set[str]) -> dict[str, str]:
    """Of the section of attributes; one line of it may hold several: ``near: metres. far, most: metres.``"""
    parts = SECTION.split(_own(cls))
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    text = " ".join(sections.get("Attributes", "").split())
    word = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    heads = list(re.finditer(rf"(?:^|(?<=\. ))((?:{word})(?:, (?:{word}))*): ", text)) if word else []
    out: dict[str, str] = {}
    for head, end in zip(heads, [*(h.start() for h in heads[1:]), len(text)], strict=False):
        meaning = text[head.end() : end].strip().rstrip(".").replace("``", "")
        out |= dict.fromkeys(head[1].split(", "), meaning)
    return out
