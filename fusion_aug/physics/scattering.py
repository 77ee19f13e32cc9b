"""The tables that ``tools/make_scattering.py`` made by Mie theory, and how they are read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("scattering.npz")


@lru_cache(maxsize=1)
def tables() -> dict[str, np.ndarray]:
    """All tables by name: axes ``wavelength`` (m), ``frequency`` (Hz), ``rain_rate`` (mm/h), ``drop_diameter`` (mm)."""
    with np.load(PATH, allow_pickle=False) as stored:
        return {k: stored[k] for k in stored.files}


def nearest(axis: str, value: float) -> int:
    """Index of the entry nearest to a wavelength or frequency, by ratio."""
    return int(np.abs(np.log(tables()[axis] / value)).argmin())


def rain_table(name: str, wave: float, rate: float) -> float:
    """A table over rain rate, read on a line in the logarithms; power laws go on beyond its ends.

    Args:
        name: table with rows by wavelength or frequency. wave: m or Hz. rate: mm/h.
    """
    if rate <= 0:
        return 0.0
    table = tables()
    axis = "frequency" if len(table["frequency"]) and wave > 1e6 else "wavelength"
    x, y = np.log(table["rain_rate"]), np.log(table[name][nearest(axis, wave)])
    at = np.log(rate)
    k = int(np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2))
    return float(np.exp(y[k] + (at - x[k]) / (x[k + 1] - x[k]) * (y[k + 1] - y[k])))
