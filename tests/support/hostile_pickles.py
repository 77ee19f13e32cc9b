"""Pickles that ask for more than plain data, or never end: bodies without their two first bytes, ``HEAD``."""

from __future__ import annotations

import io
import pickle
import struct
from typing import Any

HEAD = b"\x80\x04"
MARK = 0x5EED5EED  # stands where a body is put in


def named(module: str, name: str) -> bytes:
    """Opcode that looks a name up."""
    return f"c{module}\n{name}\n".encode()


def of(value: Any) -> bytes:
    """Opcodes of plain data."""
    return pickle.dumps(value, 2)[2:-1]


def array(shape: Any, kind: bytes, content: bytes) -> bytes:
    """An array as NumPy pickles it, its content as opcodes."""
    empty = (
        named("numpy._core.multiarray", "_reconstruct") + b"(" + named("numpy", "ndarray") + of((0,)) + of("b") + b"tR"
    )
    return HEAD + empty + b"(" + of(1) + of(shape) + kind + b"\x89" + content + b"tb."


def kind(code: Any) -> bytes:
    """The type of an array."""
    return named("numpy", "dtype") + of((code, False, True)) + b"R"


COLLIDING = b"".join(b"\x8a\x18" + (i * (2**61 - 1)).to_bytes(24, "little") + b"N" for i in range(1, 150_000))
DOUBLED_KEY = b"}" + b"K\x01K\x01\x86" + b"2\x86" * 64 + b"K\x01s."
COLLIDING_KEYS = b"}(" + COLLIDING + b"u."
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


def within(content: Any, body: bytes) -> bytes:
    """A pickle of plain data with a hostile body in place of ``MARK``, which occurs in it once."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 2)
    pickler.fast = True  # nothing is memoized, so the numbers of the body's own memo hold
    pickler.dump(content)
    raw, mark = file.getvalue(), b"J" + struct.pack("<i", MARK)
    assert raw.count(mark) == 1
    return raw.replace(mark, body.removesuffix(b"."))
