"""YAML with the numbers of YAML 1.2: ``1550e-9`` is a number, which YAML 1.1 takes for text, since it has no point."""

from __future__ import annotations

import re
from typing import Any

import yaml

WITH_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")


class _Loader(yaml.SafeLoader):
    """Makes plain lists, mappings, numbers and text, nothing else."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", WITH_EXPONENT, list("-+.0123456789"))


def load_yaml(text: str) -> Any:
    """The plain contents of a YAML text.

    Raises:
        yaml.YAMLError: it is not YAML, or asks for other objects.
    """
    return yaml.load(text, Loader=_Loader)
