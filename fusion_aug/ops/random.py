"""Random streams from keys: a key is a blake2b digest and seeds a Philox counter generator (Salmon et al. 2011).

They are for numbers that come one after another. What belongs to rows, as the noise of points, pixels and readings, is
in ``ops/hashed.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, sort_keys=True)
_QUOTED = json.encoder.encode_basestring  # what the encoder does to text, without making an encoder each time
_WORDS = np.dtype("<u8")


def canonical(parts: Sequence[object]) -> bytes:
    """The one JSON text of a list of strings and integers."""
    return f"[{','.join(map(_json, parts))}]".encode()


def _json(part: object) -> str:
    return _QUOTED(part) if type(part) is str else str(part) if type(part) is int else _JSON.encode(part)


def digest(*parts: object) -> str:
    """32 hex digits that identify a list of strings and integers."""
    return hashlib.blake2b(canonical(parts), digest_size=16).hexdigest()


class _Key(ISeedSequence):
    """A key as a seed: ``Philox(key=...)`` gives the same, but asks the system for random numbers that it does not use.

    Args:
        key: from ``digest``.
    """

    def __init__(self, key: str):
        self.words = np.frombuffer(bytes.fromhex(key)[::-1], _WORDS)  # the lower one first

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """The two words of Philox's key."""
        return self.words


def generator(key: str) -> np.random.Generator:
    """The random stream of a key from ``digest``."""
    return np.random.Generator(np.random.Philox(_Key(key)))  # type: ignore[arg-type]  # any ISeedSequence


def noise(key: str, stream: str, time: int) -> np.random.Generator:
    """Random stream of one item of one stream, from the ``noise`` key in a transform's params."""
    return generator(digest(key, stream, time))
