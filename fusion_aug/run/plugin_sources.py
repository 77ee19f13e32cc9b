"""Source files of plugins: what they hold decides what a run writes, as the files of its log do."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from fusion_aug.logs.core.inputs import content_line

OURS = ("fusion_aug", "calib")  # the manifest holds their version
INSTALLED = ("site-packages", "dist-packages")


class Home(NamedTuple):
    """A folder that modules are found in, and the package that alone is meant, where those of others lie beside it."""

    folder: Path
    package: str | None


def plugin_lines(files: Mapping[str, Path]) -> Iterator[str]:
    """One line for every file of ``plugin_files``, as ``input_lines`` has them."""
    for name, path in sorted(files.items()):
        yield content_line(path, f"plugin {name} ({path.name})")


def plugin_files(plugins: Sequence[str]) -> dict[str, Path]:
    """Name of a module -> its file: the plugins, which are imported, and the modules beside them that they use.

    These are what statements anywhere in a source import, also inside functions that have not run yet, the packages
    around them, and what else the values of loaded modules are from.
    """
    found: dict[str, Path] = {}
    homes = {home for name in plugins if (home := _home(sys.modules[name])) is not None}
    waiting = list(plugins)
    while waiting:
        name = waiting.pop()
        path = None if name in found else _source_of(name, homes)
        if path is None:
            continue
        found[name] = path
        waiting += [name.rpartition(".")[0], *_imported(name, path), *_used(sys.modules.get(name))]
    return found


def _source_of(name: str, homes: set[Home]) -> Path | None:
    """File of a module that lies beside the plugins; None of others."""
    module = sys.modules.get(name)
    if module is not None:
        return _file(module) if _home(module) in homes else None
    top, *rest = name.split(".")
    for folder in (h.folder for h in homes if h.package in (None, top) and top not in (*OURS, "")):
        place = folder.joinpath(top, *rest)
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                return path
    return None


def _imported(name: str, path: Path) -> Iterator[str]:
    """Names of the modules that a source imports, and of what it imports from them, which may be modules, too."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # it is no source, or would fail where it is imported
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            start = ".".join(part for part in (above, node.module) if part)
            yield from (start, *(f"{start}.{alias.name}" if start else alias.name for alias in node.names))


def _used(module: ModuleType | None) -> list[str]:
    """Names of the modules that the values of a loaded module are, or are defined in."""
    values = () if module is None else vars(module).values()
    return [v.__name__ if isinstance(v, ModuleType) else str(getattr(v, "__module__", "")) for v in values]


def _home(module: ModuleType) -> Home | None:
    """The folder that a module was found in; of an installed one its own package, since all others lie beside it."""
    top = module.__name__.partition(".")[0]
    first = sys.modules.get(top, module)
    known = first if _file(first) else module  # a package without __init__.py has no file
    path = _file(known)
    if path is None or top in OURS:
        return None
    above = path.parents[known.__name__.count(".") :][path.name == "__init__.py" :]
    return Home(above[0], top if above[0].name in INSTALLED else None) if above else None


def _file(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if isinstance(name, str) and Path(name).is_file() else None
