"""Pickles of others: honest ones give what ``pickle.load`` gives, hostile ones are refused, soon, in little memory."""

from __future__ import annotations

import collections
import pickle
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion_aug.errors import DataError
from fusion_aug.safe.pickles import load_plain

pytestmark = pytest.mark.quick
SHARED = np.arange(6.0).reshape(2, 3)
HONEST = {
    "plain": [1, 2.5, None, True, "x" * 300, b"yz", bytearray(b"q"), 1 + 2j, 10**30, (1, (2, np.arange(3)))],
    "sets": [{1, 2}, frozenset({(1, 2)})],
    "ordered": collections.OrderedDict([("k", np.float32(2.5)), ("j", [SHARED, SHARED])]),
    "numbers": {np.int64(3): np.bool_(True), np.str_("q"): np.float16(0.5), "zero": np.float64(0)},
    "texts": [np.array(["car", "truck"]), np.array([b"a", b"bcd"])],
    "orders": [np.asfortranarray(SHARED), SHARED.T, np.arange(4, dtype=">i4"), np.array(3.5), np.zeros((0, 7))],
    "objects": [np.array([[1, "a"], [None, [1, SHARED]]], dtype=object), np.array([(3,), None], dtype=object)],
    "type": np.dtype("f4"),
}


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, of plain types, and arrays of one type and writable."""
    if isinstance(a, np.ndarray):
        assert (
            type(b) is np.ndarray and a.shape == b.shape and a.dtype.newbyteorder("=") == b.dtype and b.flags.writeable
        )
        pairs = zip(a.ravel(), b.ravel(), strict=True)
        return all(same(x, y) for x, y in pairs) if a.dtype == object else bool((a == b).all())
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and bool(a == b)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_honest_files(protocol: int, tmp_path: Path) -> None:
    raw = pickle.dumps(HONEST, protocol)
    old = raw.replace(b"numpy._core", b"numpy.core") if protocol < 4 else raw  # as NumPy 1 names its functions
    for text in (raw, old):
        (tmp_path / "x.pkl").write_bytes(text)
        assert same(pickle.loads(raw), load_plain(tmp_path / "x.pkl"))


HEAD = b"\x80\x04"


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def of(value: Any) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def array(shape: Any, kind: bytes, content: bytes) -> bytes:
    """An array as NumPy pickles it, its content as opcodes."""
    empty = (
        named("numpy._core.multiarray", "_reconstruct") + b"(" + named("numpy", "ndarray") + of((0,)) + of("b") + b"tR"
    )
    return HEAD + empty + b"(" + of(1) + of(shape) + kind + b"\x89" + content + b"tb."


def kind(code: Any) -> bytes:
    return named("numpy", "dtype") + of((code, False, True)) + b"R"


COLLIDING = b"".join(b"\x8a\x18" + (i * (2**61 - 1)).to_bytes(24, "little") + b"N" for i in range(1, 150_000))
HOSTILE = {
    "call": named("os", "system") + of("true") + b"\x85R.",
    "type_of_objects_without_their_flags": kind("O8") + of((3, "|", None, None, None, -1, -1, 0)) + b"b.",
    "addresses_as_bytes": array((1,), kind("O8"), b"C\x08aaaaaaaa")[2:],
    "fields_outside_the_item": kind("V8") + of((3, "|", None, ("a",), {"a": (1, 64)}, 8, 1, 0)) + b"b.",
    "fields_of_a_number": kind("f8") + of((3, "|", None, ("a",), {"a": (1, 0)}, 8, 1, 0)) + b"b.",
    "list_of_fields": kind([("a", "O")]) + b".",
    "type_with_two_states": kind("f8") + 2 * (of((3, "<", None, None, None, -1, -1, 0)) + b"b") + b".",
    "attributes_of_a_dictionary": named("collections", "OrderedDict") + b")R}X\x01\x00\x00\x00aK\x01sb.",
    "attributes_of_a_function": named("_codecs", "encode") + b"}X\x05\x00\x00\x00_makeK\x01sb.",
    "class_of_a_function": named("builtins", "set") + b"N}X\x09\x00\x00\x00__class__K\x01s\x86b.",
    "new_object": named("numpy", "dtype") + of(("f8",)) + b"\x81.",
    "array_from_a_number": named("numpy._core.numeric", "_frombuffer")
    + b"(J\0\0\0\x7f" + kind("f8") + of((1,)) + of("C") + b"tR.",
    "bytes_from_a_number": named("builtins", "bytes") + b"J\0\0\0\x7f\x85R.",
    "array_that_is_too_large": array((2**40,), kind("f8"), b"C\x01a")[2:],
    "array_without_content": array((1,), kind("f8"), b"C\x08aaaaaaaa")[2:].partition(b"(K\x01")[0] + b".",
    "memo_of_16_gib": b"Nr\xff\xff\xff\x3f.",
    "bytes_of_4_tib": b"\x96" + struct.pack("<Q", 2**42) + b".",
    "doubled_tuple": b"K\x01K\x01\x86" + b"2\x86" * 64 + b".",
    "doubled_list": b"]" + b"".join(b"\x94]h%ch%ca" % (i, i) for i in range(60)) + b".",
    "within_itself": b"]\x94h\x00a.",
    "deep_list": b"]" * 500_000 + b"a" * 499_999 + b".",
    "deep_key": b"})" + b"\x85" * 2_000_000 + b"K\x01s.",
    "outside": b"\x8c\x01aQ.",
    "cut": b"\x8c\xffa",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(HEAD + HOSTILE[name])
    start = time.monotonic()
    with pytest.raises(DataError, match=r"x\.pkl: (is refused|is damaged)") as told:
        load_plain(tmp_path / "x.pkl")
    assert "\n" not in str(told.value) and time.monotonic() - start < 20


@pytest.mark.parametrize("raw", [b"}" + b"K\x01K\x01\x86" + b"2\x86" * 64 + b"K\x01s.", b"}(" + COLLIDING + b"u."])
def test_keys_that_hash_or_compare_for_ever(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(HEAD + raw)
    with pytest.raises(DataError, match="takes more than"):
        load_plain(tmp_path / "x.pkl")
