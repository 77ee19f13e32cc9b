"""The tests themselves: none passes by doing nothing, they mirror the packages, and the quick ones meet all of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import REPOSITORY

TESTS = REPOSITORY / "tests"
PACKAGES = [REPOSITORY / "calib", *(p.parent for p in (REPOSITORY / "fusion_aug").glob("*/__init__.py"))]


def modules() -> list[Path]:
    return sorted(TESTS.rglob("test_*.py"))


def own_statements(function: ast.AST) -> Iterator[ast.AST]:
    """Everything in a function but what is in functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from own_statements(child)


def early_returns(text: str) -> list[str]:
    """Tests that may return before their end, which pytest would count as passed."""
    tests = [f for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef) and f.name.startswith("test_")]
    return [f.name for f in tests if any(isinstance(s, ast.Return) for s in own_statements(f))]


def test_no_test_returns_early() -> None:
    """Where a test does not apply, it is not collected (``only``) or it is skipped with a reason."""
    inner = "def test_a():\n    def f():\n        return 1\n"
    assert early_returns(f"{inner}    for x in y:\n        return\n") == ["test_a"]
    assert early_returns(f"{inner}    assert f()\n") == []
    assert {p.name: early_returns(p.read_text()) for p in modules() if early_returns(p.read_text())} == {}


def test_folders_mirror_the_packages() -> None:
    folders = {p.parent.relative_to(TESTS).as_posix() for p in modules()} - {"."}
    places = {p.name: p for p in PACKAGES}
    for folder in folders:
        top, _, rest = folder.partition("/")
        assert top in places and (places[top] / rest).is_dir(), f"tests/{folder} mirrors no package"


@pytest.mark.parametrize("package", [p.name for p in PACKAGES])
def test_every_package_has_quick_tests(package: str) -> None:
    files = [p for p in modules() if p.relative_to(TESTS).parts[0] == package]
    assert any("mark.quick" in p.read_text() for p in files), f"tests/{package} has nothing for `make quick`"
