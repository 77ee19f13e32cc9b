"""What returns that are put into a scan hide of it, and what it hides of them, beam by beam."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib.ties import cell_of
from fusion_aug.ops.beam_cells import ELEVATION_STEP, azimuth_step

Array = np.ndarray
ROWS = 1 << 20  # more than any row of cells has columns
MOST_GAP = 3  # columns without a return within a silhouette, as glass and black paint leave them
NEARER = 0.1  # metres by which what hides another return lies in front of it


class Beams(NamedTuple):
    """Returns of a scan: where they lie (n, 3) from the place that each was measured from, metres; their rings (n,),
    None where they are not known."""

    rays: Array
    ring: Array | None

    def of(self, rows: Array) -> Beams:
        """Some of them, by a mask or by their numbers."""
        return Beams(self.rays[rows], None if self.ring is None else self.ring[rows])


def hidden_by_pasting(own: Beams, added: Beams, beyond: Beams) -> tuple[Array, Array]:
    """Which returns two things hide of each other: one return remains along a beam, the nearer one.

    A silhouette is what the added returns fill in rings and columns of azimuth, small gaps in a ring included, but not
    where the scan that they come from saw past them.

    Args:
        own: of the scan. added: what is put into it. beyond: other returns of the scan that they come from.

    Returns:
        (n,) bool of the scan's own returns, and (m,) bool of the added ones. Within 0.1 m the added one stays; what has
        no place is not hidden.
    """
    hidden = np.zeros(len(own.rays), bool), np.zeros(len(added.rays), bool)
    known = [np.isfinite(b.rays).all(1) & (np.abs(b.rays).max(1, initial=0.0) > 0) for b in (own, added, beyond)]
    if known[0].any() and known[1].any():
        found = _hidden(*(b.of(rows) for b, rows in zip((own, added, beyond), known, strict=True)))
        for out, rows, part in zip(hidden, known, found, strict=False):
            out[rows] = part
    return hidden


def _hidden(own: Beams, added: Beams, beyond: Beams) -> tuple[Array, Array]:
    step = azimuth_step(*max(own, added, key=lambda b: len(b.rays)))
    phase = _phase(own, step)
    mine, theirs, past = (_cells(b, step, phase) for b in (own, added, beyond))
    far_mine, far_theirs, far_past = (np.linalg.norm(b.rays, axis=1) for b in (own, added, beyond))
    cells, nearest = _nearest(theirs, far_theirs)
    cells, nearest = _closed(cells, nearest, past, far_past)
    there, at = _found(cells, mine)
    hidden_own = there & (far_mine > nearest[at] - NEARER)
    front = ~hidden_own
    in_front, front_nearest = _nearest(mine[front], far_mine[front])
    covered, at = _found(in_front, theirs)
    return hidden_own, covered & (front_nearest[at] < far_theirs - NEARER)


def _phase(beams: Beams, step: float) -> float:
    """Shift of azimuth after which firings lie in the middle of cells, radians."""
    turn = np.arctan2(beams.rays[:, 1], beams.rays[:, 0]) / step * 2 * np.pi
    mean = np.round(np.array([np.cos(turn).mean(), np.sin(turn).mean()]), 6)
    return float(step * (0.5 - np.arctan2(mean[1], mean[0]) / (2 * np.pi)))


def _cells(beams: Beams, step: float, phase: float) -> Array:
    if beams.ring is not None:
        row = beams.ring.astype(np.int64)
    else:
        elevation = np.arctan2(beams.rays[:, 2], np.hypot(beams.rays[:, 0], beams.rays[:, 1]))
        row = cell_of((elevation + np.pi) / ELEVATION_STEP).astype(np.int64)
    azimuth = np.arctan2(beams.rays[:, 1], beams.rays[:, 0]) + np.pi + phase
    cells: Array = row * ROWS + cell_of(azimuth / step).astype(np.int64) % int(np.ceil(2 * np.pi / step - 1e-3))
    return cells


def _nearest(cells: Array, far: Array) -> tuple[Array, Array]:
    """Cells in rising order, each once, and the smallest distance in it."""
    unique, where = np.unique(cells, return_inverse=True)
    nearest = np.full(len(unique), np.inf)
    np.minimum.at(nearest, where.ravel(), np.round(far, 6))
    return unique, nearest


def _found(cells: Array, asked: Array) -> tuple[Array, Array]:
    """Whether cells are among others in rising order, and where."""
    if not len(cells):
        return np.zeros(len(asked), bool), np.zeros(len(asked), np.int64)
    at = np.searchsorted(cells, asked).clip(max=len(cells) - 1)
    return cells[at] == asked, at


def _closed(cells: Array, nearest: Array, past: Array, far_past: Array) -> tuple[Array, Array]:
    """A silhouette with its small gaps, but those that something farther was seen through."""
    more, distances = [cells], [nearest]
    gaps = np.diff(cells)
    for k in range(1, MOST_GAP + 1):
        left = np.flatnonzero((gaps > k) & (gaps <= MOST_GAP + 1))
        more.append(cells[left] + k)
        distances.append(np.maximum(nearest[left], nearest[left + 1]))
    added, far = np.concatenate(more), np.concatenate(distances)
    seen, farthest = _nearest(past, -far_past)
    through, at = _found(seen, added)
    through[: len(cells)] = False
    through &= -farthest[at] > far + NEARER if len(seen) else through
    order = np.argsort(added[~through], kind="stable")
    return added[~through][order], far[~through][order]
