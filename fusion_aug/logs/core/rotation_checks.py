"""Whether numbers that are told to be rotations can be some: unit quaternions, and unit columns at right angles.

Numbers of another meaning would become rotations all the same, since both forms are normalized where they are read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.parts import Parts

TOLERANCE = 0.02  # of a length, and of the cosine of a right angle
MOST = 0.1  # share of the rows that may be none: a reading that was lost


def check_rotations(rows: np.ndarray, parts: Parts, feature: str) -> None:
    """Raise where numbers are no rotations of the form that they are told to be.

    Args:
        rows: (n, ..., k) numbers of a feature, of which NaN is left out. parts: their meaning. feature: its name.

    Raises:
        ConfigError: more than ``MOST`` of the rows are none; with what was found in the first of them.
    """
    flat = rows.reshape(-1, rows.shape[-1]).astype(np.float64) if rows.ndim > 1 else rows.reshape(-1, 1)
    for column, (start, stop, factor) in parts.spans.items():
        test = next(
            (t for form, t in TESTS.items() if form in column.rpartition(".")[2] and stop - start == t[0]), None
        )
        if test is None:
            continue
        numbers = flat[:, start:stop] * factor
        numbers = numbers[np.isfinite(numbers).all(1)]
        lengths, cosine = test[1](numbers)
        wrong = (np.abs(lengths - 1) > TOLERANCE).any(1) | (np.abs(cosine) > TOLERANCE)
        if wrong.sum() > MOST * len(numbers):
            k = int(wrong.argmax())
            found = " and ".join(f"{v:.3g}" for v in lengths[k])
            angle = f" and the product {cosine[k]:.3g}" if stop - start == 6 else ""
            what = "a quaternion has length 1" if stop - start == 4 else "both of its vectors have length 1, product 0"
            raise ConfigError(
                f"log.parts.{feature}: {column}: numbers [{start}, {stop}] are no rotations, as {wrong.sum()} of "
                f"{len(numbers)} rows show: {what}, and the first such row {np.round(numbers[k], 3).tolist()} has "
                f"length {found}{angle}; correct [start, stop] or the form of the rotation"
            )


def _quaternion(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.linalg.norm(numbers, axis=1)[:, None], np.zeros(len(numbers))


def _two_vectors(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pair = numbers.reshape(-1, 2, 3)
    return np.linalg.norm(pair, axis=2), (pair[:, 0] * pair[:, 1]).sum(1)


Test = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # (n, k) numbers -> lengths (n, vectors), products (n,)
TESTS: dict[str, tuple[int, Test]] = {"quaternion": (4, _quaternion), "6d": (6, _two_vectors)}
