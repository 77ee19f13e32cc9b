"""Keyed random streams.

A draw depends on what it is for, never on when or where it is made: the key is the blake2b digest of the canonical
JSON ``[seed, epoch, unit, path, purpose, instance]`` and seeds a Philox counter generator (Salmon et al. 2011). So any
number of workers, any order and any batch gives the same numbers, and a new transform leaves the draws of named others
alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

PURPOSES = ("gate", "choice", "params", "noise")


def digest(*parts: object) -> str:
    """32 hex digits that identify a list of strings and integers."""
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def generator(key: str) -> np.random.Generator:
    """The random stream of a key from ``digest``."""
    return np.random.Generator(np.random.Philox(key=int(key, 16)))


@dataclass(frozen=True)
class Keys:
    """The seed and epoch of one run, from which every random stream is derived."""

    seed: int = 0
    epoch: int = 0

    def key(self, unit: str, path: str, purpose: str, instance: str = "") -> str:
        """Key of one purpose of one transform on one unit (a sample's or a scene's id)."""
        return digest(self.seed, self.epoch, unit, path, purpose, instance)

    def generator(self, unit: str, path: str, purpose: str, instance: str = "") -> np.random.Generator:
        """Random stream of one purpose of one transform on one unit."""
        return generator(self.key(unit, path, purpose, instance))


def noise(key: str, stream: str, time: int) -> np.random.Generator:
    """Random stream of the dense noise on one item of one stream, from the ``noise`` key in a transform's params."""
    return generator(digest(key, stream, time))
