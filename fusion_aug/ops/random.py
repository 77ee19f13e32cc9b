"""Random streams from keys: a key is a blake2b digest and seeds a Philox counter generator (Salmon et al. 2011)."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def digest(*parts: object) -> str:
    """32 hex digits that identify a list of strings and integers."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def generator(key: str) -> np.random.Generator:
    """The random stream of a key from ``digest``."""
    return np.random.Generator(np.random.Philox(key=int(key, 16)))


def noise(key: str, stream: str, time: int) -> np.random.Generator:
    """Random stream of the dense noise on one item of one stream, from the ``noise`` key in a transform's params."""
    return generator(digest(key, stream, time))
