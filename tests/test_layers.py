"""The house: arrows between packages go down only, and no modules import one another in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest
from imports import circles, graph
from places import REPOSITORY

pytestmark = pytest.mark.quick

# lower layers never import higher ones; calib lies below all of them and the public names above
LAYERS = [
    ["version", "errors"],
    ["names"],
    ["safe"],
    ["ops", "physics"],
    ["streams"],
    ["sample"],
    ["core"],
    ["transforms"],
    ["logs", "synth"],
    ["check", "train", "show", "sim"],
    ["policy"],
    ["run"],
    ["testing"],
    ["public", "extend", "testing"],
    ["cli"],
    ["__main__"],
]
LEVEL = {name: i for i, names in enumerate(LAYERS) for name in names}


def layer(module: str) -> int:
    """Level of a module; calib is below all, the package itself (which hands on the public names) above ``public``."""
    if module.split(".")[0] == "calib":
        return -1
    return LEVEL[module.split(".")[1]] if "." in module else LEVEL["public"]


@pytest.fixture(scope="module")
def edges() -> dict[str, set[str]]:
    """What every module of ours imports."""
    return graph(REPOSITORY, ("fusion_aug", "calib"))


def test_arrows_go_down_only(edges: dict[str, set[str]]) -> None:
    up = [f"{a} -> {b}" for a in edges for b in edges[a] if layer(b) > layer(a) and a != "fusion_aug"]
    assert not up


def test_the_list_of_layers_is_the_tree() -> None:
    there = {
        p.stem for p in (REPOSITORY / "fusion_aug").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()
    }
    assert there - {"__init__"} == set(LEVEL)


def test_no_import_circles(edges: dict[str, set[str]]) -> None:
    assert circles(edges) == []


def test_planted_circles_and_arrows_are_found(tmp_path: Path) -> None:
    """Also in functions, through packages, and where only the package is named."""
    files = {
        "p/__init__.py": "",
        "p/a.py": "def late():\n    from p import b\n",
        "p/b.py": "import p.sub.c\n",
        "p/sub/__init__.py": "from p.sub.d import x\n",
        "p/sub/c.py": "",
        "p/sub/d.py": "from .. import a\nx = 1\n",
        "p/e.py": "from p.a import late\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    edges = graph(tmp_path, ("p",))
    assert edges["p.e"] == {"p.a"} and "p.sub" in edges["p.b"]
    assert circles(edges) == [["p.a", "p.b", "p.sub", "p.sub.d"]]


def test_files_stay_short() -> None:
    for folder in ("fusion_aug", "calib"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            lines = len(path.read_text().splitlines())
            assert lines <= 300, f"{path}: {lines} lines"
