"""Listings on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from fusion_aug import DataError
from fusion_aug.logs.remote.catalogue import Catalogue, checked
from fusion_aug.logs.remote.store import Object

pytestmark = pytest.mark.quick

OLD = [Object("a", 1, "x"), Object("a/b", 2, "x"), Object("c", 3, "x"), Object("é", 4, "x")]


def test_it_holds_what_was_listed_in_the_order_of_bytes(tmp_path: Path) -> None:
    one = Catalogue.write(tmp_path / "one", reversed(OLD))
    assert list(one) == OLD and one.find("c") == OLD[2] and one.find("d") is None
    same = Catalogue.write(tmp_path / "two", OLD)
    assert one.digest() == same.digest() != Catalogue.write(tmp_path / "three", OLD[1:]).digest()


def test_changes_are_what_is_new_gone_or_other(tmp_path: Path) -> None:
    new = [Object("0", 1, "x"), OLD[1], Object("c", 3, "y"), OLD[3], Object("ü", 0, "x")]
    old, now = Catalogue.write(tmp_path / "old", OLD), Catalogue.write(tmp_path / "new", new)
    expected = [(None, new[0]), (OLD[0], None), (OLD[2], new[2]), (None, new[4])]
    assert list(now.changes(old)) == expected and list(now.changes(now)) == []


def test_a_damaged_one_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no database at all, of some length" * 100)
    assert Catalogue(tmp_path / "bad").digest() == "" == Catalogue(tmp_path / "none").digest()


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "a//b", ".", "a\\b", "a\0b", "x" * 256])
def test_names_that_no_file_can_have_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="a name that no file can have"):
        list(checked([Object(name, 1, "x")], "s3://b/c"))
