"""Pipelines of a test's own as words of the command line: for a file, Hydra would put its files together anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calib.yaml_text import load_yaml
from fusion_aug.run.words import quoted


def step_words(steps: Mapping[str, Any]) -> list[str]:
    """Words of a run whose pipeline has these steps alone: name -> configuration, a mapping or the YAML of one."""
    configs = {name: load_yaml(step) if isinstance(step, str) else step for name, step in steps.items()}
    return ["pipeline=identity", *(f"+pipeline.transforms.{name}={_as_word(c)}" for name, c in configs.items())]


def _as_word(value: Any) -> str:
    """A value in the grammar of Hydra's overrides."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_as_word(v)}' for key, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_word, value))}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
