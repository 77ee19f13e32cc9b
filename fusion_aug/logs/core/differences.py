"""What two configurations differ in, said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

MOST_TOLD = 3  # settings that are named where two configurations differ
LONGEST_VALUE = 60  # characters of one, which may be of a file of others
DEEPEST = 20  # mappings in one another
_UNSET = object()


def differences(there: Any, now: Any, ignored: Collection[str] = ()) -> str:
    """What is set otherwise in two configurations: ``seed: 0 there, 1 now``, of many the first and how many more.

    Args:
        there: of a file, which may hold anything; nothing is said of what is no mapping.
        now: of the command. ignored: keys that are not compared.
    """
    if not isinstance(there, dict):
        return ""
    both = (there, json.loads(json.dumps(now)))
    flat = [_flat({k: v for k, v in config.items() if k not in ignored}) for config in both]
    apart = [k for k in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(k, _UNSET) != flat[1].get(k, _UNSET)]
    told = [f"{k[:LONGEST_VALUE]}: {_short(flat[0], k)} there, {_short(flat[1], k)} now" for k in apart[:MOST_TOLD]]
    return "; ".join([*told, f"and {len(apart) - MOST_TOLD} more"] if len(apart) > MOST_TOLD else told)


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every value by its key with dots; mappings deeper than any of ours are values."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value and name.count(".") < DEEPEST:
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _short(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "not set"
    value = flat[key]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)  # true and null, as in YAML
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
