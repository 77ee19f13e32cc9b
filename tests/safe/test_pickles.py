"""Pickles of others: honest ones give what ``pickle.load`` gives, hostile ones are refused, soon, in little memory."""

from __future__ import annotations

import collections
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_pickles import COLLIDING_KEYS, DOUBLED_KEY, HEAD, HOSTILE

from fusion_aug.errors import DataError
from fusion_aug.safe.pickles import load_plain

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


@pytest.mark.quick
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_honest_files(protocol: int, tmp_path: Path) -> None:
    raw = pickle.dumps(HONEST, protocol)
    old = raw.replace(b"numpy._core", b"numpy.core") if protocol < 4 else raw  # as NumPy 1 names its functions
    for text in (raw, old):
        (tmp_path / "x.pkl").write_bytes(text)
        assert same(pickle.loads(raw), load_plain(tmp_path / "x.pkl"))


@pytest.mark.quick
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(HEAD + HOSTILE[name])
    start = time.process_time()  # which a busy machine does not change
    with pytest.raises(DataError, match=r"x\.pkl: (is refused|is damaged)") as told:
        load_plain(tmp_path / "x.pkl")
    assert "\n" not in str(told.value) and time.process_time() - start < 20


@pytest.mark.parametrize("raw", [DOUBLED_KEY, COLLIDING_KEYS])
def test_keys_that_hash_or_compare_for_ever(raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion_aug.safe.unpickling.CPU_SECONDS", 1)
    (tmp_path / "x.pkl").write_bytes(HEAD + raw)
    with pytest.raises(DataError, match="takes more than"):
        load_plain(tmp_path / "x.pkl")
