"""The account of a log: patterns, groups, selections; what nothing knows is named."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from fusion_aug.errors import MissingPackage
from fusion_aug.logs import FORMATS, Format, Log, Writer
from fusion_aug.logs.core.account import Account, account_of
from fusion_aug.logs.core.contents import CHANGED, COMMON_PARTS, FATES, FIELD, KEPT, LEFT_OUT, Part, part_of

pytestmark = pytest.mark.quick
PARTS = (
    Part("data/*.bin", CHANGED, "clouds"),
    Part("data/[ab]/**.txt", KEPT, "notes"),
    Part("**/cache*/**", LEFT_OUT, "make it anew"),
    Part("table.json:id", CHANGED, "name"),
    Part("table.json:own **", KEPT, "anything"),
)


def test_patterns_of_files_and_fields() -> None:
    def name(path: str) -> str | None:
        part = part_of(path, PARTS)
        return None if part is None else part.pattern

    assert name("data/0.bin") == "data/*.bin" and name("data/x/0.bin") is None and name("adata/0.bin") is None
    assert name("data/a/b/c.txt") == "data/[ab]/**.txt" and name("data/c/b.txt") is None
    assert name("cache_1/x") == name("deep/er/cache/y/z") == "**/cache*/**" and name("deep/nocache/y") is None
    assert name("table.json:id") == "table.json:id" and name("table.json:ids") is None
    assert name("table.json:own a/b") == "table.json:own **" and name("table.json") is None
    assert name("data/0.bin\n") is None  # a name with a line break is another name


class Lines(Log):
    """A log of text files, a sample each, and a table whose fields are given."""

    table: Mapping[str, Collection[str]] = {}

    @property
    def all_ids(self) -> list[str]:
        return sorted(p.path.stem for p in self.tree.files(self.root / "data") if p.path.suffix == ".bin")

    def read(self, sample_id: str) -> Any:
        raise NotImplementedError

    def fields(self) -> Mapping[str, Collection[str]]:
        return self.table

    def is_selected_file(self, path: str) -> bool:
        return not path.startswith("data/") or Path(path).stem in self.ids


class Copying(Writer):
    copied_whole = ("table.json",)

    def stage(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def opened(root: Path, parts: tuple[Part, ...] = PARTS, **options: Any) -> Lines:
    return Format("lines", Lines, Copying, contents=parts).open(root, **options)  # type: ignore[return-value]


def fill(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    return root


def brief(account: Account) -> dict[str, tuple[str, int, int]]:
    return {g.name: (g.fate, g.count, g.others) for g in (*account.files, *account.fields)}


def test_files_are_grouped_and_counted_and_what_nothing_knows_is_named(tmp_path: Path) -> None:
    root = fill(tmp_path, *(f"data/{k}.bin" for k in range(7)), "data/a/n.txt", "data/k.bin2", "x/1.raw", "x/2.raw")
    account = account_of(opened(root))
    assert brief(account) == {
        "data/*.bin": (CHANGED, 7, 0), "data/[ab]/**.txt": (KEPT, 1, 0),
        "data/k.bin2": (LEFT_OUT, 1, 0), "x/*.raw": (LEFT_OUT, 2, 0),
    }  # fmt: skip
    assert [(g.name, g.example) for g in account.not_understood] == [
        ("data/k.bin2", "data/k.bin2"), ("x/*.raw", "x/1.raw"),
    ]  # fmt: skip
    assert all("not understood" in g.about and "copy" in g.about for g in account.not_understood)


def test_thousands_of_unknown_folders_are_a_few_groups(tmp_path: Path) -> None:
    names = [f"log_{k:03d}/extra/{n}" for k in range(60) for n in ("a.npz", "b.npz", "c.txt")]
    account = account_of(opened(fill(tmp_path, "data/0.bin", *names)))
    assert brief(account) == {
        "data/*.bin": (CHANGED, 1, 0), "*/extra/*.npz": (LEFT_OUT, 120, 0), "*/extra/*.txt": (LEFT_OUT, 60, 0),
    }  # fmt: skip


def test_any_number_of_unknown_names_is_a_few_groups(tmp_path: Path) -> None:
    """Without endings, with numbers or words for endings, in folders of their own."""
    for k in range(40):
        fill(
            tmp_path,
            f"a/x{k}",
            f"b/part.{k:03d}",
            f"c/x.e{k}",
            f"d{k}/y{k}/z.raw",
            f"deep/{'/'.join('q' * (k + 1))}/w{k}",
        )
    account = account_of(opened(fill(tmp_path, "data/0.bin")))
    assert len(account.not_understood) <= 20 and sum(g.count for g in account.not_understood) == 200
    few = account_of(opened(fill(tmp_path / "few", "data/0.bin", "a/x1", "a/x2", "b/p.001", "b/p.002", "c/x.e1")))
    assert [g.name for g in few.not_understood] == ["a/*", "b/*", "c/x.e1"]


def test_a_table_that_cannot_be_read_is_named_and_the_others_are_listed(tmp_path: Path) -> None:
    root = fill(tmp_path, "data/0.bin", "table.json", "deep/a.json", "deep/b.json")

    class Tables(Lines):
        def fields(self) -> Mapping[str, Any]:
            damaged = {"deep/a.json": lambda: [1 / 0], "deep/b.json": lambda: json.loads("x")}
            return {"table.json": lambda: ["id"], **damaged}

    account = account_of(Format("tables", Tables, Copying, contents=PARTS).open(root))
    assert [(g.name, g.count) for g in account.fields] == [("table.json:id", 1), ("deep/*.json", 2)]
    (unread,) = [g for g in account.not_understood if "cannot be read" in g.about]
    assert unread.example == "deep/a.json" and unread.fate == LEFT_OUT


def test_a_package_that_is_missing_is_told(tmp_path: Path) -> None:
    """No table can be read without it, so that an account of the others would be wrong."""

    class Tables(Lines):
        def fields(self) -> Mapping[str, Any]:
            return {"table.json": self.read_table}

        def read_table(self) -> list[str]:
            import a_package_that_nobody_has  # type: ignore[import-not-found]

            return list(a_package_that_nobody_has.names)

    log = Format("tables", Tables, Copying, contents=PARTS).open(fill(tmp_path, "data/0.bin", "table.json"))
    with pytest.raises(MissingPackage, match=r"table\.json: needs a module .*a_package_that_nobody_has"):
        account_of(log)


def test_what_is_selected_is_listed_and_the_rest_is_counted(tmp_path: Path) -> None:
    sidecars = [f"fusion_aug/samples/{k}/rig.json" for k in range(3)]
    root = fill(tmp_path, *(f"data/{k}.bin" for k in range(3)), "data/1.raw", "data/2.raw", "free.raw", *sidecars)
    assert brief(account_of(opened(root, select=["1"]))) == {
        "data/*.bin": (CHANGED, 1, 2), "fusion_aug/samples/**/rig.json": (CHANGED, 1, 2),
        "data/*.raw": (LEFT_OUT, 1, 1), "free.raw": (LEFT_OUT, 1, 0),
    }  # fmt: skip


def test_fields_that_nothing_knows_are_named_one_by_one(tmp_path: Path) -> None:
    log = opened(fill(tmp_path, "data/0.bin"))
    log.table = {"table.json": ["id", "own x", "own y", "mine"], "deep/other.json": ["mine"]}
    account = account_of(log)
    assert brief(account) == {
        "data/*.bin": (CHANGED, 1, 0), "table.json:id": (CHANGED, 1, 0), "table.json:own **": (KEPT, 2, 0),
        "deep/other.json:mine": (LEFT_OUT, 1, 0), "table.json:mine": (KEPT, 1, 0),
    }  # fmt: skip
    assert next(g.names for g in account.fields if g.name == "table.json:own **") == ("own x", "own y")
    assert [g.name for g in account.not_understood] == ["table.json:mine", "deep/other.json:mine"]


def test_a_link_that_is_not_followed_and_a_format_that_says_nothing_are_told(tmp_path: Path) -> None:
    root, away = fill(tmp_path / "log", "data/0.bin"), fill(tmp_path / "away", "1.bin")
    (root / "data" / "1.bin").symlink_to(away / "1.bin")
    group = account_of(opened(root)).not_understood[0]
    assert (group.name, group.fate) == ("data/1.bin", LEFT_OUT) and "log.follow_links" in group.about
    assert str(tmp_path) not in str(group.to_json())
    assert brief(account_of(opened(root, follow_links=[str(away)]))) == {"data/*.bin": (CHANGED, 2, 0)}
    assert any("Format.contents" in g.about for g in account_of(opened(root, ())).not_understood)


@pytest.mark.skipif(os.name == "nt", reason="names of files there hold no such characters")
def test_hostile_names_are_printed_as_text(tmp_path: Path) -> None:
    from fusion_aug.run.account_report import left_out_lines

    root = fill(tmp_path, "data/0.bin", "[bold]x\x1b[2J.raw", "a\nb.raw")
    text = "".join(left_out_lines(account_of(opened(root))))
    assert "\x1b" not in text and "\n" not in text and r"\[bold]" in text


@pytest.mark.parametrize("name", sorted(n for n, f in FORMATS.items() if f.reader.__module__.startswith("fusion_aug.")))
def test_every_format_says_what_it_holds(name: str) -> None:
    contents = FORMATS[name].contents
    assert contents, f"{name}: Format.contents is empty"
    for part in (*contents, *COMMON_PARTS):
        assert part.fate in FATES and part.about, part
    assert {FIELD in p.pattern for p in contents} == {True, False}, "files and fields"
    assert len({p.pattern for p in contents}) == len(contents), "a pattern is there twice: the second never counts"
