"""Links in logs: followed below the root, elsewhere only below the folders that are named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.files import copy_file, inside
from fusion_aug.logs.core.tree import Tree
from fusion_aug.run.words import value_of
from fusion_aug.streams.source import Source

pytestmark = pytest.mark.quick


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file, and a folder beside it with another one."""
    (tmp_path / "log/data").mkdir(parents=True)
    (tmp_path / "log/data/a.bin").write_text("a")
    (tmp_path / "disk/deep").mkdir(parents=True)
    (tmp_path / "disk/deep/b.bin").write_text("b")
    return tmp_path / "log"


def test_links_below_the_root_are_followed(root: Path) -> None:
    (root / "same").symlink_to(root / "data")  # absolute
    (root / "data/c.bin").symlink_to("a.bin")
    tree = Tree(root)
    assert tree.path("same/c.bin", "x").read_text() == "a"
    assert [p.relative_to(root).as_posix() for p in tree.glob("**/*.bin")] == [
        "data/a.bin", "data/c.bin", "same/a.bin", "same/c.bin",
    ]  # fmt: skip
    assert tree.path("data/none.bin", "x") == root / "data/none.bin"
    linked = root.with_name("linked")
    linked.symlink_to(root)
    assert Tree(linked).path("same/a.bin", "x").read_text() == "a", "the root may be a link itself"


@pytest.mark.parametrize("given", [".", "./", "../log", "{root}", "{root}/"])
def test_names_begin_at_the_root(root: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.chdir(root)
    (root / "same").symlink_to("data")
    tree = Tree(given.format(root=root))
    assert [tree.name_of(e) for e in tree.files()] == ["data/a.bin", "same/a.bin"]
    assert all(e.path.read_text() == "a" and e.real == f"{root}/data/a.bin" for e in tree.files())
    assert [tree.name_of(e) for e in tree.files(tree.root / "same")] == ["same/a.bin"]


@pytest.mark.parametrize("link, name", [("out", "out/deep/b.bin"), ("b.bin", "b.bin")])
def test_links_elsewhere_need_their_folder(root: Path, link: str, name: str) -> None:
    disk = root.parent / "disk"
    target = disk if link == "out" else disk / "deep/b.bin"
    (root / link).symlink_to(target)
    folder = target if target.is_dir() else target.parent
    with pytest.raises(DataError, match=r"table: row 3: .*is a link to") as refused:
        Tree(root).path(name, "table: row 3")
    assert f"log.follow_links=[{folder}]" in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(DataError, match=r"log\.follow_links=\["):
        Tree(root).glob("**/*.bin")
    for named in ([str(folder)], str(folder), [str(disk)]):
        tree = Tree(root, named)
        assert tree.path(name, "x").read_text() == "b" and root / name in tree.glob("**/*.bin")
    with pytest.raises(DataError, match="is a link"):
        inside(root, name, "what a run writes has no links to follow")


@pytest.mark.parametrize(
    "name", ["big disk, 2", "it's", 'a "b"', "$HOME", "`x`", "back\\slash", "end\\", "[1]", "日本"]
)
def test_the_refusal_prints_an_option_that_a_shell_takes(root: Path, name: str) -> None:
    disk = root.parent / name
    disk.mkdir()
    (root / "out").symlink_to(disk)
    said = str(Tree(root).refusal(root / "out"))
    typed = said.split("to follow it give ")[1]
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {typed}"], capture_output=True, check=True, text=True).stdout
    assert words.count("\0") == 1
    assert value_of(words.removesuffix("\0")) == [str(disk)]


def test_a_folder_beside_the_named_one_is_not_meant(root: Path) -> None:
    (root.parent / "disk2").mkdir()
    (root.parent / "disk2/c.bin").write_text("c")
    (root / "out").symlink_to(root.parent / "disk2")
    with pytest.raises(DataError, match="disk2"):
        Tree(root, [str(root.parent / "disk")]).path("out/c.bin", "x")


def test_links_that_lead_nowhere_or_in_a_circle(root: Path) -> None:
    (root / "gone").symlink_to(root / "nothing")
    (root / "ring").symlink_to(root / "gnir")
    (root / "gnir").symlink_to(root / "ring")
    (root / "data/up").symlink_to(root)
    tree = Tree(root)
    for name, part in (
        ("gone", "does not exist"), ("gone/a", "does not exist"), ("ring", "goes round in a circle"),
        ("../log/data/a.bin", "leaves the log's folder"), ("/etc/passwd", "leaves the log's folder"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=part) as refused:
            tree.path(name, "x")
        assert "\n" not in str(refused.value)
    with pytest.raises(DataError, match="a folder that it lies in"):
        tree.glob("**/*.bin")
    assert tree.glob("data/*.bin") == [root / "data/a.bin"], "a link that does not match is not looked at"
    refusals = {e.path.name: e.refusal for e in tree.files()}
    assert refusals.pop("a.bin") is None and all(refusals.values()) and set(refusals) == {"gone", "ring", "gnir", "up"}


def test_two_folders_that_link_to_each_other(root: Path) -> None:
    (root / "one").mkdir()
    (root / "two").mkdir()
    (root / "one/x").symlink_to(root / "two")
    (root / "two/y").symlink_to(root / "one")
    assert sum(e.refusal is not None for e in Tree(root).files()) == 2


def test_follow_links_names_folders(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"log\.follow_links: .*nowhere is not a folder"):
        Tree(root, ["/nowhere"])
    with pytest.raises(ConfigError, match="expected a list of folders"):
        Tree(root, [3])  # type: ignore[list-item]


def test_a_hard_link_of_a_link_is_one_of_its_file(root: Path, tmp_path: Path) -> None:
    (root / "b.bin").symlink_to("../disk/deep/b.bin")
    target = tmp_path / "out/b.bin"
    copy_file(Source(root / "b.bin", "file"), target, "hard")
    assert not target.is_symlink() and target.samefile(root.parent / "disk/deep/b.bin")


@pytest.mark.parametrize("named", ["data/a.bin", "data/none.bin", "data/deep/none.bin"])
def test_a_folder_that_was_followed_is_looked_at_again(root: Path, named: str) -> None:
    """A folder is looked into once; that it is still the same one is asked each time."""
    tree = Tree(root)
    assert tree.path("data/a.bin", "x").read_text() == "a"
    (root / "data").rename(root / "before")
    (root / "data").symlink_to(root.parent / "disk")
    with pytest.raises(DataError, match=r"row 1: .*/data is a link to .*/disk, outside the log"):
        tree.path(named, "row 1")
    (root / "data").unlink()
    (root / "data").symlink_to("before")
    assert tree.path("data/a.bin", "x").read_text() == "a"
    (root / "data").unlink()
    (root / "data").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"row 1: .*/data is a link to nowhere, which does not exist"):
        tree.path(named, "row 1")


@pytest.mark.parametrize("name", ["/etc/passwd", "../disk/b.bin", "data/../../disk", "data\\a.bin", "a\0b"])
def test_names_that_lead_out_are_refused(root: Path, name: str) -> None:
    with pytest.raises(DataError, match="leaves the log's folder"):
        Tree(root).path(name, "row 1")


def test_what_lies_behind_a_link_needs_it_to_be_followed(root: Path) -> None:
    (root / "out").symlink_to(root.parent / "disk")
    tree = Tree(root)
    for name in ("out", "out/", "out/.", "out/deep", "out/deep/b.bin", "out/none", "data/./../x"):
        with pytest.raises(DataError):
            tree.path(name, "row 1")
    assert tree.path("nothing/at/all.bin", "x") == root / "nothing/at/all.bin"
