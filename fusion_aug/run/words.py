"""Words of the command line that name files: taken as they are, whatever characters the names hold.

Hydra's grammar gives a meaning to ``=``, ``,``, brackets, quotes and spaces. Of ``out``, ``within``, ``storage.cache``,
``networks``, of what names a network in a pipeline, and of the options of logs that name files or folders the value is
quoted before that grammar sees it, except for what is written in the grammar on purpose: a quoted value, an
interpolation (``${...}``), ``null``, ``choice(...)`` of a sweep, and a list in brackets where an option takes several
names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs import FORMATS
from fusion_aug.sample.networks import ENDING

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_WORD = re.compile(r"(\+{0,2}([A-Za-z_][\w.]*)=)(.*)", re.DOTALL)
_NAMES = re.compile(rf"(?:{_QUOTED}|[^,'\"]|['\"])+")  # of a list, between its commas
_AS_WRITTEN = re.compile(rf"|null|.*\$\{{.*|choice\(.*\)|{_QUOTED}", re.DOTALL | re.IGNORECASE)


def quoted(text: str) -> str:
    """A value that Hydra's grammar takes as it is."""
    # a backslash is one, but for those before a quote
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text) + "'"


def value_of(word: str) -> Any:
    """The value of one override as Hydra reads it; a file's name as in ``quote_names``, choices as a list."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString
    from hydra.errors import HydraException

    def plain(value: Any) -> Any:
        if isinstance(value, ChoiceSweep | list):
            return [plain(v) for v in (value.list if isinstance(value, ChoiceSweep) else value)]
        return value.text if isinstance(value, QuotedString) else value

    try:
        return plain(OverridesParser.create().parse_override(*quote_names([word])).value())
    except HydraException as error:
        raise ConfigError(f"{word}: is not understood ({str(error).splitlines()[0]})") from None


def about_lists(words: Sequence[str]) -> str | None:
    """What is to be said of the first word whose value holds commas without brackets; None where there is none.

    In Hydra's grammar such a value is a sweep, several runs, and a list has brackets.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    for word in quote_names(words):
        key, _, value = word.partition("=")
        try:
            parsed = OverridesParser.create().parse_override(word)
        except HydraException:
            is_open = value.startswith("[") and value.count("[") > value.count("]")
            if is_open:
                return (
                    f"{word}: the list is not closed; write {key}=[A,B], and quote it for the shell where it has spaces"
                )
            continue
        if parsed.is_choice_sweep() and not value.startswith("choice("):
            return (
                f"{word}: commas without brackets are a sweep, one run for each value (fusion-aug run -m); "
                f"a list, or a range, is {key}=[{value}]"
            )
    return None


def quote_names(words: Sequence[str]) -> list[str]:
    """Return overrides with every name of a file or folder quoted, for Hydra; all others as they are."""
    options = {f"log.{n}": o for f in FORMATS.values() for n, o in f.all_options.items() if o.is_file or o.or_file}
    several = {key for key, option in options.items() if option.many} | {"networks"}
    mappings = {key for key, option in options.items() if option.or_file}
    out = []
    for word in words:
        match = _WORD.fullmatch(word)
        named = match is not None and match[2] in {"out", "within", "log.root", "storage.cache", "networks", *options}
        if match is not None and match[2].startswith("pipeline."):
            named = match[3].lower().endswith(ENDING)
        if match is None or not named or (match[2] in mappings and match[3].startswith("{")):
            out.append(word)
        elif match[2] in several and match[3].startswith("[") and match[3].endswith("]"):
            names = [n.strip() for n in _NAMES.findall(match[3][1:-1])]
            out.append(f"{match[1]}[{','.join(map(_quoted_once, names))}]")
        else:
            out.append(match[1] + _quoted_once(match[3]))
    return out


def _quoted_once(value: str) -> str:
    return value if _AS_WRITTEN.fullmatch(value) else quoted(value)
