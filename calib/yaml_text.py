"""YAML with the numbers of YAML 1.2: ``1550e-9`` is a number, which YAML 1.1 takes for text, since it has no point.

A few bytes of YAML can stand for more entries than there are atoms, by aliases of aliases, or nest so deeply that
whatever walks it ends the process. So its events are looked through first, which takes time in proportion to the text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

OPENCV_HEAD = re.compile(r"\ufeff?%YAML:1\.0[^\n]*\n(---[^\n]*\n)?")  # which is no directive of YAML
WITH_EXPONENT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")
MAX_DEPTH, MAX_ENTRIES = 50, 500_000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Makes plain lists, mappings, numbers and text, nothing else."""


def _matrix_of_opencv(loader: Any, node: yaml.MappingNode) -> Any:
    """The rows of a matrix as OpenCV's FileStorage writes it."""
    held = loader.construct_mapping(node, deep=True)
    rows, columns, data = (held.get(key) for key in ("rows", "cols", "data"))
    if not isinstance(data, list) or not isinstance(rows, int) or not isinstance(columns, int):
        raise yaml.YAMLError("an opencv-matrix has no rows, cols and data")
    if columns < 1 or rows * columns != len(data):
        raise yaml.YAMLError(f"an opencv-matrix of {rows}x{columns} has {len(data)} numbers")
    return [data[i : i + columns] for i in range(0, len(data), columns)]


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix_of_opencv)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", WITH_EXPONENT, list("-+.0123456789"))


def load_yaml(text: str) -> Any:
    """The plain contents of a YAML text, also of one that OpenCV reads and writes (``%YAML:1.0``).

    Raises:
        yaml.YAMLError: it is not YAML, asks for other objects, is nested too deeply, or stands for too many entries.
    """
    head = OPENCV_HEAD.match(text)
    text = text if head is None else "\n" * head[0].count("\n") + text[head.end() :]
    _check_size(text)
    return yaml.load(text, Loader=_Loader)


def _check_size(text: str) -> None:
    """Raise unless a text is nested, and its aliases taken for what they stand for, within limits."""
    anchors: dict[str, int] = {}  # entries of what has been seen to its end
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and entries before it
    total = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            total += anchors.get(event.anchor or "", 1)
        elif isinstance(event, yaml.NodeEvent):
            total += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, total - 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor is not None:
                anchors[anchor] = total - before
        if len(open_nodes) > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} times")
        if total > MAX_ENTRIES:
            raise yaml.YAMLError(f"it stands for more than {MAX_ENTRIES:,} entries")
