"""The imports of a tree of packages, read from its source: every one, also inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

Graph = dict[str, set[str]]


def modules(root: Path, packages: tuple[str, ...]) -> dict[str, Path]:
    """Module name -> file, of every module of some packages below a root."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, own: str, known: set[str]) -> Iterator[str]:
    """Names of the known modules that a file imports anywhere, with the packages that are loaded on the way."""
    package = own if path.stem == "__init__" else own.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            # ``from package import module`` names a module; ``from module import name`` does not
            names = [f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names]
        for name in names:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                loaded = ".".join(parts[:end])
                inside = own == loaded or own.startswith(loaded + ".")  # its own packages are being loaded already
                if loaded in known and not (inside and end < len(parts)) and loaded != own:
                    yield loaded


def graph(root: Path, packages: tuple[str, ...]) -> Graph:
    """Module -> modules that it imports."""
    found = modules(root, packages)
    return {name: set(imported(path, name, set(found))) for name, path in found.items()}


def circles(edges: Graph) -> list[list[str]]:
    """Groups of modules that import one another in a circle (strongly connected components of more than one)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []

    def visit(start: str) -> None:
        work = [(start, iter(sorted(edges[start])))]
        index[start] = low[start] = len(index)
        stack.append(start)
        while work:
            name, rest = work[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    work.append((target, iter(sorted(edges[target]))))
                    break
                if target in stack:
                    low[name] = min(low[name], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    group = []
                    while not group or group[-1] != name:
                        group.append(stack.pop())
                    if len(group) > 1:
                        out.append(sorted(group))

    for name in edges:
        if name not in index:
            visit(name)
    return out
