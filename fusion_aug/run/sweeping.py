"""Jobs of a multirun: one for every combination of the values that its words list."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from fusion_aug.errors import ConfigError
from fusion_aug.run.config import first_sentence, import_plugins, named_plugins, option_names
from fusion_aug.run.keys import HOW_ONLY
from fusion_aug.run.words import quote_names


def sweep(overrides: Sequence[str], extra_dir: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Every job of a multirun: its name and its overrides.

    The name is made of the overrides in letters, digits and ``. _ + -`` only, without ``log``, ``log.*`` and those that
    change nothing of the result (``HOW_ONLY``): shards of one job have one name.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob
    from hydra.errors import HydraException

    import_plugins(named_plugins(overrides))  # a format of the user's own may have options that name files
    try:
        parsed = OverridesParser.create().parse_overrides(quote_names(overrides))
        choices = []
        for o in parsed:
            key = str(o.get_key_element()).lstrip("+~")
            line = str(o.input_line)
            if o.is_sweep_override():
                plus = line[: len(line) - len(line.lstrip("+"))]
                whole = o.value()
                values = (
                    whole.filter(option_names(key, extra_dir))
                    if isinstance(whole, Glob)
                    else [str(v) for v in o.sweep_string_iterator()]
                )
                if not values:
                    raise ConfigError(f"{line}: matches no option")
                choices.append([(key, v, f"{plus}{key}={v}") for v in values])
            else:
                choices.append([(key, "" if o.is_delete() else str(o.get_value_element_as_str()), line)])
    except HydraException as error:
        raise ConfigError(first_sentence(error)) from None
    names: dict[tuple[tuple[str, str], ...], str] = {}
    for job in itertools.product(*choices):
        deciding = tuple((k, v) for k, v, _ in job if k.partition(".")[0] not in HOW_ONLY)
        if deciding not in names:
            own = [(k, v) for k, v in deciding if k.partition(".")[0] != "log"]
            name = "+".join(re.sub(r"[^A-Za-z0-9._-]+", "_", f"{k}-{v}").strip("_") for k, v in own) or "job"
            names[deciding] = f"{name}+{len(names)}" if name in names.values() else name
        yield names[deciding], [line for _, _, line in job]
