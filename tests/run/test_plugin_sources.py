"""Sources of plugins are found by what they import, however and wherever they do, and by no name of our own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fusion_aug.run.plugin_sources import plugin_files

pytestmark = pytest.mark.quick
TREE = {
    "mine.py": "import json\nfrom numbers_of_mine import FACTOR\nimport deep.er.law as law\nimport numpy\n"
    "def work():\n    import late_law\n    from deep import other, VALUE\n    return late_law",
    "numbers_of_mine.py": "FACTOR = 1.5\n",
    "late_law.py": "if True:\n    try:\n        import later_still\n    except ImportError:\n        pass\n",
    "later_still.py": "",
    "json.py": "shadowed by that of Python, which was loaded first\n",
    "unused.py": "",
    "deep/__init__.py": "VALUE = 1\n",
    "deep/er/__init__.py": "from . import beside\nfrom .. import other as o\nfrom ..third.part import *\n",
    "deep/er/beside.py": "",
    "deep/er/law.py": "class Law:\n    async def f(self):\n        from .beside import x\n        from .no import y\n",
    "deep/other.py": "def f():\n    import broken\n",
    "deep/third/part.py": "",
    "broken.py": "def (\n",
}
USED = {
    "mine", "numbers_of_mine", "late_law", "later_still", "deep", "deep.er", "deep.er.beside", "deep.er.law",
    "deep.other", "deep.third.part", "broken",
}  # fmt: skip


def write(root: Path, tree: dict[str, str]) -> Path:
    for name, text in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def test_imports_are_followed_by_their_statements(on_path: Path) -> None:
    """Of names, inside functions that never ran, relative ones, and packages around a module."""
    root = write(on_path, TREE)
    importlib.import_module("mine")
    assert "late_law" not in sys.modules and "json" in sys.modules
    found = plugin_files(["mine"])
    assert set(found) == USED
    assert {p.relative_to(root).as_posix() for p in found.values()} == {
        "mine.py", "numbers_of_mine.py", "late_law.py", "later_still.py", "deep/__init__.py", "deep/er/__init__.py",
        "deep/er/beside.py", "deep/er/law.py", "deep/other.py", "deep/third/part.py", "broken.py",
    }  # fmt: skip


def test_a_package_without_init_is_a_place_too(on_path: Path) -> None:
    write(on_path, {"bare/plug.py": "def f():\n    from bare.law import x\n", "bare/law.py": "", "law.py": ""})
    importlib.import_module("bare.plug")
    assert set(plugin_files(["bare.plug"])) == {"bare.plug", "bare.law"}


def test_of_an_installed_plugin_its_own_package_alone(on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All others lie beside it, and are versions of packages."""
    folder = on_path / "site-packages"
    write(folder, {"plug/__init__.py": "def f():\n    import plug.law, beside\n", "plug/law.py": "", "beside.py": ""})
    monkeypatch.syspath_prepend(str(folder))
    importlib.import_module("plug")
    assert set(plugin_files(["plug"])) == {"plug", "plug.law"}


def test_modules_that_are_loaded_by_other_means_are_followed_by_their_values(on_path: Path) -> None:
    text = "import importlib\nlaw = importlib.import_module('law_by_name')\n"
    write(on_path, {"dynamic.py": text, "law_by_name.py": ""})
    importlib.import_module("dynamic")
    assert set(plugin_files(["dynamic"])) == {"dynamic", "law_by_name"}
