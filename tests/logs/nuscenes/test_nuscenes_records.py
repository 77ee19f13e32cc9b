"""Lists of records that are parsed in pieces: the same as ``json.loads`` has, wherever the pieces are cut."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusion_aug as fa
from fusion_aug.logs.nuscenes import records as module
from fusion_aug.logs.nuscenes.records import record_at_start, records
from fusion_aug.logs.nuscenes.steady import SteadyFile

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=3), max_size=8)


def parsed(raw: bytes) -> list[tuple[int, Any]]:
    return list(records(lambda start, count: raw[start : start + count], "file.json"))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)


@given(
    rows=ROWS, indent=st.sampled_from([None, 0, 2]), plain=st.booleans(), bom=st.booleans(), block=st.integers(1, 40)
)
def test_as_json_loads(rows: list[Any], indent: int | None, plain: bool, bom: bool, block: int) -> None:
    text = json.dumps(rows, indent=indent, ensure_ascii=plain) + "\n"
    raw = text.encode("utf-8-sig" if bom else "utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = parsed(raw)
    assert [row for _, row in found] == rows
    assert [record_at_start(raw[place:]) for place, _ in found] == rows
    assert all(raw[place : place + 1] == b"{" for place, _ in found)


def test_rows_of_braces_quotes_and_other_scripts(small_pieces: None) -> None:
    rows = [{"a": '}{"]['}, {"b": "\\}", "c": [{}, {"d": "}"}]}, {}, {"token": "雨の道}", "e": "Größe"}]
    for text in (json.dumps(rows), json.dumps(rows, ensure_ascii=False), json.dumps(rows, indent=4)):
        found = parsed(text.encode())
        assert [row for _, row in found] == rows
        assert [record_at_start(text.encode()[place:]) for place, _ in found] == rows
    assert parsed(b" [ \n ] \t\r\n") == [] == parsed(b"[]")
    assert parsed(b'[{"a": 1, "a": 2}]') == [(1, {"a": 2})], "as json.loads: the last of two"


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"[", b"[ ", b"]", b"[]]", b"[] x", b"[,]", b'[{"a": 1},]', b'[{"a": 1} {"a": 2}]', b'[{"a": 1}',
     b'[{"a": 1}] []', b'[{"a": 1}}]', b'[{"a": 1,}]', b"[{'a': 1}]", b'[{"a": 01}]', b'[{"a": "\n"}]', b'[{"a"}]',
     b'[{"a": 1}, {"a": ', b'[{"a": "\xff"}]', b"[1, 2", b"{", b'[{"a": 1}\x0b]', b'\xff\xfe[\x00]\x00'],
)  # fmt: skip
def test_what_json_loads_refuses_is_refused(raw: bytes, small_pieces: None) -> None:
    with pytest.raises(ValueError):
        json.loads(raw.decode("utf-8", "strict"))
    with pytest.raises(fa.DataError, match=r"file\.json: is not valid JSON"):
        parsed(raw)


def test_where_it_is_wrong() -> None:
    raw = b'[{"a": 1}, {"a": 2}, {"a": nothing}, {"a": 3}]'
    with pytest.raises(fa.DataError, match=r"Expecting value in record 3, from byte 19 on\)"):
        parsed(raw)
    with pytest.raises(fa.DataError, match=r"byte 7 is not UTF-8"):
        parsed(b'[{"a":"\xff"}]')
    with pytest.raises(fa.DataError, match="recursion"):
        parsed(b'[{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]")
    with pytest.raises(fa.DataError, match=r"4300.*in record 1"):
        parsed(b'[{"a": ' + b"1" * 5000 + b"}]")


@pytest.mark.parametrize(
    "inside", [b'{"a": "%s"}' % (b"x" * 300), b'{"a": 1}' + b" " * 300 + b', {"a": 1}', b" " * 300]
)
def test_a_record_that_is_too_large_is_refused_before_all_of_it_is_read(
    inside: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 16)
    monkeypatch.setattr(module, "MOST_BYTES", 2**6)
    raw, last = b"[" + inside + b" " * 10_000 + b"]", 0

    def read(start: int, count: int) -> bytes:
        nonlocal last
        last = max(last, start + count)
        return raw[start : start + count]

    with pytest.raises(fa.DataError, match="larger than"):
        list(records(read, "file.json"))
    assert last < 300


# --- a file that is read in parts ------------------------------------------------------------------------------------
def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for change in (lambda: path.write_bytes(b"0123"), lambda: path.write_bytes(b"0123456789ab"), lambda: path.touch()):
        path.write_bytes(b"0123456789")
        file = SteadyFile(path)
        assert file.read(2, 3) == b"234" and file.read(8, 9) == b"89"
        with path.open("rb") as same:
            before = same.read()
        change()
        facts = path.stat()
        if facts.st_size == len(before):  # of another date, also where the clock of the file system is slow
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 10**9))
        with pytest.raises(fa.DataError, match=r"a\.json: was changed while it was being read"):
            file.read(2, 3)


def test_an_exchanged_file_is_read_on(tmp_path: Path) -> None:
    """Whoever writes a new file in its place does not disturb who reads the old one."""
    path = tmp_path / "a.json"
    path.write_bytes(b"0123456789")
    file = SteadyFile(path)
    (tmp_path / "b.json").write_bytes(b"abcdefghij")
    (tmp_path / "b.json").replace(path)
    assert file.read(2, 3) == b"234"
