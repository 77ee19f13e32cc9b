"""Lists of records that are parsed in pieces: the same as ``json.loads`` has, wherever the pieces are cut."""

from __future__ import annotations

import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusion_aug as fa
from fusion_aug.logs.nuscenes import records as module
from fusion_aug.logs.nuscenes import steady
from fusion_aug.logs.nuscenes.records import record_at_start, records
from fusion_aug.logs.nuscenes.steady import MOST_OPEN, SteadyFile

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


@pytest.mark.parametrize(
    "half", [b'"\\ud800car"', b'"\\uDFFF"', b'"\xed\xa0\x80"', b'[1, ["a", {"b": "\\udc80"}]]', b'{"\\ud800": 1}']
)
def test_half_of_a_character_is_refused_by_record_and_field(half: bytes, small_pieces: None) -> None:
    raw = b'[{"token": "one", "name": "\\ud83d\\ude97 and \xf0\x9f\x9a\x97"}, {"token": "two", "name": ' + half + b"}]"
    with pytest.raises(
        fa.DataError, match=r"file\.json: 'two': 'name': holds half of a character \(a lone surrogate\)"
    ):
        parsed(raw)
    whole = raw.replace(half, b'"c"')
    assert [row["name"] for _, row in parsed(whole)] == ["\N{AUTOMOBILE} and \N{AUTOMOBILE}", "c"]


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


def test_a_file_that_was_exchanged_while_others_were_read_is_refused(tmp_path: Path) -> None:
    """It was closed meanwhile, so that what is opened again is another file."""
    path = tmp_path / "a.json"
    for i in range(MOST_OPEN):
        (tmp_path / f"{i}.json").write_bytes(b"0123456789")
    path.write_bytes(b"0123456789")
    files = {p: SteadyFile(p) for p in (path, *tmp_path.glob("[0-9]*.json"))}
    assert all(files[p].read(0, 2) == b"01" for p in files), "also of what was closed"
    (tmp_path / "b.json").write_bytes(b"abcdefghijk")
    (tmp_path / "b.json").replace(path)
    for p in files.keys() - {path}:
        files[p].read(0, 1)
    with pytest.raises(fa.DataError, match=r"a\.json: was changed while it was being read"):
        files[path].read(2, 3)
    path.unlink()
    with pytest.raises(fa.DataError, match=r"a\.json: cannot be read \(No such file"):
        pickle.loads(pickle.dumps(files[path])).read(2, 3)


def test_threads_that_read_more_files_than_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread reads from a file that another one has closed."""
    monkeypatch.setattr(steady, "MOST_OPEN", 2)
    files = []
    for i in range(6):
        (tmp_path / f"{i}.json").write_bytes(bytes([65 + i]) * 1000)
        files.append(SteadyFile(tmp_path / f"{i}.json"))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: files[k % 6].read(k % 900, 5), range(3000)))
    assert found == [bytes([65 + k % 6]) * 5 for k in range(3000)]
